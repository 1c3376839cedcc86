"""Test vectors by rule: what every target must say to each of ``rules.frames``, and to commands at their ends.

The bytes come from the model alone, what they mean from the construct reference.
"""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from siel_codecs.codec import as_ts013
from siel_codecs.errors import PayloadError
from siel_codecs.schema.model import Choice, Number
from siel_codecs.schema.rules import frames, word
from siel_codecs.schema.to_construct.reference import Reference
from siel_codecs.schema.wire import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.schema.model import Device

RECV_MS: Final = 1_767_225_600_000
"""When every vector was received: 2026-01-01T00:00:00Z."""
RECV_TIME: Final = "2026-01-01T00:00:00.000Z"


class Vector(msgspec.Struct, frozen=True):
    """A payload and what a decoder says to it (received at RECV_MS), or data and what an encoder makes of it."""

    title: str
    direction: Literal["up", "down"]
    f_port: int
    payload: bytes
    data: dict[str, Any]
    """As ``as_ts013`` gives it."""
    warnings: list[str]
    errors: list[str]
    call: Literal["decode", "encode"] = "decode"
    """encode: ``data`` gives ``payload`` on ``f_port``, or ``errors``."""


def vectors(device: Device) -> list[Vector]:
    """Return the schema's examples and then the vectors that the rules force, no two of them with equal input."""
    reference = Reference(device)
    found: dict[object, Vector] = {}
    for title, direction, f_port, payload in frames(device):
        key = (direction, f_port, payload)
        if key not in found:
            up = direction == "up"
            result = reference.decode(f_port, payload, RECV_MS) if up else reference.decode_downlink(f_port, payload)
            found[key] = Vector(title, direction, f_port, payload, as_ts013(result), result.warnings, result.errors)
    return [*found.values(), *_encoded(device, reference)]


def vectors_json(device: Device) -> dict[str, Any]:
    """Return the vectors as a JSON document; each is an example as packages of TS013 codecs carry them."""
    return {"codec": device.name, "title": device.title, "examples": [_example(each) for each in vectors(device)]}


def _example(vector: Vector) -> dict[str, Any]:
    bytes_, port = list(vector.payload), vector.f_port
    faults: dict[str, Any] = {"errors": vector.errors} if vector.errors else {}
    if vector.warnings:
        faults["warnings"] = vector.warnings
    if vector.call == "encode":
        output = faults or {"bytes": bytes_, "fPort": port}
        return {
            "type": "downlink-encode", "description": vector.title, "input": {"data": vector.data}, "output": output,
        }  # fmt: skip
    given: dict[str, Any] = {"bytes": bytes_, "fPort": port}
    if vector.direction == "up":
        given["recvTime"] = RECV_TIME
    kind = "uplink" if vector.direction == "up" else "downlink-decode"
    output = faults if vector.errors else {"data": vector.data, **faults}
    return {"type": kind, "description": vector.title, "input": given, "output": output}


def _encoded(device: Device, reference: Reference) -> Iterator[Vector]:
    """Yield what an encoder makes of each command's numbers at their ends and beyond."""
    for port, message in device.downlinks():
        layout, f_port = Layout(message), port.f_ports[0] if port.f_ports else 1
        for slot in layout.slots:
            plan, leaf = layout.reach(slot), slot.leaf
            if plan is None or slot.within == "series" or not isinstance(leaf, Number | Choice):
                continue
            if leaf.name.startswith("_") or "{" in leaf.name:
                continue
            plan.codes[slot.path] = leaf.code_min if isinstance(leaf, Number) else leaf.meanings[0][0]
            decoded = reference.decode_downlink(f_port, layout.payload(plan))
            if decoded.errors or leaf.name not in decoded.data:
                continue
            for what, value in _values(leaf):
                data = copy.deepcopy(decoded.data)
                if slot.within == "list":
                    data[leaf.name][0] = value
                else:
                    data[leaf.name] = value
                title = f"port {f_port}, {message.name + ': ' if message.name else ''}encode {leaf.name} {what}"
                yield _encode(reference, title, f_port, data)


def _values(leaf: Number | Choice) -> Iterator[tuple[str, Any]]:
    if isinstance(leaf, Choice):
        yield from ((word(value), value) for _, value in leaf.meanings)
        yield "unknown", "no such meaning"
        return
    lowest, highest = leaf.value(leaf.code_min), leaf.value(leaf.code_max)
    yield "lowest", lowest
    yield "highest", highest
    yield "below", _plain(Fraction(str(lowest)) - leaf.scale)
    yield "above", _plain(Fraction(str(highest)) + leaf.scale)
    yield "missing", None


def _encode(reference: Reference, title: str, f_port: int, data: dict[str, Any]) -> Vector:
    try:
        made = reference.encode_downlink(data, f_port)
    except PayloadError as error:
        text = f"{error.field}: {error.reason}" if error.field else error.reason
        return Vector(title, "down", f_port, b"", data, [], [text], "encode")
    return Vector(title, "down", made.f_port, made.payload, data, [], [], "encode")


def _plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
