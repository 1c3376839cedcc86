"""The just-in-time queue of the packet forwarder, with its numbers and its oddities.

Source: Lora-net/sx1302_hal 2.1.0, packet_forwarder/src/jitqueue.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_WRAP: Final = 0xFFFFFFFF
TX_START_DELAY_US: Final = 1500
TX_MARGIN_US: Final = 1000
JIT_DELAY_US: Final = 40_000
"""How long before its time a frame is handed to the concentrator."""
MAX_ADVANCE_US: Final = 4 * 128_000_000
QUEUE_SIZE: Final = 32
TOO_LATE: Final = "TOO_LATE"
TOO_EARLY: Final = "TOO_EARLY"
COLLISION_PACKET: Final = "COLLISION_PACKET"


@dataclass(frozen=True)
class Job:
    """A frame to send at ``count_us`` of the concentrator's 32-bit counter."""

    count_us: int
    airtime_us: int
    packet: Any


def _collide(one: Job, other: Job) -> bool:
    lead_us = TX_START_DELAY_US + JIT_DELAY_US
    return (one.count_us - other.count_us) & _WRAP <= lead_us + other.airtime_us + TX_MARGIN_US or (
        other.count_us - one.count_us
    ) & _WRAP <= lead_us + one.airtime_us + TX_MARGIN_US


class JitQueue:
    """Frames waiting for their time, at most ``QUEUE_SIZE``."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def enqueue(self, now_us: int, job: Job) -> str:
        """Take ``job``; return an empty string, or the protocol's word for why not.

        The difference to now is unsigned: what is past counts as far ahead, so it is refused as TOO_EARLY.
        """
        if len(self.jobs) >= QUEUE_SIZE:
            return COLLISION_PACKET
        ahead_us = (job.count_us - now_us) & _WRAP
        if ahead_us <= TX_START_DELAY_US + TX_MARGIN_US + JIT_DELAY_US:
            return TOO_LATE
        if ahead_us > MAX_ADVANCE_US:
            return TOO_EARLY
        if any(_collide(job, queued) for queued in self.jobs):
            return COLLISION_PACKET
        self.jobs.append(job)
        return ""

    def enqueue_now(self, now_us: int, airtime_us: int, packet: Any) -> tuple[str, Job | None]:
        """Take a frame without a time: 80 ms from now, or after the first queued frame that leaves room behind it."""
        queued = sorted(self.jobs, key=lambda job: (job.count_us - now_us) & _WRAP)
        starts = [now_us, *(job.count_us + job.airtime_us for job in queued)]
        for start in starts:
            job = Job((start + 2 * JIT_DELAY_US) & _WRAP, airtime_us, packet)
            refusal = self.enqueue(now_us, job)
            if refusal != COLLISION_PACKET:
                return refusal, job if not refusal else None
        return COLLISION_PACKET, None

    def take(self, job: Job) -> bool:
        """Remove ``job``, whose time has come; False when it is not queued any more."""
        if job not in self.jobs:
            return False
        self.jobs.remove(job)
        return True
