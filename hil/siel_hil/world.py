"""The coordinator: one event heap in integer microseconds, one participant at a time."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final, TextIO

import msgspec

from siel_hil.errors import HilError, ParticipantError, WorldStuckError

_ENCODER: Final = msgspec.json.Encoder()
STUCK_EVENTS: Final = 50_000
"""Events at one microsecond that count as a hang; two thousand boards that get power together cause some thousands."""


class Event(list[Any]):
    """One thing that will happen; ``cancel`` makes it not happen.

    It is its own entry of the heap, ``[t_us, order, fn, args]``: a run makes sixty of them for each uplink.
    """

    __slots__ = ()

    @property
    def t_us(self) -> int:
        """When it happens."""
        t_us: int = self[0]
        return t_us

    def cancel(self) -> None:
        """Make sure that it does not happen; harmless afterwards."""
        self[2] = None
        self[3] = ()


class World:
    """Virtual time, what happens in it, and the log whose hash is a run's identity.

    Args:
        seed: Feeds every random stream.
        log_to: Receives the event log as JSON lines when given.
    """

    def __init__(self, seed: int, log_to: TextIO | None = None) -> None:
        self.seed = seed
        self.now_us = 0
        self.horizon_us = 0
        """No participant may run past this; ``run`` sets it."""
        self.interrupted = False
        self.events_run = 0
        self.exchanges = 0
        """Requests of processes that were answered, for measurements."""
        self.failure: BaseException | None = None
        self._moment_us = -1
        self._moment_began = 0
        self.changes = 0
        """Grows with every new event and interruption: until then ``free_until_us`` can only become later."""
        self._heap: list[Event] = []
        self._hash = hashlib.sha256()
        self._log_to = log_to

    def at(self, t_us: int, fn: Callable[..., None], *args: Any) -> Event:
        """Let ``fn(*args)`` happen at ``t_us``, at once when that is past; equal times keep their order."""
        self.changes += 1
        event = Event((max(t_us, self.now_us), self.changes, fn, args))
        heappush(self._heap, event)
        return event

    def after(self, delay_us: int, fn: Callable[..., None], *args: Any) -> Event:
        """Let ``fn(*args)`` happen ``delay_us`` from now."""
        return self.at(self.now_us + delay_us, fn, *args)

    def next_us(self) -> int | None:
        """Return when the next event happens; None when there is none."""
        heap = self._heap
        while heap and heap[0][2] is None:
            heappop(heap)
        return heap[0][0] if heap else None

    def may_run_to(self, t_us: int) -> bool:
        """Say whether a participant may go on to ``t_us`` without anybody else being due before."""
        return t_us <= self.free_until_us()

    def free_until_us(self) -> int:
        """Return the latest time that a participant may go on to; -1 while nobody may go on at all."""
        if self.interrupted:
            return -1
        heap = self._heap
        while heap and heap[0][2] is None:
            heappop(heap)
        return min(heap[0][0], self.horizon_us) if heap else self.horizon_us

    def run(self, until_us: int) -> None:
        """Let everything up to ``until_us`` happen, or stop after the event that called ``interrupt``."""
        self.horizon_us = until_us
        self.interrupted = False
        self._raise_failure()
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            t_us, _order, fn, args = heappop(heap)
            if fn is None:
                continue
            if t_us > self._moment_us:
                self._moment_us, self._moment_began = t_us, self.events_run
            elif self.events_run - self._moment_began > STUCK_EVENTS:
                raise _stuck(t_us, fn)
            self.now_us = t_us
            self.events_run += 1
            fn(*args)
            if self.failure is not None:
                self._raise_failure()
            if self.interrupted:
                return
        self.now_us = max(self.now_us, until_us)

    def interrupt(self) -> None:
        """Return from ``run`` after the present event, so that others see this moment first."""
        self.interrupted = True
        self.changes += 1

    def fail(self, failure: BaseException) -> None:
        """Void the run: ``run`` raises ``failure``, after the present event or as soon as it is called again."""
        if self.failure is None:
            self.failure = failure

    def _raise_failure(self) -> None:
        # told once: who clears up afterwards may still let time pass
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def log(self, source: str, kind: str, /, **fields: int | str | bytes | None) -> None:
        """Append to the event log; the order of calls and every field enter the hash."""
        for name, value in fields.items():
            if isinstance(value, bytes):
                fields[name] = value.hex()
        line = _ENCODER.encode((self.now_us, source, kind, fields))
        self._hash.update(line)
        self._hash.update(b"\n")
        if self._log_to is not None:
            self._log_to.write(line.decode() + "\n")

    def event_hash(self) -> str:
        """Return the identity of what happened so far, 64 hex digits."""
        return self._hash.hexdigest()

    def rng(self, purpose: str) -> random.Random:
        """Return the random stream of one purpose: the same for a seed, whatever others draw."""
        digest = hashlib.sha256(f"{self.seed}/{purpose}".encode()).digest()
        return random.Random(int.from_bytes(digest, "big"))

    def drop_all(self) -> None:
        """Forget everything that was still to happen."""
        self._heap.clear()


def _stuck(t_us: int, fn: Callable[..., None]) -> HilError:
    """Return what to raise when time does not move; the event that goes on and on names the culprit."""
    reason = f"hung: it acts again and again at {t_us} us and lets no time pass"
    owner = getattr(fn, "__self__", None)
    name = getattr(owner, "name", "")
    return ParticipantError(name, reason) if name else WorldStuckError(f"{fn!r} {reason}")
