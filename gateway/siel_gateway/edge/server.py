"""The gateway's own LoRaWAN network server, for devices with ``home = "edge"``: pure, without any I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from siel_codecs.codec import Decoded
from siel_codecs.errors import FrameError
from siel_codecs.js import JsCodec
from siel_codecs.lorawan import MAC_PORT, DataFrame, JoinRequest, crypt_payload, parse_phy
from siel_gateway.codecs import AnyCodec
from siel_gateway.edge import dev_addr
from siel_gateway.edge.answers import Answers, Now
from siel_gateway.edge.blocks import BLOCK, Blocks, Reservation
from siel_gateway.edge.commands import take_commands
from siel_gateway.edge.join import Joins
from siel_gateway.edge.plan import Plan
from siel_gateway.edge.queue import QUEUES, Queues
from siel_gateway.edge.records import Delivery, Downlink, EdgeDevice, Effects, Sealer
from siel_gateway.edge.sessions import Session, Sessions
from siel_gateway.edge.undecoded import Undecoded
from siel_gateway.edge.uplinks import MAX_REPEAT_ANSWERS, Kind, Proven, accept, prove
from siel_gateway.observation import has_payload, observe
from siel_gateway.records import RxFrame, TxOutcome, Uplink

SETTINGS: Final = "edge"
_BLOCK_KEY: Final = "dev_addr_block"
_JOIN_NONCES: Final = "join_nonce"
COUNTERS: Final = (
    "joins",
    "joins_refused",
    "uplinks",
    "late",
    "copies",
    "repeats",
    "replays",
    "mic_failures",
    "unknown_devices",
    "malformed",
    "not_uplinks",
    "observations",
    "decode_errors",
    "answers_too_late",
    "answers_refused",
    "answers_exhausted",
)


class EdgeServer:
    """Joins, uplinks and downlinks of this gateway's own devices.

    Frames and the time go in; Effects come out. The caller stores the effects' state in the transaction of the frame,
    makes the reservations, and sends the transmissions. After :meth:`load` and the grants for
    :meth:`initial_reservations` it is ready.

    Args:
        devices: Those with ``home = "edge"``.
        app_key: Returns a device's AppKey, None when the key store has none.
        heard: Every (frequency_hz, spreading_factor, bandwidth_hz) that some radio hears.
        gateway_id: EUI of this gateway, 16 hex digits.
        sealer: Encrypts session keys for the journal.
        random_bytes: Returns so many unpredictable bytes.
        net_id: 24 bits.
        rx1_delay_s: RECEIVE_DELAY1 of new sessions, 1 to 15.
        adr: Value of the ADR bit in downlinks.
        waits: Says whether an uplink of a device still waits for its codec; the next one then waits behind it.

    Attributes:
        counters: What happened, by the names of :data:`COUNTERS`.
        uplinks_received: Data frames heard, whosever they are; copies of our devices' over several radios count once.
    """

    def __init__(
        self,
        devices: Iterable[EdgeDevice],
        app_key: Callable[[str], bytes | None],
        *,
        heard: Iterable[tuple[int, int, int]],
        gateway_id: str,
        sealer: Sealer,
        random_bytes: Callable[[int], bytes],
        net_id: int = 0x000001,
        rx1_delay_s: int = 1,
        adr: bool = True,
        waits: Callable[[str], bool] = lambda _: False,
    ) -> None:
        plan = Plan(heard)
        self.counters: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
        self.uplinks_received = 0
        self._gateway_id = gateway_id
        self._net_id = net_id
        self._random_bytes = random_bytes
        self._waits = waits
        self._sessions = Sessions(devices, sealer)
        self._queues = Queues()
        self._answers = Answers(plan, self._queues, rx1_delay_s=rx1_delay_s, adr=adr)
        self._addresses = b""
        self._join_nonces = Blocks(_JOIN_NONCES)
        self._f_cnt_down = {dev_eui: Blocks(f"f_cnt_down/{dev_eui}") for dev_eui in self._sessions.devices}
        self._blocks = {blocks.counter: blocks for blocks in (self._join_nonces, *self._f_cnt_down.values())}
        self._joins = Joins(
            self._sessions,
            app_key,
            plan,
            net_id=net_id,
            rx1_delay_s=rx1_delay_s,
            draw_dev_addr=lambda: dev_addr.draw(self._addresses, random_bytes),
            join_nonces=self._join_nonces,
        )

    def load(self, items: Callable[[str], Iterable[tuple[str, bytes]]], now_us: int) -> Effects:
        """Read back what the journal keeps; the effects hold what must be stored before the first frame.

        Args:
            items: Returns all (key, value) of a table.
            now_us: The gateway's clock.
        """
        effects = Effects()
        for dev_eui in self._sessions.load(items, now_us):
            effects.event("edge_state_unreadable", dev_eui=dev_eui, what="session")
        self._note_used_numbers()
        for dev_eui in self._queues.load(items(QUEUES)):
            effects.event("edge_state_unreadable", dev_eui=dev_eui, what="queue")
        self._addresses = dict(items(SETTINGS)).get(_BLOCK_KEY, b"")
        if not dev_addr.in_network(self._addresses, self._net_id):
            self._addresses = dev_addr.random_block(self._net_id, self._random_bytes)
            effects.puts.append((SETTINGS, _BLOCK_KEY, self._addresses))
        return effects

    def _note_used_numbers(self) -> None:
        """The journal is a second witness, should the file of the counters be lost or older."""
        for dev_eui, device in self._sessions.devices.items():
            sessions = [session for session in device.slots if session is not None]
            self._f_cnt_down[dev_eui].at_least = max((session.next_down for session in sessions), default=0)
            # JoinNonce is one more than its number.
            nonces = [session.counters.join_nonce for session in sessions]
            self._join_nonces.at_least = max(self._join_nonces.at_least, *nonces, 0)

    def initial_reservations(self) -> list[Reservation]:
        """Return the reservations that must be granted before the first frame."""
        wanted = [blocks.wanted() for blocks in self._blocks.values()] if self._f_cnt_down else []
        return [reservation for reservation in wanted if reservation is not None]

    def grant(self, reservation: Reservation, first: int) -> None:
        """The journal has reserved the numbers from ``first`` on, safely on disk."""
        self._blocks[reservation.counter].grant(first, BLOCK)

    def reservation_failed(self, reservation: Reservation) -> None:
        """The journal could not reserve; the next step asks again."""
        self._blocks[reservation.counter].refused()

    def unused(self) -> dict[str, int]:
        """Return the first number of each counter that was not used, to give back when the daemon ends cleanly."""
        firsts = {counter: blocks.peek() for counter, blocks in self._blocks.items()}
        return {counter: first for counter, first in firsts.items() if first is not None}

    def handle(self, frame: RxFrame, now: Now) -> Effects:
        """Take a frame with good CRC, whatever it is.

        Args:
            frame: As a radio heard it.
            now: This moment; a frame from a head's store is older.
        """
        effects = Effects()
        try:
            phy = parse_phy(frame.phy_payload)
        except FrameError as error:
            effects.event("frame_malformed", radio=frame.radio, reason=error.reason)
            self.counters["malformed"] += 1
            return effects
        if isinstance(phy, JoinRequest):
            self._count(self._join(frame, phy, now, effects))
        elif isinstance(phy, DataFrame) and phy.uplink:
            self._data(frame, phy, now, effects)
        else:
            self._count("not_uplinks")
        return effects

    def _count(self, name: str | None, by: int = 1) -> None:
        if name is not None:
            self.counters[name] += by

    def _join(self, frame: RxFrame, request: JoinRequest, now: Now, effects: Effects) -> str:
        if request.dev_eui not in self._sessions.devices:
            return "unknown_devices"
        f_cnt_down = self._f_cnt_down[request.dev_eui]
        name = self._joins.handle(frame, request, f_cnt_down, now.monotonic_us, effects)
        self._reserve(self._join_nonces, effects)
        self._reserve(f_cnt_down, effects)
        return name

    def _data(self, frame: RxFrame, data: DataFrame, now: Now, effects: Effects) -> None:
        sessions = self._sessions.with_addr(data.dev_addr)
        proven = prove(frame, data, sessions)
        if proven is None or proven.kind is not Kind.COPY:
            self.uplinks_received += 1
        if proven is None:
            self._count("mic_failures" if sessions else "unknown_devices")
            if sessions:
                effects.event("mic_failure", dev_addr=data.dev_addr, f_cnt=data.f_cnt, radio=frame.radio)
            return
        effects.verified = proven.kind is not Kind.REPLAY
        self._count(proven.kind.value)
        session = proven.session
        if proven.kind is Kind.REPLAY:
            effects.event(
                "replay", dev_eui=session.device.config.dev_eui, f_cnt=proven.f_cnt, last=session.counters.f_cnt_up
            )
        elif proven.kind is Kind.REPEAT:
            self._repeat(frame, data, session, now, effects)
        elif proven.kind is not Kind.COPY:
            self._accept(frame, data, proven, now, effects)

    def _accept(self, frame: RxFrame, data: DataFrame, proven: Proven, now: Now, effects: Effects) -> None:
        session = proven.session
        accept(frame, proven)
        self._sessions.confirm(session, effects)
        key = session.nwk_s_key if data.f_port == MAC_PORT else session.app_s_key
        payload = crypt_payload(key, data.dev_addr, proven.f_cnt, True, data.frm_payload)
        self._observe(frame, data, proven, payload, now, effects)
        if proven.kind is Kind.NEW:
            if data.ack:
                self._queues.get(session.device.config.dev_eui).acknowledged(effects)
            commands = payload if data.f_port == MAC_PORT else data.f_opts
            self._answer(frame, data, session, take_commands(session, commands, frame, effects), now, effects)
        session.save(effects)

    def _observe(
        self, frame: RxFrame, data: DataFrame, proven: Proven, payload: bytes, now: Now, effects: Effects
    ) -> None:
        device = proven.session.device.config
        uplink = Uplink(
            frame=frame,
            dev_eui=device.dev_eui,
            dev_addr=data.dev_addr,
            f_cnt=proven.f_cnt,
            f_port=data.f_port,
            payload=payload,
            confirmed=data.confirmed,
        )
        effects.event("uplink", dev_eui=device.dev_eui, f_cnt=proven.f_cnt, f_port=data.f_port, radio=frame.radio)
        if not has_payload(uplink):
            return
        if isinstance(device.codec, JsCodec) or self._waits(device.dev_eui):
            effects.undecoded = Undecoded(uplink, now.utc_ms)
            return
        decoded = device.codec.decode(uplink.f_port or 0, payload, frame.received_ms)
        self._publish(device.name, device.codec.name, uplink, decoded, now.utc_ms, effects)

    def _publish(
        self, device: str, codec: str, uplink: Uplink, decoded: Decoded, received_ms: int, effects: Effects
    ) -> None:
        if decoded.errors:
            self._count("decode_errors")
            effects.event("decode_error", dev_eui=uplink.dev_eui, f_port=uplink.f_port, errors=decoded.errors)
            return
        observations = observe(
            uplink,
            decoded,
            device=device,
            codec=codec,
            gateway_id=self._gateway_id,
            received_ms=received_ms,
        )
        effects.observations += observations
        self._count("observations", len(observations))

    def decoded(self, entry: Undecoded, codec: str, decoded: Decoded) -> Effects:
        """Take what a codec says of an uplink that waited; its device may have another one meanwhile."""
        effects = Effects()
        state = self._sessions.devices.get(entry.uplink.dev_eui)
        if state is None:
            self._count("decode_errors")
            effects.event("decode_error", dev_eui=entry.uplink.dev_eui, errors=["the device is not here any more"])
        else:
            self._publish(state.config.name, codec, entry.uplink, decoded, entry.received_ms, effects)
        return effects

    def set_codec(self, dev_eui: str, codec: AnyCodec) -> None:
        """Decode a device's uplinks with ``codec`` from now on; unknown devices have none."""
        state = self._sessions.devices.get(dev_eui)
        if state is not None:
            state.config = msgspec.structs.replace(state.config, codec=codec)

    def _repeat(self, frame: RxFrame, data: DataFrame, session: Session, now: Now, effects: Effects) -> None:
        if session.counters.answers >= MAX_REPEAT_ANSWERS:
            self._count("answers_exhausted")
            return
        session.counters.answers += 1
        self._answer(frame, data, session, b"", now, effects)
        session.save(effects)

    def _answer(
        self, frame: RxFrame, data: DataFrame, session: Session, commands: bytes, now: Now, effects: Effects
    ) -> None:
        f_cnt_down = self._f_cnt_down[session.device.config.dev_eui]
        self._count(self._answers.answer(frame, data, session, commands, f_cnt_down, now, effects))
        self._reserve(f_cnt_down, effects)

    @staticmethod
    def _reserve(blocks: Blocks, effects: Effects) -> None:
        reservation = blocks.wanted()
        if reservation is not None:
            effects.reservations.append(reservation)

    def enqueue(self, dev_eui: str, downlink: Downlink, now_ms: int) -> Effects:
        """Queue an operator's downlink, or refuse it; the effects' delivery says which."""
        effects = Effects()
        if dev_eui in self._sessions.devices:
            self._queues.get(dev_eui).add(downlink, now_ms, effects)
        else:
            delivery = Delivery(dev_eui=dev_eui, id=downlink.id, outcome="refused", reason="UNKNOWN_DEVICE")
            effects.deliveries.append(delivery)
        return effects

    def tx_outcome(self, outcome: TxOutcome) -> Effects:
        """Take the outcome of one of this server's transmissions."""
        effects = Effects()
        self._answers.outcome(outcome, effects)
        return effects

    def expire(self, now_ms: int) -> Effects:
        """Give up operators' downlinks that are too old."""
        effects = Effects()
        self._queues.expire(now_ms, effects)
        return effects
