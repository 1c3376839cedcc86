"""Payloads as JSON lines: one line in, one line out, whatever stands on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from siel_codecs.codec import Decoded, failed
from siel_codecs.errors import CodecError
from siel_codecs.registry import Registry

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class _Request(msgspec.Struct, rename="camel"):
    device: str
    f_port: int
    bytes: str
    recv_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Answer(msgspec.Struct):
    data: dict[str, Any] | None
    warnings: list[str]
    errors: list[str]


_decode_request: Final = msgspec.json.Decoder(_Request).decode
_encode_answer: Final = msgspec.json.Encoder().encode


def decode_line(registry: Registry, line: bytes) -> bytes:
    """Decode one payload.

    Args:
        registry: Where the devices are found.
        line: ``{"device":"vendor/name","fPort":2,"bytes":"hex","recvTime":"RFC3339"?}``.

    Returns:
        ``{"data":{...}|null,"warnings":[...],"errors":[...]}`` without a line end; a wrong line gives errors.
    """
    decoded = _decode(registry, line)
    return _encode_answer(_Answer(None if decoded.errors else decoded.data, decoded.warnings, decoded.errors))


def _decode(registry: Registry, line: bytes) -> Decoded:
    try:
        request = _decode_request(line)
        codec = registry.load(request.device)
        payload = bytes.fromhex(request.bytes)
    except CodecError as error:
        return failed(str(error))
    except msgspec.DecodeError as error:
        return failed(f"not a request: {error}")
    except UnicodeDecodeError:
        return failed("not a request: not UTF-8")
    except ValueError:
        return failed("not a request: Expected pairs of hex digits - at `$.bytes`")
    except RecursionError:
        return failed("not a request: nested too deeply")
    recv_ms = None if request.recv_time is None else (request.recv_time - _EPOCH) // _MS
    return codec.decode(request.f_port, payload, recv_ms)
