"""Numbers that must never be used twice: a small file of its own, synced with every reservation. Every call blocks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from siel_gateway.errors import CountersLostError

MAX_BLOCK: Final = 1 << 16

SETTINGS: Final = (
    "PRAGMA journal_mode = DELETE",
    # The number may be on air a moment later: what SQLite reports as written must be on the disk.
    "PRAGMA synchronous = FULL",
)
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT, WITHOUT ROWID"
)
RESERVE: Final = (
    # ?1 name, ?2 block, ?3 what was used for certain, ?4 where to go on when the counter does not know of that
    "INSERT INTO counter VALUES (?1, ?4 + ?2) ON CONFLICT (name) DO UPDATE"
    " SET next = CASE WHEN next < ?3 THEN ?4 ELSE next END + ?2 RETURNING next"
)
JUMP: Final = 1 << 15
"""Beyond the last use that the journal knows of there are those that were not committed, and, after a backup was put
back, those since then. A device follows a jump of FCntDown up to 65535: it sees 16 bits."""


class CounterStore:
    """Reserves blocks of numbers per name.

    What is stored is the first number that was never handed out. So after an unclean stop the rest of a block is
    skipped, and nothing has to be told apart at the start. It stands apart from the journal so that its sync does not
    wait for the journal's data, and so that a corrupt journal does not take it along.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or create the file.

        Raises:
            CountersLostError: It cannot be read; it is left as it is.
        """
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
            try:
                for setting in (*SETTINGS, SCHEMA, "PRAGMA quick_check"):
                    answer = db.execute(setting).fetchone()
                if answer != ("ok",):
                    raise sqlite3.DatabaseError(answer)
            except BaseException:
                db.close()
                raise
        except (sqlite3.Error, OSError) as fault:
            raise CountersLostError(self.path, fault) from fault
        self._db = db

    def reserve(self, names: Sequence[str], block: int, at_least: Mapping[str, int]) -> list[int]:
        """Return a ``first`` per name; the numbers ``first`` to ``first + block - 1`` are never returned again.

        Args:
            names: Of the counters; a new one begins at 0.
            block: 1 to 65536.
            at_least: Per name what was used for certain; a counter that is below was lost, and jumps well beyond it.

        Raises:
            CountersLostError: It cannot be made sure; none is reserved then. All share one sync.
        """
        if not 0 < block <= MAX_BLOCK:
            raise ValueError(f"block: {block}")
        if self._db is None:
            raise CountersLostError(self.path, "not open")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            ends = []
            for name in names:
                used = at_least.get(name, 0)
                ((end,),) = self._db.execute(RESERVE, (name, block, used, used and used + JUMP)).fetchall()
                ends.append(int(end))
            self._db.execute("COMMIT")
        except sqlite3.Error as fault:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise CountersLostError(self.path, fault) from fault
        return [end - block for end in ends]

    def close(self, unused: Mapping[str, int]) -> None:
        """Let go; closing twice does nothing.

        Args:
            unused: Per name the first number that was not used, for the next start to go on there.
        """
        if self._db is None:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for name, number in unused.items():
                self._db.execute("UPDATE counter SET next = ?1 WHERE name = ?2 AND next > ?1", (number, name))
            self._db.execute("COMMIT")
        except sqlite3.Error as fault:
            raise CountersLostError(self.path, fault) from fault
        finally:
            self._db.close()
            self._db = None
