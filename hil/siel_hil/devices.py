"""What an emulated board's pins reach: the few verbs that chip and sensor models answer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol


class SpiDevice(Protocol):
    """A chip on the SPI bus with chip select, BUSY, DIO1 and NRST.

    One without BUSY is never busy. One that is wired with DIO0 too has ``on_dio0`` and ``dio0_level``.
    """

    on_dio1: Callable[[], None]
    """Set by the board; the chip calls it at the rising edge of DIO1."""
    busy_until_us: int
    """BUSY is high before this time."""
    steady_busy_us: Mapping[int, int]
    """First byte of a command -> how long BUSY is high after it, for those that it does not depend on the chip's state
    for; a board that has been told so need not ask after each of them."""

    @property
    def asleep(self) -> bool:
        """Whether the next falling edge of chip select wakes it."""
        ...

    @property
    def dio1_level(self) -> int:
        """Level of DIO1, 0 or 1."""
        ...

    def select(self, t_us: int) -> None:
        """Chip select falls."""
        ...

    def transfer(self, t_us: int, mosi: bytes) -> bytes:
        """Bytes are clocked while selected; return as many."""
        ...

    def deselect(self, t_us: int) -> None:
        """Chip select rises: the command is carried out."""
        ...

    def reset(self, t_us: int) -> None:
        """NRST falls."""
        ...


class UartDevice(Protocol):
    """Something on the other side of a UART."""

    send: Callable[[bytes], None]
    """Set by the board; the device calls it with bytes for the microcontroller."""

    def receive(self, t_us: int, data: bytes) -> None:
        """Take bytes from the microcontroller."""
        ...


class I2cDevice(Protocol):
    """A device at one I2C address."""

    def write(self, t_us: int, data: bytes) -> bool:
        """Take a write; False is NACK."""
        ...

    def read(self, t_us: int, n: int) -> bytes | None:
        """Answer a read of ``n`` bytes; None is NACK."""
        ...


class PinDevice(Protocol):
    """Something that watches an output pin."""

    def level(self, t_us: int, value: int) -> None:
        """The pin changed to ``value``, 0 or 1."""
        ...
