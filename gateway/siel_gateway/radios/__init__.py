"""What a radio is to the rest of the gateway, whatever stands behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from siel_gateway.config_models import Channel
from siel_gateway.counters import NorthCounter
from siel_gateway.records import RxFrame, TxOutcome, TxRequest, TxWindow

Receive = Callable[[RxFrame], Awaitable[None]]
"""The daemon's: journal and handle one frame, in this turn; what it returns is done when that is committed.

It raises JournalFullError, or its result fails, when the frame must not be acknowledged."""


class Radio(Protocol):
    """A head behind a serial port, or a concentrator behind a packet forwarder."""

    name: str
    gateway_eui: str
    stats: Counter[str]
    north: NorthCounter

    @property
    def channels(self) -> Sequence[Channel]:
        """What it listens to."""
        ...

    @property
    def concentrator(self) -> bool:
        """False: it hears one frequency and spreading factor per chip."""
        ...

    @property
    def connected(self) -> bool:
        """Whether it can be asked to transmit now."""
        ...

    @property
    def lead_us(self) -> int:
        """How long before the start of a transmission it must have the request."""
        ...

    @property
    def guard_us(self) -> int:
        """How long one of its transmitters needs between two transmissions."""
        ...

    @property
    def radio_session(self) -> int | None:
        """Changes when the radio's counter starts anew; None before the first start."""
        ...

    @property
    def counter_offset(self) -> int:
        """What is added to the radio's counter to get the one that network servers see, modulo 2**32."""
        ...

    def gateway_us(self, counter_us: int) -> int | None:
        """Return the gateway's clock at a value of the radio's counter, the nearest; None while that is unknown."""
        ...

    async def run(self) -> None:
        """Serve it until cancelled, whatever happens to it."""
        ...

    async def transmit(self, request: TxRequest, window: TxWindow) -> TxOutcome:
        """Transmit in ``window`` and say what happened; never raises for what the radio does."""
        ...
