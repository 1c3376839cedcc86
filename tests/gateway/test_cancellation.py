"""A task that is asked to end does, whatever a library makes of the request."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from siel_gateway import cancellation, supervisor
from siel_gateway.cancellation import cancel_until_done, obey_cancellation
from siel_gateway.supervisor import keep_running

HANG_S = 20.0
"""A guard, no measure."""


async def ends(task: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait({task}, timeout=HANG_S)
    assert task in done, "it was asked to end and goes on"
    assert task.cancelled()


@pytest.mark.parametrize("turns", range(5))
def test_a_cancellation_in_the_turn_in_which_the_awaited_comes_is_obeyed(turns: int) -> None:
    async def main() -> None:
        came = asyncio.Event()

        async def work() -> None:
            await asyncio.wait_for(came.wait(), HANG_S)
            obey_cancellation()
            await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        came.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await ends(task)

    asyncio.run(main())


def test_who_was_not_asked_goes_on() -> None:
    async def main() -> None:
        obey_cancellation()

    asyncio.run(main())


async def _swallows(asked: asyncio.Event) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        asked.set()
        await asyncio.Event().wait()


async def _fails_instead(asked: asyncio.Event) -> None:
    try:
        asked.set()
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise OSError("something else as well") from None


@pytest.mark.parametrize("first_life", [_swallows, _fails_instead])
def test_a_supervised_task_that_misses_its_first_cancellation_is_asked_again(
    first_life: Callable[[asyncio.Event], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_FIRST_S", 0.0)
    monkeypatch.setattr(cancellation, "CANCEL_AGAIN_S", 0.01)

    async def main() -> None:
        asked = asyncio.Event()

        async def run() -> None:
            if asked.is_set():
                await asyncio.Event().wait()
            await first_life(asked)

        task = asyncio.create_task(keep_running("t", run, Counter()))
        await asked.wait()
        async with asyncio.timeout(HANG_S):
            await cancel_until_done([task])
        assert task.cancelled()

    asyncio.run(main())


def test_nothing_to_end_is_no_fault() -> None:
    async def main() -> None:
        await cancel_until_done([])
        done = asyncio.create_task(asyncio.sleep(0))
        await done
        await cancel_until_done([done])

    asyncio.run(main())
