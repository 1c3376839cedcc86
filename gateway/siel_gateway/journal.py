"""The journal: everything heard and all that followed from it, durable in groups, without holding up the event loop.

A frame, its observations and the state that it changed go into the batch that is being collected, in one turn of the
event loop. :meth:`Journal.run` writes a batch 20 ms after its first entry in one transaction, off the loop, and only
then resolves the future of :meth:`Journal.committed`. A kill loses whole batches or nothing, and what is lost was
never acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec
import structlog

from siel_gateway.backoff import Backoff
from siel_gateway.config_models import JournalConfig
from siel_gateway.errors import CountersLostError
from siel_gateway.journal_counters import CounterStore
from siel_gateway.journal_memory import Memory
from siel_gateway.journal_schema import encode_frame, encode_observation
from siel_gateway.journal_store import JournalStore, Loaded, is_corrupt
from siel_gateway.journal_upkeep import Upkeep
from siel_gateway.records import Observation, RxFrame
from siel_gateway.seen import SeenFrames
from siel_gateway.services import Services

GROUP_COMMIT_S: Final = 0.02
LAZY_COMMIT_S: Final = 1.0
"""A cursor alone is worth no transaction of its own: forgotten, something is sent twice with the same id."""
RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 5.0
CLOSE_ATTEMPTS: Final = 3
CURSOR: Final = "@cursor"
SEEN: Final = "@seen"

COUNTERS: Final = (
    "commits",
    "commit_failures",
    "maintenance_failures",
    "set_aside",
    "evicted_strangers",
    "evicted_frames",
    "evicted_observations",
    "counters_lost",
)

T = TypeVar("T")

log = structlog.get_logger("siel.journal")


class Journal:
    """One open journal; made by :meth:`open`, written by :meth:`run`.

    Attributes:
        counters: What happened, by the names of :data:`COUNTERS`.
    """

    def __init__(self, services: Services, settings: JournalConfig, store: JournalStore, numbers: CounterStore) -> None:
        self.counters = dict.fromkeys(COUNTERS, 0)
        self._services = services
        self._store = store
        self._numbers = numbers
        self._memory = Memory()
        self._seen = SeenFrames()
        self._row = 0
        self._observation_row = 0
        self._wake = asyncio.Event()
        self._unused: dict[str, int] = {}
        self._damage: sqlite3.Error | None = None
        self._upkeep = Upkeep(
            services, settings, store, self.counters, wake=self._wake.set, failed=self._replace_if_corrupt
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    @classmethod
    async def open(cls, path: Path, services: Services, settings: JournalConfig | None = None) -> Self:
        """Open or create the journal; a corrupt file is set aside, reported, and a new one started.

        Args:
            path: Of the database file; counters stand beside it with the suffix ``.counters``.
            services: Of the daemon.
            settings: ``[journal]`` of siel.toml.

        Raises:
            JournalInUseError: Another process has it.
            JournalNewerError: A later version wrote it.
            OSError, sqlite3.Error: The file cannot be opened or created, and is not corrupt.
        """
        settings = settings or JournalConfig()
        store = JournalStore(path, settings.sync)
        journal = cls(services, settings, store, CounterStore(path.with_name(path.name + ".counters")))
        try:
            await services.run_blocking(store.lock)
            await journal._open()
        except BaseException:
            await services.run_blocking(store.close)
            raise
        return journal

    async def run(self) -> None:
        """Commit, sync and evict until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(GROUP_COMMIT_S)
            if self._damage is not None:
                damage, self._damage = self._damage, None
                await self._replace_if_corrupt(damage)
            await self._commit()
            await self._upkeep.do_what_is_due()

    async def close(self) -> None:
        """Write what is left, keep the numbers given back, and let go; after :meth:`run` has ended.

        What cannot be written even now was never acknowledged; its futures are cancelled.
        """
        try:
            for attempt in range(CLOSE_ATTEMPTS):
                if self._memory.all_written:
                    break
                if await self._try_commit():
                    continue
                if attempt + 1 < CLOSE_ATTEMPTS:
                    await asyncio.sleep(RETRY_FIRST_S)
            self._memory.abandon()
        finally:
            self._upkeep.stop()
            try:
                await self._services.run_blocking(lambda: self._numbers.close(self._unused))
            except CountersLostError as fault:
                log.error("counters_not_given_back", error=str(fault))
            await self._services.run_blocking(self._store.close)

    # -- what goes into the batch: synchronous, in one turn of the event loop ------------------------------------------

    def seen(self, frame: RxFrame) -> bool:
        """Say whether this frame is journalled already, or in the batch on its way there.

        True means: drop it and wait for :meth:`committed` before acknowledging it again. Frames without a sequence
        are never seen.
        """
        return frame in self._seen

    def add_frame(self, frame: RxFrame) -> int:
        """Add ``frame`` to the batch and return its row, higher than all before.

        Raises:
            JournalFullError: Commits have failed for so long that it must be dropped, without acknowledgement.
        """
        self._memory.check_room()
        self._row += 1
        aged_ms = None if frame.clock == "none" else frame.received_ms
        self._memory.collecting.frames[self._row] = (aged_ms, encode_frame(frame))
        for key, value in self._seen.add(frame, self._row).items():
            self._memory.put(SEEN, key, value)
        self._wake.set()
        return self._row

    def mark_verified(self, row: int) -> None:
        """Say that a key of ours has proven this frame's MIC, in the turn that added it: it is kept longer."""
        if row in self._memory.collecting.frames:
            self._memory.collecting.verified.add(row)

    def add_observation(self, observation: Observation, row: int) -> int:
        """Add what a frame says to the batch of that frame, which this marks as verified; return its own row."""
        self.mark_verified(row)
        self._observation_row += 1
        entry = (self._observation_row, row, encode_observation(observation))
        self._memory.collecting.observations.append(entry)
        self._wake.set()
        return self._observation_row

    def put(self, table: str, key: str, value: bytes) -> None:
        """Set a value of the daemon's state in the batch; table names with ``@`` are the journal's own."""
        self._memory.put(table, key, value)
        self._wake.set()

    def delete(self, table: str, key: str) -> None:
        """Remove a value of the daemon's state in the batch."""
        self._memory.put(table, key, None)
        self._wake.set()

    def set_cursor(self, consumer: str, row: int) -> None:
        """Note that ``consumer`` is done with everything up to ``row``.

        It is written in the batch of that row or a later one, so what is on disk never passes an uncommitted row.
        """
        value = msgspec.msgpack.encode(row)
        if self.get(CURSOR, consumer) != value:
            alone = self._memory.nothing_collected
            self._memory.put(CURSOR, consumer, value)
            if alone:
                asyncio.get_running_loop().call_later(LAZY_COMMIT_S, self._wake.set)

    def committed(self) -> asyncio.Future[None]:
        """Return the future that is done when everything added so far is committed; done already when it is.

        It waits as long as commits fail, and is cancelled only by :meth:`close`.
        """
        if not self._memory.nothing_collected:
            # A cursor alone may wait; now somebody waits for it.
            self._wake.set()
        return self._memory.committed()

    # -- what can be asked --------------------------------------------------------------------------------------------

    @property
    def last_row(self) -> int:
        """The row of the newest frame, 0 when there never was one."""
        return self._row

    @property
    def last_observation_row(self) -> int:
        """The row of the newest observation, 0 when there never was one."""
        return self._observation_row

    def cursor(self, consumer: str) -> int:
        """Return what :meth:`set_cursor` noted last, 0 when there was nothing."""
        value = self.get(CURSOR, consumer)
        return msgspec.msgpack.decode(value, type=int) if value is not None else 0

    def get(self, table: str, key: str) -> bytes | None:
        """Return a value of the daemon's state, None when there is none."""
        return self._memory.get(table, key)

    def items(self, table: str) -> dict[str, bytes]:
        """Return a whole table of the daemon's state."""
        return self._memory.items(table)

    async def frames_after(self, row: int, limit: int = 256) -> list[tuple[int, RxFrame]]:
        """Return the next committed frames with their rows, in order.

        Raises:
            sqlite3.Error: The file cannot be read now.
        """
        return await self._read(lambda: self._store.frames_after(row, limit))

    async def observations_after(self, row: int, limit: int = 256) -> list[tuple[int, Observation]]:
        """Return the next committed observations with their rows, in order.

        Raises:
            sqlite3.Error: The file cannot be read now.
        """
        return await self._read(lambda: self._store.observations_after(row, limit))

    async def _read(self, job: Callable[[], T]) -> T:
        try:
            return await self._services.run_blocking(job)
        except sqlite3.Error as fault:
            # Replaced by run(): only one may do that.
            self._damage = fault
            self._wake.set()
            raise

    # -- numbers that must never repeat -------------------------------------------------------------------------------

    async def reserve(self, names: Sequence[str], block: int, at_least: Mapping[str, int] | None = None) -> list[int]:
        """Return a ``first`` per name once it is on disk that ``first`` to ``first + block - 1`` are taken.

        Args:
            names: Of the counters; a new one begins at 0.
            block: How many numbers of each, 1 to 65536.
            at_least: Per name a number below which all were used, as far as the caller knows.

        Raises:
            CountersLostError: That cannot be made sure: do not transmit.
        """
        for name in names:
            self._unused.pop(name, None)
        return await self._services.run_blocking(lambda: self._numbers.reserve(names, block, at_least or {}))

    def give_back(self, name: str, first_unused: int) -> None:
        """Name the first number of the newest block that was not used; kept by :meth:`close`, so do it right before."""
        self._unused[name] = first_unused

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        blocking = self._services.run_blocking
        try:
            loaded = await blocking(self._store.open)
        except sqlite3.Error as fault:
            if not is_corrupt(fault):
                raise
            loaded = await self._start_anew(fault)
        self._load(loaded)
        try:
            await blocking(self._numbers.open)
        except CountersLostError as fault:
            self.counters["counters_lost"] += 1
            log.error("counters_lost", error=str(fault))

    async def _start_anew(self, fault: sqlite3.Error) -> Loaded:
        """Put a broken file out of the way and start a new one."""
        aside = await self._services.run_blocking(lambda: self._store.set_aside(self._services.utc_ms() // 1000))
        self.counters["set_aside"] += 1
        log.error("journal_set_aside", error=str(fault), renamed_to=str(aside))
        return await self._open_new_file()

    async def _open_new_file(self) -> Loaded:
        """Open a new file, in which the state of the old one goes on: ours, at the start what could be read."""
        state = self._memory.state or self._store.salvaged
        return await self._services.run_blocking(lambda: self._store.open(state))

    def _load(self, loaded: Loaded) -> None:
        self._memory.state = loaded.state
        # Rows may be lost with a broken file; what the cursors say was used stays used.
        cursors = [msgspec.msgpack.decode(value, type=int) for value in loaded.state.get(CURSOR, {}).values()]
        highest = max(cursors, default=0)
        self._row = max(loaded.last_row, highest)
        self._observation_row = max(loaded.last_observation_row, highest)
        self._seen.load(loaded.state.get(SEEN, {}))

    async def _commit(self) -> None:
        """Write the batch, again and again until it is written."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_LAST_S)
        while not await self._try_commit():  # noqa: ASYNC110 - nothing tells when a disk works again
            await asyncio.sleep(backoff.next_s())

    async def _try_commit(self) -> bool:
        """Write one batch, the unfinished one first; say whether it is on disk now."""
        batch = self._memory.begin_write()
        if batch is None:
            return True
        try:
            if not self._store.is_open:
                await self._open_new_file()
            await self._services.run_blocking(lambda: self._store.write(batch))
        except (sqlite3.Error, OSError) as fault:
            self.counters["commit_failures"] += 1
            log.error("commit_failed", error=str(fault), frames=len(batch.frames))
            await self._replace_if_corrupt(fault)
            return False
        self._on_committed()
        return True

    async def _replace_if_corrupt(self, fault: Exception) -> None:
        if isinstance(fault, sqlite3.Error) and is_corrupt(fault):
            # If that fails too, the next commit tries to open a new file.
            with contextlib.suppress(sqlite3.Error, OSError):
                await self._start_anew(fault)

    def _on_committed(self) -> None:
        self.counters["commits"] += 1
        self._upkeep.committed()
        self._memory.end_write()
