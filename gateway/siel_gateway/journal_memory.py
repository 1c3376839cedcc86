"""What the journal holds in memory: the state as it is on disk, and the two batches on their way there; no I/O.

A batch is collected in turns of the event loop, then written as a whole, and only then part of the state. Whoever reads
sees all three, the newest first; whoever waits is told when his batch is on disk.
"""

from __future__ import annotations

import asyncio
from typing import Final

from siel_gateway.errors import JournalFullError
from siel_gateway.journal_store import Batch, State

MAX_UNCOMMITTED_FRAMES: Final = 20_000
"""While commits fail; more would take the memory that the rest of the box needs."""


class Memory:
    """State and batches of one journal.

    Attributes:
        state: What is on disk.
        collecting: What this turn of the event loop adds to.
        writing: What is on its way to the disk, None when nothing is.
    """

    def __init__(self) -> None:
        self.state: State = {}
        self.collecting = Batch()
        self.writing: Batch | None = None
        self._collecting_done: asyncio.Future[None] | None = None
        self._writing_done: asyncio.Future[None] | None = None

    # -- the batch that is collected ----------------------------------------------------------------------------------

    @property
    def nothing_collected(self) -> bool:
        """Whether the batch that is collected is empty."""
        batch = self.collecting
        return not (batch.frames or batch.observations or batch.state)

    @property
    def all_written(self) -> bool:
        """Whether everything is on disk."""
        return self.writing is None and self.nothing_collected

    def check_room(self) -> None:
        """Return if one more frame may be added.

        Raises:
            JournalFullError: Too many wait already.
        """
        waiting = len(self.collecting.frames) + (len(self.writing.frames) if self.writing else 0)
        if waiting >= MAX_UNCOMMITTED_FRAMES:
            raise JournalFullError(f"{waiting} frames wait for the disk")

    def put(self, table: str, key: str, value: bytes | None) -> None:
        """Set a value of the state, None to delete it."""
        self.collecting.state[table, key] = value

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, table: str, key: str) -> bytes | None:
        """Return a value of the state, None when there is none."""
        for batch in (self.collecting, self.writing):
            if batch is not None and (table, key) in batch.state:
                return batch.state[table, key]
        return self.state.get(table, {}).get(key)

    def items(self, table: str) -> dict[str, bytes]:
        """Return a whole table of the state."""
        values: dict[str, bytes | None] = {**self.state.get(table, {})}
        for batch in (self.writing, self.collecting):
            if batch is not None:
                values.update({key: value for (name, key), value in batch.state.items() if name == table})
        return {key: value for key, value in values.items() if value is not None}

    # -- on the way to the disk ---------------------------------------------------------------------------------------

    def committed(self) -> asyncio.Future[None]:
        """Return the future that is done when everything added so far is on disk; done already when it is."""
        if not self.nothing_collected:
            if self._collecting_done is None:
                self._collecting_done = asyncio.get_running_loop().create_future()
            return self._collecting_done
        if self._writing_done is not None:
            return self._writing_done
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def begin_write(self) -> Batch | None:
        """Return the batch to write now, an unfinished one first; None when everything is on disk."""
        if self.writing is None and not self.nothing_collected:
            self.writing, self.collecting = self.collecting, Batch()
            self._writing_done, self._collecting_done = self._collecting_done, None
            if self._writing_done is None:
                self._writing_done = asyncio.get_running_loop().create_future()
        return self.writing

    def end_write(self) -> None:
        """The batch of :meth:`begin_write` is on disk."""
        batch, done = self.writing, self._writing_done
        self.writing = self._writing_done = None
        if batch is not None:
            for (table, key), value in batch.state.items():
                if value is None:
                    self.state.get(table, {}).pop(key, None)
                else:
                    self.state.setdefault(table, {})[key] = value
        if done is not None and not done.done():
            done.set_result(None)

    def abandon(self) -> None:
        """What is not on disk will not get there; nobody shall wait for it."""
        for done in (self._writing_done, self._collecting_done):
            if done is not None:
                done.cancel()
