"""An mqtt sink with a real journal, a broker's client that watches it, and a relay to cut between them; for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import aiomqtt

from siel_codecs import registry
from siel_gateway.codecs import AnyCodec, JsRunner
from siel_gateway.config import MqttSink
from siel_gateway.edge.records import Downlink
from siel_gateway.journal import Journal
from siel_gateway.records import Observation, RxFrame
from siel_gateway.sinks.mqtt import Mqtt
from siel_gateway.transport import SystemServices
from siel_hil.broker import HOST

T = TypeVar("T")
GATEWAY = "0016c001f1500812"
EUI = "70b3d57ed0001a2b"
PREFIX = f"siel/v1/{GATEWAY}"
UP = f"{PREFIX}/device/{EUI}/up"
HANG_S = 30.0
"""A guard against a test that waits for ever, no measure of anything."""


def observation(number: int) -> Observation:
    """Return an observation told from others by its frame counter."""
    return Observation(
        id=f"{number:032x}",
        time="2026-01-01T00:00:01.000Z",
        received="2026-01-01T00:00:01.020Z",
        clock="ntp",
        late_s=0.02,
        dev_eui=EUI,
        device="Löschteich 3",
        codec="siel/water_level",
        f_port=10,
        f_cnt=number,
        data={"distance": 1271},
        units={"distance": "mm"},
        warnings=[],
        radio={"gateway": GATEWAY, "radio": "roof"},
    )


class Watcher:
    """A client of the broker that collects what it hears."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.messages: list[tuple[str, Any, bool]] = []

    async def until(self, enough: Callable[[list[tuple[str, Any, bool]]], bool]) -> list[tuple[str, Any, bool]]:
        """Collect until it is enough: topic, body and whether it was retained."""
        async with asyncio.timeout(HANG_S):
            async for message in self.client.messages:
                assert isinstance(message.payload, bytes)  # noqa: S101 - aiomqtt hands out bytes
                self.messages.append((str(message.topic), json.loads(message.payload), message.retain))
                if enough(self.messages):
                    return self.messages
        raise AssertionError

    async def bodies(self, topic: str, count: int) -> list[Any]:
        """Collect until ``count`` messages of a topic have come, and return all of its bodies."""
        await self.until(lambda messages: sum(at == topic for at, _, _ in messages) >= count)
        return [body for at, body, _ in self.messages if at == topic]


@contextlib.asynccontextmanager
async def watching(port: int, *topics: str) -> AsyncIterator[Watcher]:
    """Listen to topics, to all of ours if none is given."""
    async with aiomqtt.Client(HOST, port) as client:
        for topic in topics or ("siel/v1/#",):
            await client.subscribe(topic, qos=1)
        yield Watcher(client)


class Rig:
    """A sink with a real journal; ``commands`` has what operators sent, ``codecs`` what devices have."""

    def __init__(self, services: SystemServices, journal: Journal, make_frame: Callable[..., RxFrame]) -> None:
        self.services, self.journal = services, journal
        self.commands: list[tuple[str, Downlink]] = []
        self.commanded = asyncio.Event()
        self.codecs: dict[str, AnyCodec] = {EUI: registry.load("siel/water_level")}
        self.runner = JsRunner(services)
        self._make_frame = make_frame
        self._number = 0

    def sink(self, url: str, **more: Any) -> Mqtt:
        """Return a sink to a broker, not yet running."""
        config = MqttSink.model_validate({"kind": "mqtt", "name": "north", "url": url, **more})
        return Mqtt(config, GATEWAY, self.services, self.journal, self.codecs, self.runner, self.command)

    def command(self, dev_eui: str, downlink: Downlink) -> None:
        """Take a command as the daemon does: journal first."""
        self.commands.append((dev_eui, downlink))
        self.journal.put("command", downlink.id, downlink.payload)
        self.commanded.set()

    def observe(self, *sinks: Mqtt, count: int = 1) -> None:
        """Journal observations and offer them to the sinks."""
        for _ in range(count):
            self._number += 1
            item = observation(self._number)
            row = self.journal.add_observation(item, self.journal.add_frame(self._make_frame()))
            for sink in sinks:
                sink.offer(row, item)


@contextlib.asynccontextmanager
async def running(sink: Mqtt) -> AsyncIterator[Mqtt]:
    """Run a sink beside the body."""
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait, in turns of the loop, for something that has no event of its own."""
    async with asyncio.timeout(HANG_S):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


Body = Callable[[Rig], Awaitable[T]]
Run = Callable[[Body[T]], T]


class Relay:
    """A TCP relay to a broker that a test can cut, and make deaf to what the broker answers."""

    def __init__(self, port: int) -> None:
        self._to_port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.mute = False
        self.accepted = 0
        self.port = 0

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    @property
    def url(self) -> str:
        """Where a sink connects."""
        return f"mqtt://{HOST}:{self.port}"

    def cut(self) -> None:
        """Break every connection without a goodbye."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        far_reader, far_writer = await asyncio.open_connection(HOST, self._to_port)
        self._writers += [near_writer, far_writer]

        async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    if not (answers and self.mute):
                        writer.write(data)

        await asyncio.gather(pipe(near_reader, far_writer, answers=False), pipe(far_reader, near_writer, answers=True))
        near_writer.close()
        far_writer.close()
