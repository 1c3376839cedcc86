"""What groups, unions, arrays, series and entries of a schema file mean."""

from __future__ import annotations

import pytest

from siel_codecs.schema.below import names, static_bits
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import (
    Arm,
    Control,
    Item,
    Lookahead,
    Number,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Step,
    Switch,
    Tlv,
    Word,
)


def items(*fields: str) -> tuple[Item, ...]:
    lines = "\n".join(f"  {field}," for field in fields)
    return load_text(f'title = "T"\n[[uplink]]\nfield = [\n{lines}\n]\n', "t/t").ports[0].messages[0].items


def u(name: str, bits: int) -> Number:
    return Number(name, name.capitalize(), bits, False, 1, 0, 1, 0, (1 << bits) - 1, (), True, None, None)


EMPTY = "{ reserved = 8 }"
A, B = '{ name = "a", type = "u8" }', '{ name = "b", type = "u16" }'


def group(control: str, how: str) -> Switch:
    found = items(control, f'{{ when = "{control.split(chr(34))[1]}"{how}, field = [{A}] }}')[1]
    assert isinstance(found, Switch)
    assert found.arms[0].items == (u("a", 8),)
    assert all(arm.items == () for arm in found.arms[1:])
    return found


@pytest.mark.parametrize(
    ("control", "how", "codes", "otherwise"),
    [
        ('{ name = "_has", type = "bool" }', "", [(1,), (0,)], "error"),
        ('{ name = "has", type = "bool" }', "", [(1,), (0,)], "error"),
        ('{ name = "absent", type = "bool", true_is = 0 }', "", [(0,), (1,)], "error"),
        ('{ name = "_m", type = "u2" }', "", [(1, 2, 3), (0,)], "error"),
        ('{ name = "_m", type = "u2" }', ", is = 2", [(2,), (0,)], "ignore"),
        ('{ name = "_m", type = "u2" }', ", is = [0, 3]", [(0, 3), (1,)], "ignore"),
        ('{ name = "_m", type = "u2" }', ", is = [3, 2, 1, 0]", [(3, 2, 1, 0)], "error"),
        ('{ name = "_m", type = "u2" }', ", is_not = 2", [(0, 1, 3), (2,)], "error"),
        ('{ name = "_m", type = "u2" }', ", is_not = [0, 1]", [(2, 3), (0,)], "ignore"),
        ('{ name = "_m", type = "u16" }', ", is = 700", [(700,)], "ignore"),
        ('{ name = "m", type = "u2", enum = { 1 = "x", 2 = "y" } }', ", is = 2", [(2,), (1,)], "ignore"),
        ('{ name = "m", type = "u2", enum = { 1 = "x", 2 = "y" } }', ", is_not = 2", [(1, 0, 3), (2,)], "error"),
        ('{ name = "m", type = "u2", enum = { 0 = "x", 2 = "y" } }', "", [(2, 1, 3), (0,)], "error"),
    ],
)
def test_a_group_is_there_for_its_codes(control: str, how: str, codes: list[tuple[int, ...]], otherwise: str) -> None:
    found = group(control, how)
    assert [arm.codes for arm in found.arms][: len(codes)] == codes
    assert found.otherwise == otherwise
    if "u16" in control:
        assert found.arms[1:] == (Arm((0,), ()),)


def test_a_union_has_an_arm_for_each_code() -> None:
    control, switch = items(
        '{ name = "_type", type = "u8" }',
        f'{{ switch = "_type", otherwise = "ignore", arm = [{{ is = 1, field = [{A}] }}, {{ is = [2, 5] }}] }}',
    )
    assert control == Control("_type", 8)
    assert switch == Switch("_type", (Arm((1,), (u("a", 8),)), Arm((2, 5), ())), "ignore")


def test_arms_that_exclude_each_other_may_share_names() -> None:
    own = '{ name = "_n", type = "u8" }'
    found = items(
        '{ name = "_m", type = "u8" }',
        f'{{ when = "_m", is = 1, field = [{A}] }}',
        f'{{ when = "_m", is = 2, field = [{own}, {{ when = "_n", field = [{A}, {B}] }}] }}',
        f'{{ when = "_m", is_not = [1, 2], field = [{own}, {{ when = "_n", field = [{A}] }}] }}',
    )
    assert names(found) == ["a", "b"]


