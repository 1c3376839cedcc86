"""What an operator sends to a device, from a message of a broker to a :class:`Downlink`; pure, and trusting nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from siel_codecs import codec as codec_module
from siel_codecs.errors import CodecError, PayloadError
from siel_codecs.js import JsCodec
from siel_codecs.lorawan import MAX_FRM_PAYLOAD_BYTES
from siel_gateway.codecs import AnyCodec
from siel_gateway.edge.records import MAX_F_PORT, MAX_ID_CHARS, Delivery, DeliveryOutcome, Downlink

MAX_COMMAND_BYTES: Final = 4096

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=MAX_F_PORT)]
_Hex = Annotated[str, msgspec.Meta(pattern=r"\A([0-9A-Fa-f]{2})*\Z", max_length=2 * MAX_FRM_PAYLOAD_BYTES)]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The message as it stands on the wire."""

    id: _Id
    issued: _Time
    expires: _Time
    f_port: _Port
    data: dict[str, Any] | None = None
    bytes: _Hex | None = None
    confirmed: bool = False


class _OnlyId(msgspec.Struct):
    id: _Id


class Unencoded(msgspec.Struct, frozen=True):
    """A command whose payload is still to be made by a codec that takes its time."""

    codec: JsCodec
    data: dict[str, Any]
    downlink: Downlink
    """All but the payload; the codec may name another port."""

    @property
    def id(self) -> str:
        """Of the command."""
        return self.downlink.id


def read_command(
    dev_eui: str, message: bytes, *, retained: bool, now_ms: int, codecs: Mapping[str, AnyCodec]
) -> Downlink | Unencoded | Delivery | None:
    """Return the downlink that ``message`` asks for, or why there is none; None when not even its id can be read.

    Args:
        dev_eui: From the topic.
        message: Its payload.
        retained: Whether the broker had kept it: nobody is there to know when it was meant.
        now_ms: UTC in milliseconds.
        codecs: The codec of each device of ours, by DevEUI.
    """
    if len(message) > MAX_COMMAND_BYTES:
        return None
    try:
        command = msgspec.json.decode(message, type=Command)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _malformed(dev_eui, message)
    expires_ms = _utc_ms(command.expires)
    outcome: DeliveryOutcome = "refused"
    reason = ""
    if retained:
        reason = "RETAINED"
    elif dev_eui not in codecs:
        reason = "UNKNOWN_DEVICE"
    elif expires_ms <= now_ms or command.expires < command.issued:
        outcome, reason = "expired", "EXPIRED"
    elif (command.data is None) == (command.bytes is None):
        reason = "DATA_OR_BYTES"
    if reason:
        return Delivery(dev_eui=dev_eui, id=command.id, outcome=outcome, reason=reason)
    downlink = Downlink(
        id=command.id,
        f_port=command.f_port,
        payload=bytes.fromhex(command.bytes or ""),
        confirmed=command.confirmed,
        expires_ms=expires_ms,
    )
    return downlink if command.data is None else _with_data(dev_eui, downlink, command.data, codecs[dev_eui])


def _with_data(
    dev_eui: str, downlink: Downlink, data: dict[str, Any], codec: AnyCodec
) -> Downlink | Unencoded | Delivery:
    if isinstance(codec, JsCodec):
        return Unencoded(codec, data, downlink)
    try:
        return encoded(downlink, codec.encode_downlink(data, downlink.f_port))
    except PayloadError as error:
        return not_encoded(dev_eui, downlink, error)


def encoded(downlink: Downlink, made: codec_module.Downlink) -> Downlink:
    """Return ``downlink`` with what a codec has made of its data."""
    return msgspec.structs.replace(downlink, f_port=made.f_port, payload=made.payload)


def not_encoded(dev_eui: str, downlink: Downlink, error: CodecError) -> Delivery:
    """Return why a codec makes no payload of the data."""
    reason = error.reason if isinstance(error, PayloadError) else str(error)
    where = f"{error.field}: " if isinstance(error, PayloadError) and error.field else ""
    return Delivery(dev_eui=dev_eui, id=downlink.id, outcome="refused", reason=f"DATA: {where}{reason}")


def _malformed(dev_eui: str, message: bytes) -> Delivery | None:
    try:
        only = msgspec.json.decode(message, type=_OnlyId)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Delivery(dev_eui=dev_eui, id=only.id, outcome="refused", reason="MALFORMED")


def _utc_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
