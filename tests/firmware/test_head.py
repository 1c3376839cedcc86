"""The head's core: store, counter, schedule and the conversation with the host, on chips that only remember."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_head import counter as counter_module
from siel_head import link
from siel_head.counter import Counter, signed_32
from siel_head.head import HOST_GONE_US, RESTART_US, RETRY_US, Head
from siel_head.schedule import GUARD_US, MAX_AHEAD_US, MAX_AIRTIME_US, MAX_WAITING, PREPARE_US, Schedule
from siel_head.store import Store
from siel_node._compat import ticks_add
from siel_node.lora import airtime_us
from siel_node.radio.sx126x import NONE, RX_DONE, RX_ERROR, TX_DONE, RadioError

BOOT_ID = 0xC0FFEE01
SECOND = 1_000_000
CHANNEL: dict[str, Any] = {
    "frequency_hz": 868100000,
    "spreading_factor": 7,
    "bandwidth_hz": 125000,
    "antenna_gain_db": 2,
}
TX: dict[str, Any] = {
    "boot_id": BOOT_ID,
    "tag": 1,
    "chip": 0,
    "timed": 1,
    "counter_us": 0,
    "frequency_hz": 868100000,
    "spreading_factor": 7,
    "bandwidth_hz": 125000,
    "coding_rate": 5,
    "power_dbm": 14,
    "preamble": 8,
    "invert_iq": 1,
    "crc": 0,
}


class FakeChip:
    def __init__(self) -> None:
        self.log: list[Any] = []
        self.events: list[int] = []
        self.frames: list[Any] = []
        self.flag = SimpleNamespace(raised=False)
        self.broken = False
        self.deaf = False
        self.restarts = 0
        self.late = False
        self.in_rx = True

    def _call(self, *what: Any) -> None:
        if self.broken:
            raise RadioError("busy")
        self.log.append(what)

    def restart(self) -> None:
        self.restarts += 1
        self._call("restart")

    def listen(self, *channel: int) -> None:
        self._call("listen", *channel)
        if self.deaf:
            raise RadioError("busy")

    def listening(self) -> bool:
        self._call("listening")
        return self.in_rx

    def poll(self) -> int:
        self.flag.raised = False
        self._call("poll")
        return self.events.pop(0) if self.events else NONE

    def read(self) -> Any:
        self._call("read")
        return self.frames.pop(0)

    def transmit(self, transmission: Any) -> int | None:
        self.flag.raised = False  # as the driver, which forgets what it was not asked for
        self.frames.clear()
        self._call("transmit", transmission.payload, transmission.start_us)
        return None if self.late else transmission.start_us + 3


class Bench:
    """A head, its chips and its host's hand: messages in, messages out."""

    def __init__(self, chips: int = 1, store_frames: int = 64) -> None:
        self.now_us = 1000
        self.chips = [FakeChip() for _ in range(chips)]
        self.head = Head(self.chips, BOOT_ID, 1, 500, self.now_us, store_frames)
        self.deframer = link.Deframer()
        self.out: list[tuple[str, dict[str, int], bytes]] = []
        self.run(0)

    def run(self, delay_us: int) -> None:
        """Let time pass, ticking when the head wants it."""
        end_us = self.now_us + delay_us
        while self.head.next_us() <= end_us:
            self.now_us = max(self.now_us, self.head.next_us())
            self.head.tick(self.now_us)
            self.drain()
        self.now_us = end_us
        self.drain()

    def drain(self) -> None:
        while self.head.has_data():
            for body in self.deframer.receive_data(self.head.data_to_send(self.now_us)):
                message = link.decode(body)
                assert message is not None
                self.out.append(message)

    def say(self, name: str, payload: bytes = b"", **fields: Any) -> None:
        self.head.receive_data(link.encode(name, payload, **fields), self.now_us)
        self.drain()

    def take(self, name: str | None = None) -> list[Any]:
        found = [message for message in self.out if name in (None, message[0])]
        self.out = [message for message in self.out if message not in found]
        return found

    def greet(self) -> None:
        self.say("hello_request", version=link.VERSION, query=5)
        for index in range(len(self.chips)):
            self.say("configure", chip=index, **CHANNEL)
        self.out.clear()

    def hear(self, payload: bytes, chip: int = 0) -> None:
        self.chips[chip].events.append(RX_DONE)
        self.chips[chip].frames.append((payload, -80, -20, 5, True, self.now_us - 100))
        self.head.radio_event(chip)
        self.drain()

    def ask(self, ahead_us: int = SECOND, payload: bytes = b"\x60", **fields: int) -> None:
        self.say("tx", payload, **TX | {"counter_us": (self.now_us + ahead_us) & 0xFFFFFFFF} | fields)

    def outcomes(self) -> list[tuple[int, str, str]]:
        return [
            (fields["tag"], link.OUTCOMES[fields["outcome"]], link.REASONS[fields["reason"]])
            for _, fields, _ in self.take("tx_outcome")
        ]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.greet()
    return bench


