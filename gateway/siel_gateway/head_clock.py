"""Where a head's 32-bit counter stands on the gateway's monotonic clock."""

from __future__ import annotations

from collections import deque
from typing import Final

COUNTER_PERIOD_US: Final = 1 << 32
"""About 71 minutes."""
DRIFT_PPM: Final = 50
"""Two crystals against each other; Source: RP2040 boards carry 30 ppm parts, PCs 20 ppm."""
SAMPLES_KEPT: Final = 8
ARRIVAL_ERROR_US: Final = 1_000_000


def signed_us(difference_us: int) -> int:
    """Return a difference of two 32-bit counters as the nearest signed number."""
    half = COUNTER_PERIOD_US // 2
    return (difference_us + half) % COUNTER_PERIOD_US - half


class HeadClock:
    """Keeps the best of the recent round trips and maps both ways.

    A sample is as good as half its round trip, and worse by the drift since; the best one is used.
    """

    def __init__(self) -> None:
        """Start without a sample: :attr:`known` is false."""
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=SAMPLES_KEPT)

    @property
    def known(self) -> bool:
        """Whether there was a sample; without one nothing can be mapped."""
        return bool(self._samples)

    def clear(self) -> None:
        """Forget all samples: the head has restarted."""
        self._samples.clear()

    def add(self, sent_us: int, received_us: int, head_received_us: int, head_sent_us: int) -> None:
        """Take one round trip.

        Args:
            sent_us: When the question left, monotonic.
            received_us: When the answer came, monotonic.
            head_received_us: The head's counter when the question came.
            head_sent_us: The head's counter when the answer left.
        """
        held_us = signed_us(head_sent_us - head_received_us)
        error_us = max(0, (received_us - sent_us - held_us) // 2)
        offset_us = (head_received_us + held_us // 2) - (sent_us + received_us) // 2
        self._samples.append((received_us, error_us, offset_us))

    def add_arrival(self, received_us: int, head_sent_us: int) -> None:
        """Take a message that was no answer: better than nothing until the first round trip."""
        self._samples.append((received_us, ARRIVAL_ERROR_US, head_sent_us - received_us))

    def error_us(self, now_us: int) -> int:
        """Return how wrong a mapped time may be now."""
        return min(self._error_us(sample, now_us) for sample in self._samples)

    def gateway_us(self, counter_us: int, near_us: int, now_us: int) -> int:
        """Return the monotonic time of a counter value, the one closest to ``near_us`` (within 35 minutes)."""
        return near_us + signed_us(counter_us - self.counter_us(near_us, now_us))

    def counter_us(self, gateway_us: int, now_us: int) -> int:
        """Return the head's counter, 32 bits, at a monotonic time."""
        offset_us = min(self._samples, key=lambda sample: self._error_us(sample, now_us))[2]
        return (gateway_us + offset_us) % COUNTER_PERIOD_US

    @staticmethod
    def _error_us(sample: tuple[int, int, int], now_us: int) -> int:
        return sample[1] + max(0, now_us - sample[0]) * DRIFT_PPM // 1_000_000
