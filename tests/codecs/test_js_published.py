"""Decoders in the ways in which they are published; all run without being touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_codecs.errors import PayloadError
from siel_codecs.js import JsHost, JsSourceError

RECV_MS = 1_767_225_600_123
BODY = "{ return { data: { level: (bytes[0] << 8 | bytes[1]) / 1000 } }; }"
TS013 = (
    "function decodeUplink(input) { var bytes = input.bytes; return { data: { level: (bytes[0] << 8 | bytes[1]) } } }"
)


@pytest.fixture(scope="module")
def host() -> Iterator[JsHost]:
    with JsHost() as host:
        yield host


def data(host: JsHost, text: str, payload: bytes = b"\x01\x02", f_port: int = 2) -> dict[str, Any]:
    decoded = host.decode_uplink(text.encode(), f_port, payload, RECV_MS)
    assert decoded.errors == []
    return decoded.data


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TS013, id="script"),
        pytest.param("\ufeff" + TS013, id="byte order mark"),
        pytest.param("#!/usr/bin/env node\n" + TS013, id="first line for a shell"),
        pytest.param(TS013 + " // the end", id="ends in a comment"),
        pytest.param('"use strict";\n' + TS013, id="strict"),
        pytest.param("level = 0;" + TS013.replace("var bytes", "bytes"), id="undeclared variables"),
        pytest.param("const decodeUplink = (input) => ({ data: { level: 258 } })", id="arrow in a const"),
        pytest.param("export " + TS013, id="module"),
        pytest.param("export " + TS013.replace("var bytes", "bytes"), id="module with undeclared variables"),
        pytest.param("export default " + TS013, id="default function"),
        pytest.param("export default " + TS013.replace("function decodeUplink", "function"), id="nameless default"),
        pytest.param("export default { decodeUplink(i) { return { data: { level: 258 } } } }", id="default object"),
        pytest.param(TS013.replace("decodeUplink", "f") + "\nexport { f as decodeUplink };", id="list of exports"),
        pytest.param(TS013.replace("decodeUplink", "f") + ";export{f as decodeUplink};", id="a bundler's exports"),
        pytest.param("await 0;\nexport " + TS013, id="module that waits"),
        pytest.param(
            "module.exports = { decodeUplink: f };\n" + TS013.replace("decodeUplink", "f"), id="module.exports"
        ),
        pytest.param("exports.decodeUplink = f;\n" + TS013.replace("decodeUplink", "f"), id="exports"),
        pytest.param("if (typeof module !== 'undefined') module.exports = { decodeUplink };" + TS013, id="asks first"),
        pytest.param("var none = typeof require === 'undefined' ? 0 : require('util');" + TS013, id="guarded require"),
        pytest.param("try { require('fs') } catch (error) {}" + TS013, id="require in a try"),
        pytest.param("console.log('loaded');" + TS013.replace("{ var", "{ console.warn(input); var"), id="console"),
        pytest.param("function Decoder(bytes, port) { return { level: bytes[0] << 8 | bytes[1] } }", id="Decoder"),
        pytest.param(
            "function Decode(fPort, bytes, variables) { return { level: bytes[0] * 256 + bytes[1] } }", id="v3"
        ),
        pytest.param(
            "const { Buffer } = require('buffer');"
            "function decodeUplink(i) { return { data: { level: Buffer.from(i.bytes).readUInt16BE(0) } } }",
            id="require buffer",
        ),
    ],
)
def test_every_way_to_publish_a_decoder_runs(host: JsHost, text: str) -> None:
    assert data(host, text) == {"level": 258}


def test_a_decoder_gets_what_ts013_says(host: JsHost) -> None:
    text = """function decodeUplink(input) { return { data: {
      array: Array.isArray(input.bytes) && input.bytes.slice(1).join(), port: input.fPort,
      date: input.recvTime instanceof Date, year: input.recvTime.getHours(), time: input.recvTime,
      variables: Object.keys(input.variables).length } } }"""
    assert data(host, text, b"\x00\x01\xff") == {
        "array": "1,255",
        "port": 2,
        "date": True,
        "year": 0,
        "time": "2026-01-01T00:00:00.123Z",
        "variables": 0,
    }


def test_without_a_time_there_is_no_recv_time(host: JsHost) -> None:
    decoded = host.decode_uplink(b"function decodeUplink(i) { return { data: { has: 'recvTime' in i } } }", 1, b"")
    assert decoded.data == {"has": False}
    assert decoded.samples[0].time_ms is None


def test_a_result_is_one_sample_with_the_decoders_warnings(host: JsHost) -> None:
    decoded = host.decode_uplink(
        b"function decodeUplink() { return { data: { a: 1 }, warnings: ['low', 2] } }", 1, b"", RECV_MS
    )
    (sample,) = decoded.samples
    assert (sample.data, sample.time_ms, sample.age_ms, sample.warnings) == ({"a": 1}, RECV_MS, 0, ["low", "2"])
    assert decoded.warnings == ["low", "2"]


def test_a_decoders_errors_leave_no_data(host: JsHost) -> None:
    text = b"function decodeUplink() { return { data: { a: 1 }, errors: ['bad', new Error('worse'), { c: 1 }] } }"
    decoded = host.decode_uplink(text, 1, b"")
    assert (decoded.errors, decoded.data, decoded.samples) == (["bad", "Error: worse", '{"c":1}'], {}, [])


BUFFER = {
    "Buffer.from('0aFF0', 'hex').toString('hex')": "0aff",
    "Buffer.from([0xe2, 0x82, 0xac, 0x41]).toString()": "\u20acA",
    "Buffer.from('\u20ac').length": 3,
    "Buffer.from([0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 65]).toString()": "\ufffd\ufffd\ufffd\ufffdA",
    "Buffer.from('Cv8=', 'base64').toString('hex')": "0aff",
    "Buffer.from('Cv8', 'base64url').toString('hex')": "0aff",
    "Buffer.from([10, 255]).toString('base64')": "Cv8=",
    "Buffer.from([104, 105]).toString('ascii')": "hi",
    "Buffer.from([1, 2, 3, 4]).slice(1, 3).toString('hex')": "0203",
    "Buffer.from([1, 2, 3, 4]).subarray(2).length": 2,
    "Buffer.from([0xff, 0xfe]).readInt16LE(0)": -257,
    "Buffer.from([0xff, 0xfe]).readInt16BE()": -2,
    "Buffer.from([1, 0xff, 0xfe]).readUInt16LE(1)": 0xFEFF,
    "Buffer.from([1, 0xff, 0xfe]).readUint16BE(1)": 0xFFFE,
    "Buffer.from([0xff]).readInt8(0)": -1,
    "Buffer.from([0xff]).readUInt8(0)": 255,
    "Buffer.from([255, 255, 255, 255]).readUInt32LE(0)": 0xFFFFFFFF,
    "Buffer.from([0x80, 0, 0, 0]).readInt32BE(0)": -(1 << 31),
    "Buffer.from([0, 0, 0x20, 0x41]).readFloatLE(0)": 10,
    "Buffer.from([0x40, 0x24, 0, 0, 0, 0, 0, 0]).readDoubleBE(0)": 10,
    "Buffer.from([0xff, 0xff, 0xfe]).readIntBE(0, 3)": -2,
    "Buffer.from([0xfe, 0xff, 0xff]).readIntLE(0, 3)": -2,
    "Buffer.from([1, 2, 3]).readUIntBE(0, 3)": 0x010203,
    "Buffer.from([1, 2, 3]).readUIntLE(0, 3)": 0x030201,
    "Buffer.concat([Buffer.from([1]), Buffer.alloc(2, 7)]).toString('hex')": "010707",
    "(function () { var b = Buffer.alloc(4); b.writeUInt16BE(258, 1); return b.toString('hex') })()": "00010200",
    "Buffer.isBuffer(Buffer.from([])) && !Buffer.isBuffer([])": True,
    "Buffer.from([1, 2]).equals(Buffer.from('0102', 'hex'))": True,
    "Buffer.byteLength('abc')": 3,
    "new Buffer('0aff', 'hex').toString('hex') + new Buffer([1, 300])[1] + new Buffer(2).length": "0aff442",
    "Buffer.from([1, 2, 3]).map(b => b + 1).filter(b => b > 2).toString('hex')": "0304",
    "Buffer.from([7, 8])": [7, 8],
}


@pytest.mark.parametrize("expression", BUFFER)
def test_buffer_is_as_in_node(host: JsHost, expression: str) -> None:
    text = "function decodeUplink(i) { return { data: { is: %s } } }" % expression  # noqa: UP031 - braces
    assert data(host, text) == {"is": BUFFER[expression]}


VALUES: dict[str, tuple[Any, list[str]]] = {
    "1.5": (1.5, []),
    "-0": (0, []),
    "1e300": (1e300, []),
    "5e-324": (5e-324, []),
    "123456789012345680000": (1.2345678901234568e20, []),
    "9007199254740993n": ("9007199254740993", []),
    "5n": (5, []),
    "'\\ud800\\0'": ("\ufffd\0", []),
    "[1, undefined, 'a']": ([1, None, "a"], []),
    "{ b: undefined, c: { d: true } }": ({"c": {"d": True}}, []),
    "null": (None, []),
    "new Date(0)": ("1970-01-01T00:00:00.000Z", []),
    "new Uint8Array([1, 2])": ([1, 2], []),
    "new Float32Array([0.5])": ([0.5], []),
    "new Uint8Array([3]).buffer": ([3], []),
    "new DataView(new Uint8Array([1, 2, 3]).buffer, 1)": ([2, 3], []),
    "new Map([[1, 2]])": ({}, []),
    "[new Number(1.5), new String('a'), new Boolean(false)]": ([1.5, "a", False], []),
    "'\0' === '\\x00'": (True, []),
    "{ toJSON() { return 7 } }": (7, []),
}


@pytest.mark.parametrize("expression", VALUES)
def test_values_come_as_json_has_them(host: JsHost, expression: str) -> None:
    value, warnings = VALUES[expression]
    decoded = host.decode_uplink(
        f"function decodeUplink() {{ return {{ data: {{ v: {expression} }} }} }}".encode(), 1, b""
    )
    assert decoded.errors == []
    assert decoded.data == {"v": value}
    assert decoded.warnings == warnings


@pytest.mark.parametrize(
    ("expression", "warning"),
    [
        ("NaN", "v: NaN is not a value"),
        ("-1 / 0", "v: -Infinity is not a value"),
        ("function () {}", "v: a function is not a value"),
        ("new Number(NaN)", "v: NaN is not a value"),
        ("Symbol('s')", "v: a symbol is not a value"),
        ("new Date(NaN)", "v: an invalid date is not a value"),
    ],
)
def test_what_is_no_value_is_absent_and_has_a_warning(host: JsHost, expression: str, warning: str) -> None:
    text = f"function decodeUplink() {{ return {{ data: {{ v: {expression}, w: [{expression}] }} }} }}"
    decoded = host.decode_uplink(text.encode(), 1, b"")
    assert decoded.data == {"w": [None]}
    assert decoded.warnings == [warning, warning.replace("v:", "w[0]:")]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=50))
@settings(max_examples=25, deadline=None)
def test_numbers_come_bit_for_bit(host: JsHost, numbers: list[float]) -> None:
    # as doubles: JavaScript's text of -0 is 0
    text = f"function decodeUplink() {{ return {{ data: {{ v: {numbers!r} }} }} }}"
    assert [float(number) for number in data(host, text)["v"]] == numbers


@given(st.binary(max_size=255), st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_bytes_and_port_arrive_as_they_are(host: JsHost, payload: bytes, f_port: int) -> None:
    text = "function decodeUplink(i) { return { data: { b: i.bytes, p: i.fPort } } }"
    assert data(host, text, payload, f_port) == {"b": list(payload), "p": f_port}


ENCODERS = [
    "function encodeDownlink(i) { return { bytes: [1, i.data.minutes], fPort: 8 } }",
    "function encodeDownlink(i) { return { bytes: Buffer.from([1, i.data.minutes]), fPort: i.fPort + 1 } }",
    "function Encoder(object, port) { return port === 7 ? [1, object.minutes] : [] } ",
    "function Encode(fPort, object, variables) { return [1, object.minutes] }",
    "export function encodeDownlink(i) { return { bytes: [1, i.data.minutes], fPort: 8 } }",
]


@pytest.mark.parametrize("text", ENCODERS)
def test_every_way_to_publish_an_encoder_runs(host: JsHost, text: str) -> None:
    downlink = host.encode_downlink(text.encode(), {"minutes": 10}, 7)
    assert downlink.payload == b"\x01\x0a"
    assert downlink.f_port == (8 if "fPort:" in text else 7)


def test_an_encoder_that_refuses_is_a_payload_error(host: JsHost) -> None:
    text = b"function encodeDownlink(i) { return { errors: ['minutes: at most 60'] } }"
    with pytest.raises(PayloadError, match="a/b: minutes: at most 60"):
        host.encode_downlink(text, {"minutes": 61}, name="a/b")
    with pytest.raises(PayloadError, match="no encodeDownlink"):
        host.encode_downlink(TS013.encode(), {})
    with pytest.raises(PayloadError, match="no JSON"):
        host.encode_downlink(text, {"minutes": object()})
    with pytest.raises(PayloadError, match="no JSON"):
        host.encode_downlink(text, {"minutes": "\ud800"})


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("{ bytes: [1], fPort: '9' }", 'its "fPort" is a string, not a number'),
        ("{ bytes: [1], fPort: NaN }", 'its "fPort" is NaN, not a number'),
        ("{ bytes: [1], fPort: 0 }", "its fPort is 0, not a whole number"),
        ("{ bytes: { a: 1 } }", '"bytes" is an object, not a list'),
        ("{ bytes: [1.5] }", "byte 0 is 1.5"),
    ],
)
def test_what_is_no_downlink_is_a_payload_error(host: JsHost, result: str, reason: str) -> None:
    text = f"function encodeDownlink() {{ return {result} }}"
    with pytest.raises(PayloadError, match=reason):
        host.encode_downlink(text.encode(), {}, 7)


def test_a_downlink_is_decoded_by_its_own_function(host: JsHost) -> None:
    text = b"function decodeDownlink(i) { return { data: { minutes: i.bytes[1] } } }"
    assert host.decode_downlink(text, 8, b"\x01\x0a").data == {"minutes": 10}
    assert host.decode_uplink(text, 8, b"").errors == ["JavaScript: it has no decodeUplink"]


def test_load_names_the_functions(host: JsHost) -> None:
    assert host.load(TS013.encode()) == ("decodeUplink",)
    assert host.load(b"function Decoder() {} function Encoder() {}") == ("Decoder", "Encoder")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("var a", "none of the functions decodeUplink, Decoder, Decode"),
        ("var a;\nfunction decodeUplink() { return = }", r"SyntaxError: .* \(line 2\)"),
        ("\n\nthrow new TypeError('not today')", r"TypeError: not today \(line 3\)"),
        ("import a from 'lodash'; export function decodeUplink() {}", "could not load module 'lodash'"),
        ("const a = require('lodash')", "Cannot find module 'lodash'"),
        ("export function decodeUplink() {}; await 0; throw new Error('late')", "threw Error: late"),
        ("export function decodeUplink() {}; await new Promise(() => {})", "does not end at once"),
        ("var decodeUplink = 5", "none of the functions"),
    ],
)
def test_a_file_that_does_not_load_says_why_and_where(host: JsHost, text: str, reason: str) -> None:
    with pytest.raises(JsSourceError, match=reason):
        host.load(text.encode())
    assert host.decode_uplink(text.encode(), 1, b"").errors


def test_a_fault_of_a_decoder_has_its_line(host: JsHost) -> None:
    text = b"// a\nfunction decodeUplink(input) {\n  return { data: { a: input.none.none } };\n}"
    assert host.decode_uplink(text, 1, b"").errors == [
        "JavaScript: TypeError: cannot read property 'none' of undefined (line 3)"
    ]


def test_a_path_is_read_again_when_the_file_changes(host: JsHost, tmp_path: Path) -> None:
    file = tmp_path / "codec.js"
    file.write_text(TS013)
    assert host.decode_uplink(file, 1, b"\x00\x05").data == {"level": 5}
    file.write_text("function decodeUplink() { return { data: { level: 'another' } } }")
    assert host.decode_uplink(file, 1, b"\x00\x05").data == {"level": "another"}
    file.unlink()
    with pytest.raises(JsSourceError):
        host.decode_uplink(file, 1, b"")
