"""Frames that are not what they say: no Observation, a counter, a log line; the raw frame still goes north."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from siel_gateway.edge import Downlink
from siel_hil.gateway_site import GatewaySite
from siel_hil.testbed import Testbed

Make = Callable[..., Any]


def flipped(payload: bytes, at: int) -> bytes:
    return (
        payload[:at] + bytes((payload[at] ^ 1,)) + payload[at + 1 :] if at >= 0 else flipped(payload, len(payload) + at)
    )


async def sent_again(testbed: Testbed, forge: Callable[[list[bytes]], bytes], pause_s: float = 1.0) -> bytes:
    """Let five uplinks pass, then put on air what ``forge`` makes of them; return it."""
    await testbed.start()
    await testbed.until(lambda: len(testbed.observations) >= 5)
    await asyncio.sleep(pause_s)
    payload = forge([tx.payload for tx in testbed.sent(kind="data")])
    testbed.nodes[0].silence()
    await asyncio.sleep(4)
    testbed.stranger().send(payload)
    await asyncio.sleep(3)
    return payload


FORGED: dict[str, tuple[Callable[[list[bytes]], bytes], str, str]] = {
    "wrong MIC": (lambda seen: flipped(seen[-1], -1), "mic_failures", "mic_failure"),
    "changed payload": (lambda seen: flipped(seen[-1], 10), "mic_failures", "mic_failure"),
    "higher FCnt, old MIC": (lambda seen: flipped(seen[-1], 7), "mic_failures", "mic_failure"),
    "older FCnt": (lambda seen: seen[1], "replays", "replay"),
    "unknown address": (lambda seen: flipped(seen[-1], 2), "unknown_devices", ""),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_uplink_is_counted_and_goes_north_and_is_no_observation(
    testbed: Testbed, node: Make, gateway: Make, what: str
) -> None:
    forge, counter, line = FORGED[what]
    node("climate", confirmed=1)
    site: GatewaySite = gateway()
    payload = testbed.run(lambda: sent_again(testbed, forge))
    assert testbed.air[-1].verdict == "received"
    assert testbed.air[-1].payload == payload  # and nothing was answered
    assert len(testbed.observations) == len({tx.payload for tx in testbed.sent(testbed.nodes[0].plan.name, "data")})
    assert site.inside.daemon.counters[counter] == 1
    assert [entry["event"] for entry in testbed.log].count(line) == (1 if line else 0)
    assert site.server.frames[-1].payload == payload


def test_the_last_uplink_again_within_two_minutes_is_a_repeat_and_answered(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node("climate", confirmed=1)
    site: GatewaySite = gateway()
    payload = testbed.run(lambda: sent_again(testbed, lambda seen: seen[-1]))
    assert testbed.sent("stranger")[0].verdict == "received"
    assert testbed.air[-1].kind == "downlink"
    assert site.inside.daemon.counters["repeats"] == 1
    assert len(testbed.observations) == len({tx.payload for tx in testbed.sent(kind="data")})
    assert site.server.frames[-1].payload == payload


def test_the_last_uplink_again_after_two_minutes_is_a_replay_and_not_answered(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node("climate", interval_s=600, confirmed=1)
    site: GatewaySite = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.observations)
        await asyncio.sleep(130)
        testbed.stranger().send(testbed.sent(kind="data")[0].payload)
        await asyncio.sleep(3)

    testbed.run(story)
    assert testbed.air[-1].station == "stranger"
    assert site.inside.daemon.counters["replays"] == 1
    assert len(testbed.observations) == 1


@pytest.mark.parametrize("forge", [lambda frame: frame, lambda frame: flipped(frame, 6)], ids=["again", "next FCnt"])
def test_a_node_takes_no_downlink_twice_and_none_that_is_forged(
    testbed: Testbed, node: Make, gateway: Make, forge: Callable[[bytes], bytes]
) -> None:
    pond = node()
    site: GatewaySite = gateway()
    attacker = testbed.stranger(distance_m=490.0)

    def follow(event: str, info: dict[str, Any]) -> None:
        recorded = [tx.payload for tx in testbed.sent(kind="downlink")][1:]
        if event == "uplink" and info["kind"] == "data" and info["station"] == pond.plan.name and recorded:
            settings = {name: info[name] for name in ("frequency_hz", "spreading_factor")}
            attacker.send_at(info["t1_us"] + 1_000_000, forge(recorded[0]), invert_iq=True, **settings)

    testbed.medium.on_event.append(follow)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.observations)
        downlink = Downlink(id="a", f_port=2, payload=b"open", expires_ms=1 << 60)
        site.inside.daemon.enqueue(pond.plan.dev_eui, downlink)
        await testbed.until(lambda: len(testbed.sent(attacker.station.name)) >= 3)
        await asyncio.sleep(2)

    testbed.run(story)
    receptions = pond.chip.stats["rx"]
    assert receptions >= 2 + 3  # join-accept, downlink, and what the attacker sent did arrive
    assert sum("delivered" in line for line in pond.lines) == 1
    assert sum(" downlink " in line for line in pond.lines) == 1


@pytest.mark.parametrize("forge", [lambda request: request, lambda request: flipped(request, -1)], ids=["again", "MIC"])
def test_a_join_request_that_was_used_or_is_forged_is_not_answered(
    testbed: Testbed, node: Make, gateway: Make, forge: Callable[[bytes], bytes]
) -> None:
    node("climate")
    site: GatewaySite = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)
        await asyncio.sleep(2)
        testbed.stranger().send(forge(testbed.sent(kind="join")[0].payload))
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) >= count + 3)  # the session is the one it was

    testbed.run(story)
    assert testbed.sent("stranger")[0].verdict == "received"
    assert len(testbed.sent(kind="downlink")) == 1
    counters = site.inside.daemon.counters
    assert counters["replays"] + counters["mic_failures"] == 1
    assert counters["joins"] == 1
