"""Confirmed uplinks and repetitions: acknowledged in RX1, else in RX2; the same bytes again, one Observation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from siel_codecs.lorawan import DataFrame, encode_mac_command, parse_phy
from siel_gateway.records import TxRequest, TxWindow
from siel_hil.gateway_site import GatewaySite
from siel_hil.medium_air import Transmission
from siel_hil.models.sx1262 import SX1262
from siel_hil.scenario import HeadPlan
from siel_hil.testbed import OnAir, Testbed

Make = Callable[..., Any]
START_ERROR_US = 200
"""The head sends within this of the time it was asked for; a node's window leaves milliseconds."""


class CanBeDeaf(SX1262):
    """A node that hears nothing while ``deaf`` is set."""

    deaf = False

    def mismatch(self, tx: Transmission) -> str:
        return "not_listening" if self.deaf else super().mismatch(tx)


def data_frame(tx: OnAir) -> DataFrame:
    frame = parse_phy(tx.payload)
    assert isinstance(frame, DataFrame)
    return frame


def acknowledgements(testbed: Testbed) -> list[tuple[OnAir, OnAir]]:
    """Each downlink with ACK and the transmission of a node that it follows."""
    pairs = []
    for down in testbed.sent(kind="downlink"):
        if down.payload[0] >> 5 in (3, 5) and data_frame(down).ack:
            before = [tx for tx in testbed.sent(kind="data") if tx.t1_us <= down.t0_us]
            pairs.append((before[-1], down))
    return pairs


def test_a_confirmed_uplink_is_acknowledged_in_rx1(testbed: Testbed, node: Make, gateway: Make) -> None:
    pond = node(confirmed=1)
    gateway()
    testbed.play(lambda: len(testbed.observations) >= 4)
    pairs = acknowledgements(testbed)
    assert len(pairs) >= 3
    for up, down in pairs:
        assert data_frame(up).confirmed
        assert abs(down.t0_us - up.t1_us - 1_000_000) < START_ERROR_US
        assert (down.frequency_hz, down.spreading_factor) == (up.frequency_hz, up.spreading_factor)
        assert (down.verdict, down.at, down.station) == ("received", pond.plan.name, up.at)
    assert sum("acknowledged=True" in line for line in pond.lines) == len(pairs)
    assert not any("not_acknowledged" in line for line in pond.lines)


def test_only_every_nth_uplink_is_confirmed(testbed: Testbed, node: Make, gateway: Make) -> None:
    node(confirmed=3)
    gateway()
    testbed.play(lambda: len(testbed.observations) >= 7)
    confirmed = [data_frame(tx).confirmed for tx in testbed.sent(kind="data")[:7]]
    assert confirmed == [True, False, False, True, False, False, True]
    assert len(acknowledgements(testbed)) == 2


async def use_up_the_hour(site: GatewaySite) -> None:
    """Let every head transmit on the default channels until its hour is spent."""

    async def spend(radio: str) -> None:
        for spreading_factor in (12, 7):
            outcome = "on_air"
            while outcome == "on_air":
                window = TxWindow(
                    counter_us=None,
                    frequency_hz=868_100_000,
                    spreading_factor=spreading_factor,
                    bandwidth_hz=125_000,
                )
                request = TxRequest(id="x", origin="operator", radio=radio, windows=(window,), phy_payload=bytes(16))
                outcome = (await site.inside.daemon.submit(request)).outcome
            assert outcome == "refused"

    await asyncio.gather(*(spend(head.name) for head in site.heads))


def test_where_rx1_cannot_be_the_answer_comes_in_rx2(testbed: Testbed, node: Make, gateway: Make) -> None:
    pond = node(confirmed=1)
    site = gateway()

    async def story() -> None:
        await site.start()
        await asyncio.sleep(2)
        await use_up_the_hour(site)
        testbed.air.clear()
        pond.power_on()
        await testbed.until(lambda: len(acknowledgements(testbed)) >= 2)
        await testbed.until(lambda: sum("acknowledged=True" in line for line in pond.lines) >= 2)

    testbed.run(story)
    for up, down in acknowledgements(testbed):
        assert abs(down.t0_us - up.t1_us - 2_000_000) < START_ERROR_US
        assert (down.frequency_hz, down.spreading_factor) == (869_525_000, 12)
        assert (down.verdict, down.at) == ("received", pond.plan.name)
    assert site.inside.daemon.counters["tx_refused"]["DUTY_CYCLE"] >= 3
    assert testbed.medium.report()["duty_cycle_violations"] == 0


TWO_HEADS = (HeadPlan(frequency_hz=868_100_000), HeadPlan(frequency_hz=868_300_000))


@pytest.fixture
def three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network asks for NbTrans = 3 in its LinkADRReq."""

    def encode(name: str, **fields: int) -> bytes:
        return encode_mac_command(name, **fields | ({"nb_trans": 3} if name == "LinkADRReq" else {}))

    monkeypatch.setattr("siel_gateway.edge.commands.encode_mac_command", encode)


def by_f_cnt(testbed: Testbed) -> dict[int, list[OnAir]]:
    groups: dict[int, list[OnAir]] = {}
    for tx in testbed.sent(kind="data"):
        groups.setdefault(data_frame(tx).f_cnt, []).append(tx)
    return groups


@pytest.mark.usefixtures("three_times")
def test_nb_trans_repeats_the_same_bytes_and_makes_one_observation(testbed: Testbed, node: Make, gateway: Make) -> None:
    node(interval_s=20)
    site = gateway(heads=TWO_HEADS)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(by_f_cnt(testbed)) >= 6, 180)
        await testbed.drain()

    testbed.run(story)
    groups = list(by_f_cnt(testbed).values())
    assert all(len({tx.payload for tx in group}) == 1 for group in groups)
    # the request comes with the answer to the first uplink that is heard; the last one is cut off by the end
    counts = [len(group) for group in groups][:-1]
    asked = counts.index(3)
    assert counts[asked:] == [3] * len(counts[asked:])
    assert len(counts) - asked >= 3
    numbers = [observation.f_cnt for observation in testbed.observations]
    assert len(numbers) == len(set(numbers))
    assert site.inside.daemon.counters["repeats"] >= 6
    assert site.inside.daemon.counters["replays"] == 0


@pytest.mark.usefixtures("three_times")
def test_a_lost_ack_brings_repeats_answers_to_them_and_one_observation(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node(confirmed=1, interval_s=20, chip_class=CanBeDeaf)
    gateway(heads=TWO_HEADS)

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 3)
        await asyncio.sleep(5)
        pond.chip.deaf = True
        before = len(pond.lines)
        await testbed.until(lambda: any("not_acknowledged" in line for line in pond.lines[before:]))
        pond.chip.deaf = False
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) >= count + 1)
        await testbed.drain()

    testbed.run(story)
    (unheard,) = [group for group in by_f_cnt(testbed).values() if len(group) == 3]
    assert len({tx.payload for tx in unheard}) == 1
    f_cnt = data_frame(unheard[0]).f_cnt
    assert [observation.f_cnt for observation in testbed.observations].count(f_cnt) == 1
    answers = [down for up, down in acknowledgements(testbed) if up in unheard]
    assert len(answers) == 3  # each repeat asks again, each gets its own answer
    assert len({data_frame(down).f_cnt for down in answers}) == 3
    after = [group for number, group in by_f_cnt(testbed).items() if number > f_cnt]
    assert [len(group) for group in after] == [1] * len(after)  # heard again, so not repeated
