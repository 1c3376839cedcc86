"""From one value of a node to its code: the branches of generated code, and what people read above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from siel_codecs.schema.model import Absent
from siel_codecs.schema.to_micropython.text import is_none_of

if TYPE_CHECKING:
    from siel_codecs.schema.model import Choice, Number
    from siel_codecs.schema.to_micropython.numbers import Scaling

_LONGEST_NAMES: Final = 60


def _bits(bits: int) -> str:
    return "1 bit" if bits == 1 else f"{bits} bits"


def refusal(name: str) -> str:
    """Return the statement that refuses a value."""
    return f'raise ValueError("{name if len(name) <= _LONGEST_NAMES else "values that cannot stand together"}")'


def number_branches(
    number: Number, by: Scaling, names: tuple[str, str], *, masked: bool
) -> list[tuple[str, list[str]]]:
    """Return the branches that turn the value in the first of ``names`` into a code; the second is told when refused.

    Not ``masked``: the code keeps its sign.
    """
    name, told = names
    mask = number.mask if masked else -1

    def sent(code: int | None) -> list[str]:
        return [refusal(told) if code is None else f"{name} = {code & mask}"]

    under = _saturated(number, Absent.UNDER_RANGE, number.code_min)
    over = _saturated(number, Absent.OVER_RANGE, number.code_max)
    missing, fault = number.special(Absent.NOT_AVAILABLE), number.special(Absent.FAULT)
    branches = [(f"{name} is None", sent(missing))]
    if fault is not None:
        branches.append((f"{name} == FAULT", sent(fault)))
    branches += [(f"{name} < {by.low}", sent(under)), (f"{name} > {by.high}", sent(over))]
    if missing is None and fault is None and under is None and over is None:
        branches = [(f"{name} is None or not {by.low} <= {name} <= {by.high}", sent(None))]
    elif under is None and over is None:
        branches[-2:] = [(f"not {by.low} <= {name} <= {by.high}", sent(None))]
    above, below = by.above(name), by.below(name)
    if by.ties and by.low < 0 <= by.high and above != below:
        codes = [(f"{name} >= 0", above), ("", below)]
    else:
        codes = [("", below if by.ties and by.high < 0 else above)]
    for test, expression in codes:
        if masked and number.code_min < 0:
            lines = [f"{name} &= {mask}"] if expression == name else [f"{name} = {_masked(expression, mask)}"]
        elif expression == name:
            continue
        else:
            lines = [f"{name} = {expression}"]
        branches.append((test, lines))
    return branches


def _masked(expression: str, mask: int) -> str:
    return f"{expression} & {mask}"  # & binds weaker than what numbers are made with


def _saturated(number: Number, absent: Absent, end: int) -> int | None:
    if not number.saturates:
        return None
    code = number.special(absent)
    return end if code is None else code


def choice_branches(choice: Choice, name: str, told: str) -> list[tuple[str, list[str]]]:
    """Return the branches that turn what is in ``name`` into a code; ``told`` is its name when it is refused."""
    missing, fault = choice.special(Absent.NOT_AVAILABLE), choice.special(Absent.FAULT)
    branches = [(f"{name} is None", [refusal(told) if missing is None else f"{name} = {missing}"])]
    if fault is not None:
        branches.append((f"{name} == FAULT", [f"{name} = {fault}"]))
    if choice.is_flag:
        codes = {bool(value): code for code, value in choice.meanings}
        if len(codes) == 2 and len(branches) == 1 and missing is None:  # noqa: PLR2004 - true and false
            return [*branches, ("", [f"{name} = {codes[True]} if {name} else {codes[False]}"])]
        yes, no = (f"{name} = {codes[value]}" if value in codes else refusal(told) for value in (True, False))
        return [*branches, (name, [yes]), ("", [no])]
    meant = [code for code, _ in choice.meanings]
    sent = [code for code in (missing, fault) if code is not None]
    whole = len(meant) == 1 << choice.bits
    test = f"not 0 <= {name} <= {(1 << choice.bits) - 1}" if whole else is_none_of(name, meant)
    if not sent:
        return [(f"{name} is None or {test}", [refusal(told)])]
    return [*branches, (test, [refusal(told)])]


def told_range(number: Number) -> str:
    """Return a number for people."""
    low, high = (number.value(code) for code in (number.code_min, number.code_max))
    unit = f" {number.unit.display}" if number.unit and number.unit.display else ""
    return f"{number.title}: {low:.10g} to {high:.10g}{unit}, {_bits(number.bits)}"


def told_meanings(choice: Choice) -> str:
    """Return a choice for people."""
    meanings = (f"{code} {value}" for code, value in choice.meanings)
    return f"{choice.title}: {'True or False' if choice.is_flag else ', '.join(meanings)}, {_bits(choice.bits)}"
