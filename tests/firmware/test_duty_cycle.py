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
