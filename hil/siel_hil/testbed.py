"""The world by the piece, for tests: nodes, a gateway and strangers on one clock and one air, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from siel_gateway.records import Observation
from siel_hil.daemon_log import daemon_log
from siel_hil.errors import HilError
from siel_hil.feed import Feed
from siel_hil.gateway_site import GatewaySite
from siel_hil.loop import run_in_world
from siel_hil.medium import Medium
from siel_hil.models.sx1262 import SX1262
from siel_hil.models.traffic import TrafficNode
from siel_hil.net import VirtualNet
from siel_hil.node_site import NodeSite
from siel_hil.plan import NodePlan, plan_nodes
from siel_hil.scenario import Gateway, Node, Run, Scenario, Spot
from siel_hil.simulation import AIR_DRAIN_S, GATEWAY_LEAD_S
from siel_hil.stage import Stage
from siel_hil.watch import watch_medium
from siel_hil.world import World

T = TypeVar("T")
STEP_S: Final = 0.05
EVENTS_SHOWN: Final = 12


class NotReachedError(HilError, AssertionError):
    """What a test waited for did not happen in time; the message ends with what did."""


@dataclass
class OnAir:
    """One transmission and what became of it."""

    number: int
    station: str
    kind: str
    """"data", "join", "other" or "downlink"."""
    t0_us: int
    t1_us: int
    frequency_hz: int
    spreading_factor: int
    payload: bytes
    verdict: str = ""
    """"received" or why not; empty while it is on air."""
    at: str = ""
    """Which gateway radio heard it best, or which node."""
    gateways: dict[str, str] = field(default_factory=dict)
    """Of an uplink: each gateway radio's own verdict."""


