"""What a schema file means: leaves, ports, commands, units, examples. What is wrong is in test_schema_load_faults."""

from __future__ import annotations

from typing import Any

import pytest

from siel_codecs.schema.below import static_bits
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import (
    Absent,
    Choice,
    Constant,
    Control,
    Device,
    Item,
    NodeInput,
    Number,
    Opaque,
    Reserved,
    Special,
    Unit,
    Word,
)
from siel_codecs.schema.units import UNITS


def items(*fields: str, more: str = "", head: str = "[[uplink]]") -> tuple[Item, ...]:
    lines = "\n".join(f"  {field}," for field in fields)
    return load_text(f'title = "T"\n{head}\nfield = [\n{lines}\n]\n{more}', "t/t").ports[0].messages[0].items


def number(keys: str, *, head: str = "[[uplink]]", more: str = "") -> Number:
    [item] = items(f'{{ name = "a", {keys} }}', head=head, more=more)
    assert isinstance(item, Number)
    return item


def device(text: str) -> Device:
    return load_text('title = "T"\n' + text, "t/t")


def test_the_smallest_schema() -> None:
    found = device('[[uplink]]\nfield = [{ name = "air_pressure", type = "u10" }]')
    [port] = found.ports
    [message] = port.messages
    assert (found.name, found.title, found.description, found.kind, found.source) == ("t/t", "T", "", "", "")
    assert (port.direction, port.f_ports, port.selector) == ("up", (), None)
    assert (message.name, message.title, message.extra, message.version) == ("", "Uplink", "error", None)
    assert message.items == (Number("air_pressure", "Air pressure", 10, False, 1, 0, 1, 0, 1023, (), True, None, None),)


@pytest.mark.parametrize("scale", ["0.1", '"1/10"', '"0.1"', "1e-1"])
def test_a_scale_is_exact_however_it_is_written(scale: str) -> None:
    field = number(f'type = "u8", scale = {scale}')
    assert (field.num, field.add, field.den) == (1, 0, 10)


@pytest.mark.parametrize(
    ("scale", "offset", "steps", "low", "high"),
    [
        ("0.01", "1.8", (1, 180, 100), 1.8, 4.35),
        ("0.5", '"1/3"', (3, 2, 6), 2 / 6, 767 / 6),
        ("2", "-40", (2, -40, 1), -40, 470),
        ('"3/7"', "0", (3, 0, 7), 0.0, 765 / 7),
    ],
)
def test_scale_and_offset_have_one_denominator(
    scale: str, offset: str, steps: tuple[int, int, int], low: float, high: float
) -> None:
    field = number(f'type = "u8", scale = {scale}, offset = {offset}')
    assert (field.num, field.add, field.den) == steps
    assert (field.value(0), field.value(255)) == (low, high)


def test_min_and_max_are_in_display_units() -> None:
    field = number('type = "s16", scale = 0.1, offset = 0.5, min = -40, max = 125')
    assert (field.code_min, field.code_max) == (-405, 1245)


@pytest.mark.parametrize(
    ("keys", "limits"),
    [
        ("not_available = 255", (0, 254)),
        ("not_available = 0", (1, 255)),
        ("not_available = 255, fault = 254, under_range = 0", (1, 253)),
        ("fault = { from = 250, to = 255 }", (0, 249)),
        ("fault = [255, 253], over_range = 254", (0, 252)),
        ("fault = 200, max = 100", (0, 100)),
        ("not_available = 255, min = 10", (10, 254)),
        ("fault = { from = 255, to = 255 }", (0, 254)),
    ],
)
def test_codes_that_say_why_there_is_no_value_are_no_values(keys: str, limits: tuple[int, int]) -> None:
    field = number(f'type = "u8", {keys}')
    assert (field.code_min, field.code_max) == limits
    assert not field.every_code_is_a_value


