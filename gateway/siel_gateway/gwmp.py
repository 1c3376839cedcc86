"""Semtech UDP version 2 (GWMP) as bytes: datagrams and their JSON, both ways, for both ends; no I/O.

The server's end (a packet forwarder talks to us) parses PUSH_DATA, PULL_DATA and TX_ACK and builds PUSH_ACK, PULL_ACK
and PULL_RESP; the client's end (we are a gateway) does the reverse. What the JSON means is in ``gwmp_frames``.

Source: PROTOCOL.md of Lora-net/packet_forwarder, version 1.6, and what its lora_pkt_fwd.c really sends.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container
from enum import IntEnum
from typing import Annotated, Any, Final, TypeVar

import msgspec

from siel_gateway.errors import GwmpError

VERSION: Final = 2
TOKEN_BYTES: Final = 2
HEAD_BYTES: Final = 4
EUI_HEAD_BYTES: Final = 12
MAX_DATAGRAM_BYTES: Final = 65_507
"""What fits into one UDP datagram over IPv4."""
MAX_RXPKS: Final = 255
"""Of one PUSH_DATA. Source: NB_PKT_MAX of lora_pkt_fwd.c."""
MAX_PHY_BYTES: Final = 255
MAX_BASE64_CHARS: Final = 344
"""255 bytes padded, and one line break."""

T = TypeVar("T")


class Kind(IntEnum):
    """What a datagram is; the number on the wire."""

    PUSH_DATA = 0
    PUSH_ACK = 1
    PULL_DATA = 2
    PULL_RESP = 3
    PULL_ACK = 4
    TX_ACK = 5


WITH_EUI: Final = frozenset((Kind.PUSH_DATA, Kind.PULL_DATA, Kind.TX_ACK))
"""What a gateway sends carries its EUI, what a server sends does not."""


class Datagram(msgspec.Struct, frozen=True):
    """One datagram, its JSON still unread."""

    kind: Kind
    token: bytes
    """Two bytes; opaque, echoed as they are."""
    eui: str | None = None
    """16 lower-case hex digits."""
    body: bytes = b""


def parse(data: bytes) -> Datagram:
    """Read one datagram of any kind.

    Raises:
        GwmpError: It is not one.
    """
    if not HEAD_BYTES <= len(data) <= MAX_DATAGRAM_BYTES:
        raise GwmpError("length")
    if data[0] != VERSION:
        raise GwmpError("version")
    if data[3] >= len(Kind):
        raise GwmpError("kind")
    kind, token = Kind(data[3]), data[1:3]
    if kind not in WITH_EUI:
        return Datagram(kind, token, None, data[HEAD_BYTES:])
    if len(data) < EUI_HEAD_BYTES:
        raise GwmpError("length")
    return Datagram(kind, token, data[HEAD_BYTES:EUI_HEAD_BYTES].hex(), data[EUI_HEAD_BYTES:])


def build(kind: Kind, token: bytes, eui: str | None = None, body: bytes = b"") -> bytes:
    """Return the datagram.

    Args:
        kind: What it is.
        token: Two bytes; those of the datagram that it answers.
        eui: Of the gateway; for the kinds that a gateway sends.
        body: JSON.
    """
    return bytes((VERSION, *token, kind)) + (bytes.fromhex(eui) if eui is not None else b"") + body


class Tokens:
    """Draws tokens, none twice while it waits for its answer.

    Args:
        first: 16 random bits.
    """

    def __init__(self, first: int) -> None:
        self._next = first

    def draw(self, waiting: Container[bytes]) -> bytes:
        """Return the next one that is not among ``waiting``, which must be fewer than there are."""
        while True:
            token = self._next.to_bytes(TOKEN_BYTES)
            self._next = (self._next + 1) % (1 << 8 * TOKEN_BYTES)
            if token not in waiting:
                return token


# -- JSON -------------------------------------------------------------------------------------------------------------

U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
Megahertz = Annotated[float, msgspec.Meta(gt=0, le=10_000)]
Small = Annotated[int, msgspec.Meta(ge=-1, le=255)]
Decibel = Annotated[int, msgspec.Meta(ge=-1000, le=1000)] | Annotated[float, msgspec.Meta(ge=-1000, le=1000)]
"""Whole numbers stay whole on the way out: servers in Go refuse ``-60.0`` for an integer."""
Power = Annotated[int, msgspec.Meta(ge=-128, le=127)] | Annotated[float, msgspec.Meta(ge=-128, le=127)]
"""dBm. Source: lora_pkt_fwd keeps it in an int8_t, and so does the link to a head."""
Size = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
DataRate = str | Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Unset = msgspec.UnsetType


class RxPk(msgspec.Struct, frozen=True, kw_only=True):
    """``rxpk``: one frame heard; names, units and order are PROTOCOL.md's."""

    tmst: U32
    """The concentrator's microsecond counter at the end of the frame."""
    time: str | Unset = msgspec.UNSET
    """UTC; only with a GPS reference."""
    chan: Small = 0
    rfch: Small = 0
    freq: Megahertz
    stat: Small = 1
    """1 CRC good, -1 bad, 0 none."""
    modu: str = "LORA"
    datr: DataRate
    codr: str = "4/5"
    lsnr: Decibel = 0.0
    rssi: Decibel = 0
    size: Size
    data: str


