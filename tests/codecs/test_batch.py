"""Payloads as JSON lines: every line is answered, right or wrong."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.batch import MAX_LINE_BYTES, Batch, decode_line
from siel_codecs.codec import SchemaCodec
from siel_codecs.registry import Registry
from siel_codecs.schema.load import load_text

REGISTRY = Registry()
GOOD = {"device": "siel/climate", "fPort": 11, "bytes": "2219a710ff", "recvTime": "2026-01-01T00:00:00.123Z"}


def answer(line: bytes) -> Any:
    out = decode_line(REGISTRY, line)
    assert b"\n" not in out
    found = json.loads(out)
    assert list(found) == ["data", "warnings", "errors"]
    return found


@pytest.mark.parametrize("changes", [{}, {"recvTime": None}, {"bytes": "22 19 A7 10 FF"}, {"js": "ignored.js"}])
def test_a_good_line(changes: dict[str, Any]) -> None:
    found = answer(json.dumps(GOOD | changes).encode())
    assert found["data"] == {"temperature": 21.5, "humidity": 100.0}
    assert found["warnings"] == ["battery: not available"]
    assert found["errors"] == []


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"", "not a request: Input data was truncated"),
        (b"\xff\xfe", "not a request: "),
        (b"[]", "not a request: Expected `object`, got `array`"),
        (b"[" * 100_000, "not a request: "),
        (b'"\xff"', "not a request: "),
        (b"{}", "not a request: Object missing required field `device`"),
        (json.dumps(GOOD | {"fPort": "11"}).encode(), "not a request: Expected `int`, got `str` - at `$.fPort`"),
        (json.dumps(GOOD | {"fPort": 12}).encode(), "port 12 is not one of this device (known: 11"),
        (json.dumps(GOOD | {"bytes": "0"}).encode(), "not a request: Expected pairs of hex digits - at `$.bytes`"),
        (json.dumps(GOOD | {"bytes": "é"}).encode(), "not a request: Expected pairs of hex digits - at `$.bytes`"),
        (json.dumps(GOOD | {"bytes": "22"}).encode(), "payload too short: 1 bytes"),
        (json.dumps(GOOD | {"bytes": "22" * 300}).encode(), "payload too long: 300 bytes"),
        (json.dumps(GOOD | {"device": "a/b"}).encode(), "no codec is called 'a/b'; "),
        (json.dumps(GOOD | {"device": "../x"}).encode(), "no codec is called '../x'"),
        (json.dumps(GOOD | {"recvTime": "yesterday"}).encode(), "not a request: Invalid RFC3339 encoded datetime"),
        (json.dumps(GOOD | {"recvTime": "2026-01-01T00:00:00"}).encode(), "not a request: Expected `datetime` with a"),
    ],
)
def test_a_wrong_line_gives_an_error_and_no_data(line: bytes, error: str) -> None:
    found = answer(line)
    assert found["data"] is None
    assert len(found["errors"]) == 1
    assert found["errors"][0].startswith(error)


@given(
    st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.binary(max_size=9).map(lambda payload: json.dumps(GOOD | {"bytes": payload.hex()}).encode()),
    )
)
def test_any_line_is_answered(line: bytes) -> None:
    found = answer(line)
    assert (found["data"] is None) == bool(found["errors"])


LINES = [json.dumps(GOOD).encode(), b"{", json.dumps(GOOD | {"device": "a/b"}).encode(), b"", json.dumps(GOOD).encode()]


class Pipe(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may."""

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(7)


@pytest.mark.parametrize("source", [io.BytesIO, Pipe])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_each_line_of_a_stream_has_its_answer(source: type[io.BytesIO], end: bytes) -> None:
    out = b"".join(Batch(REGISTRY).stream(source(b"\n".join(LINES) + end)))
    assert out.splitlines(keepends=True) == [decode_line(REGISTRY, line) + b"\n" for line in LINES]


@pytest.mark.parametrize("source", [io.BytesIO, Pipe])
def test_a_line_without_end_is_not_kept_in_memory(source: type[io.BytesIO]) -> None:
    long = b"x" * (MAX_LINE_BYTES + 100)
    out = b"".join(Batch(REGISTRY).stream(source(long + b"\n" + LINES[0] + b"\n" + long)))
    found = [json.loads(line) for line in out.splitlines()]
    assert [bool(each["data"]) for each in found] == [False, True, False]
    assert found[0]["errors"] == found[2]["errors"] == ["not a request: longer than 65536 bytes"]


def test_a_series_stands_in_samples() -> None:
    line = {"device": "siel/one", "fPort": 1, "bytes": "0102", "recvTime": "2026-01-01T00:00:00Z"}
    text = """
    title = "One"
    [[uplink]]
    f_port = 1
    field = [ { samples = 2, step_s = 60, field = [ { name = "level", type = "u8" } ] } ]
    """

    class One(Registry):
        def load(self, name: str) -> SchemaCodec:
            return SchemaCodec(load_text(text, name))

    found = json.loads(decode_line(One(), json.dumps(line).encode()))
    assert found["data"] == {
        "level": 1,
        "samples": [
            {"time": "2026-01-01T00:00:00.000Z", "age_s": 0, "level": 1},
            {"time": "2025-12-31T23:59:00.000Z", "age_s": 60, "level": 2},
        ],
    }
