"""Transmissions over the serial link: every request ends once."""

from __future__ import annotations

from typing import Any

import pytest

from siel_gateway.head_events import TxResult, TxScheduled
from siel_gateway.head_link import HeadLink
from siel_gateway.head_requests import TX_GIVE_UP_US, TX_RETRY_US
from siel_gateway.records import Outcome
from siel_hil.rigs.head_wire import BOOT_ID, SECOND, Wire


def test_no_session_no_transmission() -> None:
    link_alone = HeadLink()
    request: dict[str, Any] = {
        "frequency_hz": 868100000,
        "spreading_factor": 7,
        "bandwidth_hz": 125000,
        "payload": b"\x60",
    }
    assert link_alone.transmit(chip=0, counter_us=None, now_us=0, **request) is None


def test_a_transmission_is_scheduled_and_then_on_air(wire: Wire) -> None:
    tag = wire.transmit(power_dbm=27, crc=True, invert_iq=False, coding_rate=6, preamble=10)
    ((name, fields, payload),) = wire.sent()
    assert (name, payload, fields["tag"], fields["boot_id"], fields["timed"]) == ("tx", b"\x60", 100, BOOT_ID, 1)
    assert (fields["power_dbm"], fields["crc"], fields["invert_iq"]) == (27, 1, 0)
    assert (fields["coding_rate"], fields["preamble"]) == (6, 10)
    assert wire.outcome(tag, "scheduled", slack_us=900_000) == [TxScheduled(tag=tag, slack_us=900_000)]
    assert wire.outcome(tag, "scheduled", slack_us=900_000) == []
    wire.wait(SECOND)
    assert "tx" not in wire.names()
    (result,) = wire.outcome(tag, "on_air", slack_us=900_000, counter_us=77)
    assert result == TxResult(tag=tag, outcome="on_air", reason="", slack_us=900_000, counter_us=77)
    assert wire.outcome(tag, "on_air") == []
    wire.wait(3 * SECOND)
    assert "tx" not in wire.names()


@pytest.mark.parametrize(
    ("word", "reason", "outcome"),
    [
        ("too_late", "TOO_LATE", "too_late"),
        ("busy", "BUSY", "busy"),
        ("refused", "DUTY_CYCLE", "refused"),
        ("cancelled", "", "refused"),
        ("unknown", "OTHER", "unknown"),
    ],
)
def test_what_did_not_go_on_air(wire: Wire, word: str, reason: str, outcome: Outcome) -> None:
    tag = wire.transmit()
    (result,) = wire.outcome(tag, word, reason, slack_us=-5, counter_us=9)
    assert result == TxResult(tag=tag, outcome=outcome, reason=reason, slack_us=-5, counter_us=None)


def test_a_lost_request_and_a_lost_outcome_are_asked_again_with_the_same_tag(wire: Wire) -> None:
    tag = wire.transmit()
    wire.wait(TX_RETRY_US)
    assert [fields["tag"] for name, fields, _ in wire.sent() if name == "tx"] == [tag, tag]
    wire.outcome(tag, "scheduled")
    wire.wait(1200 * 1000)
    assert [fields["tag"] for name, fields, _ in wire.sent() if name == "tx"] == [tag]


def test_no_outcome_is_unknown(wire: Wire) -> None:
    tag = wire.transmit()
    events: list[Any] = []
    while not events:
        wire.hello()
        events = wire.wait(SECOND // 10)
    assert events == [TxResult(tag=tag, outcome="unknown", reason="OTHER", slack_us=None, counter_us=None)]
    assert wire.now_us >= 5 * SECOND + SECOND + TX_GIVE_UP_US


def test_cancel_is_repeated_too(wire: Wire) -> None:
    tag = wire.transmit()
    wire.outcome(tag, "scheduled")
    wire.sent()
    wire.link.cancel(tag)
    wire.link.cancel(12345)
    wire.wait(TX_RETRY_US)
    assert wire.sent() == [("cancel", {"boot_id": BOOT_ID, "tag": tag}, b"")] * 2
    assert [event.outcome for event in wire.outcome(tag, "cancelled")] == ["refused"]
