"""A real MicroPython process as a participant: its shim's requests become events of the world.

The exchange (shim/_link.py is the other side): ``<op u8> <argument u8> <length u16> <time_us u64>`` and payload,
both ways. Only one participant runs at a time; each request carries the process's own time and is carried out when
nobody else is due before, so cause never follows effect.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from siel_hil.devices import I2cDevice, PinDevice, SpiDevice, UartDevice
from siel_hil.errors import ParticipantError
from siel_hil.world import Event, World

_HEAD: Final = struct.Struct("<BBHQ")
_TIME: Final = struct.Struct("<Q")
_GRANT: Final = ord("G")
_WAIT_FOR_LINE: Final = ord("W")
_SLEEP: Final = ord("Z")
_RESET: Final = ord("E")
_ENDED: Final = ord("Y")
HANG_LIMIT_S: Final = 20
"""Wall time without a request after which a process counts as hung; a long step takes milliseconds."""
SHIM: Final = Path(__file__).parent / "shim"
_BITS_PER_BYTE: Final = 10


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
        self._rng = world.rng(f"board/{name}")
        self._spi = [device for device, _pins in wiring.spi]
        self.uarts = {number: Uart(device) for number, device in wiring.uarts.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._irq = 0
        self._told_selected = [False] * len(self._spi)
        self._wake: Event | None = None
        self._wakes_on_line = False
        self._wakes_on_byte = False
        self._present_us = 0
        self._reset_cause = 1
        self._do: dict[int, Callable[[int, bytes], bytes]] = {
            ord("F"): self._spi_select,
            ord("S"): self._spi_transfer,
            ord("C"): self._spi_deselect,
            ord("N"): self._spi_reset,
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
            device.on_dio1 = lambda bit=1 << index: self._interrupt(bit)  # type: ignore[misc]
        for number, uart in self.uarts.items():
            if uart.device is not None:
                uart.device.send = lambda data, number=number: self.uart_receive(number, data)  # type: ignore[misc]

    # --- life -------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start the process; its first instruction runs at the present time."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.set_inheritable(True)
        # a blocking recv that gives up, without a poll before each one
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", HANG_LIMIT_S, 0))
        wiring = {
            "spi": [pins for _device, pins in self._wiring.spi],
            "outputs": [pin for pin, _device in self._wiring.outputs],
            "unique_id": self._wiring.unique_id.hex(),
            "reset_cause": self._reset_cause,
            "seed": self._rng.getrandbits(30),
        }
        command = [
            *self._argv,
            "-X",
            f"heapsize={self._heap_bytes}",
            str(SHIM / "boot.py"),
            str(theirs.fileno()),
            json.dumps(wiring),
            str(self._image),
            str(self._flash),
        ]
        env = {**self._env, "MICROPYPATH": f"{SHIM}:.frozen"}
        # its own process group: Ctrl-C in the terminal is for the coordinator
        self._process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            close_fds=False,
            process_group=0,
        )
        theirs.close()
        self._socket = ours
        self._irq = 0
        self.world.log(self.name, "power_on", cause=self._reset_cause)
        op, _argument, _time, data = self._receive()
        if op != ord("B"):
            raise ParticipantError(self.name, f"did not start: {data.decode(errors='replace')}")
        self._wake = self.world.at(self.world.now_us, self._resume, b"")

    def power_off(self) -> None:
        """End the process as a power cut does; flash keeps what was written."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def running(self) -> bool:
        """Whether the process is up."""
        return self._process is not None

    # --- the exchange -----------------------------------------------------------------------------------------

    def _receive(self) -> tuple[int, int, int, bytes]:
        assert self._socket is not None  # noqa: S101 - only called while powered
        try:
            message = self._socket.recv(4096)
            while message and (len(message) < _HEAD.size or len(message) < _HEAD.size + (message[2] | message[3] << 8)):
                more = self._socket.recv(4096)
                if not more:
                    break
                message += more
        except BlockingIOError:
            raise ParticipantError(self.name, f"hung: no request for {HANG_LIMIT_S} s of wall time") from None
        except OSError as error:
            raise ParticipantError(self.name, f"lost: {error}") from error
        if len(message) < _HEAD.size:
            code = self._process.wait() if self._process is not None else None
            raise ParticipantError(self.name, f"died without a word, exit code {code}")
        op, argument, _length, t_us = _HEAD.unpack_from(message)
        return op, argument, t_us, message[_HEAD.size :]

    def _resume(self, answer: bytes) -> None:
        """Grant the present time and serve the process until it waits for a later one."""
        if self._socket is None:
            return
        world, send, do = self.world, self._socket.sendall, self._do
        self._wake = None
        self._wakes_on_line = False
        try:
            while True:
                mask = self._irq
                for number, uart in self.uarts.items():
                    if uart.waiting:
                        mask |= 16 << number
                self._irq = 0
                send(_HEAD.pack(_GRANT, mask, len(answer), world.now_us) + answer)
                op, argument, t_us, data = self._receive()
                if op in (_WAIT_FOR_LINE, _SLEEP):  # until t_us; the payload says what time it is there
                    self._wait(op == _WAIT_FOR_LINE, _TIME.unpack(data)[0], t_us)
                    return
                if op == _RESET:
                    self._restart(argument)
                    return
                if op == _ENDED:  # which no firmware does
                    raise ParticipantError(self.name, "its program ended: " + data.decode(errors="replace"))
                if not world.may_run_to(t_us):
                    self._wake = world.at(t_us, self._deferred, do[op], argument, data)
                    return
                world.now_us = max(world.now_us, t_us)
                answer = do[op](argument, data)
        except BrokenPipeError:
            raise ParticipantError(self.name, "died: its line is closed") from None

    def _deferred(self, do: Callable[[int, bytes], bytes], argument: int, data: bytes) -> None:
        self._resume(do(argument, data))

    def _wait(self, wakes: bool, present_us: int, t_us: int) -> None:
        ready = self._irq or (wakes and any(uart.waiting for uart in self.uarts.values()))
        self._wakes_on_line = True
        self._wakes_on_byte = wakes
        self._wake = self.world.at(present_us if ready else t_us, self._resume, b"")
        self._present_us = present_us

    def _interrupt(self, bit: int) -> None:
        self._irq |= bit
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wakes_on_line and self._wake is not None and self._wake.t_us > self.world.now_us:
            self._wake.cancel()
            self._wake = self.world.at(max(self.world.now_us, self._present_us), self._resume, b"")

    def _restart(self, cause: int) -> None:
        self.resets += 1
        self._reset_cause = cause
        self.power_off()
        self.world.after(2000, self.power_on)

    # --- what the pins do -------------------------------------------------------------------------------------

    def _busy(self, device: SpiDevice) -> bytes:
        busy_us = min(max(0, device.busy_until_us - self.world.now_us), 0xFFFFFF)
        return busy_us.to_bytes(3, "little") + (b"\1" if device.asleep else b"\0")

    def _spi_select(self, index: int, _data: bytes) -> bytes:
        device = self._spi[index]
        self._told_selected[index] = True
        device.select(self.world.now_us)
        return self._busy(device)

    def _spi_transfer(self, index: int, data: bytes) -> bytes:
        if not self._told_selected[index]:
            self._spi_select(index, b"")
        return self._spi[index].transfer(self.world.now_us, data)

    def _spi_deselect(self, index: int, data: bytes) -> bytes:
        if data:
            self._spi_transfer(index, data)
        elif not self._told_selected[index]:
            self._spi_select(index, b"")
        self._told_selected[index] = False
        device = self._spi[index]
        device.deselect(self.world.now_us)
        return self._busy(device)

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
        self.world.at(uart.rx_free_us, self._uart_arrive, uart, data)

    def _uart_arrive(self, uart: Uart, data: bytes) -> None:
        if not self.running or not uart.opened:
            return
        room = uart.rx_limit_bytes - len(uart.waiting)
        uart.overflow_bytes += max(0, len(data) - room)
        uart.waiting += data[: max(0, room)]
        if self._wakes_on_line and self._wakes_on_byte:
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
