"""Counters that must never repeat, used from blocks that the journal has reserved on disk beforehand."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

BLOCK: Final = 16
"""Numbers per reservation: one fsync for so many downlinks of a device, and the most that an unclean stop skips."""
_LOW_WATER: Final = 8
"""A new block is asked for when fewer are left, so that an answer never waits for the disk."""


class Reservation(msgspec.Struct, frozen=True):
    """Ask the journal for :data:`BLOCK` numbers of ``counter``, then call :meth:`EdgeServer.grant`."""

    counter: str
    at_least: int = 0
    """Numbers below this are known to be used, whatever the counter's file says."""


class Blocks:
    """What is left of one counter's reserved numbers.

    Attributes:
        counter: Its name in the journal.
        at_least: Numbers below this were used in an earlier life.
    """

    __slots__ = ("_asked", "_end", "_left", "_ranges", "at_least", "counter")

    def __init__(self, counter: str) -> None:
        self.counter = counter
        self.at_least = 0
        self._ranges = deque[tuple[int, int]]()
        self._left = 0
        self._end = 0
        self._asked = False

    def peek(self) -> int | None:
        """Return the number that :meth:`take` would, None when none is reserved."""
        return self._ranges[0][0] if self._ranges else None

    def take(self) -> int | None:
        """Return the next number, never the same twice; None when none is reserved."""
        if not self._ranges:
            return None
        first, end = self._ranges.popleft()
        if first + 1 < end:
            self._ranges.appendleft((first + 1, end))
        self._left -= 1
        return first

    def wanted(self) -> Reservation | None:
        """Return the reservation to make now, None when enough is left or one is already under way."""
        if self._asked or self._left >= _LOW_WATER:
            return None
        self._asked = True
        return Reservation(self.counter, self.at_least)

    def grant(self, first: int, block: int) -> None:
        """Take over the numbers ``first`` to ``first + block - 1``, which are reserved on disk.

        Raises:
            ValueError: Some of them were granted before: using them would repeat numbers.
        """
        self._asked = False
        if first < self._end:
            raise ValueError(f"{self.counter}: {first} was reserved before, up to {self._end - 1}")
        self._ranges.append((first, first + block))
        self._end = first + block
        self._left += block

    def refused(self) -> None:
        """Forget a reservation that failed, so that :meth:`wanted` asks again."""
        self._asked = False
