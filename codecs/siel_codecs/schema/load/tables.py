"""The tables of a schema file as pydantic reads them: which keys there are and what kind of value each takes.

What a table means, and what it may not say beside others, is judged after it (``load_fields``, ``load_items``).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag
from pydantic import Field as Limits

from siel_codecs.schema.load.values import (
    MAX_F_PORT,
    MAX_FIELDS,
    Argument,
    Code,
    CodecName,
    Codes,
    ControlName,
    Count,
    Data,
    Display,
    FieldType,
    LongText,
    Meanings,
    MessageName,
    Name,
    Payload,
    Ports,
    Rational,
    Sizes,
    SpecialCodes,
    Title,
    UnitCode,
    between,
)
from siel_codecs.schema.model import MAX_PAYLOAD_BYTES

MAX_MESSAGES: Final = 64
MAX_EXAMPLES: Final = 256
MAX_INCLUDES: Final = 8
Kind = Literal[
    "water_level", "rain", "soil", "climate", "air_quality", "weather", "parking", "people_counting", "noise",
    "contact", "actuator", "diagnostics", "generic",
]  # fmt: skip


class Table(BaseModel):
    """No key that is not known, no value of another type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Node(Table):
    """The integer that a node's encoder takes."""

    name: Argument
    scale: Rational | None = None


class Field(Table):
    """A number, choice, control, opaque or array; ``load_fields`` tells them apart."""

    name: Name
    title: Title | None = None
    type: FieldType
    scale: Rational | None = None
    offset: Rational | None = None
    unit: UnitCode | None = None
    min: Rational | None = None
    max: Rational | None = None
    not_available: SpecialCodes | None = None
    under_range: SpecialCodes | None = None
    over_range: SpecialCodes | None = None
    fault: SpecialCodes | None = None
    saturate: bool | None = None
    node: Node | None = None
    enum: Meanings | None = None
    true_is: Annotated[int, between(0, 1)] | None = None
    count: Count = 0
    """0: no array. None: to the end."""
    delta: Annotated[int, between(2, 31)] | None = None


class Const(Table):
    """A code that must stand there."""

    const: Code
    type: FieldType
    title: Title = "constant"


class Unused(Table):
    """Bits without a meaning."""

    reserved: Annotated[int, between(1, 8 * MAX_PAYLOAD_BYTES)]


class LittleWord(Table):
    """Bytes in little-endian order that hold fields from the top down."""

    word: Literal[8, 16, 24, 32]
    field: Fields


class Group(Table):
    """Fields that are there for some codes of a control."""

    when: ControlName
    is_: Annotated[Codes | None, Limits(alias="is")] = None
    is_not: Codes | None = None
    field: Fields


class UnionArm(Table):
    """One arm of a union."""

    is_: Annotated[Codes, Limits(alias="is")]
    field: Annotated[list[AnyField], Limits(max_length=MAX_FIELDS)] = []


class Union(Table):
    """One of several groups by the code of a control."""

    switch: ControlName
    otherwise: Literal["error", "ignore"] = "error"
    arm: Annotated[list[UnionArm], Limits(min_length=1, max_length=MAX_FIELDS)]


class Series(Table):
    """The same fields again and again, with times."""

    samples: Count
    order: Literal["newest_first", "oldest_first"] = "newest_first"
    step_s: Rational | None = None
    step: ControlName | None = None
    base: ControlName | None = None
    field: Fields


class TlvEntry(Table):
    """A key and what follows it."""

    key: Annotated[int, between(0, 0xFFFF)]
    field: Fields
    time: ControlName | None = None


class TlvList(Table):
    """Entries that name themselves."""

    tlv: Literal["u8", "u16"]
    channel: bool = False
    length: bool = False
    unknown: Literal["stop", "skip", "raw"] = "stop"
    sizes: Sizes = ()
    tail: Annotated[int, between(0, 32)] = 0
    entry: Annotated[list[TlvEntry], Limits(min_length=1, max_length=MAX_FIELDS)]


FORMS: Final[dict[str, type[Table]]] = {
    "const": Const, "reserved": Unused, "word": LittleWord, "when": Group, "switch": Union, "samples": Series,
    "tlv": TlvList,
}  # fmt: skip
"""The key that tells each form; what has none of them is a Field."""


def _form(value: object) -> str:
    # The brackets mark what pydantic adds to the places of faults
    return f"<{next((key for key in FORMS if key in value), 'name') if isinstance(value, dict) else 'name'}>"


AnyField = Annotated[
    Annotated[Field, Tag("<name>")]
    | Annotated[Const, Tag("<const>")]
    | Annotated[Unused, Tag("<reserved>")]
    | Annotated[LittleWord, Tag("<word>")]
    | Annotated[Group, Tag("<when>")]
    | Annotated[Union, Tag("<switch>")]
    | Annotated[Series, Tag("<samples>")]
    | Annotated[TlvList, Tag("<tlv>")],
    Discriminator(_form),
]
Fields = Annotated[list[AnyField], Limits(min_length=1, max_length=MAX_FIELDS)]


class Version(Table):
    """Bits in front of every payload of a message."""

    bits: Annotated[int, between(1, 8)]
    value: Annotated[int, between(0, 255)]


class MessageTable(Table):
    """One payload layout."""

    name: MessageName = ""
    title: Title | None = None
    f_port: Ports = ()
    version: Version | None = None
    extra: Literal["error", "ignore"] = "error"
    field: Fields


class UnitTable(Table):
    """A unit that the package does not know."""

    display: Display
    senml: UnitCode = ""
    senml_factor: Rational = Fraction(1)
    ucum: UnitCode = ""


class ExampleTable(Table):
    """A payload and what it says."""

    title: Title | None = None
    direction: Literal["up", "down"] = "up"
    f_port: Annotated[int, between(1, MAX_F_PORT)]
    bytes: Payload
    data: Data
    warnings: Annotated[list[str], Limits(max_length=MAX_FIELDS)] = []


class SchemaTable(Table):
    """A whole file."""

    title: Title
    description: LongText = ""
    kind: Kind | None = None
    source: LongText = ""
    include: Annotated[list[CodecName], Limits(max_length=MAX_INCLUDES)] = []
    uplink: Annotated[list[MessageTable], Limits(max_length=MAX_MESSAGES)] = []
    downlink: Annotated[list[MessageTable], Limits(max_length=MAX_MESSAGES)] = []
    unit: Annotated[dict[UnitCode, UnitTable], Limits(max_length=64)] = {}
    example: Annotated[list[ExampleTable], Limits(max_length=MAX_EXAMPLES)] = []


for _model in (LittleWord, Group, UnionArm, Union, Series, TlvEntry, TlvList, MessageTable, SchemaTable):
    _model.model_rebuild()
