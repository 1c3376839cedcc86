"""What a node is asked beside its generated module, and what it must answer to a command."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from node_schemas import step_of
from siel_codecs.schema.below import leaves, names
from siel_codecs.schema.model import Choice, Device, Message, Number, Repeat
from siel_codecs.schema.to_micropython import argument_names, emit_encoder, sent_messages
from siel_codecs.schema.to_micropython.plan import walk


def glue(device: Device) -> str:
    """The module, and per encoder a function that takes a list: a starred call would itself allocate."""
    lines = [emit_encoder(device)]
    for _, message, function in sent_messages(device):
        values = ", ".join(f"v[{index}]" for index in range(len(argument_names(message))))
        lines.append(f"def ask_encode{function}(v):\n    return encode{function}(buf{values and ', '}{values})\n")
    return "\n".join(lines)


def as_node(message: Message, data: dict[str, Any]) -> list[Any]:
    """What the node gets for decoded data, list elements one after the other."""
    of_name = {leaf.name: leaf for leaf in leaves(message.items) if isinstance(leaf, Number | Choice)}
    lists = {item.leaf.name: item.count for item in walk(message.items) if isinstance(item, Repeat)}
    found: list[Any] = []
    for name in names(message.items):
        values = data.get(name, [None] * int(lists[name] or 0)) if name in lists else [data.get(name)]
        found += [None if value is None else _node_value(of_name[name], value) for value in values]
    return found


def _node_value(leaf: Number | Choice, value: Any) -> Any:
    if isinstance(leaf, Choice):
        return value if leaf.is_flag else next(code for code, each in leaf.meanings if each == value)
    code = round((Fraction(value) * leaf.den - leaf.add) / leaf.num)
    steps = Fraction(code * leaf.num + leaf.add, leaf.den) / step_of(leaf)
    assert steps.denominator == 1
    return int(steps)
