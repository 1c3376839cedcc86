"""The host's side of the serial link: alone, and joined to the head's own core over a line that loses bytes."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway.head_clock import COUNTER_PERIOD_US, HeadClock
from siel_gateway.head_events import (
    ChipChannel,
    ChipConfigured,
    FrameHeard,
    HeadReady,
    HeadStats,
    JunkSkipped,
    LinkLost,
    TxResult,
    TxScheduled,
    WrongVersion,
)
from siel_gateway.head_frames import MAX_HELD
from siel_gateway.head_link import (
    CONFIGURE_REFUSED_US,
    CONFIGURE_RETRY_US,
    HELLO_RETRY_US,
    SILENCE_US,
    HeadLink,
)
from siel_gateway.head_requests import TX_GIVE_UP_US, TX_RETRY_US
from siel_gateway.records import Outcome
from siel_head import link
from siel_head.head import Head
from siel_node.radio.sx126x import NONE, RX_DONE, TX_DONE

BOOT_ID = 0x1234ABCD
SECOND = 1_000_000
CHANNEL = ChipChannel(frequency_hz=868100000, spreading_factor=7, bandwidth_hz=125000)
COUNTER_AHEAD_US = (1 << 32) - 90 * SECOND
"""The head's counter wraps 90 s after the host's clock starts."""


class Wire:
    """A HeadLink whose other end is this test's hand."""

    def __init__(self, chips: int = 1) -> None:
        self.link = HeadLink(first_tag=100)
        self.link.configure([CHANNEL] * chips)
        self.deframer = link.Deframer()
        self.now_us = 5 * SECOND
        self.link.connected(self.now_us)

    def sent(self) -> list[tuple[str, dict[str, int], bytes]]:
        bodies = self.deframer.receive_data(self.link.data_to_send())
        messages = [link.decode(body) for body in bodies]
        return [message for message in messages if message is not None]

    def names(self) -> list[str]:
        return [name for name, _, _ in self.sent()]

    def say(self, name: str, payload: bytes = b"", **fields: Any) -> list[Any]:
        return self.link.receive_data(link.encode(name, payload, **fields), self.now_us)

    def hello(self, boot_id: int = BOOT_ID, first_sequence: int = 1, version: int = link.VERSION) -> list[Any]:
        return self.say(
            "hello",
            version=version,
            query=0,
            boot_id=boot_id,
            reset_cause=3,
            chips=1,
            store_size=64,
            stamp_error_us=9,
            first_sequence=first_sequence,
            counter_us=self.counter(),
        )

    def counter(self) -> int:
        return (self.now_us + COUNTER_AHEAD_US) % COUNTER_PERIOD_US

    def rx(self, sequence: int, boot_id: int = BOOT_ID, **fields: int) -> list[Any]:
        values = {
            "boot_id": boot_id,
            "sequence": sequence,
            "chip": 0,
            "counter_us": self.counter(),
            "age_s": 0,
            "frequency_hz": 868100000,
            "spreading_factor": 7,
            "bandwidth_hz": 125000,
            "coding_rate": 5,
            "rssi_dbm": -101,
            "snr_x4": -30,
            "crc": 1,
        }
        return self.say("rx", b"%d" % sequence, **values | fields)

    def outcome(self, tag: int, word: str, reason: str = "", slack_us: int = 0, counter_us: int = 0) -> list[Any]:
        return self.say(
            "tx_outcome",
            boot_id=BOOT_ID,
            tag=tag,
            chip=0,
            outcome=link.OUTCOMES.index(word),
            reason=link.REASONS.index(reason),
            slack_us=slack_us,
            counter_us=counter_us,
        )

    def wait(self, delay_us: int) -> list[Any]:
        """Let time pass, ticking as asked for, and return all events; what is sent stays to be looked at."""
        end_us, events = self.now_us + delay_us, []
        while (due := self.link.next_tick_us()) is not None and due <= end_us:
            self.now_us = max(self.now_us, due)
            events += self.link.tick(self.now_us)
        self.now_us = end_us
        return events

    def transmit(self, **options: Any) -> int:
        request: dict[str, Any] = {
            "chip": 0,
            "counter_us": (self.counter() + SECOND) % COUNTER_PERIOD_US,
            "frequency_hz": 868100000,
            "spreading_factor": 7,
            "bandwidth_hz": 125000,
            "payload": b"\x60",
        }
        tag = self.link.transmit(now_us=self.now_us, **request | options)
        assert tag is not None
        return tag


