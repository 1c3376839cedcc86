"""UDP for the models: a network inside the world whose datagrams are events, and real loopback sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from siel_hil.world import World

Address = tuple[str, int]
_FIRST_FREE_PORT = 40000


class Endpoint:
    """One bound address of the virtual network."""

    def __init__(self, net: VirtualNet, address: Address, receiver: Callable[[bytes, Address], None]) -> None:
        self._net = net
        self._address = address
        self.receiver = receiver
        self.open = True

    @property
    def local_address(self) -> Address:
        """The address it is bound to."""
        return self._address

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; nobody there means it is gone."""
        if self.open:
            self._net.carry(self._address, to, data)

    def close(self) -> None:
        """Release the address."""
        self.open = False
        self._net.release(self._address, self)


class VirtualNet:
    """Carries datagrams between endpoints with one delay; each is part of the event log.

    Args:
        world: Where it lives.
        delay_us: From send to receive.
    """

    def __init__(self, world: World, delay_us: int = 500) -> None:
        self.world = world
        self.delay_us = delay_us
        self.dropped = 0
        self._endpoints: dict[Address, Endpoint] = {}
        self._next_port = _FIRST_FREE_PORT

    def bind(self, address: Address, receiver: Callable[[bytes, Address], None]) -> Endpoint:
        """Bind an address, port 0 for a free one.

        Raises:
            OSError: It is taken.
        """
        host, port = address
        if port == 0:
            port = self._next_port
            self._next_port += 1
        if (host, port) in self._endpoints:
            raise OSError(98, f"address {host}:{port} is in use")
        endpoint = Endpoint(self, (host, port), receiver)
        self._endpoints[host, port] = endpoint
        return endpoint

    @property
    def addresses(self) -> list[Address]:
        """Every bound address, the oldest first."""
        return list(self._endpoints)

    def endpoint(self, address: Address) -> Endpoint:
        """Return who holds an address, so that a test can speak in its name; ``KeyError`` when nobody does."""
        return self._endpoints[address]

    def release(self, address: Address, endpoint: Endpoint) -> None:
        """Free an address, if ``endpoint`` still holds it."""
        if self._endpoints.get(address) is endpoint:
            del self._endpoints[address]

    def carry(self, source: Address, to: Address, data: bytes) -> None:
        """Take one datagram on its way."""
        self.world.log("net", "udp", source=f"{source[0]}:{source[1]}", to=f"{to[0]}:{to[1]}", data=data)
        self.world.after(self.delay_us, self._arrive, source, to, data)

    def _arrive(self, source: Address, to: Address, data: bytes) -> None:
        endpoint = self._endpoints.get(to)
        if endpoint is None or not endpoint.open:
            self.dropped += 1
            return
        endpoint.receiver(data, source)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, receiver: Callable[[bytes, Address], None]) -> None:
        self._receiver = receiver

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._receiver(data, addr[:2])


class LoopbackEndpoint:
    """The same on a real socket, for a daemon that is a process of its own; loopback only."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    @classmethod
    async def bind(cls, port: int, receiver: Callable[[bytes, Address], None]) -> LoopbackEndpoint:
        """Bind a port of 127.0.0.1, 0 for a free one.

        Raises:
            OSError: It is taken.
        """
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(receiver), local_addr=("127.0.0.1", port))
        return cls(transport)

    @property
    def local_address(self) -> Address:
        """The address it is bound to."""
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram."""
        self._transport.sendto(data, to)

    def close(self) -> None:
        """Release the socket."""
        self._transport.close()


def free_udp_port() -> int:
    """Return a port of 127.0.0.1 that nobody holds at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
