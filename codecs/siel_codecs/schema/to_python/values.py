"""Generated Python that turns a code into a value, or into a warning."""

from __future__ import annotations

from siel_codecs.schema import words
from siel_codecs.schema.model import Absent, Choice, Number
from siel_codecs.schema.to_python.place import Sink
from siel_codecs.schema.to_python.text import Code, Lines, filled


def store(
    out: Lines,
    leaf: Number | Choice,
    code: str,
    into: str,
    name: list[str],
    sink: Sink,
    *,
    close: str = "",
    wide: bool = False,
) -> None:
    """Add the code that gives a value ``into`` something, or warns about ``name``.

    Args:
        out: Where the code goes.
        leaf: What the code is of.
        code: Its expression.
        into: What stands before the value.
        name: The pieces of the name in warnings.
        sink: Where warnings go.
        close: What stands after the value; then None is stored where there is no value.
        wide: The code may be outside the leaf's bits.
    """
    absent: list[str] = [f"{into}None{close}"] if close else []
    if isinstance(leaf, Choice):
        _choice(out, leaf, code, into, name, sink, close, absent, wide)
        return
    if leaf.every_code_is_a_value and not wide:
        out(f"{into}{_value(leaf, code)}{close}")
        return
    if not code.isidentifier():
        out(f"v = {code}")
        code = "v"
    low = "" if leaf.code_min == leaf.lowest and not wide else f"{leaf.code_min} <= "
    high = "" if leaf.code_max == leaf.highest and low and not wide else f" <= {leaf.code_max}"
    out.block(f"if {low}{code}{high}:", [f"{into}{_value(leaf, code)}{close}"])
    _specials(out, leaf, code, name, sink, absent)
    outside = filled(words.ABSENT, name=name, why=Absent.OUT_OF_RANGE.value)
    out.block("else:", [*absent, f"{sink.warnings}.append({outside})"])


def _choice(
    out: Lines,
    leaf: Choice,
    code: str,
    into: str,
    name: list[str],
    sink: Sink,
    close: str,
    absent: list[str],
    wide: bool,
) -> None:
    """Add the code of an enum or a flag."""
    meanings = dict(leaf.meanings)
    if leaf.bits == 1 and leaf.is_flag and set(meanings) == {0, 1} and not wide:
        true_is = int(meanings[1] is True)
        out(f"{into}({code}) == {true_is}{close}")
        return
    if not code.isidentifier():
        out(f"v = {code}")
        code = "v"
    out(f"m = {out.constant('MEANINGS', meanings)}.get({code})")
    out.block("if m is not None:", [f"{into}m{close}"])
    _specials(out, leaf, code, name, sink, absent)
    unknown = filled(words.UNKNOWN_CODE, name=name, code=Code(f"str({code})"))
    out.block("else:", [*absent, f"{sink.warnings}.append({unknown})"])


def _specials(out: Lines, leaf: Number | Choice, code: str, name: list[str], sink: Sink, absent: list[str]) -> None:
    """Add the branches of codes that say why there is no value."""
    for special in leaf.specials:
        one = special.first == special.last
        head = f"{code} == {special.first}" if one else f"{special.first} <= {code} <= {special.last}"
        why = filled(words.ABSENT, name=name, why=special.absent.value)
        out.block(f"elif {head}:", [*absent, f"{sink.warnings}.append({why})"])


def _value(leaf: Number, code: str) -> str:
    simple = leaf.num == 1 and leaf.add == 0 and leaf.den == 1
    steps = code if simple or code.isidentifier() else f"({code})"
    if leaf.num != 1:
        steps = f"{steps} * {leaf.num}"
    if leaf.add:
        steps = f"{steps} {'+' if leaf.add > 0 else '-'} {abs(leaf.add)}"
        steps = f"({steps})" if leaf.den != 1 else steps
    return steps if leaf.den == 1 else f"{steps} / {leaf.den}"
