"""From the table of one field to its leaf of the model; what a leaf alone can have wrong is found here."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from fractions import Fraction
from math import lcm
from typing import Final, Literal

from siel_codecs.schema.load.tables import Const, Field
from siel_codecs.schema.load.values import Type
from siel_codecs.schema.model import (
    CHANNEL,
    MAX_FIELD_BITS,
    MAX_NUMERATOR,
    Absent,
    Choice,
    Constant,
    Control,
    Leaf,
    NodeInput,
    Number,
    Opaque,
    Special,
    Unit,
)
from siel_codecs.toml_lines import TomlPath

SPECIALS: Final = {
    "not_available": Absent.NOT_AVAILABLE,
    "under_range": Absent.UNDER_RANGE,
    "over_range": Absent.OVER_RANGE,
    "fault": Absent.FAULT,
}
_NUMBER_KEYS: Final = frozenset(["scale", "offset", "unit", "min", "max", "saturate", "node", "delta"])
_CHOICE_KEYS: Final = frozenset(["enum", "true_is"])


class Context:
    """What every part of the loader shares: the faults found so far and what fields may refer to."""

    def __init__(self, units: dict[str, Unit]) -> None:
        self.units = units
        self.faults: list[tuple[TomlPath, str]] = []
        self.direction: Literal["up", "down"] = "up"
        self.units_of_names: dict[str, str] = {}
        """Of the message that is being read."""

    def fault(self, path: TomlPath, *reason_parts: str) -> None:
        """Note a fault."""
        self.faults.append((path, "".join(reason_parts)))


def leaf_of(table: Field, path: TomlPath, context: Context) -> Leaf:
    """Return what the field is; with faults, something near it, so that the others can be found too."""
    form, allowed = _form(table)
    for key in sorted((_NUMBER_KEYS | _CHOICE_KEYS | set(SPECIALS) | {"title", "count"}) - allowed):
        if key in table.model_fields_set:
            context.fault((*path, key), f"is no key of {form}")
    title = table.title or _title_of(table.name)
    bits = table.type.bits
    if form == "a control":
        if table.type.kind == "hex" or table.type.signed:
            context.fault((*path, "type"), "a control is unsigned: u1 to u32 or bool")
        return Control(table.name, min(bits, MAX_FIELD_BITS))
    if form == "bytes in hex":
        return Opaque(table.name, title, bits)
    return _number(table, title, path, context) if form == "a number" else _choice(table, title, path, context)


def constant_of(table: Const, path: TomlPath, context: Context) -> Constant:
    """Return the constant."""
    kind: Type = table.type
    if kind.kind == "hex" or kind.signed:
        context.fault((*path, "type"), "a constant is unsigned: u1 to u32 or bool")
    elif not 0 <= table.const < 1 << kind.bits:
        context.fault((*path, "const"), f"{table.const} does not fit {_bits(kind.bits)}")
    return Constant(table.title, min(kind.bits, MAX_FIELD_BITS), table.const)


def _form(table: Field) -> tuple[str, frozenset[str]]:
    if table.name.startswith("_"):
        return "a control", frozenset()
    if table.type.kind == "hex":
        return "bytes in hex", frozenset(["title"])
    common = frozenset(["title", "count", *SPECIALS])
    if table.enum is not None:
        return "an enum", common | {"enum"}
    if table.type.kind == "bool":
        return "a flag", (common - set(SPECIALS)) | _CHOICE_KEYS
    return "a number", common | _NUMBER_KEYS


def _title_of(name: str) -> str:
    words = name.replace(CHANNEL, "").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _bits(bits: int) -> str:
    return "1 bit" if bits == 1 else f"{bits} bits"


def _choice(table: Field, title: str, path: TomlPath, context: Context) -> Choice:
    kind: Type = table.type
    if kind.signed:
        context.fault((*path, "type"), "the codes of an enum are unsigned")
    true_is = 1 if table.true_is is None else table.true_is
    meanings = table.enum or tuple((code, code == true_is) for code in (0, 1))
    for code, _ in meanings:
        if not 0 <= code < 1 << kind.bits:
            context.fault((*path, "enum", str(code)), f"code {code} does not fit {_bits(kind.bits)}")
    specials = _specials(table, path, context)
    for special, key in specials:
        taken = next((code for code, _ in meanings if special.first <= code <= special.last), None)
        if taken is not None:
            context.fault((*path, key), f"code {taken} has a meaning in enum too")
    return Choice(table.name, title, kind.bits, meanings, tuple(special for special, _ in specials))


def _specials(table: Field, path: TomlPath, context: Context) -> list[tuple[Special, str]]:
    # In the order of the keys; the first code of each key is the one that is sent
    lowest, highest = _codes_of(table.type)
    found: list[tuple[Special, str]] = []
    for key, absent in SPECIALS.items():
        for first, last in getattr(table, key) or ():
            ends = [_as_code(code, table.type) for code in (first, last)]
            if not all(lowest <= code <= highest for code in ends):
                wrong = first if not lowest <= ends[0] <= highest else last
                context.fault(
                    (*path, key), f"code {wrong} does not fit {_bits(table.type.bits)} ({lowest} to {highest})"
                )
            elif ends[0] > ends[1]:
                context.fault((*path, key), "from must not be above to")
            else:
                other = next((o for s, o in found if s.first <= ends[1] and ends[0] <= s.last), None)
                if other is not None:
                    context.fault((*path, key), f"{_range(*ends)} stands in {other} too")
                found.append((Special(ends[0], ends[1], absent), key))
    return found


def _codes_of(kind: Type) -> tuple[int, int]:
    lowest = -(1 << kind.bits - 1) if kind.signed else 0
    return lowest, lowest + (1 << kind.bits) - 1


def _as_code(code: int, kind: Type) -> int:
    # Codes of signed types may be written as they stand on the wire
    return code - (1 << kind.bits) if kind.signed and 1 << kind.bits - 1 <= code < 1 << kind.bits else code


def _range(first: int, last: int) -> str:
    return f"code {first}" if first == last else f"codes {first} to {last}"


def _number(table: Field, title: str, path: TomlPath, context: Context) -> Number:
    scale = Fraction(1) if table.scale is None else table.scale
    if scale <= 0:
        context.fault((*path, "scale"), f"{scale} must be above 0, or no value leads back to its code")
        scale = Fraction(1)
    offset = table.offset or Fraction(0)
    den = lcm(scale.denominator, offset.denominator)
    num, add = int(scale * den), int(offset * den)
    lowest, highest = _codes_of(table.type)
    largest = max(abs(lowest * num + add), abs(highest * num + add), abs(add), den)
    if largest >= MAX_NUMERATOR:
        key = "scale" if table.scale is not None else "offset"
        context.fault((*path, key), "has too many digits: values beyond 2^51 steps cannot be told apart everywhere")
    specials = _specials(table, path, context)
    steps = _Steps(num, add, den)
    code_min, code_max = _limits(table, steps, specials, path, context)
    return Number(
        name=table.name,
        title=title,
        bits=table.type.bits,
        signed=table.type.signed,
        num=num,
        add=add,
        den=den,
        code_min=code_min,
        code_max=code_max,
        specials=tuple(special for special, _ in specials),
        saturates=context.direction == "up" if table.saturate is None else table.saturate,
        unit=_unit(table, path, context),
        node=_node(table, scale, path, context),
    )


class _Steps:
    def __init__(self, num: int, add: int, den: int) -> None:
        self.num, self.add, self.den = num, add, den

    def code(self, value: Fraction) -> Fraction:
        return (value * self.den - self.add) / self.num

    def show(self) -> str:
        step = show(Fraction(self.num, self.den))
        return step if self.add % self.num == 0 else f"{step} from {show(Fraction(self.add, self.den))}"


def show(value: Fraction) -> str:
    """Return a number as a person would write it: a decimal where it is one, else a fraction."""
    rest, digits = value.denominator, 0
    while rest % 2 == 0 or rest % 5 == 0:
        rest //= 10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2
        digits += 1
    if rest != 1:
        return str(value)
    return f"{value.numerator * 10**digits // value.denominator / 10**digits:.{digits}f}" if digits else str(value)


def _limits(
    table: Field, steps: _Steps, specials: list[tuple[Special, str]], path: TomlPath, context: Context
) -> tuple[int, int]:
    lowest, highest = _codes_of(table.type)
    # Without min and max every code is a value, but for those at the edges that say why there is none
    low, high = _peel(lowest, highest, [special for special, _ in specials])
    limits = {"min": low, "max": high}
    for key, limit in (("min", table.min), ("max", table.max)):
        if limit is None:
            continue
        code = steps.code(limit)
        if code.denominator != 1:
            context.fault((*path, key), f"{show(limit)} is no whole number of steps of {steps.show()}")
        elif not lowest <= code <= highest:
            fits = f"does not fit {_bits(table.type.bits)} ({lowest} to {highest})"
            context.fault((*path, key), f"{show(limit)} is code {code}, which {fits}")
        else:
            limits[key] = int(code)
    low, high = limits["min"], limits["max"]
    if low > high:
        key = "max" if table.max is not None else "min" if table.min is not None else specials[-1][1]
        reason = "must not be below min" if table.max is not None and table.min is not None else "leaves no value"
        context.fault((*path, key), reason)
        return lowest, highest
    for special, key in specials:
        if special.first <= high and low <= special.last:
            codes = _range(special.first, special.last)
            context.fault((*path, key), f"{codes} would be a value too: min and max must leave it out")
    return low, high


def _peel(low: int, high: int, specials: Iterable[Special]) -> tuple[int, int]:
    ordered = sorted(specials, key=lambda special: special.first)
    for special in ordered:
        if special.first <= low <= special.last:
            low = special.last + 1
    for special in reversed(ordered):
        if special.first <= high <= special.last:
            high = special.first - 1
    return low, high


def _unit(table: Field, path: TomlPath, context: Context) -> Unit | None:
    if table.unit is None:
        return None
    unit = context.units.get(table.unit)
    if unit is None:
        near = _near_units(table.unit, context.units)
        hint = f"near: {', '.join(near)}" if near else f"known: {', '.join(context.units)}"
        context.fault((*path, "unit"), f'{table.unit!r} is no known unit ({hint}); own units stand in [unit."..."]')
    return unit


def _near_units(asked: str, units: dict[str, Unit]) -> list[str]:
    # What people read, SenML and UCUM say may have been meant; else a slip of the pen
    same = [code for code, unit in units.items() if {asked, f"°{asked}"} & {unit.display, unit.ucum, unit.senml}]
    return same[:3] or get_close_matches(asked, units, 3, 0.5)


def _node(table: Field, scale: Fraction, path: TomlPath, context: Context) -> NodeInput | None:
    if table.node is None:
        return None
    step = scale if table.node.scale is None else table.node.scale
    if step <= 0:
        context.fault((*path, "node", "scale"), f"{step} must be above 0")
        return None
    return NodeInput(table.node.name, step.numerator, step.denominator)
