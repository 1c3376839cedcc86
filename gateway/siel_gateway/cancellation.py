"""For tasks whose cancellation somebody else may swallow.

Before Python 3.12, ``asyncio.wait_for``, which libraries use, returns as if nothing had been when what it waits for
comes in the same turn as the cancellation (bpo-42130). And a ``TaskGroup`` that is cancelled while one of its tasks
fails raises the failure alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

CANCEL_AGAIN_S: Final = 5.0
"""Longer than a task that has heard it takes to say goodbye to its peer."""


def obey_cancellation() -> None:
    """End the current task if it was asked to end and still runs.

    Only for tasks without a ``TaskGroup``: in Python 3.11 a group whose task fails leaves a request of its own counted.

    Raises:
        asyncio.CancelledError: It was asked to.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def cancel_until_done(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Ask ``tasks`` to end, again and again until all have."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
