"""The node's side of a schema: one MicroPython module that encodes what it sends and decodes what it is told.

Small integers have 31 bits on the 32-bit ports; whatever lies outside is allocated. So every field has at most 30 bits,
no two fields meet in one variable, and an input is clamped before it is scaled.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from siel_codecs.errors import EmitError
from siel_codecs.schema.below import leaves
from siel_codecs.schema.extent import size_bytes, spans
from siel_codecs.schema.model import Absent, Choice, Number
from siel_codecs.schema.to_micropython.decode import GET, Decoder
from siel_codecs.schema.to_micropython.encode import PUT, Encoder
from siel_codecs.schema.to_micropython.numbers import CannotEmitError, argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.schema.model import Device, Message, Port

TARGET: Final = "micropython"


def module_name(device: Device) -> str:
    """Return the name of the module below ``siel_node/codec/``: ``siel_climate`` for ``siel/climate``."""
    return device.name.replace("/", "_").replace("-", "_")


def emit_encoder(device: Device) -> str:
    """Return the source of the node's module.

    What the device includes from other codecs is not in it: their own modules say it.

    ``encode(buf, ...)`` (``encode_<name>`` for a message with a name) takes integers in wire order of the data,
    writes the payload and returns its size; ``decode_downlink(f_port, buf, n, out)`` returns the number of the
    command and fills ``out``, or returns -1. Neither allocates.

    Raises:
        EmitError: The schema says something that this target cannot express.
    """
    try:
        return _module(device.own())
    except CannotEmitError as error:
        raise EmitError(device.name, TARGET, *error.args) from None


def sent_messages(device: Device) -> Iterator[tuple[Port, Message, str]]:
    """Yield what the node sends: port, message and the name of the function without ``encode``'s.

    Of several versions on a port only the newest.
    """
    for port in device.own().ports:
        if port.direction == "up":
            newest = port.messages[:1] if port.messages[0].version is not None else port.messages
            yield from ((port, message, f"_{message.name}" if message.name else "") for message in newest)


def argument_names(message: Message) -> list[str]:
    """Return the names of an encoder's arguments after the buffer, and of what a command brings, in their order."""
    found = (leaf for leaf in leaves(message.items) if isinstance(leaf, Number | Choice))
    return list(dict.fromkeys(argument(leaf) for leaf in found if not leaf.name.startswith("_")))


def _module(device: Device) -> str:
    messages = list(sent_messages(device))
    repeated = [suffix for _, _, suffix in messages]
    for port, message, suffix in messages:
        if repeated.count(suffix) > 1:
            where = message.name or f"uplink on port {(port.f_ports or (1,))[0]}"
            raise CannotEmitError(where, "several messages of one name: give each uplink a name of its own")
    encoders = [Encoder(message, f"encode{suffix}") for _, message, suffix in messages]
    decoder = _decoder(device)
    head = [
        f"# Made by `siel codec generate {device.name} --target {TARGET}`: change the schema instead.",
        "# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.",
    ]
    for port, message, suffix in messages:
        head.append(f"F_PORT{suffix.upper()} = {(port.f_ports or (1,))[0]}")
        head.append(f"SIZE{suffix.upper()} = {size_bytes(spans(message, 'largest'))}")
    head += _commands(device, decoder)
    head += _constants(device, {line.split(" = ")[0] for line in head})
    parts = ["\n".join(head) + "\n"]
    parts += [PUT] * any(each.needs_put for each in encoders)
    parts += [each.text() for each in encoders]
    if decoder:
        parts += [GET] * decoder.needs_get
        parts.append(decoder.text())
    return "\n\n".join(parts)


def _decoder(device: Device) -> Decoder | None:
    ports = [port for port in device.ports if port.direction == "down"]
    if not ports:
        return None
    for name in _command_numbers(device):
        if sum(any(message.name == name for message in port.messages) for port in ports) > 1:
            raise CannotEmitError(name or "downlink", "stands on two ports: give each downlink a name of its own")
    return Decoder(ports, _command_numbers(device))


def _command_numbers(device: Device) -> dict[str, int]:
    found = dict.fromkeys(message.name for _, message in device.downlinks())
    return {name: number for number, name in enumerate(found)}


def _commands(device: Device, decoder: Decoder | None) -> list[str]:
    if decoder is None:
        return []
    numbers = _command_numbers(device)
    lines = [f"CMD{f'_{name.upper()}' if name else ''} = {number}" for name, number in numbers.items()]
    return [*lines, f"OUT_SIZE = {decoder.out_size}"]


def _constants(device: Device, taken: set[str]) -> list[str]:
    """Return FAULT and a name for each code of each choice; with the code where two would be called the same."""
    sent = [leaf for _, message, _ in sent_messages(device) for leaf in leaves(message.items)]
    lines = ['FAULT = "fault"'] if any(_has_fault(leaf) for leaf in sent) else []
    found: dict[str, set[int]] = {}
    for leaf in (*sent, *(leaf for _, message in device.downlinks() for leaf in leaves(message.items))):
        if isinstance(leaf, Choice) and not leaf.is_flag:
            for code, value in leaf.meanings:
                found.setdefault(_constant(leaf.name, str(value)), set()).add(code)
    values: dict[str, int] = {}
    for name, codes in found.items():
        alone = len(codes) == 1 and name not in {*taken, "FAULT"}
        for code in sorted(codes):
            if values.setdefault(name if alone else f"{name}_{code}", code) != code:
                raise CannotEmitError(name.lower(), "two of its codes would have constants of one name")
    return [*lines, *(f"{name} = {code}" for name, code in values.items())]


def _has_fault(leaf: object) -> bool:
    return isinstance(leaf, Number | Choice) and leaf.special(Absent.FAULT) is not None


def _constant(name: str, value: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", f"{name}_{value}".upper()).rstrip("_")
