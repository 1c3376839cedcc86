"""Joins: a join-request becomes a session and a join-accept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from siel_codecs.lorawan import JoinRequest, derive_session_keys, encode_join_accept, join_request_mic
from siel_gateway.edge import windows
from siel_gateway.edge.blocks import Blocks
from siel_gateway.edge.plan import Plan, device_channels
from siel_gateway.edge.records import Effects, Joined, Transmission
from siel_gateway.edge.sessions import DeviceState, Sessions, Stored
from siel_gateway.edge.uplinks import is_copy
from siel_gateway.observation import rfc3339
from siel_gateway.records import RxFrame, TxRequest
from siel_node.region_eu868 import RX2_DR

_MAX_JOIN_NONCE = 0xFFFFFF


class Joins:
    """Answers join-requests of known devices.

    Args:
        sessions: Where devices are found and sessions kept.
        app_key: Returns a device's AppKey, None when the store has none.
        plan: What may be announced.
        net_id: 24 bits.
        rx1_delay_s: RxDelay of the new session.
        draw_dev_addr: Returns a DevAddr of this gateway's block.
        join_nonces: Reserved numbers; JoinNonce is one more, because 0 is what a new device compares with.
    """

    def __init__(
        self,
        sessions: Sessions,
        app_key: Callable[[str], bytes | None],
        plan: Plan,
        *,
        net_id: int,
        rx1_delay_s: int,
        draw_dev_addr: Callable[[], int],
        join_nonces: Blocks,
    ) -> None:
        self._sessions = sessions
        self._app_key = app_key
        self._plan = plan
        self._net_id = net_id
        self._rx1_delay_s = rx1_delay_s
        self._draw_dev_addr = draw_dev_addr
        self._join_nonces = join_nonces

    def handle(self, frame: RxFrame, request: JoinRequest, f_cnt_down: Blocks, now_us: int, effects: Effects) -> str:
        """Answer a join-request and return the name of the counter that says what it was.

        Args:
            frame: The request as heard.
            request: The same, taken apart; its DevEUI is one of ours.
            f_cnt_down: The device's reserved downlink counters; the new session counts from the next one.
            now_us: The gateway's clock.
            effects: Takes what follows.
        """
        device = self._sessions.devices[request.dev_eui]
        app_key = self._app_key(request.dev_eui)
        if app_key is None:
            effects.event("join_without_key", dev_eui=request.dev_eui)
            return "joins_refused"
        if join_request_mic(app_key, frame.phy_payload) != request.mic:
            effects.event("join_mic_failure", dev_eui=request.dev_eui)
            return "mic_failures"
        digest = hashlib.sha256(frame.phy_payload).digest()[:16]
        if digest == device.join.digest and is_copy(frame, device.join.time_us):
            effects.verified = True
            return "copies"
        if device.config.join_eui not in (None, request.join_eui):
            effects.event("join_eui_differs", dev_eui=request.dev_eui, join_eui=request.join_eui)
            return "joins_refused"
        if not device.nonce_is_new(request.dev_nonce):
            effects.event("dev_nonce_used", dev_eui=request.dev_eui, dev_nonce=request.dev_nonce)
            return "replays"
        effects.verified = True
        device.use_nonce(request.dev_nonce)
        device.join.digest, device.join.time_us = digest, frame.gateway_us
        device.save(effects)
        return self._accept(frame, device, app_key, request.dev_nonce, f_cnt_down, now_us, effects)

    def _accept(
        self,
        frame: RxFrame,
        device: DeviceState,
        app_key: bytes,
        dev_nonce: int,
        f_cnt_down: Blocks,
        now_us: int,
        effects: Effects,
    ) -> str:
        dev_eui = device.config.dev_eui
        opportunities = windows.receive_windows(frame, windows.JOIN_DELAY_S, now_us)
        if not opportunities:
            effects.event("join_too_late", dev_eui=dev_eui)
            return "answers_too_late"
        base = f_cnt_down.peek()
        join_nonce = self._join_nonces.take() if base is not None else None
        if base is None or join_nonce is None or join_nonce >= _MAX_JOIN_NONCE:
            effects.event("join_without_numbers", dev_eui=dev_eui)
            return "joins_refused"
        join_nonce += 1
        cf_list_hz = self._plan.cf_list_hz
        stored = Stored(join_nonce, self._draw_dev_addr(), base, device_channels(cf_list_hz), b"")
        keys = derive_session_keys(app_key, join_nonce, self._net_id, dev_nonce)
        self._sessions.open(device, stored, keys, effects)
        phy_payload = encode_join_accept(
            app_key,
            join_nonce=join_nonce,
            net_id=self._net_id,
            dev_addr=stored.dev_addr,
            rx1_dr_offset=windows.RX1_DR_OFFSET,
            rx2_data_rate=RX2_DR,
            rx_delay=self._rx1_delay_s,
            cf_list_hz=cf_list_hz,
        )
        request = TxRequest(
            id=f"join-{dev_eui}-{join_nonce}",
            origin="edge",
            radio=frame.radio,
            radio_session=frame.radio_session,
            chip=frame.answering_chip,
            windows=opportunities,
            phy_payload=phy_payload,
            dev_eui=dev_eui,
        )
        effects.transmissions.append(Transmission(request, after_commit=True))
        effects.joins.append(Joined(dev_eui=dev_eui, dev_addr=stored.dev_addr, time=rfc3339(frame.received_ms)))
        effects.event("joined", dev_eui=dev_eui, dev_addr=stored.dev_addr, dev_nonce=dev_nonce, radio=frame.radio)
        return "joins"
