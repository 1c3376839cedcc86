"""The virtual network and the virtual serial line."""

from __future__ import annotations

import asyncio

import pytest

from siel_hil.loop import run_in_world
from siel_hil.net import Address, VirtualNet
from siel_hil.serial_line import VirtualLine
from siel_hil.world import World


def test_a_datagram_arrives_after_the_delay_with_its_source() -> None:
    world = World(1)
    net, heard = VirtualNet(world, delay_us=700), list[tuple[int, bytes, Address]]()
    server = net.bind(("127.0.0.1", 1700), lambda data, source: heard.append((world.now_us, data, source)))
    client = net.bind(("127.0.0.1", 0), lambda data, source: None)
    client.send(b"hello", server.local_address)
    world.run(10_000)
    assert heard == [(700, b"hello", client.local_address)]


def test_a_datagram_to_nobody_is_gone_and_counted() -> None:
    world = World(1)
    net = VirtualNet(world)
    client = net.bind(("127.0.0.1", 0), lambda data, source: None)
    client.send(b"x", ("127.0.0.1", 9))
    world.run(10_000)
    assert net.dropped == 1


def test_an_address_is_taken_until_it_is_closed() -> None:
    net = VirtualNet(World(1))
    first = net.bind(("127.0.0.1", 5), lambda data, source: None)
    with pytest.raises(OSError, match="in use"):
        net.bind(("127.0.0.1", 5), lambda data, source: None)
    first.close()
    first.close()
    net.bind(("127.0.0.1", 5), lambda data, source: None)


def test_a_serial_line_carries_bytes_both_ways_and_fails_when_unplugged() -> None:
    world, sent = World(1), list[bytes]()
    line = VirtualLine(world, "head-1")
    line.send = sent.append

    async def main() -> None:
        port = line.open()
        port.write(b"down")
        world.after(100, line.receive, 0, b"up")
        assert await port.read() == b"up"
        world.after(100, line.unplug)
        with pytest.raises(OSError, match="gone"):
            await port.read()
        with pytest.raises(OSError, match="gone"):
            port.write(b"x")
        port.close()
        with pytest.raises(OSError, match="no such port"):
            line.open()
        line.plug()
        line.open()
        with pytest.raises(OSError, match="in use"):
            line.open()

    run_in_world(world, main)
    assert sent == [b"down"]


def test_what_a_head_says_while_nobody_listens_is_not_kept() -> None:
    world = World(1)
    line = VirtualLine(world, "head-1")
    line.receive(0, b"lost")

    async def main() -> bytes:
        port = line.open()
        world.after(10, line.receive, 0, b"heard")
        return await asyncio.wait_for(port.read(), 1)

    assert run_in_world(world, main) == b"heard"
