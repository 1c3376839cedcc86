"""Requests to transmit on their way to one head: repeated until answered, ended exactly once."""

from __future__ import annotations

from typing import Final

from siel_gateway.head_events import Event, TxResult, TxScheduled
from siel_gateway.records import Outcome
from siel_head import link

TX_RETRY_US: Final = 150_000
"""More than the serial line needs for the longest request and its answer at 115200 baud (30 ms)."""
TX_OUTCOME_US: Final = 250_000
"""After the end of a transmission its outcome should be here; else it is asked for."""
TX_GIVE_UP_US: Final = 1_500_000
_OUTCOMES: Final[dict[str, Outcome]] = {
    "on_air": "on_air",
    "too_late": "too_late",
    "busy": "busy",
    "refused": "refused",
    "cancelled": "refused",
}


class _Request:
    """What was sent, and when to worry."""

    def __init__(self, fields: dict[str, int], payload: bytes, end_us: int, now_us: int) -> None:
        self.fields = fields
        self.payload = payload
        self.end_us = end_us
        self.retry_us = now_us + TX_RETRY_US
        self.slack_us: int | None = None
        self.cancelled = False


Message = tuple[str, bytes, dict[str, int]]
"""Name, payload and fields of a message of the link."""


class Requests:
    """All requests without a final outcome."""

    def __init__(self) -> None:
        self._requests: dict[int, _Request] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._requests)

    def add(self, fields: dict[str, int], payload: bytes, end_us: int, now_us: int) -> None:
        """Note a request that was just sent and whose transmission should be over at ``end_us``."""
        self._requests[fields["tag"]] = _Request(fields, payload, end_us, now_us)

    def cancel(self, tag: int, now_us: int) -> Message | None:
        """Return what to send to take a request back; None when its outcome is known."""
        request = self._requests.get(tag)
        if request is None:
            return None
        request.cancelled = True
        return self._again(request, now_us)

    def next_us(self) -> int | None:
        """Return when :meth:`due` has work, None without requests."""
        return min((request.retry_us for request in self._requests.values()), default=None)

    def due(self, now_us: int) -> tuple[list[Message], list[Event]]:
        """Return what to send again now, and the end of what was never answered."""
        messages: list[Message] = []
        events: list[Event] = []
        for tag, request in list(self._requests.items()):
            if now_us < request.retry_us:
                continue
            if now_us >= request.end_us + TX_GIVE_UP_US:
                events.append(self._end(tag, "unknown", "OTHER", None))
            else:
                messages.append(self._again(request, now_us))
        return messages, events

    def fail(self) -> list[Event]:
        """End everything as unknown: the head is gone."""
        return [self._end(tag, "unknown", "NO_RADIO", None) for tag in list(self._requests)]

    def outcome(self, fields: dict[str, int], now_us: int) -> list[Event]:
        """Take the head's word on one request and return what is new in it."""
        tag = fields["tag"]
        request = self._requests.get(tag)
        if request is None:
            return []
        word = word_of(link.OUTCOMES, fields["outcome"], "unknown")
        if word == "scheduled":
            known, request.slack_us = request.slack_us is not None, fields["slack_us"]
            request.retry_us = max(request.end_us + TX_OUTCOME_US, now_us + TX_RETRY_US)
            return [] if known else [TxScheduled(tag=tag, slack_us=fields["slack_us"])]
        request.slack_us = fields["slack_us"]
        counter_us = fields["counter_us"] if word == "on_air" else None
        reason = word_of(link.REASONS, fields["reason"], "OTHER")
        return [self._end(tag, _OUTCOMES.get(word, "unknown"), reason, counter_us)]

    def _end(self, tag: int, outcome: Outcome, reason: str, counter_us: int | None) -> Event:
        slack_us = self._requests.pop(tag).slack_us
        return TxResult(tag=tag, outcome=outcome, reason=reason, slack_us=slack_us, counter_us=counter_us)

    @staticmethod
    def _again(request: _Request, now_us: int) -> Message:
        request.retry_us = now_us + TX_RETRY_US
        return ("cancel", b"", request.fields) if request.cancelled else ("tx", request.payload, request.fields)


def word_of(words: tuple[str, ...], index: int, otherwise: str) -> str:
    """Return what a number of the link stands for; ``otherwise`` for one that a newer head has appended."""
    return words[index] if index < len(words) else otherwise