def test_an_arm_sees_what_was_read_around_it() -> None:
    array = '{ name = "a", type = "u8", count = "_n" }'
    outer = items(
        '{ name = "_m", type = "u4" }, { name = "_n", type = "u4" }',
        f'{{ when = "_m", is = 1, field = [{{ when = "_n", is = 2, field = [{array}] }}] }}',
    )[2]
    assert isinstance(outer, Switch)
    inner = outer.arms[0].items[0]
    assert isinstance(inner, Switch)
    assert inner.arms[0].items == (Repeat(u("a", 8), "_n"),)


def test_a_control_behind_what_it_steers_is_read_ahead_once() -> None:
    union = (
        f'{{ switch = "_m", arm = [{{ is = 0, field = [{B}] }}, {{ is = [3, 1, 2], field = [{{ reserved = 16 }}] }}] }}'
    )
    last = '{ when = "_m", field = [{ name = "c", type = "u8" }] }'
    found = items(A, union, "{ reserved = 2 }", '{ name = "_m", type = "u2" }', "{ reserved = 4 }", last)
    kinds = [type(item).__name__ for item in found]
    assert kinds == ["Number", "Lookahead", "Switch", "Reserved", "Control", "Reserved", "Switch"]
    assert found[1] == Lookahead("_m", 26, 2)


def test_a_union_that_has_all_codes_has_a_size_whatever_else_it_would_do() -> None:
    arms = f"{{ is = 0, field = [{A}] }}, {{ is = 1, field = [{EMPTY}] }}"
    union = f'{{ switch = "_m", otherwise = "ignore", arm = [{arms}] }}'
    found = items(union, '{ name = "_m", type = "bool" }')
    assert found[0] == Lookahead("_m", 8, 1)
    assert isinstance(found[1], Switch)
    assert found[1].otherwise == "error"
    assert static_bits(found) == 9


def test_what_an_inner_arm_reads_ahead_is_read_before_the_outermost() -> None:
    inner = f'{{ switch = "_m", arm = [{{ is = 0, field = [{A}] }}, {{ is = 1, field = [{EMPTY}] }}] }}'
    outer = f'{{ switch = "_h", arm = [{{ is = 0, field = [{inner}] }}, {{ is = 1, field = [{inner}] }}] }}'
    found = items('{ name = "_h", type = "u8" }', outer, '{ name = "_m", type = "bool" }')
    assert [type(item).__name__ for item in found] == ["Control", "Lookahead", "Switch", "Control"]
    assert found[1] == Lookahead("_m", 16, 1)


@pytest.mark.parametrize(
    ("word", "bit"),
    [
        ('{ word = 16, field = [{ reserved = 12 }, { name = "_m", type = "u4" }] }', 12),
        ('{ word = 16, field = [{ name = "_m", type = "u4" }, { reserved = 12 }] }', 16),
        ('{ word = 24, field = [{ reserved = 10 }, { name = "_m", type = "u4" }, { reserved = 10 }] }', 18),
        ('{ word = 32, field = [{ reserved = 24 }, { name = "_m", type = "u8" }] }', 8),
    ],
)
def test_a_control_in_one_byte_of_a_little_endian_word_is_read_ahead_too(word: str, bit: int) -> None:
    bits = 8 if "u8" in word else 4
    arms = f"{{ is = 1, field = [{A}] }}, {{ is = 2, field = [{{ reserved = 8 }}] }}"
    found = items(f'{{ switch = "_m", arm = [{arms}] }}', word)
    assert found[0] == Lookahead("_m", bit, bits)


def test_the_bit_of_a_lookahead_is_where_the_word_keeps_it() -> None:
    found = items(
        f'{{ switch = "_m", arm = [{{ is = 5, field = [{A}] }}] }}',
        '{ word = 24, field = [{ reserved = 10 }, { name = "_m", type = "u4" }, { reserved = 10 }] }',
    )
    ahead, word = found[0], found[2]
    assert isinstance(ahead, Lookahead)
    assert isinstance(word, Word)
    payload = bytes(1) + (5 << word.shifts()[1]).to_bytes(3, "little")
    number = int.from_bytes(payload, "big")
    assert number >> (len(payload) * 8 - ahead.bit - ahead.bits) & (1 << ahead.bits) - 1 == 5


