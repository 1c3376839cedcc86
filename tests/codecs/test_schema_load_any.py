"""Whatever stands in a schema file: a device, or a SchemaError that tells where; nothing else, and never a crash."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from siel_codecs.errors import SchemaError
from siel_codecs.registry import PACKAGE_FOLDER
from siel_codecs.schema.below import leaves, static_bytes
from siel_codecs.schema.load import SameAs, load_text, parse_text
from siel_codecs.schema.model import MAX_NUMERATOR, MAX_PAYLOAD_BYTES, Device, Lookahead, Message, Number

RICH = """
title = "Everything"
kind = "generic"
[unit.x]
display = "x"
[[uplink]]
f_port = [1, 2]
version = { bits = 8, value = 2 }
field = [
  { switch = "_mode", otherwise = "ignore", arm = [
    { is = [1, 2], field = [{ name = "t", type = "s16", scale = 0.01, unit = "degC", fault = { from = -32768, to = 1 } }] },
    { is = [0, 3], field = [{ reserved = 16 }] } ] },
  { name = "_mode", type = "u2" }, { name = "has", type = "bool" }, { name = "_n", type = "u5" },
  { when = "has", field = [{ name = "serial", type = "hex4" }, { const = 7, type = "u16le" }] },
  { word = 16, field = [{ name = "state", type = "u4", enum = { 0 = "a", 1 = "b" }, fault = [14, 15] }, { reserved = 12 }] },
  { name = "interval", type = "u8", unit = "min" }, { name = "_time", type = "u32le" },
  { name = "levels", type = "u8", count = "_n", min = 1, max = 3, node = { name = "x", scale = "1/3" } },
  { samples = "rest", step = "interval", base = "_time", field = [{ name = "v", type = "u12", delta = 5 }] },
]
[[uplink]]
f_port = [1, 2]
version = { bits = 8, value = 1 }
field = [{ name = "u", type = "u8", scale = "1/3", offset = -2, not_available = 255, unit = "x" }]
[[uplink]]
f_port = 3
field = [{ tlv = "u16", channel = true, length = true, unknown = "skip", sizes = { 0x10 = 2 }, tail = 1, entry = [
  { key = 1, field = [{ name = "e_{channel}", type = "s24le" }] },
  { key = 2, time = "_ts", field = [{ name = "_ts", type = "u32" }, { name = "f_{channel}", type = "bool" }, { reserved = 7 }] },
] }]
[[downlink]]
name = "go"
f_port = 5
field = [{ const = 1, type = "u8" }, { name = "w", type = "u16", min = 1, max = 9, saturate = true }]
[[downlink]]
name = "stop"
f_port = 5
field = [{ const = 2, type = "u8" }]
[[example]]
f_port = 5
direction = "down"
bytes = "02"
data = { command = "stop" }
"""  # noqa: E501 - as a file has it
SOUND = [RICH, *(file.read_text() for file in sorted(Path(PACKAGE_FOLDER / "siel").glob("*.toml")))]
KEYS = sorted({word for word in RICH.replace("{", " ").replace("[", " ").split() if word.isidentifier()})


def write(value: object) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(key)} = {write(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(write, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return quote(value) if isinstance(value, str) else str(value)


def quote(text: str) -> str:
    return '"' + "".join(sign if sign.isalnum() and sign.isascii() else f"\\U{ord(sign):08x}" for sign in text) + '"'


def document(tree: dict[str, Any]) -> str:
    return "".join(f"{quote(key)} = {write(value)}\n" for key, value in tree.items())


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Yield every container below a value with every key or index of it."""
    if isinstance(value, dict | list):
        for key, each in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from places(each)


def check(text: str) -> None:
    found = read(text)
    if isinstance(found, SchemaError):
        assert found.faults
        assert str(found).count("\n") == len(found.faults) - 1
        for fault in found.faults:
            assert fault.reason
            assert fault.line is None or 1 <= fault.line <= text.count("\n") + 1
        assert all(line.startswith("file.toml:") for line in str(found).splitlines())
    elif isinstance(found, Device):
        sound(found)