@pytest.fixture
def wire() -> Wire:
    wire = Wire()
    wire.hello()
    wire.sent()
    return wire


# --- the session


def test_it_begins_with_a_delimiter_and_asks_until_it_is_answered() -> None:
    wire = Wire()
    data = wire.link.data_to_send()
    assert data[0] == 0
    assert not wire.link.ready
    wire.wait(3 * HELLO_RETRY_US)
    assert wire.names() == ["hello_request"] * 3


def test_hello_opens_the_session_and_everything_is_set() -> None:
    wire = Wire()
    (ready,) = wire.hello(first_sequence=4)
    assert ready == HeadReady(
        boot_id=BOOT_ID, new_session=True, reset_cause="watchdog", chips=1, store_size=64, stamp_error_us=9
    )
    assert wire.link.ready
    sent = {name: fields for name, fields, _ in wire.sent()}
    assert sent["configure"] == {
        "chip": 0,
        "frequency_hz": 868100000,
        "spreading_factor": 7,
        "bandwidth_hz": 125000,
        "antenna_gain_db": 0,
    }
    assert sent["ack"] == {"boot_id": BOOT_ID, "sequence": 3}
    assert "time_query" in sent


def test_another_version_is_said_and_not_spoken_to() -> None:
    wire = Wire()
    assert wire.hello(version=link.VERSION + 1) == [WrongVersion(version=link.VERSION + 1)]
    assert not wire.link.ready
    assert wire.rx(1) == []


def test_configure_is_repeated_until_the_head_confirms_what_was_asked(wire: Wire) -> None:
    confirmed: dict[str, Any] = {"boot_id": BOOT_ID, "chip": 0, "frequency_hz": 868100000, "bandwidth_hz": 125000}
    assert wire.say("configured", ok=1, spreading_factor=9, **confirmed) == []
    assert wire.say("configured", ok=0, spreading_factor=7, **confirmed) == [ChipConfigured(chip=0, ok=False)]
    wire.wait(CONFIGURE_REFUSED_US - 1)
    assert "configure" not in wire.names()
    wire.wait(CONFIGURE_RETRY_US)
    assert "configure" in wire.names()
    assert wire.say("configured", ok=1, spreading_factor=7, **confirmed) == [ChipConfigured(chip=0, ok=True)]
    wire.wait(2 * CONFIGURE_REFUSED_US)
    assert "configure" not in wire.names()


def test_a_silent_head_is_lost_and_asked_for_again(wire: Wire) -> None:
    tag = wire.transmit(counter_us=(wire.counter() + 15 * SECOND) % COUNTER_PERIOD_US)
    wire.outcome(tag, "scheduled")
    events = wire.wait(SILENCE_US)
    assert events == [
        LinkLost(reason="head is silent"),
        TxResult(tag=tag, outcome="unknown", reason="NO_RADIO", slack_us=0, counter_us=None),
    ]
    assert not wire.link.ready
    wire.sent()
    wire.wait(HELLO_RETRY_US)
    assert wire.names() == ["hello_request"]
    (ready,) = wire.hello()
    assert ready.new_session is False


def test_a_port_that_comes_back_goes_on_where_it_was(wire: Wire) -> None:
    wire.rx(1)
    assert wire.link.disconnected("unplugged") == [LinkLost(reason="unplugged")]
    assert wire.link.next_tick_us() is None
    assert wire.rx(2) == []
    wire.now_us += SECOND
    wire.link.connected(wire.now_us)
    wire.hello()
    assert wire.rx(1) == []
    assert [event.sequence for event in wire.rx(2)] == [2]


