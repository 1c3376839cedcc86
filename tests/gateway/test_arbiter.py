from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from siel_gateway.arbiter import (
    CONCENTRATOR_GUARD_US,
    CONCENTRATOR_LEAD_US,
    HEAD_GUARD_US,
    HEAD_LEAD_US,
    MAX_AHEAD_US,
    Arbiter,
    Booking,
    Timetable,
)
from siel_gateway.head_clock import signed_us
from siel_gateway.records import TxOutcome, TxRequest, TxWindow
from siel_head import schedule
from siel_node.lora import airtime_us

NOW_US = 5_000_000_000
PAYLOAD = bytes(17)


class FakeRadio:
    """A radio whose counter is the gateway's clock plus an offset, and which answers as told."""

    def __init__(
        self, *answers: str, lead_us: int = HEAD_LEAD_US, guard_us: int = HEAD_GUARD_US, offset_us: int = 0
    ) -> None:
        self.connected = True
        self.lead_us = lead_us
        self.guard_us = guard_us
        self.radio_session: int | None = 7
        self.offset_us = offset_us
        self.answers = list(answers)
        self.asked: list[TxWindow] = []

    def gateway_us(self, counter_us: int) -> int | None:
        return NOW_US + signed_us(counter_us - self.offset_us - NOW_US)

    async def transmit(self, request: TxRequest, window: TxWindow) -> TxOutcome:
        self.asked.append(window)
        answer: Any = self.answers.pop(0) if self.answers else "on_air"
        if answer == "our fault":
            raise ValueError
        return TxOutcome(id=request.id, outcome=answer, reason="" if answer == "on_air" else "X", window=window)


def window(start_us: int | None, **fields: Any) -> TxWindow:
    values: dict[str, Any] = {"frequency_hz": 868_100_000, "spreading_factor": 7, "bandwidth_hz": 125_000} | fields
    return TxWindow(counter_us=None if start_us is None else start_us & 0xFFFFFFFF, **values)


def rx2(start_us: int) -> TxWindow:
    return window(start_us, frequency_hz=869_525_000, spreading_factor=12, name="RX2")


def request(*windows: TxWindow, **fields: Any) -> TxRequest:
    values: dict[str, Any] = {"id": "r", "origin": "edge", "radio": "one", "phy_payload": PAYLOAD} | fields
    return TxRequest(windows=windows, **values)


def submit(arbiter: Arbiter, *requests: TxRequest) -> list[TxOutcome]:
    async def main() -> list[TxOutcome]:
        return list(await asyncio.gather(*map(arbiter.submit, requests)))

    return asyncio.run(main())


def arbiter_with(radio: FakeRadio) -> Arbiter:
    return Arbiter({"one": radio}, lambda: NOW_US)


def reasons(radio: FakeRadio, *requests: TxRequest) -> list[str]:
    return [outcome.reason for outcome in submit(arbiter_with(radio), *requests)]


def test_first_window_that_works_is_used_and_only_that() -> None:
    radio = FakeRadio()
    arbiter = arbiter_with(radio)
    (outcome,) = submit(arbiter, request(window(NOW_US + 1_000_000, name="RX1"), rx2(NOW_US + 2_000_000)))
    assert (outcome.outcome, [asked.name for asked in radio.asked]) == ("on_air", ["RX1"])
    assert arbiter.counters == {"requested": 1, "on_air": 1, "queued": 0}
    assert arbiter.refused == {}


@pytest.mark.parametrize("answer", ["too_late", "busy", "refused"])
def test_second_window_is_tried_when_the_radio_refuses_the_first(answer: str) -> None:
    radio = FakeRadio(answer, "on_air")
    arbiter = arbiter_with(radio)
    (outcome,) = submit(arbiter, request(window(NOW_US + 1_000_000, name="RX1"), rx2(NOW_US + 2_000_000)))
    assert (outcome.outcome, outcome.window and outcome.window.name) == ("on_air", "RX2")
    assert arbiter.refused == {"X": 1}


@pytest.mark.parametrize("answer", ["queued", "unknown", "our fault"])
def test_what_may_be_on_air_is_never_sent_a_second_time(answer: str) -> None:
    radio = FakeRadio(answer)
    (outcome,) = submit(arbiter_with(radio), request(window(NOW_US + 1_000_000), rx2(NOW_US + 2_000_000)))
    assert outcome.outcome == ("unknown" if answer == "our fault" else answer)
    assert len(radio.asked) == 1


