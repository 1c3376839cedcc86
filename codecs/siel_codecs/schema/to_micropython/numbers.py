"""Between the node's integer and the code on the wire: small integers, one division, rounding half away from zero."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, gcd
from typing import TYPE_CHECKING, Final

from siel_codecs.schema.model import Absent, NodeInput
from siel_codecs.schema.to_micropython.text import SMALL_INT_BITS, plus, times

if TYPE_CHECKING:
    from siel_codecs.schema.model import Choice, Number

GIVE_NODE: Final = 'give node = { name = "...", scale = ... }'


class CannotEmitError(Exception):
    """What this target cannot express; ``args`` are the field and the reason."""


def argument(leaf: Number | Choice) -> str:
    """Return the name under which the node gives or gets the value."""
    node = getattr(leaf, "node", None)
    return node.name if node else leaf.name


def node_step(number: Number) -> Fraction:
    """Return one step of the node's integer in display units."""
    return number.scale if number.node is None else Fraction(number.node.num, number.node.den)


@dataclass(frozen=True)
class Scaling:
    """Integer to code: ``(v * mul + add) // div`` from 0 up, ``-((less - v * mul) // div)`` below.

    Attributes:
        low: The smallest integer that is a code of the field.
        high: The largest.
        ties: Whether both formulas differ anywhere.
    """

    mul: int
    div: int
    add: int
    less: int
    ties: bool
    low: int
    high: int

    def above(self, name: str) -> str:
        """Return the code's expression for integers from 0 up."""
        text = plus(times(name, self.mul), self.add)
        return text if self.div == 1 else f"{text} // {self.div}" if text == name else f"({text}) // {self.div}"

    def below(self, name: str) -> str:
        """Return the code's expression for integers below 0."""
        if self.div == 1:
            return plus(times(name, self.mul), -self.less)
        product = times(name, self.mul)
        inner = f"{self.less} - {product}" if self.less else f"-{product}"
        return f"-(({inner}) // {self.div})"


def scaling(number: Number) -> Scaling:
    """Return how the node's integer becomes the code.

    Raises:
        CannotEmitError: It would leave the small integers, or has no integer for its offset.
    """
    step = number.node or NodeInput("", number.num, number.den)
    if number.node is None and number.add % number.num:
        raise CannotEmitError(number.name, f"its offset is no whole number of its steps: {GIVE_NODE}")
    # x = (v * top - base) / bottom is the code before it is rounded
    top, base, bottom = step.num * number.den, number.add * step.den, number.num * step.den
    common = gcd(top, bottom)
    mul, div, half = top // common, bottom // common, bottom // 2
    found = Scaling(
        mul=mul,
        div=div,
        add=(half - base) // common,
        less=(half + base) // common,
        ties=bottom % 2 == 0 and (half + base) % common == 0,
        low=_first(number.code_min, top, base, bottom),
        high=_first(number.code_max + 1, top, base, bottom) - 1,
    )
    _check_small(number, found)
    return _rounder(number, found, top, base, bottom)


def _first(code: int, top: int, base: int, bottom: int) -> int:
    """Return the smallest integer whose code is at least this one."""
    edge = Fraction(2 * (bottom * code + base) - bottom, 2 * top)
    # A tie below zero goes down, one from zero up goes up
    return int(edge) + 1 if edge.denominator == 1 and edge < 0 else ceil(edge)


def _rounder(number: Number, found: Scaling, top: int, base: int, bottom: int) -> Scaling:
    # Where the ends are sent for what lies outside them, limits that are values read better than rounding's edges
    low, high = found.low, found.high
    if number.saturates and number.special(Absent.UNDER_RANGE) is None:
        low = max(low, floor(Fraction(bottom * number.code_min + base, top)))
    if number.saturates and number.special(Absent.OVER_RANGE) is None:
        high = min(high, ceil(Fraction(bottom * number.code_max + base, top)))
    return Scaling(found.mul, found.div, found.add, found.less, found.ties, low, high)


def _check_small(number: Number, found: Scaling) -> None:
    if number.bits > SMALL_INT_BITS:
        raise CannotEmitError(number.name, f"{number.bits} bits; a small integer holds {SMALL_INT_BITS}")
    reached = [found.mul, found.div, found.add, found.less]
    for value in (found.low, found.high):
        product = value * found.mul
        reached += [value, product, product + found.add, found.less - product]
    if any(_is_large(value) for value in reached):
        raise CannotEmitError(number.name, f"its range needs more than {SMALL_INT_BITS} bits in the node's unit")


def _is_large(value: int) -> bool:
    return not -(1 << SMALL_INT_BITS) <= value < 1 << SMALL_INT_BITS


@dataclass(frozen=True)
class Growing:
    """Code to integer: ``code * mul + add``."""

    mul: int
    add: int

    def expression(self, name: str) -> str:
        """Return the integer's expression."""
        return plus(times(name, self.mul), self.add)


def growing(number: Number) -> Growing:
    """Return how a code becomes the node's integer.

    Raises:
        CannotEmitError: Not every code is an integer in the node's unit, or one leaves the small integers.
    """
    if number.bits > SMALL_INT_BITS:
        raise CannotEmitError(number.name, f"{number.bits} bits; a small integer holds {SMALL_INT_BITS}")
    step = node_step(number)
    mul, add = number.scale / step, Fraction(number.add, number.den) / step
    if mul.denominator != 1 or add.denominator != 1:
        raise CannotEmitError(number.name, f"not every code is a whole number of {step}: {GIVE_NODE}")
    found = Growing(int(mul), int(add))
    ends = [code * found.mul for code in (number.code_min, number.code_max)]
    if any(_is_large(value) for value in (found.mul, found.add, *ends, *(end + found.add for end in ends))):
        raise CannotEmitError(number.name, f"its range needs more than {SMALL_INT_BITS} bits in the node's unit")
    return found
