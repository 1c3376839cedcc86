"""From a schema's TOML text to the model; every fault at once, with file, line and field."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pydantic import ValidationError

from siel_codecs.errors import SchemaError, SchemaFault
from siel_codecs.files import open_file
from siel_codecs.schema.load.fields import Context, leaf_of
from siel_codecs.schema.load.ports import ports_of
from siel_codecs.schema.load.repair import Repaired
from siel_codecs.schema.load.tables import Field, SchemaTable
from siel_codecs.schema.load.words import reason_of
from siel_codecs.schema.model import Device, Example, Port, Unit
from siel_codecs.schema.units import SENML_UNITS, UNITS, unit_of
from siel_codecs.toml_lines import TomlPath, line_index, line_of, one_line, show_path, syntax_line

if TYPE_CHECKING:
    from pathlib import Path

MAX_SCHEMA_BYTES: Final = 1 << 18
MAX_DEPTH: Final = 48
"""Tables and lists inside each other in a file."""
_MAX_NAME: Final = 128
_BRACES: Final = "; a table in braces stands on one line, without a comma at its end"


class SameAs(msgspec.Struct, frozen=True):
    """A file that is another name of a codec."""

    target: str
    """``vendor/device``."""
    line: int


def load_file(path: Path, name: str) -> Device:
    """Read one schema file.

    Args:
        path: The TOML file.
        name: ``vendor/device``, what the codec will be called.

    Raises:
        SchemaError: With every fault that could be found; also for a file that is another name (``same_as``).
    """
    return load_text(read_text(path), name, str(path))


def load_text(text: str, name: str, file: str = "<schema>") -> Device:
    """Take one schema's text; ``file`` stands in the messages.

    Raises:
        SchemaError: With every fault that could be found; also for a text that is another name (``same_as``).
    """
    found = parse_text(text, name, file)
    if isinstance(found, SameAs):
        reason = one_line(f"another name of {found.target}; a registry loads it")
        raise SchemaError(file, [SchemaFault("same_as", reason, found.line)])
    return found


def read_text(path: Path) -> str:
    """Return what stands in a file.

    Raises:
        SchemaError: It cannot be read, is no text or too large.
    """
    try:
        with open_file(path) as file:
            data = file.read(MAX_SCHEMA_BYTES + 1)
        if len(data) > MAX_SCHEMA_BYTES:
            raise SchemaError(str(path), [SchemaFault("", f"larger than {MAX_SCHEMA_BYTES} bytes; no schema is")])
        return data.decode("utf-8-sig")  # editors put a byte order mark in front
    except OSError as error:
        raise SchemaError(str(path), [SchemaFault("", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SchemaError(str(path), [SchemaFault("", "is not UTF-8 text; save it as UTF-8", line)]) from None


def parse_text(text: str, name: str, file: str) -> Device | SameAs:
    """Take one file's text: a schema, or another name of one.

    Raises:
        SchemaError: With every fault that could be found.
    """
    tree = _tree(text, file)
    if "same_as" in tree:
        return _same_as(tree, text, file)
    context = Context(dict(UNITS))
    device = None
    try:
        schema = SchemaTable.model_validate(tree)
    except ValidationError as error:
        _judge(tree, error, name, context)
    else:
        device = _device(schema, name, context)
    if device is None or context.faults:
        index = line_index(text)
        faults = dict.fromkeys(context.faults)  # each once
        told = [_fault(index, tree, path, reason) for path, reason in faults]
        raise SchemaError(file, sorted(told, key=lambda fault: fault.line or 0))
    return device


def _judge(tree: dict[str, Any], error: ValidationError, name: str, context: Context) -> None:
    # The faults that pydantic found, and those of what is left beside them
    repaired, found = Repaired(tree), error.errors(include_url=False)
    for each in found:
        context.fault(*reason_of(each))
    for each in sorted(found, key=lambda each: each["type"] == "missing"):  # after a key that was meant to be it
        repaired.take_out(each["loc"], reason_of(each)[0], each["type"])
    schema = None
    for _ in range(2):
        try:
            schema = SchemaTable.model_validate(repaired.tree)
            break
        except ValidationError as still:
            for each in still.errors(include_url=False):
                repaired.give_up(reason_of(each)[0])
    if schema is None:
        return
    rest = Context(context.units)
    _device(schema, name, rest)
    context.faults += [(path, reason) for path, reason in rest.faults if repaired.tells(path)]
    for path, table in repaired.unread():
        with suppress(ValidationError):  # told already
            leaf_of(Field.model_validate(table), path, context)


def _tree(text: str, file: str) -> dict[str, Any]:
    try:
        tree = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        hint = _BRACES if "key part" in str(error) or "inline table" in str(error) else ""
        reason = one_line(f"not TOML: {error}{hint}")
        raise SchemaError(file, [SchemaFault("", reason, syntax_line(str(error)))]) from None
    except RecursionError:
        raise SchemaError(file, [SchemaFault("", "nested too deeply")]) from None
    except (ValueError, ArithmeticError):
        raise SchemaError(file, [SchemaFault("", "a number of thousands of digits")]) from None
    level: list[Any] = [tree]
    for _ in range(MAX_DEPTH):
        level = [
            each
            for table in level
            for each in (table.values() if isinstance(table, dict) else table)
            if isinstance(each, dict | list)
        ]
        if not level:
            return tree
    raise SchemaError(file, [SchemaFault("", "nested too deeply")])


def _same_as(tree: dict[str, Any], text: str, file: str) -> SameAs:
    index = line_index(text)
    faults = [
        SchemaFault(show_path((key,)), "stands beside same_as, which is alone in its file", line_of(index, (key,)))
        for key in tree
        if key != "same_as"
    ]
    target, line = tree["same_as"], line_of(index, ("same_as",))
    if not isinstance(target, str) or len(target) > _MAX_NAME:
        faults.insert(0, SchemaFault("same_as", 'must be a name such as "vendor/device"', line))
    if faults:
        raise SchemaError(file, faults)
    return SameAs(target, line)


def _fault(index: dict[TomlPath, int], tree: dict[str, Any], path: TomlPath, reason: str) -> SchemaFault:
    # The name of the field that the path leads into, beside the path
    named, at = "", tree
    for part in path:
        try:
            at = at[part]  # type: ignore[index]
        except (LookupError, TypeError):
            break
        if isinstance(at, dict) and isinstance(part, int):
            named = at["name"] if isinstance(at.get("name"), str) else named
    where = show_path(path)
    where += f" ({one_line(named[:_MAX_NAME])})" if named else ""
    return SchemaFault(where, one_line(reason), line_of(index, path))


def _device(schema: SchemaTable, name: str, context: Context) -> Device:
    context.units.update(_own_units(schema, context))
    ports = (*ports_of("up", schema.uplink, context), *ports_of("down", schema.downlink, context))
    if not ports:
        context.fault((), "has neither [[uplink]] nor [[downlink]]")
    examples = _examples(schema, ports, context)
    return Device(
        name,
        schema.title,
        schema.description,
        ports,
        examples,
        schema.source,
        schema.kind or "",
        tuple(schema.include),
    )


def _own_units(schema: SchemaTable, context: Context) -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for code, table in schema.unit.items():
        path: TomlPath = ("unit", code)
        if table.senml_factor <= 0:
            context.fault((*path, "senml_factor"), f"{table.senml_factor} must be above 0")
        if table.senml and table.senml not in SENML_UNITS:
            context.fault((*path, "senml"), f"{table.senml!r} is no primary SenML unit; give one and senml_factor")
        found[code] = unit_of(table.display, table.senml, table.senml_factor, table.ucum)
    return found


def _examples(schema: SchemaTable, ports: tuple[Port, ...], context: Context) -> tuple[Example, ...]:
    found = []
    for n, table in enumerate(schema.example):
        of_direction = [port.f_ports for port in ports if port.direction == table.direction]
        if not any(not f_ports or table.f_port in f_ports for f_ports in of_direction):
            message = "[[uplink]]" if table.direction == "up" else "[[downlink]]"
            context.fault(("example", n, "f_port"), f"port {table.f_port} is that of no {message}")
        found.append(
            Example(table.direction, table.f_port, table.bytes, table.data, tuple(table.warnings), table.title or "")
        )
    return tuple(found)
