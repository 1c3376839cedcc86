"""What steers a message is no argument of its encoder: generated code derives it from the arguments that are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from siel_codecs.schema.below import names
from siel_codecs.schema.to_micropython.codes import refusal
from siel_codecs.schema.to_micropython.text import is_none_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_codecs.schema.model import Choice, Control, Repeat, Samples
    from siel_codecs.schema.to_micropython.plan import Steered
    from siel_codecs.schema.to_micropython.text import Lines

Locals = Mapping[str, str]
"""Variables of generated code by the name of the data or of the control."""


def derive(lines: Lines, local: Locals, control: Control, steered: Steered) -> None:
    """Emit how a control gets its code: from the length of its lists, else from what is given."""
    if steered.lists:
        _count(lines, local, control, steered)
        refuse_others(lines, local, control, steered)
        return
    if not steered.switches:
        lines.add(f"{control.name} = 0")
        return
    # Nothing given: the first code without data, else the first
    options = sorted(steered.options, key=lambda option: bool(option.names))
    every = steered.names()
    branches: list[tuple[list[str], int]] = []
    for option in options if not options[0].names else steered.options:
        tests = [f"{local[each]} is None" for each in every if each not in option.names]
        branches.append((tests, option.code))
        if not tests:
            break
    _choose(lines, control.name, branches, [local[each] for each in every])


def _choose(lines: Lines, name: str, branches: list[tuple[list[str], int]], every: list[str]) -> None:
    if not branches[0][0]:
        lines.add(f"{name} = {branches[0][1]}")
        return
    if len(branches) == 2 and not branches[1][0]:  # noqa: PLR2004 - a conditional expression has two ends
        one_line = f"{name} = {branches[0][1]} if {' and '.join(branches[0][0])} else {branches[1][1]}"
        if lines.fits(one_line):
            lines.add(one_line)
            return
    for index, (tests, code) in enumerate(branches):
        if tests:
            lines.joined("elif " if index else "if ", tests, "and", ":")
        else:
            lines.add("else:")
        with lines.block():
            lines.add(f"{name} = {code}")
    if branches[-1][0]:
        lines.add("else:", f"    {refusal(' or '.join(every))}")


def _count(lines: Lines, local: Locals, control: Control, steered: Steered) -> None:
    name = control.name
    first, *others = [each for item in steered.lists for each in list_names(local, item)]
    none_is_empty(lines, first)
    lines.add(f"{name} = len({first})", f"if {name} > {(1 << control.bits) - 1}:", f"    {refusal(first)}")
    check_equal(lines, name, others)


def refuse_others(lines: Lines, local: Locals, leaf: Control | Choice, steered: Steered) -> None:
    """Emit the refusal of what is given for another code than the one in hand: it would get lost."""
    for name in steered.names():
        codes = steered.codes_with(name)
        if not steered.possible or steered.possible - codes:
            var, test = local[name], is_none_of(local[leaf.name], codes)
            lines.add(f"if {var} is not None and {test}:", f"    {refusal(var)}")


def list_names(local: Locals, item: Repeat | Samples) -> list[str]:
    """Return the variables with the lists of one item."""
    return [local[each] for each in names((item,))]


def none_is_empty(lines: Lines, name: str) -> None:
    """Emit that no list is an empty one."""
    lines.add(f"if {name} is None:", f"    {name} = ()")


def check_equal(lines: Lines, count: str, lists: Sequence[str]) -> None:
    """Emit the refusal of lists of another length."""
    for each in lists:
        lines.add(f"if {each} is not None and len({each}) != {count}:", f"    {refusal(each)}")
