"""The queue of uplinks whose codecs take their time: one at a time, in order, each until it is done."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec
import structlog

from siel_codecs.codec import Decoded, failed
from siel_codecs.js import JsWorkerError
from siel_gateway.backoff import Backoff
from siel_gateway.edge.undecoded import UNDECODED, Undecoded, decode_undecoded, encode_undecoded, key_of, row_of

MAX_WAITING: Final = 20_000
"""About 10 MB; at the slowest codec's pace an hour and more."""
RETRY_FIRST_S: Final = 1.0
RETRY_LAST_S: Final = 60.0
"""After the machine could not start a worker."""

log = structlog.get_logger("siel.codec")


class StateTable(Protocol):
    """What the queue needs of the journal."""

    def put(self, table: str, key: str, value: bytes) -> None:
        """Set a value in the batch that is being collected."""
        ...

    def delete(self, table: str, key: str) -> None:
        """Remove a value in that batch."""
        ...

    def get(self, table: str, key: str) -> bytes | None:
        """Return a value, None when there is none."""
        ...

    def items(self, table: str) -> dict[str, bytes]:
        """Return a whole table."""
        ...


class Decoding:
    """What was heard and not decoded, in the journal and in order of arrival.

    An entry is put into the transaction of its frame and removed in the transaction of its Observations: a kill between
    the two leaves it for the next start, and nothing is decoded twice.

    Args:
        journal: Where entries are kept.
        decode: Asks the codec, and returns its name too; raises ``JsWorkerError`` when nobody can be asked now.
        done: Takes the row of the frame, the entry, the codec's name and what it said; called in one turn with the
            removal.
        counters: Of the daemon; what goes wrong here is counted in them.
    """

    def __init__(
        self,
        journal: StateTable,
        decode: Callable[[Undecoded], Awaitable[tuple[str, Decoded]]],
        done: Callable[[int, Undecoded, str, Decoded], None],
        counters: Counter[str],
    ) -> None:
        self._journal = journal
        self._decode = decode
        self._done = done
        self._counters = counters
        stored = journal.items(UNDECODED)
        self._rows = deque(sorted((row_of(key), _dev_eui(stored[key])) for key in stored if key.isdecimal()))
        self._waiting = Counter(dev_eui for _, dev_eui in self._rows)
        self._added = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many wait, the one that is being decoded included."""
        return len(self._rows)

    def waits(self, dev_eui: str) -> bool:
        """Say whether an uplink of this device waits: the next one must not overtake it."""
        return self._waiting[dev_eui] > 0

    def add(self, row: int, entry: Undecoded) -> None:
        """Put ``entry`` into the batch that is being collected; too many are counted and dropped, the frame stays."""
        if len(self._rows) >= MAX_WAITING:
            self._counters["undecoded_dropped"] += 1
            return
        self._journal.put(UNDECODED, key_of(row), encode_undecoded(entry))
        self._rows.append((row, entry.uplink.dev_eui))
        self._waiting[entry.uplink.dev_eui] += 1
        self._added.set()

    async def run(self) -> None:
        """Decode until cancelled."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_LAST_S)
        while True:
            while self._rows:
                row, _ = self._rows[0]
                entry = self._entry(row)
                if entry is None:
                    self._end()
                    continue
                try:
                    codec, decoded = await self._decode(entry)
                except JsWorkerError as fault:
                    self._counters["js_worker_failures"] += 1
                    log.error("js_worker_failed", error=str(fault), waiting=len(self._rows))
                    await asyncio.sleep(backoff.next_s())
                    continue
                except Exception:  # a fault of ours in one frame must not cost the frames after it
                    self._counters["edge_faults"] += 1
                    log.error("decoding_failed", row=row, exc_info=True)
                    codec, decoded = "", failed("the decoding failed inside the gateway")
                backoff.reset()
                self._end()
                self._done(row, entry, codec, decoded)
            self._added.clear()
            await self._added.wait()

    def _end(self) -> None:
        row, dev_eui = self._rows.popleft()
        self._waiting[dev_eui] -= 1
        if not self._waiting[dev_eui]:
            del self._waiting[dev_eui]
        self._journal.delete(UNDECODED, key_of(row))

    def _entry(self, row: int) -> Undecoded | None:
        value = self._journal.get(UNDECODED, key_of(row))
        try:
            return None if value is None else decode_undecoded(value)
        except (msgspec.MsgspecError, TypeError, ValueError) as fault:
            self._counters["undecoded_unreadable"] += 1
            log.error("undecoded_unreadable", row=row, error=str(fault))
            return None


def _dev_eui(value: bytes) -> str:
    try:
        return decode_undecoded(value).uplink.dev_eui
    except (msgspec.MsgspecError, TypeError, ValueError):
        return ""  # it is told when its turn comes