def test_codes_of_signed_numbers_are_written_either_way() -> None:
    field = number('type = "s16", not_available = 0x7fff, fault = 0x8000, under_range = -32767')
    assert field.specials == (
        Special(32767, 32767, Absent.NOT_AVAILABLE),
        Special(-32767, -32767, Absent.UNDER_RANGE),
        Special(-32768, -32768, Absent.FAULT),
    )
    assert (field.code_min, field.code_max) == (-32766, 32766)
    assert number('type = "s8", fault = { from = 0x80, to = 0x8f }').specials == (Special(-128, -113, Absent.FAULT),)


def test_of_several_codes_the_first_is_the_one_that_is_sent() -> None:
    field = number('type = "u8", fault = [253, 255, 254]')
    assert field.special(Absent.FAULT) == 253
    assert field.special(Absent.OVER_RANGE) is None


def test_what_a_device_measures_saturates_and_what_it_is_told_does_not() -> None:
    assert number('type = "u8"').saturates
    assert not number('type = "u8"', head="[[downlink]]").saturates
    assert not number('type = "u8", saturate = false').saturates
    assert number('type = "u8", saturate = true', head="[[downlink]]").saturates


def test_a_unit_is_one_of_the_package_or_the_file_s_own() -> None:
    own = '[unit."mm/15min"]\ndisplay = "mm in 15 min"\nsenml = "m"\nsenml_factor = "1/1000"\nucum = "mm"\n'
    assert number('type = "u8", unit = "degC"').unit is UNITS["degC"]
    assert number('type = "u8", unit = "mm/15min"', more=own).unit == Unit("mm in 15 min", "m", 1, 1000, "mm")
    assert number('type = "u8", unit = "V"', more='[unit.V]\ndisplay = "volt"\n').unit == Unit("volt", "", 1, 1, "")


def test_a_node_s_integer_has_its_name_and_step() -> None:
    assert number('type = "u8", scale = 0.2').node is None
    assert number('type = "u8", node = { name = "a_mv", scale = 0.001 }').node == NodeInput("a_mv", 1, 1000)
    assert number('type = "u8", scale = 0.2, node = { name = "x" }').node == NodeInput("x", 1, 5)


def test_flags_and_enums() -> None:
    assert items(
        '{ name = "open", type = "bool" }',
        '{ name = "dry", type = "bool", true_is = 0, title = "No water" }',
        '{ name = "state", type = "u4", enum = { 0 = "closed", 0x1 = "open" }, fault = [14, 15] }',
        '{ name = "on", type = "u2", enum = { 1 = true, 2 = false } }',
        '{ name = "tamper", type = "bool", enum = { 0 = "sound", 1 = "broken" } }',
    ) == (
        Choice("open", "Open", 1, ((0, False), (1, True))),
        Choice("dry", "No water", 1, ((0, True), (1, False))),
        Choice(
            "state",
            "State",
            4,
            ((0, "closed"), (1, "open")),
            (Special(14, 14, Absent.FAULT), Special(15, 15, Absent.FAULT)),
        ),
        Choice("on", "On", 2, ((1, True), (2, False))),
        Choice("tamper", "Tamper", 1, ((0, "sound"), (1, "broken"))),
    )


def test_constants_reserved_bits_and_bytes() -> None:
    assert items(
        '{ const = 0x2a, type = "u8", title = "frame code" }',
        "{ reserved = 40 }",
        '{ name = "serial_number", type = "hex6" }',
        '{ const = 1, type = "bool" }',
    ) == (
        Constant("frame code", 8, 42),
        Reserved(40),
        Opaque("serial_number", "Serial number", 48),
        Constant("constant", 1, 1),
    )


def test_little_endian_numbers_are_words() -> None:
    found = items(
        '{ name = "a", type = "s24le" }',
        '{ name = "_n", type = "u16le" }',
        '{ when = "_n", is = 0, field = [{ const = 5, type = "u16le" }] }',
        '{ word = 16, field = [{ name = "b", type = "bool" }, { reserved = 3 }, { name = "c", type = "s12" }] }',
    )
    assert found[:2] == (Word(24, (number('type = "s24"'),)), Word(16, (Control("_n", 16),)))
    word = found[3]
    assert isinstance(word, Word)
    assert word.shifts() == (15, 12, 0)
    assert [leaf.bits for leaf in word.leaves] == [1, 3, 12]


