"""The head's counter and the host's clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from siel_gateway.head_clock import COUNTER_PERIOD_US, HeadClock
from siel_hil.rigs.head_wire import SECOND


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
