"""Power cuts of nodes and heads: counters never repeat, sessions go on, the gateway finds its heads again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from siel_codecs.lorawan import DataFrame, JoinRequest, parse_phy
from siel_hil.testbed import Testbed

Make = Callable[..., Any]


def numbers_up(testbed: Testbed) -> list[int]:
    """FCntUp or DevNonce of every uplink on air, in order."""
    found = []
    for tx in testbed.air:
        if tx.kind != "downlink":
            frame = parse_phy(tx.payload)
            assert isinstance(frame, (DataFrame, JoinRequest))
            found.append(frame.f_cnt if isinstance(frame, DataFrame) else frame.dev_nonce)
    return found


def rises(numbers: list[int]) -> bool:
    return all(before < after for before, after in pairwise(numbers))


async def cut_after(testbed: Testbed, site: Any, kind: str, delay_us: int) -> None:
    """Wait for the node's next transmission, take its power ``delay_us`` after that began, give it back 3 s later."""
    count = len(testbed.sent(site.plan.name, kind))
    done = asyncio.Event()

    def follow(event: str, info: dict[str, Any]) -> None:
        mine = event == "transmit" and info["station"] == site.plan.name and info["kind"] == kind
        if mine and len(testbed.sent(site.plan.name, kind)) == count + 1:
            testbed.world.after(delay_us, site.power_off)
            testbed.world.after(delay_us + 3_000_000, site.power_on)
            testbed.world.after(delay_us + 3_000_000, done.set)

    testbed.medium.on_event.append(follow)
    await done.wait()
    testbed.medium.on_event.remove(follow)


DURING_AN_UPLINK_US = (0, 30_000, 400_000, 1_045_000, 1_055_000, 1_120_000, 2_100_000)
"""Its start, its middle, the pause before RX1, RX1, after it, RX2."""


def test_a_node_goes_on_after_any_power_cut_without_a_join_and_without_a_number_twice(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node("climate", confirmed=2, interval_s=5)
    gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 1)
        for delay_us in DURING_AN_UPLINK_US:
            await cut_after(testbed, pond, "data", delay_us)
            count = len(testbed.observations)
            await testbed.until(lambda count=count: len(testbed.observations) >= count + 2)  # type: ignore[misc]

    testbed.run(story)
    assert len(testbed.sent(kind="join")) == 1
    starts = [line for line in pond.lines if " start " in line]
    assert ["joined=1" in line for line in starts] == [False] + [True] * len(DURING_AN_UPLINK_US)
    assert rises(numbers_up(testbed)[1:])
    heard = {tx.payload for tx in testbed.sent(kind="data") if tx.verdict == "received"}
    assert len(testbed.observations) == len(heard)
    assert len({observation.f_cnt for observation in testbed.observations}) == len(heard)


def test_a_dev_nonce_is_never_used_twice_however_often_a_join_is_cut(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node()
    gateway()

    async def story() -> None:
        await testbed.start()
        for delay_us in (0, 30_000, 4_000_000, 5_100_000):
            await cut_after(testbed, pond, "join", delay_us)
        await testbed.until(lambda: len(testbed.observations) >= 2)

    testbed.run(story)
    nonces = numbers_up(testbed)[: len(testbed.sent(kind="join"))]
    assert len(nonces) == 5
    assert rises(nonces)


@pytest.mark.parametrize("delay_us", [5_125_000, 5_140_000, 5_200_000])
def test_a_cut_right_after_the_join_accept_ends_joined_or_in_a_new_join(
    testbed: Testbed, node: Make, gateway: Make, delay_us: int
) -> None:
    """Whether the session was stored or not, node and gateway agree in the end."""
    pond = node()
    gateway()

    async def story() -> None:
        await testbed.start()
        await cut_after(testbed, pond, "join", delay_us)
        await testbed.until(lambda: len(testbed.observations) >= 3)

    testbed.run(story)
    assert len(testbed.sent(kind="join")) in (1, 2)
    assert len({tx.payload[1:5] for tx in testbed.sent(kind="data")}) == 1
    assert {tx.verdict for tx in testbed.sent(kind="data")} <= {"received", ""}


def test_a_head_that_lost_power_is_a_new_session_and_serves_as_before(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node("climate", interval_s=5, confirmed=1)
    site = gateway()
    back_us = []

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 4)
        for head in site.heads:
            head.power_off()
        await asyncio.sleep(10)
        for head in site.heads:
            head.power_on()
        await asyncio.sleep(15)
        back_us.append(testbed.world.now_us)
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) >= count + 6)

    testbed.run(story)
    for head in site.heads:
        ready = [line for line in testbed.log if line["event"] == "head_ready" and line["radio"] == head.name]
        assert [line["new_session"] for line in ready] == [True, True]
        assert ready[0]["boot_id"] != ready[1]["boot_id"]
    after = [tx for tx in testbed.sent(kind="data") if tx.t0_us > back_us[0]]
    assert {tx.verdict for tx in after} <= {"received", ""}
    answers = [tx for tx in testbed.sent(kind="downlink") if tx.t0_us > back_us[0]]
    assert {tx.verdict for tx in answers} <= {"received", ""}
    assert len(answers) >= 5
    assert rises(numbers_up(testbed)[1:])


def test_a_head_restarted_in_the_middle_of_its_transmission_is_told_as_unknown_not_as_on_air(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node(confirmed=1)
    site = gateway()

    def cut(event: str, info: dict[str, Any]) -> None:
        if event == "transmit" and info["kind"] == "downlink" and len(testbed.sent(kind="downlink")) == 2:
            head = next(head for head in site.heads if head.name == info["station"])
            testbed.world.after(10_000, head.power_off)
            testbed.world.after(1_000_000, head.power_on)

    testbed.medium.on_event.append(cut)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.sent(kind="downlink")) >= 3)
        await asyncio.sleep(1)

    testbed.run(story)
    outcomes = [line["outcome"] for line in testbed.log if line["event"] == "downlink"]
    assert outcomes[:3] == ["on_air", "unknown", "on_air"]
    assert [tx.verdict for tx in testbed.sent(kind="downlink")][:3] == ["received", "crc_error", "received"]