def test_arrays() -> None:
    assert items(
        '{ name = "a", type = "u4", count = 4 }',
        '{ name = "_n", type = "u8" }',
        '{ name = "b", type = "u12", count = "_n" }',
        '{ name = "c", type = "u8", count = "rest" }',
    ) == (
        Repeat(u("a", 4), 4),
        Control("_n", 8),
        Repeat(u("b", 12), "_n"),
        Repeat(u("c", 8), None),
    )


def test_series_with_a_step_of_their_own_and_a_base() -> None:
    found = items(
        '{ name = "interval", type = "u8", unit = "min" }',
        '{ name = "_time", type = "u32" }',
        '{ samples = "rest", step = "interval", base = "_time", order = "oldest_first", field = ['
        '{ name = "a", type = "u12", delta = 5 }, { reserved = 3 }, { name = "ok", type = "bool" }] }',
    )[2]
    assert isinstance(found, Samples)
    assert found.leaves[:2] == (SeriesLeaf(u("a", 12), 5), SeriesLeaf(Reserved(3)))
    assert (found.count, found.newest_first, found.step, found.base) == (
        None,
        False,
        Step("interval", 60000, 0),
        "_time",
    )


@pytest.mark.parametrize(
    ("keys", "count", "step"),
    [("samples = 6", 6, 0), ("samples = 6, step_s = 600", 6, 600_000), ('samples = 2, step_s = "1/2"', 2, 500)],
)
def test_series_with_a_fixed_step(keys: str, count: int, step: int) -> None:
    [found] = items(f'{{ {keys}, field = [{{ name = "a", type = "u8" }}] }}')
    assert found == Samples((SeriesLeaf(u("a", 8)),), count, True, step, None)
    assert static_bits((found,)) == 8 * count


def test_a_step_has_its_own_scale_and_offset() -> None:
    found = items(
        '{ name = "interval", type = "u8", unit = "s", scale = 0.5, offset = 10 }',
        '{ name = "_n", type = "u8" }',
        '{ samples = "_n", step = "interval", field = [{ name = "a", type = "u8" }] }',
    )[2]
    assert isinstance(found, Samples)
    assert (found.count, found.step) == ("_n", Step("interval", 500, 10_000))


def test_entries() -> None:
    [found] = items(
        '{ tlv = "u16", unknown = "skip", sizes = { 0x0510 = 2, 7 = 0 }, tail = 2, entry = ['
        f"{{ key = 0x0367, field = [{A}] }},"
        '{ key = 1, time = "_ts", field = [{ name = "_ts", type = "u32le" }, { name = "a", type = "u8" }] }] }'
    )
    assert isinstance(found, Tlv)
    assert (found.key_bytes, found.channel, found.length, found.unknown) == (2, False, False, "skip")
    assert (found.sizes, found.tail_bytes) == (((0x510, 2), (7, 0)), 2)
    assert [(entry.key, entry.time) for entry in found.entries] == [(0x367, None), (1, "_ts")]
    assert found.entries[1].items == (Word(32, (Control("_ts", 32),)), u("a", 8))


def test_entries_of_channels_have_the_channel_in_their_names() -> None:
    [found] = items(
        '{ tlv = "u8", channel = true, length = true, unknown = "raw", entry = ['
        '{ key = 0x67, field = [{ name = "a_{channel}", type = "u8" }] }] }'
    )
    assert isinstance(found, Tlv)
    assert (found.key_bytes, found.channel, found.length, found.unknown) == (1, True, True, "raw")
    assert names((found,)) == ["a_{channel}"]


def test_an_entry_steers_by_what_stands_in_it() -> None:
    [found] = items(
        '{ tlv = "u8", entry = [{ key = 1, field = [{ name = "_m", type = "bool" }, { reserved = 7 }, '
        f'{{ when = "_m", field = [{A}] }}] }}] }}'
    )
    assert isinstance(found, Tlv)
    assert isinstance(found.entries[0].items[2], Switch)
