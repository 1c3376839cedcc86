"""From a schema's TOML text to the model; every fault at once, with file, line and field."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from fractions import Fraction
from keyword import iskeyword
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, PlainValidator, StringConstraints, ValidationError
from pydantic import Field as Limits

from siel_codecs.errors import SchemaError, SchemaFault
from siel_codecs.schema.model import MAX_FIELD_BITS, MAX_FRAME_BYTES, Device, Frame, NodeInput, Number, Unit
from siel_codecs.toml_lines import TomlPath, line_index, line_of, show_path, syntax_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_SCHEMA_BYTES: Final = 1 << 16
MAX_FIELDS: Final = 64
MAX_F_PORT: Final = 223
"""The last application port. Source: TS001-1.0.4, 4.3.2."""
_MAX_DIGITS: Final = 18
# fmt: off
SENML_UNITS: Final = frozenset([
    "m", "kg", "s", "A", "K", "cd", "mol", "Hz", "rad", "sr", "N", "Pa", "J", "W", "C", "V", "F", "Ohm", "S", "Wb",
    "T", "H", "Cel", "lm", "lx", "Bq", "Gy", "Sv", "kat", "m2", "m3", "m/s", "m/s2", "m3/s", "W/m2", "cd/m2", "bit",
    "bit/s", "lat", "lon", "pH", "dB", "dBW", "count", "/", "%RH", "%EL", "EL", "1/s", "S/m", "B", "VA", "VAs",
    "var", "vars", "J/m", "kg/m3", "NTU",
])
# fmt: on
"""Recommended primary units. Source: RFC 8428 section 12.1 and the IANA registry "SenML Units"."""


def _rational(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError('must be a number, or a fraction in quotes such as "1/3"')
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < _MAX_DIGITS):
        raise ValueError("must be a finite number of ordinary size")
    if len(str(value)) > 2 * _MAX_DIGITS or (isinstance(value, str) and "e" in value.lower()):
        raise ValueError(f"must not have more than {_MAX_DIGITS} digits")
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError('must be a number, or a fraction in quotes such as "1/3"') from None


Rational = Annotated[Fraction, PlainValidator(_rational)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Title = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]*$")]
Code = Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^[^\x00-\x20]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class _Unit(_Table):
    display: Code
    senml: Code
    senml_factor: Rational = Fraction(1)
    ucum: Code


class _Node(_Table):
    name: Name
    scale: Rational


class _Field(_Table):
    name: Name
    title: Title
    bits: Annotated[int, Limits(ge=1, le=MAX_FIELD_BITS)]
    signed: bool = False
    scale: Rational
    offset: Annotated[int, Limits(ge=-(1 << MAX_FIELD_BITS), le=1 << MAX_FIELD_BITS)] = 0
    min: Rational | None = None
    max: Rational | None = None
    not_available: int | None = None
    unit: _Unit
    node: _Node


class _Version(_Table):
    bits: Annotated[int, Limits(ge=1, le=8)]
    value: Annotated[int, Limits(ge=0)]


class _Frame(_Table):
    f_port: Annotated[int, Limits(ge=1, le=MAX_F_PORT)]
    version: _Version


class _Schema(_Table):
    title: Title
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    frame: _Frame
    field: Annotated[list[_Field], Limits(min_length=1, max_length=MAX_FIELDS)]


def load_file(path: Path, name: str) -> Device:
    """Read one schema file.

    Args:
        path: The TOML file.
        name: ``vendor/device``, what the codec will be called.

    Raises:
        SchemaError: With every fault that could be found.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCHEMA_BYTES + 1)
        if len(data) > MAX_SCHEMA_BYTES:
            raise SchemaError(str(path), [SchemaFault("", f"larger than {MAX_SCHEMA_BYTES} bytes")])
        text = data.decode()
    except OSError as error:
        raise SchemaError(str(path), [SchemaFault("", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise SchemaError(str(path), [SchemaFault("", f"is not UTF-8 (byte {error.start})")]) from None
    return load_text(text, name, str(path))


def load_text(text: str, name: str, file: str = "<schema>") -> Device:
    """Take one schema's text; ``file`` stands in the messages.

    Raises:
        SchemaError: With every fault that could be found.
    """
    try:
        tree = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(file, [SchemaFault("", f"not TOML: {error}", syntax_line(str(error)))]) from None
    except RecursionError:
        raise SchemaError(file, [SchemaFault("", "nested too deeply")]) from None
    except (ValueError, ArithmeticError):
        raise SchemaError(file, [SchemaFault("", "a number of thousands of digits")]) from None
    try:
        schema = _Schema.model_validate(tree)
    except ValidationError as error:
        found = [(each["loc"], each["msg"].removeprefix("Value error, ")) for each in error.errors()]
    else:
        found = []
        frame = _frame(schema, found)
    if found:
        index = line_index(text)
        raise SchemaError(file, [_fault(index, tree, path, reason) for path, reason in found])
    return Device(name, schema.title, schema.description, (frame,))


def _fault(index: dict[TomlPath, int], tree: dict[str, Any], path: TomlPath, reason: str) -> SchemaFault:
    where = show_path(path)
    if path[:1] == ("field",) and len(path) > 1 and isinstance(path[1], int):
        name = tree["field"][path[1]].get("name") if isinstance(tree["field"][path[1]], dict) else None
        where += f" ({name})" if isinstance(name, str) else ""
    return SchemaFault(where, reason, line_of(index, path))


def _frame(schema: _Schema, found: list[tuple[TomlPath, str]]) -> Frame:
    version = schema.frame.version
    if version.value >> version.bits:
        found.append((("frame", "version"), f"{version.value} does not fit {version.bits} bits"))
    names: set[str] = set()
    node_names: set[str] = {"buf"}
    numbers = []
    for position, field in enumerate(schema.field):
        here: TomlPath = ("field", position)
        if field.name in names:
            found.append(((*here, "name"), f"{field.name!r} is there twice"))
        if iskeyword(field.node.name):
            found.append(((*here, "node"), f"{field.node.name!r} is a word of the Python language"))
        if field.node.name in node_names:
            found.append(((*here, "node"), f"the name {field.node.name!r} is taken"))
        names.add(field.name)
        node_names.add(field.node.name)
        numbers.append(_number(field, here, found))
    frame = Frame(schema.frame.f_port, version.bits, version.value, tuple(numbers))
    if frame.size > MAX_FRAME_BYTES:
        found.append((("field",), f"{frame.size} bytes together; at most {MAX_FRAME_BYTES} fit the slowest data rate"))
    return frame


def _number(field: _Field, here: TomlPath, found: list[tuple[TomlPath, str]]) -> Number:
    def fault(key: str, reason: str) -> None:
        found.append(((*here, key), reason))

    lowest = -(1 << field.bits - 1) if field.signed else 0
    highest = lowest + (1 << field.bits) - 1
    missing = field.not_available
    if missing is not None and not lowest <= missing <= highest:
        fault("not_available", f"code {missing} does not fit {field.bits} bits ({lowest} to {highest})")
    for key, rational in (("scale", field.scale), ("unit", field.unit.senml_factor), ("node", field.node.scale)):
        if rational <= 0:
            fault(key, "a scale or factor must be above 0")
    if field.unit.senml not in SENML_UNITS:
        fault("unit", f"{field.unit.senml!r} is no primary SenML unit; give one and senml_factor")
    scale = field.scale if field.scale > 0 else Fraction(1)
    code_min, code_max = _limits(field, scale, (lowest, highest), fault)
    step = field.node.scale / scale
    factor = field.unit.senml_factor
    return Number(
        name=field.name,
        title=field.title,
        bits=field.bits,
        signed=field.signed,
        offset=field.offset,
        num=scale.numerator,
        den=scale.denominator,
        code_min=code_min,
        code_max=code_max,
        not_available=missing,
        unit=Unit(field.unit.display, field.unit.senml, factor.numerator, factor.denominator, field.unit.ucum),
        node=NodeInput(field.node.name, step.numerator, step.denominator),
    )


def _limits(
    field: _Field, scale: Fraction, codes: tuple[int, int], fault: Callable[[str, str], None]
) -> tuple[int, int]:
    # Without min and max every code is a value, but for one at an edge that says "not available"
    lowest, highest = codes
    missing = field.not_available
    limits = {"min": lowest + (missing == lowest), "max": highest - (missing == highest)}
    for key, limit in (("min", field.min), ("max", field.max)):
        if limit is None:
            continue
        code = limit / scale - field.offset
        if code.denominator != 1:
            fault(key, f"{limit} is no whole number of steps of {scale}")
        elif not lowest <= code <= highest:
            fault(key, f"{limit} is code {code}, which does not fit {field.bits} bits ({lowest} to {highest})")
        else:
            limits[key] = int(code)
    if limits["min"] > limits["max"]:
        fault("max", "must not be below min")
    elif missing is not None and limits["min"] <= missing <= limits["max"]:
        fault("not_available", f"code {missing} is a value too: it lies between min and max")
    return limits["min"], limits["max"]
