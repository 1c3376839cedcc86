"""From one value to the code that stands for it; no code comes back without a place in the schema."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NoReturn

import msgspec

from siel_codecs.errors import PayloadError
from siel_codecs.schema import words
from siel_codecs.schema.model import Absent, Choice, Number, Opaque

ASKED: Final = {
    "not_available": Absent.NOT_AVAILABLE,
    "under_range": Absent.UNDER_RANGE,
    "over_range": Absent.OVER_RANGE,
    "fault": Absent.FAULT,
}
"""Texts that ask for a special code instead of a value."""


class RefusedValueError(Exception):
    """A value has no code: one of ``words``, and the name of the value."""

    def __init__(self, template: str, field: str | None, **parts: Any) -> None:
        """``parts`` go into the template."""
        super().__init__(template.format(**parts))
        self.field = field


def refuse(template: str, field: str | None, **parts: Any) -> NoReturn:
    """Raise the error with this text."""
    raise RefusedValueError(template, field, **parts)


def code_of(leaf: Number | Choice | Opaque, value: Any, field: str) -> int:
    """Return the code of a value.

    Raises:
        RefusedValueError: It has none.
    """
    if isinstance(leaf, Opaque):
        return _opaque(leaf, value, field)
    if isinstance(leaf, Choice):
        for code, meaning in leaf.meanings:
            if type(meaning) is type(value) and meaning == value:
                return code
    asked = Absent.NOT_AVAILABLE if value is None else ASKED.get(value) if isinstance(value, str) else None
    if asked is not None:
        special = leaf.special(asked)
        if special is not None:
            return special
        if value is None:
            refuse(words.NEEDS_VALUE, field)
        if isinstance(leaf, Number):
            refuse(words.NO_SUCH_CODE, field, why=asked.value)
    if isinstance(leaf, Choice):
        refuse(words.NOT_A_MEANING, field, known=", ".join(_shown(meaning) for _, meaning in leaf.meanings))
    try:
        number = exact(value, field)
    except PayloadError:
        refuse(words.NOT_A_NUMBER, field)
    steps = (number * leaf.den - leaf.add) / leaf.num
    return _in_range(leaf, half_away_from_zero(steps, number), field)


def _in_range(number: Number, code: int, field: str) -> int:
    if number.code_min <= code <= number.code_max:
        return code
    if not number.saturates:
        low, high = number.value(number.code_min), number.value(number.code_max)
        refuse(words.OUT_OF_RANGE, field, low=low, high=high)
    below = code < number.code_min
    special = number.special(Absent.UNDER_RANGE if below else Absent.OVER_RANGE)
    nearest = number.code_min if below else number.code_max
    return nearest if special is None else special


def _opaque(opaque: Opaque, value: Any, field: str) -> int:
    if value is None:
        refuse(words.NEEDS_VALUE, field)
    count = opaque.bits // 8
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-fA-F]{{{2 * count}}}", value):
        refuse(words.NOT_HEX, field, count=count)
    return int(value, 16)


def _shown(meaning: str | bool) -> str:
    return meaning if isinstance(meaning, str) else "true" if meaning else "false"


def seconds(moment: Any, bits: int, field: str) -> int:
    """Return a time, RFC 3339 or milliseconds, as whole UTC seconds since 1970.

    Raises:
        RefusedValueError: It is none, or has no place in so many bits.
    """
    if moment is None:
        refuse(words.NEEDS_VALUE, field)
    if isinstance(moment, str):
        try:
            when = msgspec.convert(moment, datetime)
        except msgspec.ValidationError:
            refuse(words.NOT_A_TIME, field)
        if when.tzinfo is None:
            refuse(words.NOT_A_TIME, field)
        found = int(when.timestamp() // 1)
    elif isinstance(moment, int) and not isinstance(moment, bool):
        found = moment // 1000
    else:
        refuse(words.NOT_A_TIME, field)
    if not 0 <= found < 1 << bits:
        refuse(words.OUT_OF_RANGE, field, low=0, high=((1 << bits) - 1) * 1000)
    return found


def exact(value: object, name: str) -> Fraction:
    """Return a number as people wrote it: 21.345 is 21345/1000, not the binary fraction beside it.

    Raises:
        PayloadError: No finite number.
    """
    if isinstance(value, int | float | Fraction | Decimal) and not isinstance(value, bool):
        try:
            return Fraction(str(value))
        except ValueError:  # nan, inf, or an integer of thousands of digits
            pass
    raise PayloadError("schema", words.NOT_A_NUMBER, field=name)


def half_away_from_zero(steps: Fraction, value: Fraction) -> int:
    """Round to the nearest integer; a tie goes to where ``value`` is further from zero."""
    twice = 2 * steps
    return (twice + 1).__floor__() // 2 if value >= 0 else -((1 - twice).__floor__() // 2)
