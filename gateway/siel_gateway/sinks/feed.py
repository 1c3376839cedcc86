"""The way of Observations from the journal to one sink, as a stream that never loses its place."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final, Protocol

import structlog

from siel_gateway.records import Observation
from siel_gateway.sinks.outbox import Outbox

BATCH: Final = 256
RETRY_S: Final = 1.0
"""After the journal could not be read."""

log = structlog.get_logger("siel.sink")


class ObservationLog(Protocol):
    """What a sink needs of the journal."""

    @property
    def last_observation_row(self) -> int:
        """The newest row, 0 for none."""
        ...

    def cursor(self, consumer: str) -> int:
        """Return the last row that ``consumer`` has acknowledged."""
        ...

    def set_cursor(self, consumer: str, row: int) -> None:
        """Note that ``consumer`` has acknowledged everything up to ``row``."""
        ...

    def committed(self) -> asyncio.Future[None]:
        """Return the future that is done when everything added so far is on disk."""
        ...

    async def observations_after(self, row: int, limit: int = BATCH) -> list[tuple[int, Observation]]:
        """Return the next committed rows, in order."""
        ...


class Feed:
    """What one sink has to send; one task takes from it."""

    def __init__(self, consumer: str, journal: ObservationLog) -> None:
        """Go on where ``consumer`` stopped in an earlier life."""
        self._consumer = consumer
        self._journal = journal
        self._outbox: Outbox[Observation] = Outbox(journal.cursor(consumer), journal.last_observation_row)
        self._offered = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many Observations are not acknowledged."""
        return self._outbox.pending

    def offer(self, row: int, observation: Observation) -> None:
        """Take note of a new Observation, committed or not."""
        self._outbox.offer(row, observation)
        self._offered.set()

    async def next(self) -> tuple[int, Observation]:
        """Return the next one to send, waiting until there is one."""
        while True:
            taken = self._outbox.take()
            if taken is not None:
                return taken
            if self._outbox.behind:
                await self._read_back()
            else:
                self._offered.clear()
                await self._offered.wait()

    def acknowledge(self, row: int) -> None:
        """The sink's far end has it."""
        if self._outbox.acknowledge(row):
            self._journal.set_cursor(self._consumer, self._outbox.cursor)

    def take_back(self) -> None:
        """The far end is gone: send again what it has not acknowledged."""
        self._outbox.take_back()

    async def _read_back(self) -> None:
        newest = self._outbox.newest
        try:
            await asyncio.shield(self._journal.committed())  # others wait for the same future
            rows = await self._journal.observations_after(self._outbox.read_to, BATCH)
        except sqlite3.Error as error:
            log.warning("journal_unreadable", consumer=self._consumer, error=str(error))
            await asyncio.sleep(RETRY_S)
            return
        if rows:
            self._outbox.refill(rows)
        else:
            self._outbox.skip_to(newest)
