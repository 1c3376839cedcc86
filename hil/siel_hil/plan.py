"""From a scenario to who stands where: places, identities and keys, all drawn from the seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from siel_hil.scenario import Node, Scenario, Spot
from siel_hil.world import World

NODE_BOARD: Final = "pico_sx1262"
HEAD_BOARD: Final = "pico_sx1262_head"
GATEWAY_ID: Final = "0251e1fffe000001"
CONCENTRATOR_ID: Final = "0251e1fffe0000c0"
JOIN_EUI: Final = "0251e1ffff000000"
"""Locally administered EUI-64s (bit 1 of the first byte), so that they collide with nobody's."""
_FIRST_DEV_EUI: Final = 0x0251E10000000001
CODECS: Final = {"water_level": "siel/water_level", "climate": "siel/climate"}


@dataclass(frozen=True)
class NodePlan:
    """One node before it is built."""

    name: str
    template: str
    codec: str
    dev_eui: str
    join_eui: str
    app_key: bytes
    position_m: tuple[float, float]
    interval_s: int
    join_dr: int
    confirmed: int = 0
    """Every so many uplinks one is confirmed, 0 for none."""

    def __repr__(self) -> str:
        return f"NodePlan({self.name}, {self.dev_eui})"

    def identity(self) -> dict[str, str | int]:
        """Return what identity.json holds, before it is sealed."""
        identity: dict[str, str | int] = {
            "dev_eui": self.dev_eui,
            "join_eui": self.join_eui,
            "app_key": self.app_key.hex(),
            "join_dr": self.join_dr,
            "interval_s": self.interval_s,
            "codec": self.codec,
        }
        return identity | {"confirmed": self.confirmed} if self.confirmed else identity


def plan_nodes(scenario: Scenario, world: World) -> list[NodePlan]:
    """Draw every node of ``scenario``; a node's place and key do not depend on how many others there are."""
    plans: list[NodePlan] = []
    counts: dict[str, int] = {}
    for group in scenario.node:
        for _ in range(group.count):
            counts[group.template] = number = counts.get(group.template, 0) + 1
            name = f"{group.template.split('_')[0]}-{number}"
            rng = world.rng(f"node/{name}")
            plans.append(
                NodePlan(
                    name=name,
                    template=group.template,
                    codec=CODECS[group.template],
                    dev_eui=f"{_FIRST_DEV_EUI + len(plans):016x}",
                    join_eui=JOIN_EUI,
                    app_key=rng.randbytes(16),
                    position_m=_place(group, rng.random(), rng.random()),
                    interval_s=group.interval_s,
                    join_dr=group.join_dr,
                    confirmed=group.confirmed,
                )
            )
    return plans


def _place(group: Node, where: float, direction: float) -> tuple[float, float]:
    if isinstance(group.place, Spot):
        return group.place.x_m, group.place.y_m
    near, far = group.place.ring_m
    distance = near + (far - near) * where
    return distance * math.cos(math.tau * direction), distance * math.sin(math.tau * direction)


@dataclass(frozen=True)
class GatewaySettings:
    """What siel.toml of a simulated gateway says, beyond what every one says."""

    data_dir: str
    key_file: str
    head_ports: tuple[str, ...] = ()
    forwarder_bind: str = "127.0.0.1:1700"
    upstream_url: str = "udp://127.0.0.1:1710"
    mqtt_url: str | None = None


def gateway_toml(scenario: Scenario, nodes: Sequence[NodePlan], settings: GatewaySettings) -> str:
    """Return the siel.toml of the scenario's gateway: the same file a person would write."""
    gateway = scenario.gateway[0]
    lines = [
        "[gateway]",
        f'id = "{GATEWAY_ID}"',
        'name = "emulated"',
        f'data_dir = "{settings.data_dir}"',
        "",
        "[keys]",
        f'store = "{settings.data_dir}/keys.siel"',
        f'key_file = "{settings.key_file}"',
    ]
    if gateway.kind == "concentrator":
        lines += [
            "",
            "[[radio]]",
            'name = "concentrator"',
            'kind = "semtech-udp"',
            f'bind = "{settings.forwarder_bind}"',
            f'gateway_id = "{CONCENTRATOR_ID}"',
            f"antenna_gain_db = {gateway.antenna_gain_db}",
        ]
    else:
        for number, (head, port) in enumerate(zip(gateway.heads, settings.head_ports, strict=True), start=1):
            lines += [
                "",
                "[[radio]]",
                f'name = "head-{number}"',
                'kind = "serial-head"',
                f'port = "{port}"',
                f"antenna_gain_db = {gateway.antenna_gain_db}",
                f"channels = [{{ frequency_hz = {head.frequency_hz}, spreading_factor = {head.spreading_factor} }}]",
            ]
    lines += [
        "",
        "[[upstream]]",
        'name = "network-server"',
        'kind = "semtech-udp"',
        f'url = "{settings.upstream_url}"',
        "forward_heads = true",
        "",
        "[[sink]]",
        'name = "console"',
        'kind = "console"',
        'format = "json"',
    ]
    if settings.mqtt_url is not None:
        lines += ["", "[[sink]]", 'name = "mqtt"', 'kind = "mqtt"', f'url = "{settings.mqtt_url}"']
    for node in nodes:
        lines += [
            "",
            "[[device]]",
            f'dev_eui = "{node.dev_eui}"',
            f'join_eui = "{node.join_eui}"',
            f'name = "{node.name}"',
            f'codec = "{node.codec}"',
            'home = "edge"',
        ]
    return "\n".join(lines) + "\n"
