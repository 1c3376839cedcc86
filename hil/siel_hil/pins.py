"""What the pins of an emulated board reach: each request of the shim that touches one, carried out.

Called by the board's process (``process.py``) at the world's time of the request; bytes and interrupts go back to it
through ``waiting``, ``interrupts_us`` and the news it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from siel_hil.devices import I2cDevice, PinDevice, SpiDevice, UartDevice
from siel_hil.errors import HilError
from siel_hil.world import World

_NO_COMMAND: Final = -1
_BITS_PER_BYTE: Final = 10
_LARGEST_READ: Final = 1024
"""As much as an answer holds; shim/_link.py has the same."""
_LINE_PINS: Final = ("dio1", "dio0")
_MOST_LINES: Final = 4
"""Bits of an answer's mask; shim/_link.py has as many handlers."""


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
    """Each with its pins: cs, reset, dio1, and busy or dio0 where the chip has one."""
    uarts: dict[int, UartDevice] = field(default_factory=dict)
    i2c: dict[tuple[int, int], I2cDevice] = field(default_factory=dict)
    """(bus, address) -> device."""
    outputs: Sequence[tuple[int, PinDevice]] = ()
    adc: dict[int, Callable[[int], int]] = field(default_factory=dict)
    """ADC number -> reading (0 to 65535) at a time."""
    unique_id: bytes = b"\0" * 8


class Pins:
    """One board's pins while it has power and while it has none.

    Args:
        world: Whose time it is.
        wiring: What they reach.
        news: Called when a process that waits has reason to wake: an interrupt, or bytes on a UART it listens to.

    Raises:
        HilError: More interrupt lines than the exchange can tell apart.

    Attributes:
        operations: Operation of the exchange -> what carries it out.
        uarts: By number; those without a device are made when they are opened.
        interrupts_us: Interrupt line -> when it rose, until the process hears of it.
        ask_busy: BUSY was not as the process can foresee.
        listens: Bit for each UART whose bytes are news.
        powered: Without power nothing arrives.
    """

    def __init__(self, world: World, wiring: Wiring, news: Callable[[], None]) -> None:
        self.interrupts_us: dict[int, int] = {}
        self.ask_busy = False
        self.listens = 0
        self.powered = False
        self.world = world
        self._wiring = wiring
        self._news = news
        self._spi = [device for device, _pins in wiring.spi]
        self.uarts = {number: Uart(device) for number, device in wiring.uarts.items()}
        self._told_selected = [False] * len(self._spi)
        self._opcode = [_NO_COMMAND] * len(self._spi)
        self.operations: dict[int, Callable[[int, bytes], bytes]] = {
            ord("F"): self._spi_select,
            ord("S"): self._spi_transfer,
            ord("C"): self._spi_deselect,
            ord("N"): self._spi_reset,
            ord("M"): lambda index, _data: self._busy(self._spi[index]),
            ord("D"): self._level,
            ord("P"): self._output,
            ord("O"): self._uart_open,
            ord("U"): self._uart_write,
            ord("R"): self._uart_read,
            ord("I"): self._i2c_write,
            ord("J"): self._i2c_read,
            ord("A"): self._adc,
        }
        self._lines = [(device, pins, name) for device, pins in wiring.spi for name in _LINE_PINS if name in pins]
        if len(self._lines) > _MOST_LINES:
            raise HilError(f"{len(self._lines)} interrupt lines of chips reach the board; it can have {_MOST_LINES}")
        for line, (device, _pins, name) in enumerate(self._lines):
            setattr(device, f"on_{name}", partial(self._interrupt, line))
        for number, uart in self.uarts.items():
            if uart.device is not None:
                uart.device.send = lambda data, number=number: self.uart_receive(number, data)  # type: ignore[misc]

    def power(self, on: bool) -> None:
        """Give the board power or take it; what was on its way to the process is gone."""
        self.powered = on
        self.listens = 0
        self.interrupts_us.clear()

    def told(self) -> dict[str, Any]:
        """Return what the shim needs to know of the pins."""
        return {
            "spi": [pins | {"steady_busy": _by_time(device.steady_busy_us)} for device, pins in self._wiring.spi],
            "lines": [pins[name] for _device, pins, name in self._lines],
            "outputs": [pin for pin, _device in self._wiring.outputs],
            "unique_id": self._wiring.unique_id.hex(),
        }

    def busy(self) -> bool:
        """Say whether a chip is busy or asleep."""
        now_us = self.world.now_us
        for device in self._spi:  # noqa: SIM110 - a generator costs more than the question
            if device.busy_until_us > now_us or device.asleep:
                return True
        return False

    def take(self, number: int, most: int) -> bytes:
        """Return at most so many of the bytes that wait on a UART, and forget them."""
        uart = self.uarts.get(number)
        if uart is None:
            return b""
        out = bytes(uart.waiting[:most])
        del uart.waiting[:most]
        return out

    def _level(self, line: int, _data: bytes) -> bytes:
        device, _pins, name = self._lines[line]
        return bytes([getattr(device, f"{name}_level")])

    def _interrupt(self, line: int) -> None:
        self.interrupts_us.setdefault(line, self.world.now_us)
        self._news()

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
            self.ask_busy = True  # the process believes otherwise
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
        return self.take(number, _LARGEST_READ)

    def uart_receive(self, number: int, data: bytes) -> None:
        """Let the other side of UART ``number`` send ``data``; it arrives at the speed of the line."""
        uart = self.uarts[number]
        uart.rx_free_us = max(uart.rx_free_us, self.world.now_us) + self._line_time_us(uart, len(data))
        self.world.at(uart.rx_free_us, self._uart_arrive, number, uart, data)

    def _uart_arrive(self, number: int, uart: Uart, data: bytes) -> None:
        if not self.powered or not uart.opened:
            return
        room = uart.rx_limit_bytes - len(uart.waiting)
        uart.overflow_bytes += max(0, len(data) - room)
        uart.waiting += data[: max(0, room)]
        if self.listens >> number & 1:
            self._news()

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


def _by_time(steady_busy_us: Mapping[int, int]) -> dict[int, str]:
    """Return the opcodes of each duration, short enough for one answer."""
    opcodes: dict[int, str] = {}
    for opcode, busy_us in steady_busy_us.items():
        opcodes[busy_us] = opcodes.get(busy_us, "") + f"{opcode:02x}"
    return opcodes
