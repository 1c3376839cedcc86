"""Frames over the serial link: once, in order, acknowledged when they are safe."""

from __future__ import annotations

from typing import Any

from siel_gateway.head_clock import COUNTER_PERIOD_US
from siel_gateway.head_events import FrameHeard, HeadStats, JunkSkipped
from siel_gateway.head_frames import MAX_HELD
from siel_hil.rigs.head_wire import BOOT_ID, COUNTER_AHEAD_US, SECOND, Wire


def test_a_frame(wire: Wire) -> None:
    wire.now_us += SECOND
    (frame,) = wire.rx(1, counter_us=(wire.counter() - 4000) % COUNTER_PERIOD_US, crc=0)
    assert frame == FrameHeard(
        boot_id=BOOT_ID,
        sequence=1,
        chip=0,
        counter_us=(wire.counter() - 4000) % COUNTER_PERIOD_US,
        gateway_us=wire.now_us - 4000,
        frequency_hz=868100000,
        spreading_factor=7,
        bandwidth_hz=125000,
        coding_rate=5,
        rssi_dbm=-101,
        snr_db=-7.5,
        crc="none",
        phy_payload=b"1",
    )


def test_nothing_is_acknowledged_before_it_is_safe(wire: Wire) -> None:
    for sequence in (1, 2, 3):
        wire.rx(sequence)
    assert "ack" not in wire.names()
    wire.link.ack(BOOT_ID, 2)
    wire.link.ack(BOOT_ID, 4)
    assert "ack" not in wire.names()
    wire.link.ack(BOOT_ID, 1)
    assert wire.sent() == [("ack", {"boot_id": BOOT_ID, "sequence": 2}, b"")]
    assert wire.rx(2) == []
    assert wire.sent() == [("ack", {"boot_id": BOOT_ID, "sequence": 2}, b"")]
    assert wire.rx(3) == []
    assert wire.sent() == []


def test_a_gap_is_asked_for_and_later_frames_wait(wire: Wire) -> None:
    wire.rx(1)
    assert wire.rx(3) == []
    assert wire.sent() == [("resend", {"boot_id": BOOT_ID, "sequence": 2}, b"")]
    wire.wait(250_000)
    assert wire.names().count("resend") == 2
    assert [event.sequence for event in wire.rx(2)] == [2, 3]
    wire.wait(SECOND)
    assert "resend" not in wire.names()


def test_held_frames_are_bounded(wire: Wire) -> None:
    assert wire.rx(1 + MAX_HELD) == []
    assert wire.link._frames.held == {}
    assert wire.rx(MAX_HELD) == []
    assert list(wire.link._frames.held) == [MAX_HELD]


def test_frames_that_are_not_acknowledged_are_bounded(wire: Wire) -> None:
    for sequence in range(1, MAX_HELD + 1):
        assert len(wire.rx(sequence)) == 1
    assert wire.rx(MAX_HELD + 1) == [], "more than any head keeps: it waits for the journal, as the head does"
    wire.link.ack(BOOT_ID, 1)
    assert [event.sequence for event in wire.rx(MAX_HELD + 1)] == [MAX_HELD + 1]


def test_a_frame_older_than_the_counters_period(wire: Wire) -> None:
    wire.now_us += 3 * 3600 * SECOND
    wire.hello()
    heard_us = wire.now_us - 2 * 3600 * SECOND
    (frame,) = wire.rx(1, age_s=7200, counter_us=(heard_us + COUNTER_AHEAD_US) % COUNTER_PERIOD_US)
    assert abs(frame.gateway_us - heard_us) < SECOND // 2


def test_junk_is_counted(wire: Wire) -> None:
    assert wire.link.receive_data(b"junk\0\1\0more junk\0", wire.now_us) == [JunkSkipped(frames=3)]


def test_stats(wire: Wire) -> None:
    counts: dict[str, Any] = dict.fromkeys(
        ("stored", "heard", "overflow", "crc_errors", "tx_on_air", "tx_failed", "radio_errors"), 2
    )
    events = wire.say("stats", boot_id=BOOT_ID, junk=1, deaf=1, counter_us=0, **counts)
    assert events == [HeadStats(**counts, junk=1, deaf=(0,))]
