"""LoRaWAN 1.0.4 on the wire: frames, MAC commands and their cryptography, without any I/O or state.

EUIs are 16 lower-case hex digits in big-endian notation, keys 16 bytes, DevAddr an integer, frequencies in hertz.
"""

from __future__ import annotations

from siel_codecs.lorawan.build import (
    JoinAcceptBody,
    decode_join_accept,
    encode_data_down,
    encode_data_up,
    encode_join_accept,
    encode_join_request,
)
from siel_codecs.lorawan.crypto import (
    SessionKeys,
    cmac,
    crypt_payload,
    data_mic,
    derive_session_keys,
    find_f_cnt,
    full_f_cnt,
    join_accept_mic,
    join_request_mic,
)
from siel_codecs.lorawan.frames import DataFrame, Frame, JoinAccept, JoinRequest, OpaqueFrame, parse_phy
from siel_codecs.lorawan.layout import (
    MAC_PORT,
    MAX_F_OPTS_BYTES,
    MAX_FRM_PAYLOAD_BYTES,
    MAX_PHY_PAYLOAD_BYTES,
    MIC_BYTES,
    MType,
)
from siel_codecs.lorawan.mac_commands import MacCommand, encode_mac_command, parse_mac_commands

__all__ = [
    "MAC_PORT",
    "MAX_FRM_PAYLOAD_BYTES",
    "MAX_F_OPTS_BYTES",
    "MAX_PHY_PAYLOAD_BYTES",
    "MIC_BYTES",
    "DataFrame",
    "Frame",
    "JoinAccept",
    "JoinAcceptBody",
    "JoinRequest",
    "MType",
    "MacCommand",
    "OpaqueFrame",
    "SessionKeys",
    "cmac",
    "crypt_payload",
    "data_mic",
    "decode_join_accept",
    "derive_session_keys",
    "encode_data_down",
    "encode_data_up",
    "encode_join_accept",
    "encode_join_request",
    "encode_mac_command",
    "find_f_cnt",
    "full_f_cnt",
    "join_accept_mic",
    "join_request_mic",
    "parse_mac_commands",
    "parse_phy",
]
