"""The Semtech UDP protocol as the models speak it: an own small codec, so that it can disagree with the gateway's.

Source: Semtech packet forwarder, PROTOCOL.md v1.6.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final, NamedTuple, Protocol

Address = tuple[str, int]

VERSION: Final = 2
PUSH_DATA: Final = 0x00
PUSH_ACK: Final = 0x01
PULL_DATA: Final = 0x02
PULL_RESP: Final = 0x03
PULL_ACK: Final = 0x04
TX_ACK: Final = 0x05
_WITH_EUI: Final = (PUSH_DATA, PULL_DATA, TX_ACK)
_SHORT_HEAD_BYTES: Final = 4
_LONG_HEAD_BYTES: Final = 12
MAX_BODY_BYTES: Final = 60_000
"""Longer bodies are not parsed; a PUSH_DATA of 255 frames stays below it."""


class Endpoint(Protocol):
    """A bound UDP address; whatever owns it calls the model's ``receive``."""

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram."""
        ...


class Datagram(NamedTuple):
    """One parsed datagram; ``eui`` is 16 hex digits or empty, ``body`` the JSON object or empty."""

    kind: int
    token: bytes
    eui: str
    body: dict[str, Any]


def encode(kind: int, token: bytes, eui: str = "", body: dict[str, Any] | None = None) -> bytes:
    """Return a datagram; ``eui`` for the kinds that carry one, no ``body`` means none."""
    head = bytes((VERSION,)) + token + bytes((kind,))
    if kind in _WITH_EUI:
        head += bytes.fromhex(eui)
    return head if body is None else head + json.dumps(body, separators=(",", ":")).encode()


def parse(data: bytes) -> Datagram | None:
    """Return what ``data`` says; None when it is no datagram of this protocol."""
    if len(data) < _SHORT_HEAD_BYTES or data[0] != VERSION or data[3] > TX_ACK:
        return None
    kind = data[3]
    start = _LONG_HEAD_BYTES if kind in _WITH_EUI else _SHORT_HEAD_BYTES
    if len(data) < start or len(data) - start > MAX_BODY_BYTES:
        return None
    # some forwarders end their JSON with a NUL or spaces
    text = data[start:].strip(b"\0 \r\n\t")
    body: Any = {}
    if text:
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return None
    if not isinstance(body, dict):
        return None
    return Datagram(kind, data[1:3], data[4:12].hex() if kind in _WITH_EUI else "", body)


def encode_payload(payload: bytes) -> str:
    """Return a frame as the protocol carries it."""
    return base64.b64encode(payload).decode()


def decode_payload(text: str) -> bytes:
    """Return a frame, its base64 padded or not.

    Raises:
        ValueError: It is not base64.
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def parse_data_rate(datr: Any) -> tuple[int, int] | None:
    """Return (spreading factor, bandwidth in Hz) of "SF7BW125"; None for anything else."""
    if not isinstance(datr, str) or not datr.startswith("SF") or "BW" not in datr:
        return None
    spreading_factor, _, bandwidth_khz = datr[2:].partition("BW")
    if not (spreading_factor.isdecimal() and bandwidth_khz.isdecimal()):
        return None
    return int(spreading_factor), int(bandwidth_khz) * 1000
