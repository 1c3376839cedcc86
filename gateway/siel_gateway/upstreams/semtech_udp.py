"""A network server that speaks Semtech UDP: one session and socket per gateway EUI that it gets frames of."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog

from siel_gateway import gwmp
from siel_gateway.alarm import Alarm
from siel_gateway.backoff import Backoff
from siel_gateway.config_models import SemtechUdpUpstream as Config
from siel_gateway.errors import GwmpError
from siel_gateway.gwmp_client import Acknowledged, DownlinkAsked, Event, GwmpClient, Lost, WentDown, WentUp
from siel_gateway.gwmp_frames import rx_packet, tx_ack_word, tx_window
from siel_gateway.head_clock import COUNTER_PERIOD_US
from siel_gateway.journal import Journal
from siel_gateway.log_limit import LimitedLog
from siel_gateway.messages import say
from siel_gateway.radios import Radio
from siel_gateway.records import RxFrame, TxRequest
from siel_gateway.services import Address, Datagrams, Services
from siel_gateway.uplink_cache import UplinkCache
from siel_gateway.upstreams import Progress, Submit

RESOLVE_FIRST_S: Final = 1.0
RESOLVE_LAST_S: Final = 60.0
RESOLVE_AGAIN_S: Final = 10.0
"""While the server does not answer, its name may have moved."""
MAX_ANSWERS: Final = 64
"""Downlinks under way per session."""
REFUSED: Final = "UNKNOWN"

log = structlog.get_logger("siel.upstream")


class SemtechUdpUpstream:
    """One ``[[upstream]]`` of kind ``semtech-udp``.

    Args:
        config: Its table.
        services: Of the daemon.
        journal: Keeps the cursor ``upstream:<name>``.
        radios: By name.
        submit: Where downlinks go.

    Attributes:
        counters: ``forwarded`` (acknowledged), ``not_forwarded`` (heard while the server was away, or never
            acknowledged), ``downlinks``, ``downlinks_refused``, and what the sessions count.
    """

    def __init__(
        self, config: Config, *, services: Services, journal: Journal, radios: Mapping[str, Radio], submit: Submit
    ) -> None:
        self.name = config.name
        self.counters: Counter[str] = Counter()
        self._config = config
        self._journal = journal
        self._consumer = f"upstream:{config.name}"
        self._progress = Progress(journal.last_row)
        taken = [radio for radio in radios.values() if radio.concentrator or config.forward_heads]
        self._sessions = {
            eui: Session(
                config,
                eui,
                services=services,
                radios={name: radio for name, radio in radios.items() if radio.gateway_eui == eui},
                submit=submit,
                settle=self._settle,
                counters=self.counters,
            )
            for eui in dict.fromkeys(radio.gateway_eui for radio in taken)
        }

    @property
    def connected(self) -> bool:
        """Whether the server answers every session."""
        return all(session.client.up for session in self._sessions.values())

    @property
    def pending(self) -> int:
        """How many frames are sent and neither acknowledged nor given up."""
        return self._progress.pending

    def offer(self, row: int, frame: RxFrame) -> None:
        """Send ``frame`` at once, as it is, if this server gets it; it counts as forwarded when acknowledged."""
        session = self._sessions.get(frame.gateway_eui)
        wanted = frame.crc == "ok" and (frame.concentrator or self._config.forward_heads)
        if session is None or not wanted:
            self._progress.skip(row)
        else:
            self._progress.begin(row)
            if not session.offer(row, frame):
                self._settle(row, acknowledged=False)
        self._journal.set_cursor(self._consumer, self._progress.settled)

    def _settle(self, row: int, *, acknowledged: bool) -> None:
        self.counters["forwarded" if acknowledged else "not_forwarded"] += 1
        self._progress.finish(row)
        self._journal.set_cursor(self._consumer, self._progress.settled)

    async def run(self) -> None:
        """Serve the server until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for eui, session in self._sessions.items():
                tasks.create_task(session.run(tasks), name=f"upstream[{self.name}/{eui}]")


class _Target(msgspec.Struct, frozen=True):
    """Where a downlink belongs, on the radio's own counter; None means now, or whichever chip."""

    radio: Radio
    chip: int | None = None
    counter_us: int | None = None


