"""What a person wants to see of a run while it runs: one row per node and the latest events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from siel_gateway.records import Observation

OFF: Final = "off"
JOINING: Final = "joining"
JOINED: Final = "joined"


@dataclass
class NodeRow:
    """One node as the run sees it."""

    name: str
    distance_m: int
    state: str = OFF
    reading: str = ""
    rssi_dbm: int | None = None
    snr_db: float | None = None
    spreading_factor: int | None = None
    sent: int = 0
    heard: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    joined_us: int | None = None


class Feed:
    """Collects what happens; ``listener`` hears each event as one line of text.

    Args:
        listener: Called with virtual microseconds and the line.
    """

    def __init__(self, listener: Callable[[int, str], None] | None = None) -> None:
        self.rows: dict[str, NodeRow] = {}
        self._listener = listener
        self._by_eui: dict[str, str] = {}

    def add_node(self, name: str, dev_eui: str, distance_m: float) -> None:
        """Announce a node before the run."""
        self.rows[name] = NodeRow(name, round(distance_m))
        self._by_eui[dev_eui] = name

    def event(self, now_us: int, text: str) -> None:
        """Tell of something that belongs to no row."""
        if self._listener is not None:
            self._listener(now_us, text)

    def sent(self, now_us: int, name: str, *, join: bool, spreading_factor: int) -> None:
        """A node began to transmit."""
        row = self.rows[name]
        row.spreading_factor = spreading_factor
        if join:
            row.state = JOINING
            self.event(now_us, f"{name}: asks to join at SF{spreading_factor}")
            return
        row.sent += 1
        if row.joined_us is None:
            row.joined_us = now_us
            row.state = JOINED
            self.event(now_us, f"{name}: joined")

    def heard(self, name: str) -> None:
        """A data frame of a node reached the gateway."""
        self.rows[name].heard += 1

    def lost(self, now_us: int, name: str, cause: str) -> None:
        """A data frame of a node was lost on air."""
        self.rows[name].losses[cause] += 1
        self.event(now_us, f"{name}: a frame was lost: {cause}")

    def observed(self, now_us: int, observation: Observation) -> None:
        """The gateway decoded a reading."""
        name = self._by_eui.get(observation.dev_eui)
        if name is None:
            return
        row = self.rows[name]
        row.reading = reading_text(observation.data, observation.units)
        row.rssi_dbm = observation.radio["rssi_dbm"]
        row.snr_db = observation.radio["snr_db"]
        self.event(
            now_us, f"{name}: {row.reading}  ({row.rssi_dbm} dBm, SNR {row.snr_db:g} dB, FCnt {observation.f_cnt})"
        )


def reading_text(data: Mapping[str, Any], units: Mapping[str, str]) -> str:
    """Return a reading as one line for people: each value with its unit."""
    parts = []
    for name, value in data.items():
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        parts.append(f"{name} {shown} {units.get(name, '')}".rstrip())
    return ", ".join(parts)
