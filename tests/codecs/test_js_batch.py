from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siel_codecs.js import JsHost, run_js_line


@pytest.fixture(scope="module")
def host() -> Iterator[JsHost]:
    with JsHost() as host:
        yield host


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    file = tmp_path / "codec.js"
    file.write_text(
        "function decodeUplink(i) { if (i.fPort === 9) throw new Error('no');"
        " return { data: { hex: Buffer.from(i.bytes).toString('hex'), time: i.recvTime }, warnings: ['w'] } }"
    )
    return file


def answer(host: JsHost, line: object) -> Any:
    data = line if isinstance(line, bytes) else json.dumps(line).encode()
    written = run_js_line(host, data)
    assert b"\n" not in written
    return json.loads(written)


def test_a_line_gives_a_line(host: JsHost, codec: Path) -> None:
    line = {"js": str(codec), "fPort": 2, "bytes": "0AFF", "recvTime": "2026-01-01T01:00:00+01:00"}
    assert answer(host, line) == {
        "data": {"hex": "0aff", "time": "2026-01-01T00:00:00.000Z"},
        "warnings": ["w"],
        "errors": [],
    }


def test_a_decoder_that_throws_gives_its_error(host: JsHost, codec: Path) -> None:
    assert answer(host, {"js": str(codec), "fPort": 9, "bytes": ""}) == {
        "data": None,
        "warnings": [],
        "errors": ["JavaScript: Error: no (line 1)"],
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not a request"),
        (b"{", "not a request"),
        (b"[" * 100_000, "not a request"),
        (b'{"js":"\xff"}', "not a request"),
        ({"js": "none.js", "fPort": 1, "bytes": ""}, "none.js: cannot read the file"),
        ({"js": "x", "fPort": 1, "bytes": "0"}, "pairs of hex digits"),
        ({"js": "x", "fPort": "1", "bytes": ""}, "fPort"),
        ({"js": "x", "fPort": 1, "bytes": "", "recvTime": "yesterday"}, "recvTime"),
        ({"fPort": 1, "bytes": ""}, "js"),
    ],
)
def test_a_wrong_line_gives_an_error(host: JsHost, line: object, reason: str) -> None:
    document = answer(host, line)
    assert document["data"] is None
    assert reason in document["errors"][0]
