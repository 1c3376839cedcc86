"""For tasks whose cancellation somebody else may have swallowed."""

from __future__ import annotations

import asyncio


def obey_cancellation() -> None:
    """End the current task if it was asked to end and still runs.

    Before Python 3.12, ``asyncio.wait_for``, which libraries use, returns as if nothing had been when what it waits for
    comes in the same turn as the cancellation (bpo-42130). And a ``TaskGroup`` that is cancelled while one of its tasks
    fails raises the failure alone.

    Raises:
        asyncio.CancelledError: It was asked to.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
