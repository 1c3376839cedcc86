"""A LoRaWAN 1.0.4 end device as frames and nothing else, for whoever plays its radio."""

from __future__ import annotations

from siel_codecs.lorawan import (
    DataFrame,
    JoinAcceptBody,
    SessionKeys,
    crypt_payload,
    data_mic,
    decode_join_accept,
    derive_session_keys,
    encode_data_up,
    encode_join_request,
    parse_phy,
)
from siel_hil.errors import HilError


class Device:
    """One device.

    Args:
        dev_eui: 16 hex digits.
        app_key: 16 bytes.
        join_eui: 16 hex digits.
    """

    def __init__(self, dev_eui: str, app_key: bytes, join_eui: str = "0" * 16) -> None:
        self.dev_eui = dev_eui
        self.join_eui = join_eui
        self.app_key = app_key
        self.dev_nonce = 0
        self.f_cnt_up = 0
        self.dev_addr = 0
        self.keys = SessionKeys(bytes(16), bytes(16))

    def join_request(self) -> bytes:
        """Return the next join-request."""
        self.dev_nonce += 1
        return encode_join_request(self.app_key, self.join_eui, self.dev_eui, self.dev_nonce)

    def accept(self, phy_payload: bytes) -> JoinAcceptBody:
        """Take the answer to the last join-request; raise when it is not meant for this device."""
        accept = decode_join_accept(self.app_key, phy_payload)
        self.keys = derive_session_keys(self.app_key, accept.join_nonce, accept.net_id, self.dev_nonce)
        self.dev_addr, self.f_cnt_up = accept.dev_addr, 0
        return accept

    def uplink(self, payload: bytes, f_port: int, *, confirmed: bool = False, ack: bool = False) -> bytes:
        """Return the next data frame."""
        frame = encode_data_up(
            *self.keys, self.dev_addr, self.f_cnt_up, f_port=f_port, payload=payload, confirmed=confirmed, ack=ack
        )
        self.f_cnt_up += 1
        return frame

    def downlink(self, phy_payload: bytes) -> tuple[DataFrame, bytes]:
        """Return a data frame for this device and its payload in clear.

        Raises:
            HilError: It is none, or its MIC is wrong.
        """
        frame = parse_phy(phy_payload)
        if not isinstance(frame, DataFrame) or frame.uplink or frame.dev_addr != self.dev_addr:
            raise HilError("no data frame for this device")
        if data_mic(self.keys.nwk_s_key, phy_payload[:-4], self.dev_addr, frame.f_cnt, False) != frame.mic:
            raise HilError("wrong MIC")
        key = self.keys.app_s_key if frame.f_port else self.keys.nwk_s_key
        return frame, crypt_payload(key, self.dev_addr, frame.f_cnt, False, frame.frm_payload)
