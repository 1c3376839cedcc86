"""The construct object of a frame: the readable reference that every other target is held against."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import construct as c

from siel_codecs.errors import PayloadError
from siel_codecs.schema.model import Absent

if TYPE_CHECKING:
    from siel_codecs.schema.model import Frame, Number

    Adapter = c.Adapter[int, int, Any, Any]
else:
    Adapter = c.Adapter

Value = int | float | Fraction


class Scaled(Adapter):
    """Between a code and a value in display units; an absent value says why."""

    def __init__(self, subcon: Any, field: Number) -> None:
        """``field`` is the model's entry, ``subcon`` its bits."""
        super().__init__(subcon)
        self.field = field

    def _decode(self, obj: int, context: Any, path: Any) -> Value | Absent:
        if obj == self.field.not_available:
            return Absent.NOT_AVAILABLE
        if not self.field.code_min <= obj <= self.field.code_max:
            return Absent.OUT_OF_RANGE
        return self.field.value(obj)

    def _encode(self, obj: Value | Absent | None, context: Any, path: Any) -> int:
        field = self.field
        if obj is None or isinstance(obj, Absent):
            if field.not_available is None:
                raise PayloadError("schema", "must have a value; it has no code for not available", field=field.name)
            return field.not_available
        code = half_away_from_zero(exact(obj, field.name) * field.den / field.num) - field.offset
        return min(max(code, field.code_min), field.code_max)


def exact(value: object, name: str) -> Fraction:
    """Return a number as people wrote it: 21.345 is 21345/1000, not the binary fraction beside it.

    Raises:
        PayloadError: No finite number.
    """
    if isinstance(value, int | float | Fraction) and not isinstance(value, bool):
        try:
            return Fraction(str(value))
        except ValueError:  # nan, inf, or an integer of thousands of digits
            pass
    raise PayloadError("schema", "must be a finite number or null", field=name)


def half_away_from_zero(value: Fraction) -> int:
    """Round to the nearest integer, ties away from zero, as every target does."""
    magnitude = (abs(value.numerator) * 2 + value.denominator) // (2 * value.denominator)
    return magnitude if value >= 0 else -magnitude


def frame_construct(frame: Frame) -> Any:
    """Return the construct object of one frame; it takes and gives a mapping of names to values."""
    bits = c.BitStruct(
        "version" / c.Const(frame.version, c.BitsInteger(frame.version_bits)),
        *[field.name / Scaled(c.BitsInteger(field.bits, signed=field.signed), field) for field in frame.fields],
        c.Padding(frame.size * 8 - frame.bits),
    )
    return c.FocusedSeq("payload", "payload" / bits, c.Terminated)
