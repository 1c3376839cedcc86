"""Which radio a network server's downlink is for: the one that heard the uplink it answers; pure."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from siel_gateway.head_clock import COUNTER_PERIOD_US
from siel_gateway.records import RxFrame

MAX_AGE_US: Final = 20_000_000
MAX_FRAMES: Final = 8192
SECOND_US: Final = 1_000_000
MAX_DELAY_S: Final = 16
"""RECEIVE_DELAY1 is 15 s at most, RX2 one second later. Source: TS001-1.0.4 section 5.7."""


class CachedUplink(msgspec.Struct, frozen=True):
    """What is remembered of a frame that went north."""

    radio: str
    radio_session: int
    chip: int | None
    """The head's that heard it; None for a concentrator."""
    counter_us: int
    """On the radio's own counter."""
    gateway_us: int


class Answer(msgspec.Struct, frozen=True):
    """Where a downlink belongs."""

    uplink: CachedUplink
    counter_us: int
    """Start of the downlink on the radio's own counter."""


class UplinkCache:
    """The frames of one gateway EUI that a server may still answer, by the counter that the server knows."""

    def __init__(self, max_age_us: int = MAX_AGE_US, max_frames: int = MAX_FRAMES) -> None:
        self._max_age_us = max_age_us
        self._max_frames = max_frames
        self._order = deque[tuple[int, int]]()
        self._by_north: dict[int, CachedUplink] = {}

    def __len__(self) -> int:
        """Return how many frames are remembered."""
        return len(self._by_north)

    def add(self, frame: RxFrame, north_us: int) -> None:
        """Remember ``frame``, which went north with ``north_us``; of two with the same number the later is kept."""
        self._forget(frame.gateway_us)
        while len(self._order) >= self._max_frames:
            self._drop_first()
        self._by_north[north_us] = CachedUplink(
            frame.radio, frame.radio_session, frame.answering_chip, frame.counter_us, frame.gateway_us
        )
        self._order.append((frame.gateway_us, north_us))

    def find(self, north_us: int, now_us: int) -> Answer | None:
        """Return what a downlink at ``north_us`` answers, a frame heard 1 to 16 whole seconds earlier, or None."""
        self._forget(now_us)
        for delay_s in range(1, MAX_DELAY_S + 1):
            delay_us = delay_s * SECOND_US
            uplink = self._by_north.get((north_us - delay_us) % COUNTER_PERIOD_US)
            if uplink is not None and now_us - uplink.gateway_us <= self._max_age_us:
                return Answer(uplink, (uplink.counter_us + delay_us) % COUNTER_PERIOD_US)
        return None

    def _forget(self, now_us: int) -> None:
        while self._order and now_us - self._order[0][0] > self._max_age_us:
            self._drop_first()

    def _drop_first(self) -> None:
        gateway_us, north_us = self._order.popleft()
        uplink = self._by_north.get(north_us)
        # A later frame may stand under the same number.
        if uplink is not None and uplink.gateway_us == gateway_us:
            del self._by_north[north_us]
