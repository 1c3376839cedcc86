"""pytest fixtures for simulated tests: ``world``, ``node`` and ``gateway`` share one clock and one air."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from siel_hil.feed import Feed
from siel_hil.gateway_site import GatewaySite
from siel_hil.loop import run_in_world
from siel_hil.medium import Medium
from siel_hil.models.sx1262 import SX1262
from siel_hil.net import VirtualNet
from siel_hil.node_site import NodeSite
from siel_hil.plan import plan_nodes
from siel_hil.scenario import Gateway, Node, Run, Scenario, Spot
from siel_hil.stage import Stage
from siel_hil.watch import watch_medium
from siel_hil.world import World

T = TypeVar("T")


class Testbed:
    """One world with its air and network, where a test puts nodes and a gateway.

    Args:
        workdir: Holds images, flash files and the gateway's data.
        seed: Decides everything that is left to chance.
    """

    __test__ = False

    def __init__(self, workdir: Path, seed: int = 1) -> None:
        self.world = World(seed)
        self.medium = Medium(self.world)
        self.net = VirtualNet(self.world)
        self.stage = Stage(workdir)
        self.events: list[tuple[int, str]] = []
        self.feed = Feed(lambda now_us, text: self.events.append((now_us, text)))
        self.nodes: list[NodeSite] = []
        self.gateways: list[GatewaySite] = []
        self._groups: list[Node] = []
        watch_medium(self.medium, self.feed)

    def node(
        self,
        template: str = "water_level",
        *,
        distance_m: float = 500.0,
        interval_s: int = 15,
        join_dr: int = 5,
        chip_class: type[SX1262] = SX1262,
    ) -> NodeSite:
        """Put a node into the world, ``distance_m`` east of the gateway; it is not switched on."""
        place = Spot(x_m=distance_m, y_m=0.0)
        group = Node.model_validate(
            {"template": template, "place": place, "interval_s": interval_s, "join_dr": join_dr}
        )
        self._groups.append(group)
        plan = plan_nodes(self._scenario(Gateway()), self.world)[-1]
        self.feed.add_node(plan.name, plan.dev_eui, distance_m)
        site = NodeSite(self.world, self.medium, self.stage, plan, self.feed, chip_class)
        self.nodes.append(site)
        return site

    def gateway(self, kind: str = "heads", **options: Any) -> GatewaySite:
        """Put the gateway into the world; it knows the nodes made before. ``options`` are those of GatewaySite.

        ``heads``, a tuple of HeadPlan, says what its heads listen to.
        """
        table = {"kind": kind} | ({"heads": options.pop("heads")} if "heads" in options else {})
        scenario = self._scenario(Gateway.model_validate(table))
        plans = [node.plan for node in self.nodes]
        site = GatewaySite(self.world, self.medium, self.net, self.stage, scenario, plans, self.feed, **options)
        self.gateways.append(site)
        return site

    def _scenario(self, gateway: Gateway) -> Scenario:
        return Scenario(scenario=Run(duration_s=1), gateway=(gateway,), node=tuple(self._groups))

    def run(self, main: Callable[[], Coroutine[Any, Any, T]], speed: float | None = None) -> T:
        """Run ``main`` on the world's clock and return its result."""
        return run_in_world(self.world, main, speed)

    def close(self) -> None:
        """End every process that is left."""
        for node in self.nodes:
            node.power_off()
        for gateway in self.gateways:
            for head in gateway.heads:
                head.board.power_off()


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    """One world with its air and network."""
    bed = Testbed(tmp_path)
    yield bed
    bed.close()


@pytest.fixture
def world(testbed: Testbed) -> World:
    """The clock of a test."""
    return testbed.world


@pytest.fixture
def node(testbed: Testbed) -> Callable[..., NodeSite]:
    """Make a node: ``node("climate", distance_m=800)``."""
    return testbed.node


@pytest.fixture
def gateway(testbed: Testbed) -> Callable[..., GatewaySite]:
    """Make the gateway: ``gateway()`` with heads, ``gateway("concentrator")``; after the nodes it shall know."""
    return testbed.gateway
