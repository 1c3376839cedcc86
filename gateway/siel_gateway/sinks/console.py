"""Sink ``console``: one line per Observation where the operator, or the system's log, sees it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

import msgspec
import structlog

from siel_gateway.config_models import ConsoleSink
from siel_gateway.edge.records import Delivery, Joined
from siel_gateway.records import Observation
from siel_gateway.services import Services
from siel_gateway.sinks.feed import Feed, ObservationLog

RETRY_S: Final = 5.0
"""After the console did not take a line: a full pipe or disk."""

log = structlog.get_logger("siel.sink")


class Console:
    """Writes each Observation once it is its turn; a line that is written is acknowledged."""

    def __init__(self, config: ConsoleSink, services: Services, journal: ObservationLog) -> None:
        """Write nothing before :meth:`run`."""
        self.name = config.name
        self.counters: Counter[str] = Counter()
        self._services = services
        self._line = json_line if config.format == "json" else text_line
        self._feed = Feed(f"sink:{config.name}", journal)

    @property
    def pending(self) -> int:
        """How many Observations are not written."""
        return self._feed.pending

    def offer(self, row: int, observation: Observation) -> None:
        """Take note of a new row of the journal."""
        self._feed.offer(row, observation)

    def joined(self, joined: Joined) -> None:
        """Say nothing: the console shows Observations, the log shows the rest."""

    def delivered(self, delivery: Delivery) -> None:
        """Say nothing: the console shows Observations, the log shows the rest."""

    async def run(self) -> None:
        """Write until cancelled."""
        told = False
        while True:
            row, observation = await self._feed.next()
            try:
                await self._services.write_console(self._line(observation) + "\n")
            except OSError as error:
                self.counters["failures"] += 1
                if not told:
                    log.warning("console_unwritable", sink=self.name, error=str(error))
                told = True
                self._feed.take_back()
                await asyncio.sleep(RETRY_S)
            else:
                told = False
                self.counters["published"] += 1
                self._feed.acknowledge(row)


def json_line(observation: Observation) -> str:
    """Return the Observation as it goes to a broker."""
    return msgspec.json.encode(observation).decode()


def text_line(observation: Observation) -> str:
    """Return the Observation for people."""
    values = " ".join(
        f"{name}={value}{' ' + unit if (unit := observation.units.get(name, '')) else ''}"
        for name, value in observation.data.items()
    )
    radio = observation.radio
    heard = f"{radio['rssi_dbm']} dBm, {radio['snr_db']} dB, SF{radio['spreading_factor']}, {radio['radio']}"
    warnings = f" ({'; '.join(observation.warnings)})" if observation.warnings else ""
    return _on_one_line(f"{observation.time} {observation.device} {values or '-'}{warnings} [{heard}]")


def _on_one_line(text: str) -> str:
    # A JavaScript codec's texts may hold anything, a terminal's commands among them
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
