"""The medium's figures: kinds of frames, conservation, and the law."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from siel_hil.medium import Medium, Station, Transmission
from siel_hil.medium_report import WINDOW_US, LawAudit, kind_of
from siel_hil.models.concentrator import Concentrator
from siel_hil.world import World

NODE = Station("n", "node", (500.0, 0.0))
SECOND_US = 1_000_000


def _tx(payload: bytes, station: Station = NODE, frequency_hz: int = 868_100_000, sf: int = 7) -> Transmission:
    return Transmission(station, frequency_hz, sf, 125_000, payload, ldro=sf >= 11)


def test_a_frame_counts_by_its_sender_and_its_type() -> None:
    kinds = {0x00: "join", 0x20: "other", 0x40: "data", 0x60: "other", 0x80: "data", 0xC0: "join", 0xE0: "other"}
    assert {mhdr: kind_of(_tx(bytes((mhdr,)))) for mhdr in kinds} == kinds
    assert kind_of(_tx(b"")) == "other"
    assert kind_of(_tx(b"\x40", Station("gw", "gateway"))) == "downlink"


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0x00, 0x40, 0x80, 0xE0]), st.integers(7, 9))))
def test_what_was_sent_was_received_lost_or_is_in_flight(sends: list[tuple[int, int, int]]) -> None:
    world = World(1)
    medium = Medium(world)
    Concentrator(world, medium, Station("gw", "gateway"), "00" * 8)
    for at_ms, mhdr, sf in sends:
        station = Station(f"n{at_ms % 3}", "node", (500.0 + at_ms, 0.0))
        world.at(at_ms * 1000, medium.transmit, _tx(bytes((mhdr,)) + bytes(20), station, sf=sf))
    for until_ms in (200, 2000):
        world.run(until_ms * 1000)
        report = medium.report()
        assert report["uplinks_sent"] == (
            report["uplinks_received"] + sum(report["uplinks_on_air_lost"].values()) + report["in_flight_at_end"]
        )
        assert report["uplinks_sent"] == sum(node["uplinks_sent"] for node in report["per_node"].values())
        assert report["uplinks_received"] == sum(node["uplinks_received"] for node in report["per_node"].values())
    assert report["in_flight_at_end"] == 0
    assert report["joins_sent"] == sum(mhdr == 0 for _at, mhdr, _sf in sends)
    assert report["uplinks_sent"] == sum(mhdr in {0x40, 0x80} for _at, mhdr, _sf in sends)


# --- duty cycle ---------------------------------------------------------------------------------------------------


def test_36_seconds_an_hour_are_legal_and_a_microsecond_more_is_not() -> None:
    for extra_us, violations in ((0, 0), (1, 1)):
        audit = LawAudit()
        for i in range(36):
            end_us = (i + 1) * 60 * SECOND_US
            audit.spend("n", 868_100_000, end_us - SECOND_US - (extra_us if i == 35 else 0), end_us)
        assert len(audit.duty_cycle) == violations


def test_the_window_slides_and_counts_a_frame_across_its_edge_in_part() -> None:
    audit = LawAudit()
    assert audit.spend("n", 868_100_000, 0, 36 * SECOND_US) is None
    # an hour later the first has left by just as much as the second brings
    assert audit.spend("n", 868_100_000, WINDOW_US + 10 * SECOND_US, WINDOW_US + 20 * SECOND_US) is None
    violation = LawAudit().spend("n", 868_100_000, 0, 36 * SECOND_US + 1)
    assert violation is not None
    assert violation["airtime_us"] == 36 * SECOND_US + 1
    assert violation["allowed_us"] == 36 * SECOND_US


def test_every_transmitter_and_every_sub_band_has_its_own_budget() -> None:
    audit = LawAudit()
    for name, frequency_hz in (("a", 868_100_000), ("b", 868_100_000), ("a", 867_100_000)):
        assert audit.spend(name, frequency_hz, 0, 36 * SECOND_US) is None
    assert audit.spend("a", 869_525_000, 0, 360 * SECOND_US) is None
    assert audit.spend("a", 868_800_000, 0, 4 * SECOND_US) is not None


def test_outside_every_sub_band_any_airtime_is_too_much() -> None:
    assert LawAudit().spend("n", 868_650_000, 0, 1) is not None


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 20)), min_size=1, max_size=60))
def test_the_sliding_sum_is_the_brute_force_sum(gaps: list[tuple[int, int]]) -> None:
    audit, spans, t_us, expected = LawAudit(), [], 0, 0
    for gap_s, air_s in gaps:
        t_us += gap_s * SECOND_US
        spans.append((t_us, t_us + air_s * SECOND_US))
        t_us = spans[-1][1]
        inside = sum(max(0, end - max(start, t_us - WINDOW_US)) for start, end in spans)
        expected += inside > 36 * SECOND_US
        audit.spend("n", 868_100_000, *spans[-1])
    assert len(audit.duty_cycle) == expected


# --- power ----------------------------------------------------------------------------------------------------------


def test_power_is_judged_with_the_antenna_and_by_the_sub_band() -> None:
    audit = LawAudit()
    loud = Station("n", "node", antenna_gain_db=2.15)
    for frequency_hz, power_dbm, legal in (
        (868_100_000, 14.0, True),
        (868_100_000, 14.1, False),
        (869_525_000, 27.0, True),
        (869_525_000, 27.1, False),
        (868_650_000, 0.0, False),
    ):
        tx = Transmission(loud, frequency_hz, 7, 125_000, b"", power_dbm=power_dbm)
        assert (audit.radiate(tx) is None) is legal
    assert len(audit.power) == 3
