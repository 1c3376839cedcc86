"""Wall time: the shipped daemon as its own process on ptys and real sockets, killed in the middle and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from siel_codecs.lorawan import DataFrame, parse_phy
from siel_gateway.journal_schema import decode_frame, decode_observation
from siel_gateway.records import Observation, RxFrame
from siel_hil.daemon_site import DaemonOutside
from siel_hil.gateway_site import GatewaySite
from siel_hil.medium_air import RECEIVED
from siel_hil.testbed import OnAir, Testbed

NODES = 4
INTERVAL_S = 5
LEAD_S = 3.0
"""Until the daemon has started and configured its heads."""
BEFORE_KILL_S = (16.0, 6.0)
DOWN_S = 3.0
AFTER_S = 5.0


class Air:
    """What was on air: uplinks that a head's chip received, and every downlink."""

    def __init__(self, air: list[OnAir]) -> None:
        self.received = [tx.payload for tx in air if tx.kind != "downlink" and tx.verdict == RECEIVED]
        self.downlinks = [tx.payload for tx in air if tx.kind == "downlink"]


class Outcome:
    """What the daemon left behind."""

    def __init__(self, site: GatewaySite) -> None:
        database = sqlite3.connect(site.folder / "data" / "journal.sqlite")
        with contextlib.closing(database):
            bodies = database.execute("SELECT body FROM frame UNION ALL SELECT body FROM stranger").fetchall()
            self.frames: list[RxFrame] = [decode_frame(body) for (body,) in bodies]
            rows = database.execute("SELECT body FROM observation ORDER BY row").fetchall()
            self.observations: list[Observation] = [decode_observation(body) for (body,) in rows]
        assert isinstance(site.daemon, DaemonOutside)
        self.log = site.daemon.log.read_bytes()
        self.published = [line["id"] for line in self._lines() if "dev_eui" in line and "data" in line]

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self.log.splitlines():
            with contextlib.suppress(ValueError):
                document = json.loads(line)
                if isinstance(document, dict):
                    yield document


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Air, Outcome]]:
    """One run for all facts: nodes whose every uplink wants an answer, a daemon killed twice."""
    testbed = Testbed(tmp_path_factory.mktemp("wall"), seed=5)
    nodes = [
        testbed.node(template, distance_m=300.0 + 200 * number, interval_s=INTERVAL_S, confirmed=1)
        for number, template in enumerate(["water_level", "climate"] * (NODES // 2))
    ]
    site = testbed.gateway(wall=True)

    async def main() -> None:
        await site.start()
        assert isinstance(site.daemon, DaemonOutside)
        await asyncio.sleep(LEAD_S)
        for node in nodes:
            node.power_on()
        for before_s in BEFORE_KILL_S:
            await asyncio.sleep(before_s)
            site.daemon.process.check()
            await site.daemon.process.kill()
            await asyncio.sleep(DOWN_S)
            await site.daemon.process.start()
        await asyncio.sleep(LEAD_S + AFTER_S)
        for node in nodes:
            node.silence()
        await asyncio.sleep(2.0)
        await site.stop()

    try:
        testbed.run(main, speed=1.0)
        yield Air(testbed.air), Outcome(site)
    finally:
        testbed.close()


def test_frames_were_heard_before_between_and_after_the_kills(killed: tuple[Air, Outcome]) -> None:
    air, outcome = killed
    assert len(air.received) > 3 * NODES
    assert len(outcome.observations) > 2 * NODES


def test_every_frame_that_a_head_heard_is_in_the_journal_once(killed: tuple[Air, Outcome]) -> None:
    air, outcome = killed
    heard, journalled = Counter(air.received), Counter(frame.phy_payload for frame in outcome.frames)
    assert heard - journalled == Counter(), "a frame that a head had heard is lost"
    assert journalled - heard == Counter(), "a frame is journalled twice"


def test_every_observation_is_published_at_least_once_and_always_with_its_id(killed: tuple[Air, Outcome]) -> None:
    _air, outcome = killed
    ids = [observation.id for observation in outcome.observations]
    assert len(set(ids)) == len(ids)
    assert set(outcome.published) == set(ids)


def test_no_downlink_counter_is_used_for_two_frames(killed: tuple[Air, Outcome]) -> None:
    air, _outcome = killed
    frames = [parse_phy(payload) for payload in set(air.downlinks)]
    used = Counter((frame.dev_addr, frame.f_cnt) for frame in frames if isinstance(frame, DataFrame))
    assert used, "there were no answers, so nothing was shown"
    assert {key: n for key, n in used.items() if n > 1} == {}
