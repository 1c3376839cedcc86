"""Which of the heads' numbered frames have arrived, as ranges; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from siel_gateway.records import RxFrame

MAX_RANGES: Final = 64
"""A gap older than this many later ones can never be filled: the head's store is smaller."""
MAX_SESSIONS: Final = 8
"""Of one head; a frame of an older boot cannot come again."""


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


class SeenFrames:
    """The numbered frames of all heads, and how that is kept in the journal."""

    def __init__(self) -> None:
        self._radios: dict[str, dict[int, SeenSequences]] = {}

    def load(self, stored: Mapping[str, bytes]) -> None:
        """Read back what :meth:`add` returned, by key."""
        found = [(msgspec.msgpack.decode(value, type=tuple[int, list[int]]), key) for key, value in stored.items()]
        for (_, bounds), key in sorted(found):
            radio, _, session = key.rpartition("/")
            self._radios.setdefault(radio, {})[int(session)] = SeenSequences(bounds)

    def __contains__(self, frame: RxFrame) -> bool:
        """Say whether ``frame`` was added; one without a number never was."""
        if frame.sequence is None:
            return False
        sessions = self._radios.get(frame.radio)
        known = sessions.get(frame.radio_session) if sessions else None
        return known is not None and frame.sequence in known

    def add(self, frame: RxFrame, row: int) -> dict[str, bytes | None]:
        """Remember a numbered frame; return what to store, None for what to delete.

        Args:
            frame: One from a head.
            row: Its row in the journal; tells which session is the oldest.
        """
        if frame.sequence is None:
            return {}
        changes: dict[str, bytes | None] = {}
        sessions = self._radios.setdefault(frame.radio, {})
        known = sessions.get(frame.radio_session)
        if known is None:
            known = sessions[frame.radio_session] = SeenSequences()
            while len(sessions) > MAX_SESSIONS:
                oldest = next(iter(sessions))
                del sessions[oldest]
                changes[f"{frame.radio}/{oldest}"] = None
        known.add(frame.sequence)
        changes[f"{frame.radio}/{frame.radio_session}"] = msgspec.msgpack.encode((row, known.bounds))
        return changes
