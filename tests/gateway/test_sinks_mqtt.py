"""The mqtt sink against a real mosquitto: what is published, what is acknowledged, and what a lost connection costs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import aiomqtt
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from siel_codecs import registry
from siel_gateway.config import MqttSink
from siel_gateway.edge.records import Delivery, Downlink, Joined
from siel_gateway.errors import SecretError
from siel_gateway.journal import Journal
from siel_gateway.records import Observation, RxFrame
from siel_gateway.sinks import mqtt
from siel_gateway.sinks.mqtt import Mqtt
from siel_gateway.sinks.mqtt_window import WINDOW
from siel_gateway.transport import SystemServices
from siel_hil.broker import HOST, PrivateBroker

T = TypeVar("T")
GATEWAY = "0016c001f1500812"
EUI = "70b3d57ed0001a2b"
PREFIX = f"siel/v1/{GATEWAY}"
UP = f"{PREFIX}/device/{EUI}/up"
HANG_S = 30.0
"""A guard against a test that waits for ever, no measure of anything."""


@pytest.fixture
def broker() -> Iterator[PrivateBroker]:
    with PrivateBroker() as started:
        yield started


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "RETRY_FIRST_S", 0.02)
    monkeypatch.setattr(mqtt, "RETRY_LAST_S", 0.1)


def observation(number: int) -> Observation:
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
        async with asyncio.timeout(HANG_S):
            async for message in self.client.messages:
                assert isinstance(message.payload, bytes)
                self.messages.append((str(message.topic), json.loads(message.payload), message.retain))
                if enough(self.messages):
                    return self.messages
        raise AssertionError

    async def bodies(self, topic: str, count: int) -> list[Any]:
        await self.until(lambda messages: sum(at == topic for at, _, _ in messages) >= count)
        return [body for at, body, _ in self.messages if at == topic]


@contextlib.asynccontextmanager
async def watching(port: int, *topics: str) -> AsyncIterator[Watcher]:
    async with aiomqtt.Client(HOST, port) as client:
        for topic in topics or ("siel/v1/#",):
            await client.subscribe(topic, qos=1)
        yield Watcher(client)


class Rig:
    """A sink with a real journal; ``commands`` has what operators sent."""

    def __init__(self, services: SystemServices, journal: Journal, make_frame: Callable[..., RxFrame]) -> None:
        self.services, self.journal = services, journal
        self.commands: list[tuple[str, Downlink]] = []
        self.commanded = asyncio.Event()
        self._make_frame = make_frame
        self._number = 0

    def sink(self, url: str, **more: Any) -> Mqtt:
        config = MqttSink.model_validate({"kind": "mqtt", "name": "north", "url": url, **more})
        codecs = {EUI: registry.load("siel/water_level")}
        return Mqtt(config, GATEWAY, self.services, self.journal, codecs, self.command)

    def command(self, dev_eui: str, downlink: Downlink) -> None:
        self.commands.append((dev_eui, downlink))
        self.journal.put("command", downlink.id, downlink.payload)
        self.commanded.set()

    def observe(self, *sinks: Mqtt, count: int = 1) -> None:
        for _ in range(count):
            self._number += 1
            item = observation(self._number)
            row = self.journal.add_observation(item, self.journal.add_frame(self._make_frame()))
            for sink in sinks:
                sink.offer(row, item)


@contextlib.asynccontextmanager
async def running(sink: Mqtt) -> AsyncIterator[Mqtt]:
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


@pytest.fixture
def run(tmp_path: Path, make_frame: Callable[..., RxFrame]) -> Run[Any]:
    """Runs a test's body with a rig whose journal commits."""

    async def main(body: Body[T]) -> T:
        with SystemServices() as services:
            journal = await Journal.open(tmp_path / "journal.sqlite", services)
            committing = asyncio.create_task(journal.run())
            try:
                return await body(Rig(services, journal, make_frame))
            finally:
                committing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await committing
                await journal.close()

    return lambda body: asyncio.run(main(body))


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
        return f"mqtt://{HOST}:{self.port}"

    def cut(self) -> None:
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


# -- north ------------------------------------------------------------------------------------------------------------


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


# -- south ------------------------------------------------------------------------------------------------------------


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


# -- passwords and certificates ---------------------------------------------------------------------------------------


def test_a_broker_that_refuses_us_is_tried_again(run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        with PrivateBroker(options=["allow_anonymous false"]) as closed:
            async with running(rig.sink(closed.url)) as sink:
                await until(lambda: sink.counters["disconnected"] >= 2)
                assert not sink.connected

    run(body)


def test_a_password_is_read_from_where_the_configuration_says(tmp_path: Path, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        with pytest.raises(SecretError, match="cannot read the secret"):
            rig.sink("mqtt://me@127.0.0.1", password={"file": str(tmp_path / "none")})
        (tmp_path / "pw").write_text("hunter2\n")
        sink = rig.sink("mqtt://me@127.0.0.1", password={"file": str(tmp_path / "pw")})
        assert "hunter2" not in repr(sink)

    run(body)


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def test_tls_with_the_right_certificate_only(tmp_path: Path, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        certificate, key = _certificate(tmp_path, "broker")
        stranger, _ = _certificate(tmp_path, "stranger")
        options = [f"cafile {certificate}", f"certfile {certificate}", f"keyfile {key}"]
        with PrivateBroker(options=options) as secured:
            url = f"mqtts://localhost:{secured.port}"
            async with running(rig.sink(url, tls={"ca": str(certificate)})) as sink:
                rig.observe(sink)
                await until(lambda: sink.pending == 0)
            for tls in ({"ca": str(stranger)}, None):
                async with running(rig.sink(url, tls=tls)) as sink:
                    await until(lambda: sink.counters["disconnected"] >= 1)
                    assert sink.counters["connected"] == 0
        with pytest.raises(SecretError, match="usable"):
            rig.sink(url, tls={"cert": str(certificate), "key": str(certificate)})
        with pytest.raises(SecretError, match="there is no file"):
            rig.sink(url, tls={"ca": str(tmp_path / "none.pem")})

    run(body)
