"""Payloads for JavaScript codecs as JSON lines: one line in, one line out, whatever stands on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from siel_codecs.codec import Decoded, failed
from siel_codecs.errors import CodecError
from siel_codecs.js.host import JsHost

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class _Request(msgspec.Struct, rename="camel"):
    js: str
    f_port: int
    bytes: str
    recv_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Answer(msgspec.Struct):
    data: dict[str, Any] | None
    warnings: list[str]
    errors: list[str]


_decode_request: Final = msgspec.json.Decoder(_Request).decode
_encode_answer: Final = msgspec.json.Encoder().encode


def run_js_line(host: JsHost, line: bytes) -> bytes:
    """Decode one uplink payload.

    Args:
        host: Where the codecs run.
        line: ``{"js":"path","fPort":2,"bytes":"hex","recvTime":"RFC3339"?}``.

    Returns:
        ``{"data":{...}|null,"warnings":[...],"errors":[...]}`` without a line end; a wrong line gives errors.
    """
    decoded = _decode(host, line)
    return _encode_answer(_Answer(None if decoded.errors else decoded.data, decoded.warnings, decoded.errors))


def _decode(host: JsHost, line: bytes) -> Decoded:
    try:
        request = _decode_request(line)
        payload = bytes.fromhex(request.bytes)
    except msgspec.DecodeError as error:
        return failed(f"not a request: {error}")
    except UnicodeDecodeError:
        return failed("not a request: not UTF-8")
    except ValueError:
        return failed("not a request: Expected pairs of hex digits - at `$.bytes`")
    except RecursionError:
        return failed("not a request: nested too deeply")
    recv_ms = None if request.recv_time is None else (request.recv_time - _EPOCH) // _MS
    try:
        return host.decode_uplink(Path(request.js), request.f_port, payload, recv_ms)
    except CodecError as error:
        return failed(f"{request.js}: {error}")
