"""A codec that does what it can to harm: it costs its own frame an error, and the good one beside it still answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_codecs.codec import Decoded
from siel_codecs.js import JsHost, JsSourceError
from siel_codecs.js.limits import MAX_CONTEXTS, MAX_INPUT_BYTES

GOOD = b"""var calls = 0;
function decodeUplink(input) { return { data: { sum: input.bytes[0] + input.bytes[1], n: ++calls } } }"""
UPLINK = "function decodeUplink(input) { %s }"
HUGE = "x" * 200
LATE = "too long and was interrupted|ms and was stopped"


@pytest.fixture(scope="module")
def host() -> Iterator[JsHost]:
    with JsHost() as host:
        yield host


def good_still_answers(host: JsHost) -> None:
    assert host.decode_uplink(GOOD, 1, b"\x02\x03").data["sum"] == 5


HOSTILE = {
    "endless loop": (UPLINK % "for (;;) ;", LATE),
    "endless loop in a finally": (UPLINK % "try { for (;;) ; } finally { for (;;) ; }", LATE),
    "catastrophic regex": (UPLINK % "/^(a+)+$/.test('a'.repeat(60) + '!')", LATE),
    "endless native call": (UPLINK % "new Array(4294967295).indexOf(1)", LATE),
    "loop in a proxy": (UPLINK % "return { data: new Proxy({}, { ownKeys() { for (;;) ; } }) }", LATE),
    "loop in a getter": (UPLINK % "return { get data() { for (;;) ; } }", LATE),
    "loop in an error's text": (UPLINK % "throw { get message() { for (;;) ; } }", LATE),
    "loop in the engine's own error": (
        "InternalError.prototype.toString = Error.prototype.toString = function () { for (;;) ; };"
        + UPLINK % "for (;;) ;",
        LATE,
    ),
    "loop at the top": ("for (;;) ;", LATE),
    "memory bomb": (UPLINK % "var a = []; for (;;) a.push(a.slice(), new Array(1000).fill(1))", "16 MiB|null"),
    "string bomb": (UPLINK % "var s = 'x'; for (;;) s += s", "16 MiB|null|string too long"),
    "one huge array": (UPLINK % "return { data: { a: new Uint8Array(1 << 30) } }", "16 MiB"),
    "deep recursion": (UPLINK % "function f() { return f() + 1 } return f()", "call stack"),
    "deep syntax": (UPLINK % "eval('('.repeat(100000))", "call stack"),
    "deep list": (
        UPLINK % "var a = []; for (var i = 0; i < 9999; i++) a = [a]; return { data: { a: a } }",
        "too deeply",
    ),
    "cycle": (UPLINK % "var a = {}; a.a = a; return { data: a }", "too deeply, or a cycle"),
    "huge text": (UPLINK % "return { data: { a: 'x'.repeat(1000000) } }", "too much"),
    "huge list": (UPLINK % "return { data: { a: new Array(1e9) } }", "too much"),
    "huge object": (UPLINK % "var d = {}; for (var i = 0; i < 9999; i++) d[i] = i; return { data: d }", "too much"),
    "endless list": (UPLINK % "return { data: { a: new Proxy([], { get() { return 1e15 } }) } }", "too much"),
    "throws a text": (UPLINK % "throw 'no'", "no"),
    "throws what throws": (UPLINK % "throw { get message() { throw 1 } }", "cannot be shown"),
    "throws an object without a text": (UPLINK % "throw Object.create(null)", "{}"),
    "returns nothing": (UPLINK % "", "it returned nothing"),
    "returns a list": (UPLINK % "return [1]", "it returned a list"),
    "returns data that is a list": (UPLINK % "return { data: [1] }", '"data" is a list'),
    "returns data that is a Buffer": (UPLINK % "return { data: Buffer.from([1]) }", '"data" is a list, not an object'),
    "makes a Buffer of nothing": (UPLINK % "return { data: { n: Buffer.from({}).length } }", "Buffer.from takes"),
    "makes a new Buffer of nothing": (UPLINK % "return { data: { n: new Buffer(input).length } }", "Buffer.from takes"),
    "fills memory inside a built-in": (UPLINK % "'\\u1e9b\\u0323'.repeat(1e6).normalize('NFKD')", "memory"),
    "returns data that is a number": (UPLINK % "return { data: NaN }", '"data" is a number'),
    "returns null": (UPLINK % "return null", "it returned null"),
    "returns a Promise": (UPLINK % "return Promise.resolve({ data: {} })", "returned a Promise"),
    "is asynchronous": ("async " + UPLINK % "return { data: {} }", "returned a Promise"),
    "leaves toJSON everywhere": (
        "Object.prototype.toJSON = function () { for (;;) ; };" + UPLINK % "return { data: { a: {} } }",
        LATE,
    ),
    "tells endless errors": (UPLINK % f"var e = []; for (;;) e.push('{HUGE}')", "16 MiB|null|interrupted|stopped"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_codec_costs_its_frame_an_error(host: JsHost, name: str) -> None:
    text, reason = HOSTILE[name]
    good_still_answers(host)
    decoded = host.decode_uplink(text.encode(), 1, b"\x00")
    (error,) = decoded.errors
    assert decoded.data == {}
    assert decoded.samples == []
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(error)
    good_still_answers(host)


SELF_HARMED = {
    "replaces JSON": "JSON = null;",
    "replaces everything": "Object = Array = Reflect = String = Number = Date = RegExp = Promise = null;"
    "Function.prototype.call = Function.prototype.apply = null;",
    "replaces methods": "Array.prototype.push = String.prototype.slice = Object.keys ="
    " JSON.stringify = JSON.parse = function () { throw 1 };",
    "setters on the prototypes": "Object.defineProperty(Array.prototype, '0', { set(v) { throw 1 } });"
    "Object.defineProperty(Object.prototype, 'fPort', { get() { return 9 }, set() { throw 2 } });",
    "pollutes Object": "Object.prototype.errors = ['never']; Object.prototype.data = 1;"
    "Object.prototype.polluted = true;",
    "freezes the world": "Object.freeze(globalThis); Object.freeze(Object.prototype); Object.freeze(Array.prototype);",
    "writes to globalThis": "globalThis.decodeUplink = null; globalThis.calls = 1e9; globalThis.undefinedNot = 1;",
}


@pytest.mark.parametrize("name", SELF_HARMED)
def test_a_codec_that_breaks_its_own_world_breaks_no_other(host: JsHost, name: str) -> None:
    before = host.decode_uplink(GOOD, 1, b"\x02\x03").data["n"]
    hostile = SELF_HARMED[name] + UPLINK % "return { data: { a: [1, { b: 'c' }] } }"
    for _ in range(3):
        decoded = host.decode_uplink(hostile.encode(), 1, b"\x00")
        assert isinstance(decoded, Decoded)
        assert decoded.errors or decoded.data == {"a": [1, {"b": "c"}]}
    assert host.decode_uplink(GOOD, 1, b"\x02\x03").data == {"sum": 5, "n": before + 1}, "its context was kept"


def test_a_codec_keeps_its_context_between_calls_and_gets_a_new_one_after_a_limit(host: JsHost) -> None:
    text = ("var n = 0;" + UPLINK % "if (input.fPort === 9) for (;;) ; return { data: { n: ++n } }").encode()
    assert [host.decode_uplink(text, 1, b"").data["n"] for _ in range(3)] == [1, 2, 3]
    assert host.decode_uplink(text, 9, b"").errors
    assert host.decode_uplink(text, 1, b"").data["n"] == 1


def test_a_thrown_error_is_no_reason_for_a_new_context(host: JsHost) -> None:
    text = (
        "var n = 0;" + UPLINK % "n++; if (input.fPort === 9) throw new Error('no'); return { data: { n } }"
    ).encode()
    assert host.decode_uplink(text, 1, b"").data["n"] == 1
    assert host.decode_uplink(text, 9, b"").errors == ["JavaScript: Error: no (line 1)"]
    assert host.decode_uplink(text, 1, b"").data["n"] == 3


def test_memory_that_a_codec_keeps_is_taken_from_it_when_it_is_too_much_and_no_frame_is_lost(host: JsHost) -> None:
    text = (
        "var kept = [];" + UPLINK % "kept.push(new Array(100000).fill(1)); return { data: { n: kept.length } }"
    ).encode()
    kept = [host.decode_uplink(text, 1, b"").data["n"] for _ in range(60)]
    assert kept.count(1) > 1, "it never met its limit"
    assert all(now in (1, before + 1) for before, now in itertools.pairwise(kept))
    good_still_answers(host)


def test_more_codecs_than_are_kept_all_answer(host: JsHost) -> None:
    codecs = [(UPLINK % f"return {{ data: {{ n: {n} }} }}").encode() for n in range(2 * MAX_CONTEXTS)]
    for _ in range(2):
        assert [host.decode_uplink(codec, 1, b"").data["n"] for codec in codecs] == list(range(2 * MAX_CONTEXTS))


def test_messages_are_bounded(host: JsHost) -> None:
    text = (
        UPLINK
        % f"var w = []; for (var i = 0; i < 100; i++) w.push('{HUGE}'.repeat(5)); return {{ data: {{}}, warnings: w }}"
    ).encode()
    warnings = host.decode_uplink(text, 1, b"").warnings
    assert [len(warning) for warning in warnings] == [500] * 32


def test_a_command_too_long_for_the_pipe_is_refused(host: JsHost) -> None:
    from siel_codecs.errors import PayloadError

    with pytest.raises(PayloadError, match="bytes of input"):
        host.encode_downlink(b"function encodeDownlink() { return { bytes: [] } }", {"a": "x" * MAX_INPUT_BYTES})


def test_a_long_result_comes_whole(host: JsHost) -> None:
    text = (
        UPLINK % "var t = ''; for (var i = 0; i < 9999; i++) t += 'ab' + i % 10; return { data: { t: t } }"
    ).encode()
    assert len(host.decode_uplink(text, 1, b"").data["t"]) == 3 * 9999


@given(st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_loads_or_is_refused(host: JsHost, text: str) -> None:
    try:
        source = text.encode()
    except UnicodeEncodeError:
        return
    with pytest.raises(JsSourceError):
        host.load(source)
