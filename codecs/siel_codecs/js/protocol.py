"""What goes through the pipes between host and worker: length-prefixed MessagePack; pure, and trusting neither side."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from siel_codecs.js.limits import MAX_REQUEST_BYTES, MAX_RESULT_BYTES

LENGTH_BYTES: Final = 4
MAX_ANSWER_BYTES: Final = MAX_RESULT_BYTES + 4096

Operation = Literal["decodeUplink", "encodeDownlink", "decodeDownlink"]
FUNCTIONS: Final[dict[Operation, tuple[str, ...]]] = {
    "decodeUplink": ("decodeUplink", "Decoder", "Decode"),
    "encodeDownlink": ("encodeDownlink", "Encoder", "Encode"),
    "decodeDownlink": ("decodeDownlink",),
}
"""What does an operation: as TS013 says, as The Things Network did before it, as ChirpStack did."""


class Load(msgspec.Struct, frozen=True, array_like=True, tag="load"):
    """Make a context for a source."""

    digest: bytes
    source: bytes


class Call(msgspec.Struct, frozen=True, array_like=True, tag="call"):
    """Call a loaded codec."""

    digest: bytes
    operation: Operation
    input: bytes
    """The TS013 input as JSON, ``recvTime`` in milliseconds."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What became of a request; the first of a new worker's life says that it is ready.

    ``ok``: ``body`` is a JSON result, or the names of a loaded codec's functions with spaces between. ``fault``: it
    tells what the codec did wrong. ``unknown``: no context of this digest is kept, load it.
    """

    status: Literal["ready", "ok", "fault", "unknown"]
    body: bytes = b""
    cpu_s: float = 0.0
    """Processor time of the worker's whole life, up to this answer."""


Request = Load | Call
_encode: Final = msgspec.msgpack.Encoder().encode
decode_request: Final = msgspec.msgpack.Decoder(Request).decode
decode_answer: Final = msgspec.msgpack.Decoder(Answer).decode


class ProtocolError(Exception):
    """The other side sent what is no message of ours."""


def framed(message: Request | Answer) -> bytes:
    """Return ``message`` with its length in front."""
    body = _encode(message)
    return len(body).to_bytes(LENGTH_BYTES) + body


class Frames:
    """Bytes in, whole messages out.

    Args:
        limit: The longest message that is taken.
    """

    def __init__(self, limit: int = MAX_REQUEST_BYTES) -> None:
        self._limit = limit
        self._received = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take ``data``; return the first whole message, None when there is none yet.

        Raises:
            ProtocolError: Its length is beyond the limit.
        """
        self._received += data
        if len(self._received) < LENGTH_BYTES:
            return None
        length = int.from_bytes(self._received[:LENGTH_BYTES])
        if length > self._limit:
            raise ProtocolError(f"a message of {length} bytes")
        if len(self._received) < LENGTH_BYTES + length:
            return None
        message = bytes(self._received[LENGTH_BYTES : LENGTH_BYTES + length])
        del self._received[: LENGTH_BYTES + length]
        return message
