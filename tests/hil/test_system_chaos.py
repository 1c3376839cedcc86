"""Kills, power cuts, pulled cables and noise in any order: what must never happen does not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from siel_codecs.lorawan import DataFrame, JoinRequest, parse_phy
from siel_gateway.edge import Downlink
from siel_gateway.records import RxFrame
from siel_hil.gateway_site import GatewaySite
from siel_hil.serial_line import VirtualLine
from siel_hil.testbed import Testbed

Make = Callable[..., Any]
DURATION_S = 240
FAR_FUTURE_MS = 1 << 60


class Chaos:
    """Draws what happens next."""

    def __init__(self, testbed: Testbed, site: GatewaySite, rng: random.Random) -> None:
        self.testbed = testbed
        self.site = site
        self.rng = rng
        self.sent = 0
        self.acts: list[Callable[[], Awaitable[None]]] = [self.kill, self.stop, self.unplug, self.power_cut, self.ask]

    async def act(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.5, 15))
        await self.rng.choice(self.acts)()

    async def kill(self) -> None:
        await self.site.inside.kill()
        await asyncio.sleep(self.rng.choice([0, 0.3, 3]))
        await self.site.inside.start()

    async def stop(self) -> None:
        await self.site.inside.stop()
        await asyncio.sleep(self.rng.choice([0, 0.3, 3]))
        await self.site.inside.start()

    async def unplug(self) -> None:
        line = self.rng.choice(self.site.heads).line
        assert isinstance(line, VirtualLine)
        line.unplug()
        await asyncio.sleep(self.rng.uniform(0.1, 12))
        line.plug()

    async def power_cut(self) -> None:
        site = self.rng.choice(self.testbed.nodes)
        site.power_off()
        await asyncio.sleep(self.rng.uniform(0, 5))
        site.power_on()

    async def ask(self) -> None:
        self.sent += 1
        downlink = Downlink(
            id=str(self.sent),
            f_port=3,
            payload=self.rng.randbytes(self.rng.randrange(20)),
            confirmed=self.rng.random() < 0.5,
            expires_ms=FAR_FUTURE_MS,
        )
        self.site.inside.daemon.enqueue(self.rng.choice(self.testbed.nodes).plan.dev_eui, downlink)

    async def story(self) -> list[RxFrame]:
        """Return what is journalled at the end."""
        await self.testbed.start()
        while self.testbed.world.now_us < DURATION_S * 1_000_000:
            await self.act()
        for site in self.testbed.nodes:
            site.silence()
        await asyncio.sleep(40)
        journal = self.site.inside.daemon._journal
        assert journal is not None
        return [frame for _, frame in await journal.frames_after(0, 10_000)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_that_must_not_happen_happens(testbed: Testbed, node: Make, gateway: Make, seed: int) -> None:
    rng = random.Random(seed)
    for template, confirmed in (("water_level", 1), ("climate", 3), ("climate", 0)):
        node(template, interval_s=rng.choice([5, 8, 12]), distance_m=rng.choice([300.0, 1500.0]), confirmed=confirmed)
    site = gateway()
    frames = testbed.run(Chaos(testbed, site, rng).story)

    heard = [tx for tx in testbed.air if tx.kind != "downlink" and tx.verdict == "received"]
    assert len(heard) > 40
    assert sorted(frame.phy_payload for frame in frames) == sorted(tx.payload for tx in heard)
    names = {(observation.dev_eui, observation.f_cnt, observation.id) for observation in testbed.observations}
    assert len(names) == len([tx for tx in heard if tx.kind == "data"])

    highest: dict[int | str, int] = {}
    down: set[tuple[int, int]] = set()
    for tx in testbed.air:
        frame = parse_phy(tx.payload)
        if isinstance(frame, JoinRequest):
            assert frame.dev_nonce > highest.get(frame.dev_eui, -1)
            highest[frame.dev_eui] = frame.dev_nonce
        elif isinstance(frame, DataFrame) and frame.uplink:
            assert frame.f_cnt > highest.get(frame.dev_addr, -1)
            highest[frame.dev_addr] = frame.f_cnt
        elif isinstance(frame, DataFrame):
            assert (frame.dev_addr, frame.f_cnt) not in down
            down.add((frame.dev_addr, frame.f_cnt))
    assert len(down) > 10
    assert [line for line in testbed.log if line["level"] == "error"] == []
    assert testbed.medium.report()["duty_cycle_violations"] == 0
    assert [site.violations() for site in testbed.nodes] == [0, 0, 0]
    assert site.violations() == 0
