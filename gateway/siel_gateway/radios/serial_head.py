"""A radio head behind a serial port: owns the port and the timers, leaves the conversation to HeadLink."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Final

import structlog

from siel_gateway.alarm import Alarm
from siel_gateway.arbiter import HEAD_GUARD_US, HEAD_LEAD_US
from siel_gateway.backoff import Backoff
from siel_gateway.config_models import SerialHeadRadio
from siel_gateway.counters import NorthCounter
from siel_gateway.errors import GatewayError
from siel_gateway.head_events import (
    ChipChannel,
    ChipConfigured,
    Event,
    FrameHeard,
    HeadReady,
    HeadStats,
    JunkSkipped,
    LinkLost,
    TxResult,
    WrongVersion,
)
from siel_gateway.head_link import HeadLink
from siel_gateway.messages import say
from siel_gateway.radios import Receive
from siel_gateway.records import RxFrame, TxOutcome, TxRequest, TxWindow
from siel_gateway.services import ByteStream, Services

REOPEN_FIRST_S: Final = 0.5
REOPEN_LAST_S: Final = 10.0
DELIVER_AGAIN_S: Final = 1.0
"""A frame that could not be journalled stays in the head until it is."""

log = structlog.get_logger("siel.head")


class SerialHead:
    """One head, up to four chips.

    Args:
        config: Its ``[[radio]]``.
        gateway_eui: Identity to the north.
        services: Of the daemon.
        receive: Takes each frame.
        alone: No other radio has this EUI.
    """

    concentrator: Final = False
    lead_us: Final = HEAD_LEAD_US
    guard_us: Final = HEAD_GUARD_US

    def __init__(
        self, config: SerialHeadRadio, *, gateway_eui: str, services: Services, receive: Receive, alone: bool
    ) -> None:
        self.name = config.name
        self.gateway_eui = gateway_eui
        self.channels = config.channels
        self.counters: Counter[str] = Counter()
        self.north = NorthCounter(alone=alone)
        self._config = config
        self._services = services
        self._receive = receive
        self._link = HeadLink(first_tag=int.from_bytes(services.random_bytes(4)))
        # Rounded up: less power than allowed, never more.
        gain_db = math.ceil(config.antenna_gain_db)
        self._link.configure(
            [
                ChipChannel(
                    frequency_hz=channel.frequency_hz,
                    spreading_factor=channel.spreading_factor,
                    bandwidth_hz=channel.bandwidth_hz,
                    antenna_gain_db=gain_db,
                )
                for channel in config.channels
            ]
        )
        self._port: ByteStream | None = None
        self._alarm = Alarm(services, self._tick)
        self._flush_soon = False
        self._backoff = Backoff(REOPEN_FIRST_S, REOPEN_LAST_S)
        self._waiting: dict[int, tuple[TxRequest, TxWindow, asyncio.Future[TxOutcome]]] = {}
        self._log = log.bind(radio=self.name)

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the head answers."""
        return self._link.ready

    @property
    def radio_session(self) -> int | None:
        """The head's boot id, None before its first hello."""
        return self._link.boot_id

    def gateway_us(self, counter_us: int) -> int | None:
        """Return the gateway's clock at a value of the head's counter, the nearest; None while the head is away."""
        return self._link.gateway_us(counter_us, self._services.monotonic_us()) if self._link.ready else None

    async def transmit(self, request: TxRequest, window: TxWindow) -> TxOutcome:
        """Let the head transmit in ``window`` and wait for what it says has happened."""
        now_us = self._services.monotonic_us()
        tag = self._link.transmit(
            chip=request.chip if request.chip is not None else self._chip_for(window),
            counter_us=window.counter_us,
            frequency_hz=window.frequency_hz,
            spreading_factor=window.spreading_factor,
            bandwidth_hz=window.bandwidth_hz,
            payload=request.phy_payload,
            now_us=now_us,
            coding_rate=window.coding_rate,
            power_dbm=window.power_dbm,
            preamble=request.preamble,
            invert_iq=request.invert_iq,
            crc=request.crc,
        )
        if tag is None:
            return TxOutcome(id=request.id, outcome="refused", reason="NO_RADIO", window=window)
        outcome: asyncio.Future[TxOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[tag] = (request, window, outcome)
        self._flush()
        try:
            return await outcome
        except asyncio.CancelledError:
            self._link.cancel(tag)
            self._flush()
            raise
        finally:
            self._waiting.pop(tag, None)

    def _chip_for(self, window: TxWindow) -> int:
        """Choose a chip for a request that answers no uplink known here: one that listens there, else the first."""
        channels = enumerate(self.channels)
        return next((chip for chip, channel in channels if channel.frequency_hz == window.frequency_hz), 0)

    # -- the port -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the port open, and open it again with growing pauses whenever it is gone, until cancelled."""
        told = False
        while True:
            try:
                port = await self._services.open_serial(self._config.port, self._config.baud)
            except OSError as fault:
                self.counters["open_failures"] += 1
                if not told:
                    self._log.warning(
                        "port_unavailable", port=self._config.port, error=str(fault), help=say("help.port")
                    )
                told = True
                await asyncio.sleep(self._backoff.next_s())
                continue
            told = False
            self.counters["opened"] += 1
            await self._serve(port)
            await asyncio.sleep(self._backoff.next_s())

    async def _serve(self, port: ByteStream) -> None:
        """Read until the port is gone."""
        self._port = port
        try:
            self._link.connected(self._services.monotonic_us())
            self._flush()
            while True:
                data = await port.read()
                self._handle(self._link.receive_data(data, self._services.monotonic_us()))
        except OSError as fault:
            self._log.warning("port_lost", port=self._config.port, error=str(fault))
        finally:
            self._port = None
            self._alarm.set(None)
            port.close()
            self._handle(self._link.disconnected())

    def _flush(self) -> None:
        """Write what the link has to say and set the alarm for what it will have to say."""
        self._flush_soon = False
        data = self._link.data_to_send()
        if self._port is None:
            return
        if data:
            try:
                self._port.write(data)
            except OSError:
                # The reader notices, and ends.
                self._port.close()
        self._alarm.set(self._link.next_tick_us())

    def _tick(self) -> None:
        self._handle(self._link.tick(self._services.monotonic_us()))

    # -- what the head says -------------------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case FrameHeard():
                    self._on_frame(event)
                case TxResult():
                    self._on_result(event)
                case HeadReady():
                    self._on_ready(event)
                case HeadStats():
                    self._on_stats(event)
                case JunkSkipped():
                    self.counters["junk"] += event.frames
                case LinkLost():
                    self.counters["lost"] += 1
                    self._log.warning("head_lost", reason=event.reason)
                case WrongVersion():
                    self.counters["wrong_version"] += 1
                    self._log.error("head_version", version=event.version)
                case ChipConfigured(ok=False):
                    self.counters["chip_refused"] += 1
                    self._log.error("chip_refused", chip=event.chip)
        self._flush()

    def _on_ready(self, event: HeadReady) -> None:
        self._backoff.reset()
        if event.new_session:
            now_us = self._services.monotonic_us()
            self.north.start_session(self._link.counter_us(now_us), now_us)
        if event.chips < len(self.channels):
            self._log.error("too_few_chips", chips=event.chips, channels=len(self.channels))
        self._log.info(
            "head_ready", boot_id=event.boot_id, new_session=event.new_session, reset_cause=event.reset_cause
        )

    def _on_stats(self, event: HeadStats) -> None:
        for name in ("stored", "heard", "overflow", "crc_errors", "tx_on_air", "tx_failed", "radio_errors"):
            self.counters[f"head_{name}"] = getattr(event, name)
        self.counters["head_deaf_chips"] = len(event.deaf)
        self.counters["head_clock_error_us"] = self._link.clock_error_us

    def _on_result(self, event: TxResult) -> None:
        waiting = self._waiting.get(event.tag)
        if waiting is None or waiting[2].done():
            return
        request, window, future = waiting
        future.set_result(
            TxOutcome(id=request.id, outcome=event.outcome, reason=event.reason, window=window, slack_us=event.slack_us)
        )

    def _on_frame(self, event: FrameHeard) -> None:
        services = self._services
        self.counters["frames"] += 1
        age_us = services.monotonic_us() - event.gateway_us
        frame = RxFrame(
            radio=self.name,
            gateway_eui=self.gateway_eui,
            radio_session=event.boot_id,
            sequence=event.sequence,
            chip=event.chip,
            counter_us=event.counter_us,
            gateway_us=event.gateway_us,
            received_ms=services.utc_ms() - age_us // 1000,
            clock=services.clock_trust(),
            frequency_hz=event.frequency_hz,
            spreading_factor=event.spreading_factor,
            bandwidth_hz=event.bandwidth_hz,
            coding_rate=event.coding_rate,
            rssi_dbm=event.rssi_dbm,
            snr_db=event.snr_db,
            crc=event.crc,
            phy_payload=event.phy_payload,
        )
        self._deliver(frame)

    def _deliver(self, frame: RxFrame) -> None:
        """Give a frame to the daemon; only what is committed is acknowledged, so the head keeps the rest."""
        try:
            committed = asyncio.ensure_future(self._receive(frame))
        except GatewayError:
            self._deliver_again(frame)
            return
        except Exception:  # noqa: BLE001 - a fault of ours must not leave a frame in the head's store for ever
            self._log.error("receive_failed", exc_info=True)
            self._deliver_again(frame)
            return

        def settle(done: asyncio.Future[None]) -> None:
            if done.cancelled():
                return
            if done.exception() is not None:
                self._deliver_again(frame)
                return
            self._link.ack(frame.radio_session, frame.sequence or 0)
            if not self._flush_soon:
                # One acknowledgement for all frames of a commit.
                self._flush_soon = True
                asyncio.get_running_loop().call_soon(self._flush)

        committed.add_done_callback(settle)

    def _deliver_again(self, frame: RxFrame) -> None:
        self.counters["not_journalled"] += 1
        asyncio.get_running_loop().call_later(DELIVER_AGAIN_S, self._deliver, frame)
