"""A bound on log lines that a stranger can cause; pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

WINDOW_US: Final = 60_000_000
MAX_LINES: Final = 20
"""Of one event per window: a flood of noise must not fill the disk that holds the readings."""


class LogLimit:
    """Lets the first lines of each event through, and says how many were left out when the next window begins."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, int]] = {}

    def allow(self, event: str, now_us: int) -> tuple[bool, int]:
        """Say whether to write this line, and how many were left out in the window before.

        Args:
            event: Its name, one of a few.
            now_us: The gateway's clock.
        """
        began_us, lines = self._windows.get(event, (now_us, 0))
        left_out = 0
        if now_us - began_us >= WINDOW_US:
            left_out = max(0, lines - MAX_LINES)
            began_us, lines = now_us, 0
        self._windows[event] = (began_us, lines + 1)
        return lines < MAX_LINES, left_out


class LimitedLog:
    """A logger for what anybody who reaches a port can cause.

    Args:
        log: A structlog logger.
        monotonic_us: The gateway's clock.
    """

    def __init__(self, log: Any, monotonic_us: Callable[[], int]) -> None:
        self._log = log
        self._monotonic_us = monotonic_us
        self._limit = LogLimit()

    def info(self, event: str, **fields: Any) -> None:
        """Write a line of level info, up to the bound of its event."""
        if self._allows(event):
            self._log.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write a line of level warning, up to the bound of its event."""
        if self._allows(event):
            self._log.warning(event, **fields)

    def _allows(self, event: str) -> bool:
        allowed, left_out = self._limit.allow(event, self._monotonic_us())
        if left_out:
            self._log.warning("lines_left_out", of=event, count=left_out)
        return allowed
