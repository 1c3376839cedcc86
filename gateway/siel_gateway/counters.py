"""32-bit microsecond counters: one per radio, one per gateway EUI to the north, and how they map; pure."""

from __future__ import annotations

from typing import Final

from siel_gateway.head_clock import COUNTER_PERIOD_US, DRIFT_PPM, signed_us

RESTART_US: Final = 2_000_000
"""A forwarder reads its frames within milliseconds; a counter further off than this has started anew."""


class NorthCounter:
    """Where one radio's counter stands on the counter that its gateway EUI shows to network servers.

    The offset is chosen at each start of a radio's session so that the sum is the gateway's clock at that moment, and
    stays as it is until the next. The only radio of an EUI is shown as it is.

    Args:
        alone: No other radio has the same EUI.
    """

    def __init__(self, *, alone: bool) -> None:
        self.offset_us = 0
        self._alone = alone

    def start_session(self, counter_us: int, gateway_us: int) -> None:
        """Choose the offset: the radio's counter was ``counter_us`` when the gateway's clock was ``gateway_us``."""
        if not self._alone:
            self.offset_us = (gateway_us - counter_us) % COUNTER_PERIOD_US

    def to_north(self, counter_us: int) -> int:
        """Return what network servers see for a value of the radio's counter."""
        return (counter_us + self.offset_us) % COUNTER_PERIOD_US

    def to_radio(self, north_us: int) -> int:
        """Return the radio's counter for a value that a network server names."""
        return (north_us - self.offset_us) % COUNTER_PERIOD_US


class ForwarderClock:
    """Where a concentrator's counter stands on the gateway's clock, from frames that all come somewhat late.

    A frame cannot come before it was heard, so the one that came with the least delay is believed, less and less as
    the two clocks drift apart.
    """

    def __init__(self) -> None:
        # When it came, and how far the counter was ahead of the gateway's clock then.
        self._best: tuple[int, int] | None = None

    def add(self, counter_us: int, gateway_us: int) -> bool:
        """Take a frame's counter and its arrival; say whether the counter has started anew since the last one."""
        known_us = self.gateway_us(counter_us, gateway_us)
        sample = (gateway_us, (counter_us - gateway_us) % COUNTER_PERIOD_US)
        if self._best is None or known_us is None or abs(gateway_us - known_us) > RESTART_US:
            self._best = sample
            return True
        # Both lose belief at the same rate from now on, so the loser of today never wins later.
        drift_us = (gateway_us - self._best[0]) * DRIFT_PPM // 1_000_000
        if signed_us(sample[1] - self._best[1]) >= -drift_us:
            self._best = sample
        return False

    def gateway_us(self, counter_us: int, now_us: int) -> int | None:
        """Return the gateway's clock at a value of the counter, the one nearest to now; None before the first frame."""
        if self._best is None:
            return None
        return now_us + signed_us(counter_us - now_us - self._best[1])
