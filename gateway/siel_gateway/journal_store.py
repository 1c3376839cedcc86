"""The journal's SQLite file: every call blocks, so all of them run on the executor, one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final, Literal

import msgspec

from siel_gateway.errors import JournalInUseError, JournalNewerError
from siel_gateway.journal_schema import (
    FORMAT_VERSION,
    SCHEMA,
    SETTINGS,
    decode_frame,
    decode_observation,
)
from siel_gateway.records import Observation, RxFrame

Sync = Literal["normal", "full"]
State = dict[str, dict[str, bytes]]
"""Table, key, value."""

CHECKPOINT_WAL_BYTES: Final = 4 << 20
EVICT_ROWS: Final = 5000
"""At once: a deletion must not hold up a commit for long."""
STRANGER_AGE_MS: Final = 24 * 3_600_000
DAY_MS: Final = 24 * 3_600_000
ROWS: Final = "@rows"
"""In the state table: the highest row numbers in use before rows were deleted."""
CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Batch(msgspec.Struct):
    """What one transaction writes; writing it twice is the same as once."""

    frames: dict[int, tuple[int | None, bytes]] = msgspec.field(default_factory=dict)
    """Row to age and body."""
    verified: set[int] = msgspec.field(default_factory=set)
    """Rows whose MIC one of our keys has proven."""
    observations: list[tuple[int, int, bytes]] = msgspec.field(default_factory=list)
    state: dict[tuple[str, str], bytes | None] = msgspec.field(default_factory=dict)
    """(table, key) to value, None to delete."""


class Loaded(msgspec.Struct):
    """What the file held when it was opened."""

    state: State
    last_row: int = 0
    last_observation_row: int = 0


class Evicted(msgspec.Struct, frozen=True):
    """How much was deleted to stay within the bounds."""

    strangers: int = 0
    frames: int = 0
    observations: int = 0
    unfinished: bool = False
    """It is still more than it may be."""


def is_corrupt(fault: sqlite3.Error) -> bool:
    """Say whether the file itself is broken, so that trying again cannot help."""
    code = getattr(fault, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in CORRUPT


class JournalStore:
    """One open journal file.

    Args:
        path: Of the file; ``-wal``, ``-shm`` and ``.lock`` stand beside it.
        sync: ``full`` syncs with every commit.
    """

    def __init__(self, path: Path, sync: Sync) -> None:
        self.path = path
        self.salvaged: State = {}
        self._sync_mode = sync
        self._lock_fd: int | None = None
        self._db: sqlite3.Connection | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Keep every other process out until :meth:`close` or the end of this one.

        Raises:
            JournalInUseError: Another process has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            os.close(descriptor)
            raise JournalInUseError(self.path) from fault
        self._lock_fd = descriptor

    def open(self, state: State | None = None) -> Loaded:
        """Open or create the file and return what is in it.

        Args:
            state: Goes into it first; into a new file in the transaction that makes it, so that there is never one
                without the state that was rescued for it.

        Raises:
            JournalNewerError: A later version wrote it.
            sqlite3.Error: It cannot be opened; :func:`is_corrupt` says whether it ever can.
        """
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT_VERSION:  # before the settings, one of which changes the file
                raise JournalNewerError(self.path, version=version)
            for setting in SETTINGS:
                db.execute(setting)
            db.execute("PRAGMA synchronous = full")
            db.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA if version == 0 else ():
                db.execute(statement)
            db.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
                [(table, key, value) for table, values in (state or {}).items() for key, value in values.items()],
            )
            db.execute("COMMIT")
            db.execute(f"PRAGMA synchronous = {self._sync_mode}")
            loaded = Loaded(_read_state(db))
            marks = {key: int(value) for key, value in loaded.state.pop(ROWS, {}).items()}
            loaded.last_row = max(_last_row(db, "frame"), _last_row(db, "stranger"), marks.get("frame", 0))
            loaded.last_observation_row = max(_last_row(db, "observation"), marks.get("observation", 0))
        except BaseException:
            db.close()
            raise
        self._db = db
        return loaded

    def set_aside(self, stamp: int) -> Path:
        """Rename a corrupt file so that :meth:`open` starts a new one; save what state can still be read.

        Args:
            stamp: Number for the new name, for instance UTC in seconds.

        Returns:
            The new name of the file.
        """
        self._close_db()
        self.salvaged = {}
        _salvage(self.path, self.salvaged)
        aside = self._beside(f".corrupt-{stamp}")
        number = 1
        while aside.exists():
            number += 1
            aside = self._beside(f".corrupt-{stamp}-{number}")
        for suffix in ("-shm", "-wal", ""):
            with contextlib.suppress(FileNotFoundError):
                self._beside(suffix).rename(aside.with_name(aside.name + suffix))
        return aside

    def close(self) -> None:
        """Move the log into the file, sync it and let go; closing twice does nothing."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._close_db()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _close_db(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    @property
    def is_open(self) -> bool:
        """Whether there is a file to write to."""
        return self._db is not None

    @property
    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.OperationalError("the journal is closed")
        return self._db

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, batch: Batch) -> None:
        """Write ``batch`` in one transaction: afterwards all of it survives the end of this process.

        Raises:
            sqlite3.Error: Nothing of it was written, or it is not known; write it again.
        """
        db = self._open_db
        db.execute("BEGIN IMMEDIATE")
        try:
            known = [(row, *frame) for row, frame in batch.frames.items() if row in batch.verified]
            others = [(row, *frame) for row, frame in batch.frames.items() if row not in batch.verified]
            db.executemany("INSERT OR REPLACE INTO frame VALUES (?, ?, ?)", known)
            db.executemany("INSERT OR REPLACE INTO stranger VALUES (?, ?, ?)", others)
            db.executemany("INSERT OR REPLACE INTO observation VALUES (?, ?, ?)", batch.observations)
            for (table, key), value in batch.state.items():
                if value is None:
                    db.execute("DELETE FROM state WHERE tbl = ? AND key = ?", (table, key))
                else:
                    db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (table, key, value))
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def sync(self) -> None:
        """Make everything written survive a power cut; move a long log into the file.

        Raises:
            sqlite3.Error, OSError: It cannot be known.
        """
        db = self._open_db
        wal = self._beside("-wal")
        if not wal.exists():
            return
        if wal.stat().st_size > CHECKPOINT_WAL_BYTES:
            db.execute("PRAGMA wal_checkpoint(RESTART)")
        elif self._sync_mode == "normal":
            # fsync() works on the file, not on the descriptor: what SQLite wrote through its own is meant too.
            descriptor = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def evict(self, *, now_ms: int | None, max_bytes: int, max_age_days: int) -> Evicted:
        """Delete what is too old or too much, strangers' frames first, at most 5000 rows of each at once.

        Args:
            now_ms: UTC, None when nobody vouches for it: then nothing has an age.
            max_bytes: Of the file, free pages not counted.
            max_age_days: Of frames whose MIC was proven; strangers' stay 24 hours at most.
        """
        db = self._open_db
        db.execute("BEGIN IMMEDIATE")
        try:
            last = max(_last_row(db, "frame"), _last_row(db, "stranger"))
            marks = [(ROWS, "frame", last), (ROWS, "observation", _last_row(db, "observation"))]
            strangers = frames = observations = 0
            if now_ms is not None:
                strangers = self._delete_old("stranger", now_ms - STRANGER_AGE_MS)
                frames = self._delete_old("frame", now_ms - max_age_days * DAY_MS)
            if self.used_bytes() > max_bytes:
                room_made = self._delete_first("stranger")
                strangers += room_made
                # Ours go only when no stranger's frame is left.
                frames += 0 if room_made else self._delete_first("frame")
            if frames:
                observations = self._delete_orphans()
            if strangers or frames:
                # The numbers of deleted rows stay used, or cursors would pass frames that are still to come.
                db.executemany(
                    "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
                    [(table, key, str(row).encode()) for table, key, row in marks if row],
                )
            unfinished = self.used_bytes() > max_bytes and bool(strangers or frames)
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        return Evicted(strangers, frames, observations, unfinished)

    def _delete_old(self, table: str, before_ms: int) -> int:
        # Rows are in order of arrival, so the old ones are found at the front.
        return self._open_db.execute(
            f"DELETE FROM {table} WHERE row IN (SELECT row FROM"  # noqa: S608 - the name is one of ours
            f" (SELECT row, aged_ms FROM {table} ORDER BY row LIMIT ?) WHERE aged_ms < ?)",
            (EVICT_ROWS, before_ms),
        ).rowcount

    def _delete_first(self, table: str) -> int:
        db = self._open_db
        # Between the first and the last row there may be fewer; to count them would read the whole file.
        first, last = db.execute(f"SELECT min(row), max(row) FROM {table}").fetchone()  # noqa: S608 - a name of ours
        if first is None:
            return 0
        return db.execute(
            f"DELETE FROM {table} WHERE row IN (SELECT row FROM {table} ORDER BY row LIMIT ?)",  # noqa: S608 - as above
            (min(EVICT_ROWS, (last - first) // 20 + 1),),
        ).rowcount

    def _delete_orphans(self) -> int:
        db = self._open_db
        first = db.execute("SELECT min(row) FROM frame").fetchone()[0]
        if first is None:
            return db.execute("DELETE FROM observation").rowcount
        # Observations are in the order of their frames: stop at the first that is to stay.
        last = db.execute("SELECT row FROM observation WHERE frame_row >= ? ORDER BY row LIMIT 1", (first,)).fetchone()
        if last is None:
            return db.execute("DELETE FROM observation").rowcount
        return db.execute("DELETE FROM observation WHERE row < ?", last).rowcount

    # -- reading ------------------------------------------------------------------------------------------------------

    def used_bytes(self) -> int:
        """Return the size of the file without its free pages."""
        db = self._open_db
        pages: int = db.execute("PRAGMA page_count").fetchone()[0]
        free: int = db.execute("PRAGMA freelist_count").fetchone()[0]
        size: int = db.execute("PRAGMA page_size").fetchone()[0]
        return (pages - free) * size

    def frames_after(self, row: int, limit: int) -> list[tuple[int, RxFrame]]:
        """Return the next ``limit`` frames, whoever sent them, in order."""
        rows = self._open_db.execute(
            "SELECT row, body FROM frame WHERE row > ?1 UNION ALL SELECT row, body FROM stranger WHERE row > ?1"
            " ORDER BY row LIMIT ?2",
            (row, limit),
        )
        return [(number, decode_frame(body)) for number, body in rows]

    def observations_after(self, row: int, limit: int) -> list[tuple[int, Observation]]:
        """Return the next ``limit`` observations in order."""
        rows = self._open_db.execute(
            "SELECT row, body FROM observation WHERE row > ? ORDER BY row LIMIT ?", (row, limit)
        )
        return [(number, decode_observation(body)) for number, body in rows]


def _read_state(db: sqlite3.Connection, state: State | None = None) -> State:
    """Fill and return ``state``; what was read before a fault stays in it."""
    state = {} if state is None else state
    for table, key, value in db.execute("SELECT tbl, key, value FROM state"):
        state.setdefault(table, {})[key] = value
    return state


def _last_row(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT max(row) FROM {table}").fetchone()[0] or 0)  # noqa: S608 - the name is one of ours


def _salvage(path: Path, state: State) -> None:
    with contextlib.suppress(sqlite3.Error):
        db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        try:
            _read_state(db, state)
        finally:
            db.close()
