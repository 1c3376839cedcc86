"""The mqtt sink against a real mosquitto: commands, and what operators are told of them."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

from siel_codecs.js import JsCodec, js_source
from siel_gateway.edge.records import Delivery
from siel_hil.broker import PrivateBroker
from siel_hil.rigs.mqtt_rig import EUI, HANG_S, PREFIX, Rig, Run, T, Watcher, running, until, watching

pytestmark = pytest.mark.usefixtures("soon")


def command(**changes: Any) -> bytes:
    return json.dumps(
        {
            "id": "a",
            "issued": "2026-01-01T00:00:00Z",
            "expires": "2199-01-01T00:00:00Z",
            "f_port": 20,
            "bytes": "01ff",
            **changes,
        }
    ).encode()


DOWN = f"{PREFIX}/device/{EUI}/down"
ACK = f"{DOWN}/ack"


def test_a_command_reaches_the_daemon_and_its_outcomes_the_operator(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        async with watching(broker.port, ACK) as watcher, running(rig.sink(broker.url)) as sink:
            await until(lambda: sink.connected)
            await watcher.client.publish(DOWN, command(), qos=1)
            async with asyncio.timeout(HANG_S):
                await rig.commanded.wait()
            sink.delivered(Delivery(dev_eui=EUI, id="a", outcome="queued"))
            sink.delivered(Delivery(dev_eui=EUI, id="of an earlier life", outcome="expired"))
            sink.delivered(Delivery(dev_eui=EUI, id="a", outcome="on_air", slack_us=450_000))
            bodies = await watcher.bodies(ACK, 3)
        ((dev_eui, downlink),) = rig.commands
        assert (dev_eui, downlink.payload, downlink.f_port, downlink.confirmed) == (EUI, b"\x01\xff", 20, False)
        assert bodies == [
            {"id": "a", "outcome": "queued", "reason": "", "slack_us": None},
            {"id": "of an earlier life", "outcome": "expired", "reason": "", "slack_us": None},
            {"id": "a", "outcome": "on_air", "reason": "", "slack_us": 450_000},
        ]

    run(body)


def test_a_command_that_comes_twice_is_carried_out_once(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        async with watching(broker.port, ACK) as watcher, running(rig.sink(broker.url)) as sink:
            await until(lambda: sink.connected)
            await watcher.client.publish(DOWN, command(), qos=1)
            await watcher.client.publish(DOWN, command(), qos=1)
            await until(lambda: sink.counters["commands"] == 2)
            sink.delivered(Delivery(dev_eui=EUI, id="a", outcome="queued"))
            await watcher.client.publish(DOWN, command(), qos=1)
            bodies = await watcher.bodies(ACK, 2)
        assert len(rig.commands) == 1
        assert [body["outcome"] for body in bodies] == ["queued", "queued"]
        assert sink.counters["commands_repeated"] == 2

    run(body)


def test_a_command_that_did_not_reach_the_disk_comes_again(
    broker: PrivateBroker, run: Run[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(rig: Rig) -> None:
        blocking, disk = rig.services.run_blocking, asyncio.Event()

        async def stuck(job: Callable[[], T]) -> T:
            await disk.wait()
            return await blocking(job)

        monkeypatch.setattr(rig.services, "run_blocking", stuck)
        try:
            async with watching(broker.port) as watcher, asyncio.timeout(HANG_S):
                await lives(rig, watcher, disk)
        finally:
            disk.set()
        assert [downlink.id for _, downlink in rig.commands] == ["a", "a", "a", "b"]

    async def lives(rig: Rig, watcher: Watcher, disk: asyncio.Event) -> None:
        for life in range(2):
            async with running(rig.sink(broker.url)) as sink:
                await until(functools.partial(getattr, sink, "connected"))
                if life == 0:
                    await watcher.client.publish(DOWN, command(), qos=1)
                await rig.commanded.wait()
                rig.commanded.clear()
        disk.set()
        async with running(rig.sink(broker.url)):
            await rig.commanded.wait()
            await asyncio.shield(rig.journal.committed())
        async with running(rig.sink(broker.url)) as sink:
            await until(lambda: sink.connected)
            await watcher.client.publish(DOWN, command(id="b"), qos=1)
            await until(lambda: len(rig.commands) > 3)

    run(body)


def test_what_is_no_valid_command_is_refused_or_ignored(run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        other = f"{PREFIX}/device/{'0' * 16}/down"
        # A broker of its own: one that knows the gateway would keep the first command for it as a fresh one
        with PrivateBroker() as broker:
            await exchange(rig, broker, other)

    async def exchange(rig: Rig, broker: PrivateBroker, other: str) -> None:
        async with watching(broker.port, f"{PREFIX}/device/+/down/ack") as watcher:
            await watcher.client.publish(DOWN, command(id="kept"), qos=1, retain=True)
            async with running(rig.sink(broker.url)) as sink:
                await until(lambda: sink.connected)
                await watcher.client.publish(DOWN, b"", qos=1, retain=True)  # takes the kept one away; no command
                await watcher.client.publish(DOWN, command(id="old", expires="2020-01-01T00:00:00Z"), qos=1)
                await watcher.client.publish(other, command(id="whose"), qos=1)
                await watcher.client.publish(f"{PREFIX}/device/x/down", command(), qos=1)
                await watcher.client.publish(DOWN, b"\xff" * 5000, qos=1)
                await watcher.client.publish(DOWN, b"{}", qos=1)
                await watcher.client.publish(DOWN, command(id="good"), qos=1)
                async with asyncio.timeout(HANG_S):
                    await rig.commanded.wait()
                await watcher.until(lambda messages: len(messages) >= 3)
        assert [(body["id"], body["outcome"], body["reason"]) for _, body, _ in watcher.messages] == [
            ("kept", "refused", "RETAINED"),
            ("old", "expired", "EXPIRED"),
            ("whose", "refused", "UNKNOWN_DEVICE"),
        ]
        assert [downlink.id for _, downlink in rig.commands] == ["good"]
        assert sink.counters["commands_malformed"] == 4

    run(body)


def test_a_command_waits_in_the_broker_for_a_gateway_that_is_away(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        async with running(rig.sink(broker.url)) as sink:
            await until(lambda: sink.connected)
        async with watching(broker.port) as watcher:
            await watcher.client.publish(DOWN, command(), qos=1)
        async with running(rig.sink(broker.url)), asyncio.timeout(HANG_S):
            await rig.commanded.wait()

    run(body)


ENCODER = b"""function encodeDownlink(input) {
  if (input.data.minutes > 60) return { errors: ["minutes: at most 60"] };
  return { bytes: [input.fPort, input.data.minutes], fPort: 8 };
}"""


def test_data_for_a_javascript_device_is_made_by_its_encoder(broker: PrivateBroker, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        rig.codecs[EUI] = JsCodec("vendor/device", js_source(ENCODER))
        async with watching(broker.port, ACK) as watcher, running(rig.sink(broker.url)) as sink:
            await until(lambda: sink.connected)
            client = watcher.client
            for number, minutes in (("a", 10), ("b", 90), ("a", 10), ("c", 20)):
                message = command(id=number, data={"minutes": minutes}, bytes=None)
                await client.publish(DOWN, message, qos=1)
            await until(lambda: len(rig.commands) == 2)
            assert [(one.id, one.f_port, one.payload) for _, one in rig.commands] == [
                ("a", 8, b"\x14\x0a"),
                ("c", 8, b"\x14\x14"),
            ], "the second one is refused, the third one is known"
            (refused,) = await watcher.bodies(ACK, 1)
            assert refused == {"id": "b", "outcome": "refused", "reason": "DATA: minutes: at most 60", "slack_us": None}

    run(body)
