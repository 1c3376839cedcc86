"""Random messages: what the node encodes and decodes, on real interpreters and in small integers, is the reference."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from node_schemas import Reading, SmallInt, messages, step_of
from random_schemas import messages as any_messages
from random_schemas import payloads, ports, readings
from siel_codecs.errors import EmitError, PayloadError
from siel_codecs.schema.model import (
    Choice,
    Device,
    Message,
    Number,
    Port,
    Repeat,
    leaves,
    names,
)
from siel_codecs.schema.to_construct import Reference
from siel_codecs.schema.to_micropython import argument_names, emit_encoder
from siel_codecs.schema.to_micropython_plan import walk

EXAMPLES = settings(max_examples=50, suppress_health_check=list(HealthCheck))


def small(value: Any) -> Any:
    if isinstance(value, list):
        return [small(each) for each in value]
    return SmallInt(value) if isinstance(value, int) and not isinstance(value, bool) else value


def on_cpython(module: dict[str, Any], arguments: list[Any]) -> str:
    buf = bytearray(b"\xff" * 242)
    try:
        size = module["encode"](buf, *map(small, arguments))
    except (ValueError, IndexError):
        return "refused"
    assert size <= module["SIZE"]
    assert buf[size:] == b"\xff" * (242 - size)
    return bytes(buf[:size]).hex()


def reference(codec: Reference, data: dict[str, Any]) -> str:
    try:
        return codec.encode(7, data).hex()
    except PayloadError:
        return "refused"


def emitted(device: Device) -> str:
    try:
        return emit_encoder(device)
    except EmitError as error:
        event(f"refused: {error.reason}")
        assume(False)
        raise


@EXAMPLES
@given(st.one_of(messages(), any_messages("micropython")), st.data())
def test_what_the_node_encodes_is_what_the_gateway_would(
    nodes: list[Any], message: Message, data: st.DataObject
) -> None:
    device = Device("test/random", "Random", "", (Port("up", (7,), (message,)),))
    source = emitted(device)
    readings = [Reading(data.draw, message) for _ in range(6)]
    wanted = names(message.items)
    arguments = [[reading.given.get(name) for name in wanted] for reading in readings]
    codec = Reference(device)
    expected = [reference(codec, reading.data) for reading in readings]
    values = ", ".join(f"v[{index}]" for index in range(len(argument_names(message))))
    for node in nodes:
        node.load(f"{source}\ndef ask_encode(v):\n    return encode(buf{values and ', '}{values})\n")
        answers = node.encode("encode", arguments)
        assert [each if each not in {"ValueError", "IndexError"} else "refused" for each in answers] == expected
    module: dict[str, Any] = {}
    exec(source, module)
    assert [on_cpython(module, each) for each in arguments] == expected
    for each in expected:
        event("refused" if each == "refused" else "encoded")


def as_node(message: Message, data: dict[str, Any]) -> list[Any]:
    """What the node gets for decoded data, list elements one after the other."""
    of_name = {leaf.name: leaf for leaf in leaves(message.items) if isinstance(leaf, Number | Choice)}
    lists = {item.leaf.name: item.count for item in walk(message.items) if isinstance(item, Repeat)}
    found: list[Any] = []
    for name in names(message.items):
        values = data.get(name, [None] * int(lists[name] or 0)) if name in lists else [data.get(name)]
        found += [None if value is None else node_value(of_name[name], value) for value in values]
    return found


def node_value(leaf: Number | Choice, value: Any) -> Any:
    if isinstance(leaf, Choice):
        return value if leaf.is_flag else next(code for code, each in leaf.meanings if each == value)
    code = round((Fraction(value) * leaf.den - leaf.add) / leaf.num)
    steps = Fraction(code * leaf.num + leaf.add, leaf.den) / step_of(leaf)
    assert steps.denominator == 1
    return int(steps)


class SmallBytes(bytes):
    """Bytes that are small integers."""

    def __getitem__(self, index: Any) -> Any:
        return SmallInt(super().__getitem__(index))


@EXAMPLES
@given(messages(command=True), st.data())
def test_what_the_node_decodes_is_what_the_gateway_meant(
    nodes: list[Any], message: Message, data: st.DataObject
) -> None:
    device = Device("test/random", "Random", "", (Port("down", (7,), (message,)),))
    source = emitted(device)
    codec, payloads = Reference(device), []
    for _ in range(5):
        try:
            payloads.append(codec.encode_downlink(Reading(data.draw, message).data).payload)
        except PayloadError:
            event("refused")
    payloads += [payload[:-1] for payload in payloads[:1]] + [payload + b"\0" for payload in payloads[:1]]
    payloads += data.draw(st.lists(st.binary(max_size=12), max_size=5))
    expected = []
    for payload in payloads:
        decoded = codec.decode_downlink(7, payload)
        sound = not decoded.errors and all(each.endswith(": not available") for each in decoded.warnings)
        event("sound" if sound else "noise")
        expected.append((0, as_node(message, decoded.data)) if sound else (-1, []))
    module: dict[str, Any] = {}
    exec(source, module)
    for node in nodes:
        node.load(source, module["OUT_SIZE"])
        answers = node.decode([(7, each) for each in payloads])
        assert [(command, out if command >= 0 else []) for command, out in answers] == expected
        assert node.decode([(8, b"\0")]) == [(-1, [-12345] * module["OUT_SIZE"])]
    for payload, (command, wanted) in zip(payloads, expected, strict=True):
        out: list[Any] = [-1] * module["OUT_SIZE"]
        assert module["decode_downlink"](7, SmallBytes(payload), len(payload), out) == command
        assert command < 0 or out == wanted


@EXAMPLES
@given(ports("down", (7, 9), "micropython"), st.data())
def test_each_command_of_a_port_has_its_number(nodes: list[Any], port: Port, data: st.DataObject) -> None:
    device = Device("test/random", "Random", "", (port,))
    source = emitted(device)
    codec, frames = Reference(device), []
    for message in port.messages:
        try:
            frames.append(codec.encode_downlink(data.draw(readings(device, message, sound=True))).payload)
        except PayloadError:
            event("refused")
    sent = [(data.draw(st.sampled_from([7, 9, 9, 8])), data.draw(payloads(frames))) for _ in range(6)]
    sent += [(9, frame) for frame in frames]
    module: dict[str, Any] = {}
    exec(source, module)
    answers = []
    for node in nodes:
        node.load(source, module["OUT_SIZE"])
        answers.append(node.decode(sent))
    assert all(answer == answers[0] for answer in answers)
    for (f_port, payload), (command, out) in zip(sent, answers[0], strict=True):
        decoded = codec.decode_downlink(f_port, payload)
        if decoded.errors or not all(each.endswith((": not available", " not decoded")) for each in decoded.warnings):
            assert command == -1
            continue
        name = decoded.data.get("command", "")
        assert command == module[f"CMD_{name.upper()}" if name else "CMD"]
        message = next(each for each in port.messages if each.name == name)
        wanted = as_node(message, decoded.data)
        assert out[: len(wanted)] == wanted
        event("sound")