@pytest.mark.parametrize("lead_us", [HEAD_LEAD_US, CONCENTRATOR_LEAD_US])
@pytest.mark.parametrize("offset_us", [0, 1 << 31, 0xFFFF_FFFF])
def test_too_late_and_too_early_to_the_microsecond(lead_us: int, offset_us: int) -> None:
    for slack_us, reason in (
        (lead_us - 1, "TOO_LATE"),
        (lead_us, ""),
        (MAX_AHEAD_US, ""),
        (MAX_AHEAD_US + 1, "TOO_EARLY"),
        (-1, "TOO_LATE"),
        (-(1 << 30), "TOO_LATE"),  # long past is late, never early by a wrapped counter
    ):
        radio = FakeRadio(lead_us=lead_us, offset_us=offset_us)
        (outcome,) = submit(arbiter_with(radio), request(window(NOW_US + slack_us + offset_us)))
        assert outcome.reason == reason
        if reason:
            assert outcome.slack_us == slack_us
            assert outcome.outcome == ("too_late" if reason == "TOO_LATE" else "refused")
            assert radio.asked == []


def test_too_late_for_rx1_goes_out_in_rx2() -> None:
    radio = FakeRadio()
    submit(arbiter_with(radio), request(window(NOW_US + 1000), rx2(NOW_US + 1_001_000)))
    assert [asked.name for asked in radio.asked] == ["RX2"]


@pytest.mark.parametrize(
    ("frequency_hz", "reason"),
    [
        (868_100_000, ""),
        (869_525_000, ""),
        (868_537_500, ""),
        (868_537_501, "TX_FREQ"),  # its upper edge is outside
        (868_650_000, "TX_FREQ"),
        (865_000_000, "TX_FREQ"),
        (862_000_000, "TX_FREQ"),
        (870_000_000, "TX_FREQ"),
    ],
)
def test_only_inside_a_sub_band(frequency_hz: int, reason: str) -> None:
    assert reasons(FakeRadio(), request(window(NOW_US + 1_000_000, frequency_hz=frequency_hz))) == [reason]


def test_no_frame_longer_than_four_seconds() -> None:
    slow = window(NOW_US + 1_000_000, frequency_hz=869_525_000, spreading_factor=12)
    assert reasons(FakeRadio(), request(slow, phy_payload=bytes(64))) == [""]
    assert reasons(FakeRadio(), request(slow, phy_payload=bytes(255))) == ["AIRTIME"]


@pytest.mark.parametrize("guard_us", [HEAD_GUARD_US, CONCENTRATOR_GUARD_US])
@pytest.mark.parametrize("chips", [(None, None), (0, 0), (0, None), (None, 2)])
def test_transmissions_of_one_transmitter_never_overlap(guard_us: int, chips: tuple[int | None, int | None]) -> None:
    length_us = airtime_us(7, 125_000, len(PAYLOAD), crc=False)
    start_us = NOW_US + 1_000_000
    for other_us, reason in (
        (start_us + length_us + guard_us, ""),
        (start_us + length_us + guard_us - 1, "COLLISION"),
        (start_us - length_us - guard_us, ""),
        (start_us - length_us - guard_us + 1, "COLLISION"),
    ):
        one = request(window(start_us), chip=chips[0])
        other = request(window(other_us), chip=chips[1])
        assert reasons(FakeRadio(guard_us=guard_us), one, other) == ["", reason]


def test_two_chips_of_a_head_transmit_at_the_same_time_but_do_not_start_together() -> None:
    start_us = NOW_US + 1_000_000
    for other_us, reason in (
        (start_us + HEAD_GUARD_US, ""),
        (start_us + HEAD_GUARD_US - 1, "COLLISION"),
        (start_us - HEAD_GUARD_US, ""),
        (start_us - HEAD_GUARD_US + 1, "COLLISION"),
    ):
        one = request(rx2(start_us), chip=0)
        other = request(window(other_us), chip=1)
        assert reasons(FakeRadio(), one, other) == ["", reason]


def test_the_arbiter_takes_for_a_head_what_the_head_itself_takes() -> None:
    fields = {"frequency_hz": 868_100_000, "spreading_factor": 7, "bandwidth_hz": 125_000, "coding_rate": 5}
    fields |= {"preamble": 8, "crc": 0, "power_dbm": 14}
    first_us = NOW_US + 1_000_000
    taken = 0
    for gap_us in range(-100_000, 100_000, 500):
        for chip in (0, 1):
            head = schedule.Schedule()
            answers = [
                head.admit({**fields, "tag": tag, "chip": on}, PAYLOAD, NOW_US, start_us, [])[1]
                for tag, on, start_us in ((1, 0, first_us), (2, chip, first_us + gap_us))
            ]
            asked = [request(window(first_us), chip=0), request(window(first_us + gap_us), chip=chip)]
            assert reasons(FakeRadio(), *asked) == answers
            taken += answers == ["", ""]
    assert taken > 0


