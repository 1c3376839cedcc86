"""The gateway's surroundings when it runs inside the world: the ``Services`` the daemon is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TextIO, TypeVar

from siel_gateway.records import Clock
from siel_gateway.services import Address, ByteStream, Datagrams
from siel_hil.loop import WorldLoop
from siel_hil.net import Endpoint, VirtualNet
from siel_hil.serial_line import VirtualLine
from siel_hil.world import World

T = TypeVar("T")
EPOCH_MS = 1_767_225_600_000
"""Virtual time starts 2026-01-01T00:00:00Z."""


class WorldServices:
    """Everything a daemon takes from outside, taken from the world.

    Blocking jobs run at once and cost no virtual time: a commit that a test wants slow is made slow by the test.

    Args:
        world: Whose clock it is.
        name: The gateway's name, for its random stream.
        net: Where its datagrams go.
        lines: Serial port name in siel.toml -> the head's line.
        console: Where the console sink writes.
    """

    def __init__(
        self, world: World, name: str, net: VirtualNet, lines: Mapping[str, VirtualLine], console: TextIO
    ) -> None:
        self._world = world
        self._net = net
        self._lines = lines
        self._console = console
        self._rng = world.rng(f"gateway/{name}")
        self._sockets: list[Endpoint] = []
        self._gone = False

    async def write_console(self, text: str) -> None:
        """Write at once."""
        self._console.write(text)

    def monotonic_us(self) -> int:
        """Return virtual microseconds."""
        return self._world.now_us

    def utc_ms(self) -> int:
        """Return virtual UTC in milliseconds."""
        return EPOCH_MS + self._world.now_us // 1000

    def clock_trust(self) -> Clock:
        """Virtual time is always right."""
        return "ntp"

    def random_bytes(self, n: int) -> bytes:
        """Return reproducible bytes."""
        return self._rng.randbytes(n)

    async def open_serial(self, port: str, baud: int) -> ByteStream:
        """Open the line of that name."""
        line = self._lines.get(port)
        if line is None or self._gone:
            raise FileNotFoundError(2, f"{port}: no such port")
        return line.open()

    async def open_datagrams(self, bind: Address, receiver: Callable[[bytes, Address], None]) -> Datagrams:
        """Bind on the virtual network; datagrams reach the daemon in its own turn of the loop."""
        loop = asyncio.get_running_loop()

        def arrive(data: bytes, source: Address) -> None:
            loop.call_soon(receiver, data, source)

        if self._gone:
            raise OSError(1, "this process is gone")
        socket = self._net.bind(bind, arrive)
        self._sockets.append(socket)
        return socket

    def cut(self) -> None:
        """Close every port and socket, as the end of a process does; nothing is opened any more."""
        self._gone = True
        for socket in self._sockets:
            socket.close()
        for line in self._lines.values():
            line.close()

    async def resolve(self, host: str, port: int) -> Address:
        """Every name is its own address here."""
        return host, port

    async def run_blocking(self, job: Callable[[], T]) -> T:
        """Run ``job`` now."""
        return job()

    async def run_aside(self, job: Callable[[], T]) -> T:
        """Run ``job`` now: what a program outside computes meanwhile costs no virtual time."""
        return job()

    def outside_work(self) -> AbstractContextManager[None]:
        """Hold the clock while a broker answers."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WorldLoop)  # noqa: S101 - these services exist inside a world only
        return loop.outside_work()
