from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from siel_node.duty_cycle import DutyCycle

BAND_1_PERCENT = 868_100_000
HOUR_US = 3_600_000_000


def test_a_fresh_ledger_sends_at_once() -> None:
    assert DutyCycle().wait_s(0, BAND_1_PERCENT, 61_000) == 0


def test_a_whole_budget_in_one_second_blocks_for_an_hour_and_no_more_than_a_minute_longer() -> None:
    ledger = DutyCycle()
    ledger.spend(100, BAND_1_PERCENT, 36_000_000)
    wait_s = ledger.wait_s(100, BAND_1_PERCENT, 1)
    assert 3600 < wait_s <= 3660
    assert ledger.wait_s(100 + wait_s - 1, BAND_1_PERCENT, 1) == 1
    assert ledger.wait_s(100 + wait_s, BAND_1_PERCENT, 36_000_000) == 0


def test_no_silence_after_a_frame_that_leaves_room() -> None:
    ledger = DutyCycle()
    ledger.spend(0, BAND_1_PERCENT, 1_483_000)
    assert ledger.wait_s(2, BAND_1_PERCENT, 1_483_000) == 0


def test_the_three_default_channels_share_one_budget_and_cflist_has_another() -> None:
    ledger = DutyCycle()
    ledger.spend(0, 868_100_000, 36_000_000)
    assert ledger.wait_s(1, 868_500_000, 1) > 0
    assert ledger.wait_s(1, 867_100_000, 36_000_000) == 0
    assert ledger.wait_s(1, 869_525_000, 360_000_000) == 0


def test_never_is_minus_one() -> None:
    ledger = DutyCycle()
    assert ledger.wait_s(0, 868_650_000, 1) == -1, "between two sub-bands"
    assert ledger.wait_s(0, BAND_1_PERCENT, 36_000_000) == 0
    assert ledger.wait_s(0, BAND_1_PERCENT, 36_000_001) == -1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(20_000, 4_000_000)), min_size=20, max_size=120))