# --- store and counter


def test_a_full_store_refuses_and_counts() -> None:
    store = Store(32)
    assert [store.add(number) for number in range(33)] == [True] * 32 + [False]
    assert (len(store), store.overflow, store.next_sequence()) == (32, 1, 33)
    assert store.get(1) == 0
    assert store.get(33) is None


@given(st.lists(st.integers(-1, 40), max_size=20))
def test_acknowledgements_are_cumulative_and_never_go_back(acknowledged: list[int]) -> None:
    store = Store(32)
    for number in range(1, 21):
        store.add(number)
    safe = 0
    for sequence in acknowledged:
        changed = store.ack(sequence)
        assert changed == (safe < sequence <= 20)
        safe = sequence if changed else safe
        assert store.first_sequence == safe + 1
        assert len(store) == 20 - safe
    assert store.get(safe) is None
    assert safe == 20 or store.get(safe + 1) == safe + 1


@given(st.lists(st.integers(0, 400_000_000), min_size=1, max_size=30), st.integers(0, 1 << 30))
def test_the_counter_extends_ticks_over_any_number_of_wraps(steps: list[int], start: int) -> None:
    ticks = [ticks_add(start, 0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counter_module, "ticks_us", lambda: ticks[0])
        counter = Counter()
        total = 0
        for step in steps:
            ticks[0] = ticks_add(ticks[0], step)
            total += step
            assert counter.at(ticks[0]) == total
            assert counter.now() == total
            assert counter.at(ticks_add(ticks[0], -500)) == total - 500
            assert counter.ticks(total + 700) == ticks_add(ticks[0], 700)
            assert counter.wide((total + 9) & 0xFFFFFFFF) == total + 9
            assert counter.wide((total - 9) & 0xFFFFFFFF) == total - 9


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, (1 << 32) - 1))
def test_signed_difference(difference: int, base: int) -> None:
    assert signed_32(((base + difference) & 0xFFFFFFFF) - base) == difference


# --- schedule


def admit(
    schedule: Schedule, now_us: int = 0, ahead_us: int | None = SECOND, payload: bytes = b"\x60", **fields: int
) -> tuple[str, str]:
    start_us = None if ahead_us is None else now_us + ahead_us
    outcome, reason, slack_us, _ = schedule.admit(TX | fields, payload, now_us, start_us, [])
    assert slack_us == (ahead_us or 0)
    return outcome, reason