class _Recorder(Feed):
    """A feed that keeps everything: a test is short."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str]] = []
        self.observations: list[Observation] = []
        super().__init__(lambda now_us, text: self.events.append((now_us, text)))

    def observed(self, now_us: int, observation: Observation) -> None:
        self.observations.append(observation)
        super().observed(now_us, observation)


class Testbed:
    """One world with its air and network, where a test puts nodes and a gateway.

    Args:
        workdir: Holds images, flash files and the gateway's data.
        seed: Decides everything that is left to chance.

    Attributes:
        air: Every transmission, in order.
        log: What the gateway logged, one dict for each line; a fault of its own ends the run.
        nodes: In the order in which they were made.
        gateways: The gateway, once it was made.
    """

    __test__ = False

    def __init__(self, workdir: Path, seed: int = 1) -> None:
        self.world = World(seed)
        self.medium = Medium(self.world)
        self.net = VirtualNet(self.world)
        self.stage = Stage(workdir)
        self.air: list[OnAir] = []
        self.log: list[dict[str, Any]] = []
        self.nodes: list[NodeSite] = []
        self.gateways: list[GatewaySite] = []
        self._feed = _Recorder()
        self._groups: list[Node] = []
        self._plans: list[NodePlan] = []
        self._on_air: dict[int, OnAir] = {}
        self._cleanup = ExitStack()
        self._cleanup.enter_context(daemon_log(self.world, self.log.append))
        watch_medium(self.medium, self._feed)
        self.medium.on_event.append(self._follow)

    @property
    def observations(self) -> list[Observation]:
        """What the gateway published, in that order, repeats included."""
        return self._feed.observations

    @property
    def deliveries(self) -> list[tuple[str, str, str]]:
        """What became of operators' downlinks, as the gateway tells it: (id, outcome, reason)."""
        lines = [line for line in self.log if line["event"] == "downlink_delivery"]
        return [(line["id"], line["outcome"], line["reason"]) for line in lines]

    @property
    def events(self) -> list[tuple[int, str]]:
        """What a person would have seen, with its time."""
        return self._feed.events

    # --- who takes part ---------------------------------------------------------------------------------------

    def node(
        self,
        template: str = "water_level",
        *,
        distance_m: float = 500.0,
        interval_s: int = 15,
        join_dr: int = 5,
        confirmed: int = 0,
        fitted: bool = True,
        chip_class: type[SX1262] = SX1262,
    ) -> NodeSite:
        """Put a node into the world, ``distance_m`` east of the gateway; ``start`` or ``power_on`` switches it on.

        Args:
            template: "water_level" or "climate".
            distance_m: How far away it stands.
            interval_s: From one uplink to the next.
            join_dr: The data rate with which it joins.
            confirmed: Every so many uplinks one is confirmed, 0 for none.
            fitted: Whether its sensor is there.
            chip_class: Another chip model, for planted faults.
        """
        place = Spot(x_m=distance_m, y_m=0.0)
        options = {"interval_s": interval_s, "join_dr": join_dr, "confirmed": confirmed}
        self._groups.append(Node.model_validate({"template": template, "place": place, **options}))
        plan = plan_nodes(self._scenario(Gateway()), self.world)[-1]
        self._plans.append(plan)
        self._feed.add_node(plan.name, plan.dev_eui, distance_m)
        site = NodeSite(self.world, self.medium, self.stage, plan, self._feed, chip_class, fitted=fitted)
        self.nodes.append(site)
        return site

    def gateway(self, kind: str = "heads", **options: Any) -> GatewaySite:
        """Put the gateway into the world; it knows the nodes that are made before it starts.

        Args:
            kind: "heads" or "concentrator".
            **options: Of GatewaySite; and ``heads``, a tuple of HeadPlan: what its heads listen to.
        """
        table = {"kind": kind} | ({"heads": options.pop("heads")} if "heads" in options else {})
        scenario = self._scenario(Gateway.model_validate(table))
        site = GatewaySite(self.world, self.medium, self.net, self.stage, scenario, self._plans, self._feed, **options)
        self.gateways.append(site)
        return site

    def stranger(self, name: str = "stranger", *, distance_m: float = 300.0) -> TrafficNode:
        """Put a bare transmitter into the world: ``send`` puts any frame on air."""
        return TrafficNode(self.medium, name, (distance_m, 0.0))

    def _scenario(self, gateway: Gateway) -> Scenario:
        # a scenario wants a node; one that only has strangers gets one that is never built
        groups = self._groups or [Node(template="climate", place=Spot(x_m=0.0, y_m=0.0))]
        return Scenario(scenario=Run(duration_s=1), gateway=(gateway,), node=tuple(groups))

    # --- the story --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the gateway, and 2 s later every node."""
        for gateway in self.gateways:
            await gateway.start()
        await asyncio.sleep(GATEWAY_LEAD_S)
        for node in self.nodes:
            node.power_on()

    async def until(self, condition: Callable[[], object], limit_s: float = 120.0) -> None:
        """Let time pass until ``condition()`` holds; it is asked every 50 ms.

        Raises:
            NotReachedError: It did not within ``limit_s`` of virtual time.
        """
        end_us = self.world.now_us + round(limit_s * 1e6)
        while not condition():
            if self.world.now_us >= end_us:
                latest = "\n".join(f"{t_us / 1e6:10.3f} {text}" for t_us, text in self.events[-EVENTS_SHOWN:])
                raise NotReachedError(f"not within {limit_s:g} s of virtual time; at last:\n{latest}")
            await asyncio.sleep(STEP_S)

    async def drain(self) -> None:
        """Let no node begin anything more, and what was heard reach everybody."""
        for node in self.nodes:
            node.silence()
        await asyncio.sleep(AIR_DRAIN_S)
        for gateway in self.gateways:
            await gateway.daemon.drain()

    def run(self, main: Callable[[], Coroutine[Any, Any, T]], speed: float | None = None) -> T:
        """Run ``main`` on the world's clock, once, and return its result; then everything is switched off.

        Raises:
            HilError: A participant died, hung or failed.
        """

        async def story() -> T:
            try:
                return await main()
            finally:
                for node in self.nodes:
                    node.power_off()
                for gateway in self.gateways:
                    await gateway.stop()

        return run_in_world(self.world, story, speed)

    def play(self, until: Callable[[], object], limit_s: float = 120.0) -> None:
        """Run the plainest story: start, and wait until ``until()`` holds."""

        async def story() -> None:
            await self.start()
            await self.until(until, limit_s)

        self.run(story)

    def __enter__(self) -> Testbed:
        """Use it without pytest's fixture: ``with Testbed(folder) as bed``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End every process that is left."""
        for node in self.nodes:
            node.power_off()
        for gateway in self.gateways:
            for head in gateway.heads:
                head.power_off()
        self._cleanup.close()

    # --- what came of it --------------------------------------------------------------------------------------

    def sent(self, station: str = "", kind: str = "") -> list[OnAir]:
        """Return the transmissions of a station, of a kind, or both."""
        return [tx for tx in self.air if station in {"", tx.station} and kind in {"", tx.kind}]

    def _follow(self, event: str, info: dict[str, Any]) -> None:
        if event == "transmit":
            names = ("number", "station", "kind", "t0_us", "t1_us", "frequency_hz", "spreading_factor", "payload")
            tx = self._on_air[info["number"]] = OnAir(**{name: info[name] for name in names})
            self.air.append(tx)
        elif event in {"uplink", "downlink"}:
            tx = self._on_air.pop(info["number"])
            tx.t1_us = info["t1_us"]
            tx.verdict = info["verdict"]
            tx.at = info.get("at") or info.get("node") or ""
            tx.gateways = info.get("gateways", {})
