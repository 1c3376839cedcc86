"""The mqtt sink against a real mosquitto: what is published, what is acknowledged, and what a lost connection costs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
from typing import Any

import aiomqtt
import msgspec
import pytest

from siel_gateway.edge.records import Joined
from siel_gateway.sinks import mqtt
from siel_gateway.sinks.mqtt_window import WINDOW
from siel_hil.broker import PrivateBroker
from siel_hil.rigs.mqtt_rig import EUI, HANG_S, PREFIX, UP, Relay, Rig, Run, observation, running, until, watching

pytestmark = pytest.mark.usefixtures("soon")


def test_an_observation_is_published_acknowledged_and_the_cursor_moves(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        sink = rig.sink(broker.url)
        async with watching(broker.port, UP) as watcher, running(sink):
            rig.observe(sink, count=3)
            bodies = await watcher.bodies(UP, 3)
            await until(lambda: sink.pending == 0)
        assert bodies == [json.loads(msgspec.json.encode(observation(number))) for number in (1, 2, 3)]
        assert rig.journal.cursor("sink:north") == 3
        assert sink.counters["published"] == 3

    run(body)


def test_a_gateway_says_that_it_is_there_and_that_it_leaves(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        topic = f"{PREFIX}/state"
        async with running(rig.sink(broker.url)) as sink:
            await until(lambda: sink.connected)
            async with watching(broker.port, topic) as watcher:
                (online,) = await watcher.bodies(topic, 1)
                assert watcher.messages[0][2]  # retained
        async with watching(broker.port, topic) as watcher:
            (offline,) = await watcher.bodies(topic, 1)
        assert online["online"] is True
        assert offline["online"] is False
        assert datetime.datetime.fromisoformat(online["since"]) <= datetime.datetime.fromisoformat(offline["since"])

    run(body)


def test_the_broker_tells_that_a_gateway_has_vanished(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        topic = f"{PREFIX}/state"
        async with Relay(broker.port) as relay, running(rig.sink(relay.url)) as sink:
            await until(lambda: sink.connected)
            async with watching(broker.port, topic) as watcher:
                await watcher.bodies(topic, 1)
                relay.cut()
                states = await watcher.bodies(topic, 3)
        assert [state["online"] for state in states] == [True, False, True]
        assert states[1]["since"] is None

    run(body)


def test_what_was_not_acknowledged_is_sent_again_with_the_same_id(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        async with (
            Relay(broker.port) as relay,
            watching(broker.port, UP) as watcher,
            running(rig.sink(relay.url)) as sink,
        ):
            rig.observe(sink, count=2)
            await until(lambda: sink.pending == 0)
            relay.mute = True
            rig.observe(sink, count=3)
            await watcher.bodies(UP, 5)
            assert sink.pending == 3
            relay.mute = False
            relay.cut()
            bodies = await watcher.bodies(UP, 8)
            await until(lambda: sink.pending == 0)
        assert [body["f_cnt"] for body in bodies] == [1, 2, 3, 4, 5, 3, 4, 5]
        assert bodies[2:5] == bodies[5:8]
        assert rig.journal.cursor("sink:north") == 5

    run(body)


def test_a_broker_that_no_longer_answers_counts_as_gone(
    broker: PrivateBroker, run: Run[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_LIMIT_S", 0.2)

    async def body(rig: Rig) -> None:
        async with Relay(broker.port) as relay, running(rig.sink(relay.url)) as sink:
            await until(lambda: sink.connected)
            relay.mute = True
            rig.observe(sink)
            await until(lambda: sink.counters["disconnected"] >= 1)
            relay.mute = False
            await until(lambda: sink.pending == 0)

    run(body)


def test_a_broker_that_is_away_gets_everything_when_it_comes(run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        with PrivateBroker() as first:
            port = first.port
            async with running(rig.sink(first.url)) as sink:
                rig.observe(sink, count=2)
                await until(lambda: sink.pending == 0)
                first.stop()
                await until(lambda: not sink.connected)
                rig.observe(sink, count=WINDOW + 20)
                await until(lambda: sink.counters["disconnected"] >= 3)
                assert sink.pending == WINDOW + 20
                with PrivateBroker(port):
                    await until(lambda: sink.pending == 0)
        assert rig.journal.cursor("sink:north") == WINDOW + 22

    run(body)


def test_a_new_life_goes_on_where_the_old_one_stopped(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        rig.observe(count=4)
        await rig.journal.committed()
        rig.journal.set_cursor("sink:north", 1)
        sink = rig.sink(broker.url)
        assert sink.pending == 3
        async with watching(broker.port, UP) as watcher, running(sink):
            rig.observe(sink)
            bodies = await watcher.bodies(UP, 4)
        assert [body["f_cnt"] for body in bodies] == [2, 3, 4, 5]

    run(body)


def test_a_join_is_told_even_if_the_broker_was_away(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        topic = f"{PREFIX}/device/{EUI}/join"
        sink = rig.sink(broker.url)
        sink.joined(Joined(dev_eui=EUI, dev_addr=0x0201FFFF, time="2026-01-01T00:00:00.000Z"))
        async with watching(broker.port, topic) as watcher, running(sink):
            bodies = await watcher.bodies(topic, 1)
        assert bodies == [{"dev_eui": EUI, "dev_addr": "0201ffff", "time": "2026-01-01T00:00:00.000Z"}]

    run(body)


@pytest.mark.parametrize("extra", [0, 1])
def test_events_are_kept_up_to_their_bound_and_the_oldest_goes(
    broker: PrivateBroker, run: Run[None], extra: int
) -> None:
    async def body(rig: Rig) -> None:
        topic = f"{PREFIX}/device/{EUI}/join"
        sink = rig.sink(broker.url)
        for number in range(mqtt.MAX_EVENTS + extra):
            sink.joined(Joined(dev_eui=EUI, dev_addr=number, time=""))
        async with watching(broker.port, topic) as watcher, running(sink):
            bodies = await watcher.bodies(topic, mqtt.MAX_EVENTS)
        assert [int(body["dev_addr"], 16) for body in bodies] == list(range(extra, mqtt.MAX_EVENTS + extra))
        assert sink.counters["events_dropped"] == extra

    run(body)


def test_the_sink_ends_when_the_library_swallows_that_it_was_asked_to(
    broker: PrivateBroker, run: Run[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(rig: Rig) -> None:
        asked = asyncio.Event()
        publish = aiomqtt.Client.publish

        async def swallow(client: aiomqtt.Client, topic: str, *rest: Any, **more: Any) -> None:
            if topic.endswith("/join"):
                asked.set()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
            else:
                await publish(client, topic, *rest, **more)

        monkeypatch.setattr(aiomqtt.Client, "publish", swallow)
        sink = rig.sink(broker.url)
        sink.joined(Joined(dev_eui=EUI, dev_addr=1, time=""))
        task = asyncio.create_task(sink.run())
        await asked.wait()
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=HANG_S)
        assert task in done

    run(body)
