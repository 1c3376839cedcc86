"""The coordinator: order, horizon, interruption and the identity of a run."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_hil.errors import ParticipantError
from siel_hil.world import World


@given(st.lists(st.integers(0, 50), max_size=40))
def test_events_happen_in_time_order_and_in_the_order_asked_for_at_equal_times(times: list[int]) -> None:
    world, seen = World(1), list[tuple[int, int]]()
    for number, t_us in enumerate(times):
        world.at(t_us, lambda number=number: seen.append((world.now_us, number)))
    world.run(100)
    assert seen == sorted((t, n) for n, t in enumerate(times))
    assert world.now_us == 100


def test_a_cancelled_event_does_not_happen_and_does_not_hold_anybody_back() -> None:
    world, seen = World(1), list[str]()
    world.at(5, seen.append, "no").cancel()
    world.horizon_us = 100
    assert world.next_us() is None
    assert world.may_run_to(50)
    world.run(10)
    assert seen == []


def test_a_participant_may_not_pass_an_event_the_horizon_or_an_interruption() -> None:
    world = World(1)
    world.at(10, lambda: None)
    world.horizon_us = 20
    assert world.may_run_to(10)
    assert not world.may_run_to(11)
    world.run(10)
    assert not world.may_run_to(21)
    world.horizon_us = 20
    assert world.may_run_to(20)
    world.interrupt()
    assert not world.may_run_to(20)


def test_run_returns_after_the_event_that_interrupts_so_that_others_see_that_moment() -> None:
    world, seen = World(1), list[int]()
    world.at(5, world.interrupt)
    world.at(6, seen.append, 6)
    world.run(10)
    assert (world.now_us, seen) == (5, [])
    world.run(10)
    assert (world.now_us, seen) == (10, [6])


def test_the_past_is_now() -> None:
    world, seen = World(1), list[int]()
    world.run(50)
    world.at(10, lambda: seen.append(world.now_us))
    world.run(50)
    assert seen == [50]


def test_a_failure_ends_the_run_with_its_own_exception() -> None:
    world = World(1)
    world.at(3, world.fail, RuntimeError("battery"))
    with pytest.raises(RuntimeError, match="battery"):
        world.run(10)


def test_a_failure_told_between_two_runs_ends_the_next_one_and_is_told_once() -> None:
    world = World(1)
    world.fail(RuntimeError("battery"))
    with pytest.raises(RuntimeError, match="battery"):
        world.run(10)
    world.run(10)
    assert world.now_us == 10


class Spinner:
    """Acts for ever at one moment."""

    name = "spinner"

    def __init__(self, world: World) -> None:
        self.world = world

    def act(self) -> None:
        self.world.after(0, self.act)


def test_one_who_lets_no_time_pass_is_told_by_name() -> None:
    world = World(1)
    world.at(7, Spinner(world).act)
    with pytest.raises(ParticipantError, match=r"spinner: hung.*at 7 us"):
        world.run(10)


def test_many_events_at_one_moment_are_no_hang() -> None:
    world, count = World(1), 20_000
    seen = list[int]()
    for number in range(count):
        world.at(7, seen.append, number)
    world.run(10)
    assert len(seen) == count


def test_the_hash_covers_time_order_and_every_field() -> None:
    def hash_of(*entries: tuple[int, str, str, int]) -> str:
        world = World(1)
        for t_us, source, kind, value in entries:
            world.now_us = t_us
            world.log(source, kind, value=value)
        return world.event_hash()

    one = hash_of((1, "a", "tx", 5), (2, "b", "rx", 6))
    assert one == hash_of((1, "a", "tx", 5), (2, "b", "rx", 6))
    others = [
        hash_of((2, "b", "rx", 6), (1, "a", "tx", 5)),
        hash_of((1, "a", "tx", 5), (3, "b", "rx", 6)),
        hash_of((1, "c", "tx", 5), (2, "b", "rx", 6)),
        hash_of((1, "a", "tx", 7), (2, "b", "rx", 6)),
    ]
    assert one not in others
    assert len(set(others)) == len(others)


def test_the_log_is_json_lines_whose_bytes_are_hex() -> None:
    out = StringIO()
    world = World(1, log_to=out)
    world.log("node", "tx", data=b"\x01\xff", note="x")
    assert json.loads(out.getvalue()) == [0, "node", "tx", {"data": "01ff", "note": "x"}]


def test_each_purpose_has_its_own_stream_that_depends_on_the_seed_alone() -> None:
    first = World(1).rng("tide").random()
    world = World(1)
    world.rng("other").random()
    assert world.rng("tide").random() == first
    assert World(2).rng("tide").random() != first
