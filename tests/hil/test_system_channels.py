"""Nodes end up on the channels that the gateway hears, whatever it hears with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from siel_codecs.lorawan import DataFrame, MacCommand, decode_join_accept, parse_mac_commands, parse_phy
from siel_hil.scenario import HeadPlan
from siel_hil.testbed import OnAir, Testbed
from siel_node.region_eu868 import DEFAULT_CHANNELS_HZ, USUAL_CHANNELS_HZ

Make = Callable[..., Any]


def commands(tx: OnAir) -> list[MacCommand]:
    """MAC commands in the clear of a data frame."""
    frame = parse_phy(tx.payload)
    if not isinstance(frame, DataFrame):
        return []
    found, error = parse_mac_commands(frame.f_opts, frame.uplink)
    assert error is None
    return found


def with_command(testbed: Testbed, kind: str, name: str) -> list[OnAir]:
    return [tx for tx in testbed.sent(kind=kind) if any(command.name == name for command in commands(tx))]


@pytest.mark.parametrize("unheard_hz", DEFAULT_CHANNELS_HZ)
def test_with_two_heads_the_node_leaves_the_channel_that_nobody_hears(
    testbed: Testbed, node: Make, gateway: Make, unheard_hz: int
) -> None:
    node("climate", interval_s=10)
    heard = [hz for hz in DEFAULT_CHANNELS_HZ if hz != unheard_hz]
    gateway(heads=tuple(HeadPlan(frequency_hz=hz) for hz in heard))
    testbed.play(lambda: len(testbed.observations) >= 14, 300)
    (request,) = with_command(testbed, "downlink", "LinkADRReq")
    (answer,) = with_command(testbed, "data", "LinkADRAns")
    (link_adr,) = commands(request)
    assert link_adr.fields["ch_mask"] == sum(1 << DEFAULT_CHANNELS_HZ.index(hz) for hz in heard)
    assert all(commands(answer)[0].fields.values())
    after = [tx for tx in testbed.sent(kind="data") if tx.number >= answer.number]
    assert {tx.frequency_hz for tx in after} == set(heard)
    assert {tx.verdict for tx in after} == {"received"}
    assert len(after) >= 12


def test_heads_on_a_slower_data_rate_serve_nodes_that_join_with_it(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("water_level", join_dr=3, distance_m=1500.0)
    gateway(heads=tuple(HeadPlan(frequency_hz=hz, spreading_factor=9) for hz in DEFAULT_CHANNELS_HZ))
    testbed.play(lambda: len(testbed.observations) >= 6)
    assert {tx.spreading_factor for tx in testbed.air} == {9}
    assert {tx.verdict for tx in testbed.air} <= {"received", ""}
    assert with_command(testbed, "downlink", "LinkADRReq") == []  # nothing to change
    assert {observation.radio["spreading_factor"] for observation in testbed.observations} == {9}


def test_a_node_with_another_data_rate_than_the_heads_is_not_heard(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("water_level", join_dr=4)
    gateway()
    testbed.play(lambda: len(testbed.sent(kind="join")) >= 3)
    assert {tx.verdict for tx in testbed.sent(kind="join")} <= {"not_listening", ""}
    assert testbed.observations == []


def test_behind_a_concentrator_nodes_get_five_more_channels_and_use_all_eight(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    site = node("climate", interval_s=5)
    gateway("concentrator")
    testbed.play(lambda: len(testbed.observations) >= 40, 300)
    (accept,) = testbed.sent(kind="downlink")
    assert decode_join_accept(site.plan.app_key, accept.payload).cf_list_hz == USUAL_CHANNELS_HZ
    assert {tx.frequency_hz for tx in testbed.sent(kind="data")} == {*DEFAULT_CHANNELS_HZ, *USUAL_CHANNELS_HZ}
    assert testbed.medium.report()["duty_cycle_violations"] == 0


def test_heads_announce_no_channel_that_they_hear_at_one_data_rate_only(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    site = node("climate")
    extra = HeadPlan(frequency_hz=867_100_000)
    gateway(heads=(*(HeadPlan(frequency_hz=hz) for hz in DEFAULT_CHANNELS_HZ), extra))
    testbed.play(lambda: len(testbed.observations) >= 1)
    accept = decode_join_accept(site.plan.app_key, testbed.sent(kind="downlink")[0].payload)
    assert accept.cf_list_hz in (None, ())
