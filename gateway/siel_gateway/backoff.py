"""How long to wait before trying again; pure."""

from __future__ import annotations


class Backoff:
    """Doubles from ``first_s`` to ``last_s`` until something works again."""

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Return how long to wait now."""
        delay_s = self._next_s
        self._next_s = min(2 * delay_s, self._last_s)
        return delay_s

    def reset(self) -> None:
        """Begin from the start: it works."""
        self._next_s = self._first_s