def test_other_radio_may_transmit_at_the_same_time() -> None:
    arbiter = Arbiter({"one": FakeRadio(), "two": FakeRadio()}, lambda: NOW_US)
    outcomes = submit(arbiter, request(window(NOW_US + 1_000_000)), request(window(NOW_US + 1_000_000), radio="two"))
    assert [outcome.outcome for outcome in outcomes] == ["on_air", "on_air"]


def test_time_of_a_refused_transmission_is_free_again() -> None:
    radio = FakeRadio("busy", "on_air")
    arbiter = arbiter_with(radio)
    assert submit(arbiter, request(window(NOW_US + 1_000_000)))[0].outcome == "busy"
    assert submit(arbiter, request(window(NOW_US + 1_000_000)))[0].outcome == "on_air"


def test_at_once_needs_no_lead_but_must_not_collide() -> None:
    assert reasons(FakeRadio(), request(window(None)), request(window(None))) == ["", "COLLISION"]


def test_duty_cycle_of_the_band_ends_rx1_and_leaves_rx2() -> None:
    now_us = NOW_US
    radio = FakeRadio()
    arbiter = Arbiter({"one": radio}, lambda: now_us)
    radio.gateway_us = lambda counter_us: now_us + signed_us(counter_us - now_us)  # type: ignore[method-assign]
    length_us = airtime_us(12, 125_000, 33, crc=False)
    outcomes = []
    for _ in range(36_000_000 // length_us + 1):  # 1 % of an hour
        rx1 = window(now_us + 1_000_000, spreading_factor=12, name="RX1")
        outcomes += submit(arbiter, request(rx1, rx2(now_us + 2_000_000), phy_payload=bytes(33)))
        now_us += 10_000_000
    names = [outcome.window.name for outcome in outcomes if outcome.window]
    assert names == ["RX1"] * (len(names) - 1) + ["RX2"]
    assert arbiter.refused == {"DUTY_CYCLE": 1}
    assert outcomes[-1].outcome == "on_air"


def test_no_radio() -> None:
    radio = FakeRadio()
    assert reasons(radio, request(window(NOW_US + 1_000_000), radio="gone")) == ["NO_RADIO"]
    assert reasons(radio, request(window(NOW_US + 1_000_000), radio_session=6)) == ["NO_RADIO"]
    assert reasons(radio, request(window(NOW_US + 1_000_000), radio_session=7)) == [""]
    radio.connected = False
    assert reasons(radio, request(window(NOW_US + 1_000_000))) == ["NO_RADIO"]


def test_request_without_a_window_is_too_late() -> None:
    (outcome,) = submit(arbiter_with(FakeRadio()), request())
    assert (outcome.outcome, outcome.reason) == ("too_late", "TOO_LATE")


def test_each_request_leaves_one_audit_line_without_its_content() -> None:
    with capture_logs() as logs:
        submit(arbiter_with(FakeRadio()), request(window(NOW_US), rx2(NOW_US + 1_000_000), phy_payload=b"secret"))
    assert [(line["event"], line["outcome"], line["window"]) for line in logs] == [("downlink", "on_air", "RX2")]
    assert "secret" not in repr(logs)


@given(
    st.lists(st.tuples(st.integers(-(1 << 20), 1 << 22), st.integers(7, 12), st.booleans()), min_size=1, max_size=30),
)
@settings(max_examples=100)
def test_bookings_never_overlap_whatever_is_asked(asked: list[tuple[int, int, bool]]) -> None:
    timetable = Timetable(HEAD_GUARD_US)
    booked: list[Booking] = []
    for start_us, spreading_factor, released in asked:
        where = window(NOW_US + start_us, spreading_factor=spreading_factor, frequency_hz=869_525_000)
        length_us = airtime_us(spreading_factor, 125_000, 20, crc=False)
        booking = Booking(NOW_US + start_us, NOW_US + start_us + length_us)
        if timetable.refusal(where, booking, NOW_US, HEAD_LEAD_US) is not None:
            continue
        assert start_us >= HEAD_LEAD_US
        assert all(booking.end_us < other.start_us or other.end_us < booking.start_us for other in booked)
        timetable.book(where, booking)
        if released:
            timetable.release(booking)
        else:
            booked.append(booking)
