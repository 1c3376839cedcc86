"""JSON Schema of what a codec gives and takes, for those who receive the data.

Annotations beside the words of the standard: ``unit`` (display), ``x-senml`` (the SenML unit and the factor to it),
``x-ucum`` and ``x-step`` (between two neighbouring values), the last two as text.

Source: JSON Schema draft 2020-12, core and validation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from siel_codecs.schema.model import (
    CHANNEL,
    MAX_PAYLOAD_BYTES,
    MAX_SAMPLES,
    Absent,
    Choice,
    Constant,
    Number,
    Opaque,
    Repeat,
    Samples,
    Switch,
    Tlv,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.schema.model import Device, Item, Message, Port, Unit

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
CHANNEL_PATTERN: Final = "(?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
HEX_BYTES: Final = "^(?:[0-9a-f]{2})*$"
ASKED_FOR: Final = {
    Absent.NOT_AVAILABLE: "not_available",
    Absent.UNDER_RANGE: "under_range",
    Absent.OVER_RANGE: "over_range",
    Absent.FAULT: "fault",
}
"""What an encoder takes in the place of a value to send the code that says so."""
_TIMES: Final = {
    "time": {"type": "string", "format": "date-time", "title": "When it was measured"},
    "age_s": {"type": "number", "minimum": 0, "title": "Age when the newest was measured", "unit": "s"},
}


def json_schema(device: Device) -> dict[str, Any]:
    """Return the schema of the data of all uplinks; ``$defs`` has ``downlink``, what an encoder takes.

    Of an uplink nothing is required: what is not available is absent. Of a command required is what has no code for
    not available. That two names exclude each other (arms of one union) is not told.
    """
    ups = {_key(port, message): _message(message) for port, message in device.uplinks()}
    several = len(list(device.downlinks())) > 1
    downs = {_key(port, message): _command(message, several=several) for port, message in device.downlinks()}
    schema: dict[str, Any] = {"$schema": DIALECT, "title": device.title}
    if device.description:
        schema["description"] = device.description
    schema["anyOf"] = [{"$ref": f"#/$defs/{key}"} for key in ups] or [False]
    schema["$defs"] = {**ups, **downs}
    if downs:
        schema["$defs"]["downlink"] = {"anyOf": [{"$ref": f"#/$defs/{key}"} for key in downs]}
    return schema


def _key(port: Port, message: Message) -> str:
    parts = [f"{port.direction}link", str(port.f_ports[0]) if port.f_ports else "any"]
    first = message.items[0] if message.items else None
    if message.name:
        parts.append(message.name)
    elif message.version is not None:
        parts.append(f"v{message.version}")
    elif port.selector is not None and isinstance(first, Constant):
        parts.append(str(first.code))
    return "_".join(parts)


def _message(message: Message) -> dict[str, Any]:
    own = _Properties(message.items, asked=False)
    own.plain |= _samples(own, message)
    return {"title": message.title, **own.schema()}


def _command(message: Message, *, several: bool) -> dict[str, Any]:
    own = _Properties(message.items, asked=True)
    required = _required(message.items)
    own.plain = {name: schema if name in required else _or_null(schema) for name, schema in own.plain.items()}
    own.patterns = {name: _or_null(schema) for name, schema in own.patterns.items()}
    if message.name:
        own.plain = {"command": {"const": message.name}, **own.plain}
        required = ["command", *required] if several else required
    own.plain |= _samples(own, message)
    if any(isinstance(item, Samples) and item.base for item in _all(message.items)):
        own.plain["time"] = {"anyOf": [_TIMES["time"], {"type": "integer", "title": "Milliseconds since 1970"}]}
    return {"title": message.title, **own.schema(), **({"required": required} if required else {})}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Widen by null, which an encoder takes for a value that was not given."""
    options = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return schema if any(None in each.get("enum", ()) for each in options) else {"anyOf": [*options, {"type": "null"}]}


def _samples(own: _Properties, message: Message) -> dict[str, Any]:
    """Return the property that holds a series, where the message can have one."""
    if not any(isinstance(item, Samples) or (isinstance(item, Tlv) and _timed(item)) for item in _all(message.items)):
        return {}
    items = own.schema(_TIMES)
    return {"samples": {"type": "array", "maxItems": MAX_SAMPLES, "items": items, "title": "Newest first"}}


def _required(items: tuple[Item, ...]) -> list[str]:
    leaves = [leaf for item in items for leaf in (item.leaves if isinstance(item, Word) else (item,))]
    found = [leaf.name for leaf in leaves if isinstance(leaf, Opaque) and not leaf.name.startswith("_")]
    return found + [
        leaf.name
        for leaf in leaves
        if isinstance(leaf, Number | Choice)
        and leaf.special(Absent.NOT_AVAILABLE) is None
        and not leaf.name.startswith("_")
    ]


