"""A scenario brought to life: nodes, air, gateway and network server on one clock, and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from siel_hil.daemon_log import as_json, daemon_log
from siel_hil.feed import Feed
from siel_hil.gateway_site import GatewaySite
from siel_hil.loop import WorldLoop, run_in_world
from siel_hil.medium import Medium
from siel_hil.net import VirtualNet
from siel_hil.node_site import NodeSite, node_files
from siel_hil.plan import plan_nodes
from siel_hil.report import Report
from siel_hil.scenario import Scenario
from siel_hil.stage import Stage, scratch_dir
from siel_hil.watch import watch_medium
from siel_hil.world import World

GATEWAY_LEAD_S: Final = 2.0
"""Nodes get power when the gateway has had this long to configure its radios and reach its server."""
AIR_DRAIN_S: Final = 4.0
"""The longest frame that the rules allow: what is on air at the end is over by then."""

COLLECT: Final = (20_000, 20, 100)
"""A run makes little that refers to itself, and a thousand nodes' worth of objects to look through each time."""


@dataclass(frozen=True)
class RunSettings:
    """How to run a scenario."""

    seed: int
    duration_s: int
    speed: float | None = None
    """None jumps from event to event; K holds the run back to K times wall time."""
    wall: bool = False
    """The shipped daemon as a process of its own, over ptys and real sockets; implies a speed of 1."""
    mqtt_url: str | None = None
    keep: Path | None = None
    """Folder for the event log and the gateway's log, JSON lines; None keeps neither."""
    stop_on_signal: bool = False
    """End the run cleanly at SIGINT or SIGTERM."""


class Simulation:
    """One run of a scenario.

    Args:
        scenario: What takes part.
        settings: How to run it.
        feed: Hears what happens.
        workdir: Holds images, flash files and the gateway's data.
        world: Its clock.
    """

    def __init__(self, scenario: Scenario, settings: RunSettings, feed: Feed, workdir: Path, world: World) -> None:
        self.scenario = scenario
        self.settings = settings
        self.feed = feed
        self.world = world
        self.stage = Stage(workdir)
        self.medium = Medium(world)
        self.net = VirtualNet(world)
        self.plans = plan_nodes(scenario, world)
        self.nodes: list[NodeSite] = []
        self.gateway = GatewaySite(
            world,
            self.medium,
            self.net,
            self.stage,
            scenario,
            self.plans,
            feed,
            wall=settings.wall,
            mqtt_url=settings.mqtt_url,
        )
        for plan in self.plans:
            feed.add_node(plan.name, plan.dev_eui, math.hypot(*plan.position_m))
        watch_medium(self.medium, feed)

    async def run(self) -> Report:
        """Run it to its end, drain and report; what was started is ended, whatever happens."""
        began = time.monotonic()
        stopped = asyncio.Event()
        try:
            await self.gateway.start()
            await asyncio.sleep(GATEWAY_LEAD_S)
            self.stage.format({plan.name: node_files(plan) for plan in self.plans})
            for plan in self.plans:
                node = NodeSite(self.world, self.medium, self.stage, plan, self.feed)
                self.nodes.append(node)
                node.power_on()
            if self.settings.stop_on_signal:
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, stopped.set)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self.settings.duration_s - GATEWAY_LEAD_S)):
                    await self.gateway.daemon.watch(stopped)
            virtual_s = self.world.now_us / 1e6
            for node in self.nodes:
                node.silence()
            loop = asyncio.get_running_loop()
            if isinstance(loop, WorldLoop) and not self.settings.wall:
                loop.hurry()  # nobody watches the end of a paced run
            await asyncio.sleep(AIR_DRAIN_S)
            await self.gateway.daemon.drain()
            return self._report(virtual_s, time.monotonic() - began)
        finally:
            for node in self.nodes:
                node.power_off()
            await self.gateway.stop()

    def _report(self, virtual_s: float, wall_s: float) -> Report:
        air = self.medium.report()
        gateway = self.gateway.daemon.report()
        per_node = air["per_node"]
        for node in self.nodes:
            per_node[node.plan.name] |= node.facts()
        first_data = [node["first_data_us"] for node in per_node.values() if node["first_data_us"] is not None]
        return Report(
            seed=self.settings.seed,
            event_hash=self.world.event_hash(),
            virtual_s=virtual_s,
            wall_s=round(wall_s, 3),
            nodes=len(self.nodes),
            joined=len(first_data),
            last_join_s=max(first_data) / 1e6 if len(first_data) == len(self.nodes) else None,
            uplinks_sent=air["uplinks_sent"],
            uplinks_received=gateway["uplinks_received"],
            uplinks_on_air_lost=air["uplinks_on_air_lost"],
            in_flight_at_end=air["in_flight_at_end"],
            frames_received=gateway["frames_received"],
            frames_forwarded=gateway["frames_forwarded"],
            observations=gateway["observations"],
            observations_published=gateway["observations_published"],
            downlinks_requested=gateway["downlinks_requested"],
            downlinks_on_air=air["downlinks_on_air"],
            downlinks_received=air["downlinks_received"],
            duty_cycle_violations=air["duty_cycle_violations"],
            errata_violations=sum(node.violations() for node in self.nodes) + self.gateway.violations(),
            per_node=per_node,
        )


def simulate(scenario: Scenario, settings: RunSettings, feed: Feed) -> Report:
    """Run a scenario and return its report.

    Raises:
        HilError: A participant failed or the run hung.
        PartError: MicroPython cannot be had.
    """
    with ExitStack() as stack:
        stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(*COLLECT)
        workdir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siel-", dir=scratch_dir())))
        log_to: TextIO | None = None
        gateway_log: TextIO | None = None
        if settings.keep is not None:
            settings.keep.mkdir(parents=True, exist_ok=True)
            log_to = stack.enter_context((settings.keep / "events.jsonl").open("w", encoding="utf-8"))
            gateway_log = stack.enter_context((settings.keep / "gateway.jsonl").open("w", encoding="utf-8"))
        world = World(settings.seed, log_to)
        stack.enter_context(
            daemon_log(world, lambda line: print(as_json(line), file=gateway_log) if gateway_log else None)
        )
        simulation = Simulation(scenario, settings, feed, workdir, world)
        return run_in_world(world, simulation.run, 1.0 if settings.wall else settings.speed)