def test_little_endian_constants_are_words_too() -> None:
    assert items('{ const = 5, type = "u16le" }', '{ name = "a", type = "u8" }')[0] == Word(
        16, (Constant("constant", 16, 5),)
    )


TWO_VERSIONS = """
[[uplink]]
f_port = [5, 7]
version = { bits = 4, value = 1 }
field = [{ name = "a", type = "u12" }]
[[uplink]]
f_port = [7, 5]
version = { bits = 4, value = 3 }
name = "state"
extra = "ignore"
field = [{ name = "a", type = "u20" }]
[[uplink]]
f_port = 8
title = "Other"
field = [{ name = "a", type = "u8" }]
"""


def test_messages_of_one_port_are_versions_and_the_newest_comes_first() -> None:
    first, second = device(TWO_VERSIONS).ports
    assert (first.f_ports, second.f_ports) == ((5, 7), (8,))
    assert [message.version for message in first.messages] == [3, 1]
    assert first.selector == Constant("payload version", 4, 3)
    assert [message.extra for message in first.messages] == ["ignore", "error"]
    assert [message.title for message in (*first.messages, *second.messages)] == ["State", "Uplink", "Other"]
    assert static_bits(first.messages[1].items) == 16


def test_messages_of_one_port_are_told_apart_by_a_leading_constant() -> None:
    found = device("""
[[uplink]]
field = [{ const = 2, type = "u8", title = "frame" }, { name = "a", type = "u8" }]
[[uplink]]
field = [{ const = 1, type = "u8", title = "frame" }, { name = "b", type = "u8" }]
[[downlink]]
name = "reboot"
f_port = 3
field = [{ const = 1, type = "u8" }]
[[downlink]]
name = "set_interval"
f_port = 3
field = [{ const = 2, type = "u8" }, { name = "interval", type = "u16", unit = "min", min = 1, max = 1440 }]
""")
    up, down = found.ports
    assert up.f_ports == ()
    assert up.selector == Constant("frame", 8, 2)
    assert (down.direction, down.f_ports, down.selector) == ("down", (3,), Constant("constant", 8, 1))
    assert [message.name for _, message in found.downlinks()] == ["reboot", "set_interval"]
    assert [message.title for _, message in found.downlinks()] == ["Reboot", "Set interval"]


def test_a_device_may_take_commands_only() -> None:
    [port] = device('[[downlink]]\nfield = [{ name = "on", type = "bool" }]').ports
    assert (port.direction, port.messages[0].name) == ("down", "")


EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("{ a = 20.0, b = 3, c = true }", {"a": 20.0, "b": 3, "c": True}),
    ('{ levels = [1, 2.5], samples = [{ time = "2026-01-01T00:00:00.000Z" }] }', {
        "levels": [1, 2.5], "samples": [{"time": "2026-01-01T00:00:00.000Z"}],
    }),
    ("{ levels = [1, nan], dry = [nan, true] }", {"levels": [1, None], "dry": [None, True]}),
    ("{}", {}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "data"), EXAMPLES)
def test_an_example_is_kept_as_it_is_written(written: str, data: dict[str, Any]) -> None:
    message = 'f_port = 9\nfield = [{ name = "a", type = "u8" }]\n'
    found = device(
        f'kind = "rain"\nsource = "a document"\n[[uplink]]\n{message}[[downlink]]\n{message}'
        f'[[example]]\nf_port = 9\nbytes = "20 64c8"\ndata = {written}\nwarnings = ["b: not available"]\n'
        '[[example]]\ntitle = "down"\ndirection = "down"\nf_port = 9\nbytes = ""\ndata = {}\n'
    )
    up, down = found.examples
    assert (up.direction, up.f_port, up.payload, up.warnings) == ("up", 9, b"\x20\x64\xc8", ("b: not available",))
    assert up.data == data
    assert [type(value) for value in up.data.values()] == [type(value) for value in data.values()]
    assert (down.direction, down.payload, down.title) == ("down", b"", "down")
    assert (found.kind, found.source) == ("rain", "a document")
