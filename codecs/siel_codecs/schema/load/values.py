"""The values that stand in schema files: what each must look like, and what it is when it does."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from keyword import iskeyword
from typing import Annotated, Any, Final, Literal

from pydantic import PlainValidator

from siel_codecs.schema.model import CHANNEL, MAX_PAYLOAD_BYTES

MAX_FIELDS: Final = 256
"""Entries of one list."""
MAX_F_PORT: Final = 223
"""The last application port. Source: TS001-1.0.4, 4.3.2."""
_MAX_DIGITS: Final = 18
_MAX_CODE: Final = 1 << 32
_TYPE: Final = re.compile(r"bool|hex([1-9][0-9]{0,2})|([us])([1-9][0-9]?)(le)?")
_FRACTION: Final = re.compile(r"[+-]?[0-9]+(/[0-9]+|\.[0-9]+)?")
_NAME: Final = re.compile(r"_?[a-z][a-z0-9_]{0,39}")
_TITLE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,80}")
_UNIT_CODE: Final = re.compile(r"[^\x00-\x20\x7f]{0,16}")
_CODEC_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}/[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED: Final = frozenset(["samples", "time", "age_s", "command"])


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


def between(low: int, high: int) -> PlainValidator:
    """Return what takes an integer from ``low`` to ``high``."""
    return PlainValidator(lambda value: _integer(value, low, high))


def _rational(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError('must be a number, or a fraction in quotes such as "1/3"')
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < _MAX_DIGITS):
        raise ValueError("must be a finite number of ordinary size")
    if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
        raise ValueError(f"must not have more than {_MAX_DIGITS} digits")
    if isinstance(value, str) and not _FRACTION.fullmatch(value):
        raise ValueError('must be a number, or a fraction in quotes such as "1/3"')
    if len(str(value)) > 2 * _MAX_DIGITS:
        raise ValueError(f"must not have more than {_MAX_DIGITS} digits")
    try:
        return Fraction(value)
    except ZeroDivisionError:
        raise ValueError("must not be divided by 0") from None


def _name(value: object) -> str:
    text = _text(value)
    if not _NAME.fullmatch(text.replace(CHANNEL, "n", 1)) or (text.startswith(CHANNEL)):
        raise ValueError("must be lower-case letters, digits and underscores, a letter first, at most 40")
    if text in _RESERVED:
        raise ValueError(f"{text!r} has a meaning of its own in decoded data; choose another name")
    return text


def _codec_name(value: object) -> str:
    if not isinstance(value, str) or not _CODEC_NAME.fullmatch(value):
        raise ValueError('must be a name such as "vendor/device"')
    return value


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


def _display(value: object) -> str:
    text = _text(value)
    if len(text) > 24 or (text and not _TITLE.fullmatch(text)):  # noqa: PLR2004 - as the message says
        raise ValueError("must be at most 24 characters in one line")
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
        # TOML has no null: an element that is absent is written as nan
        return [None if isinstance(each, Decimal) and each.is_nan() else _plain(each, name) for each in value]
    if isinstance(value, bool | int | str):
        return value
    raise ValueError(f"{name} must be a number, a text, true or false; a time stands in quotes")


Rational = Annotated[Fraction, PlainValidator(_rational)]
CodecName = Annotated[str, PlainValidator(_codec_name)]
Name = Annotated[str, PlainValidator(_name)]
ControlName = Annotated[str, PlainValidator(_control)]
Argument = Annotated[str, PlainValidator(_argument)]
Title = Annotated[str, PlainValidator(_title)]
LongText = Annotated[str, PlainValidator(_long_text)]
Display = Annotated[str, PlainValidator(_display)]
UnitCode = Annotated[str, PlainValidator(_unit_code)]
FieldType = Annotated[Any, PlainValidator(_type)]
Codes = Annotated[tuple[int, ...], PlainValidator(_codes)]
SpecialCodes = Annotated[tuple[tuple[int, int], ...], PlainValidator(_special)]
Count = Annotated[int | str | None, PlainValidator(_count)]
Code = Annotated[int, between(-_MAX_CODE, _MAX_CODE)]
Meanings = Annotated[tuple[tuple[int, str | bool], ...], PlainValidator(_meanings)]
Sizes = Annotated[tuple[tuple[int, int], ...], PlainValidator(_sizes)]
MessageName = Annotated[str, PlainValidator(lambda value: "" if value == "" else _argument(value))]
Ports = Annotated[tuple[int, ...], PlainValidator(_f_ports)]
Payload = Annotated[bytes, PlainValidator(_payload)]
Data = Annotated[dict[str, Any], PlainValidator(_data)]
