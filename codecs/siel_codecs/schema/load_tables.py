"""The tables of a schema file as pydantic reads them: which keys there are and what kind of value each takes.

What a table means, and what it may not say beside others, is judged after it (``load_fields``, ``load_items``).
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from keyword import iskeyword
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, PlainValidator, Tag
from pydantic import Field as Limits

from siel_codecs.schema.model import CHANNEL, MAX_PAYLOAD_BYTES

MAX_FIELDS: Final = 256
"""Entries of one list."""
MAX_MESSAGES: Final = 64
MAX_EXAMPLES: Final = 256
MAX_F_PORT: Final = 223
"""The last application port. Source: TS001-1.0.4, 4.3.2."""
_MAX_DIGITS: Final = 18
_MAX_CODE: Final = 1 << 32
_TYPE: Final = re.compile(r"bool|hex([1-9][0-9]{0,2})|([us])([1-9][0-9]?)(le)?")
_NAME: Final = re.compile(r"_?[a-z][a-z0-9_]{0,39}")
_TITLE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,80}")
_UNIT_CODE: Final = re.compile(r"[^\x00-\x20\x7f]{0,16}")
_RESERVED: Final = frozenset(["samples", "time", "age_s", "command"])

Kind = Literal[
    "water_level", "rain", "soil", "climate", "air_quality", "weather", "parking", "people_counting", "noise", "contact",
    "actuator", "diagnostics", "generic",
]  # fmt: skip


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _integer(value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be an integer")
    if not low <= value <= high:
        raise ValueError(f"must be {low} to {high}")
    return value


def _between(low: int, high: int) -> PlainValidator:
    return PlainValidator(lambda value: _integer(value, low, high))


def _rational(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError('must be a number, or a fraction in quotes such as "1/3"')
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < _MAX_DIGITS):
        raise ValueError("must be a finite number of ordinary size")
    if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
        raise ValueError(f"must not have more than {_MAX_DIGITS} digits")
    if len(str(value)) > 2 * _MAX_DIGITS or (isinstance(value, str) and "e" in value.lower()):
        raise ValueError(f"must not have more than {_MAX_DIGITS} digits")
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError('must be a number, or a fraction in quotes such as "1/3"') from None


def _name(value: object) -> str:
    text = _text(value)
    if not _NAME.fullmatch(text.replace(CHANNEL, "n", 1)) or (text.startswith(CHANNEL)):
        raise ValueError("must be lower-case letters, digits and underscores, a letter first, at most 40")
    if text in _RESERVED:
        raise ValueError(f"{text!r} has a meaning of its own in decoded data; choose another name")
    return text


def _control(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("must be the name of a field")
    return value


def _argument(value: object) -> str:
    text = _text(value)
    if not _NAME.fullmatch(text) or text.startswith("_"):
        raise ValueError("must be lower-case letters, digits and underscores, a letter first, at most 40")
    if iskeyword(text):
        raise ValueError(f"{text!r} is a word of the Python language")
    return text


def _title(value: object) -> str:
    text = _text(value)
    if not _TITLE.fullmatch(text):
        raise ValueError("must be one line of 1 to 80 characters")
    return text


def _long_text(value: object) -> str:
    text = _text(value)
    if len(text) > 2000:  # noqa: PLR2004 - as the message says
        raise ValueError("must have at most 2000 characters")
    return text


def _unit_code(value: object) -> str:
    text = _text(value)
    if not _UNIT_CODE.fullmatch(text):
        raise ValueError("must be at most 16 characters without spaces")
    return text


class Type:
    """``u13``, ``s16le``, ``bool`` or ``hex4`` taken apart."""

    __slots__ = ("bits", "kind", "little", "text")

    def __init__(self, text: str, kind: Literal["number", "bool", "hex"], bits: int, little: bool) -> None:
        self.text, self.kind, self.bits, self.little = text, kind, bits, little

    @property
    def signed(self) -> bool:
        """Whether the code is two's complement."""
        return self.text.startswith("s")


