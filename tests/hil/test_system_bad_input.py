"""Garbage, half frames and floods on serial lines and UDP: counted, skipped, and everything goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siel_hil.gateway_site import FORWARDER_PORT, SERVER_PORT, GatewaySite
from siel_hil.models import semtech_udp as udp
from siel_hil.plan import CONCENTRATOR_ID
from siel_hil.serial_line import VirtualLine
from siel_hil.testbed import Testbed

Make = Callable[..., Any]
HOST = "127.0.0.1"


def spoil(rng: random.Random, data: bytes) -> bytes:
    """Return ``data`` with bytes lost, added or changed, most often as it is."""
    at, chance = rng.randrange(len(data) + 1), rng.random()
    if chance < 0.05:
        return data[:at]
    if chance < 0.10:
        return data[:at] + rng.randbytes(rng.randrange(1, 40)) + data[at:]
    if chance < 0.15 and at < len(data):
        return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
    return data


def make_noisy(line: VirtualLine, rng: random.Random) -> None:
    """Let both directions of a line spoil one write in seven."""
    up, down = line.receive, line.send

    def receive(t_us: int, data: bytes) -> None:
        up(t_us, spoil(rng, data))

    def send(data: bytes) -> None:
        down(spoil(rng, data))

    line.receive = receive  # type: ignore[method-assign]
    line.send = send


def everything_heard_is_published_once(testbed: Testbed) -> None:
    heard = [tx for tx in testbed.sent(kind="data") if tx.verdict == "received"]
    assert len(testbed.observations) == len(heard)
    assert len({observation.id for observation in testbed.observations}) == len(heard)
    numbers = [observation.f_cnt for observation in testbed.observations]
    assert sorted(numbers) == sorted(tx.payload[6] | tx.payload[7] << 8 for tx in heard)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_on_every_serial_line_costs_time_but_no_frame(
    testbed: Testbed, node: Make, gateway: Make, seed: int
) -> None:
    node("climate", interval_s=5, confirmed=1)
    site: GatewaySite = gateway()
    rng = random.Random(seed)

    async def story() -> None:
        await testbed.start()
        for head in site.heads:
            assert isinstance(head.line, VirtualLine)
            make_noisy(head.line, rng)
        await testbed.until(lambda: len(testbed.observations) >= 25, 400)
        await testbed.drain()
        await asyncio.sleep(30)

    testbed.run(story)
    everything_heard_is_published_once(testbed)
    radios = site.inside.daemon.radios.values()
    assert sum(radio.counters["junk"] for radio in radios) > 5
    down = [tx.payload for tx in testbed.sent(kind="downlink")]
    assert len(down) == len(set(down)) >= 15


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(
    up=st.lists(st.binary(max_size=300), max_size=6),
    down=st.lists(st.binary(max_size=300), max_size=6),
    datagrams=st.lists(st.binary(max_size=200), max_size=10),
)
def test_any_bytes_at_any_port_are_survived(
    tmp_path_factory: pytest.TempPathFactory, up: list[bytes], down: list[bytes], datagrams: list[bytes]
) -> None:
    with Testbed(tmp_path_factory.mktemp("bed")) as testbed:
        testbed.node("climate", interval_s=5)
        site = testbed.gateway()

        async def story() -> None:
            await testbed.start()
            await testbed.until(lambda: testbed.observations)
            ports = [address for address in testbed.net.addresses if address[1] != SERVER_PORT]
            server = testbed.net.endpoint((HOST, SERVER_PORT))
            for step in range(max(len(up), len(down), len(datagrams))):
                for head in site.heads:
                    head.line.receive(testbed.world.now_us, b"".join(up[step : step + 1]))
                    head.line.send(b"".join(down[step : step + 1]))
                for port in ports:
                    server.send(b"".join(datagrams[step : step + 1]), port)
                await asyncio.sleep(0.3)
            count = len(testbed.observations)
            await testbed.until(lambda: len(testbed.observations) >= count + 3)
            await testbed.drain()

        testbed.run(story)
        everything_heard_is_published_once(testbed)


def forwarder_datagrams() -> st.SearchStrategy[bytes]:
    """Datagrams that begin like a forwarder's."""
    value = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    names = st.sampled_from(["tmst", "freq", "datr", "data", "stat", "size", "rssi", "lsnr", "modu", "codr", "chan"])
    body = st.dictionaries(
        st.sampled_from(["rxpk", "stat", "txpk_ack"]),
        st.lists(st.dictionaries(names, value, max_size=11), max_size=3) | st.dictionaries(names, value) | value,
        max_size=2,
    )
    kind = st.sampled_from([udp.PUSH_DATA, udp.PULL_DATA, udp.TX_ACK])
    token = st.binary(min_size=2, max_size=2)
    eui = st.sampled_from([CONCENTRATOR_ID, "00" * 8])
    return st.builds(udp.encode, kind, token, eui, st.none() | body) | st.binary(max_size=60)


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(datagrams=st.lists(forwarder_datagrams(), max_size=25))
def test_any_datagram_at_the_forwarders_port_is_survived(
    tmp_path_factory: pytest.TempPathFactory, datagrams: list[bytes]
) -> None:
    with Testbed(tmp_path_factory.mktemp("bed")) as testbed:
        testbed.node("climate", interval_s=5)
        testbed.gateway("concentrator")

        async def story() -> None:
            await testbed.start()
            await testbed.until(lambda: testbed.observations)
            stranger = testbed.net.bind((HOST, 0), lambda data, source: None)
            for datagram in datagrams:
                stranger.send(datagram, (HOST, FORWARDER_PORT))
            count = len(testbed.observations)
            await testbed.until(lambda: len(testbed.observations) >= count + 3)
            await testbed.drain()

        testbed.run(story)
        everything_heard_is_published_once(testbed)


def test_floods_on_serial_and_udp_are_skipped_and_readings_go_on(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("climate", interval_s=5)
    site: GatewaySite = gateway()
    rng = random.Random(1)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)
        stranger = testbed.net.bind((HOST, 0), lambda data, source: None)
        ports = [address for address in testbed.net.addresses if address[1] != SERVER_PORT]
        for _ in range(20):
            for head in site.heads:
                head.line.receive(testbed.world.now_us, rng.randbytes(20_000))
                head.line.send(rng.randbytes(2_000))
            for port in ports:
                for _ in range(100):
                    stranger.send(rng.randbytes(50), port)
            await asyncio.sleep(0.5)
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) >= count + 4)
        await testbed.drain()

    testbed.run(story)
    everything_heard_is_published_once(testbed)
    assert all(radio.counters["junk"] > 100 for radio in site.inside.daemon.radios.values())
