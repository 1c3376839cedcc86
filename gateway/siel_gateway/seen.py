"""Which of a head's numbered frames have arrived, as ranges; pure."""

from __future__ import annotations

from typing import Final

MAX_RANGES: Final = 64
"""A gap older than this many later ones can never be filled: the head's store is smaller."""


class SeenSequences:
    """The sequence numbers of one session of one head.

    Args:
        bounds: First and last number of each range, flat and ascending, as :attr:`bounds` gave them.
    """

    def __init__(self, bounds: list[int] | None = None) -> None:
        self._bounds = bounds or []

    @property
    def bounds(self) -> list[int]:
        """First and last number of each range, flat and ascending."""
        return self._bounds

    def __contains__(self, sequence: int) -> bool:
        """Say whether ``sequence`` was added; most often it is a new one at the end."""
        bounds = self._bounds
        if not bounds or sequence > bounds[-1]:
            return False
        return any(bounds[i] <= sequence <= bounds[i + 1] for i in range(0, len(bounds), 2))

    def add(self, sequence: int) -> None:
        """Remember ``sequence``; the oldest gap is given up when there are more than 64."""
        bounds = self._bounds
        if bounds and sequence == bounds[-1] + 1:
            bounds[-1] = sequence
            return
        if sequence in self:
            return
        at = next((i for i in range(0, len(bounds), 2) if sequence < bounds[i]), len(bounds))
        bounds[at:at] = [sequence, sequence]
        if at + 2 < len(bounds) and bounds[at + 2] == sequence + 1:
            del bounds[at + 1 : at + 3]
        if at > 0 and bounds[at - 1] == sequence - 1:
            del bounds[at - 1 : at + 1]
        if len(bounds) > 2 * MAX_RANGES:
            del bounds[1:3]
