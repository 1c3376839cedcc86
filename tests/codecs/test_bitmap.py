from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.schema.model import Choice, Constant, Control, Number, Opaque, Reserved, Word
from siel_codecs.schema.to_docs.bitmap import bit_map


def number(name: str, bits: int) -> Number:
    return Number(name, name, bits, False, 1, 0, 1, 0, (1 << bits) - 1, (), True, None, None)


FLAGS = ((0, False), (1, True))


def test_fields_that_cross_bytes_have_one_border_and_small_ones_a_number() -> None:
    leaves = (
        Constant("version", 3, 1),
        number("temperature", 15),
        number("humidity", 14),
        Choice("tamper", "Tamper", 1, FLAGS),
        Choice("door", "Door", 1, FLAGS),
        Reserved(6),
    )
    assert bit_map(leaves, range(1, 7)).splitlines() == [
        "byte    7   6   5   4   3   2   1   0",
        "      +-----------+-------------------+",
        "   0  | version=1 |                   |",
        "      +-----------+                   |",
        "   1  | temperature                   |",
        "      |       +-----------------------+",
        "   2  |       |                       |",
        "      +-------+                       |",
        "   3  | humidity                      |",
        "      +---+---+-----------------------+",
        "   4  | 4 | 5 | -                     |",
        "      +---+---+-----------------------+",
    ]


def test_a_little_endian_word_shows_where_its_bits_really_stand() -> None:
    picture = bit_map((Word(16, (number("mode", 4), number("level", 12))),), range(1, 3))
    assert picture.splitlines() == [
        "byte    7   6   5   4   3   2   1   0",
        "      +-------------------------------+",
        "   0  | level                         |",
        "      +---------------+               |",
        "   1  | mode          |               |",
        "      +---------------+---------------+",
    ]


def test_a_part_that_begins_within_a_byte_leaves_the_bits_before_it_open() -> None:
    assert bit_map((number("a", 3), number("b", 2)), range(1, 3), first_bit=13).splitlines() == [
        "byte    7   6   5   4   3   2   1   0",
        "                          +-----------+",
        "   1                      | a         |",
        "      +-------+           +-----------+",
        "   2  | b     |",
        "      +-------+",
    ]


def test_long_fields_are_cut_short_and_places_after_a_dynamic_part_are_relative() -> None:
    picture = bit_map((Control("_flags", 8), Opaque("serial", "Serial", 64)), range(1, 3), relative=True)
    assert picture.splitlines() == [
        "byte    7   6   5   4   3   2   1   0",
        "      +-------------------------------+",
        "  +0  | flags                         |",
        "      +-------------------------------+",
        "  +1  | serial                        |",
        "  ..  |                               |",
        "  +8  |                               |",
        "      +-------------------------------+",
    ]


@given(
    st.lists(st.integers(1, 32), min_size=1, max_size=20),
    st.integers(0, 7),
)
def test_every_field_is_named_or_numbered_exactly_once(widths: list[int], first_bit: int) -> None:
    leaves = tuple(number(f"field_{place}", bits) for place, bits in enumerate(widths))
    numbers = range(100, 100 + len(leaves))
    lines = bit_map(leaves, numbers, first_bit).splitlines()
    assert max(map(len, lines)) <= 6 + 33
    assert all(line.isascii() for line in lines)
    texts = re.findall(r"field_\d+|\d+", " ".join(line[6:] for line in lines[1:]))
    assert len(texts) == len(leaves)
    for place, one in enumerate(numbers):
        assert (texts.count(f"field_{place}"), texts.count(str(one))) in {(1, 0), (0, 1)}
    rows = [line for line in lines[1:] if line[:6].strip()]
    assert ".." in {line[:6].strip() for line in rows} or len(rows) == (first_bit + sum(widths) + 7) // 8
