"""What came from a peer, put in by a thread that reads and taken out by whoever waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from siel_hil.errors import HilError

T = TypeVar("T")

PATIENCE_S: Final = 20.0
"""A guard against waiting for ever, no measure: a loaded machine needs a second at most."""
_TAIL: Final = 12


class NothingCameError(HilError):
    """What was waited for did not come; the text has the last that did."""


class Inbox(Generic[T]):
    """Items in order of arrival; each is taken at most once, and all that ever came is kept.

    Args:
        name: Whose, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._all: list[T] = []
        self._waiting: list[T] = []
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> None:
        """Add what came."""
        with self._changed:
            self._all.append(item)
            self._waiting.append(item)
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more comes; who waits for more fails at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def all(self) -> list[T]:
        """Everything that ever came, in order."""
        with self._changed:
            return list(self._all)

    def take(self, match: Callable[[T], bool] = lambda _: True, *, patience_s: float = PATIENCE_S) -> T:
        """Return the first item that matches and was not taken yet, waiting for it.

        Raises:
            NothingCameError: None came in time, or none can come any more.
        """
        until = time.monotonic() + patience_s
        with self._changed:
            while True:
                for index, item in enumerate(self._waiting):
                    if match(item):
                        return self._waiting.pop(index)
                left_s = until - time.monotonic()
                if self._closed or left_s <= 0:
                    tail = "\n  ".join(str(item) for item in self._all[-_TAIL:])
                    why = "it has ended" if self._closed else f"{patience_s:g} s have passed"
                    raise NothingCameError(f"{self._name}: not what was waited for, and {why}; last came\n  {tail}")
                self._changed.wait(left_s)
