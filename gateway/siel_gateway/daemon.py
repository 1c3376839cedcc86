"""The daemon: puts the parts together, owns every task, and carries a frame through in one turn of the event loop."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import structlog

from siel_codecs.codec import Decoded
from siel_gateway.arbiter import Arbiter
from siel_gateway.cancellation import cancel_until_done
from siel_gateway.codecs import AnyCodec
from siel_gateway.config_models import Config, DeviceConfig
from siel_gateway.decoding import Decoding
from siel_gateway.device_codecs import DeviceCodecs
from siel_gateway.edge import (
    BLOCK,
    Delivery,
    Downlink,
    EdgeDevice,
    EdgeServer,
    Effects,
    Now,
    Reservation,
    Transmission,
    Undecoded,
)
from siel_gateway.errors import CountersLostError, JournalFullError
from siel_gateway.journal import Journal
from siel_gateway.keystore import KeyStore
from siel_gateway.log_limit import LimitedLog
from siel_gateway.radios import Radio
from siel_gateway.radios.build import build_radios
from siel_gateway.records import RxFrame, TxOutcome, TxRequest
from siel_gateway.services import Services
from siel_gateway.sinks import Sink
from siel_gateway.sinks.build import build_sinks
from siel_gateway.supervisor import keep_running, run_once
from siel_gateway.upstreams import Upstream
from siel_gateway.upstreams.build import build_upstreams

JOURNAL_FILE: Final = "journal.sqlite"
DRAIN_S: Final = 10.0
"""How long sinks and upstreams may take to acknowledge what is left when the daemon ends."""
DRAIN_STEP_S: Final = 0.05
EXPIRE_S: Final = 5.0
"""How late an operator hears that a downlink has expired while its device is silent."""
COUNTED_DEV_NONCE: Final = ("1.0.4", "1.1.0")
"""MAC versions whose DevNonce only grows. Source: TS001-1.0.4 section 6.2.5."""
_ANY_JOIN_EUI: Final = "0" * 16
_QUIET_EVENTS: Final = frozenset({"uplink", "joined", "frame_malformed"})
COUNTERS: Final = (
    "frames_received",
    "frames_bad_crc",
    "frames_no_crc",
    "frames_seen_again",
    "edge_faults",
    "undecoded_dropped",
    "undecoded_unreadable",
    "js_worker_failures",
    "codec_reloads",
    "codec_faults",
    "reservations_failed",
    "task_restarts",
    "task_faults",
)

log = structlog.get_logger("siel.daemon")
edge_log = structlog.get_logger("siel.edge")


class Daemon:
    """One gateway. :meth:`run` serves until :meth:`stop` or cancellation.

    Args:
        config: A checked siel.toml.
        services: Clock, ports, sockets, executor.
        key_store: AppKeys of the devices at home here.

    Raises:
        CodecError: The codec of a device is not there or is wrong.

    Attributes:
        ready: Set when everything is loaded and the radios are served.
    """

    def __init__(self, config: Config, services: Services, key_store: KeyStore) -> None:
        self.ready = asyncio.Event()
        self._config = config
        self._services = services
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
        self._stopping = asyncio.Event()
        self._edge_log = LimitedLog(edge_log, services.monotonic_us)
        self._tasks: asyncio.TaskGroup | None = None
        self._jobs = set[asyncio.Task[None]]()
        self._journal: Journal | None = None
        self._upstreams: Sequence[Upstream] = ()
        self._sinks: Sequence[Sink] = ()
        self._radios: dict[str, Radio] = build_radios(config, services, self.receive)
        self._arbiter = Arbiter(self._radios, services.monotonic_us)
        self._codecs = DeviceCodecs(config, services, self._counts)
        self._decoding: Decoding | None = None
        codecs = self._codecs.by_device
        self._edge = EdgeServer(
            [_edge_device(device, codec) for device in config.devices if (codec := codecs.get(device.dev_eui))],
            key_store.get,
            heard=config.heard(),
            gateway_id=config.gateway.id,
            sealer=key_store.sealer(),
            random_bytes=services.random_bytes,
            net_id=config.edge.net_id,
            rx1_delay_s=config.edge.rx1_delay_s,
            adr=config.edge.adr,
            waits=lambda dev_eui: self._decoding is not None and self._decoding.waits(dev_eui),
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until :meth:`stop`; then let what was heard reach everybody, at most 10 s, and close the journal.

        Raises:
            JournalInUseError: Another daemon has the journal.
            JournalNewerError: A later version wrote it.
            OSError, sqlite3.Error: The journal cannot be opened.
        """
        config, services = self._config, self._services
        config.gateway.data_dir.mkdir(parents=True, exist_ok=True)
        journal = await Journal.open(config.gateway.data_dir / JOURNAL_FILE, services, config.journal)
        self._journal = journal
        try:
            decoding = await self._load(journal)
            self._upstreams = build_upstreams(config, services, journal, self._radios, self._arbiter.submit)
            self._sinks = build_sinks(
                config, services, journal, self._codecs.by_device, self._codecs.runner, self.enqueue
            )
            await self._serve(journal, decoding)
            log.info("gateway_stopped", report=self.report(), counters=self.counters, parts=self._part_counters())
        finally:
            # No frame is taken from here on: it could use a number that is given back.
            self._journal = None
            for counter, first_unused in self._edge.unused().items():
                journal.give_back(counter, first_unused)
            await self._codecs.runner.close()
            await journal.close()

    async def _load(self, journal: Journal) -> Decoding:
        effects = self._edge.load(lambda table: journal.items(table).items(), self._services.monotonic_us())
        self._apply(effects)
        await self._reserve(self._edge.initial_reservations())
        self._decoding = Decoding(journal, self._codecs.ask, self._decoded, self._counts)
        return self._decoding

    async def _serve(self, journal: Journal, decoding: Decoding) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            consumers = [
                self._start("journal", journal.run),
                self._start("edge-expiry", self._expire),
                self._start("decoding", decoding.run),
                *(self._start(f"upstream[{upstream.name}]", upstream.run) for upstream in self._upstreams),
                *(self._start(f"sink[{sink.name}]", sink.run) for sink in self._sinks),
            ]
            radios = [self._start(f"radio[{name}]", radio.run) for name, radio in self._radios.items()]
            self.ready.set()
            log.info("gateway_started", gateway=self._config.gateway.id, radios=sorted(self._radios))
            await self._stopping.wait()
            for task in radios:
                task.cancel()
            await self.drain(DRAIN_S)
            self._tasks = None
            await cancel_until_done((*radios, *consumers, *self._jobs))

    def stop(self) -> None:
        """Ask :meth:`run` to end in order; calling it twice does nothing more."""
        self._stopping.set()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all that was heard is committed and every sink and upstream has acknowledged its part.

        Args:
            timeout_s: At most so long.

        Returns:
            Whether everything was acknowledged.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self._journal is not None and self._waiting():  # noqa: ASYNC110 - several parties, no one event
                    await asyncio.sleep(DRAIN_STEP_S)
                if self._journal is not None:
                    # Shielded: others wait for the same future
                    await asyncio.shield(self._journal.committed())
        except TimeoutError:
            log.warning("not_drained", waiting=self._waiting())
            return False
        return True

    def _waiting(self) -> int:
        undecoded = self._decoding.pending if self._decoding is not None else 0
        return (
            undecoded
            + sum(upstream.pending for upstream in self._upstreams)
            + sum(sink.pending for sink in self._sinks)
        )

    def _start(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        assert self._tasks is not None  # noqa: S101 - only _serve calls it
        return self._tasks.create_task(keep_running(name, run, self._counts), name=name)

    def _spawn(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:  # the daemon is ending: nobody could use the result
            job.close()
            return
        task = self._tasks.create_task(run_once(name, job, self._counts), name=name)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    # -- a frame's way ------------------------------------------------------------------------------------------------

    def receive(self, frame: RxFrame) -> asyncio.Future[None]:
        """Journal a frame and all that follows from it, in this turn of the event loop.

        Args:
            frame: From any radio.

        Returns:
            Done when all of it is committed: then, and not before, the radio may acknowledge the frame.

        Raises:
            JournalFullError: It could not be taken and must not be acknowledged.
        """
        journal = self._journal
        if journal is None:
            raise JournalFullError("the journal is closed")
        if frame.crc != "ok":
            self._counts["frames_bad_crc" if frame.crc == "bad" else "frames_no_crc"] += 1
            return journal.committed()
        if journal.seen(frame):
            self._counts["frames_seen_again"] += 1
            return journal.committed()
        row = journal.add_frame(frame)
        self._counts["frames_received"] += 1
        now = Now(self._services.monotonic_us(), self._services.utc_ms())
        try:
            effects = self._edge.handle(frame, now)
        except Exception:  # a fault of ours in one frame must not cost the frames after it
            self._counts["edge_faults"] += 1
            log.error("edge_failed", radio=frame.radio, row=row, exc_info=True)
            effects = Effects()
        self._apply(effects, row)
        for upstream in self._upstreams:
            upstream.offer(row, frame)
        return journal.committed()

    def _apply(self, effects: Effects, row: int | None = None) -> None:
        """Put the state into the batch that is being collected, and carry the rest out."""
        journal = self._journal
        if journal is None:
            return
        for table, key, value in effects.puts:
            journal.put(table, key, value)
        if row is not None:
            self._apply_to_frame(journal, effects, row)
        for event in effects.events:
            self._log_event(event.name, event.fields)
        if effects.reservations:
            self._spawn("reserve", self._reserve(effects.reservations))
        for transmission in effects.transmissions:
            committed = journal.committed() if transmission.after_commit else None
            self._spawn(f"tx[{transmission.request.id}]", self._transmit(transmission, committed))
        for joined in effects.joins:
            for sink in self._sinks:
                sink.joined(joined)
        if effects.deliveries:
            journal.committed().add_done_callback(functools.partial(self._deliver, effects.deliveries))

    def _apply_to_frame(self, journal: Journal, effects: Effects, row: int) -> None:
        if effects.verified:
            journal.mark_verified(row)
        for observation in effects.observations:
            observation_row = journal.add_observation(observation, row)
            for sink in self._sinks:
                sink.offer(observation_row, observation)
        if effects.undecoded is not None and self._decoding is not None:
            self._decoding.add(row, effects.undecoded)

    def _decoded(self, row: int, entry: Undecoded, codec: str, decoded: Decoded) -> None:
        self._apply(self._edge.decoded(entry, codec, decoded), row)

    def _deliver(self, deliveries: Sequence[Delivery], committed: asyncio.Future[None]) -> None:
        """Tell operators what became of their downlinks, now that a kill cannot make it untrue."""
        if committed.cancelled():
            return
        for delivery in deliveries:
            edge_log.info("downlink_delivery", **_fields(delivery))
            for sink in self._sinks:
                sink.delivered(delivery)

    def _log_event(self, name: str, fields: dict[str, Any]) -> None:
        if "dev_addr" in fields:
            fields = fields | {"dev_addr": f"{fields['dev_addr']:08x}"}
        write = self._edge_log.info if name in _QUIET_EVENTS else self._edge_log.warning
        write(name, **fields)

    async def _transmit(self, transmission: Transmission, committed: asyncio.Future[None] | None) -> None:
        if committed is not None:
            await asyncio.shield(committed)
        outcome = await self._arbiter.submit(transmission.request)
        self._apply(self._edge.tx_outcome(outcome))

    async def _reserve(self, reservations: Sequence[Reservation]) -> None:
        journal = self._journal
        if journal is None or not reservations:
            return
        try:
            names = [reservation.counter for reservation in reservations]
            used = {reservation.counter: reservation.at_least for reservation in reservations}
            firsts = await journal.reserve(names, BLOCK, used)
        except CountersLostError as fault:
            # Without numbers nothing is transmitted; what is heard goes on being journalled and published
            self._counts["reservations_failed"] += len(reservations)
            log.error("reservation_failed", error=str(fault))
            for reservation in reservations:
                self._edge.reservation_failed(reservation)
            return
        for reservation, first in zip(reservations, firsts, strict=True):
            try:
                self._edge.grant(reservation, first)
            except ValueError as fault:
                self._counts["reservations_failed"] += 1
                log.error("reservation_failed", error=str(fault))

    def reload_codecs(self) -> None:
        """Read codecs, and which device has which, again from their files.

        A codec that is wrong is reported and counted, and its devices keep the one they have. Nothing else of siel.toml
        is taken over before the next start.
        """
        self._spawn("reload-codecs", self._reload_codecs())

    async def _reload_codecs(self) -> None:
        for dev_eui, codec in (await self._codecs.reload()).items():
            self._edge.set_codec(dev_eui, codec)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_S)
            self._apply(self._edge.expire(self._services.utc_ms()))

    # -- what others ask ----------------------------------------------------------------------------------------------

    def enqueue(self, dev_eui: str, downlink: Downlink) -> None:
        """Take an operator's downlink; what becomes of it goes to every sink as deliveries."""
        self._apply(self._edge.enqueue(dev_eui, downlink, self._services.utc_ms()))

    async def submit(self, request: TxRequest) -> TxOutcome:
        """Put a frame on air through the arbiter."""
        return await self._arbiter.submit(request)

    @property
    def radios(self) -> dict[str, Radio]:
        """The radios by name."""
        return self._radios

    @property
    def counters(self) -> dict[str, Any]:
        """Everything counted in this process since it began; ``tx_refused`` is itself a dict, by reason."""
        sent = self._arbiter.counters
        return {
            **self._counts,
            **self._edge.counters,
            "downlinks_requested": sent["requested"],
            "downlinks_on_air": sent["on_air"],
            "downlinks_queued": sent["queued"],
            "tx_refused": dict(self._arbiter.refused),
        }

    def _part_counters(self) -> dict[str, dict[str, int]]:
        return {
            **{f"radio[{name}]": dict(radio.counters) for name, radio in self._radios.items()},
            **{f"upstream[{upstream.name}]": dict(upstream.counters) for upstream in self._upstreams},
            **{f"sink[{sink.name}]": dict(sink.counters) for sink in self._sinks},
        }

    def report(self) -> dict[str, int]:
        """Return the figures of a run's report that the gateway can tell."""
        counters = self.counters
        return {
            "frames_received": counters["frames_received"],
            "frames_forwarded": min((upstream.counters["forwarded"] for upstream in self._upstreams), default=0),
            "uplinks_received": self._edge.uplinks_received,
            "observations": counters["observations"],
            "observations_published": min((sink.counters["published"] for sink in self._sinks), default=0),
            "downlinks_requested": counters["downlinks_requested"],
            "downlinks_on_air": counters["downlinks_on_air"],
            "downlinks_queued": counters["downlinks_queued"],
        }


def _edge_device(device: DeviceConfig, codec: AnyCodec) -> EdgeDevice:
    return EdgeDevice(
        dev_eui=device.dev_eui,
        join_eui=None if device.join_eui == _ANY_JOIN_EUI else device.join_eui,
        name=device.name,
        codec=codec,
        counted_dev_nonce=device.mac_version in COUNTED_DEV_NONCE,
    )


def _fields(delivery: Delivery) -> dict[str, Any]:
    return {name: getattr(delivery, name) for name in delivery.__struct_fields__}