def test_a_new_boot_is_a_new_session(wire: Wire) -> None:
    wire.rx(1)
    lost, ready = wire.hello(boot_id=7)
    assert lost == LinkLost(reason="head has restarted")
    assert (ready.boot_id, ready.new_session) == (7, True)
    assert wire.rx(1) == []
    assert [event.sequence for event in wire.rx(1, boot_id=7)] == [1]
    wire.link.ack(BOOT_ID, 1)
    assert not [fields for name, fields, _ in wire.sent() if name == "ack" and fields["sequence"]]


def test_frames_of_an_unknown_boot_make_it_ask(wire: Wire) -> None:
    wire.now_us += HELLO_RETRY_US
    assert wire.rx(1, boot_id=9) == []
    assert "hello_request" in wire.names()


# --- frames


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


# --- transmissions


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


# --- the clock


@given(
    st.integers(0, COUNTER_PERIOD_US - 1),
    st.integers(0, 1 << 45),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)), min_size=1, max_size=12),
    st.integers(-30 * 60 * SECOND, 30 * 60 * SECOND),
)
def test_clock_maps_both_ways_within_what_it_says(
    ahead_us: int, start_us: int, delays: list[tuple[int, int]], away_us: int
) -> None:
    clock, now_us = HeadClock(), start_us
    for there_us, back_us in delays:
        now_us += 4 * SECOND
        at_head = (now_us + there_us + ahead_us) % COUNTER_PERIOD_US
        clock.add(now_us, now_us + there_us + back_us, at_head, at_head)
        now_us += there_us + back_us
    moment_us = now_us + away_us
    counter_us = (moment_us + ahead_us) % COUNTER_PERIOD_US
    error_us = clock.error_us(now_us)
    assert abs(clock.gateway_us(counter_us, now_us, now_us) - moment_us) <= error_us + 1
    back_us = clock.counter_us(clock.gateway_us(counter_us, now_us, now_us), now_us)
    assert back_us == counter_us


def test_clock_follows_a_drifting_head() -> None:
    clock = HeadClock()
    for second in range(0, 3600 * 3, 4):
        now_us = second * SECOND
        counter = round(now_us * 1.00004) % COUNTER_PERIOD_US
        clock.add(now_us, now_us + 2000, counter, counter)
        assert abs(clock.gateway_us(counter, now_us, now_us) - now_us) <= clock.error_us(now_us) + 500


def test_the_best_round_trip_wins_until_it_is_old() -> None:
    clock = HeadClock()
    clock.add(0, 200, 1100, 1100)
    clock.add(SECOND, SECOND + 90_000, SECOND + 1000, SECOND + 1000)
    assert clock.counter_us(0, 2 * SECOND) == 1000
    assert clock.error_us(2 * SECOND) == 100 + 99
    assert not HeadClock().known


# --- joined to the head's own core


