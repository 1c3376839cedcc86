"""The report of a run: the figures of DESIGN's contract, what follows from them, and what was expected of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from siel_hil.errors import ScenarioError
from siel_hil.scenario import Expect


class Report(msgspec.Struct, kw_only=True):
    """What a run did, counted where it happened: on air by the medium, in the gateway by the daemon."""

    seed: int
    event_hash: str
    virtual_s: float
    wall_s: float
    nodes: int
    joined: int
    uplinks_sent: int
    uplinks_received: int
    uplinks_on_air_lost: dict[str, int]
    in_flight_at_end: int
    frames_received: int
    frames_forwarded: int
    observations: int
    observations_published: int
    downlinks_requested: int
    downlinks_on_air: int
    downlinks_received: int
    duty_cycle_violations: int
    errata_violations: int
    last_join_s: float | None = None
    """When the last node was joined: its first data frame's start."""
    per_node: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    """What was expected and is not so."""

    @property
    def lost(self) -> int:
        """Uplinks lost on air, all causes."""
        return sum(self.uplinks_on_air_lost.values())

    def metric(self, name: str) -> float:
        """Return a figure by name: a number of the report, or one that follows from it.

        Raises:
            ScenarioError: There is no such figure.
        """
        derived = {
            "lost": self.lost,
            "lost_share": self.lost / self.uplinks_sent if self.uplinks_sent else 0.0,
            "unaccounted": self.uplinks_sent - self.uplinks_received - self.lost - self.in_flight_at_end,
            "unpublished": self.observations - self.observations_published,
            "unforwarded": self.frames_received - self.frames_forwarded,
        }
        value = derived.get(name, getattr(self, name, None) if name in self.__struct_fields__ else None)
        if not isinstance(value, (int, float)):
            raise ScenarioError(f"expect: the report has no figure {name!r}")
        return value

    def check(self, expectations: Iterable[Expect]) -> None:
        """Write into ``faults`` what is not as expected."""
        self.faults.extend(fault for expect in expectations if (fault := expect.fault(self.metric(expect.metric))))

    def to_json(self) -> bytes:
        """Return the report as one JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def write(self, path: Path) -> None:
        """Write the report to a file, making its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.to_json())
