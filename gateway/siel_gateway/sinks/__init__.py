"""Sinks: where Observations go. Each keeps its own place in the journal; nothing is done until it is acknowledged."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from siel_gateway.edge.records import Delivery, Joined
from siel_gateway.records import Observation


class Sink(Protocol):
    """A place where Observations go; everything but ``run`` returns at once."""

    name: str
    counters: Counter[str]

    @property
    def pending(self) -> int:
        """How many Observations are not acknowledged."""
        ...

    def offer(self, row: int, observation: Observation) -> None:
        """Take note of a new row of the journal."""
        ...

    def joined(self, joined: Joined) -> None:
        """Tell, where the sink has a place for that, that a device has joined."""
        ...

    def delivered(self, delivery: Delivery) -> None:
        """Tell, where the sink has a place for that, what became of an operator's downlink."""
        ...

    async def run(self) -> None:
        """Send until cancelled; a far end that is not there is waited for."""
        ...
