"""Keeps the daemon's tasks alive: whatever ends one of them is logged, counted, and never ends another."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from siel_gateway.backoff import Backoff

RESTART_FIRST_S: Final = 1.0
RESTART_LAST_S: Final = 60.0

log = structlog.get_logger("siel.daemon")


async def keep_running(name: str, run: Callable[[], Awaitable[None]], counters: Counter[str]) -> None:
    """Run ``run`` again whenever it ends, with pauses that grow while it ends soon, until cancelled.

    Args:
        name: Of the task, for the log.
        run: Handles its own peers' errors; what it raises all the same is a fault of ours.
        counters: ``task_restarts`` is raised.
    """
    backoff = Backoff(RESTART_FIRST_S, RESTART_LAST_S)
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            await run()
            log.error("task_ended", task=name)
        except Exception:
            log.error("task_failed", task=name, exc_info=True)
        counters["task_restarts"] += 1
        if loop.time() - began_s >= RESTART_LAST_S:
            backoff.reset()
        await asyncio.sleep(backoff.next_s())


async def run_once(name: str, job: Coroutine[Any, Any, None], counters: Counter[str]) -> None:
    """Run ``job`` to its end; what it raises is logged and counted as ``task_faults``."""
    try:
        await job
    except Exception:
        log.error("task_failed", task=name, exc_info=True)
        counters["task_faults"] += 1
