"""What a radio is to the rest of the gateway, whatever stands behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from siel_gateway.arbiter import Transmitter
from siel_gateway.config_models import Channel
from siel_gateway.counters import NorthCounter
from siel_gateway.records import RxFrame

Receive = Callable[[RxFrame], Awaitable[None]]
"""The daemon's: journal and handle one frame, in this turn; what it returns is done when that is committed.

It raises JournalFullError, or its result fails, when the frame must not be acknowledged."""


class Radio(Transmitter, Protocol):
    """A head behind a serial port, or a concentrator behind a packet forwarder."""

    name: str
    gateway_eui: str
    counters: Counter[str]
    north: NorthCounter

    @property
    def channels(self) -> Sequence[Channel]:
        """What it listens to."""
        ...

    @property
    def concentrator(self) -> bool:
        """False: it hears one frequency and spreading factor per chip."""
        ...

    async def run(self) -> None:
        """Serve it until cancelled, whatever happens to it."""
        ...
