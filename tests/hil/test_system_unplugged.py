"""A head unplugged: the others go on, it is found again, and what it heard meanwhile comes late but truthfully."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from siel_hil.serial_line import VirtualLine
from siel_hil.services import EPOCH_MS
from siel_hil.testbed import Testbed

Make = Callable[..., Any]
DATA_UP = bytes.fromhex("40785634120001000a01020304050607")


def on_air_ms(testbed: Testbed) -> dict[bytes, int]:
    """PHYPayload -> UTC of its end on air, milliseconds."""
    return {tx.payload: EPOCH_MS + tx.t1_us // 1000 for tx in testbed.air}


def test_the_others_go_on_and_the_heads_store_comes_after_it(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("climate", interval_s=5)
    site = gateway()
    span_us: list[int] = []

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 4)
        site.heads[0].line.unplug()
        span_us.append(testbed.world.now_us)
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) >= count + 8)
        assert all(observation.radio["radio"] != "head-1" for observation in testbed.observations[count:])
        site.heads[0].line.plug()
        span_us.append(testbed.world.now_us)
        await asyncio.sleep(30)
        await testbed.drain()

    testbed.run(story)
    heard = [tx for tx in testbed.sent(kind="data") if tx.verdict == "received"]
    assert len(testbed.observations) == len(heard)
    late = [observation for observation in testbed.observations if observation.late_s > 1]
    meanwhile = [tx for tx in heard if tx.at == "head-1" and span_us[0] < tx.t1_us < span_us[1]]
    assert len(late) == len(meanwhile) >= 2
    ends_ms = sorted(EPOCH_MS + tx.t1_us // 1000 for tx in meanwhile)
    told_ms = sorted(round(datetime.fromisoformat(observation.time).timestamp() * 1000) for observation in late)
    assert all(abs(told - end) <= 5 for told, end in zip(told_ms, ends_ms, strict=True))


def test_it_is_tried_again_with_growing_pauses_up_to_ten_seconds(
    testbed: Testbed, gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = gateway()
    tried_us: list[int] = []

    async def story() -> None:
        await testbed.start()
        line: VirtualLine = site.heads[0].line
        opened = line.open

        def noted() -> VirtualLine:
            tried_us.append(testbed.world.now_us)
            return opened()

        monkeypatch.setattr(line, "open", noted)
        line.unplug()
        await asyncio.sleep(60)
        line.plug()
        await asyncio.sleep(12)
        assert site.inside.daemon.radios["head-1"].connected
        line.unplug()
        await asyncio.sleep(1)

    testbed.run(story)
    pauses_s = [round((after - before) / 1e6, 1) for before, after in pairwise(tried_us)]
    assert pauses_s[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert set(pauses_s[5:-1]) == {10.0}
    assert len(tried_us) < 12


def test_what_does_not_fit_into_its_store_is_counted(testbed: Testbed, gateway: Make) -> None:
    site = gateway()
    stranger = testbed.stranger()
    count = 80

    async def story() -> int:
        await testbed.start()
        site.heads[0].line.unplug()
        for number in range(count):
            stranger.send(DATA_UP + number.to_bytes(2))
            await asyncio.sleep(0.5)
        site.heads[0].line.plug()
        await asyncio.sleep(40)
        return int(site.inside.daemon.radios["head-1"].counters["head_overflow"])

    overflow = testbed.run(story)
    assert {tx.verdict for tx in testbed.air} == {"received"}
    journalled = site.inside.daemon.counters["frames_received"]
    assert journalled + overflow == count
    assert journalled >= 32
    assert overflow > 0


def test_an_answer_that_would_come_too_late_is_not_sent_and_is_told(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node(confirmed=1, interval_s=5)
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)
        await asyncio.sleep(2)
        for head in site.heads:
            head.line.unplug()
        count = len(testbed.sent(kind="data"))
        await testbed.until(lambda: len(testbed.sent(kind="data")) >= count + 3)
        await asyncio.sleep(3)
        pond.silence()
        before = len(testbed.sent(kind="downlink"))
        for head in site.heads:
            head.line.plug()
        await asyncio.sleep(30)
        assert len(testbed.sent(kind="downlink")) == before

    testbed.run(story)
    # heads deliver one after the other: what comes after a later number asks for no answer any more
    counters = site.inside.daemon.counters
    assert counters["answers_too_late"] >= 1
    assert counters["answers_too_late"] + counters["late"] == 3
    assert len(testbed.observations) == len(testbed.sent(kind="data"))


def test_an_answer_under_way_when_the_cable_goes_is_told_as_unknown(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node(confirmed=1)
    site = gateway()

    def unplug(event: str, info: dict[str, Any]) -> None:
        if event == "transmit" and info["kind"] == "downlink" and len(testbed.sent(kind="downlink")) == 2:
            next(head for head in site.heads if head.name == info["station"]).line.unplug()

    testbed.medium.on_event.append(unplug)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.sent(kind="downlink")) >= 2)
        await asyncio.sleep(1)
        assert [head.line.plugged for head in site.heads].count(False) == 1

    testbed.run(story)
    outcomes = [(line["outcome"], line["reason"]) for line in testbed.log if line["event"] == "downlink"]
    assert outcomes == [("on_air", ""), ("unknown", "NO_RADIO")]
    assert testbed.sent(kind="downlink")[1].verdict == "received"  # it did go out: nobody here can know