class AirChip:
    """A chip that hears what the test puts into it and always transmits on time."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.sent: list[bytes] = []
        self.events: list[int] = []
        self.flag = SimpleNamespace(raised=False)

    def restart(self) -> None: ...

    def listen(self, *_channel: int) -> None: ...

    def listening(self) -> bool:
        return True

    def poll(self) -> int:
        return self.events.pop(0) if self.events else NONE

    def read(self) -> Any:
        return self.heard.pop(0)

    def transmit(self, transmission: Any) -> int:
        self.sent.append(transmission.payload)
        return int(transmission.start_us)


class Line:
    """Head and host on one line in virtual time. Faults: bytes lost, flipped, doubled; splits everywhere."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.faults = 0.0
        self.now_us = 0
        self.chip = AirChip()
        self.head = Head([self.chip], BOOT_ID, 1, 0, self.counter())
        self.link = HeadLink(first_tag=self.random.getrandbits(32))
        self.link.configure([CHANNEL])
        self.delivered: list[FrameHeard] = []
        self.results: list[TxResult] = []
        self.safe: set[int] = set()
        self.heap: list[Any] = []
        self.count = 0
        self.free_us = {"to head": 0, "to host": 0}
        self.link.connected(0)

    def counter(self) -> int:
        return self.now_us + COUNTER_AHEAD_US

    def at(self, t_us: int, what: str, value: Any = None) -> None:
        self.count += 1
        heappush(self.heap, (t_us, self.count, what, value))

    def carry(self, data: bytes, what: str) -> None:
        """Send bytes over the line: they arrive in order, in pieces, some of them damaged."""
        free_us = max(self.now_us + 300, self.free_us[what])
        while data:
            n = self.random.randrange(1, 40)
            part, data = data[:n], data[n:]
            free_us += 87 * len(part)
            if self.random.random() < self.faults:
                damage, at = self.random.randrange(4), self.random.randrange(len(part))
                if damage == 0:
                    part = part[:at] + part[at + 1 :]
                elif damage == 1:
                    part = part[:at] + bytes([part[at] ^ 1 << self.random.randrange(8)]) + part[at + 1 :]
                elif damage == 2:
                    part += part[at:]
                else:
                    part = b""
            self.at(free_us, what, part)
        self.free_us[what] = free_us

    def events(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, FrameHeard):
                self.delivered.append(event)
                self.at(self.now_us + self.random.randrange(5_000, 300_000), "commit", event)
            elif isinstance(event, TxResult):
                self.results.append(event)

    def write(self) -> None:
        """Let both sides write what they have; the head one frame at a time, as its main loop does."""
        data = self.link.data_to_send()
        if data:
            self.carry(data, "to head")
        while self.head.has_data() and self.free_us["to host"] <= self.now_us:
            self.carry(self.head.data_to_send(self.counter()), "to host")

    def run(self, until_us: int) -> None:
        self.write()
        while True:
            link_us = self.link.next_tick_us()
            head_us = self.head.next_us() - COUNTER_AHEAD_US
            free_us = self.free_us["to host"] if self.head.has_data() else until_us + 1
            due_us = min(head_us, free_us, until_us + 1 if link_us is None else link_us)
            if self.heap and self.heap[0][0] <= due_us:
                due_us, _, what, value = heappop(self.heap)
            else:
                what, value = "tick", None
            if due_us > until_us:
                if value is not None:
                    self.at(due_us, what, value)
                break
            self.now_us = max(self.now_us, due_us)
            if what == "to head":
                self.head.receive_data(value, self.counter())
            elif what == "to host":
                self.events(self.link.receive_data(value, self.now_us))
            elif what == "commit":
                self.safe.add(value.sequence)
                self.link.ack(value.boot_id, value.sequence)
            elif what == "air":
                self.chip.events.append(RX_DONE)
                self.chip.heard.append((value, -90, 12, 5, True, self.counter()))
                self.head.radio_event(0)
            else:
                self.head.tick(self.counter())
                self.events(self.link.tick(self.now_us))
            # What the head has forgotten, the host had made safe: every frame of it.
            assert set(range(1, self.head.store.first_sequence)) <= self.safe
            self.write()
        self.now_us = until_us


@settings(max_examples=100)
@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.02, 0.2]), st.integers(1, 60))
def test_every_frame_arrives_exactly_once_and_in_order(seed: int, faults: float, frames: int) -> None:
    line = Line(seed)
    line.run(SECOND)
    line.faults = faults
    for number in range(frames):
        line.at(SECOND + line.random.randrange(20 * SECOND), "air", b"frame %d" % number)
    order = [value for _, _, what, value in sorted(line.heap) if what == "air"]
    line.run(30 * SECOND)
    line.faults = 0.0
    line.run(60 * SECOND)
    assert [frame.phy_payload for frame in line.delivered] == order
    assert [frame.sequence for frame in line.delivered] == list(range(1, frames + 1))
    assert line.safe == set(range(1, frames + 1))
    assert len(line.head.store) == 0