def read(text: str) -> Device | SameAs | SchemaError:
    try:
        return parse_text(text, "test/test", "file.toml")
    except SchemaError as error:
        return error


def sound(device: Device) -> None:
    """What emitters rely on."""
    assert device.ports
    for port in device.ports:
        assert port.messages
        assert len(port.messages) == 1 or port.selector is not None
        codes = [message.items[0] for message in port.messages]
        assert len(set(codes)) == len(codes)
        for message in port.messages:
            sound_message(message)


def sound_message(message: Message) -> None:
    size = static_bytes(message)
    assert size is None or 0 < size <= MAX_PAYLOAD_BYTES
    assert not any(isinstance(item, Lookahead) and item.bit < 0 for item in message.items)
    for leaf in leaves(message.items):
        assert 1 <= leaf.bits <= 8 * MAX_PAYLOAD_BYTES
        if isinstance(leaf, Number):
            assert leaf.num > 0
            assert leaf.den > 0
            assert leaf.lowest <= leaf.code_min <= leaf.code_max <= leaf.highest
            assert all(abs(code * leaf.num + leaf.add) < MAX_NUMERATOR for code in (leaf.lowest, leaf.highest))
            for special in leaf.specials:
                assert special.last < leaf.code_min or leaf.code_max < special.first


SCALARS = st.one_of(
    st.integers(-300, 300),
    st.integers(),
    st.booleans(),
    st.floats(),
    st.sampled_from(["u8", "s16le", "hex3", "bool", "_n", "_mode", "rest", "1/3", "V", "{channel}", "é\n\x00"]),
    st.text(max_size=5),
    st.dates(min_value=date(1000, 1, 1)),
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), below, max_size=3),
    max_leaves=6,
)


def test_the_schemas_to_start_from_are_sound() -> None:
    for text in SOUND:
        check(text)
        sound(load_text(text, "t/t"))
        assert load_text(document(tomllib.loads(text)), "t/t") == load_text(text, "t/t")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_sound_schema_with_something_changed_is_read_or_refused(data: st.DataObject) -> None:
    tree = tomllib.loads(SOUND[data.draw(st.integers(0, len(SOUND) - 1))])
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(places(tree))
        if not found:
            break
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        how = data.draw(st.sampled_from(["value", "other", "drop", "add", "double"]))
        if how == "value":
            container[key] = data.draw(VALUES)
        elif how == "other":
            other, its = found[data.draw(st.integers(0, len(found) - 1))]
            container[key] = tomllib.loads(f"x = {write(other[its])}")["x"]
        elif how == "drop":
            del container[key]
        elif isinstance(container, list):
            container.append(tomllib.loads(f"x = {write(container[key])}")["x"])
        else:
            container[data.draw(st.sampled_from(KEYS) | st.text(max_size=3))] = data.draw(VALUES)
    check(document(tree))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_a_tree_of_anything_is_refused(tree: dict[str, Any]) -> None:
    check(document(tree))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["when", "switch", "tlv", "word", "samples", "list"]), max_size=60))
def test_forms_inside_each_other_to_any_depth_are_read_or_refused(forms: list[str]) -> None:
    inner: list[Any] = [{"name": "x", "type": "u8"}]
    for form in forms:
        nested: dict[str, list[Any]] = {
            "when": [{"when": "_a", "field": inner}],
            "switch": [{"switch": "_a", "arm": [{"is": 1, "field": inner}]}],
            "tlv": [{"tlv": "u8", "entry": [{"key": 1, "field": inner}]}],
            "word": [{"word": 8, "field": inner}],
            "samples": [{"samples": 2, "field": inner}],
            "list": [inner],
        }
        inner = nested[form]
    fields = [{"name": "_a", "type": "u8"}, *inner]
    check(document({"title": "T", "uplink": [{"field": fields}]}))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_text_with_a_piece_cut_out_is_read_or_refused(data: st.DataObject) -> None:
    text = SOUND[data.draw(st.integers(0, len(SOUND) - 1))]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    check(text[:start] + data.draw(st.text(max_size=3)) + text[end:])
