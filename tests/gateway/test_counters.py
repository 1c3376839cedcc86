from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_gateway.counters import RESTART_US, ForwarderClock, NorthCounter

U32 = st.integers(0, 2**32 - 1)
S = 1_000_000


@given(U32, st.integers(0, 2**50), U32)
def test_a_counter_maps_north_and_back(start_us: int, gateway_us: int, counter_us: int) -> None:
    north = NorthCounter(alone=False)
    north.start_session(start_us, gateway_us)
    assert north.to_north(start_us) == gateway_us % 2**32
    assert north.to_radio(north.to_north(counter_us)) == counter_us


@given(U32, U32)
def test_the_only_radio_is_shown_as_it_is(start_us: int, counter_us: int) -> None:
    north = NorthCounter(alone=True)
    north.start_session(start_us, 123)
    assert (north.offset_us, north.to_north(counter_us), north.to_radio(counter_us)) == (0, counter_us, counter_us)


def test_the_first_frame_starts_a_session() -> None:
    clock = ForwarderClock()
    assert clock.gateway_us(5, 10) is None
    assert clock.add(5, 10)
    assert clock.gateway_us(5, 10) == 10


@given(U32, st.lists(st.tuples(st.integers(1, 3_000 * S), st.integers(0, 20_000)), min_size=1, max_size=40))
def test_late_frames_of_one_session_never_look_like_a_restart(first_us: int, steps: list[tuple[int, int]]) -> None:
    clock = ForwarderClock()
    heard_us = 10**9
    clock.add(first_us, heard_us)
    counter = first_us
    for gap_us, late_us in steps:
        heard_us += gap_us
        counter = (counter + gap_us + gap_us * 40 // S) % 2**32  # 40 ppm fast
        assert not clock.add(counter, heard_us + late_us)


@pytest.mark.parametrize(("jump_us", "restarted"), [(RESTART_US - 1000, False), (RESTART_US + 1000, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_jump_is_a_restart(jump_us: int, restarted: bool, sign: int) -> None:
    clock = ForwarderClock()
    clock.add(2**31, 100 * S)
    assert clock.add(2**31 + S + sign * jump_us, 101 * S) is restarted


def test_the_frame_with_the_least_delay_is_believed() -> None:
    clock = ForwarderClock()
    for heard_s, late_us in ((1, 9000), (2, 300), (3, 15000)):
        clock.add(heard_s * S, heard_s * S + late_us)
    mapped = clock.gateway_us(4 * S, 3 * S)
    assert mapped is not None
    assert 4 * S <= mapped < 4 * S + 500


def test_a_counter_value_means_the_nearest_time() -> None:
    clock = ForwarderClock()
    clock.add(2**32 - 100, 10**10)
    assert clock.gateway_us(900, 10**10) == 10**10 + 1000
    assert clock.gateway_us(2**32 - 1100, 10**10) == 10**10 - 1000
