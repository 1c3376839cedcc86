"""The fast parse of LoRaWAN frames into frozen records; ``layout.py`` says the same as tables."""

from __future__ import annotations

from typing import Final

import msgspec

from siel_codecs.errors import FrameError
from siel_codecs.lorawan.layout import (
    JOIN_ACCEPT_BYTES,
    JOIN_REQUEST_BYTES,
    MAC_PORT,
    MAX_PHY_PAYLOAD_BYTES,
    MIC_BYTES,
    MIN_DATA_FRAME_BYTES,
    MType,
)


class DataFrame(msgspec.Struct, frozen=True, gc=False):
    """A data frame, still encrypted, its MIC not yet checked."""

    mtype: MType
    uplink: bool
    confirmed: bool
    dev_addr: int
    adr: bool
    adr_ack_req: bool
    """Uplink only; False in a downlink."""
    ack: bool
    class_b: bool
    """Uplink only; False in a downlink."""
    f_pending: bool
    """Downlink only; False in an uplink."""
    f_cnt: int
    """The lower 16 bits, all that travels."""
    f_opts: bytes
    f_port: int | None
    frm_payload: bytes
    """As on air, encrypted."""
    mic: bytes


class JoinRequest(msgspec.Struct, frozen=True, gc=False):
    """A device asks to join; its MIC is not yet checked."""

    mtype: MType
    join_eui: str
    dev_eui: str
    dev_nonce: int
    mic: bytes


class JoinAccept(msgspec.Struct, frozen=True, gc=False):
    """A join-accept as on air: all but the first byte is encrypted."""

    mtype: MType
    encrypted: bytes


class OpaqueFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame type that LoRaWAN 1.0.4 leaves open (RFU, Proprietary): nobody here can look inside."""

    mtype: MType
    payload: bytes


Frame = DataFrame | JoinRequest | JoinAccept | OpaqueFrame

_MTYPES: Final = tuple(MType)
_F_OPTS_START: Final = 8
_DATA_UP: Final = (MType.UNCONFIRMED_DATA_UP, MType.CONFIRMED_DATA_UP)


def parse_phy(phy: bytes) -> Frame:
    """Take a PHYPayload apart without any key.

    Args:
        phy: The bytes as on air, at most ``MAX_PHY_PAYLOAD_BYTES``.

    Raises:
        FrameError: A length, the major version or FOptsLen do not fit the specification, or MAC commands stand in
            FOpts and on FPort 0 at once, which a receiver must ignore (TS001-1.0.4, 4.3.1.6).
    """
    length = len(phy)
    if not 0 < length <= MAX_PHY_PAYLOAD_BYTES:
        raise FrameError(f"a frame has 1 to {MAX_PHY_PAYLOAD_BYTES} bytes, this one {length}", offset=length)
    head = phy[0]
    mtype = _MTYPES[head >> 5]
    if mtype >= MType.RFU:
        return OpaqueFrame(mtype, bytes(phy[1:]))
    if head & 3:
        raise FrameError(f"major version {head & 3} is not LoRaWAN R1", offset=0)
    if mtype >= MType.UNCONFIRMED_DATA_UP:
        return _parse_data(phy, mtype, length)
    if mtype is MType.JOIN_REQUEST:
        if length != JOIN_REQUEST_BYTES:
            raise FrameError(f"a join-request has {JOIN_REQUEST_BYTES} bytes, this one {length}", offset=length)
        return JoinRequest(
            mtype, phy[8:0:-1].hex(), phy[16:8:-1].hex(), int.from_bytes(phy[17:19], "little"), bytes(phy[19:])
        )
    if length not in JOIN_ACCEPT_BYTES:
        raise FrameError(f"a join-accept has 17 or 33 bytes, this one {length}", offset=length)
    return JoinAccept(mtype, bytes(phy[1:]))


def _parse_data(phy: bytes, mtype: MType, length: int) -> DataFrame:
    if length < MIN_DATA_FRAME_BYTES:
        raise FrameError(f"a data frame has at least {MIN_DATA_FRAME_BYTES} bytes, this one {length}", offset=length)
    f_ctrl = phy[5]
    end_of_f_opts = _F_OPTS_START + (f_ctrl & 15)
    end = length - MIC_BYTES
    if end_of_f_opts > end:
        raise FrameError(f"FOptsLen {f_ctrl & 15} reaches {end_of_f_opts - end} bytes past the MAC payload", offset=5)
    f_port: int | None = None
    if end_of_f_opts < end:
        f_port = phy[end_of_f_opts]
        if f_port == MAC_PORT and end_of_f_opts > _F_OPTS_START:
            raise FrameError("MAC commands in FOpts and on FPort 0 at once", offset=end_of_f_opts)
    uplink = mtype in _DATA_UP
    bit_6, bit_4 = f_ctrl & 0x40 != 0, f_ctrl & 0x10 != 0
    return DataFrame(
        mtype,
        uplink,
        mtype >= MType.CONFIRMED_DATA_UP,
        int.from_bytes(phy[1:5], "little"),
        f_ctrl & 0x80 != 0,
        uplink and bit_6,
        f_ctrl & 0x20 != 0,
        uplink and bit_4,
        bit_4 and not uplink,
        phy[6] | phy[7] << 8,
        bytes(phy[_F_OPTS_START:end_of_f_opts]),
        f_port,
        bytes(phy[end_of_f_opts + 1 : end]),
        bytes(phy[end:]),
    )