def _type(value: object) -> Type:
    found = _TYPE.fullmatch(_text(value))
    if found is None:
        raise ValueError("must be u1 to u32, s2 to s32 (with le for 16, 24 or 32 bits), bool or hex and a byte count")
    text, hex_bytes, sign, digits, little = found[0], found[1], found[2], found[3], found[4]
    if text == "bool":
        return Type(text, "bool", 1, False)
    if hex_bytes:
        if int(hex_bytes) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload has at most {MAX_PAYLOAD_BYTES} bytes")
        return Type(text, "hex", int(hex_bytes) * 8, False)
    bits = int(digits)
    if bits > 32 or (sign == "s" and bits == 1):  # noqa: PLR2004 - as the message says
        raise ValueError("a number has 1 to 32 bits, a signed one 2 to 32")
    if little and bits not in {16, 24, 32}:
        raise ValueError("only 16, 24 and 32 bits can be little-endian")
    return Type(text, "number", bits, bool(little))


def _codes(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= MAX_FIELDS:
        raise ValueError(f"must be a code or a list of 1 to {MAX_FIELDS} codes")
    if any(isinstance(each, bool) or not isinstance(each, int) for each in values):
        raise ValueError("must be an integer code or a list of them")
    if len(set(values)) != len(values):
        raise ValueError("has a code twice")
    return tuple(values)


def _special(value: object) -> tuple[tuple[int, int], ...]:
    # Codes or one range of them, as (first, last)
    if isinstance(value, dict):
        ends = [value.get("from"), value.get("to")]
        if len(value) != len(ends) or any(isinstance(each, bool) or not isinstance(each, int) for each in ends):
            raise ValueError("must be a code, a list of codes or { from = CODE, to = CODE }")
        return (_codes(ends) if ends[0] != ends[1] else (ends[0], ends[0]),)  # type: ignore[return-value]
    return tuple((code, code) for code in _codes(value))


def _count(value: object) -> int | str | None:
    if value == "rest":
        return None
    if isinstance(value, str):
        if not _NAME.fullmatch(value) or not value.startswith("_"):
            raise ValueError('must be a number, "rest" or the name of a control ("_n")')
        return value
    return _integer(value, 1, 8 * MAX_PAYLOAD_BYTES)


def _f_ports(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= MAX_F_PORT:
        raise ValueError("must be a port or a list of ports; leave it out for any port")
    ports = tuple(_integer(each, 1, MAX_F_PORT) for each in values)
    if len(set(ports)) != len(ports):
        raise ValueError("has a port twice")
    return ports


def _meanings(value: object) -> tuple[tuple[int, str | bool], ...]:
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_FIELDS:
        raise ValueError('must be a table such as { 0 = "closed", 1 = "open" }')
    found: dict[int, str | bool] = {}
    for key, meaning in value.items():
        code = _code_key(key)
        if not isinstance(meaning, bool | str) or (isinstance(meaning, str) and not _TITLE.fullmatch(meaning)):
            raise ValueError(f"{key} must mean a text of one line, or true or false")
        if code in found:
            raise ValueError(f"code {code} is there twice")
        if any(meaning is each or (isinstance(each, str) and meaning == each) for each in found.values()):
            raise ValueError(f"{meaning!r} is there twice; a value has one code")
        found[code] = meaning
    if len({type(meaning) for meaning in found.values()}) != 1:
        raise ValueError("must be texts only, or true and false only")
    return tuple(found.items())


def _code_key(key: str) -> int:
    try:
        code = int(key, 0)
    except ValueError:
        raise ValueError(f"{key!r} must be a code: an integer, or 0x and hex digits") from None
    return _integer(code, -_MAX_CODE, _MAX_CODE)


def _sizes(value: object) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        raise ValueError("must be a table of keys and byte counts such as { 0x10 = 2 }")
    found: dict[int, int] = {}
    for key, size in value.items():
        code = _code_key(key)
        if code in found:
            raise ValueError(f"key {key} is there twice")
        found[code] = _integer(size, 0, MAX_PAYLOAD_BYTES)
    return tuple(found.items())


def _payload(value: object) -> bytes:
    try:
        payload = bytes.fromhex(_text(value))
    except ValueError:
        raise ValueError("must be bytes in hex, two digits each") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"{len(payload)} bytes; a payload has at most {MAX_PAYLOAD_BYTES}")
    return payload


def _data(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a table of names and values")
    return {key: _plain(each, key) for key, each in value.items()}


def _plain(value: object, name: str) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{name} must be a finite number")
        return float(value)
    if isinstance(value, dict):
        return {key: _plain(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, name) for each in value]
    if isinstance(value, bool | int | str):
        return value
    raise ValueError(f"{name} must be a number, a text, true or false; a time stands in quotes")


Rational = Annotated[Fraction, PlainValidator(_rational)]
Name = Annotated[str, PlainValidator(_name)]
ControlName = Annotated[str, PlainValidator(_control)]
Argument = Annotated[str, PlainValidator(_argument)]
Title = Annotated[str, PlainValidator(_title)]
LongText = Annotated[str, PlainValidator(_long_text)]
UnitCode = Annotated[str, PlainValidator(_unit_code)]
FieldType = Annotated[Any, PlainValidator(_type)]
Codes = Annotated[tuple[int, ...], PlainValidator(_codes)]
SpecialCodes = Annotated[tuple[tuple[int, int], ...], PlainValidator(_special)]
Count = Annotated[int | str | None, PlainValidator(_count)]
Code = Annotated[int, _between(-_MAX_CODE, _MAX_CODE)]


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
    enum: Annotated[tuple[tuple[int, str | bool], ...], PlainValidator(_meanings)] | None = None
    true_is: Annotated[int, _between(0, 1)] | None = None
    count: Count = 0
    """0: no array. None: to the end."""
    delta: Annotated[int, _between(2, 31)] | None = None


class Const(Table):
    """A code that must stand there."""

    const: Code
    type: FieldType
    title: Title = "constant"


class Unused(Table):
    """Bits without a meaning."""

    reserved: Annotated[int, _between(1, 8 * MAX_PAYLOAD_BYTES)]


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

    key: Annotated[int, _between(0, 0xFFFF)]
    field: Fields
    time: ControlName | None = None


class TlvList(Table):
    """Entries that name themselves."""

    tlv: Literal["u8", "u16"]
    channel: bool = False
    length: bool = False
    unknown: Literal["stop", "skip", "raw"] = "stop"
    sizes: Annotated[tuple[tuple[int, int], ...], PlainValidator(_sizes)] = ()
    tail: Annotated[int, _between(0, 32)] = 0
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

    bits: Annotated[int, _between(1, 8)]
    value: Annotated[int, _between(0, 255)]


class MessageTable(Table):
    """One payload layout."""

    name: Annotated[str, PlainValidator(lambda value: value if value == "" else _argument(value))] = ""
    title: Title | None = None
    f_port: Annotated[tuple[int, ...], PlainValidator(_f_ports)] = ()
    version: Version | None = None
    extra: Literal["error", "ignore"] = "error"
    field: Fields


class UnitTable(Table):
    """A unit that the package does not know."""

    display: UnitCode
    senml: UnitCode = ""
    senml_factor: Rational = Fraction(1)
    ucum: UnitCode = ""


class ExampleTable(Table):
    """A payload and what it says."""

    title: Title | None = None
    direction: Literal["up", "down"] = "up"
    f_port: Annotated[int, _between(1, MAX_F_PORT)]
    bytes: Annotated[bytes, PlainValidator(_payload)]
    data: Annotated[dict[str, Any], PlainValidator(_data)]
    warnings: Annotated[list[str], Limits(max_length=MAX_FIELDS)] = []


class SchemaTable(Table):
    """A whole file."""

    title: Title
    description: LongText = ""
    kind: Kind | None = None
    source: LongText = ""
    uplink: Annotated[list[MessageTable], Limits(max_length=MAX_MESSAGES)] = []
    downlink: Annotated[list[MessageTable], Limits(max_length=MAX_MESSAGES)] = []
    unit: Annotated[dict[UnitCode, UnitTable], Limits(max_length=64)] = {}
    example: Annotated[list[ExampleTable], Limits(max_length=MAX_EXAMPLES)] = []


for _model in (LittleWord, Group, UnionArm, Union, Series, TlvEntry, TlvList, MessageTable, SchemaTable):
    _model.model_rebuild()
