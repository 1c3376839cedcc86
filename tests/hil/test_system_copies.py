"""One transmission that several heads hear is one uplink: one Observation, one answer, from one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from siel_hil.scenario import HeadPlan
from siel_hil.testbed import Testbed
from siel_node.region_eu868 import DEFAULT_CHANNELS_HZ

Make = Callable[..., Any]
TWICE = tuple(HeadPlan(frequency_hz=hz) for hz in (*DEFAULT_CHANNELS_HZ, *DEFAULT_CHANNELS_HZ))


def test_copies_over_two_heads_make_one_observation_and_one_answer(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("climate", confirmed=1, interval_s=10)
    site = gateway(heads=TWICE)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 6)
        await asyncio.sleep(2)
        await testbed.drain()

    testbed.run(story)
    ups = testbed.sent(kind="data")
    assert all(list(tx.gateways.values()).count("received") == 2 for tx in ups)
    assert len(testbed.observations) == len({observation.id for observation in testbed.observations}) == len(ups)
    assert len(testbed.sent(kind="downlink")) == len(ups) + len(testbed.sent(kind="join"))
    assert {tx.verdict for tx in testbed.sent(kind="downlink")} == {"received"}
    report = site.inside.daemon.report()
    assert report["uplinks_received"] == len(ups)
    assert report["frames_received"] == report["frames_forwarded"] == 2 * (len(ups) + len(testbed.sent(kind="join")))
    assert site.inside.daemon.counters["copies"] == len(ups) + len(testbed.sent(kind="join"))


def test_when_one_of_two_heads_is_cut_off_the_other_serves_alone(testbed: Testbed, node: Make, gateway: Make) -> None:
    """And what the silent one kept comes afterwards as the copy that it is."""
    node("climate", confirmed=1, interval_s=10)
    site = gateway(heads=TWICE)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 3)
        for head in site.heads[:3]:
            head.line.unplug()
        await testbed.until(lambda: len(testbed.observations) >= 7)
        for head in site.heads[:3]:
            head.line.plug()
        await asyncio.sleep(20)
        await testbed.drain()

    testbed.run(story)
    ups = testbed.sent(kind="data")
    assert len(testbed.observations) == len(ups) >= 7
    assert site.inside.daemon.counters["replays"] == 0
    assert len(testbed.sent(kind="downlink")) == len(ups) + len(testbed.sent(kind="join"))
