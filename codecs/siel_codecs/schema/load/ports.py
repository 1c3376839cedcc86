"""From the messages of a file to its ports: which message is told apart from which, and by what."""

from __future__ import annotations

from typing import Literal

from siel_codecs.schema.load.fields import Context
from siel_codecs.schema.load.items import message_of
from siel_codecs.schema.load.tables import MessageTable
from siel_codecs.schema.model import Constant, Message, Port
from siel_codecs.toml_lines import TomlPath

_Found = tuple[Message, TomlPath]


def ports_of(direction: Literal["up", "down"], tables: list[MessageTable], context: Context) -> tuple[Port, ...]:
    """Return the ports of one direction in the order of the file; faults are in ``context``."""
    context.direction = direction
    key = "uplink" if direction == "up" else "downlink"
    ports: dict[frozenset[int], list[_Found]] = {}
    lists: dict[frozenset[int], tuple[int, ...]] = {}
    for n, table in enumerate(tables):
        path: TomlPath = (key, n)
        shared = frozenset(table.f_port)
        for other in ports:
            common = sorted(shared & other)
            if common and shared != other:
                context.fault((*path, "f_port"), f"port {common[0]} stands in another list too; give both the same one")
        lists.setdefault(shared, table.f_port)
        ports.setdefault(shared, []).append((message_of(table, path, context), path))
    _names(direction, ports, context)
    return tuple(Port(direction, lists[each], _ordered(found, context)) for each, found in ports.items())


def _names(direction: Literal["up", "down"], ports: dict[frozenset[int], list[_Found]], context: Context) -> None:
    taken: dict[str, frozenset[int]] = {}
    several = sum(len(found) for found in ports.values()) > 1
    for shared, found in ports.items():
        for message, path in found:
            if not message.name:
                if several and direction == "down":
                    context.fault((*path, "name"), "is missing: each of several commands has its name")
                continue
            versions = message.version is not None and taken.get(message.name) == shared
            if message.name in taken and not versions:
                context.fault((*path, "name"), f"{message.name!r} is there twice")
            taken[message.name] = shared


def _ordered(found: list[_Found], context: Context) -> tuple[Message, ...]:
    messages = [message for message, _ in found]
    if len(found) > 1:
        _told_apart(found, context)
    if all(message.version is not None for message in messages):
        messages.sort(key=lambda message: message.version or 0, reverse=True)
    return tuple(messages)


def _told_apart(found: list[_Found], context: Context) -> None:
    first, first_path = found[0]
    head = first.items[0]
    how = "a version" if first.version is not None else "a leading const"
    if not isinstance(head, Constant):
        context.fault(first_path, "shares its port with others, so all begin with a version, or all with a const")
        return
    codes: dict[int, TomlPath] = {}
    for message, path in found:
        each = message.items[0]
        at = (*path, "version") if message.version is not None else (*path, "field", 0)
        if not isinstance(each, Constant) or (message.version is None) != (first.version is None):
            context.fault(path, f"must begin with {how} like {first_path[0]}[{first_path[1]}] on the same port")
        elif each.bits != head.bits:
            bits = f"{each.bits} bits, the other on the same port {head.bits}"
            context.fault(at, f"is told apart by {bits}")
        elif each.code in codes:
            context.fault(at, f"code {each.code} is that of another message on the same port")
        else:
            codes[each.code] = path
