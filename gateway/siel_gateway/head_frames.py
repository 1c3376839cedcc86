"""One head's frames in order: each sequence delivered once, gaps asked for, acknowledged when all before are safe."""

from __future__ import annotations

from typing import Final

from siel_gateway.head_events import FrameHeard

RESEND_US: Final = 100_000
"""How long the head has to fill a gap before it is asked again."""
MAX_HELD: Final = 256
"""Frames beyond the last acknowledged one that are taken; no head stores more, so it will send the rest again."""


class FrameOrder:
    """What was delivered, what waits for an earlier frame, and what the head may forget.

    Attributes:
        expected: The sequence to be delivered next.
        acked: Everything up to here may be forgotten by the head.
        ack_due: The head should be told so.
        resend_us: When a gap is to be asked for, monotonic; None without a gap.
    """

    def __init__(self) -> None:
        self.expected = 1
        self.acked = 0
        self.ack_due = False
        self.resend_us: int | None = None
        self.held: dict[int, FrameHeard] = {}
        self._safe: set[int] = set()

    def begin(self, first_sequence: int) -> None:
        """Start a session whose oldest frame is ``first_sequence``."""
        self.interrupt()
        self._safe.clear()
        self.expected = first_sequence
        self.acked = first_sequence - 1

    def resume(self, first_sequence: int) -> None:
        """Go on with a session; another process may have acknowledged what this one never saw."""
        if first_sequence > self.expected:
            self.begin(first_sequence)

    def interrupt(self) -> None:
        """Forget what was held back: the head will send it again."""
        self.held.clear()
        self.resend_us = None

    def take(self, frame: FrameHeard, now_us: int) -> list[FrameHeard]:
        """Take a frame as it came and return what is delivered now, in order."""
        if frame.sequence < self.expected:
            # Delivered before. If it was acknowledged too, the acknowledgement was lost.
            self.ack_due = self.ack_due or frame.sequence <= self.acked
            return []
        if frame.sequence > self.acked + MAX_HELD:
            return []
        self.held[frame.sequence] = frame
        delivered = []
        while self.expected in self.held:
            delivered.append(self.held.pop(self.expected))
            self.expected += 1
        if not self.held:
            self.resend_us = None
        elif self.resend_us is None:
            self.resend_us = now_us
        return delivered

    def resend_asked(self, now_us: int) -> None:
        """Note that the gap was asked for."""
        self.resend_us = now_us + RESEND_US

    def ack(self, sequence: int) -> None:
        """Note that one delivered frame is safe."""
        if self.acked < sequence < self.expected:
            self._safe.add(sequence)
            while self.acked + 1 in self._safe:
                self.acked += 1
                self._safe.remove(self.acked)
                self.ack_due = True
