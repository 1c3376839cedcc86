"""The outbox loses no row, in whatever order things happen."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway.sinks.outbox import Outbox


def _fill(outbox: Outbox[str], *rows: int) -> None:
    for row in rows:
        outbox.offer(row, f"item {row}")


def test_rows_come_out_as_they_came_in() -> None:
    outbox = Outbox[str](0, 0)
    _fill(outbox, 1, 2)
    assert (outbox.take(), outbox.take(), outbox.take()) == ((1, "item 1"), (2, "item 2"), None)
    assert outbox.pending == 2


def test_the_cursor_never_passes_a_row_that_is_not_acknowledged() -> None:
    outbox = Outbox[str](0, 0)
    _fill(outbox, 1, 2, 3)
    for _ in range(3):
        outbox.take()
    assert not outbox.acknowledge(3)
    assert not outbox.acknowledge(2)
    assert outbox.cursor == 0
    assert outbox.acknowledge(1)
    assert (outbox.cursor, outbox.pending) == (3, 0)
    assert not outbox.acknowledge(3)  # twice


def test_only_what_is_not_acknowledged_is_sent_again_and_first() -> None:
    outbox = Outbox[str](0, 0)
    _fill(outbox, 1, 2, 3, 4)
    for _ in range(3):
        outbox.take()
    outbox.acknowledge(2)
    outbox.take_back()
    assert [outbox.take(), outbox.take(), outbox.take(), outbox.take()] == [
        (1, "item 1"),
        (3, "item 3"),
        (4, "item 4"),
        None,
    ]
    outbox.acknowledge(1)
    assert outbox.cursor == 2


def test_rows_of_an_earlier_life_are_read_from_the_journal_first() -> None:
    outbox = Outbox[str](2, 4)
    assert outbox.behind
    _fill(outbox, 5)
    assert outbox.take() is None
    assert outbox.pending == 3
    outbox.refill([(3, "item 3"), (4, "item 4"), (5, "item 5")])
    assert not outbox.behind
    assert [outbox.take(), outbox.take(), outbox.take()] == [(3, "item 3"), (4, "item 4"), (5, "item 5")]


def test_at_most_limit_rows_wait_in_memory() -> None:
    outbox = Outbox[str](0, 0, limit=3)
    _fill(outbox, 1, 2, 3)
    assert not outbox.behind
    _fill(outbox, 4, 5)
    assert outbox.behind
    assert (outbox.read_to, outbox.newest, outbox.pending) == (3, 5, 5)


def test_what_the_journal_has_evicted_is_not_waited_for() -> None:
    outbox = Outbox[str](0, 7)
    outbox.skip_to(7)
    assert not outbox.behind
    assert outbox.pending == 0
    _fill(outbox, 8)
    assert outbox.take() == (8, "item 8")


def test_a_row_offered_twice_is_sent_once() -> None:
    outbox = Outbox[str](0, 0)
    _fill(outbox, 1, 1)
    assert outbox.take() is not None
    assert outbox.take() is None


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["offer", "take", "take", "ack", "ack_last", "lost", "read"]), max_size=60),
    st.integers(1, 4),
)
def test_every_row_arrives_and_the_cursor_tells_the_truth(steps: list[str], limit: int) -> None:
    outbox = Outbox[int](0, 0, limit=limit)
    newest, arrived, on_the_way = 0, set[int](), list[int]()

    def step(kind: str) -> None:
        nonlocal newest
        if kind == "offer":
            newest += 1
            outbox.offer(newest, newest)
        elif kind == "take":
            taken = outbox.take()
            if taken is not None:
                assert taken[0] == taken[1]
                on_the_way.append(taken[0])
        elif kind.startswith("ack") and on_the_way:
            row = on_the_way.pop(0 if kind == "ack" else -1)
            arrived.add(row)
            outbox.acknowledge(row)
        elif kind == "lost":
            on_the_way.clear()
            outbox.take_back()
        elif kind == "read" and outbox.behind and outbox.room:
            rows = range(outbox.read_to + 1, min(newest, outbox.read_to + 2) + 1)
            outbox.refill((row, row) for row in rows)
        assert set(range(1, outbox.cursor + 1)) <= arrived
        assert outbox.pending == newest - len(arrived)

    for kind in steps:
        step(kind)
    for _ in range(4 * newest):
        for kind in ("read", "take", "ack"):
            step(kind)
    assert arrived == set(range(1, newest + 1))
    assert (outbox.cursor, outbox.pending) == (newest, 0)
