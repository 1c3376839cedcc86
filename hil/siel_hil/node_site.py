"""One node where it stands: its board with real firmware, its chip on the air, its sensors in the weather."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from siel_hil.devices import I2cDevice, PinDevice, UartDevice
from siel_hil.feed import Feed
from siel_hil.medium import Medium, Station
from siel_hil.models.chips import fit_chip
from siel_hil.models.sensors import A02YYUW, Sht4x, air_humidity, air_temperature, tide
from siel_hil.models.sx1262 import SX1262
from siel_hil.pins import Wiring
from siel_hil.plan import NODE_BOARD, NodePlan
from siel_hil.stage import Stage, spi_pins
from siel_hil.world import World
from siel_node.identity import seal

Fit = Callable[[World, str, dict[str, Any], Wiring], A02YYUW | Sht4x]


def _fit_a02yyuw(world: World, name: str, sensor: dict[str, Any], wiring: Wiring) -> A02YYUW:
    device = A02YYUW(world, tide(world.rng(f"weather/{name}")))
    uart: UartDevice = device
    power: PinDevice = device
    wiring.uarts[sensor["uart"]] = uart
    wiring.outputs = [*wiring.outputs, (sensor["power"], power)]
    return device


def _fit_sht4x(world: World, name: str, sensor: dict[str, Any], wiring: Wiring) -> Sht4x:
    rng = world.rng(f"weather/{name}")
    device = Sht4x(world, air_temperature(rng), air_humidity(rng))
    on_bus: I2cDevice = device
    wiring.i2c[sensor["i2c"], sensor["address"]] = on_bus
    return device


FITTED: Final[dict[str, tuple[str, Fit]]] = {
    "water_level": ("a02yyuw", _fit_a02yyuw),
    "climate": ("sht4x", _fit_sht4x),
}
"""Template -> the sensor that is fitted to its board; what board.toml names beyond it stays empty."""


def node_files(plan: NodePlan) -> dict[str, bytes]:
    """Return what a node's file system holds before its first start."""
    return {"/identity.json": json.dumps(seal(plan.identity())).encode()}


class NodeSite:
    """A node in the world.

    Args:
        world: Where it lives.
        medium: Its air.
        stage: Builds its board.
        plan: Who it is.
        feed: Hears what it prints.
        chip_class: Another model of the SX1262, for planted faults.
        fitted: Whether its sensor is there; without it nothing answers on the sensor's wires.
    """

    def __init__(
        self,
        world: World,
        medium: Medium,
        stage: Stage,
        plan: NodePlan,
        feed: Feed,
        chip_class: type[SX1262] = SX1262,
        *,
        fitted: bool = True,
    ) -> None:
        self.plan = plan
        self.lines: list[str] = []
        self._world = world
        self._feed = feed
        data = stage.board_data(NODE_BOARD)
        radio = data["radio"][0]
        self.station = Station(plan.name, "node", plan.position_m, radio.get("antenna_gain_db", 0))
        self.chip = fit_chip(world, medium, self.station, radio, chip_class)
        wiring = Wiring(spi=[(self.chip, spi_pins(radio))], unique_id=bytes.fromhex(plan.dev_eui))
        kind, fit = FITTED[plan.template]
        sensor = next(entry for entry in data["sensor"] if entry["kind"] == kind)
        self.sensor: A02YYUW | Sht4x | None = fit(world, plan.name, sensor, wiring) if fitted else None
        self.board = stage.build(world, plan.name, NODE_BOARD, wiring, node_files(plan), self._line)

    def _line(self, text: str) -> None:
        self.lines.append(text)

    def power_on(self) -> None:
        """Switch it on."""
        self.board.power_on()

    def silence(self) -> None:
        """Let it begin nothing more; what its chip has on air goes on to its end."""
        self.board.power_off()

    def power_off(self) -> None:
        """Take its power: board, chip and sensor stop where they are, flash keeps what was written."""
        self.board.power_off()
        self.chip.reset(self._world.now_us)
        if isinstance(self.sensor, A02YYUW):
            self.sensor.level(self._world.now_us, 0)

    def violations(self) -> int:
        """Return how often its firmware broke a rule of its chip."""
        return sum(self.chip.violation_counts.values())

    def facts(self) -> dict[str, Any]:
        """Return what the report says of it beside the air's figures."""
        return {
            "dev_eui": self.plan.dev_eui,
            "codec": self.plan.codec,
            "violations": [f"{v.kind} {v.rule}: {v.detail}" for v in self.chip.violations],
            **self.board.facts(),
        }
