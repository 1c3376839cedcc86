"""The serial line between a head and its host: inside the world, or over a pty for a daemon of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path

from siel_hil.world import World


class VirtualLine:
    """A head's serial port as the daemon inside the world opens it (gateway ``ByteStream`` and a ``UartDevice``).

    Bytes take their time on the board's UART; here they only change hands.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.send: Callable[[bytes], None] = lambda data: None
        self.plugged = True
        self._received = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._open = False

    def receive(self, t_us: int, data: bytes) -> None:
        """Take bytes from the head."""
        self.world.log(self.name, "serial_up", data=data)
        if self._open and self.plugged:
            self._received += data
            self._wake()

    def open(self) -> VirtualLine:
        """Open the port as a host does.

        Raises:
            OSError: It is unplugged, or open already.
        """
        if not self.plugged:
            raise FileNotFoundError(2, f"{self.name}: no such port")
        if self._open:
            raise OSError(16, f"{self.name}: the port is in use")
        self._open = True
        self._received.clear()
        return self

    async def read(self) -> bytes:
        """Return the next bytes; raise ``OSError`` when the line is unplugged."""
        while not self._received:
            if not self.plugged or not self._open:
                raise OSError(5, f"{self.name}: the line is gone")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = bytes(self._received)
        self._received.clear()
        return data

    def write(self, data: bytes) -> None:
        """Send bytes to the head."""
        if not self.plugged or not self._open:
            raise OSError(5, f"{self.name}: the line is gone")
        self.world.log(self.name, "serial_down", data=data)
        self.send(data)

    def close(self) -> None:
        """Close the port."""
        self._open = False
        self._wake()

    def unplug(self) -> None:
        """Pull the cable: an open port fails, opening fails."""
        self.plugged = False
        self._wake()

    def plug(self) -> None:
        """Put the cable back."""
        self.plugged = True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class PtyLine:
    """A head's serial port as a real tty below ``path``, for a daemon that is a process of its own.

    The master side stays open, so a host that closes, dies and opens again finds the head as it was.
    """

    def __init__(self, world: World, name: str, path: Path) -> None:
        self.world = world
        self.name = name
        self.path = path
        self.send: Callable[[bytes], None] = lambda data: None
        self._master, self._slave = os.openpty()
        tty.setraw(self._master, termios.TCSANOW)
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(self._slave))
        self.lost_bytes = 0
        self._closed = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve the host side from now on."""
        loop.add_reader(self._master, self._readable)

    def receive(self, t_us: int, data: bytes) -> None:
        """Take bytes from the head; what a full tty does not take is lost, as on a wire."""
        try:
            self.lost_bytes += len(data) - os.write(self._master, data)
        except BlockingIOError:
            self.lost_bytes += len(data)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if data := os.read(self._master, 4096):
                self.send(data)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Release the tty; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        loop.remove_reader(self._master)
        self.path.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
