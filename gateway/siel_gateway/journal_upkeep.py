"""What a journal needs beside its commits, at times when no acknowledgement waits: syncs and evictions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from siel_gateway.config_models import JournalConfig
from siel_gateway.journal_store import JournalStore
from siel_gateway.services import Services

SYNC_S: Final = 1.0
"""With ``sync = "normal"`` a power cut costs at most what was committed in this window."""
EVICT_S: Final = 10.0
"""While frames arrive."""
IDLE_EVICT_S: Final = 600.0
AGAIN_S: Final = 0.02
"""When one eviction was not enough."""

log = structlog.get_logger("siel.journal")


class Upkeep:
    """Knows what is due; the journal calls it between two commits.

    Args:
        services: Of the daemon.
        settings: ``[journal]`` of siel.toml.
        store: The open file.
        counters: The journal's; ``maintenance_failures`` and ``evicted_...`` are raised.
        wake: Makes the journal call :meth:`do_what_is_due` soon.
        failed: Told what the store could not do.
    """

    def __init__(
        self,
        services: Services,
        settings: JournalConfig,
        store: JournalStore,
        counters: dict[str, int],
        *,
        wake: Callable[[], None],
        failed: Callable[[Exception], Awaitable[None]],
    ) -> None:
        self._services = services
        self._settings = settings
        self._store = store
        self._counters = counters
        self._wake = wake
        self._failed = failed
        self._unsynced = False
        self._sync_due_us = 0
        self._evict_due_us = 0
        self._idle_timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Wake the journal no more."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    def committed(self) -> None:
        """Something was committed: it is to be synced."""
        if not self._unsynced:
            self._unsynced = True
            self._sync_due_us = self._services.monotonic_us() + int(SYNC_S * 1e6)
            asyncio.get_running_loop().call_later(SYNC_S, self._wake)

    async def do_what_is_due(self) -> None:
        """Sync and evict when it is time."""
        now_us = self._services.monotonic_us()
        if self._unsynced and now_us >= self._sync_due_us:
            self._unsynced = False
            await self._attempt(self._store.sync)
        if now_us >= self._evict_due_us:
            self._evict_due_us = now_us + int(EVICT_S * 1e6)
            await self._attempt(self._evict_job())
            self.stop()
            delay_s = IDLE_EVICT_S if self._evict_due_us else AGAIN_S
            self._idle_timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    async def _attempt(self, job: Callable[[], object]) -> None:
        try:
            await self._services.run_blocking(job)
        except (sqlite3.Error, OSError) as fault:
            self._counters["maintenance_failures"] += 1
            log.error("journal_maintenance_failed", error=str(fault))
            await self._failed(fault)

    def _evict_job(self) -> Callable[[], None]:
        now_ms = self._services.utc_ms() if self._services.clock_trust() != "none" else None

        def job() -> None:
            evicted = self._store.evict(
                now_ms=now_ms, max_bytes=self._settings.max_bytes, max_age_days=self._settings.max_age_days
            )
            self._counters["evicted_strangers"] += evicted.strangers
            self._counters["evicted_frames"] += evicted.frames
            self._counters["evicted_observations"] += evicted.observations
            if evicted.unfinished:
                self._evict_due_us = 0

        return job
