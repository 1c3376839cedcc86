"""Every frame is accounted for: sent is received, lost for a cause with a name, or still on air."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from siel_gateway.records import TxRequest, TxWindow
from siel_hil.medium_air import CAUSES
from siel_hil.testbed import OnAir, Testbed

Make = Callable[..., Any]
DATA_UP = bytes.fromhex("40785634120001000a0102030405060708")
"""Unconfirmed data of an address that nobody here has."""


def losses(testbed: Testbed) -> dict[str, int]:
    """Causes of lost data frames; checks that the medium's, the test's own and the gateway's counts agree."""
    report = testbed.medium.report()
    lost: dict[str, int] = report["uplinks_on_air_lost"]
    assert report["uplinks_sent"] == report["uplinks_received"] + sum(lost.values()) + report["in_flight_at_end"]
    seen = [tx.verdict for tx in testbed.sent(kind="data")]
    assert report["uplinks_received"] == seen.count("received")
    assert lost == {cause: seen.count(cause) for cause in sorted({*seen} - {"received", ""})}
    assert set(lost) <= set(CAUSES)
    assert report["in_flight_at_end"] == seen.count("")
    for gateway in testbed.gateways:
        assert gateway.daemon.report()["uplinks_received"] == report["uplinks_received"]
    return lost


def when(testbed: Testbed, act: Callable[[OnAir], None], **is_: Any) -> None:
    """Call ``act`` with each transmission that has these attributes, at the moment it begins."""

    def follow(event: str, info: dict[str, Any]) -> None:
        if event == "transmit" and all(info[name] == value for name, value in is_.items()):
            act(testbed.air[-1])

    testbed.medium.on_event.append(follow)


def test_a_node_out_of_range_is_below_the_floor(testbed: Testbed, node: Make, gateway: Make) -> None:
    near, far = node(distance_m=600.0), node(distance_m=9000.0)
    gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 3)
        far_away = testbed.stranger(distance_m=9000.0)
        far_away.send(DATA_UP)
        await testbed.drain()

    testbed.run(story)
    assert losses(testbed) == {"below_floor": 1}
    assert {tx.verdict for tx in testbed.sent(far.plan.name)} == {"below_floor"}
    assert {tx.verdict for tx in testbed.sent(near.plan.name)} == {"received"}


def test_a_frame_on_a_frequency_without_a_head_is_not_listened_to(testbed: Testbed, gateway: Make) -> None:
    site = gateway()

    async def story() -> None:
        await testbed.start()
        stranger = testbed.stranger()
        for frequency_hz, spreading_factor in ((867_100_000, 7), (868_100_000, 8), (868_100_000, 7)):
            stranger.send(DATA_UP, frequency_hz=frequency_hz, spreading_factor=spreading_factor)
            await asyncio.sleep(1)
        await testbed.drain()

    testbed.run(story)
    assert [tx.verdict for tx in testbed.air] == ["not_listening", "not_listening", "received"]
    assert losses(testbed) == {"not_listening": 2}
    assert site.inside.daemon.counters["unknown_devices"] == 1


def test_two_at_once_on_one_channel_collide_and_the_stronger_is_captured(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node(distance_m=600.0, interval_s=10)
    gateway()
    equal, strong = testbed.stranger("equal", distance_m=600.0), testbed.stranger("strong", distance_m=60.0)
    jammers = iter([equal, strong])

    def jam(tx: OnAir) -> None:
        if jammer := next(jammers, None):
            jammer.send(DATA_UP, frequency_hz=tx.frequency_hz, spreading_factor=tx.spreading_factor)

    when(testbed, jam, station=pond.plan.name, kind="data")

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)
        await testbed.drain()

    testbed.run(story)
    assert [tx.verdict for tx in testbed.sent(pond.plan.name, "data")][:3] == ["collision", "collision", "received"]
    assert [tx.verdict for tx in testbed.sent("equal")] == ["collision"]
    assert [tx.verdict for tx in testbed.sent("strong")] == ["received"]
    assert losses(testbed) == {"collision": 3}


def test_what_comes_while_the_head_sends_is_lost_to_its_own_transmission(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node(confirmed=1, interval_s=10)
    gateway()
    stranger = testbed.stranger()

    def interrupt(tx: OnAir) -> None:
        stranger.send_at(tx.t0_us + 5_000, DATA_UP, frequency_hz=tx.frequency_hz)

    when(testbed, interrupt, kind="downlink")

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.sent("stranger")) >= 3)
        await testbed.drain()

    testbed.run(story)
    assert {tx.verdict for tx in testbed.sent("stranger")} == {"gateway_transmitting"}
    assert losses(testbed) == {"gateway_transmitting": sum(tx.kind == "data" for tx in testbed.sent("stranger"))}


def test_a_head_hears_again_within_5_ms_of_its_own_transmission(testbed: Testbed, gateway: Make) -> None:
    site = gateway()
    stranger = testbed.stranger()
    when(testbed, lambda tx: stranger.send_at(tx.t1_us + 5_000, DATA_UP), station="head-1")

    async def story() -> None:
        await testbed.start()
        window = TxWindow(counter_us=None, frequency_hz=868_100_000, spreading_factor=7, bandwidth_hz=125_000)
        request = TxRequest(id="x", origin="operator", radio="head-1", windows=(window,), phy_payload=bytes(20))
        assert (await site.inside.daemon.submit(request)).outcome == "on_air"
        await testbed.drain()

    testbed.run(story)
    assert [tx.verdict for tx in testbed.sent("stranger")] == ["received"]


def test_a_head_that_loses_power_hears_nothing_and_the_others_go_on(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node("climate", interval_s=5)
    site = gateway()
    off_us = []

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 6)
        site.heads[0].power_off()
        off_us.append(testbed.world.now_us)
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) >= count + 6)
        await testbed.drain()

    testbed.run(story)
    silent = [tx for tx in testbed.sent(kind="data") if tx.t0_us > off_us[0] and tx.frequency_hz == 868_100_000]
    others = [tx for tx in testbed.sent(kind="data") if tx.t0_us > off_us[0] and tx.frequency_hz != 868_100_000]
    assert len(silent) >= 2
    assert {tx.verdict for tx in silent} == {"radio_idle"}
    assert {tx.verdict for tx in others} == {"received"}
    assert losses(testbed) == {"radio_idle": len(silent)}


def test_a_frame_on_air_at_the_end_is_in_flight(testbed: Testbed, gateway: Make) -> None:
    gateway()

    async def story() -> None:
        await testbed.start()
        testbed.stranger().send(DATA_UP)
        await asyncio.sleep(0.01)

    testbed.run(story)
    assert losses(testbed) == {}
    assert testbed.medium.report()["in_flight_at_end"] == 1


def test_a_frame_cut_by_a_power_failure_is_lost_for_everybody(testbed: Testbed, node: Make, gateway: Make) -> None:
    pond = node()
    gateway()

    def cut(tx: OnAir) -> None:
        testbed.world.at(tx.t0_us + 30_000, pond.power_off)

    when(testbed, cut, kind="data")

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.sent(kind="data"))
        await testbed.drain()

    testbed.run(story)
    assert losses(testbed) == {"crc_error": 1}
    assert testbed.observations == []
