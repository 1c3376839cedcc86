"""A real MicroPython process as a participant: its shim's requests become events of the world.

The exchange (shim/_link.py is the other side, and has the formats): a message is any number of posted requests, which
need no answer, and one that does. Only one participant runs at a time; each request carries the process's own time and
is carried out when nobody else is due before, so cause never follows effect. An answer says how long nobody else is
due: so far the process may go on by itself.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from siel_hil.child_line import ChildLine
from siel_hil.devices import I2cDevice, PinDevice, SpiDevice, UartDevice
from siel_hil.errors import ParticipantError
from siel_hil.world import Event, World

_HEAD: Final = struct.Struct("<BBHQ")
_HEAD_BYTES: Final = 12
_INLINE: Final = 24
_ANSWER: Final = struct.Struct(f"<BBHIQ{_INLINE}s")
_TIME: Final = struct.Struct("<Q")
_POSTED: Final = 0x80
_GRANT: Final = ord("G")
_GRANT_IDLE: Final = ord("I")
_WAIT_FOR_LINE: Final = ord("W")
_SLEEP: Final = ord("Z")
_RESET: Final = ord("E")
_ENDED: Final = ord("Y")
_PUSHED: Final = 0x40
_ASK_BUSY: Final = 0x80
_UARTS: Final = 2
_NO_COMMAND: Final = -1
_MOST_PUSHED: Final = 255
_FREE_MAX_US: Final = (1 << 29) - 1
"""Longer would make a big integer of an answer's first eight bytes there."""
_MESSAGE_BYTES: Final = 3300
"""As much as the shim sends at once."""
SHIM: Final = Path(__file__).parent / "shim"
_BITS_PER_BYTE: Final = 10
Request = tuple[int, int, int, bytes]
"""Operation, argument, time, data."""


@dataclass
class Uart:
    """One UART of the board: what the host side has sent and the microcontroller has not read."""

    device: UartDevice | None = None
    baud: int = 9600
    rx_limit_bytes: int = 256
    waiting: bytearray = field(default_factory=bytearray)
    overflow_bytes: int = 0
    opened: bool = False
    tx_free_us: int = 0
    rx_free_us: int = 0


@dataclass
class Wiring:
    """Which pin reaches which device; the indices are those of the exchange."""

    spi: Sequence[tuple[SpiDevice, dict[str, int]]] = ()
    """Each with its pins: cs, busy, dio1, reset."""
    uarts: dict[int, UartDevice] = field(default_factory=dict)
    i2c: dict[tuple[int, int], I2cDevice] = field(default_factory=dict)
    """(bus, address) -> device."""
    outputs: Sequence[tuple[int, PinDevice]] = ()
    adc: dict[int, Callable[[int], int]] = field(default_factory=dict)
    """ADC number -> reading (0 to 65535) at a time."""
    unique_id: bytes = b"\0" * 8


