"""The mqtt sink in the world: a real broker answers, and the virtual clock does not move meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable
from pathlib import Path

from siel_gateway.codecs import JsRunner
from siel_gateway.config import MqttSink
from siel_gateway.edge.records import Downlink
from siel_gateway.journal import Journal
from siel_gateway.records import Observation, RxFrame
from siel_gateway.sinks.mqtt import RETRY_LAST_S, Mqtt
from siel_hil.broker import PrivateBroker
from siel_hil.loop import run_in_world
from siel_hil.net import VirtualNet
from siel_hil.services import WorldServices
from siel_hil.world import World

GATEWAY = "0016c001f1500812"


def observation(number: int) -> Observation:
    return Observation(
        id=f"{number:032x}",
        time="",
        received="",
        clock="ntp",
        late_s=0.0,
        dev_eui="70b3d57ed0001a2b",
        device="d",
        codec="siel/climate",
        f_port=11,
        f_cnt=number,
        data={},
        units={},
        warnings=[],
        radio={},
    )


def virtual_minutes(folder: Path, make_frame: Callable[..., RxFrame], url: str, minutes: int) -> tuple[Mqtt, list[int]]:
    """Offer an observation each virtual minute; return the sink and how long each acknowledgement took, in us."""
    world = World(1)
    services = WorldServices(world, "g", VirtualNet(world), {}, io.StringIO())
    took_us: list[int] = []

    def no_command(dev_eui: str, downlink: Downlink) -> None:
        raise AssertionError

    async def main() -> Mqtt:
        journal = await Journal.open(folder / "journal.sqlite", services)
        config = MqttSink.model_validate({"kind": "mqtt", "name": "m", "url": url})
        sink = Mqtt(config, GATEWAY, services, journal, {}, JsRunner(services), no_command)
        tasks = [asyncio.ensure_future(journal.run()), asyncio.ensure_future(sink.run())]
        for number in range(minutes):
            await asyncio.sleep(60)
            item, began_us = observation(number), world.now_us
            sink.offer(journal.add_observation(item, journal.add_frame(make_frame())), item)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    while sink.pending:  # noqa: ASYNC110 - in virtual time
                        await asyncio.sleep(0.001)
            took_us.append(world.now_us - began_us)
        await asyncio.sleep(RETRY_LAST_S)
        for task in reversed(tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await journal.close()
        return sink

    return run_in_world(world, main), took_us


def test_a_broker_costs_no_virtual_time(tmp_path: Path, make_frame: Callable[..., RxFrame]) -> None:
    with PrivateBroker() as broker:
        sink, took_us = virtual_minutes(tmp_path, make_frame, broker.url, 10)
    assert (sink.pending, sink.counters["published"], sink.counters["connected"]) == (0, 10, 1)
    assert max(took_us) <= 2_000  # one step of the loop that looks


def test_a_broker_that_is_not_there_stops_nothing(tmp_path: Path, make_frame: Callable[..., RxFrame]) -> None:
    with PrivateBroker() as gone:
        url = gone.url
    sink, took_us = virtual_minutes(tmp_path, make_frame, url, 2)
    assert sink.pending == 2
    assert sink.counters["disconnected"] > 2
    assert min(took_us) >= 10_000_000
