"""What the radios hear, and what the edge server may therefore announce to its devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from siel_node.region_eu868 import DATA_RATES, DEFAULT_CHANNELS_HZ, MAX_CHANNELS, MAX_JOIN_DR

BANDWIDTH_HZ: Final = 125_000
CF_LIST_CHANNELS: Final = 5
"""A CFList of type 0 has room for five. Source: RP002-1.0.4 section 2.4.4."""
_ALL_FACTORS: Final = frozenset(factor for factor, _ in DATA_RATES[: MAX_JOIN_DR + 1])


class Plan:
    """The channels of this gateway, as the edge server announces them.

    Args:
        heard: Every (frequency_hz, spreading_factor, bandwidth_hz) that some radio hears, whatever kind it is.
    """

    def __init__(self, heard: Iterable[tuple[int, int, int]]) -> None:
        self._factors: dict[int, set[int]] = {}
        for frequency_hz, spreading_factor, bandwidth_hz in heard:
            if bandwidth_hz == BANDWIDTH_HZ:
                self._factors.setdefault(frequency_hz, set()).add(spreading_factor)

    @property
    def cf_list_hz(self) -> tuple[int, ...]:
        """The channels to add at a join: beyond the default ones, and heard at every data rate a CFList allows.

        A CFList's channels carry DR0 to DR5 (RP002-1.0.4 section 2.4.4), so one that a head hears at a single
        spreading factor would promise too much. Empty with radio heads only.
        """
        extra = sorted(hz for hz, factors in self._factors.items() if factors >= _ALL_FACTORS)
        return tuple(hz for hz in extra if hz not in DEFAULT_CHANNELS_HZ)[:CF_LIST_CHANNELS]

    def mask(self, channels_hz: Iterable[int], spreading_factor: int) -> int:
        """Return the channel mask of what is heard, bit 0 for the first channel.

        Args:
            channels_hz: The channels a device knows, by index; 0 for a place that is not in use.
            spreading_factor: With which the device sends, 7 to 12.
        """
        mask = 0
        for index, frequency_hz in enumerate(channels_hz):
            if index < MAX_CHANNELS and spreading_factor in self._factors.get(frequency_hz, ()):
                mask |= 1 << index
        return mask


def device_channels(cf_list_hz: tuple[int, ...]) -> tuple[int, ...]:
    """Return the channels of a device that has just joined: the default ones and those of its CFList."""
    return (*DEFAULT_CHANNELS_HZ, *cf_list_hz)
