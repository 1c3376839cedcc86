from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_gateway.seen import MAX_RANGES, SeenSequences


@given(st.lists(st.integers(1, 60)))
def test_exactly_what_was_added_is_seen(numbers: list[int]) -> None:
    seen = SeenSequences()
    for number in numbers:
        seen.add(number)
    assert {number for number in range(62) if number in seen} == set(numbers)
    assert seen.bounds == sorted(seen.bounds)
    # Survives the disk.
    again = SeenSequences(msgspec.msgpack.decode(msgspec.msgpack.encode(seen.bounds), type=list[int]))
    assert {number for number in range(62) if number in again} == set(numbers)


def test_frames_in_order_are_one_range() -> None:
    seen = SeenSequences()
    for number in range(7, 1000):
        seen.add(number)
    assert seen.bounds == [7, 999]


@pytest.mark.parametrize(("ranges", "gap_is_open"), [(MAX_RANGES, True), (MAX_RANGES + 1, False)])
def test_the_oldest_gap_is_given_up_beyond_the_bound(ranges: int, gap_is_open: bool) -> None:
    seen = SeenSequences()
    for number in range(1, 2 * ranges + 1, 2):
        seen.add(number)
    assert (2 not in seen) is gap_is_open
    assert 2 * ranges - 2 not in seen
    assert len(seen.bounds) <= 2 * MAX_RANGES
