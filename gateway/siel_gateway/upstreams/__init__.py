"""What an upstream is to the rest of the gateway: a network server that gets raw frames and may ask for downlinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

from siel_gateway.records import RxFrame, TxOutcome, TxRequest

Submit = Callable[[TxRequest], Awaitable[TxOutcome]]
"""The arbiter's."""


class Upstream(Protocol):
    """One ``[[upstream]]``."""

    name: str
    counters: Counter[str]

    @property
    def connected(self) -> bool:
        """Whether the server answers, for every gateway EUI that it gets frames of."""
        ...

    @property
    def pending(self) -> int:
        """How many frames are sent and neither acknowledged nor given up."""
        ...

    def offer(self, row: int, frame: RxFrame) -> None:
        """Take a frame right after it was added to the journal as ``row``; rows come in ascending order."""
        ...

    async def run(self) -> None:
        """Serve the server until cancelled, whatever happens to it."""
        ...


class Progress:
    """How far a consumer has come when its rows are settled in any order; pure.

    Args:
        row: Everything up to it is settled.
    """

    def __init__(self, row: int) -> None:
        self._last = row
        self._open: dict[int, None] = {}

    @property
    def settled(self) -> int:
        """The row up to which everything is settled."""
        return next(iter(self._open)) - 1 if self._open else self._last

    @property
    def pending(self) -> int:
        """How many rows are not settled."""
        return len(self._open)

    def begin(self, row: int) -> None:
        """Wait for ``row``, which is higher than all before."""
        self._last = row
        self._open[row] = None

    def skip(self, row: int) -> None:
        """Do not wait for ``row``, which is higher than all before."""
        self._last = row

    def finish(self, row: int) -> None:
        """Settle ``row``."""
        self._open.pop(row, None)
