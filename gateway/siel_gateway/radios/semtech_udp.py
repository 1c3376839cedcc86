"""A concentrator behind a packet forwarder: the server's end of Semtech UDP on a local port."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

import msgspec
import structlog

from siel_gateway import gwmp
from siel_gateway.arbiter import CONCENTRATOR_GUARD_US, CONCENTRATOR_LEAD_US
from siel_gateway.backoff import Backoff
from siel_gateway.config_models import SemtechUdpRadio
from siel_gateway.counters import ForwarderClock, NorthCounter
from siel_gateway.errors import GatewayError, GwmpError
from siel_gateway.gwmp import Kind
from siel_gateway.gwmp_frames import OUTCOMES, rx_frame, tx_packet
from siel_gateway.log_limit import LimitedLog
from siel_gateway.messages import say
from siel_gateway.radios import Receive
from siel_gateway.records import Outcome, RxFrame, TxOutcome, TxRequest, TxWindow
from siel_gateway.services import Address, Datagrams, Services

BIND_FIRST_S: Final = 0.5
BIND_LAST_S: Final = 10.0
PATH_S: Final = 60.0
"""So long after its last PULL_DATA a forwarder is thought to be there; its keepalive is 5 or 10 s by default."""
TX_ACK_S: Final = 2.0
"""A forwarder on this box answers when it has queued the packet, within milliseconds."""
MAX_PENDING: Final = 64
"""Downlinks without an answer. Source: the queue of lora_pkt_fwd holds 32."""

log = structlog.get_logger("siel.forwarder")


class SemtechUdp:
    """One concentrator with an EUI of its own.

    Args:
        config: Its ``[[radio]]``.
        services: Of the daemon.
        receive: Takes each frame.
        alone: No other radio has this EUI.
    """

    concentrator: Final = True
    lead_us: Final = CONCENTRATOR_LEAD_US
    guard_us: Final = CONCENTRATOR_GUARD_US

    def __init__(self, config: SemtechUdpRadio, *, services: Services, receive: Receive, alone: bool) -> None:
        self.name = config.name
        self.gateway_eui = config.gateway_id
        self.channels = config.channels
        self.counters: Counter[str] = Counter()
        self.north = NorthCounter(alone=alone)
        self.radio_session: int | None = None
        self._config = config
        self._services = services
        self._receive = receive
        self._clock = ForwarderClock()
        self._socket: Datagrams | None = None
        self._pull_address: Address | None = None
        self._pulled_us = 0
        self._tokens = gwmp.Tokens(int.from_bytes(services.random_bytes(gwmp.TOKEN_BYTES)))
        self._pending: dict[bytes, asyncio.Future[tuple[Outcome, str]]] = {}
        self._log = log.bind(radio=self.name)
        self._limited_log = LimitedLog(self._log, services.monotonic_us)

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def local_address(self) -> Address | None:
        """The address it is bound to, None while it is not."""
        return self._socket.local_address if self._socket is not None else None

    @property
    def connected(self) -> bool:
        """Whether a forwarder has asked for downlinks lately."""
        age_us = self._services.monotonic_us() - self._pulled_us
        return self._socket is not None and self._pull_address is not None and age_us <= PATH_S * 1e6

    def gateway_us(self, counter_us: int) -> int | None:
        """Return the gateway's clock at a value of the counter, the nearest; None before the first frame."""
        return self._clock.gateway_us(counter_us, self._services.monotonic_us())

    async def transmit(self, request: TxRequest, window: TxWindow) -> TxOutcome:
        """Hand the frame to the forwarder; its acknowledgement means ``queued``, silence ``unknown``."""
        slack_us = self._slack_us(window)
        outcome, reason = await self._pull_resp(tx_packet(request, window))
        return TxOutcome(id=request.id, outcome=outcome, reason=reason, window=window, slack_us=slack_us)

    async def _pull_resp(self, packet: gwmp.TxPk) -> tuple[Outcome, str]:
        if not self.connected or self._socket is None or self._pull_address is None:
            return "refused", "NO_RADIO"
        if len(self._pending) >= MAX_PENDING:
            return "busy", "BUSY"
        token = self._tokens.draw(self._pending)
        answer: asyncio.Future[tuple[Outcome, str]] = asyncio.get_running_loop().create_future()
        self._pending[token] = answer
        self.counters["pull_resp"] += 1
        self._socket.send(gwmp.build(Kind.PULL_RESP, token, body=gwmp.pull_resp_body(packet)), self._pull_address)
        try:
            async with asyncio.timeout(TX_ACK_S):
                return await answer
        except TimeoutError:
            self.counters["tx_ack_missing"] += 1
            return "unknown", "OTHER"
        finally:
            del self._pending[token]

    def _slack_us(self, window: TxWindow) -> int | None:
        if window.counter_us is None:
            return None
        start_us = self.gateway_us(window.counter_us)
        return start_us - self._services.monotonic_us() if start_us is not None else None

    # -- the socket ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the forwarder until cancelled; a port that cannot be bound is tried again with growing pauses."""
        backoff = Backoff(BIND_FIRST_S, BIND_LAST_S)
        told = False
        while self._socket is None:
            try:
                self._socket = await self._services.open_datagrams(self._config.bind, self._on_datagram)
            except OSError as fault:
                self.counters["bind_failures"] += 1
                if not told:
                    error = fault.strerror or str(fault)
                    self._log.warning("bind_failed", bind=self._config.bind, error=error, help=say("help.bind"))
                told = True
                await asyncio.sleep(backoff.next_s())
        self._log.info("listening", address=self._socket.local_address)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._socket.close()
            self._socket = None

    def _on_datagram(self, data: bytes, source: Address) -> None:
        """Take whatever came to the port; what is not from our forwarder is counted and skipped."""
        try:
            datagram = gwmp.parse(data)
            if datagram.eui not in (None, self.gateway_eui):
                self._on_stranger(datagram, source)
                return
            match datagram.kind:
                case Kind.PUSH_DATA:
                    self._on_push_data(datagram, source)
                case Kind.PULL_DATA:
                    self._on_pull_data(datagram, source)
                case Kind.TX_ACK:
                    self._on_tx_ack(datagram)
                case _:
                    raise GwmpError("kind")
        except GwmpError as fault:
            self.counters[f"junk_{fault.reason}"] += 1
            self._limited_log.warning("junk_skipped", reason=fault.reason, length=len(data), address=source)

    def _on_stranger(self, datagram: gwmp.Datagram, source: Address) -> None:
        """Take no frame of another concentrator; most often it is ours, and one of two files has the wrong EUI."""
        self.counters["junk_eui"] += 1
        self._limited_log.warning(
            "forwarder_unknown",
            gateway_id=datagram.eui,
            expected=self.gateway_eui,
            address=source,
            help=say("help.forwarder"),
        )

    def _on_pull_data(self, datagram: gwmp.Datagram, source: Address) -> None:
        if source != self._pull_address:
            self._limited_log.info("forwarder_connected", address=source)
        self._pull_address, self._pulled_us = source, self._services.monotonic_us()
        self._answer(Kind.PULL_ACK, datagram, source)

    def _on_tx_ack(self, datagram: gwmp.Datagram) -> None:
        answer = self._pending.get(datagram.token)
        if answer is None or answer.done():
            raise GwmpError("token")
        answer.set_result(OUTCOMES.get(gwmp.parse_tx_ack(datagram.body), ("refused", "OTHER")))

    def _on_push_data(self, datagram: gwmp.Datagram, source: Address) -> None:
        """Give the frames to the daemon; the forwarder hears PUSH_ACK when all that can be read is committed."""
        push = gwmp.parse_push_data(datagram.body)
        self.counters["rxpk_faults"] += push.faults
        commits = set[asyncio.Future[None]]()
        for packet in push.rxpks:
            try:
                frame = self._frame(packet)
            except GwmpError as fault:
                self.counters[f"rxpk_{fault.reason}"] += 1
                continue
            self.counters["frames"] += 1
            try:
                commits.add(asyncio.ensure_future(self._receive(frame)))
            except GatewayError:
                self.counters["not_journalled"] += 1
                return
        if not commits:
            self._answer(Kind.PUSH_ACK, datagram, source)
            return

        def settle(done: asyncio.Future[list[None]]) -> None:
            if done.cancelled() or done.exception() is not None:
                self.counters["not_journalled"] += 1
            else:
                self._answer(Kind.PUSH_ACK, datagram, source)

        asyncio.gather(*commits).add_done_callback(settle)

    def _frame(self, packet: gwmp.RxPk) -> RxFrame:
        services = self._services
        now_us = services.monotonic_us()
        frame = rx_frame(
            packet,
            radio=self.name,
            gateway_eui=self.gateway_eui,
            radio_session=0,
            gateway_us=now_us,
            received_ms=services.utc_ms(),
            clock=services.clock_trust(),
        )
        if self._clock.add(frame.counter_us, now_us):
            self.radio_session = int.from_bytes(services.random_bytes(4))
            self.north.start_session(frame.counter_us, now_us)
            self._limited_log.info("concentrator_started", session=self.radio_session)
        heard_us = min(now_us, self._clock.gateway_us(frame.counter_us, now_us) or now_us)
        return msgspec.structs.replace(
            frame,
            radio_session=self.radio_session,
            gateway_us=heard_us,
            received_ms=frame.received_ms - (now_us - heard_us) // 1000,
        )

    def _answer(self, kind: Kind, datagram: gwmp.Datagram, to: Address) -> None:
        if self._socket is not None:
            self._socket.send(gwmp.build(kind, datagram.token), to)
