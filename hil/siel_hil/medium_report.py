"""What the medium counts: frames by kind and fate, per node and in all, and the law's airtime."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from siel_hil.medium_air import RECEIVED, Station, Transmission
from siel_node.region_eu868 import SUB_BANDS, sub_band

Kind = Literal["data", "join", "other", "downlink"]

_JOIN_TYPES: Final = (0, 6)
_DATA_UP_TYPES: Final = (2, 4)
_DATA_DOWN_TYPES: Final = (3, 5)
_DEV_ADDR_END: Final = 5
DIPOLE_DB: Final = 2.15
"""Gain of a half-wave dipole: the law counts ERP, EIRP = ERP + this."""
_ROUNDING_DB: Final = 0.01
WINDOW_US: Final = 3_600_000_000
"""Source: ETSI EN 300 220-1 V3.1.1, 5.4: duty cycle within one hour, at any point."""


def kind_of(tx: Transmission) -> Kind:
    """Return what a frame counts as: by who sends it, and for uplinks by MHDR's MType.

    Source: TS001-1.0.4 section 4.2.
    """
    if tx.station.role == "gateway":
        return "downlink"
    message_type = tx.payload[0] >> 5 if tx.payload else -1
    if message_type in _DATA_UP_TYPES:
        return "data"
    return "join" if message_type in _JOIN_TYPES else "other"


def dev_addr(payload: bytes, *, uplink: bool) -> int | None:
    """Return the DevAddr of a data frame, None of any other."""
    types = _DATA_UP_TYPES if uplink else _DATA_DOWN_TYPES
    if len(payload) < _DEV_ADDR_END or payload[0] >> 5 not in types:
        return None
    return int.from_bytes(payload[1:_DEV_ADDR_END], "little")


@dataclass
class Fate:
    """Frames of one kind: put on air, received, lost by cause. What is missing between is still on air."""

    sent: int = 0
    received: int = 0
    lost: dict[str, int] = field(default_factory=dict)

    def end(self, verdict: str) -> None:
        """Count the fate of one."""
        if verdict == RECEIVED:
            self.received += 1
        else:
            self.lost[verdict] = self.lost.get(verdict, 0) + 1

    @property
    def in_flight(self) -> int:
        """How many have no fate yet."""
        return self.sent - self.received - sum(self.lost.values())

    def sorted_lost(self) -> dict[str, int]:
        """Return the losses with causes in alphabetical order."""
        return dict(sorted(self.lost.items()))


class LawAudit:
    """Watches every transmitter against the law: power, and airtime in any 3600 s of each sub-band.

    Source: ETSI EN 300 220-2 V3.2.1 table B.1.
    """

    def __init__(self) -> None:
        self.duty_cycle: list[dict[str, Any]] = []
        self.power: list[dict[str, Any]] = []
        self._spent: dict[tuple[str, int], deque[tuple[int, int]]] = {}
        self._sums: dict[tuple[str, int], int] = {}

    def radiate(self, tx: Transmission) -> dict[str, Any] | None:
        """Check the power of a transmission; return what is wrong when it breaks the law, and remember it."""
        band = sub_band(tx.frequency_hz)
        limit_dbm = SUB_BANDS[band][3] + DIPOLE_DB if band >= 0 else -math.inf
        eirp_dbm = tx.power_dbm + tx.station.antenna_gain_db
        if eirp_dbm <= limit_dbm + _ROUNDING_DB:
            return None
        violation = {
            "transmitter": tx.station.name,
            "frequency_hz": tx.frequency_hz,
            "sub_band": band,
            "t_us": tx.t0_us,
            "eirp_cdbm": round(100 * eirp_dbm),
        }
        self.power.append(violation)
        return violation

    def spend(self, transmitter: str, frequency_hz: int, t0_us: int, t1_us: int) -> dict[str, Any] | None:
        """Count the airtime of a transmission; return what is wrong when it breaks the law, and remember it."""
        band = sub_band(frequency_hz)
        key = (transmitter, band)
        queue = self._spent.setdefault(key, deque())
        queue.append((t0_us, t1_us))
        total = self._sums.get(key, 0) + t1_us - t0_us
        start_us = t1_us - WINDOW_US
        while queue[0][1] <= start_us:
            first_us, last_us = queue.popleft()
            total -= last_us - first_us
        self._sums[key] = total
        inside = total - max(0, start_us - queue[0][0])
        allowed = WINDOW_US // 1000 * SUB_BANDS[band][2] if band >= 0 else 0
        if inside <= allowed:
            return None
        violation = {
            "transmitter": transmitter,
            "frequency_hz": frequency_hz,
            "sub_band": band,
            "t_us": t1_us,
            "airtime_us": inside,
            "allowed_us": allowed,
        }
        self.duty_cycle.append(violation)
        return violation


class Tally:
    """Counts fates, in all and per node."""

    def __init__(self) -> None:
        self.audit = LawAudit()
        self._fates: dict[str, Fate] = {kind: Fate() for kind in ("data", "join", "other", "downlink")}
        self._nodes: dict[str, dict[str, Fate]] = {}
        self._airtime_us: dict[str, int] = {}
        self._first_data_us: dict[str, int] = {}

    def add_station(self, station: Station) -> None:
        """Give a node its line in the report, even if it never sends."""
        if station.role == "node":
            self._node(station.name)

    def _node(self, name: str) -> dict[str, Fate]:
        return self._nodes.setdefault(name, {"data": Fate(), "join": Fate(), "other": Fate(), "downlink": Fate()})

    def start(self, tx: Transmission, kind: Kind) -> None:
        """Count a frame that went on air."""
        self._fates[kind].sent += 1
        name = tx.station.name
        if kind != "downlink":
            self._node(name)[kind].sent += 1
            if kind == "data":
                self._first_data_us.setdefault(name, tx.t0_us)
        self._airtime_us[name] = self._airtime_us.get(name, 0) + tx.t1_us - tx.t0_us

    def end(self, tx: Transmission, kind: Kind, verdict: str, node: str | None) -> None:
        """Count a frame's fate; ``node`` is who received a downlink."""
        self._fates[kind].end(verdict)
        if kind != "downlink":
            self._node(tx.station.name)[kind].end(verdict)
        elif verdict == RECEIVED and node is not None:
            self._node(node)["downlink"].received += 1

    def report(self) -> dict[str, Any]:
        """Return the medium's part of a run's report.

        ``uplinks_*`` and ``in_flight_at_end`` count data frames, each transmission; joins have figures of their own.
        """
        data, join, other, down = (self._fates[kind] for kind in ("data", "join", "other", "downlink"))
        return {
            "uplinks_sent": data.sent,
            "uplinks_received": data.received,
            "uplinks_on_air_lost": data.sorted_lost(),
            "in_flight_at_end": data.in_flight,
            "joins_sent": join.sent,
            "joins_received": join.received,
            "joins_on_air_lost": join.sorted_lost(),
            "joins_in_flight": join.in_flight,
            "other_sent": other.sent,
            "other_received": other.received,
            "downlinks_on_air": down.sent,
            "downlinks_received": down.received,
            "downlinks_on_air_lost": down.sorted_lost(),
            "downlinks_in_flight": down.in_flight,
            "duty_cycle_violations": len(self.audit.duty_cycle),
            "power_violations": len(self.audit.power),
            "airtime_us": dict(sorted(self._airtime_us.items())),
            "per_node": {name: self._node_report(name) for name in sorted(self._nodes)},
        }

    def _node_report(self, name: str) -> dict[str, Any]:
        fates = self._nodes[name]
        return {
            "uplinks_sent": fates["data"].sent,
            "uplinks_received": fates["data"].received,
            "uplinks_on_air_lost": fates["data"].sorted_lost(),
            "joins_sent": fates["join"].sent,
            "joins_received": fates["join"].received,
            "downlinks_received": fates["downlink"].received,
            "airtime_us": self._airtime_us.get(name, 0),
            "first_data_us": self._first_data_us.get(name),
        }
