"""Frames made from values: what the edge server, the harness and the tools put on air."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from siel_codecs.errors import BuildError, FrameError, MicError
from siel_codecs.lorawan import crypto
from siel_codecs.lorawan.frames import JoinAccept, parse_phy
from siel_codecs.lorawan.layout import (
    CF_LIST_BYTES,
    CF_LIST_FREQUENCIES,
    CF_LIST_TYPES,
    FREQUENCY_STEP_HZ,
    JOIN_ACCEPT,
    JOIN_REQUEST,
    MAC_PORT,
    MAX_F_OPTS_BYTES,
    MAX_F_PORT,
    MAX_FREQUENCY_HZ,
    MAX_FRM_PAYLOAD_BYTES,
    MIC_BYTES,
    MType,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_EUI: Final = re.compile("[0-9a-f]{16}")
_ADR, _ADR_ACK_REQ, _ACK, _CLASS_B, _F_PENDING = 0x80, 0x40, 0x20, 0x10, 0x10


class JoinAcceptBody(msgspec.Struct, frozen=True, gc=False):
    """A decrypted join-accept whose MIC fits."""

    join_nonce: int
    net_id: int
    dev_addr: int
    rx1_dr_offset: int
    rx2_data_rate: int
    rx_delay: int
    """As sent; 0 means 1 second, as the specification has it."""
    cf_list_hz: tuple[int, ...]
    """CFListType 0, the frequencies in its order, 0 for an unused place; empty without one."""
    cf_list_masks: tuple[int, ...]
    """CFListType 1; empty without one."""
    mic: bytes


def _bounded(field: str, value: int, limit: int) -> int:
    if not 0 <= value <= limit:
        raise BuildError(field, f"{value} is not in 0 to {limit}")
    return value


def _key(field: str, key: bytes) -> bytes:
    if len(key) != crypto.KEY_BYTES:
        raise BuildError(field, f"a key has {crypto.KEY_BYTES} bytes, this one {len(key)}")
    return key


def _eui(field: str, eui: str) -> str:
    if not _EUI.fullmatch(eui):
        raise BuildError(field, f"{eui!r} is not 16 lower-case hex digits")
    return eui


def encode_join_request(app_key: bytes, join_eui: str, dev_eui: str, dev_nonce: int) -> bytes:
    """Return a join-request as on air.

    Raises:
        BuildError: An EUI, the nonce (16 bits) or the key has the wrong form.
    """
    _key("app_key", app_key)
    body = JOIN_REQUEST.build(
        {
            "join_eui": _eui("join_eui", join_eui),
            "dev_eui": _eui("dev_eui", dev_eui),
            "dev_nonce": _bounded("dev_nonce", dev_nonce, 0xFFFF),
        }
    )
    phy = bytes([MType.JOIN_REQUEST << 5]) + body
    return phy + crypto.join_request_mic(app_key, phy)


def encode_join_accept(
    app_key: bytes,
    *,
    join_nonce: int,
    net_id: int,
    dev_addr: int,
    rx1_dr_offset: int = 0,
    rx2_data_rate: int = 0,
    rx_delay: int = 1,
    cf_list_hz: Sequence[int] = (),
) -> bytes:
    """Return an encrypted join-accept as on air, 17 bytes, or 33 with a CFList.

    Args:
        app_key: AppKey of the device.
        join_nonce: 24 bits, never the same twice for one device.
        net_id: 24 bits.
        dev_addr: 32 bits.
        rx1_dr_offset: 0 to 7.
        rx2_data_rate: Data rate index of RX2, 0 to 15.
        rx_delay: RECEIVE_DELAY1 in seconds, 0 to 15; 0 means 1.
        cf_list_hz: Up to five additional channels; empty leaves the CFList out.

    Raises:
        BuildError: A value is outside its range.
    """
    _key("app_key", app_key)
    cf_list = None
    if cf_list_hz:
        if len(cf_list_hz) > CF_LIST_FREQUENCIES:
            raise BuildError("cf_list_hz", f"{len(cf_list_hz)} frequencies; a CFList holds {CF_LIST_FREQUENCIES}")
        padded = [*cf_list_hz, *[0] * (CF_LIST_FREQUENCIES - len(cf_list_hz))]
        for hz in padded:
            if _bounded("cf_list_hz", hz, MAX_FREQUENCY_HZ) % FREQUENCY_STEP_HZ:
                raise BuildError("cf_list_hz", f"{hz} is not a multiple of {FREQUENCY_STEP_HZ} Hz")
        cf_list = CF_LIST_TYPES[0].build({"frequencies_hz": padded})
    body = JOIN_ACCEPT.build(
        {
            "join_nonce": _bounded("join_nonce", join_nonce, 0xFFFFFF),
            "net_id": _bounded("net_id", net_id, 0xFFFFFF),
            "dev_addr": _bounded("dev_addr", dev_addr, 0xFFFFFFFF),
            "dl_settings": {
                "rx1_dr_offset": _bounded("rx1_dr_offset", rx1_dr_offset, 7),
                "rx2_data_rate": _bounded("rx2_data_rate", rx2_data_rate, 15),
            },
            "rx_delay": {"del": _bounded("rx_delay", rx_delay, 15)},
            "cf_list": cf_list,
        }
    )
    head = bytes([MType.JOIN_ACCEPT << 5])
    return head + crypto.crypt_join_accept(app_key, body + crypto.join_accept_mic(app_key, head + body))


def decode_join_accept(app_key: bytes, phy: bytes) -> JoinAcceptBody:
    """Decrypt a join-accept and check its MIC.

    Raises:
        FrameError: ``phy`` is no join-accept.
        MicError: The key is not this frame's.
        BuildError: The key has the wrong length.
    """
    frame = parse_phy(phy)
    if not isinstance(frame, JoinAccept):
        raise FrameError("not a join-accept", offset=0)
    plain = crypto.open_join_accept(_key("app_key", app_key), frame.encrypted)
    body, mic = plain[:-MIC_BYTES], plain[-MIC_BYTES:]
    if crypto.join_accept_mic(app_key, phy[:1] + body) != mic:
        raise MicError("join-accept", offset=len(phy) - MIC_BYTES, mic=mic)
    fields = JOIN_ACCEPT.parse(body)
    cf_list_hz: tuple[int, ...] = ()
    cf_list_masks: tuple[int, ...] = ()
    if fields.cf_list is not None:
        layout = CF_LIST_TYPES.get(fields.cf_list[CF_LIST_BYTES - 1])
        if layout is not None:  # a device ignores a CFListType that it does not know
            cf_list = layout.parse(fields.cf_list)
            cf_list_hz = tuple(cf_list.get("frequencies_hz", ()))
            cf_list_masks = tuple(cf_list.get("channel_masks", ()))
    return JoinAcceptBody(
        join_nonce=fields.join_nonce,
        net_id=fields.net_id,
        dev_addr=fields.dev_addr,
        rx1_dr_offset=fields.dl_settings.rx1_dr_offset,
        rx2_data_rate=fields.dl_settings.rx2_data_rate,
        rx_delay=fields.rx_delay["del"],
        cf_list_hz=cf_list_hz,
        cf_list_masks=cf_list_masks,
        mic=mic,
    )


def encode_data_up(
    nwk_s_key: bytes,
    app_s_key: bytes,
    dev_addr: int,
    f_cnt32: int,
    *,
    f_port: int | None = None,
    payload: bytes = b"",
    f_opts: bytes = b"",
    confirmed: bool = False,
    adr: bool = False,
    adr_ack_req: bool = False,
    ack: bool = False,
    class_b: bool = False,
) -> bytes:
    """Return an encrypted uplink with MIC; ``payload`` is in clear, on FPort 0 it is MAC commands.

    Raises:
        BuildError: A value is outside its range.
    """
    mtype = MType.CONFIRMED_DATA_UP if confirmed else MType.UNCONFIRMED_DATA_UP
    f_ctrl = adr * _ADR | adr_ack_req * _ADR_ACK_REQ | ack * _ACK | class_b * _CLASS_B
    keys = nwk_s_key, app_s_key
    return _encode_data(mtype, f_ctrl, keys, dev_addr, f_cnt32, f_port=f_port, payload=payload, f_opts=f_opts)


def encode_data_down(
    nwk_s_key: bytes,
    app_s_key: bytes,
    dev_addr: int,
    f_cnt32: int,
    *,
    f_port: int | None = None,
    payload: bytes = b"",
    f_opts: bytes = b"",
    confirmed: bool = False,
    adr: bool = False,
    ack: bool = False,
    f_pending: bool = False,
) -> bytes:
    """Return an encrypted downlink with MIC; ``payload`` is in clear, on FPort 0 it is MAC commands.

    Raises:
        BuildError: A value is outside its range.
    """
    mtype = MType.CONFIRMED_DATA_DOWN if confirmed else MType.UNCONFIRMED_DATA_DOWN
    f_ctrl = adr * _ADR | ack * _ACK | f_pending * _F_PENDING
    keys = nwk_s_key, app_s_key
    return _encode_data(mtype, f_ctrl, keys, dev_addr, f_cnt32, f_port=f_port, payload=payload, f_opts=f_opts)


def _encode_data(
    mtype: MType,
    f_ctrl: int,
    keys: tuple[bytes, bytes],
    dev_addr: int,
    f_cnt32: int,
    *,
    f_port: int | None,
    payload: bytes,
    f_opts: bytes,
) -> bytes:
    nwk_s_key, app_s_key = _key("nwk_s_key", keys[0]), _key("app_s_key", keys[1])
    _bounded("dev_addr", dev_addr, 0xFFFFFFFF)
    _bounded("f_cnt32", f_cnt32, 0xFFFFFFFF)
    _bounded("f_opts", len(f_opts), MAX_F_OPTS_BYTES)
    _bounded("payload", len(payload) + len(f_opts), MAX_FRM_PAYLOAD_BYTES)
    if f_port is None:
        if payload:
            raise BuildError("f_port", "a payload needs a port")
    elif _bounded("f_port", f_port, MAX_F_PORT) == MAC_PORT and f_opts:
        raise BuildError("f_opts", "MAC commands stand in FOpts or on FPort 0, never in both")
    uplink = mtype in {MType.UNCONFIRMED_DATA_UP, MType.CONFIRMED_DATA_UP}
    parts = [
        bytes([mtype << 5]),
        dev_addr.to_bytes(4, "little"),
        bytes([f_ctrl | len(f_opts)]),
        (f_cnt32 & 0xFFFF).to_bytes(2, "little"),
        f_opts,
    ]
    if f_port is not None:
        key = nwk_s_key if f_port == MAC_PORT else app_s_key
        parts += [bytes([f_port]), crypto.crypt_payload(key, dev_addr, f_cnt32, uplink, payload)]
    phy = b"".join(parts)
    return phy + crypto.data_mic(nwk_s_key, phy, dev_addr, f_cnt32, uplink)
