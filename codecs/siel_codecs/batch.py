"""Payloads as JSON lines: one line in, one line out, whatever stands on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import msgspec

from siel_codecs.codec import Decoded, as_ts013, failed
from siel_codecs.errors import CodecError
from siel_codecs.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.codec import Codec

MAX_LINE_BYTES: Final = 1 << 16
"""Far more than any payload needs; what is longer is no request."""
_CHUNK_BYTES: Final = 1 << 18
_MOST_KEPT: Final = 1024
"""Names whose codecs, or errors, are kept: a file may have another on every line."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class _Request(msgspec.Struct, rename="camel", gc=False):
    device: str
    f_port: int
    bytes: str
    recv_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Answer(msgspec.Struct, gc=False):
    data: dict[str, Any] | None
    warnings: list[str]
    errors: list[str]


_decode_request: Final = msgspec.json.Decoder(_Request).decode
_encode_answer: Final = msgspec.json.Encoder().encode


class Batch:
    """Answers lines; codecs, and why there are none, are kept from line to line."""

    def __init__(self, registry: Registry) -> None:
        """``registry`` is where the devices are found."""
        self._registry = registry
        self._codecs: dict[str, Codec | str] = {}

    def answer(self, line: bytes) -> bytes:
        """Decode one payload.

        Args:
            line: ``{"device":"vendor/name","fPort":2,"bytes":"hex","recvTime":"RFC3339"?}``.

        Returns:
            ``{"data":{...}|null,"warnings":[...],"errors":[...]}`` without a line end; a wrong line gives errors. A
            series, and what has a time of its own, stands in ``samples`` of the data.
        """
        decoded = self._decode(line)
        data = None if decoded.errors else as_ts013(decoded)
        return _encode_answer(_Answer(data, decoded.warnings, decoded.errors))

    def stream(self, source: BinaryIO) -> Iterator[bytes]:
        """Yield the answers to the lines of a file, many at a time, each with its line end."""
        read = getattr(source, "read1", source.read)  # what a pipe has, without waiting for more
        rest, too_long = b"", False
        while chunk := read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            answers = []
            for line in lines:
                answers.append(_TOO_LONG if too_long or len(line) > MAX_LINE_BYTES else self.answer(line))
                too_long = False
            if len(rest) > MAX_LINE_BYTES:
                rest, too_long = b"", True
            if answers:
                yield b"\n".join([*answers, b""])
        if rest or too_long:
            yield (_TOO_LONG if too_long else self.answer(rest)) + b"\n"

    def _decode(self, line: bytes) -> Decoded:
        try:
            request = _decode_request(line)
        except msgspec.DecodeError as error:
            return failed(f"not a request: {error}")
        except UnicodeDecodeError:
            return failed("not a request: not UTF-8")
        except RecursionError:
            return failed("not a request: nested too deeply")
        codec = self._codec(request.device)
        if isinstance(codec, str):
            return failed(codec)
        try:
            payload = bytes.fromhex(request.bytes)
        except ValueError:
            return failed("not a request: Expected pairs of hex digits - at `$.bytes`")
        recv_ms = None if request.recv_time is None else (request.recv_time - _EPOCH) // _MS
        return codec.decode(request.f_port, payload, recv_ms)

    def _codec(self, name: str) -> Codec | str:
        found = self._codecs.get(name)
        if found is None:
            try:
                found = self._registry.load(name)
            except CodecError as error:
                found = str(error)
            if len(self._codecs) < _MOST_KEPT:
                self._codecs[name] = found
        return found


_TOO_LONG: Final = _encode_answer(_Answer(None, [], [f"not a request: longer than {MAX_LINE_BYTES} bytes"]))


def decode_line(registry: Registry, line: bytes) -> bytes:
    """Decode one payload; see ``Batch.answer``."""
    return Batch(registry).answer(line)
