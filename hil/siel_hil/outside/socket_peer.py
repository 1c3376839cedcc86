"""A UDP socket on loopback with a thread that reads it."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self

from siel_hil.models.semtech_udp import Address, Datagram, parse

HOST: Final = "127.0.0.1"
_LARGEST_BYTES: Final = 65_535
_POLL_S: Final = 0.1


class SocketPeer(ABC):
    """One end of Semtech UDP; a subclass says in :meth:`received` what it does.

    Args:
        port: 0 takes a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, port))
        self._socket.settimeout(_POLL_S)
        self.address: Address = self._socket.getsockname()
        self._token = 0
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the socket."""
        self._ended = True
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._ended:
            with contextlib.suppress(TimeoutError, ConnectionError):
                data, source = self._socket.recvfrom(_LARGEST_BYTES)
                datagram = parse(data)
                if datagram is not None:
                    self.received(datagram, source)

    @abstractmethod
    def received(self, datagram: Datagram, source: Address) -> None:
        """Take a datagram; called by the reading thread."""

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram, whatever it is."""
        self._socket.sendto(data, to)

    def next_token(self) -> bytes:
        """Return two bytes that were not used for 65536 datagrams."""
        self._token = (self._token + 1) % 0x10000
        return self._token.to_bytes(2)


def free_tcp_port() -> int:
    """Return a port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