@settings(max_examples=100)
@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.1, 0.3]))
def test_every_request_ends_once_and_is_sent_at_most_once(seed: int, faults: float) -> None:
    line = Line(seed)
    line.run(SECOND)
    line.faults = faults
    tags = []
    for number in range(5):
        if not line.link.ready:
            break
        tag = line.link.transmit(
            chip=0,
            counter_us=line.link.counter_us(line.now_us + 2 * SECOND),
            frequency_hz=869525000,
            spreading_factor=7,
            bandwidth_hz=125000,
            payload=b"down %d" % number,
            now_us=line.now_us,
        )
        assert tag is not None
        tags.append(tag)
        line.run(line.now_us + 2 * SECOND + 40_000)
        if line.head._ears[0].sending is not None:
            line.chip.events.append(TX_DONE)
            line.head.radio_event(0)
        line.run(line.now_us + SECOND)
    line.faults = 0.0
    line.run(line.now_us + 20 * SECOND)
    assert sorted(result.tag for result in line.results) == sorted(tags)
    assert len(line.chip.sent) == len(set(line.chip.sent))
    told_on_air = [result for result in line.results if result.outcome == "on_air"]
    assert len(told_on_air) <= len(line.chip.sent)
    if not faults:
        assert len(told_on_air) == len(tags) == 5


@settings(max_examples=50)
@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.05]))
def test_a_killed_host_loses_nothing_that_it_had_not_made_safe(seed: int, faults: float) -> None:
    line = Line(seed)
    line.run(SECOND)
    line.faults = faults
    for number in range(30):
        line.at(SECOND + number * 300_000, "air", b"frame %d" % number)
    line.run(6 * SECOND)
    safe_before = set(line.safe)
    # The new process knows nothing; what the old one had on its way is gone.
    line.heap = [entry for entry in line.heap if entry[2] in {"air", "to host"}]
    line.heap.sort()
    line.link = HeadLink(first_tag=1)
    line.link.configure([CHANNEL])
    line.link.connected(line.now_us)
    line.delivered.clear()
    line.run(20 * SECOND)
    line.faults = 0.0
    line.run(50 * SECOND)
    sequences = [frame.sequence for frame in line.delivered]
    assert sequences == list(range(sequences[0], 31))
    assert set(range(1, 31)) <= safe_before | set(sequences)
    assert len(line.head.store) == 0


@given(st.lists(st.binary(max_size=600), max_size=10), st.integers(0, 100_000))
def test_noise_from_the_head_never_stops_it(noise: list[bytes], step_us: int) -> None:
    wire = Wire()
    for part in noise:
        wire.now_us += step_us
        wire.link.receive_data(part, wire.now_us)
        wire.link.data_to_send()
    wire.link.receive_data(b"\0", wire.now_us)
    assert any(isinstance(event, HeadReady) for event in wire.hello())


@given(st.lists(st.tuples(st.sampled_from([row for row in link.MESSAGES if row[1] < 0x80]), st.data()), max_size=8))
def test_any_message_with_any_numbers_is_survived(messages: list[Any]) -> None:
    wire = Wire()
    wire.hello()
    for row, data in messages:
        fields: dict[str, Any] = {}
        for code, name in zip(row[2], row[3], strict=True):
            bits = {"B": 8, "b": 8, "H": 16, "h": 16, "I": 32, "i": 32}[code]
            low = -(1 << bits - 1) if code.islower() else 0
            fields[name] = data.draw(st.integers(low, low + (1 << bits) - 1))
        if data.draw(st.booleans()):
            fields["boot_id"] = BOOT_ID
        wire.say(row[0], b"\x40" if row[4] else b"", **fields)
        wire.wait(SECOND)
