"""The real surroundings of the daemon: clocks, serial ports, UDP sockets and the one thread that may block."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
import termios
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final, Self, TypeVar

import serial
import serial_asyncio_fast

from siel_gateway.background_writer import BackgroundWriter
from siel_gateway.records import Clock
from siel_gateway.services import Address

T = TypeVar("T")

READ_HIGH_BYTES: Final = 64 << 10
"""Read and not yet handled; above it the port is not read, and a head sends again what was lost."""
WRITE_HIGH_BYTES: Final = 64 << 10
"""Written and not taken by the port: nobody is behind it."""
DATAGRAM_SEND_BYTES: Final = 1 << 20
SOCKET_RECEIVE_BYTES: Final = 4 << 20
"""Datagrams that wait while the event loop is busy; the kernel's ``net.core.rmem_max`` may allow less."""
RESOLVE_S: Final = 15.0

# Source: <sys/timex.h>, and adjtimex(2): "TIME_ERROR ... the system clock is not synchronized".
_STA_UNSYNC: Final = 0x0040
_TIME_ERROR: Final = 5
_HANGUP_ON_CLOSE: Final = termios.HUPCL
_CFLAG: Final = 2


class SerialPort(asyncio.Protocol):
    """An open serial port: what came is kept until it is read, up to a bound."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._paused = False
        self._fault: OSError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep ``data``, and stop reading when it is too much."""
        self._received += data
        if len(self._received) >= READ_HIGH_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember that the port is gone."""
        self._fault = self._fault or OSError(*(exc.args if exc is not None else ("the port was closed",)))
        self._arrived.set()

    async def read(self) -> bytes:
        """Return the next bytes, at least one; raise ``OSError`` when the port is gone."""
        while not self._received:
            if self._fault is not None:
                raise self._fault
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._received)
        self._received.clear()
        if self._paused and self._fault is None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """Queue ``data``; raise ``OSError`` when the port is gone or takes nothing."""
        if self._fault is not None:
            raise self._fault
        if self._transport.get_write_buffer_size() > WRITE_HIGH_BYTES:
            raise OSError("the port takes nothing")
        self._transport.write(data)

    def close(self) -> None:
        """Release the port; closing twice does nothing."""
        if self._fault is None:
            self._fault = OSError("the port was closed")
            self._arrived.set()
            if not self._transport.is_closing():
                # Not close(): what a stuck port has not taken until now would hold it open.
                self._transport.abort()


class UdpSocket(asyncio.DatagramProtocol):
    """An open UDP socket."""

    def __init__(self, receiver: Callable[[bytes, Address], None]) -> None:
        self._receiver = receiver
        # asyncio's own, which can tell how much it has not sent yet; the abstract class cannot.
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass ``data`` on."""
        self._receiver(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Ignore it: that nobody listens is noticed by the missing answer."""

    @property
    def local_address(self) -> Address:
        """The address it is bound to."""
        name = self._transport.get_extra_info("sockname")
        return name[0], name[1]

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; what the network does not take is lost, as on the wire."""
        transport = self._transport
        if transport.is_closing() or transport.get_write_buffer_size() > DATAGRAM_SEND_BYTES:
            return
        with contextlib.suppress(OSError, ValueError):
            transport.sendto(data, to)

    def close(self) -> None:
        """Release the socket; closing twice does nothing."""
        self._transport.close()


class SystemServices:
    """``Services`` on this machine; use it as a context manager, so that the last blocking job ends."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="siel-disk")
        self._aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="siel-aside")
        self._console: BackgroundWriter | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the blocking jobs that run."""
        self._aside.shutdown()
        self._executor.shutdown()

    async def write_console(self, text: str) -> None:
        """Write to standard output; raise ``OSError`` when there is none or its reader has gone."""
        if self._console is None:
            if sys.stdout is None:  # closed when the process began; its number may be another file's now
                raise OSError("there is no standard output")
            self._console = BackgroundWriter(sys.stdout.fileno(), "siel-console")
        await asyncio.wrap_future(self._console.write(text.encode()))

    def monotonic_us(self) -> int:
        """Return microseconds since boot; never steps."""
        return time.monotonic_ns() // 1000

    def utc_ms(self) -> int:
        """Return UTC as milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def clock_trust(self) -> Clock:
        """Return ``ntp`` when the kernel says that its clock is being synchronised, else ``none``."""
        return "ntp" if _kernel_clock_is_synchronised() else "none"

    def random_bytes(self, n: int) -> bytes:
        """Return ``n`` unpredictable bytes."""
        return os.urandom(n)

    async def open_serial(self, port: str, baud: int) -> SerialPort:
        """Open a serial port for us alone, without resetting what is behind it.

        Raises:
            OSError: There is no such port, it is in use, or it is none.
        """
        loop = asyncio.get_running_loop()
        try:
            # Linux raises DTR and RTS when a port is opened; pyserial's defaults leave them so. Nothing pulses.
            opened = serial.serial_for_url(port, baudrate=baud, exclusive=True, rtscts=False, dsrdtr=False)
        except ValueError as fault:
            raise OSError(str(fault)) from fault
        try:
            _keep_lines_on_close(opened)
        except BaseException:
            opened.close()
            raise
        protocol = SerialPort()
        protocol.connection_made(serial_asyncio_fast.SerialTransport(loop, protocol, opened))
        return protocol

    async def open_datagrams(self, bind: Address, receiver: Callable[[bytes, Address], None]) -> UdpSocket:
        """Bind a UDP socket (port 0: any) whose datagrams go to ``receiver``.

        Raises:
            OSError: It cannot be bound.
        """
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: UdpSocket(receiver), local_addr=bind)
        with contextlib.suppress(OSError):
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_RECEIVE_BYTES)
        return protocol

    async def resolve(self, host: str, port: int) -> Address:
        """Look a UDP peer's address up.

        Raises:
            OSError: It is not found, or not within 15 s.
        """
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except UnicodeError as fault:
            raise OSError(f"{host}: {fault}") from fault
        return str(found[0][4][0]), int(found[0][4][1])

    async def run_blocking(self, job: Callable[[], T]) -> T:
        """Run ``job`` off the event loop, one at a time in order, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, job)

    async def run_aside(self, job: Callable[[], T]) -> T:
        """Run ``job`` off the event loop in another thread than :meth:`run_blocking`, one at a time in order."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, job)

    def outside_work(self) -> AbstractContextManager[None]:
        """Do nothing: real time passes anyway."""
        return contextlib.nullcontext()


def _keep_lines_on_close(opened: Any) -> None:
    """Clear HUPCL, so that DTR stays as it is when the port is closed or this process is killed."""
    try:
        attributes = termios.tcgetattr(opened.fileno())
        attributes[_CFLAG] &= ~_HANGUP_ON_CLOSE
        termios.tcsetattr(opened.fileno(), termios.TCSANOW, attributes)
    except termios.error as fault:
        raise OSError(*fault.args) from fault


class _Timex(ctypes.Structure):
    """Source: <sys/timex.h>; only ``modes`` and ``status`` matter, the rest is room for the kernel."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


def _adjtimex() -> Any:
    try:
        return ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return None


_ADJTIMEX: Final = _adjtimex()


def _kernel_clock_is_synchronised() -> bool:
    if _ADJTIMEX is None:
        return False
    timex = _Timex()
    state = _ADJTIMEX(ctypes.byref(timex))
    return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC
