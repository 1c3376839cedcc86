"""What the text of generated JavaScript may hold: ES5, its own names, no recursion, masked bytes."""

from __future__ import annotations

import re
from functools import cache

import pytest
import quickjs

from siel_codecs.registry import Registry
from siel_codecs.schema.below import names
from siel_codecs.schema.load import load_text
from siel_codecs.schema.to_javascript import MAX_BYTES, emit_javascript
from siel_codecs.schema.to_javascript.helpers import HELPERS, helpers_for
from siel_codecs.schema.to_javascript.text import bits_of, joined, one_line, plain, say, text

REGISTRY = Registry()
KEYWORDS = {
    *(
        "break",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "null",
        "return",
        "true",
        "false",
        "typeof",
        "var",
        "while",
    ),
    *("new", "in"),
}
GLOBALS = {"Array", "Date", "Math", "Number", "Object", "String", "isFinite", "parseInt", "undefined"}
ES5_MEMBERS = {
    *("UTC", "abs", "call", "charAt", "concat", "exec", "filter", "floor", "getTime", "getUTCDate", "getUTCFullYear"),
    *("hasOwnProperty", "indexOf", "isArray", "join", "keys", "length", "max", "pow", "prototype", "push", "replace"),
    *("reverse", "shift", "slice", "sort", "split", "substr", "test", "toISOString", "toString"),
}
RESULT = {"data", "warnings", "errors", "bytes", "fPort", "recvTime", "samples", "time", "age_s", "command", "raw"}
TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<regex>/\^(?:[^/\\\n]|\\.)+/)"""
    r"""|(?P<number>0x[0-9a-f]+|\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<mark>===|!==|>>>|[|&]{2}|<=|>=|<<|>>|[+\-*/%|&]=|[-+*/%|&<>=!?:;,.(){}\[\]])|(?P<space>\s+)"""
)

WITH_ALL = """
title = "All at once \\u2028 and a title of \\"several\\" lines"
[[uplink]]
f_port = 2
field = [
  { name = "_t", type = "u32" }, { name = "every", type = "u8", unit = "min" }, { name = "_k", type = "u3" },
  { switch = "_k", otherwise = "error", arm = [
    { is = 1, field = [{ name = "odd", type = "s31" }] }, { is = 2, field = [] },
  ] },
  { samples = "rest", step = "every", base = "_t", order = "oldest_first", field = [
    { name = "v", type = "s12", delta = 4 },
  ] },
]
[[uplink]]
f_port = 3
field = [{ tlv = "u8", channel = true, unknown = "raw", entry = [
  { key = 1, time = "_w", field = [{ name = "_w", type = "u32" }, { name = "w_{channel}", type = "u8" }] },
  { key = 2, field = [{ name = "id_{channel}", type = "hex4" }] },
] }]
[[downlink]]
name = "one"
f_port = 4
field = [
  { name = "_t", type = "u32" }, { name = "_n", type = "u5" },
  { name = "mode", type = "u3", enum = { 0 = "off", 4 = "on" } },
  { switch = "mode", otherwise = "ignore", arm = [{ is = 4, field = [{ name = "id", type = "hex2" }] }] },
  { name = "_x", type = "bool" }, { when = "_x", field = [{ name = "list", type = "u7", count = 2 }] },
  { samples = "_n", base = "_t", step_s = 60, field = [{ name = "v", type = "s12", delta = 4 }] },
]
[[downlink]]
name = "two"
f_port = 5
field = [{ tlv = "u8", channel = true, unknown = "stop", entry = [
  { key = 2, field = [
    { word = 16, field = [{ name = "a_{channel}", type = "u9" }, { name = "b_{channel}", type = "u7" }] },
  ] },
] }]
"""
EVERY = [*REGISTRY.names(), "all"]


@cache
def source_of(name: str) -> str:
    return emit_javascript(load_text(WITH_ALL, "test/all") if name == "all" else REGISTRY.device(name))


def tokens(source: str) -> list[tuple[str, str]]:
    """All tokens but spaces and comments; what is no token of this subset of ES5 is an error."""
    found, at = [], 0
    while at < len(source):
        match = TOKEN.match(source, at)
        assert match, source[at : at + 60]
        at = match.end()
        if match.lastgroup not in {"space", "comment"}:
            found.append((str(match.lastgroup), match[0]))
    return found


def functions(source: str) -> dict[str, list[tuple[str, str]]]:
    """The functions at the top level and their tokens; nothing else may stand there."""
    found: dict[str, list[tuple[str, str]]] = {}
    everything, at = tokens(source), 0
    while at < len(everything):
        assert everything[at] == ("name", "function"), everything[at : at + 5]
        start, depth = at, 0
        while at < len(everything) and (depth or everything[at][1] != "}"):
            depth += {"{": 1, "}": -1}.get(everything[at][1], 0)
            at += 1
            if depth == 0 and everything[at - 1][1] == "}":
                break
        found[everything[start + 1][1]] = everything[start + 2 : at]
    return found


@pytest.mark.parametrize("name", EVERY)
def test_the_words_are_those_of_es5(name: str) -> None:
    device = load_text(WITH_ALL, "test/all") if name == "all" else REGISTRY.device(name)
    own = {each for port in device.ports for message in port.messages for each in names(message.items)}
    top = functions(source_of(name))
    for function, body in top.items():
        declared = {word for kind, word in body if kind == "name"} - KEYWORDS - GLOBALS - top.keys()
        variables, members = set(), set()
        for before, (kind, word), after in zip([("", ""), *body], body, [*body[1:], ("", "")], strict=False):
            if kind == "name" and before[1] == ".":
                members.add(word)
            elif kind == "name" and after[1] == ":" and before[1] in {"{", ","}:
                members.add(word)  # a key of an object
            elif kind == "name" and word in declared:
                variables.add(word)
        known = re.findall(r"\w+", " ".join(word for _, word in _declarations(body)))
        assert variables <= set(known), (function, variables - set(known))
        fields = {"num", "add", "den", "low", "high", "least", "most", "below", "above", "codes", "row", "age", "input"}
        fields |= {"not_available", "under_range", "over_range", "fault", "error", "channel", "sent", "bits"}
        assert members <= ES5_MEMBERS | RESULT | own | fields, (function, members)


def _declarations(body: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Arguments of the function and of those within it, and what ``var`` declares."""
    found, taking, depth = [], True, 0
    for before, (kind, word) in zip([("", "("), *body], body, strict=False):
        if word in {"var", "function"}:
            taking, depth = True, 0
        elif taking:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(word, 0)
            if kind == "name" and before[1] in {"var", ",", "("} and depth <= 1:
                found.append((kind, word))
            taking = word != ";" and not (word == "{" and before[1] == ")")
    return found


@pytest.mark.parametrize("name", EVERY)
def test_no_function_reaches_itself(name: str) -> None:
    top = functions(source_of(name))
    calls = {function: {word for _, word in body} & top.keys() for function, body in top.items()}
    for function in top:
        reached: set[str] = set()
        ahead = [function]
        while ahead:
            new = calls[ahead.pop()] - reached
            reached |= new
            ahead += new
        assert function not in reached, function
    assert set().union(*calls.values()) | {"decodeUplink", "decodeDownlink", "encodeDownlink"} >= top.keys()


@pytest.mark.parametrize("name", EVERY)
def test_names_at_the_top_cannot_meet_those_of_others(name: str) -> None:
    top = functions(source_of(name)).keys()
    assert {each for each in top if not each.startswith("siel_")} <= {
        "decodeUplink",
        "decodeDownlink",
        "encodeDownlink",
    }
    assert "decodeUplink" in top


@pytest.mark.parametrize("name", EVERY)
def test_it_is_small_and_compiles_as_strict_code_and_leaves_nothing_behind(name: str) -> None:
    source = source_of(name)
    assert len(source.encode()) <= MAX_BYTES
    assert max(map(len, source.splitlines())) < 2000
    quickjs.Context().module(source)
    sloppy = quickjs.Context()
    before = sloppy.eval("Object.getOwnPropertyNames(globalThis).length")
    sloppy.eval(f"(function () {{ {source}\n decodeUplink({{bytes: [1, 2, 3], fPort: 2}}); }})()")
    assert sloppy.eval("Object.getOwnPropertyNames(globalThis).length") == before


def test_every_byte_that_goes_out_is_masked() -> None:
    made = HELPERS["siel_made"]
    assert "bytes.push(out.bytes[i] & 255);" in made
    every = "\n".join(source_of(name) for name in EVERY)
    assert set(re.findall(r"\{bytes: (\w+|\[\])", every)) == {"bytes", "[]"}
    # Only these two give bytes to a server.
    assert {name for name, body in HELPERS.items() if "{bytes:" in body} == {"siel_made", "siel_refused"}


def test_every_helper_has_a_use_and_is_there_only_where_it_is_called() -> None:
    used = {name for each in EVERY for name in HELPERS if f"function {name}(" in source_of(each)}
    assert used == HELPERS.keys()
    assert "siel_bits" not in source_of("siel/rain_gauge")
    assert helpers_for("no calls") == []


def test_the_head_says_where_the_file_comes_from() -> None:
    head = source_of("siel/valve").splitlines()[:3]
    assert head[0].startswith("// siel/valve: ")
    assert head[2] == "// Again: siel codec generate siel/valve --target js"


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("skip", range(8))
def test_bits_are_taken_out_of_bytes(skip: int, *, signed: bool) -> None:
    context = quickjs.Context()
    rows = [bytes.fromhex(row) for row in ("ffffffffff", "0000000000", "a55a3cc396", "8000000001", "7fffffffff")]
    for bits in range(2, 33):
        count = (skip + bits + 7) // 8
        code = bits_of([f"b[{index}]" for index in range(count)], skip, bits, signed=signed)
        for row in rows:
            whole = int.from_bytes(row[:count], "big") >> 8 * count - skip - bits & (1 << bits) - 1
            expected = whole - (1 << bits) if signed and whole >> bits - 1 else whole
            assert context.eval(f"var b = [{', '.join(map(str, row))}]; {code}") == expected, (bits, code)


def test_texts_are_joined_as_strings() -> None:
    context = quickjs.Context()
    context.eval("var a = 1, channel = 7, odd = 'x'")
    assert context.eval(joined([(False, "a"), (False, "a")])) == "11"
    assert context.eval(joined([(False, "a"), (True, "-"), (False, "a + 1")])) == "1-2"
    assert context.eval(say("{n} of {m}: {n}", n=text("t_{channel}"), m="a")) == "t_7 of 1: t_7"
    assert context.eval(say("{n}", n=plain('quote " and {channel}'))) == 'quote " and {channel}'
    assert joined([]) == '""'
    assert one_line("a\u2028b\n*/ c") == "a b */ c"