TAKEN = ("scheduled", "")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, TAKEN),
        ({"frequency_hz": 869525000, "spreading_factor": 12}, TAKEN),
        ({"frequency_hz": 862900000}, ("refused", "TX_FREQ")),
        ({"frequency_hz": 868062499}, ("refused", "TX_FREQ")),
        ({"frequency_hz": 868062500}, TAKEN),
        ({"frequency_hz": 867937501}, ("refused", "TX_FREQ")),
        ({"frequency_hz": 867937500}, TAKEN),
        ({"frequency_hz": 868537500}, TAKEN),
        ({"frequency_hz": 868537501}, ("refused", "TX_FREQ")),
        ({"frequency_hz": 868650000}, ("refused", "TX_FREQ")),
        ({"frequency_hz": 869525000, "bandwidth_hz": 500000}, ("refused", "TX_FREQ")),
        ({"frequency_hz": 870000000}, ("refused", "TX_FREQ")),
        ({"spreading_factor": 6}, ("refused", "OTHER")),
        ({"spreading_factor": 13}, ("refused", "OTHER")),
        ({"bandwidth_hz": 62500}, ("refused", "OTHER")),
        ({"coding_rate": 4}, ("refused", "OTHER")),
        ({"coding_rate": 9}, ("refused", "OTHER")),
        ({"preamble": 5}, ("refused", "OTHER")),
        ({"preamble": 65535}, ("refused", "AIRTIME")),
        ({"ahead_us": PREPARE_US - 1}, ("too_late", "TOO_LATE")),
        ({"ahead_us": PREPARE_US}, TAKEN),
        ({"ahead_us": -5}, ("too_late", "TOO_LATE")),
        ({"ahead_us": MAX_AHEAD_US}, TAKEN),
        ({"ahead_us": MAX_AHEAD_US + 1}, ("refused", "TOO_EARLY")),
        ({"ahead_us": None}, TAKEN),
        ({"payload": b""}, ("refused", "OTHER")),
        ({"payload": bytes(255)}, TAKEN),
    ],
)
def test_admission(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    assert admit(Schedule(), **fields) == expected


def test_four_seconds_are_the_longest() -> None:
    fits = max(n for n in range(1, 256) if airtime_us(12, 125000, n, False) <= MAX_AIRTIME_US)
    options = {"frequency_hz": 869525000, "spreading_factor": 12}
    assert admit(Schedule(), payload=bytes(fits), **options) == TAKEN
    assert admit(Schedule(), payload=bytes(fits + 1), **options) == ("refused", "AIRTIME")


def test_collisions_on_one_chip_and_between_chips() -> None:
    on_air_us = airtime_us(7, 125000, 1, False)
    first_free_us = SECOND + on_air_us + GUARD_US
    for ahead_us, chip, expected in [
        (SECOND, 0, ("refused", "COLLISION")),
        (first_free_us - 1, 0, ("refused", "COLLISION")),
        (first_free_us, 0, TAKEN),
        (SECOND - on_air_us - GUARD_US, 0, TAKEN),
        (SECOND - on_air_us - GUARD_US + 1, 0, ("refused", "COLLISION")),
        (SECOND + GUARD_US - 1, 1, ("refused", "COLLISION")),
        (SECOND + GUARD_US, 1, TAKEN),
    ]:
        schedule = Schedule()
        assert admit(schedule) == TAKEN
        assert admit(schedule, ahead_us=ahead_us, chip=chip) == expected


def test_what_is_on_air_keeps_its_chip_busy() -> None:
    schedule = Schedule()
    admit(schedule)
    on_air = schedule.take(SECOND - PREPARE_US)
    outcome, reason, _, _ = schedule.admit(TX, b"\x60", SECOND + 1000, None, [on_air])
    assert (outcome, reason) == ("busy", "BUSY")


def test_so_many_wait_and_no_more() -> None:
    schedule = Schedule()
    for number in range(MAX_WAITING):
        assert admit(schedule, ahead_us=(MAX_WAITING - number) * SECOND) == TAKEN
    assert admit(schedule, ahead_us=15 * SECOND) == ("busy", "BUSY")
    starts = [transmission.start_us for transmission in schedule.waiting]
    assert starts == sorted(starts)


@pytest.mark.parametrize(("frequency_hz", "permille"), [(868100000, 10), (863500000, 1), (869525000, 100)])
def test_the_hourly_ceiling_counts_what_waits_and_what_was_sent(frequency_hz: int, permille: int) -> None:
    schedule = Schedule()
    on_air_us = airtime_us(10, 125000, 255, False)
    spent_us, now_us = 0, 0
    while True:
        outcome = admit(schedule, now_us, payload=bytes(255), frequency_hz=frequency_hz, spreading_factor=10)
        if outcome != TAKEN:
            break
        spent_us += on_air_us
        now_us += 5 * SECOND
        assert schedule.take(now_us) is not None
    assert outcome == ("refused", "DUTY_CYCLE")
    assert permille * 3600 * 1000 - on_air_us < spent_us <= permille * 3600 * 1000


def test_waiting_airtime_counts_before_it_is_sent() -> None:
    schedule = Schedule()
    payload = bytes(20)
    options = {"frequency_hz": 863500000, "spreading_factor": 12}
    assert admit(schedule, payload=payload, **options) == TAKEN
    assert admit(schedule, payload=payload, ahead_us=5 * SECOND, **options) == TAKEN
    assert admit(schedule, payload=payload, ahead_us=10 * SECOND, **options) == ("refused", "DUTY_CYCLE")
    schedule.cancel(1)
    assert admit(schedule, payload=payload, ahead_us=10 * SECOND, **options) == TAKEN


@pytest.mark.parametrize(
    ("frequency_hz", "asked_dbm", "sent_dbm"), [(868100000, 27, 16), (869525000, 27, 27), (868100000, 2, 2)]
)
def test_power_stays_below_the_bands_limit(frequency_hz: int, asked_dbm: int, sent_dbm: int) -> None:
    schedule = Schedule()
    admit(schedule, frequency_hz=frequency_hz, power_dbm=asked_dbm)
    assert schedule.waiting[0].power_dbm == sent_dbm


# --- the conversation


def test_hello_at_boot_and_ever_more_rarely_until_a_host_answers() -> None:
    bench = Bench()
    bench.run(60 * SECOND)
    assert 6 <= len(bench.take("hello")) <= 12
    bench.greet()
    bench.run(5 * SECOND)
    assert bench.take("hello") == []
    bench.run(HOST_GONE_US)
    assert len(bench.take("hello")) >= 1


def test_hello_says_who_is_there() -> None:
    bench = Bench(chips=3, store_frames=40)
    bench.out.clear()
    bench.say("hello_request", version=link.VERSION, query=9)
    ((_, fields, _),) = bench.take("hello")
    assert fields == {
        "version": link.VERSION,
        "query": 9,
        "boot_id": BOOT_ID,
        "reset_cause": 1,
        "chips": 3,
        "store_size": 40,
        "stamp_error_us": 500,
        "first_sequence": 1,
        "counter_us": bench.now_us & 0xFFFFFFFF,
    }


def test_configure_listens_once_and_says_so(bench: Bench) -> None:
    listens = [entry for entry in bench.chips[0].log if entry[0] == "listen"]
    assert listens == [("listen", 868100000, 7, 125000, 2)]
    bench.say("configure", chip=0, **CHANNEL)
    ((_, fields, _),) = bench.take("configured")
    assert (fields["ok"], fields["frequency_hz"], fields["spreading_factor"]) == (1, 868100000, 7)
    assert len([entry for entry in bench.chips[0].log if entry[0] == "listen"]) == 1
    bench.say("configure", chip=0, **CHANNEL | {"spreading_factor": 9})
    assert bench.chips[0].log[-1] == ("listen", 868100000, 9, 125000, 2)


@pytest.mark.parametrize(
    "wrong", [{"chip": 1}, {"frequency_hz": 862999999}, {"frequency_hz": 870000001}, {"spreading_factor": 6}]
)
def test_configure_refuses(bench: Bench, wrong: dict[str, Any]) -> None:
    bench.say("configure", **{"chip": 0} | CHANNEL | wrong)
    assert [fields["ok"] for _, fields, _ in bench.take("configured")] == [0]


def test_frames_go_out_at_once_and_again_until_they_are_acknowledged(bench: Bench) -> None:
    bench.hear(b"one")
    bench.hear(b"two")
    ((_, fields, payload), (_, second, _)) = bench.take("rx")
    assert payload == b"one"
    assert (fields["sequence"], fields["counter_us"], fields["rssi_dbm"], fields["snr_x4"]) == (1, 900, -80, -20)
    assert (fields["crc"], second["sequence"]) == (1, 2)
    bench.run(RETRY_US)
    assert [fields["sequence"] for _, fields, _ in bench.take("rx")] == [1, 2]
    bench.say("ack", boot_id=BOOT_ID, sequence=1)
    bench.run(RETRY_US)
    assert [fields["sequence"] for _, fields, _ in bench.take("rx")] == [2]
    bench.say("ack", boot_id=BOOT_ID, sequence=2)
    bench.run(3 * SECOND)
    assert bench.take("rx") == []
    assert len(bench.head.store) == 0


def test_an_acknowledgement_of_another_boot_forgets_nothing(bench: Bench) -> None:
    bench.hear(b"one")
    bench.say("ack", boot_id=BOOT_ID + 1, sequence=1)
    assert len(bench.head.store) == 1
    assert len(bench.take("hello")) == 1


def test_resend_goes_back(bench: Bench) -> None:
    for number in range(5):
        bench.hear(b"%d" % number)
    bench.out.clear()
    bench.say("resend", boot_id=BOOT_ID, sequence=3)
    assert [fields["sequence"] for _, fields, _ in bench.take("rx")] == [3, 4, 5]


def test_nothing_but_hello_without_a_host() -> None:
    bench = Bench()
    bench.greet()
    bench.hear(b"one")
    bench.run(HOST_GONE_US + SECOND)
    bench.out.clear()
    bench.hear(b"two")
    bench.run(60 * SECOND)
    assert {name for name, _, _ in bench.out} == {"hello"}
    bench.say("hello_request", version=link.VERSION, query=1)
    frames = bench.take("rx")
    assert [fields["sequence"] for _, fields, _ in frames] == [1, 2]
    assert frames[0][1]["age_s"] >= 71


def test_a_full_store_is_told_soon() -> None:
    bench = Bench(store_frames=32)
    bench.greet()
    for number in range(33):
        bench.hear(b"%d" % number)
    bench.run(2 * SECOND)
    ((_, fields, _), *_) = bench.take("stats")
    assert (fields["heard"], fields["stored"], fields["overflow"]) == (33, 32, 1)


@pytest.mark.parametrize(("in_rx", "last"), [(True, "listening"), (False, "listen")])
def test_bad_crc_is_counted_and_reception_goes_on(bench: Bench, in_rx: bool, last: str) -> None:
    bench.chips[0].in_rx = in_rx
    bench.chips[0].events.append(RX_ERROR)
    bench.head.radio_event(0)
    assert bench.chips[0].log[-1][0] == last
    assert bench.head.crc_errors == 1


def test_time_query(bench: Bench) -> None:
    bench.say("time_query", query=77)
    now_us = bench.now_us
    assert bench.take("time") == [
        ("time", {"query": 77, "boot_id": BOOT_ID, "received_us": now_us, "sent_us": now_us}, b"")
    ]


# --- transmissions


def test_a_transmission_from_request_to_truth(bench: Bench) -> None:
    bench.ask(payload=b"\x60abc")
    assert bench.outcomes() == [(1, "scheduled", "")]
    start_us = bench.now_us + SECOND
    bench.run(SECOND - PREPARE_US - 1)
    assert bench.chips[0].log[-1][0] == "listen"
    bench.run(1)
    assert bench.chips[0].log[-1] == ("transmit", b"\x60abc", start_us)
    assert bench.outcomes() == []
    bench.chips[0].events.append(TX_DONE)
    bench.head.radio_event(0)
    bench.drain()
    assert [entry[0] for entry in bench.chips[0].log[-2:]] == ["poll", "listen"]
    ((_, fields, _),) = bench.take("tx_outcome")
    assert link.OUTCOMES[fields["outcome"]] == "on_air"
    assert (fields["slack_us"], fields["counter_us"]) == (SECOND, start_us + 3)


def test_the_same_tag_never_transmits_twice(bench: Bench) -> None:
    bench.ask()
    bench.ask()
    assert bench.outcomes() == [(1, "scheduled", "")] * 2
    bench.run(SECOND)
    bench.ask()
    assert bench.outcomes() == [(1, "scheduled", "")]
    bench.chips[0].events.append(TX_DONE)
    bench.head.radio_event(0)
    bench.drain()
    bench.ask()
    bench.say("cancel", boot_id=BOOT_ID, tag=1)
    assert bench.outcomes() == [(1, "on_air", "")] * 3
    bench.run(5 * SECOND)
    assert len([entry for entry in bench.chips[0].log if entry[0] == "transmit"]) == 1


def test_cancel(bench: Bench) -> None:
    bench.ask()
    bench.say("cancel", boot_id=BOOT_ID, tag=1)
    bench.say("cancel", boot_id=BOOT_ID, tag=99)
    bench.ask()
    assert bench.outcomes() == [(1, "scheduled", ""), (1, "cancelled", ""), (99, "cancelled", ""), (1, "cancelled", "")]
    bench.run(3 * SECOND)
    assert not [entry for entry in bench.chips[0].log if entry[0] == "transmit"]


def test_a_request_for_another_boot_is_not_sent(bench: Bench) -> None:
    bench.ask(boot_id=BOOT_ID ^ 1)
    bench.run(3 * SECOND)
    assert bench.outcomes() == []
    assert not [entry for entry in bench.chips[0].log if entry[0] == "transmit"]


def test_a_processor_that_comes_too_late_says_so_and_listens(bench: Bench) -> None:
    bench.chips[0].late = True
    bench.ask()
    bench.run(2 * SECOND)
    assert bench.outcomes() == [(1, "scheduled", ""), (1, "too_late", "TOO_LATE")]
    assert bench.chips[0].log[-1][0] == "listen"


def test_a_lost_interrupt_is_found_and_a_dead_transmitter_reported(bench: Bench) -> None:
    bench.ask()
    bench.run(SECOND)
    bench.chips[0].events.append(TX_DONE)
    bench.run(SECOND)
    assert bench.outcomes()[-1] == (1, "on_air", "")
    bench.ask(tag=2)
    bench.run(3 * SECOND)
    assert bench.outcomes()[-1] == (2, "unknown", "OTHER")
    assert ("restart",) in bench.chips[0].log[-3:]


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_on_air_is_told_though_the_chip_fails_to_listen_again(bench: Bench, lost: bool) -> None:
    bench.ask()
    bench.run(SECOND)
    bench.chips[0].deaf = True
    bench.chips[0].events.append(TX_DONE)
    if not lost:
        bench.head.radio_event(0)
    bench.run(SECOND)
    assert bench.outcomes() == [(1, "scheduled", ""), (1, "on_air", "")]
    assert (bench.head.tx_on_air, bench.head.tx_failed) == (1, 0)


def test_what_came_too_late_is_told_as_that_though_the_chip_fails_to_listen_again(bench: Bench) -> None:
    bench.chips[0].late = True
    bench.ask()
    bench.chips[0].deaf = True
    bench.run(2 * SECOND)
    assert bench.outcomes() == [(1, "scheduled", ""), (1, "too_late", "TOO_LATE")]
    assert bench.head.radio_errors >= 1


def test_a_frame_that_ends_just_before_a_transmission_is_kept(bench: Bench) -> None:
    bench.ask()
    bench.run(SECOND - PREPARE_US - 1)
    chip = bench.chips[0]
    chip.events.append(RX_DONE)
    chip.frames.append((b"just in time", -80, -20, 5, True, bench.now_us))
    chip.flag.raised = True
    bench.run(1)
    assert chip.log[-1][0] == "transmit"
    assert [payload for _, _, payload in bench.take("rx")] == [b"just in time"]


def test_a_broken_chip_is_deaf_refuses_and_is_tried_again() -> None:
    bench = Bench(chips=2)
    bench.greet()
    bench.chips[1].broken = True
    bench.head.radio_event(1)
    bench.ask(chip=1)
    assert bench.outcomes() == [(1, "refused", "NO_RADIO")]
    bench.say("configure", chip=1, **CHANNEL)
    assert [fields["ok"] for _, fields, _ in bench.take("configured")] == [0]
    for _ in range(6):
        bench.say("time_query", query=1)
        bench.run(2 * SECOND)
    assert bench.take("stats")[-1][1]["deaf"] == 2
    bench.hear(b"the other one hears", chip=0)
    assert len(bench.take("rx")) == 1
    bench.chips[1].broken = False
    bench.run(RESTART_US)
    assert [entry[0] for entry in bench.chips[1].log[-2:]] == ["restart", "listen"]


def test_a_dead_chip_is_not_started_while_another_is_about_to_transmit() -> None:
    bench = Bench(chips=2)
    bench.greet()
    bench.chips[1].broken = True
    bench.head.radio_event(1)
    bench.run(RESTART_US)
    tries = bench.chips[1].restarts
    due_us = bench.head._ears[1].restart_us
    bench.ask(ahead_us=due_us + 50_000 - bench.now_us)
    bench.run(due_us + 49_000 - bench.now_us)
    assert bench.chips[0].log[-1][0] == "transmit"
    assert bench.chips[1].restarts == tries
    bench.run(SECOND)
    assert bench.chips[1].restarts == tries + 1


def test_a_chip_that_left_reception_by_itself_is_started_again(bench: Bench) -> None:
    bench.chips[0].in_rx = False
    bench.run(20 * SECOND)
    assert ("restart",) in bench.chips[0].log[1:]
    assert bench.head.radio_errors >= 1


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_noise_from_the_host_never_stops_it(noise: list[bytes]) -> None:
    bench = Bench()
    bench.greet()
    for part in noise:
        bench.head.receive_data(part, bench.now_us)
    bench.head.receive_data(b"\0", bench.now_us)
    bench.say("time_query", query=3)
    assert len(bench.take("time")) == 1


@given(st.lists(st.tuples(st.sampled_from([row for row in link.MESSAGES if row[1] >= 0x80]), st.data()), max_size=8))
def test_any_message_with_any_numbers_is_survived(messages: list[Any]) -> None:
    bench = Bench()
    bench.greet()
    for row, data in messages:
        fields: dict[str, Any] = {}
        for code, name in zip(row[2], row[3], strict=True):
            bits = {"B": 8, "b": 8, "H": 16, "I": 32}[code]
            low = -(1 << 7) if code == "b" else 0
            fields[name] = data.draw(st.integers(low, low + (1 << bits) - 1))
        if data.draw(st.booleans()) and "boot_id" in fields:
            fields["boot_id"] = BOOT_ID
        bench.say(row[0], b"\x60" if row[4] else b"", **fields)
    bench.run(30 * SECOND)