class MicroPythonBoard:
    """One board: a MicroPython process with its flash, pins and virtual clock.

    Args:
        world: Where it lives.
        name: Its name in logs and reports.
        argv: Command that starts MicroPython.
        env: Its environment.
        image: Folder with main and its modules, as staged.
        flash: File of the block device; made by ``flash.format_flash``.
        wiring: What its pins reach.
        heap_bytes: Size of the MicroPython heap.
        on_line: Called with each line the firmware prints.
        shim: Folder of the shim's modules, perhaps compiled.
    """

    def __init__(
        self,
        world: World,
        name: str,
        *,
        argv: Sequence[str],
        env: dict[str, str],
        image: Path,
        flash: Path,
        wiring: Wiring,
        heap_bytes: int = 400_000,
        on_line: Callable[[str], None] | None = None,
        shim: Path = SHIM,
    ) -> None:
        self.world = world
        self.name = name
        self.flash_writes = 0
        self.flash_erases = 0
        self.resets = 0
        self._argv = list(argv)
        self._env = env
        self._image = image
        self._flash = flash
        self._wiring = wiring
        self._heap_bytes = heap_bytes
        self._on_line = on_line
        self._shim = shim
        self._rng = world.rng(f"board/{name}")
        self._spi = [device for device, _pins in wiring.spi]
        self.uarts = {number: Uart(device) for number, device in wiring.uarts.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._line_to: ChildLine | None = None
        self._irq_us: dict[int, int] = {}
        self._told_selected = [False] * len(self._spi)
        self._opcode = [_NO_COMMAND] * len(self._spi)
        self._ask_busy = False
        self._wake: Event | None = None
        self._wakes_on_line = False
        self._room = 0
        self._present_us = 0
        self._reset_cause = 1
        self._do: dict[int, Callable[[int, bytes], bytes]] = {
            ord("F"): self._spi_select,
            ord("S"): self._spi_transfer,
            ord("C"): self._spi_deselect,
            ord("N"): self._spi_reset,
            ord("M"): lambda index, _data: self._busy(self._spi[index]),
            ord("D"): lambda index, _data: bytes([self._spi[index].dio1_level]),
            ord("P"): self._output,
            ord("O"): self._uart_open,
            ord("U"): self._uart_write,
            ord("R"): self._uart_read,
            ord("I"): self._i2c_write,
            ord("J"): self._i2c_read,
            ord("A"): self._adc,
            ord("Q"): lambda n, _data: self._rng.randbytes(n),
            ord("K"): self._flash_operation,
            ord("L"): self._line,
        }
        for index, device in enumerate(self._spi):
            device.on_dio1 = lambda line=index: self._interrupt(line)  # type: ignore[misc]
        for number, uart in self.uarts.items():
            if uart.device is not None:
                uart.device.send = lambda data, number=number: self.uart_receive(number, data)  # type: ignore[misc]

    # --- life -------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start the process; its first instruction runs at the present time."""
        line = ChildLine(self.name)
        command = [
            *self._argv,
            "-X",
            f"heapsize={self._heap_bytes}",
            "-m",
            "boot",
            *map(str, line.theirs),
            str(self._image),
            str(self._flash),
        ]
        env = {**self._env, "MICROPYPATH": f"{self._shim}:.frozen"}
        # its own process group: Ctrl-C in the terminal is for the coordinator
        self._process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            close_fds=False,
            process_group=0,
        )
        line.started(self._process)
        self._line_to = line
        self._irq_us.clear()
        self._room = 0
        self.world.log(self.name, "power_on", cause=self._reset_cause)
        op, _argument, _time, data = self._receive()[-1]
        if op != ord("B"):
            raise ParticipantError(self.name, f"did not start: {data.decode(errors='replace')}")
        self._wake = self.world.at(self.world.now_us, self._begin, self._rng.getrandbits(30))

    def _begin(self, seed: int) -> None:
        """Answer the first word of a process with what its pins reach."""
        wiring = {
            "spi": [pins | {"steady_busy": _by_time(device.steady_busy_us)} for device, pins in self._wiring.spi],
            "outputs": [pin for pin, _device in self._wiring.outputs],
            "unique_id": self._wiring.unique_id.hex(),
            "reset_cause": self._reset_cause,
            "seed": seed,
        }
        self._serve(self._exchange(_GRANT, 0, json.dumps(wiring, separators=(",", ":")).encode()))

    def power_off(self) -> None:
        """End the process as a power cut does; flash keeps what was written."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._process is not None:
            # before its line is closed: it must not see its end and tidy up
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._line_to is not None:
            self._line_to.close()
            self._line_to = None

    @property
    def running(self) -> bool:
        """Whether the process is up."""
        return self._process is not None

    # --- the exchange -----------------------------------------------------------------------------------------

    def _receive(self) -> list[Request]:
        """Return the next message: posted requests and one that wants an answer."""
        assert self._line_to is not None  # noqa: S101 - only called while powered
        requests: list[Request] = []
        unpack, at = _HEAD.unpack_from, 0
        message = self._line_to.receive(_MESSAGE_BYTES)
        while True:
            have = len(message)
            if have >= at + _HEAD_BYTES:
                op, argument, length, t_us = unpack(message, at)
                if have >= at + _HEAD_BYTES + length:
                    at += _HEAD_BYTES + length
                    if op < _POSTED:
                        requests.append((op, argument, t_us, message[at - length : at]))
                        return requests
                    requests.append((op - _POSTED, argument, t_us, message[at - length : at]))
                    continue
            message += self._line_to.receive(_MESSAGE_BYTES)

    def _resume(self) -> None:
        """Grant the present time after a wait."""
        now_us = self.world.now_us
        kind, pushed, mask = _GRANT_IDLE, b"", 0
        for device in self._spi:
            if device.busy_until_us > now_us or device.asleep:
                kind = _GRANT
        if self._room and self._bytes_wait():
            parts = [self._take(number) if self._room >> number & 1 else b"" for number in range(_UARTS)]
            pushed, mask = b"".join((bytes(map(len, parts)), *parts)), _PUSHED
        self._serve(self._exchange(kind, mask, pushed))

    def _bytes_wait(self) -> bool:
        for uart in self.uarts.values():  # noqa: SIM110 - a generator costs more than the question
            if uart.waiting:
                return True
        return False

    def _take(self, number: int) -> bytes:
        uart = self.uarts.get(number)
        if uart is None:
            return b""
        out = bytes(uart.waiting[:_MOST_PUSHED])
        del uart.waiting[:_MOST_PUSHED]
        return out

    def _exchange(self, kind: int, mask: int, answer: bytes) -> list[Request]:
        """Answer and return what the process wants next."""
        assert self._line_to is not None  # noqa: S101 - only called while powered
        world = self.world
        world.exchanges += 1
        self._wake = None
        self._wakes_on_line = False
        for number, uart in self.uarts.items():
            if uart.waiting:
                mask |= 16 << number
        if self._irq_us:
            for line, t_us in sorted(self._irq_us.items()):
                mask |= 1 << line
                answer += _TIME.pack(t_us)
            self._irq_us.clear()
        if self._ask_busy:
            mask |= _ASK_BUSY
            self._ask_busy = False
        free_us = min(max(0, world.free_until_us() - world.now_us), _FREE_MAX_US)
        message = _ANSWER.pack(kind, mask, len(answer), free_us, world.now_us, answer)
        self._line_to.send(message + answer[_INLINE:] if len(answer) > _INLINE else message)
        return self._receive()

    def _serve(self, requests: list[Request], at: int = 0) -> None:
        """Carry out ``requests`` from number ``at`` on, and those that follow, until the process waits."""
        world, do, line = self.world, self._do, self._line_to
        free_us, seen = world.free_until_us(), world.changes
        while True:
            while at < len(requests):
                op, argument, t_us, data = requests[at]
                if op in (_WAIT_FOR_LINE, _SLEEP):
                    self._wait(argument, t_us, _TIME.unpack(data)[0])
                    return
                if world.changes != seen:
                    free_us, seen = world.free_until_us(), world.changes
                if t_us > free_us:
                    self._wake = world.at(t_us, self._serve, requests, at)
                    return
                world.now_us = max(t_us, world.now_us)
                if op == _RESET:
                    self._restart(argument)
                    return
                if op == _ENDED:  # which no firmware does
                    raise ParticipantError(self.name, "its program ended: " + data.decode(errors="replace"))
                answer = do[op](argument, data)
                if self._line_to is not line:  # it has cut its own power
                    return
                at += 1
            requests, at = self._exchange(_GRANT, 0, answer), 0

    def _wait(self, room: int, present_us: int, t_us: int) -> None:
        """Sleep until ``t_us``, an interrupt, or a byte on a UART that has ``room``: one that the process has emptied.

        Bytes on another one are no news: whoever polls it does not wait at all, and whoever does not must not wake.
        """
        news = any(uart.waiting and room >> number & 1 for number, uart in self.uarts.items())
        self._wakes_on_line = True
        self._room = room
        ready = self._irq_us or news
        self._wake = self.world.at(present_us if ready else t_us, self._resume)
        self._present_us = present_us

    def _interrupt(self, line: int) -> None:
        self._irq_us.setdefault(line, self.world.now_us)
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wakes_on_line and self._wake is not None and self._wake.t_us > self.world.now_us:
            self._wake.cancel()
            self._wake = self.world.at(max(self.world.now_us, self._present_us), self._resume)

    def _restart(self, cause: int) -> None:
        self.resets += 1
        self._reset_cause = cause
        self.power_off()
        self.world.after(2000, self.power_on)

    # --- what the pins do -------------------------------------------------------------------------------------

    def _busy(self, device: SpiDevice) -> bytes:
        busy_us = min(max(0, device.busy_until_us - self.world.now_us), 0xFFFFFF)
        return busy_us.to_bytes(3, "little") + (b"\1" if device.asleep else b"\0")

    def _select(self, index: int) -> None:
        self._told_selected[index] = True
        self._opcode[index] = _NO_COMMAND
        self._spi[index].select(self.world.now_us)

    def _spi_select(self, index: int, _data: bytes) -> bytes:
        self._select(index)
        return self._busy(self._spi[index])

    def _spi_transfer(self, index: int, data: bytes) -> bytes:
        if not self._told_selected[index]:
            self._select(index)
        if self._opcode[index] == _NO_COMMAND and data:
            self._opcode[index] = data[0]
        return self._spi[index].transfer(self.world.now_us, data)

    def _spi_deselect(self, index: int, data: bytes) -> bytes:
        device, now_us = self._spi[index], self.world.now_us
        if self._told_selected[index]:
            if data:
                self._spi_transfer(index, data)
            opcode = self._opcode[index]
            self._told_selected[index] = False
        else:  # all of the command at once
            opcode = data[0] if data else _NO_COMMAND
            device.select(now_us)
            device.transfer(now_us, data)
        before_us = device.busy_until_us
        device.deselect(now_us)
        steady_us = device.steady_busy_us.get(opcode)
        if steady_us is not None and device.busy_until_us != (now_us + steady_us if steady_us else before_us):
            self._ask_busy = True  # the process believes otherwise
        return b""

    def _spi_reset(self, argument: int, _data: bytes) -> bytes:
        device = self._spi[argument >> 1]
        if not argument & 1:
            device.reset(self.world.now_us)
        return self._busy(device)

    def _output(self, argument: int, _data: bytes) -> bytes:
        self._wiring.outputs[argument >> 1][1].level(self.world.now_us, argument & 1)
        return b""

    def _uart_open(self, number: int, data: bytes) -> bytes:
        uart = self.uarts.setdefault(number, Uart())
        uart.baud = int.from_bytes(data[:4], "little")
        uart.rx_limit_bytes = int.from_bytes(data[4:6], "little")
        uart.waiting.clear()
        uart.opened = True
        return b""

    def _uart_write(self, number: int, data: bytes) -> bytes:
        uart = self.uarts.setdefault(number, Uart())
        if uart.device is not None:
            uart.tx_free_us = max(uart.tx_free_us, self.world.now_us) + self._line_time_us(uart, len(data))
            self.world.at(uart.tx_free_us, self._uart_deliver, uart, data)
        return b""

    def _uart_deliver(self, uart: Uart, data: bytes) -> None:
        if uart.device is not None:
            uart.device.receive(self.world.now_us, data)

    def _uart_read(self, number: int, _data: bytes) -> bytes:
        uart = self.uarts[number]
        out = bytes(uart.waiting[:1024])
        del uart.waiting[:1024]
        return out

    def uart_receive(self, number: int, data: bytes) -> None:
        """Let the other side of UART ``number`` send ``data``; it arrives at the speed of the line."""
        uart = self.uarts[number]
        uart.rx_free_us = max(uart.rx_free_us, self.world.now_us) + self._line_time_us(uart, len(data))
        self.world.at(uart.rx_free_us, self._uart_arrive, number, uart, data)

    def _uart_arrive(self, number: int, uart: Uart, data: bytes) -> None:
        if not self.running or not uart.opened:
            return
        room = uart.rx_limit_bytes - len(uart.waiting)
        uart.overflow_bytes += max(0, len(data) - room)
        uart.waiting += data[: max(0, room)]
        if self._room >> number & 1:
            self._wake_up()

    @staticmethod
    def _line_time_us(uart: Uart, n: int) -> int:
        return n * _BITS_PER_BYTE * 1_000_000 // uart.baud

    def _i2c_write(self, argument: int, data: bytes) -> bytes:
        device = self._wiring.i2c.get((argument >> 7, argument & 127))
        return b"\1" if device is not None and device.write(self.world.now_us, data) else b"\0"

    def _i2c_read(self, argument: int, data: bytes) -> bytes:
        device = self._wiring.i2c.get((argument >> 7, argument & 127))
        return (device.read(self.world.now_us, data[0]) if device is not None else None) or b""

    def _adc(self, number: int, _data: bytes) -> bytes:
        reading = self._wiring.adc.get(number)
        return reading(self.world.now_us).to_bytes(2, "little") if reading is not None else b""

    def _flash_operation(self, kind: int, _data: bytes) -> bytes:
        if kind == 1:
            self.flash_writes += 1
        else:
            self.flash_erases += 1
        return b""

    def _line(self, _argument: int, data: bytes) -> bytes:
        text = data.decode(errors="replace")
        self.world.log(self.name, "print", text=text)
        if self._on_line is not None:
            self._on_line(text)
        return b""

    def facts(self) -> dict[str, Any]:
        """Return what the report says of this board."""
        return {"flash_writes": self.flash_writes, "flash_erases": self.flash_erases, "resets": self.resets}


def _by_time(steady_busy_us: Mapping[int, int]) -> dict[int, str]:
    """Return the opcodes of each duration, short enough for one answer."""
    opcodes: dict[int, str] = {}
    for opcode, busy_us in steady_busy_us.items():
        opcodes[busy_us] = opcodes.get(busy_us, "") + f"{opcode:02x}"
    return opcodes
