# DYP A02YYUW, a waterproof ultrasonic distance sensor on a UART: it talks by itself as long as it has power.
# Source: DFRobot SEN0311 (output in UART mode with RX high or open: processed values, one each 100 to 300 ms).
from siel_node._compat import const, sleep_ms, ticks_add, ticks_diff, ticks_ms

# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BAUD = const(9600)
# Its range; a frame beyond it holds no echo, or is not a frame but an accident of bytes
MIN_MM = const(30)
MAX_MM = const(4500)

# From power to the first frame worth reading
_WARM_UP_MS = const(500)
_READINGS = const(3)
# Without three good frames by then the distance is not available
_GIVE_UP_MS = const(2500)


class Parser:
    # Finds frames (FF, high, low, sum of the three) in a stream that may start anywhere and lose or gain bytes.
    def __init__(self) -> None:
        self._frame = bytearray(4)
        self._held = 0

    def feed(self, byte: int) -> int:
        # The distance in mm when this byte completes a frame, else -1.
        frame = self._frame
        frame[self._held] = byte
        self._held += 1
        if self._held == 4:
            if (frame[0] + frame[1] + frame[2]) & 0xFF == frame[3]:
                distance_mm = frame[1] << 8 | frame[2]
                if MIN_MM <= distance_mm <= MAX_MM:
                    self._held = 0
                    return distance_mm
            self._drop()
        elif frame[0] != 0xFF:
            self._held = 0
        return -1

    def _drop(self) -> None:
        # Goes on at the next byte that can be a header.
        frame = self._frame
        while self._held:
            frame[0] = frame[1]
            frame[1] = frame[2]
            frame[2] = frame[3]
            self._held -= 1
            if frame[0] == 0xFF:
                return


class A02yyuw:
    # uart: opened with BAUD. power: sets the pin of its supply, None when it is always on. waiter: a Waiter on uart.
    def __init__(self, uart: "Any", power: "Callable[[int], object] | None", waiter: "Any") -> None:
        self._uart = uart
        self._power = power
        self._waiter = waiter

    def read(self, readings: "dict[str, int]") -> None:
        # Sets distance_mm, the median of three; leaves it out when the sensor does not answer.
        if self._power:
            self._power(1)
        try:
            sleep_ms(_WARM_UP_MS)
            found = self._collect()
        finally:
            if self._power:
                self._power(0)
        if len(found) == _READINGS:
            found.sort()
            readings["distance_mm"] = found[_READINGS // 2]

    def _collect(self) -> "list[int]":
        self._uart.read()  # what came before and while it warmed up
        parser = Parser()
        found: list[int] = []
        end_ms = ticks_add(ticks_ms(), _GIVE_UP_MS)
        while True:
            left_ms = ticks_diff(end_ms, ticks_ms())
            if left_ms <= 0:
                return found
            self._waiter.wait(left_ms)
            for byte in self._uart.read() or b"":
                distance_mm = parser.feed(byte)
                if distance_mm >= 0:
                    found.append(distance_mm)
                    if len(found) == _READINGS:
                        return found