def _timed(tlv: Tlv) -> bool:
    return any(entry.time for entry in tlv.entries)


def _all(items: tuple[Item, ...]) -> Iterator[Item]:
    for item in items:
        yield item
        for inner in item.arms if isinstance(item, Switch) else item.entries if isinstance(item, Tlv) else ():
            yield from _all(inner.items)


class _Properties:
    """What stands in ``data``: fixed names, and those that carry a channel."""

    def __init__(self, items: tuple[Item, ...], *, asked: bool) -> None:
        self.plain: dict[str, Any] = {}
        self.patterns: dict[str, Any] = {}
        self.asked = asked
        for item in _all(items):
            self._take(item)

    def schema(self, more: dict[str, Any] | None = None) -> dict[str, Any]:
        patterns = {"patternProperties": dict(self.patterns)} if self.patterns else {}
        properties = {**(more or {}), **self.plain}
        return {"type": "object", "properties": properties, **patterns, "additionalProperties": False}

    def _take(self, item: Item) -> None:
        if isinstance(item, Word):
            for leaf in item.leaves:
                self._take(leaf)
        elif isinstance(item, Repeat):
            self._add(item.leaf.name, _list(item, asked=self.asked))
        elif isinstance(item, Samples):
            for each in item.leaves:
                self._take(each.leaf)
        elif isinstance(item, Tlv) and item.unknown == "raw":
            self._add("raw", {"type": "string", "pattern": HEX_BYTES, "title": "What is not known"})
        elif isinstance(item, Number | Choice):
            self._add(item.name, _asked(_value(item), item) if self.asked else _value(item))
        elif isinstance(item, Opaque):
            length = item.bits // 4
            self._add(item.name, {"type": "string", "pattern": f"^[0-9a-f]{{{length}}}$", "title": item.title})

    def _add(self, name: str, schema: dict[str, Any]) -> None:
        if name.startswith("_"):
            return
        into = self.plain
        if CHANNEL in name:
            into = self.patterns
            name = "^" + CHANNEL_PATTERN.join(map(re.escape, name.split(CHANNEL))) + "$"
        before = into.get(name)
        if before is None or before == schema:
            into[name] = schema
        elif before.keys() == {"anyOf"}:
            if schema not in before["anyOf"]:
                before["anyOf"].append(schema)
        else:
            into[name] = {"anyOf": [before, schema]}


def _value(leaf: Number | Choice) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": leaf.title}
    absent = [f"{special.absent.value} (code {_codes(special.first, special.last)})" for special in leaf.specials]
    if absent:
        schema["description"] = "Absent if " + ", ".join(absent)
    if isinstance(leaf, Choice):
        values = [value for _, value in leaf.meanings]
        return {**schema, "type": "boolean"} if set(values) == {False, True} else {**schema, "enum": values}
    schema["type"] = "integer" if leaf.den == 1 else "number"
    schema["minimum"], schema["maximum"] = leaf.value(leaf.code_min), leaf.value(leaf.code_max)
    schema["x-step"] = str(leaf.scale)
    return {**schema, **_unit(leaf.unit)}


def _codes(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _unit(unit: Unit | None) -> dict[str, Any]:
    if unit is None:
        return {}
    found: dict[str, Any] = {"unit": unit.display} if unit.display else {}
    if unit.senml:
        factor = f"{unit.senml_num}/{unit.senml_den}" if unit.senml_den != 1 else str(unit.senml_num)
        found["x-senml"] = {"unit": unit.senml, "factor": factor}
    return {**found, **({"x-ucum": unit.ucum} if unit.ucum else {})}


def _asked(schema: dict[str, Any], leaf: Number | Choice) -> dict[str, Any]:
    """Widen a value's schema by what an encoder takes in its place."""
    words: list[Any] = [ASKED_FOR[each] for each in ASKED_FOR if leaf.special(each) is not None]
    if "not_available" in words:
        words.append(None)
    if isinstance(leaf, Number) and leaf.saturates:
        schema = {key: value for key, value in schema.items() if key not in {"minimum", "maximum"}}
    return {"anyOf": [schema, {"enum": words}]} if words else schema


def _list(item: Repeat, *, asked: bool) -> dict[str, Any]:
    value = _value(item.leaf)
    title = value.pop("title")
    absent = _asked(value, item.leaf) if asked else {"anyOf": [value, {"type": "null"}]}
    limit: dict[str, Any] = {"maxItems": item.count if isinstance(item.count, int) else _most(item)}
    if isinstance(item.count, int):
        limit["minItems"] = item.count
    return {"title": title, "type": "array", **limit, "items": absent}


def _most(item: Repeat) -> int:
    return MAX_PAYLOAD_BYTES * 8 // item.leaf.bits
