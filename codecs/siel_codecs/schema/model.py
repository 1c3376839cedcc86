"""The one model between a schema's text and everything made from it.

A number on the wire is a *code* of some bits. Its value in display units is ``(code + offset) * num / den``: one
integer sum, then one division, exact and the same in every language. A node hands in integers of its own unit;
one of them is ``node.num / node.den`` steps of the code.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

MAX_FIELD_BITS: Final = 32
MAX_FRAME_BYTES: Final = 51
"""What EU868 carries at its slowest data rate. Source: RP002-1.0.4, table "EU863-870 maximum payload size"."""


class Absent(Enum):
    """Why a field of a sound frame carries no value; the text ends a warning."""

    NOT_AVAILABLE = "not available"
    OUT_OF_RANGE = "outside its range"


class Unit(msgspec.Struct, frozen=True):
    """One unit in the codes of those who ask: people, SenML, UCUM (SensorThings)."""

    display: str
    senml: str
    senml_num: int
    senml_den: int
    """A display value times num / den is the value in the SenML unit."""
    ucum: str


class NodeInput(msgspec.Struct, frozen=True):
    """The integer that the node's encoder takes."""

    name: str
    num: int
    den: int
    """An input times num / den is ``code + offset``, rounded half away from zero."""


class Number(msgspec.Struct, frozen=True):
    """A number of some bits; ``code`` below is what stands on the wire, its sign already applied."""

    name: str
    title: str
    bits: int
    signed: bool
    offset: int
    num: int
    den: int
    code_min: int
    code_max: int
    """Values outside saturate when they are sent; codes outside are no value when they are received."""
    not_available: int | None
    """The code that says so, outside code_min to code_max."""
    unit: Unit
    node: NodeInput

    @property
    def mask(self) -> int:
        """All bits of the field set."""
        return (1 << self.bits) - 1

    @property
    def every_code_is_a_value(self) -> bool:
        """Whether no check is needed on reception."""
        return self.code_max - self.code_min == self.mask

    def value(self, code: int) -> int | float:
        """Return the value of a code in display units; an integer where no division is left."""
        steps = (code + self.offset) * self.num
        return steps if self.den == 1 else steps / self.den


class Frame(msgspec.Struct, frozen=True):
    """One payload layout: version bits, then the fields, most significant bit first, zeros up to a whole byte."""

    f_port: int
    version_bits: int
    version: int
    fields: tuple[Number, ...]

    @property
    def bits(self) -> int:
        """The sum of all widths."""
        return self.version_bits + sum(field.bits for field in self.fields)

    @property
    def size(self) -> int:
        """The payload in whole bytes."""
        return (self.bits + 7) // 8

    def shifts(self) -> list[int]:
        """Return per field how many bits of the payload stand right of it."""
        right, shifts = self.size * 8 - self.version_bits, list[int]()
        for field in self.fields:
            right -= field.bits
            shifts.append(right)
        return shifts


class Device(msgspec.Struct, frozen=True):
    """One sensor type: all of what its schema says."""

    name: str
    """``vendor/device``."""
    title: str
    description: str
    frames: tuple[Frame, ...]
    """One per port."""