class Session:
    """One gateway EUI at the server."""

    def __init__(
        self,
        config: Config,
        eui: str,
        *,
        services: Services,
        radios: Mapping[str, Radio],
        submit: Submit,
        settle: Callable[..., None],
        counters: Counter[str],
    ) -> None:
        self._config = config
        self._services = services
        self._radios = radios
        self._submit = submit
        self._settle = settle
        self._counters = counters
        first_token = int.from_bytes(services.random_bytes(gwmp.TOKEN_BYTES))
        self.client = GwmpClient(eui, first_token=first_token, now_us=services.monotonic_us())
        self._cache = UplinkCache()
        self._socket: Datagrams | None = None
        self._address: Address | None = None
        self._alarm = Alarm(services, self._tick)
        self._went_down = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._answers = 0
        self._requests = 0
        self._log = log.bind(upstream=config.name, gateway_eui=eui)
        self._limited_log = LimitedLog(self._log, services.monotonic_us)

    # -- north --------------------------------------------------------------------------------------------------------

    def offer(self, row: int, frame: RxFrame) -> bool:
        """Send ``frame``; False while the server is away."""
        radio = self._radios[frame.radio]
        if radio.radio_session == frame.radio_session:
            north_us = radio.north.to_north(frame.counter_us)
        else:
            # Kept over a restart of the radio; its offset is gone, and so is the time for an answer.
            north_us = frame.gateway_us % COUNTER_PERIOD_US
        if not self.client.push(row, rx_packet(frame, north_us), self._services.monotonic_us()):
            return False
        self._cache.add(frame, north_us)
        self._flush()
        return True

    # -- the socket ---------------------------------------------------------------------------------------------------

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Find the server and talk to it; find it again when it does not answer."""
        self._tasks = tasks
        host, port = self._config.address
        backoff = Backoff(RESOLVE_FIRST_S, RESOLVE_LAST_S)
        try:
            while True:
                try:
                    address = await self._services.resolve(host, port)
                    await self._open(address)
                except OSError as fault:
                    self._counters["resolve_failures"] += 1
                    self._log.warning("server_not_found", host=host, error=str(fault), help=say("help.server"))
                    await asyncio.sleep(backoff.next_s())
                    continue
                backoff.reset()
                self._tick()
                await asyncio.sleep(RESOLVE_AGAIN_S)
                while self.client.up:
                    self._went_down.clear()
                    await self._went_down.wait()
        finally:
            self._alarm.set(None)
            if self._socket is not None:
                self._socket.close()
            self._socket = self._tasks = None

    async def _open(self, address: Address) -> None:
        if self._socket is not None and address == self._address:
            return
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._address = address
        self._socket = await self._services.open_datagrams((_own_host(address[0]), 0), self._on_datagram)

    def _on_datagram(self, data: bytes, source: Address) -> None:
        if source != self._address:
            self._counters["foreign_source"] += 1
            return
        self._handle(self.client.receive_data(data, self._services.monotonic_us()))

    def _tick(self) -> None:
        self._handle(self.client.tick(self._services.monotonic_us(), self._services.utc_ms()))

    def _flush(self) -> None:
        """Send what the client has to say and set the alarm for what it will have to say."""
        for datagram in self.client.data_to_send():
            if self._socket is not None and self._address is not None:
                self._socket.send(datagram, self._address)
        self._alarm.set(self.client.next_tick_us() if self._socket is not None else None)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Acknowledged(row):
                    self._settle(row, acknowledged=True)
                case Lost(row):
                    self._settle(row, acknowledged=False)
                case DownlinkAsked(token, packet):
                    self._on_downlink(token, packet)
                case WentUp():
                    self._log.info("server_answers")
                case WentDown():
                    self._went_down.set()
                    self._log.warning("server_silent")
        self._flush()

    # -- south --------------------------------------------------------------------------------------------------------

    def _on_downlink(self, token: bytes, packet: gwmp.TxPk | None) -> None:
        """Refuse at once what can be refused; the rest is answered when its outcome is known."""
        self._counters["downlinks"] += 1
        request: TxRequest | None = None
        if not self._config.downlink_allowed or packet is None:
            word = REFUSED
        elif self._answers >= MAX_ANSWERS or self._tasks is None:
            word = "COLLISION_PACKET"
        else:
            request, word = self._request(packet)
        if request is None or self._tasks is None:
            self._counters["downlinks_refused"] += 1
            self._limited_log.warning("downlink_refused", word=word)
            self.client.tx_ack(token, word)
            return
        self._answers += 1
        self._tasks.create_task(self._transmit(token, request), name=f"downlink[{request.id}]")

    async def _transmit(self, token: bytes, request: TxRequest) -> None:
        try:
            outcome = await self._submit(request)
        finally:
            self._answers -= 1
        self.client.tx_ack(token, tx_ack_word(outcome))
        self._flush()

    def _request(self, packet: gwmp.TxPk) -> tuple[TxRequest | None, str]:
        """Return the request, or the word to refuse it with."""
        if not packet.imme and packet.tmst is msgspec.UNSET:
            return None, REFUSED if packet.tmms is msgspec.UNSET else "GPS_UNLOCKED"
        target = self._now() if packet.imme or packet.tmst is msgspec.UNSET else self._timed(packet.tmst)
        if target is None:
            return None, REFUSED
        try:
            window, phy_payload = tx_window(packet, target.counter_us), gwmp.decode_data(packet.data)
        except GwmpError as fault:
            self._counters[f"txpk_{fault.reason}"] += 1
            return None, REFUSED
        self._requests += 1
        return TxRequest(
            id=f"{self._config.name}-{self._requests}",
            origin=f"upstream:{self._config.name}",
            radio=target.radio.name,
            radio_session=target.radio.radio_session,
            chip=target.chip,
            windows=(window,),
            phy_payload=phy_payload,
            invert_iq=packet.ipol,
            crc=not packet.ncrc,
            preamble=packet.prea,
        ), ""

    def _now(self) -> _Target | None:
        """An immediate downlink names no uplink, so only an EUI's single radio can be meant."""
        return _Target(next(iter(self._radios.values()))) if len(self._radios) == 1 else None

    def _timed(self, north_us: int) -> _Target | None:
        """Find radio and counter: those of the uplink it answers, else those of the EUI's single counter."""
        answer = self._cache.find(north_us, self._services.monotonic_us())
        if answer is not None:
            radio = self._radios[answer.uplink.radio]
            if radio.concentrator or radio.radio_session == answer.uplink.radio_session:
                return _Target(radio, answer.uplink.chip, answer.counter_us)
            # The head has restarted since: its counter is another one.
            return None
        if len(self._radios) == 1:
            radio = next(iter(self._radios.values()))
            return _Target(radio, None, radio.north.to_radio(north_us))
        return None


def _own_host(server: str) -> str:
    """Return what to bind to: replies come to where they can come from only."""
    with contextlib.suppress(ValueError):
        ip = ipaddress.ip_address(server)
        if ip.version == 6:  # noqa: PLR2004 - the protocol's name
            return "::1" if ip.is_loopback else "::"
        return "127.0.0.1" if ip.is_loopback else "0.0.0.0"  # noqa: S104 - replies only, checked by source address
    return "127.0.0.1" if server == "localhost" else "0.0.0.0"  # noqa: S104 - as above
