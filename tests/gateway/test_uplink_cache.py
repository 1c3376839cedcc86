from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_gateway.records import RxFrame
from siel_gateway.uplink_cache import MAX_AGE_US, MAX_FRAMES, UplinkCache

S = 1_000_000


@pytest.mark.parametrize("delay_s", [1, 2, 5, 6, 15, 16])
def test_a_downlink_finds_the_radio_and_counter_of_its_uplink(make_frame: Callable[..., RxFrame], delay_s: int) -> None:
    cache = UplinkCache()
    cache.add(make_frame(radio="roof", counter_us=1000, gateway_us=50), 90_000)
    cache.add(make_frame(radio="mast", counter_us=2000, gateway_us=60), 90_007)
    answer = cache.find(90_007 + delay_s * S, now_us=300_000)
    assert answer is not None
    assert (answer.uplink.radio, answer.counter_us) == ("mast", 2000 + delay_s * S)


@pytest.mark.parametrize("off_us", [0, 17 * S, S - 1, S + 1, -S])
def test_any_other_time_answers_nothing(make_frame: Callable[..., RxFrame], off_us: int) -> None:
    cache = UplinkCache()
    cache.add(make_frame(gateway_us=50), 90_000)
    assert cache.find((90_000 + off_us) % 2**32, now_us=60) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 16))
def test_both_counters_wrap(make_frame: Callable[..., RxFrame], north_us: int, counter_us: int, delay_s: int) -> None:
    cache = UplinkCache()
    cache.add(make_frame(counter_us=counter_us, gateway_us=0), north_us)
    answer = cache.find((north_us + delay_s * S) % 2**32, now_us=0)
    assert answer is not None
    assert answer.counter_us == (counter_us + delay_s * S) % 2**32


@pytest.mark.parametrize(("age_us", "found"), [(MAX_AGE_US, True), (MAX_AGE_US + 1, False)])
def test_an_uplink_is_forgotten_after_20_seconds(make_frame: Callable[..., RxFrame], age_us: int, found: bool) -> None:
    cache = UplinkCache()
    cache.add(make_frame(gateway_us=1000), 0)
    assert (cache.find(S, now_us=1000 + age_us) is not None) is found


def test_the_oldest_leave_at_the_bound(make_frame: Callable[..., RxFrame]) -> None:
    cache = UplinkCache()
    for number in range(MAX_FRAMES):
        cache.add(make_frame(gateway_us=number), number * 3)
    assert cache.find(S, now_us=10) is not None
    cache.add(make_frame(gateway_us=MAX_FRAMES), MAX_FRAMES * 3)
    assert len(cache) == MAX_FRAMES
    assert cache.find(S, now_us=10) is None
    assert cache.find(3 + S, now_us=10) is not None


def test_a_repeated_number_belongs_to_the_later_frame_until_that_one_leaves(
    make_frame: Callable[..., RxFrame],
) -> None:
    cache = UplinkCache(max_frames=2)
    cache.add(make_frame(radio="roof", gateway_us=1), 500)
    cache.add(make_frame(radio="mast", gateway_us=2), 500)
    cache.add(make_frame(radio="mast", gateway_us=3), 700)
    answer = cache.find(500 + S, now_us=4)
    assert answer is not None
    assert answer.uplink.radio == "mast"
