from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from random_schemas import devices
from siel_codecs import registry
from siel_codecs.codec import SchemaCodec, as_ts013
from siel_codecs.errors import PayloadError
from siel_codecs.schema.below import names
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import CHANNEL, Choice, Number, Switch, Tlv
from siel_codecs.schema.to_vectors import RECV_MS, Vector, vectors, vectors_json
from siel_codecs.schema.wire import Layout, Plan, unused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.schema.model import Device, Message, Port
    from siel_codecs.schema.wire import Slot

SCHEMAS = [
    name
    for name in registry.names()
    if "same_as" not in tomllib.loads((registry.PACKAGE_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
]
"""Other names of a codec are not tried again."""
EVERYTHING = """
title = "Everything at once"

[[uplink]]
f_port = 3
version = { bits = 2, value = 2 }
field = [
  { name = "_has_air", type = "bool" },
  { name = "_mode", type = "u3" },
  { reserved = 2 },
  { when = "_has_air", field = [
    { name = "air", type = "s12", scale = 0.1, min = -40, max = 85, not_available = -2048, fault = -2047 },
    { name = "door", type = "u4", enum = { 0 = "closed", 1 = "open", 9 = "jammed" }, not_available = 15 },
  ] },
  { switch = "_mode", otherwise = "error", arm = [
    { is = 0, field = [] },
    { is = [1, 2], field = [
      { name = "level", type = "u16le", unit = "mm", over_range = 65535, under_range = 0, min = 1, max = 5000 },
    ] },
    { is = 5, field = [{ name = "serial", type = "hex2" }] },
  ] },
  { name = "_n", type = "u8" },
  { samples = "_n", order = "oldest_first", step_s = 600, field = [
    { name = "rain", type = "u16", scale = 0.2, unit = "mm", not_available = 65535, delta = 4 },
  ] },
]

[[uplink]]
f_port = 3
version = { bits = 2, value = 1 }
field = [{ name = "old", type = "u6" }]

[[uplink]]
f_port = [4, 5]
extra = "ignore"
field = [
  { name = "base", type = "u8" },
  { name = "levels", type = "s12", count = "rest", min = -100, max = 100 },
]

[[uplink]]
f_port = 6
field = [{ tlv = "u8", channel = true, unknown = "skip", sizes = { 9 = 3 }, entry = [
  { key = 1, field = [{ name = "t_{channel}", type = "s16le", scale = 0.1, unit = "degC" }] },
  { key = 2, field = [{ name = "_ts", type = "u32" }, { name = "old_t_{channel}", type = "u8" }], time = "_ts" },
] }]

[[downlink]]
name = "set_interval"
f_port = 3
field = [
  { const = 1, type = "u8", title = "command" },
  { name = "interval", type = "u16", unit = "min", min = 1, max = 1440 },
]

[[downlink]]
name = "valve"
f_port = 3
field = [{ const = 2, type = "u8", title = "command" }, { name = "open", type = "bool" }, { reserved = 7 }]
"""


@pytest.fixture(scope="module")
def everything() -> Device:
    return load_text(EVERYTHING, "test/everything")


def values_of(data: Any) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if name == "samples":
            for sample in value:
                yield from values_of(sample)
        elif isinstance(value, list):
            yield from ((name, each) for each in value)
        else:
            yield name, value


class Seen:
    """What the decoding vectors of one port show."""

    def __init__(self, port: Port, found: list[Vector]) -> None:
        f_port = port.f_ports[0] if port.f_ports else 1
        here = [v for v in found if (v.direction, v.f_port, v.call) == (port.direction, f_port, "decode")]
        self.values: dict[str, list[Any]] = {}
        for vector in here:
            for name, value in values_of(vector.data):
                self.values.setdefault(name, []).append(value)
        self.warnings = {re.sub(r"^sample \d+: ", "", text) for vector in here for text in vector.warnings}
        self.errors = {text for vector in here for text in vector.errors}
        self.payloads = {vector.payload for vector in here}

    def has(self, template: str, value: Any) -> bool:
        pattern = re.compile(r"\d+".join(map(re.escape, template.split(CHANNEL))))
        return any(
            type(each) is type(value) and each == value
            for name, found in self.values.items()
            if pattern.fullmatch(name)
            for each in found
        )

    def warned(self, template: str, why: str) -> bool:
        name = r"\d+".join(map(re.escape, template.split(CHANNEL)))
        return any(re.fullmatch(rf"{name}(\[\d+\])?: {why}", text) for text in self.warnings)


def missing(device: Device, found: list[Vector]) -> list[str]:
    """Return the rules that apply to the device and that none of the vectors shows, by what decoders say to them."""
    lacks: list[str] = []
    for port in device.ports:
        seen = Seen(port, found)
        for message in port.messages:
            layout = Layout(message)
            for slot in layout.slots:
                if layout.reach(slot) is not None and isinstance(slot.leaf, Number | Choice):
                    lacks += [
                        f"{message.title} {slot.leaf.name} {what}" for what in missing_of_leaf(layout, slot, seen)
                    ]
            lacks += [f"{message.title} {what}" for what in missing_of_message(port, message, layout, seen)]
        if port.selector is not None and len(port.messages) < 1 << port.selector.bits:
            lacks += [] if any("is not known here" in text for text in seen.errors) else ["unknown version"]
        if any(message.items for message in port.messages):
            lacks += [] if b"" in seen.payloads else ["empty"]
    for direction in ("up", "down"):
        ports = [port for port in device.ports if port.direction == direction]
        if ports and all(port.f_ports for port in ports):
            told = any(
                "is not one of this device" in error for v in found for error in v.errors if v.direction == direction
            )
            lacks += [] if told else [f"unknown port {direction}"]
    return lacks


def missing_of_leaf(layout: Layout, slot: Slot, seen: Seen) -> Iterator[str]:
    leaf = slot.leaf
    if not isinstance(leaf, Number | Choice) or leaf.name.startswith("_"):
        return
    # Codes of what steers a union may be in none of its arms
    steers = (slot.scope, leaf.name) in layout.switches and any("is not known here" in text for text in seen.errors)
    for special in leaf.specials:
        if not (seen.warned(leaf.name, special.absent.value) or steers):
            yield special.absent.value
    if isinstance(leaf, Choice):
        yield from (f"{value}" for _, value in leaf.meanings if not (seen.has(leaf.name, value) or steers))
        if unused(leaf) and not (seen.warned(leaf.name, r"code \d+ is not known") or steers):
            yield "unknown code"
        return
    ends = {leaf.value(leaf.code_min): "lowest", leaf.value(leaf.code_max): "highest"}
    yield from (what for value, what in ends.items() if not seen.has(leaf.name, value))
    if leaf.code_min < 0 <= leaf.code_max and not seen.has(leaf.name, leaf.value(-1)):
        yield "code -1"
    if unused(leaf) and not seen.warned(leaf.name, "outside its range"):
        yield "outside its range"


def missing_of_message(port: Port, message: Message, layout: Layout, seen: Seen) -> Iterator[str]:
    for (_, control), switches in layout.switches.items():
        for arm in (arm for switch in switches for arm in switch.arms):
            told = {name.split("[")[0].split(":")[0] for name in seen.warnings} | seen.values.keys()
            for name in names(arm.items):
                pattern = re.compile(r"\d+".join(map(re.escape, name.split(CHANNEL))))
                if not any(map(pattern.fullmatch, told)):
                    yield f"arm {control} {arm.codes} with {name}"
    for item in message.items:
        if isinstance(item, Switch) and item.otherwise == "error":
            codes = {code for arm in item.arms for code in arm.codes}
            free = len(codes) < 1 << layout.leaf_of[(), item.control].bits
            if free and not any("is not known here" in text for text in seen.errors):
                yield "unknown arm"
    if layout.payload(Plan()) and not any(text.startswith("payload too short") for text in seen.errors):
        yield "too short"
    to_the_end = layout.tlvs or any(item.count is None for item in layout.lists.values())
    long = {"error": seen.errors, "ignore": seen.warnings}[message.extra]
    if not to_the_end and not any("payload too long" in text or "at the end are not decoded" in text for text in long):
        yield "too long"
    for tlv in layout.tlvs.values():
        if not any(re.match(r"type 0x[0-9a-f]+ at byte \d+ is not known", text) for text in seen.warnings):
            yield f"unknown key ({tlv.unknown})"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_vector_says_the_same_in_generated_python_and_no_rule_is_left_out(name: str) -> None:
    check(registry.Registry().device(name))


def test_a_schema_with_everything(everything: Device) -> None:
    check(everything)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(devices())
def test_random_devices(device: Device) -> None:
    check(device)


def check(device: Device) -> None:
    codec = SchemaCodec(device)
    found = vectors(device)
    for vector in found:
        if vector.call == "encode":
            check_encode(codec, vector)
            continue
        up = vector.direction == "up"
        result = (
            codec.decode(vector.f_port, vector.payload, RECV_MS)
            if up
            else codec.decode_downlink(vector.f_port, vector.payload)
        )
        shown = (repr(as_ts013(result)), result.warnings, result.errors)
        assert shown == (repr(vector.data), vector.warnings, vector.errors), vector.title
    assert missing(device, found) == []


def check_encode(codec: SchemaCodec, vector: Vector) -> None:
    try:
        made = codec.encode_downlink(vector.data, vector.f_port)
    except PayloadError as error:
        text = f"{error.field}: {error.reason}" if error.field else error.reason
        assert [text] == vector.errors, vector.title
    else:
        assert (made.f_port, made.payload, []) == (vector.f_port, vector.payload, vector.errors), vector.title


def test_no_two_vectors_have_equal_input(everything: Device) -> None:
    inputs = [(v.direction, v.f_port, v.payload) for v in vectors(everything) if v.call == "decode"]
    assert len(inputs) == len(set(inputs))


def test_a_rule_without_its_vector_is_noticed(everything: Device) -> None:
    found = vectors(everything)
    without = [v for v in found if not any("fault" in warning for warning in v.warnings)]
    assert any("air sensor fault" in each for each in missing(everything, without))
    assert any("unknown port" in each for each in missing(everything, [v for v in found if v.f_port != 1]))


def test_differences_the_escape_and_a_difference_that_leads_nowhere_are_there(everything: Device) -> None:
    by_title = {vector.title.split(": ")[-1]: vector for vector in vectors(everything) if "rain" in vector.title}
    up, down, escape = by_title["largest step up"], by_title["largest step down"], by_title["escape"]
    assert [sample["rain"] for sample in up.data["samples"]] == [1.4, 0]
    assert [sample["rain"] for sample in down.data["samples"]] == [13105.4, 13106.8]
    assert [sample["rain"] for sample in escape.data["samples"]] == [13106.8, 0]
    assert any("outside its range" in warning for warning in by_title["a step beyond its bits"].warnings)


def test_commands_are_encoded_at_their_ends_and_refused_beyond(everything: Device) -> None:
    found = {v.title.split("encode ")[1]: v for v in vectors(everything) if v.call == "encode"}
    assert found["interval lowest"].payload.hex() == "010001"
    assert found["interval highest"].payload.hex() == "0105a0"
    assert found["interval below"].errors == found["interval above"].errors == ["interval: must be 1 to 1440"]
    assert found["interval missing"].errors == ["interval: must have a value; it has no code for not available"]
    assert found["open true"].payload.hex() == "0280"


def test_the_document_is_json_with_inputs_and_outputs_as_ts013_has_them(everything: Device) -> None:
    document = json.loads(json.dumps(vectors_json(everything), allow_nan=False))
    kinds = {example["type"] for example in document["examples"]}
    assert kinds == {"uplink", "downlink-decode", "downlink-encode"}
    for example in document["examples"]:
        assert example["description"]
        assert ("data" in example["output"] or "bytes" in example["output"]) != bool(example["output"].get("errors"))
    first = next(example for example in document["examples"] if example["type"] == "uplink")
    assert first["input"]["recvTime"] == "2026-01-01T00:00:00.000Z"
    assert all(0 <= byte <= 255 for byte in first["input"]["bytes"])


def test_unknown_keys_are_met_at_every_place_of_a_tlv(everything: Device) -> None:
    tlv = next(item for _, message in everything.uplinks() for item in message.items if isinstance(item, Tlv))
    found = [v for v in vectors(everything) if v.f_port == 6 and "key 0x" in v.title]
    assert {bytes([1, key]) in v.payload for v in found for key, _ in tlv.sizes} >= {True}
    assert any("passed over" in w and "t_1" in v.data for v in found for w in v.warnings)
    assert any("the rest is not decoded" in w for v in found for w in v.warnings)


def titled(device: Device) -> dict[str, Vector]:
    return {vector.title.split(": ", 1)[-1]: vector for vector in vectors(device)}


def test_a_series_is_met_with_none_one_some_and_most_samples_and_cut(everything: Device) -> None:
    found = [(title, v) for title, v in titled(everything).items() if title.startswith("samples: ")]
    lengths = {title: len(v.data.get("samples", [0] * ("rain" in v.data))) for title, v in found if not v.errors}
    assert {f"samples: {count} elements": count for count in (0, 1, 3)}.items() <= lengths.items()
    assert max(lengths.values()) > 100
    cut = [v.errors for title, v in found if title.endswith("cut in the middle")]
    assert cut
    assert all(errors[0].startswith("payload too short") for errors in cut)


def test_reserved_bits_are_set_and_say_nothing() -> None:
    text = 'title = "Spare"\n[[uplink]]\nf_port = 1\nfield = [{ name = "a", type = "u4" }, { reserved = 4 }]\n'
    found = titled(load_text(text, "test/spare"))
    spare, plain = (next(v for title, v in found.items() if title.endswith(end)) for end in ("bits set", "ordinary"))
    assert spare.payload[0] == plain.payload[0] | 0x0F
    assert spare.data == plain.data


def test_the_first_and_the_last_code_of_a_special_range_are_met() -> None:
    text = """title = "Range"
[[uplink]]
f_port = 1
field = [{ name = "a", type = "u8", max = 9, fault = { from = 250, to = 254 } }]
"""
    payloads = {v.payload[0] for v in vectors(load_text(text, "test/range")) if v.warnings == ["a: sensor fault"]}
    assert payloads >= {250, 254}


def test_a_version_that_does_not_exist_is_met_also_where_the_lowest_do() -> None:
    text = "\n".join(
        f'[[uplink]]\nf_port = 1\nversion = {{ bits = 3, value = {value} }}\nfield = [{{ name = "a", type = "u5" }}]'
        for value in (1, 0)
    )
    errors = [text for v in vectors(load_text(f'title = "Versions"\n{text}', "test/versions")) for text in v.errors]
    assert "payload version 2 is not known here (known: 1, 0)" in errors


def test_an_entry_with_another_length_is_met() -> None:
    text = """title = "Lengths"
[[uplink]]
f_port = 1
field = [{ tlv = "u8", length = true, unknown = "skip", entry = [{ key = 1, field = [{ name = "a", type = "u16" }] }] }]
"""
    found = next(v for title, v in titled(load_text(text, "test/lengths")).items() if title.endswith("another length"))
    assert found.payload[1] != 2
    assert found.data == {}
