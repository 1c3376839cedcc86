"""From what a worker answers to what a codec gives; the answer is as little trusted as the codec that made it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

import msgspec

from siel_codecs.codec import Decoded, Downlink, Sample, failed
from siel_codecs.errors import PayloadError

MAX_F_PORT: Final = 223
MAX_PAYLOAD_BYTES: Final = 242
_BYTE: Final = 255
_NONSENSE: Final = "JavaScript: it returned what cannot be read"

_Messages = Annotated[list[str], msgspec.Meta(max_length=100)]


class _Result(msgspec.Struct, rename="camel"):
    value: dict[str, Any] | list[Any] | None = None
    f_port: float | None = None
    warnings: _Messages = []
    errors: _Messages = []


_decode: Final = msgspec.json.Decoder(_Result).decode


def decoded(body: bytes, recv_ms: int | None) -> Decoded:
    """Return the result of a decoder: always one sample, without units, which TS013 does not know."""
    result = _read(body)
    if result is None or (not result.errors and not isinstance(result.value, dict)):
        return failed(_NONSENSE)
    if result.errors:
        return failed(*result.errors)
    assert isinstance(result.value, dict)  # noqa: S101 - asked above
    sample = Sample(result.value, recv_ms, 0, result.warnings)
    return Decoded(result.value, {}, result.warnings, [], [sample])


def downlink(name: str, body: bytes, f_port: int | None) -> Downlink:
    """Return the result of an encoder.

    Args:
        name: Of the codec, for the error.
        body: The worker's answer.
        f_port: Where it goes when the encoder does not say.

    Raises:
        PayloadError: The encoder tells errors, or its result is no payload.
    """
    result = _read(body)
    if result is None:
        raise PayloadError(name, _NONSENSE)
    if result.errors:
        raise PayloadError(name, ", ".join(result.errors))
    if not isinstance(result.value, list) or len(result.value) > MAX_PAYLOAD_BYTES:
        raise PayloadError(name, f"JavaScript: it must return at most {MAX_PAYLOAD_BYTES} bytes")
    for n, byte in enumerate(result.value):
        if not isinstance(byte, int) or isinstance(byte, bool) or not 0 <= byte <= _BYTE:
            raise PayloadError(name, f"JavaScript: its byte {n} is {byte!r}, not a whole number from 0 to 255")
    port = f_port if result.f_port is None else result.f_port
    if port is None:
        raise PayloadError(name, "JavaScript: it names no fPort, and none was asked for")
    if not 1 <= port <= MAX_F_PORT or port != math.floor(port):
        raise PayloadError(name, f"JavaScript: its fPort is {port:g}, not a whole number from 1 to {MAX_F_PORT}")
    return Downlink(int(port), bytes(result.value))


def _read(body: bytes) -> _Result | None:
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
