"""A bound on log lines that a stranger can cause; pure."""

from __future__ import annotations

from typing import Final

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
