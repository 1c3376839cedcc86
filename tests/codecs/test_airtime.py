"""Airtime, legality, energy and the field that makes the last step."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.schema import extent, model
from siel_codecs.schema.airtime import DATA_RATES, OVERHEAD_BYTES, Step, airtime, airtime_us, legal_at, step
from siel_codecs.schema.energy import FIGURES, EnergyModel, battery_years, message_mas, windows_s
from siel_codecs.schema.extent import Span

PUBLISHED_MS = {  # PHYPayload bytes: DR0 to DR5, from Semtech's formula as others print it
    13: (1155.1, 577.5, 288.8, 164.9, 82.4, 46.3),
    17: (1318.9, 659.5, 329.7, 164.9, 92.7, 51.5),
    23: (1482.8, 823.3, 370.7, 205.8, 113.2, 61.7),
    33: (1810.4, 987.1, 452.6, 246.8, 133.6, 71.9),
    64: (2793.5, 1560.6, 698.4, 390.1, 215.6, 118.0),
}


def number(name: str, bits: int) -> model.Number:
    return model.Number(name, name, bits, False, 1, 0, 1, 0, (1 << bits) - 1, (), True, None, None)


def device(*items: model.Item, version: int | None = None) -> model.Device:
    message = model.Message("", "reading", items, version=version)
    return model.Device("test/one", "One", "", (model.Port("up", (7,), (message,)),))


@pytest.mark.parametrize("phy_bytes", PUBLISHED_MS)
def test_time_on_air_is_the_published_one(phy_bytes: int) -> None:
    found = [airtime_us(rate, phy_bytes - OVERHEAD_BYTES) / 1000 for rate in DATA_RATES]
    assert found == pytest.approx(PUBLISHED_MS[phy_bytes], abs=0.06)


def test_a_message_of_one_size_has_one_frame() -> None:
    found = airtime(device(number("a", 30), number("b", 50)))
    (message,) = found.messages
    (frame,) = message.frames
    assert (frame.payload_bytes, frame.payload_bits, frame.phy_bytes) == (10, 80, 23)
    slowest, fastest = frame.rates[0], frame.rates[5]
    assert (slowest.spreading_factor, slowest.airtime_us, fastest.airtime_us) == (12, 1_482_752, 61_696)
    assert slowest.messages_per_hour == {"0.1": 2, "1": 24, "10": 242}
    assert slowest.shortest_interval_s == pytest.approx(148.2752)


@pytest.mark.parametrize(
    ("size", "rates"),
    [(0, (0, 1, 2, 3, 4, 5)), (51, (0, 1, 2, 3, 4, 5)), (52, (3, 4, 5)), (115, (3, 4, 5)), (116, (4, 5)), (243, ())],
)
def test_which_data_rates_carry_a_payload(size: int, rates: tuple[int, ...]) -> None:
    assert legal_at(size) == rates


def test_what_is_not_legal_has_no_battery_life_and_no_messages() -> None:
    found = airtime(device(model.Opaque("blob", "blob", 8 * 60)))
    slowest, fastest = found.messages[0].frames[0].rates[0], found.messages[0].frames[0].rates[5]
    assert (slowest.legal, slowest.battery_years, set(slowest.messages_per_hour.values())) == (False, None, {0})
    assert fastest.legal
    assert fastest.battery_years is not None


def test_an_interval_below_the_duty_cycle_has_no_battery_life() -> None:
    found = airtime(device(number("a", 8)), interval_s=60).messages[0].frames[0]
    assert [rate.battery_years is None for rate in found.rates] == [True, True, False, False, False, False]


def test_the_field_that_makes_the_step_is_the_last_one_over_it() -> None:
    spans = [Span("rain", 24), Span("level", 32), Span("battery", 8)]  # at SF12, 7 bytes are a step less than 8
    assert airtime_us(0, 7) < airtime_us(0, 8) == airtime_us(0, 11)
    assert step(0, spans) == Step("battery", 8, airtime_us(0, 8) - airtime_us(0, 7))
    assert step(0, [Span("rain", 24), Span("level", 34)]).bits_to_save == 2
    assert step(0, [*spans, Span("more", 8)]).field == "battery"
    assert step(0, []).field == ""


@given(st.lists(st.integers(1, 40), max_size=30), st.sampled_from(DATA_RATES))
def test_saving_the_bits_saves_the_step_and_one_less_does_not(widths: list[int], rate: int) -> None:
    spans = [Span(f"f{n}", width) for n, width in enumerate(widths)]
    bits, found = sum(widths), step(rate, spans)
    now = airtime_us(rate, (bits + 7) // 8)
    if not found.field:
        assert airtime_us(rate, 0) == now
        return
    saved = bits - found.bits_to_save
    assert airtime_us(rate, (saved + 7) // 8) == now - found.saves_us < now
    assert airtime_us(rate, (saved + 8) // 8) == now
    before = sum(widths[: int(found.field[1:])])
    assert before <= saved < before + widths[int(found.field[1:])]


def test_a_group_makes_the_smallest_and_the_largest_differ() -> None:
    group = model.Switch("_more", (model.Arm((1,), (number("b", 16),)),), "ignore")
    frames = airtime(device(model.Control("_more", 1), number("a", 7), group)).messages[0].frames
    assert [(frame.end, frame.payload_bytes) for frame in frames] == [("smallest", 1), ("largest", 3)]


def test_switches_of_one_control_are_chosen_together() -> None:
    first = model.Switch("_mode", (model.Arm((0,), (number("a", 24),)), model.Arm((1,), ())), "error")
    second = model.Switch("_mode", (model.Arm((0,), ()), model.Arm((1,), (number("b", 16),))), "error")
    items = (model.Control("_mode", 8), first, second)
    sizes = [frame.payload_bytes for frame in airtime(device(*items)).messages[0].frames]
    assert sizes == [3, 4]  # never 1, never 6


def test_an_arm_that_no_code_reaches_does_not_count() -> None:
    full = model.Switch("_bit", (model.Arm((0,), (number("a", 8),)), model.Arm((1,), (number("b", 8),))), "ignore")
    assert [f.payload_bytes for f in airtime(device(model.Control("_bit", 8), full)).messages[0].frames] == [1, 2]
    narrow = (model.Control("_bit", 1), model.Reserved(7), full)
    assert [f.payload_bytes for f in airtime(device(*narrow)).messages[0].frames] == [2]


def test_lists_series_and_entries_have_their_ends() -> None:
    to_end = (model.Repeat(number("x", 16), None),)
    assert [extent.size_bytes(extent.spans(each, "largest")) for each in (model.Message("", "", to_end),)] == [242]
    counted = model.Message("", "", (model.Control("_n", 4), model.Repeat(number("x", 4), "_n")))
    assert extent.size_bytes(extent.spans(counted, "smallest")) == 1
    assert extent.size_bytes(extent.spans(counted, "largest")) == 8
    series = model.Samples((model.SeriesLeaf(number("x", 12), 4),), 3, True, 600_000, None)
    deltas = model.Message("", "", (series,))
    assert sum(span.bits for span in extent.spans(deltas, "smallest")) == 12 + 4 + 4
    assert sum(span.bits for span in extent.spans(deltas, "largest")) == 12 + 16 + 16
    entries = (model.Entry(1, (number("x", 16),)), model.Entry(2, (number("y", 8),)))
    tlv = model.Message("", "", (model.Tlv(1, True, False, entries, "stop", ()),))
    assert extent.size_bytes(extent.spans(tlv, "smallest")) == 3
    assert extent.size_bytes(extent.spans(tlv, "largest")) == 7


def test_no_frame_exceeds_the_largest_payload() -> None:
    items = (model.Opaque("a", "a", 8 * 240), model.Control("_n", 8), model.Repeat(number("x", 32), "_n"))
    assert extent.size_bytes(extent.spans(model.Message("", "", items), "largest")) <= model.MAX_PAYLOAD_BYTES
    full = model.Message("", "", (model.Opaque("a", "a", 8 * model.MAX_PAYLOAD_BYTES), number("x", 8)))
    assert [span.name for span in extent.spans(full, "largest")] == ["a"]


def test_the_energy_model_is_the_sum_of_its_parts() -> None:
    figures = EnergyModel(battery_mah=1000, self_discharge=0, tx_ma=100, rx_ma=0, awake_ma=0, awake_s=0, sleep_ua=0)
    assert message_mas(figures, 0, 1_000_000) == pytest.approx(100)
    # 100 mA s a minute are 1/36 mAh a minute: 36 000 minutes
    assert battery_years(figures, 0, 1_000_000, 60) == pytest.approx(36_000 / (365.25 * 24 * 60))
    only_loss = EnergyModel(self_discharge=2, tx_ma=0, rx_ma=0, awake_ma=0, sleep_ua=0)
    assert battery_years(only_loss, 0, 1, 60) == pytest.approx(50)


def test_slower_is_shorter_for_the_battery() -> None:
    years = [rate.battery_years or 0 for rate in airtime(device(number("a", 80 - 60))).messages[0].frames[0].rates]
    assert all(slow < fast for slow, fast in pairwise(years))
    assert windows_s(0) > windows_s(5)


def test_every_figure_has_a_source_and_is_a_default() -> None:
    defaults = EnergyModel()
    assert {figure.name: figure.value for figure in FIGURES} == {
        name: getattr(defaults, name) for name in EnergyModel.__struct_fields__
    }
    assert all(len(figure.source) > 10 for figure in FIGURES)
