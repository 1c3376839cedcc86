"""What one consumer still has to be told, between the journal and its acknowledgements; pure.

Rows come live, in order, while the consumer keeps up. When it does not, or was away, only their number is kept and they
are read back from the journal. The cursor is the last row up to which everything is acknowledged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_QUEUED: Final = 1024
"""Rows held in memory; more wait in the journal."""


class Outbox(Generic[T]):
    """Rows of one consumer: offered, taken, acknowledged, each possibly several times, never lost.

    Attributes:
        cursor: Every row up to this one is acknowledged.
        read_to: The last row that is or was in memory.
        newest: The last row there is.
    """

    def __init__(self, cursor: int, newest: int, limit: int = MAX_QUEUED) -> None:
        """Start behind when there are rows after ``cursor``.

        Args:
            cursor: The last row acknowledged in an earlier life, 0 for none.
            newest: The last row in the journal, 0 for none.
            limit: Rows held in memory.
        """
        self.cursor = cursor
        self.read_to = cursor
        self.newest = max(cursor, newest)
        self._limit = limit
        self._items: dict[int, T] = {}  # all in memory and not below the cursor, in the order of their rows
        self._waiting: deque[int] = deque()
        self._acknowledged: set[int] = set()

    @property
    def behind(self) -> bool:
        """Whether there are rows that must be read from the journal."""
        return self.read_to < self.newest

    @property
    def pending(self) -> int:
        """How many rows are not acknowledged, as far as their numbers tell."""
        return len(self._items) - len(self._acknowledged) + self.newest - self.read_to

    @property
    def room(self) -> int:
        """How many rows fit into memory."""
        return max(0, self._limit - len(self._waiting))

    def offer(self, row: int, item: T) -> None:
        """Take note of a new row; it stays in memory when nothing before it is missing and there is room."""
        if row <= self.newest:
            return
        if not self.behind and self.room:
            self._keep(row, item)
        self.newest = row

    def refill(self, rows: Iterable[tuple[int, T]]) -> None:
        """Take what the journal has after :attr:`read_to`, in order."""
        for row, item in rows:
            if row > self.read_to:
                self._keep(row, item)
        self.newest = max(self.newest, self.read_to)

    def skip_to(self, row: int) -> None:
        """The journal has nothing more up to ``row``: what was there has been evicted."""
        self.read_to = max(self.read_to, row)

    def take(self) -> tuple[int, T] | None:
        """Return the next row to send, None when none is in memory."""
        if not self._waiting:
            return None
        row = self._waiting.popleft()
        return row, self._items[row]

    def acknowledge(self, row: int) -> bool:
        """Note that ``row`` has arrived; return whether :attr:`cursor` moved."""
        if row not in self._items:
            return False
        self._acknowledged.add(row)
        before = self.cursor
        while self._items and (first := next(iter(self._items))) in self._acknowledged:
            del self._items[first]
            self._acknowledged.remove(first)
            self.cursor = first
        return self.cursor != before

    def take_back(self) -> None:
        """The connection is gone: what was taken and not acknowledged is sent again, before all else."""
        self._waiting = deque(row for row in self._items if row not in self._acknowledged)

    def _keep(self, row: int, item: T) -> None:
        self._items[row] = item
        self._waiting.append(row)
        self.read_to = row
