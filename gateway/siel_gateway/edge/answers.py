"""Downlinks to edge devices: acknowledgement, MAC commands and operators' data in one frame."""

from __future__ import annotations

import msgspec

from siel_codecs.lorawan import DataFrame, encode_data_down
from siel_gateway.edge import windows
from siel_gateway.edge.blocks import Blocks
from siel_gateway.edge.commands import link_adr
from siel_gateway.edge.plan import Plan
from siel_gateway.edge.queue import Queues
from siel_gateway.edge.records import Downlink, Effects, Transmission
from siel_gateway.edge.sessions import Session
from siel_gateway.records import RxFrame, TxOutcome, TxRequest, TxWindow
from siel_node.region_eu868 import MAX_PAYLOAD_BYTES, RX2_DR, data_rate

_MAX_F_CNT = 0xFFFFFFFF


class Now(msgspec.Struct, frozen=True):
    """The moment of a step, on both clocks."""

    monotonic_us: int
    utc_ms: int


class Answers:
    """Builds the one answer an uplink may get.

    Args:
        plan: What the radios hear.
        queues: Operators' downlinks.
        rx1_delay_s: RxDelay of all sessions.
        adr: Value of the ADR bit, which tells devices that this network sends LinkADRReq.
    """

    def __init__(self, plan: Plan, queues: Queues, *, rx1_delay_s: int, adr: bool) -> None:
        self._plan = plan
        self._queues = queues
        self._rx1_delay_s = rx1_delay_s
        self._adr = adr
        self._carried: dict[str, tuple[str, str]] = {}

    def answer(
        self,
        frame: RxFrame,
        data: DataFrame,
        session: Session,
        command_answers: bytes,
        f_cnt_down: Blocks,
        now: Now,
        effects: Effects,
    ) -> str | None:
        """Answer an uplink if it asks for that or something waits for the device.

        Returns:
            The name of the counter to raise when an answer was due and could not be given, else None.
        """
        dev_eui = session.device.config.dev_eui
        queue = self._queues.get(dev_eui)
        queue.expire(now.utc_ms, effects)
        f_opts = command_answers + link_adr(session, frame, self._plan)
        must = data.confirmed or data.adr_ack_req or bool(f_opts)
        if not must and not len(queue):
            return None
        opportunities = windows.receive_windows(frame, self._rx1_delay_s, now.monotonic_us)
        if not opportunities:
            return "answers_too_late"
        room_bytes = max(map(windows.room_bytes, opportunities))
        largest_bytes = MAX_PAYLOAD_BYTES[max(data_rate(frame.spreading_factor, frame.bandwidth_hz), RX2_DR)]
        downlink, f_pending = queue.next(room_bytes - len(f_opts), largest_bytes, effects)
        if not must and downlink is None:
            return None
        value = f_cnt_down.take()
        if value is None or not 0 <= value - session.f_cnt_down_base <= _MAX_F_CNT:
            effects.event("no_f_cnt_down", dev_eui=dev_eui)
            return "answers_refused"
        session.counters.last_down = value
        request_id = f"down-{dev_eui}-{value}"
        phy_payload = encode_data_down(
            session.nwk_s_key,
            session.app_s_key,
            session.dev_addr,
            value - session.f_cnt_down_base,
            f_port=downlink.f_port if downlink is not None else None,
            payload=downlink.payload if downlink is not None else b"",
            f_opts=f_opts,
            confirmed=downlink is not None and downlink.confirmed,
            adr=self._adr,
            ack=data.confirmed,
            f_pending=f_pending,
        )
        if downlink is not None:
            queue.sent(downlink)
            self._carried[request_id] = (dev_eui, downlink.id)
        request = TxRequest(
            id=request_id,
            origin="edge",
            radio=frame.radio,
            radio_session=frame.radio_session,
            chip=frame.answering_chip,
            windows=_that_fit(opportunities, f_opts, downlink),
            phy_payload=phy_payload,
            dev_eui=dev_eui,
        )
        effects.transmissions.append(Transmission(request))
        return None

    def outcome(self, outcome: TxOutcome, effects: Effects) -> None:
        """Take the outcome of a Transmission."""
        carried = self._carried.pop(outcome.id, None)
        if carried is not None:
            dev_eui, downlink_id = carried
            self._queues.get(dev_eui).outcome(downlink_id, outcome, effects)


def _that_fit(opportunities: tuple[TxWindow, ...], f_opts: bytes, downlink: Downlink | None) -> tuple[TxWindow, ...]:
    length = len(f_opts) + (len(downlink.payload) if downlink is not None else 0)
    return tuple(window for window in opportunities if length <= windows.room_bytes(window))