def test_no_instant_sees_more_than_the_budget_in_the_hour_before(plan: list[tuple[int, int]]) -> None:
    ledger = DutyCycle()
    now_s = 0
    sent: list[tuple[int, int]] = []
    for pause_s, airtime_us in plan:
        now_s += pause_s
        wait_s = ledger.wait_s(now_s, BAND_1_PERCENT, airtime_us)
        assert wait_s >= 0
        now_s += wait_s
        assert ledger.wait_s(now_s, BAND_1_PERCENT, airtime_us) == 0, "the promised second holds"
        ledger.spend(now_s, BAND_1_PERCENT, airtime_us)
        # the worst case for a clock that counts whole seconds
        start_us = now_s * 1_000_000 + 999_999
        sent.append((start_us, start_us + airtime_us))
        now_s = -(-sent[-1][1] // 1_000_000)
        for _, end_us in sent:
            spent_us = sum(max(0, min(e, end_us) - max(s, end_us - HOUR_US)) for s, e in sent)
            assert spent_us <= 36_000_000


class Node:
    """A ledger used as the node does, with a clock that starts at 0 in each life; the sky keeps the true time."""

    def __init__(self) -> None:
        self.now_s = 0
        self.stored = b""
        self.stores = 0
        self.sent: list[tuple[int, int]] = []
        self.reset()

    def reset(self) -> None:
        self.born_s = self.now_s
        self.ledger = DutyCycle()
        self.ledger.unpack(self.stored, 0)

    def store(self) -> None:
        self.stored = bytes(self.ledger.pack(self.now_s - self.born_s))
        self.stores += 1

    def send(self, airtime_us: int) -> int:
        wait_s = self.ledger.wait_s(self.now_s - self.born_s, BAND_1_PERCENT, airtime_us)
        assert wait_s >= 0
        self.now_s += wait_s
        if self.ledger.reserve(BAND_1_PERCENT, airtime_us):
            self.store()
        self.sent.append((self.now_s, airtime_us))
        return wait_s

    def book(self) -> None:
        self.ledger.spend(self.now_s - self.born_s, BAND_1_PERCENT, self.sent[-1][1])


PLAN = st.lists(
    st.tuples(
        st.integers(0, 900), st.integers(20_000, 4_000_000), st.sampled_from(["", "", "before", "after", "idle"])
    ),
    min_size=20,
    max_size=120,
)


@settings(max_examples=100, deadline=None)
@given(PLAN)
def test_resets_at_any_moment_never_make_it_undercount(plan: list[tuple[int, int, str]]) -> None:
    node = Node()
    for pause_s, airtime_us, reset in plan:
        node.now_s += pause_s
        if reset == "idle":
            node.store()
        node.send(airtime_us)
        if reset == "before":  # the frame is on air and nothing else knows
            node.reset()
        else:
            node.book()
        if reset == "after":
            node.reset()
        spent_us = sum(us for at_s, us in node.sent if at_s > node.now_s - 3600)
        assert spent_us <= 36_000_000


def test_a_reset_after_each_frame_costs_no_more_than_the_frame() -> None:
    node = Node()
    for _ in range(36):
        assert node.send(1_000_000) == 0
        node.book()
        node.reset()
    assert node.ledger.wait_s(0, BAND_1_PERCENT, 1) > 0


def test_stores_are_seldom() -> None:
    node = Node()
    for _ in range(24 * 60):
        assert node.send(61_696) == 0
        node.book()
        node.now_s += 60
    assert node.stores <= 7 + 24 * 60 * 61_696 // 4_400_000


def test_a_restart_without_time_changes_nothing_however_often() -> None:
    node = Node()
    for _ in range(40):
        node.send(800_000)
        node.book()
        node.now_s += 97
    node.store()
    node.reset()  # what was reserved is spent now
    node.store()
    before = node.stored
    for _ in range(5):
        node.reset()
        node.store()
        assert node.stored == before


def test_time_that_is_known_to_have_passed_counts_but_not_for_what_is_reserved() -> None:
    ledger = DutyCycle()
    ledger.spend(0, BAND_1_PERCENT, 30_000_000)
    assert ledger.reserve(BAND_1_PERCENT, 2_000_000)
    slept = DutyCycle()
    slept.unpack(ledger.pack(600), 0, 3060)
    assert slept.wait_s(0, BAND_1_PERCENT, 34_000_000) == 0
    assert slept.wait_s(0, BAND_1_PERCENT, 34_000_001) > 0


def test_a_node_that_sleeps_deep_between_its_frames_grows_older() -> None:
    """Rounding may make each of twelve sleeps an hour a minute shorter, so a fifth of the budget is out of reach."""
    stored = b""
    for _ in range(40):
        ledger = DutyCycle()
        ledger.unpack(stored, 0, 290)
        assert ledger.wait_s(0, BAND_1_PERCENT, 2_000_000) == 0
        ledger.spend(0, BAND_1_PERCENT, 2_000_000)
        stored = bytes(ledger.pack(10))


@given(st.binary(max_size=200), st.integers(0, 100_000), st.integers(0, 100_000))
def test_any_bytes_are_a_ledger(data: bytes, now_s: int, elapsed_s: int) -> None:
    ledger = DutyCycle()
    ledger.unpack(data, now_s, elapsed_s)
    wait_s = ledger.wait_s(now_s, BAND_1_PERCENT, 36_000_000)
    assert ledger.wait_s(now_s + wait_s, BAND_1_PERCENT, 36_000_000) == 0


def test_what_is_stored_fits_a_record() -> None:
    ledger = DutyCycle()
    for now_s in range(0, 4000, 7):
        for frequency_hz in (864_000_000, 867_100_000, BAND_1_PERCENT, 869_000_000, 869_500_000, 869_800_000):
            ledger.reserve(frequency_hz, 1000)
            ledger.spend(now_s, frequency_hz, 1000)
    assert len(ledger.pack(4000)) <= 2232


@given(st.lists(st.integers(1, 10), min_size=1, max_size=2000))
@settings(max_examples=10, deadline=None)
def test_the_ledger_stays_small(pauses_s: list[int]) -> None:
    ledger = DutyCycle(bands=((868_000_000, 868_600_000, 1000, 14),))
    now_s = 0
    for pause_s in pauses_s:
        now_s += pause_s
        ledger.wait_s(now_s, BAND_1_PERCENT, 1000)
        ledger.spend(now_s, BAND_1_PERCENT, 1000)
    assert len(ledger._spent[0]) <= 2 * 63
