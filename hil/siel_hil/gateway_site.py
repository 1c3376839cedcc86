"""The gateway where it stands: its radios on the air, the daemon behind them, the network server behind that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from siel_gateway.keystore import KeyStore, create_key_file
from siel_hil.daemon_site import DaemonInside, DaemonOutside, DaemonSite
from siel_hil.feed import Feed
from siel_hil.medium import Medium, Station
from siel_hil.models.chips import fit_chip
from siel_hil.models.concentrator import Concentrator
from siel_hil.models.network_server import NetworkServer
from siel_hil.models.sx1262 import SX1262
from siel_hil.net import Address, Endpoint, LoopbackEndpoint, VirtualNet, free_udp_port
from siel_hil.pins import Wiring
from siel_hil.plan import CONCENTRATOR_ID, HEAD_BOARD, GatewaySettings, NodePlan, gateway_toml
from siel_hil.process import MicroPythonBoard
from siel_hil.scenario import Gateway, HeadPlan, Scenario
from siel_hil.serial_line import PtyLine, VirtualLine
from siel_hil.stage import Stage, spi_pins
from siel_hil.world import World

FORWARDER_PORT: Final = 1700
SERVER_PORT: Final = 1710


class HeadSite:
    """One radio head: its board with real firmware, its chip, and the serial line to its host."""

    def __init__(
        self,
        world: World,
        medium: Medium,
        stage: Stage,
        name: str,
        gateway: Gateway,
        line: VirtualLine | PtyLine,
        chip_class: type[SX1262] = SX1262,
    ) -> None:
        self.name = name
        self.line = line
        data = stage.board_data(HEAD_BOARD)
        radio = data["radio"][0]
        self.station = Station(name, "gateway", (gateway.place.x_m, gateway.place.y_m), gateway.antenna_gain_db)
        self.chip = fit_chip(world, medium, self.station, radio, chip_class)
        self.line_number: int = data["line"]["id"]
        """Which UART of the board the line is on."""
        wiring = Wiring(spi=[(self.chip, spi_pins(radio))], uarts={self.line_number: line})
        self.board: MicroPythonBoard = stage.build(world, name, HEAD_BOARD, wiring, {})
        self._world = world

    def power_on(self) -> None:
        """Switch it on."""
        self.board.power_on()

    def power_off(self) -> None:
        """Take its power: what it holds in memory is lost, what its chip sends ends in the middle."""
        self.board.power_off()
        self.chip.reset(self._world.now_us)


class GatewaySite:
    """A gateway with heads or a concentrator, inside the world or with its daemon as a process of its own.

    Args:
        world: Its clock.
        medium: Its air.
        net: The network inside the world.
        stage: Where things are built.
        scenario: What it consists of.
        plans: The devices it knows, read when it starts.
        feed: Hears what it decodes.
        wall: The daemon is a process of its own, over ptys and real sockets.
        mqtt_url: A broker to publish to.
        chip_class: Another chip model for its heads, for planted faults.
    """

    def __init__(
        self,
        world: World,
        medium: Medium,
        net: VirtualNet,
        stage: Stage,
        scenario: Scenario,
        plans: Sequence[NodePlan],
        feed: Feed,
        *,
        wall: bool = False,
        mqtt_url: str | None = None,
        chip_class: type[SX1262] = SX1262,
    ) -> None:
        self.world = world
        self.wall = wall
        self.folder = stage.workdir / "gateway"
        self.folder.mkdir(parents=True)
        self.server = NetworkServer(world)
        self.heads: list[HeadSite] = []
        self.concentrator: Concentrator | None = None
        self.daemon: DaemonSite
        self._medium = medium
        self._net = net
        self._stage = stage
        self._scenario = scenario
        self._gateway = scenario.gateway[0]
        self._plans = plans
        self._feed = feed
        self._mqtt_url = mqtt_url
        self._chip_class = chip_class
        self._endpoints: list[Endpoint | LoopbackEndpoint] = []

    async def start(self) -> None:
        """Build everything, start the server, the radios and the daemon."""
        server = await self._bind(SERVER_PORT, self.server.receive)
        self.server.start(server)
        forwarder_port = free_udp_port() if self.wall else FORWARDER_PORT
        if self._gateway.kind == "concentrator":
            await self._start_concentrator(("127.0.0.1", forwarder_port))
        else:
            for number, plan in enumerate(self._gateway.heads, start=1):
                self._start_head(f"head-{number}", plan)
        settings = GatewaySettings(
            data_dir=str(self.folder / "data"),
            key_file=str(self.folder / "keys.key"),
            head_ports=tuple(self._port(head.name) for head in self.heads),
            forwarder_bind=f"127.0.0.1:{forwarder_port}",
            upstream_url=f"udp://127.0.0.1:{server.local_address[1]}",
            mqtt_url=self._mqtt_url,
        )
        config = self.folder / "siel.toml"
        config.write_text(gateway_toml(self._scenario, self._plans, settings), encoding="utf-8")
        self._store_keys(settings)
        if self.wall:
            self.daemon = DaemonOutside(config, self.folder)
        else:
            lines = {self._port(head.name): head.line for head in self.heads if isinstance(head.line, VirtualLine)}
            self.daemon = DaemonInside(self.world, config, self._net, lines, self._feed)
        await self.daemon.start()

    @property
    def inside(self) -> DaemonInside:
        """The daemon when it runs inside the world, to be asked, killed and started again."""
        assert isinstance(self.daemon, DaemonInside)  # noqa: S101 - who asks knows how it was started
        return self.daemon

    def _port(self, name: str) -> str:
        return str(self.folder / f"tty-{name}")

    async def _bind(self, port: int, receiver: Any) -> Endpoint | LoopbackEndpoint:
        endpoint: Endpoint | LoopbackEndpoint
        if self.wall:
            endpoint = await LoopbackEndpoint.bind(0, receiver)
        else:
            endpoint = self._net.bind(("127.0.0.1", port), receiver)
        self._endpoints.append(endpoint)
        return endpoint

    async def _start_concentrator(self, daemon: Address) -> None:
        place = (self._gateway.place.x_m, self._gateway.place.y_m)
        station = Station("concentrator", "gateway", place, self._gateway.antenna_gain_db)
        self.concentrator = Concentrator(self.world, self._medium, station, CONCENTRATOR_ID)
        self.concentrator.start(await self._bind(0, self.concentrator.receive), daemon)

    def _start_head(self, name: str, plan: HeadPlan) -> None:
        line: VirtualLine | PtyLine
        if self.wall:
            line = PtyLine(self.world, name, self.folder / f"tty-{name}")
            line.attach(asyncio.get_running_loop())
        else:
            line = VirtualLine(self.world, name)
        head = HeadSite(self.world, self._medium, self._stage, name, self._gateway, line, self._chip_class)
        self.heads.append(head)
        head.power_on()

    def _store_keys(self, settings: GatewaySettings) -> None:
        data_dir = Path(settings.data_dir)
        data_dir.mkdir(exist_ok=True)
        store = KeyStore.create(data_dir / "keys.siel", create_key_file(Path(settings.key_file)))
        for plan in self._plans:
            store.put(plan.dev_eui, plan.join_eui, plan.app_key)
        store.save()

    async def stop(self) -> None:
        """End everything that was started."""
        if hasattr(self, "daemon"):
            await self.daemon.stop()
        for head in self.heads:
            head.power_off()
            if isinstance(head.line, PtyLine):
                head.line.close(asyncio.get_running_loop())
        if self.concentrator is not None:
            self.concentrator.stop()
        for endpoint in self._endpoints:
            endpoint.close()

    def violations(self) -> int:
        """Return how often head firmware broke a rule of its chip."""
        return sum(sum(head.chip.violation_counts.values()) for head in self.heads)
