"""Sink ``mqtt``: Observations, joins and delivery reports to a broker; commands for devices from it.

QoS 1 both ways, MQTT 3.1.1, one session that the broker keeps, so that a command waits for a gateway that is away, and
comes again to one that was killed before it was on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import aiomqtt
import msgspec
import structlog

from siel_codecs.errors import CodecError
from siel_gateway.backoff import Backoff
from siel_gateway.cancellation import obey_cancellation
from siel_gateway.codecs import AnyCodec, JsRunner
from siel_gateway.config_models import MqttSink
from siel_gateway.edge.records import Delivery, Downlink, Joined
from siel_gateway.log_limit import LimitedLog
from siel_gateway.messages import say
from siel_gateway.observation import rfc3339
from siel_gateway.records import Observation
from siel_gateway.secrets import read_secret, tls_context
from siel_gateway.services import Services
from siel_gateway.sinks.commands import MAX_COMMAND_BYTES, Unencoded, encoded, not_encoded, read_command
from siel_gateway.sinks.feed import Feed, ObservationLog
from siel_gateway.sinks.mqtt_window import WINDOW, PublishWindow, acknowledge, acknowledge_by_hand

PREFIX: Final = "siel/v1"
MAX_EVENTS: Final = 256
"""Joins and delivery reports kept while the broker is away."""
MAX_COMMANDS: Final = 256
"""Commands received and not yet looked at."""
MAX_OUTCOMES: Final = 1024
"""Commands whose last outcome is remembered, for a broker that delivers one twice."""
KEEPALIVE_S: Final = 30
ANSWER_LIMIT_S: Final = 20.0
"""A broker that acknowledges nothing for so long counts as gone."""
GOODBYE_LIMIT_S: Final = 2.0
RETRY_FIRST_S: Final = 1.0
RETRY_LAST_S: Final = 60.0

_EUI: Final = re.compile(r"[0-9a-f]{16}")

log = structlog.get_logger("siel.sink")

Command = Callable[[str, Downlink], None]
"""Takes a DevEUI and what an operator wants it to get; the outcomes come through :meth:`Mqtt.delivered`."""


class _State(msgspec.Struct):
    online: bool
    since: str | None
    """None in the last will: the broker sends it, and nobody can know beforehand when."""


class _JoinMessage(msgspec.Struct):
    dev_eui: str
    dev_addr: str
    time: str


class _AckMessage(msgspec.Struct):
    id: str
    outcome: str
    reason: str
    slack_us: int | None


class Mqtt:
    """One broker.

    Attributes:
        connected: Whether the broker has accepted us and has not gone since.
    """

    def __init__(
        self,
        config: MqttSink,
        gateway_id: str,
        services: Services,
        journal: ObservationLog,
        codecs: Mapping[str, AnyCodec],
        runner: JsRunner,
        command: Command,
    ) -> None:
        """Read passwords and certificates; connect to nothing before :meth:`run`.

        Args:
            config: Of this sink.
            gateway_id: 16 hex digits, in every topic.
            services: Of the daemon.
            journal: Where Observations and this sink's place in them are.
            codecs: The codec of each device of ours, by DevEUI; they may change.
            runner: Runs those that are JavaScript.
            command: Takes what operators want.

        Raises:
            SecretError: A password or certificate is not where siel.toml says.
        """
        self.name = config.name
        self.counters: Counter[str] = Counter()
        self.connected = False
        self._address = config.address
        self._username = config.username
        self._password = read_secret(config.password, os.environ) if config.password else None
        self._tls = tls_context(config.tls) if config.uses_tls else None
        self._prefix = f"{PREFIX}/{gateway_id}"
        self._client_id = f"siel-{gateway_id}-{config.name}"
        self._services = services
        self._codecs = codecs
        self._runner = runner
        self._command = command
        self._journal = journal
        self._feed = Feed(f"sink:{config.name}", journal)
        self._limited_log = LimitedLog(log.bind(sink=config.name), services.monotonic_us)
        self._events: deque[tuple[str, bytes]] = deque()
        self._event_added = asyncio.Event()
        self._outcomes: OrderedDict[tuple[str, str], Delivery | None] = OrderedDict()

    @property
    def pending(self) -> int:
        """How many Observations the broker has not acknowledged."""
        return self._feed.pending

    def offer(self, row: int, observation: Observation) -> None:
        """Take note of a new row of the journal."""
        self._feed.offer(row, observation)

    def joined(self, joined: Joined) -> None:
        """Publish that a device has joined."""
        message = _JoinMessage(joined.dev_eui, f"{joined.dev_addr:08x}", joined.time)
        self._add_event(f"{self._prefix}/device/{joined.dev_eui}/join", msgspec.json.encode(message))

    def delivered(self, delivery: Delivery) -> None:
        """Publish what became of a command, also of one that an earlier life of this gateway took."""
        known = (delivery.dev_eui, delivery.id)
        if known in self._outcomes:
            self._outcomes[known] = delivery
        self._report(delivery)

    async def run(self) -> None:
        """Hold a connection until cancelled; one that fails is tried again, later and later."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_LAST_S)
        while True:
            began_us = self._services.monotonic_us()
            try:
                await self._session()
            except* aiomqtt.MqttError as group:
                self.counters["disconnected"] += 1
                log.warning("broker_away", sink=self.name, reason=str(_first(group)), help=say("help.broker"))
            # Two clients with one id throw each other out for ever: a short session is no success
            if self._services.monotonic_us() - began_us >= RETRY_LAST_S * 1e6:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _session(self) -> None:
        async with self._connection() as client:
            try:
                with PublishWindow(client, self._services, self._acknowledge) as window:
                    async with asyncio.TaskGroup() as tasks:
                        for name, job in (
                            ("up", self._send_observations(window)),
                            ("watch", window.watch(ANSWER_LIMIT_S)),
                            ("events", self._send_events(client)),
                            ("down", self._receive(client)),
                        ):
                            tasks.create_task(job, name=f"sink[{self.name}].{name}")
            finally:
                self.connected = False
                self._feed.take_back()

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiomqtt.Client]:
        host, port = self._address
        client = aiomqtt.Client(
            host,
            port,
            username=self._username,
            password=self._password,
            identifier=self._client_id,
            clean_session=False,
            will=aiomqtt.Will(f"{self._prefix}/state", msgspec.json.encode(_State(False, None)), qos=1, retain=True),
            timeout=ANSWER_LIMIT_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=MAX_COMMANDS,
            max_inflight_messages=WINDOW,
            tls_context=self._tls,
        )
        acknowledge_by_hand(client)
        with self._services.outside_work():
            await client.__aenter__()
        try:
            with self._services.outside_work():
                await client.subscribe(f"{self._prefix}/device/+/down", qos=1)
            await self._publish_state(client, online=True)
            self.connected = True
            self.counters["connected"] += 1
            log.info("broker_connected", sink=self.name, host=host, port=port)
            yield client
        finally:
            await self._leave(client)

    async def _leave(self, client: aiomqtt.Client) -> None:
        """Say goodbye where somebody is left to hear it; otherwise the broker publishes the last will."""
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(GOODBYE_LIMIT_S):
                await self._publish_state(client, online=False)
        with self._services.outside_work(), contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(GOODBYE_LIMIT_S):
                await client.__aexit__(None, None, None)

    async def _publish_state(self, client: aiomqtt.Client, *, online: bool) -> None:
        state = _State(online, rfc3339(self._services.utc_ms()))
        await self._publish(client, f"{self._prefix}/state", msgspec.json.encode(state), retain=True)

    async def _publish(self, client: aiomqtt.Client, topic: str, message: bytes, *, retain: bool = False) -> None:
        with self._services.outside_work():
            await client.publish(topic, message, qos=1, retain=retain)

    # -- north --------------------------------------------------------------------------------------------------------

    async def _send_observations(self, window: PublishWindow) -> None:
        while True:
            await window.room()
            row, observation = await self._feed.next()
            window.publish(row, f"{self._prefix}/device/{observation.dev_eui}/up", msgspec.json.encode(observation))

    def _acknowledge(self, row: int) -> None:
        self.counters["published"] += 1
        self._feed.acknowledge(row)

    def _add_event(self, topic: str, message: bytes) -> None:
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self.counters["events_dropped"] += 1
        self._events.append((topic, message))
        self._event_added.set()

    async def _send_events(self, client: aiomqtt.Client) -> None:
        while True:
            while self._events:
                event = self._events[0]
                await self._publish(client, *event)
                obey_cancellation()
                if self._events and self._events[0] is event:  # else it was dropped for a newer one meanwhile
                    self._events.popleft()
            self._event_added.clear()
            await self._event_added.wait()

    # -- south --------------------------------------------------------------------------------------------------------

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            dev_eui = str(message.topic).removeprefix(f"{self._prefix}/device/").removesuffix("/down")
            payload = message.payload
            if not _EUI.fullmatch(dev_eui) or not isinstance(payload, bytes) or len(payload) > MAX_COMMAND_BYTES:
                self._malformed(dev_eui[:16])
            else:
                await self._take(dev_eui, payload, retained=message.retain)
            self._journal.committed().add_done_callback(functools.partial(_acknowledge_command, client, message))

    async def _take(self, dev_eui: str, payload: bytes, *, retained: bool) -> None:
        self.counters["commands"] += 1
        now_ms = self._services.utc_ms()
        read = read_command(dev_eui, payload, retained=retained, now_ms=now_ms, codecs=self._codecs)
        if read is None:
            self._malformed(dev_eui)
            return
        if (dev_eui, read.id) in self._outcomes:
            self.counters["commands_repeated"] += 1
            last = self._outcomes[dev_eui, read.id]
            if last is not None:
                self._report(last)
            return
        if isinstance(read, Unencoded):
            read = await self._encode(dev_eui, read)
        if isinstance(read, Delivery):
            self.counters["commands_refused"] += 1
            self._limited_log.warning("command_refused", dev_eui=dev_eui, id=read.id, reason=read.reason)
            self._report(read)
        else:
            self._outcomes[dev_eui, read.id] = None
            if len(self._outcomes) > MAX_OUTCOMES:
                self._outcomes.popitem(last=False)
            self._command(dev_eui, read)

    async def _encode(self, dev_eui: str, command: Unencoded) -> Downlink | Delivery:
        downlink = command.downlink
        try:
            made = await self._runner.encode_downlink(command.codec, command.data, downlink.f_port)
        except CodecError as error:
            return not_encoded(dev_eui, downlink, error)
        return encoded(downlink, made)

    def _malformed(self, dev_eui: str) -> None:
        self.counters["commands_malformed"] += 1
        self._limited_log.warning("command_malformed", dev_eui=dev_eui)

    def _report(self, delivery: Delivery) -> None:
        message = _AckMessage(delivery.id, delivery.outcome, delivery.reason, delivery.slack_us)
        self._add_event(f"{self._prefix}/device/{delivery.dev_eui}/down/ack", msgspec.json.encode(message))


def _acknowledge_command(client: aiomqtt.Client, message: aiomqtt.Message, committed: asyncio.Future[None]) -> None:
    """Let the broker forget a command: what became of it is on disk."""
    if not committed.cancelled():
        acknowledge(client, message)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first leaf: one lost connection fails every task with the same reason."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
