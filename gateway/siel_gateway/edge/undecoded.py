"""Uplinks that are proven, decrypted and journalled, and whose codec has not spoken yet."""

from __future__ import annotations

from typing import Final

import msgspec

from siel_gateway.journal_schema import decode_frame, encode_frame
from siel_gateway.records import Uplink

UNDECODED: Final = "undecoded"
"""The journal's table of them, by :func:`key_of` their frame's row."""
_ROW_DIGITS: Final = 20


class Undecoded(msgspec.Struct, frozen=True):
    """An uplink, and when it went into the journal."""

    uplink: Uplink
    received_ms: int


class _Stored(msgspec.Struct, array_like=True):
    """The order on disk; only ever append."""

    frame: bytes
    dev_eui: str
    dev_addr: int
    f_cnt: int
    f_port: int | None
    payload: bytes
    confirmed: bool
    received_ms: int


def key_of(row: int) -> str:
    """Return the key of a frame's row; keys sort as rows do."""
    return f"{row:0{_ROW_DIGITS}d}"


def row_of(key: str) -> int:
    """Return the row of :func:`key_of`; raise ``ValueError`` when it is none."""
    return int(key)


def encode_undecoded(entry: Undecoded) -> bytes:
    """Return what is stored; in clear, as the Observations will be."""
    uplink = entry.uplink
    return msgspec.msgpack.encode(
        _Stored(
            encode_frame(uplink.frame),
            uplink.dev_eui,
            uplink.dev_addr,
            uplink.f_cnt,
            uplink.f_port,
            uplink.payload,
            uplink.confirmed,
            entry.received_ms,
        )
    )


def decode_undecoded(value: bytes) -> Undecoded:
    """Return the entry of :func:`encode_undecoded`.

    Raises:
        msgspec.MsgspecError, TypeError: It is none.
    """
    stored = msgspec.msgpack.decode(value, type=_Stored)
    uplink = Uplink(
        frame=decode_frame(stored.frame),
        dev_eui=stored.dev_eui,
        dev_addr=stored.dev_addr,
        f_cnt=stored.f_cnt,
        f_port=stored.f_port,
        payload=stored.payload,
        confirmed=stored.confirmed,
    )
    return Undecoded(uplink, stored.received_ms)
