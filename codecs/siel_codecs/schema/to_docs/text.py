"""Rows, tables and turns of phrase of a page about a sensor type."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from siel_codecs.schema.below import static_bits
from siel_codecs.schema.model import (
    Choice,
    Constant,
    Control,
    Lookahead,
    Number,
    Opaque,
    Repeat,
    Reserved,
    Samples,
    Switch,
    Tlv,
    Word,
)
from siel_codecs.schema.rules import word
from siel_codecs.schema.to_senml import exact
from siel_codecs.schema.wire import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siel_codecs.schema.model import Item, Leaf, Message, SeriesLeaf, Unit

COLUMNS: Final = ("#", "name", "bits", "kind", "range", "step", "unit", "SenML", "UCUM", "no value", "what")
"""Of a row."""
MAX_ARM_CODES: Final = 6
"""More codes of one group are told as a number."""


def flat(items: tuple[Item, ...]) -> Iterator[tuple[int | None, str, Leaf, bool]]:
    """Yield place, condition, leaf and byte order of each leaf of a Tlv entry."""
    at: int | None = 0
    for item in items:
        bits = static_bits((item,))
        if isinstance(item, Word):
            yield from ((at, "", leaf, item.bits > 8) for leaf in item.leaves)  # noqa: PLR2004 - a byte has no order
        elif isinstance(item, Switch):
            for arm in item.arms:
                for place, condition, leaf, little in flat(arm.items):
                    where = None if at is None or place is None else at + place
                    yield where, f"if {condition_text(item.control, arm.codes)}: {condition}", leaf, little
        elif isinstance(item, Repeat):
            yield at, f"{times(item.count)}: ", item.leaf, False
        elif isinstance(item, Samples):
            yield from ((None, f"{times(item.count)}: ", each.leaf, False) for each in item.leaves)
        elif not isinstance(item, Lookahead | Tlv):
            yield at, "", item, False
        at = None if at is None or bits is None else at + bits


def row(number: str, leaf: Leaf, *, little: bool) -> tuple[str, ...]:
    """Return what COLUMNS say of a leaf; ``little`` if it stands in a word of several bytes."""
    order = " le" if little else ""
    bits = str(leaf.bits)
    if isinstance(leaf, Number):
        unit = leaf.unit
        return (
            number, f"`{leaf.name}`", bits, ("signed" if leaf.signed else "unsigned") + order, _range(leaf),
            _decimal(leaf.scale), *_unit(unit), _absent(leaf), _what(leaf),
        )  # fmt: skip
    if isinstance(leaf, Choice):
        words = ", ".join(f"{code} = {word(value)}" for code, value in leaf.meanings)
        kind = "flag" if leaf.is_flag else "enum"
        return number, f"`{leaf.name}`", bits, kind + order, words, "", "", "", "", _absent(leaf), _what(leaf)
    if isinstance(leaf, Opaque):
        return number, f"`{leaf.name}`", bits, "hex", f"{leaf.bits // 8} bytes", "", "", "", "", "", leaf.title
    if isinstance(leaf, Control):
        name = f"{leaf.name.lstrip('_')}"
        return number, name, bits, "control" + order, "", "", "", "", "", "", "steers what follows; no data"
    if isinstance(leaf, Constant):
        return number, leaf.title, bits, "constant" + order, str(leaf.code), "", "", "", "", "", ""
    return number, "reserved", bits, "reserved" + order, "", "", "", "", "", "", "sent as 0, not looked at"


def _what(leaf: Number | Choice) -> str:
    return leaf.title + ("; no data" if leaf.name.startswith("_") else "")


def _range(leaf: Number) -> str:
    return f"{leaf.value(leaf.code_min)} to {leaf.value(leaf.code_max)}"


def _unit(unit: Unit | None) -> tuple[str, str, str]:
    if unit is None:
        return "", "", ""
    factor = Fraction(unit.senml_num, unit.senml_den)
    senml = unit.senml if factor == 1 or not unit.senml else f"{unit.senml} (* {_decimal(factor)})"
    return unit.display, senml, unit.ucum


def _decimal(value: Fraction) -> str:
    number = exact(value)
    return f"{number:f}" if isinstance(number, Decimal) else str(value)


def _absent(leaf: Number | Choice) -> str:
    parts = [
        f"{special.first}{f' to {special.last}' if special.last != special.first else ''} {special.absent.value}"
        for special in leaf.specials
    ]
    return ", ".join(parts)


def difference(each: SeriesLeaf) -> str:
    """Return how a leaf is coded from the second sample on."""
    name = "the reserved bits" if isinstance(each.leaf, Reserved) else f"`{each.leaf.name}`"
    most = (1 << each.delta_bits - 1) - 1
    return (
        f"{name}: {each.delta_bits} bits, the signed difference of its code from the sample before it, "
        f"{-most} to {most}; {-most - 1} says that the whole code of {each.leaf.bits} bits follows"
    )


def step_text(item: Samples) -> str:
    """Return a sentence on the time between two samples."""
    if not isinstance(item.step, int):
        ms = f"{item.step.name.lstrip('_')} * {_decimal(Fraction(item.step.ms_num, 1000))}"
        add = f" + {_decimal(Fraction(item.step.ms_add, 1000))}" if item.step.ms_add else ""
        return f"Between two samples lie {ms}{add} seconds (by the code of that field)."
    if item.step:
        return f"Between two samples lie {_decimal(Fraction(item.step, 1000))} seconds."
    return "Only the time of the newest is known."


def times(count: int | str | None) -> str:
    """Return how often something is repeated."""
    if count is None:
        return "as many as there are up to the end"
    return f"{count} times" if isinstance(count, int) else f"`{count.lstrip('_')}` times"


def condition_text(control: str, codes: tuple[int, ...]) -> str:
    """Return under which codes of its control an arm is there."""
    shown = ", ".join(map(str, codes[:MAX_ARM_CODES]))
    if len(codes) > MAX_ARM_CODES:
        shown = f"one of {len(codes)} codes ({codes[0]} to {codes[-1]})"
    return f"`{control.lstrip('_')}` is {shown if ',' not in shown or 'one of' in shown else 'one of ' + shown}"


def heading(when: list[str], *, alone: bool = False) -> str:
    """Return the conditions in bold, as a line of their own or before a sentence; nothing without conditions."""
    if not when:
        return ""
    text = f"**If {' and '.join(when)}**"
    return text + ":" if alone else text + ": "


def dynamic_size(message: Message) -> str:
    """Return a sentence on the size of a message that has no fixed one."""
    layout = Layout(message)
    least = len(layout.payload(layout.fewest()))
    return f"{least} byte{'s' if least != 1 else ''} at least; what is in it decides."


def place(first_bit: int, bits: int) -> str:
    """Return where bits stand as byte.bit, ends included."""
    last = first_bit + bits - 1
    if first_bit % 8 == 0 and last % 8 == 7:  # noqa: PLR2004 - bits of a byte
        return str(first_bit // 8) if first_bit // 8 == last // 8 else f"{first_bit // 8} to {last // 8}"
    first, end = f"{first_bit // 8}.{7 - first_bit % 8}", f"{last // 8}.{7 - last % 8}"
    return first if first == end else f"{first} to {end}"


def name_of(leaf: Leaf) -> str:
    """Return the name of a leaf, empty where it has none."""
    return "" if isinstance(leaf, Constant | Reserved) else leaf.name


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table without the columns that are empty in every row."""
    cells = [[text.replace("|", "\\|") for text in row] for row in rows]
    kept = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    widths = [max(len(columns[place]), *(len(row[place]) for row in cells)) for place in kept]

    def line(row: Sequence[str]) -> str:
        texts = (f"{row[place]:<{width}}" for place, width in zip(kept, widths, strict=True))
        return "| " + " | ".join(texts) + " |"

    return [line(columns), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, cells)]
