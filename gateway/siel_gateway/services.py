"""Everything the daemon takes from its surroundings, in one object that the harness can replace."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from siel_gateway.records import Clock

T = TypeVar("T")
Address = tuple[str, int]


class ByteStream(Protocol):
    """An open serial port."""

    async def read(self) -> bytes:
        """Return the next bytes, at least one; raise ``OSError`` when the port is gone."""
        ...

    def write(self, data: bytes) -> None:
        """Queue ``data``; raise ``OSError`` when the port is gone."""
        ...

    def close(self) -> None:
        """Release the port; closing twice does nothing."""
        ...


class Datagrams(Protocol):
    """An open UDP socket."""

    @property
    def local_address(self) -> Address:
        """The address it is bound to."""
        ...

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; a network error is not reported, as on the wire."""
        ...

    def close(self) -> None:
        """Release the socket; closing twice does nothing."""
        ...


class Services(Protocol):
    """Clock, randomness, ports, sockets and the executor."""

    async def write_console(self, text: str) -> None:
        """Write to where the console sink's reader looks; raise ``OSError`` when that fails.

        It takes as long as the reader makes it take, and holds nothing else up.
        """
        ...

    def monotonic_us(self) -> int:
        """Return microseconds since boot; never steps."""
        ...

    def utc_ms(self) -> int:
        """Return UTC as milliseconds since 1970."""
        ...

    def clock_trust(self) -> Clock:
        """Say where UTC comes from."""
        ...

    def random_bytes(self, n: int) -> bytes:
        """Return ``n`` unpredictable bytes (reproducible ones in the harness)."""
        ...

    async def open_serial(self, port: str, baud: int) -> ByteStream:
        """Open a serial port without resetting what is behind it; raise ``OSError`` when that fails."""
        ...

    async def open_datagrams(self, bind: Address, receiver: Callable[[bytes, Address], None]) -> Datagrams:
        """Bind a UDP socket (port 0: any) whose datagrams go to ``receiver``; raise ``OSError`` when that fails."""
        ...

    async def resolve(self, host: str, port: int) -> Address:
        """Look a UDP peer's address up; raise ``OSError`` when that fails."""
        ...

    async def run_blocking(self, job: Callable[[], T]) -> T:
        """Run ``job`` off the event loop, one at a time in order, and return its result."""
        ...

    async def run_aside(self, job: Callable[[], T]) -> T:
        """Run ``job`` as :meth:`run_blocking` does, but apart from its jobs: this one may take seconds."""
        ...

    def outside_work(self) -> AbstractContextManager[None]:
        """Mark that an answer from outside (a broker) is awaited: on a virtual clock no time passes meanwhile."""
        ...
