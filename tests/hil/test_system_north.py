"""Raw frames north are what was on air; a network server's downlink is on air when and where it wanted it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from siel_hil.gateway_site import GatewaySite
from siel_hil.models.jit_queue import Job
from siel_hil.models.network_server import HeardFrame, NetworkServer, answer_to
from siel_hil.plan import CONCENTRATOR_ID, GATEWAY_ID
from siel_hil.testbed import OnAir, Testbed
from siel_node.region_eu868 import DEFAULT_CHANNELS_HZ

Make = Callable[..., Any]
STRANGE = bytes.fromhex("40785634120001000a0102030405060708")
"""Data of a device whose home is the state's network."""
ANSWER = bytes.fromhex("6078563412000100110203040506")
START_ERROR_US = {"heads": 200, "concentrator": 0}
"""A head reads its clock and writes to its chip in MicroPython; a concentrator starts by its own counter."""
KINDS = ("heads", "concentrator")


def on_air_as_rxpk(tx: OnAir) -> tuple[bytes, int, str]:
    return tx.payload, tx.frequency_hz, f"SF{tx.spreading_factor}BW125"


def as_rxpk(frame: HeardFrame) -> tuple[bytes, int, str]:
    return frame.payload, round(frame.rxpk["freq"] * 1_000_000), frame.rxpk["datr"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_that_was_heard_goes_north_as_it_was_on_air(
    testbed: Testbed, node: Make, gateway: Make, kind: str
) -> None:
    node("water_level", interval_s=5)
    node("climate", interval_s=5)
    site: GatewaySite = gateway(kind)
    stranger = testbed.stranger()

    async def story() -> None:
        await testbed.start()
        for frequency_hz in DEFAULT_CHANNELS_HZ:
            stranger.send(STRANGE + bytes(range(200)), frequency_hz=frequency_hz)
            await asyncio.sleep(1)
        await testbed.until(lambda: len(testbed.observations) >= 10)
        await testbed.drain()

    testbed.run(story)
    heard = [tx for tx in testbed.air if tx.kind != "downlink" and tx.verdict == "received"]
    assert sorted(map(as_rxpk, site.server.frames)) == sorted(map(on_air_as_rxpk, heard))
    assert {frame.gateway_eui for frame in site.server.frames} == {CONCENTRATOR_ID if site.concentrator else GATEWAY_ID}
    counters = site.inside.daemon.report()
    assert counters["frames_forwarded"] == counters["frames_received"] == len(heard)


@pytest.mark.parametrize("kind", KINDS)
def test_the_servers_counter_runs_with_the_air(testbed: Testbed, gateway: Make, kind: str) -> None:
    site: GatewaySite = gateway(kind)
    stranger = testbed.stranger()

    async def story() -> None:
        await testbed.start()
        for number in range(6):
            # one channel, so one head; several have different stamps of the same gateway clock
            stranger.send(STRANGE + bytes((number,)))
            await asyncio.sleep(7.3)

    testbed.run(story)
    offsets = {frame.rxpk["tmst"] - tx.t1_us for frame, tx in zip(site.server.frames, testbed.air, strict=True)}
    assert max(offsets) - min(offsets) <= 100


def answered(server: NetworkServer, delay_us: int = 0) -> None:
    """Let the server answer each strange frame in RX1, ``delay_us`` after it got it."""

    def answer(frame: HeardFrame) -> dict[str, Any] | None:
        if not frame.payload.startswith(STRANGE):
            return None
        txpk = answer_to(frame, ANSWER + frame.payload[len(STRANGE) :])
        if not delay_us:
            return txpk

        def send() -> None:
            server.send_downlink(frame.gateway_eui, txpk)

        server.world.after(delay_us, send)
        return None

    server.answer = answer


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_on_air_one_second_after_the_uplink_from_the_radio_that_heard_it(
    testbed: Testbed, gateway: Make, kind: str
) -> None:
    site: GatewaySite = gateway(kind)
    stranger = testbed.stranger()
    answered(site.server)

    async def story() -> None:
        await testbed.start()
        for frequency_hz in DEFAULT_CHANNELS_HZ:
            stranger.send(STRANGE + frequency_hz.to_bytes(4), frequency_hz=frequency_hz)
            await asyncio.sleep(3)

    testbed.run(story)
    downs = {tx.payload[len(ANSWER) :]: tx for tx in testbed.sent(kind="downlink")}
    for up in testbed.sent(kind="data"):
        down = downs.pop(up.payload[len(STRANGE) :])
        assert abs(down.t0_us - up.t1_us - 1_000_000) <= START_ERROR_US[kind]
        assert (down.station, down.frequency_hz, down.spreading_factor) == (up.at, up.frequency_hz, 7)
    assert downs == {}
    assert set(site.server.acks) == set(site.server.requests)
    assert len(site.server.acks) == 3
    assert all(ack == {} for ack in site.server.acks.values())  # NONE
    assert site.server.counters["tx_ack"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_comes_too_late_is_refused_as_such_and_never_on_air(
    testbed: Testbed, gateway: Make, kind: str
) -> None:
    site: GatewaySite = gateway(kind)
    answered(site.server, delay_us=980_000)

    async def story() -> None:
        await testbed.start()
        testbed.stranger().send(STRANGE)
        await asyncio.sleep(3)

    testbed.run(story)
    assert [ack["error"] for ack in site.server.acks.values()] == ["TOO_LATE"]
    assert testbed.sent(kind="downlink") == []


def test_behind_a_concentrator_the_outcome_is_the_forwarders(testbed: Testbed, gateway: Make) -> None:
    site: GatewaySite = gateway("concentrator")
    answered(site.server)

    def occupy(event: str, info: dict[str, Any]) -> None:
        if event == "uplink":  # somebody else's frame is in the forwarder's queue, which the daemon cannot know
            assert site.concentrator is not None
            now_us = site.concentrator.counter_us(testbed.world.now_us)
            assert site.concentrator.queue.enqueue(now_us, Job(now_us + 1_000_000, 50_000, None)) == ""

    testbed.medium.on_event.append(occupy)

    async def story() -> None:
        await testbed.start()
        testbed.stranger().send(STRANGE)
        await asyncio.sleep(3)

    testbed.run(story)
    assert [ack["error"] for ack in site.server.acks.values()] == ["COLLISION_PACKET"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"freq": 869.3}, "TX_FREQ"),
        ({"tmst": 12345}, "UNKNOWN"),
        ({"datr": "SF99BW125"}, "UNKNOWN"),
        ({"data": "!"}, "UNKNOWN"),
        ({"modu": "FSK"}, "UNKNOWN"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused_in_the_protocols_words(
    testbed: Testbed, gateway: Make, change: dict[str, Any], word: str
) -> None:
    site: GatewaySite = gateway()
    site.server.answer = lambda frame: answer_to(frame, ANSWER) | change

    async def story() -> None:
        await testbed.start()
        testbed.stranger().send(STRANGE)
        await asyncio.sleep(3)

    testbed.run(story)
    assert [ack["error"] for ack in site.server.acks.values()] == [word]
    assert testbed.sent(kind="downlink") == []


def test_a_server_that_is_away_costs_nothing_but_its_own_copy(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("climate", interval_s=5)
    site: GatewaySite = gateway()

    async def story() -> None:
        await testbed.start()
        for on in (True, False, True):
            site.server.on = on
            await asyncio.sleep(15)
            count = len(testbed.observations)
            await testbed.until(lambda count=count: len(testbed.observations) >= count + 4)  # type: ignore[misc]
        await testbed.drain()

    testbed.run(story)
    heard = [tx for tx in testbed.air if tx.kind != "downlink" and tx.verdict == "received"]
    assert len(testbed.observations) == len([tx for tx in heard if tx.kind == "data"])
    counters = site.inside.daemon.report()
    assert counters["frames_received"] == len(heard)
    assert 4 <= len(heard) - len(site.server.frames) <= 12
    assert counters["frames_forwarded"] == len(site.server.frames)
