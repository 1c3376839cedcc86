"""Operators' downlinks, queued per device until a receive window carries them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from siel_codecs.lorawan import MAX_FRM_PAYLOAD_BYTES
from siel_gateway.edge.records import MAX_F_PORT, MAX_ID_CHARS, Delivery, DeliveryOutcome, Downlink, Effects
from siel_gateway.records import TxOutcome

QUEUES: Final = "edge_queue"
MAX_QUEUED: Final = 16
MAX_REMEMBERED_IDS: Final = 64
MAX_CONFIRMED_TRIES: Final = 8
"""How often a confirmed downlink goes on air before the device counts as not answering."""


class _Stored(msgspec.Struct, array_like=True):
    waiting: list[Downlink] = []
    ids: list[str] = []
    tries: int = 0
    """How often the first one of ``waiting``, a confirmed one, went on air."""


class DownlinkQueue:
    """The downlinks of one device, first in first out; at most one is on its way at a time."""

    def __init__(self, dev_eui: str, value: bytes | None = None) -> None:
        self._dev_eui = dev_eui
        self._stored = msgspec.msgpack.decode(value, type=_Stored) if value is not None else _Stored()
        self._on_its_way: str | None = None

    def __len__(self) -> int:
        """Return how many wait, the one on its way included."""
        return len(self._stored.waiting)

    def add(self, downlink: Downlink, now_ms: int, effects: Effects) -> None:
        """Queue ``downlink`` or refuse it; the delivery says which. One that waits already may come again."""
        if downlink in self._stored.waiting:
            self._deliver(effects, downlink.id, "queued")
            return
        reason = self._fault(downlink, now_ms)
        if reason == "EXPIRED":
            self._deliver(effects, downlink.id, "expired")
        elif reason:
            self._deliver(effects, downlink.id, "refused", reason)
        else:
            self._stored.waiting.append(downlink)
            self._stored.ids = [*self._stored.ids, downlink.id][-MAX_REMEMBERED_IDS:]
            self._deliver(effects, downlink.id, "queued")
            self._save(effects)

    def _fault(self, downlink: Downlink, now_ms: int) -> str:
        faults = {
            "ID": not 0 < len(downlink.id) <= MAX_ID_CHARS,
            "DUPLICATE_ID": downlink.id in self._stored.ids,
            "EXPIRED": downlink.expires_ms <= now_ms,
            "F_PORT": not 1 <= downlink.f_port <= MAX_F_PORT,
            "SIZE": len(downlink.payload) > MAX_FRM_PAYLOAD_BYTES,
            "QUEUE_FULL": len(self._stored.waiting) >= MAX_QUEUED,
        }
        return next((reason for reason, holds in faults.items() if holds), "")

    def expire(self, now_ms: int, effects: Effects) -> None:
        """Give up what is too old and not on its way."""
        kept = [item for item in self._stored.waiting if item.expires_ms > now_ms or item.id == self._on_its_way]
        if len(kept) == len(self._stored.waiting):
            return
        first = self._stored.waiting[0]
        for item in self._stored.waiting:
            if item not in kept:
                self._deliver(effects, item.id, "expired")
        self._stored.waiting = kept
        if first not in kept:
            self._stored.tries = 0
        self._save(effects)

    def acknowledged(self, effects: Effects) -> None:
        """The device sent an ACK: the confirmed downlink that was on air has arrived."""
        first = self._stored.waiting[0] if self._stored.waiting else None
        if first is not None and (self._stored.tries or (first.confirmed and first.id == self._on_its_way)):
            self._on_its_way = None
            self._finish(effects, "acked")

    def next(self, max_bytes: int, largest_bytes: int, effects: Effects) -> tuple[Downlink | None, bool]:
        """Return what to send now, and whether the device should ask for more (FPending).

        Args:
            max_bytes: Room in this answer, beside its MAC commands.
            largest_bytes: Room in an answer without MAC commands; what is longer can never be sent.
            effects: Takes the refusal of what is too long.
        """
        while self._stored.waiting:
            first = self._stored.waiting[0]
            if self._on_its_way is not None:
                return None, False
            if len(first.payload) > largest_bytes:
                self._finish(effects, "refused", "SIZE")
            elif self._stored.tries >= MAX_CONFIRMED_TRIES:
                self._finish(effects, "expired", "NO_ACK")
            elif len(first.payload) > max_bytes:
                return None, True
            else:
                return first, len(self._stored.waiting) > 1
        return None, False

    def sent(self, downlink: Downlink) -> None:
        """``downlink`` is in a request; its outcome comes to :meth:`outcome`."""
        self._on_its_way = downlink.id

    def outcome(self, id_: str, outcome: TxOutcome, effects: Effects) -> None:
        """What became of the request that carried downlink ``id_``."""
        if self._on_its_way != id_:
            return
        self._on_its_way = None
        first = self._stored.waiting[0]
        if outcome.outcome not in ("on_air", "queued"):
            # It stays for the next uplink; the operator learns why it did not go out yet
            if first.confirmed and outcome.outcome == "unknown":  # it may well have: an ACK must find it
                self._stored.tries += 1
                self._save(effects)
            self._deliver(effects, id_, "queued", outcome.reason or outcome.outcome.upper(), outcome.slack_us)
            return
        # A packet forwarder says no more than that it has queued the frame, so neither do we
        word: DeliveryOutcome = "on_air" if outcome.outcome == "on_air" else "queued"
        reason = "" if word == "on_air" else "FORWARDER"
        if first.confirmed:
            self._stored.tries += 1
            self._deliver(effects, id_, word, reason, outcome.slack_us)
            self._save(effects)
        else:
            self._finish(effects, word, reason, outcome.slack_us)

    def _finish(self, effects: Effects, word: DeliveryOutcome, reason: str = "", slack_us: int | None = None) -> None:
        first = self._stored.waiting.pop(0)
        self._stored.tries = 0
        self._deliver(effects, first.id, word, reason, slack_us)
        self._save(effects)

    def _deliver(
        self, effects: Effects, id_: str, word: DeliveryOutcome, reason: str = "", slack_us: int | None = None
    ) -> None:
        effects.deliveries.append(
            Delivery(dev_eui=self._dev_eui, id=id_, outcome=word, reason=reason, slack_us=slack_us)
        )

    def _save(self, effects: Effects) -> None:
        effects.puts.append((QUEUES, self._dev_eui, msgspec.msgpack.encode(self._stored)))


class Queues:
    """The queues of all devices; one exists once something was put into it."""

    def __init__(self) -> None:
        self._queues: dict[str, DownlinkQueue] = {}

    def load(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        """Read the journal's table back; return the DevEUIs whose queue could not be read."""
        unreadable = []
        for dev_eui, value in items:
            try:
                self._queues[dev_eui] = DownlinkQueue(dev_eui, value)
            except msgspec.MsgspecError:
                unreadable.append(dev_eui)
        return unreadable

    def get(self, dev_eui: str) -> DownlinkQueue:
        """Return the queue of a device."""
        return self._queues.setdefault(dev_eui, DownlinkQueue(dev_eui))

    def expire(self, now_ms: int, effects: Effects) -> None:
        """Give up what is too old in every queue."""
        for queue in self._queues.values():
            queue.expire(now_ms, effects)
