from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from siel_gateway.backoff import Backoff
from siel_gateway.upstreams import Progress


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=40))
def test_progress_never_passes_a_row_that_is_not_settled(steps: list[tuple[bool, int]]) -> None:
    progress, row, waiting, previous = Progress(100), 100, set[int](), 100
    for begins, pick in steps:
        row += 1
        if begins:
            progress.begin(row)
            waiting.add(row)
        else:
            progress.skip(row)
        if waiting and pick < 20:
            done = sorted(waiting)[pick % len(waiting)]
            progress.finish(done)
            waiting.remove(done)
        assert progress.settled == (min(waiting) - 1 if waiting else row)
        assert progress.settled >= previous
        assert progress.pending == len(waiting)
        previous = progress.settled


def test_pauses_grow_to_a_bound_and_start_again() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5