Count = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """``stat``: a gateway's counts since its last one."""

    time: str
    """"2014-01-12 08:59:28 GMT"."""
    rxnb: Count = 0
    """Frames received."""
    rxok: Count = 0
    """With a good CRC."""
    rxfw: Count = 0
    """Forwarded."""
    ackr: float = 0.0
    """PUSH_ACK per PUSH_DATA in percent."""
    dwnb: Count = 0
    """PULL_RESP received."""
    txnb: Count = 0
    """Frames emitted."""


class TxPk(msgspec.Struct, frozen=True, kw_only=True):
    """``txpk``: a frame to be sent; names, units and defaults are PROTOCOL.md's."""

    imme: bool = False
    tmst: U32 | Unset = msgspec.UNSET
    tmms: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] | Unset = msgspec.UNSET
    freq: Megahertz
    rfch: Small = 0
    powe: Power = 14
    """dBm EIRP."""
    modu: str = "LORA"
    datr: DataRate
    codr: str = "4/5"
    ipol: bool = False
    prea: Annotated[int, msgspec.Meta(ge=6, le=0xFFFF)] = 8
    ncrc: bool = False
    nhdr: bool = False
    size: Size
    data: str


class PushData(msgspec.Struct, frozen=True):
    """What one PUSH_DATA carries."""

    rxpks: tuple[RxPk, ...] = ()
    stat: Stat | None = None
    faults: int = 0
    """Members that are not what they should be; the good ones are kept."""


class _PushBody(msgspec.Struct, frozen=True, omit_defaults=True):
    rxpk: list[RxPk] = msgspec.field(default_factory=list)
    stat: Stat | None = None


class _LoosePushBody(msgspec.Struct, frozen=True):
    rxpk: Any = ()
    stat: Any = None


class _PullResp(msgspec.Struct, frozen=True):
    txpk: TxPk


class _TxPkAck(msgspec.Struct, frozen=True):
    error: str | None = None
    warn: str | None = None


class _TxAck(msgspec.Struct, frozen=True):
    txpk_ack: _TxPkAck | None = None


_ENCODER: Final = msgspec.json.Encoder()
_PUSH: Final = msgspec.json.Decoder(_PushBody)
_LOOSE_PUSH: Final = msgspec.json.Decoder(_LoosePushBody)
_PULL_RESP: Final = msgspec.json.Decoder(_PullResp)
_TX_ACK: Final = msgspec.json.Decoder(_TxAck)


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body.rstrip(b"\0 \t\r\n"))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as fault:
        raise GwmpError("json") from fault


def parse_push_data(body: bytes) -> PushData:
    """Read the JSON of a PUSH_DATA; a member that is wrong costs only itself.

    Raises:
        GwmpError: It is not a JSON object.
    """
    try:
        strict = _decode(_PUSH, body)
    except GwmpError:
        return _parse_loosely(body)
    return PushData(tuple(strict.rxpk[:MAX_RXPKS]), strict.stat, max(0, len(strict.rxpk) - MAX_RXPKS))


def _parse_loosely(body: bytes) -> PushData:
    loose = _decode(_LOOSE_PUSH, body)
    members = loose.rxpk if isinstance(loose.rxpk, list) else [loose.rxpk] if loose.rxpk else []
    rxpks, faults = list[RxPk](), max(0, len(members) - MAX_RXPKS)
    for member in members[:MAX_RXPKS]:
        try:
            rxpks.append(msgspec.convert(member, RxPk))
        except msgspec.ValidationError:
            faults += 1
    try:
        stat = msgspec.convert(loose.stat, Stat | None)
    except msgspec.ValidationError:
        stat, faults = None, faults + 1
    return PushData(tuple(rxpks), stat, faults)


def push_body(rxpks: tuple[RxPk, ...] = (), stat: Stat | None = None) -> bytes:
    """Return the JSON of a PUSH_DATA."""
    return _ENCODER.encode(_PushBody(list(rxpks), stat))


def parse_pull_resp(body: bytes) -> TxPk:
    """Read the JSON of a PULL_RESP.

    Raises:
        GwmpError: It is none, or a field is missing or out of its range.
    """
    return _decode(_PULL_RESP, body).txpk


def pull_resp_body(packet: TxPk) -> bytes:
    """Return the JSON of a PULL_RESP."""
    return _ENCODER.encode(_PullResp(packet))


def parse_tx_ack(body: bytes) -> str:
    """Return the error word of a TX_ACK; ``"NONE"`` for an empty one, a warning, or any spelling of no error.

    Raises:
        GwmpError: It is not JSON of this form.
    """
    if not body.strip(b"\0 \t\r\n"):
        return "NONE"
    ack = _decode(_TX_ACK, body).txpk_ack
    return ((ack.error if ack else None) or "NONE").strip().upper() or "NONE"


def tx_ack_body(error: str) -> bytes:
    """Return the JSON of a TX_ACK with this error word; ``"NONE"`` says that all went well."""
    return _ENCODER.encode({"txpk_ack": {"error": error}})


def encode_data(phy_payload: bytes) -> str:
    """Return the ``data`` of a packet, padded base64."""
    return base64.b64encode(phy_payload).decode()


def decode_data(text: str) -> bytes:
    """Return the bytes of ``data``: base64, padded or not.

    Raises:
        GwmpError: It is not base64, or more than 255 bytes.
    """
    if len(text) > MAX_BASE64_CHARS:
        raise GwmpError("data")
    plain = text.strip().rstrip("=")
    try:
        phy_payload = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise GwmpError("data") from fault
    if len(phy_payload) > MAX_PHY_BYTES:
        raise GwmpError("data")
    return phy_payload
