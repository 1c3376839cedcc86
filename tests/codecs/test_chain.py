"""The promise of the schemas: one text, and what a node says and hears is the same in all that is made of it.

Readings -> MicroPython under a locked heap -> the bytes of ``encode`` -> generated Python, construct, and JavaScript as
a strict module and as a sloppy script, equal to the bit and to the word. Commands take the way back.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from fuzz_codecs import Ranges
from javascript_servers import Server, check_encoder, expected
from node_calls import as_node, glue
from node_schemas import Reading
from node_schemas import messages as node_messages
from random_schemas import devices, payloads, readings
from siel_codecs.codec import Decoded, Downlink, SchemaCodec
from siel_codecs.errors import EmitError, PayloadError
from siel_codecs.registry import Registry
from siel_codecs.schema.below import names
from siel_codecs.schema.model import Device, Message, Port
from siel_codecs.schema.to_construct import Reference
from siel_codecs.schema.to_javascript import emit_javascript
from siel_codecs.schema.to_micropython import sent_messages

REGISTRY = Registry()
OWN = [name for name in REGISTRY.names() if name.startswith("siel/")]
RECV_TIME, RECV_MS = "2026-01-02T03:04:05.678Z", 1_767_323_045_678
REFUSED = "refused"
EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))


class Chain:
    """All that is made of one schema."""

    def __init__(self, device: Device) -> None:
        self.device = device.own()
        self.codec = SchemaCodec(self.device)
        self.server = Server(emit_javascript(self.device))
        self.module = glue(self.device)
        made: dict[str, Any] = {}
        exec(self.module, made)
        self.numbers = {name: value for name, value in made.items() if name.startswith("CMD")}
        self.out_size = made.get("OUT_SIZE", 0)
        self.ranges = Ranges(self.device)
        self.alone: dict[str, SchemaCodec] = {}

    def load(self, nodes: list[Any]) -> None:
        for node in nodes:
            node.load(self.module, self.out_size)

    def encoder(self, port: Port, message: Message) -> SchemaCodec:
        """The codec that encodes as this message, also where another of the port has all its names."""
        if len(port.messages) == 1 or message.version is not None:
            return self.codec
        if message.name not in self.alone:
            only = Device("test/alone", "", "", (Port("up", port.f_ports, (message,)),))
            self.alone[message.name] = SchemaCodec(only)
        return self.alone[message.name]

    def decoded(self, direction: str, f_port: int, found: list[bytes]) -> list[Decoded]:
        """What every target says to each payload; it must be one."""
        function = "decodeUplink" if direction == "up" else "decodeDownlink"
        inputs = [{"bytes": list(payload), "fPort": f_port, "recvTime": RECV_TIME} for payload in found]
        said = []
        for payload, script in zip(found, self.server.call(function, inputs), strict=True):
            made, reference = (
                each.decode(f_port, payload, RECV_MS) if direction == "up" else each.decode_downlink(f_port, payload)
                for each in (self.codec, self.codec.reference)
            )
            # Their texts differ where 1, 1.0 and True do not
            assert repr(made) == repr(reference), payload.hex()
            assert exact(script) == exact(expected(self.codec, direction, f_port, payload, RECV_MS)), payload.hex()
            self.ranges.check(made)
            said.append(made)
        return said


def exact(value: Any) -> Any:
    """What differs where bits, order or true and 1 do; JavaScript has one kind of numbers."""
    if isinstance(value, dict):
        return [(name, exact(each)) for name, each in value.items()]
    if isinstance(value, list):
        return [exact(each) for each in value]
    return float(value).hex() if isinstance(value, int | float) and not isinstance(value, bool) else value


def as_written(value: Any) -> Any:
    """A value as people and programs have it: a double where its shortest text is the value itself."""
    if isinstance(value, dict):
        return {name: as_written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_written(each) for each in value]
    if not isinstance(value, Fraction):
        return value
    if value.denominator == 1:
        return int(value)
    return float(value) if Fraction(str(float(value))) == value else value


def encoded(codec: SchemaCodec, f_port: int, data: dict[str, Any]) -> str:
    said = []
    for each in (codec, codec.reference):
        try:
            said.append((each.encode(f_port, data).hex(), ""))
        except PayloadError as error:
            said.append((REFUSED, f"{error.field}: {error.reason}"))
    assert said[0] == said[1], data
    return said[0][0]


def damaged(data: st.DataObject, sent: list[bytes]) -> list[bytes]:
    return [data.draw(payloads(sent)) for _ in range(3)]


def uplinks_hold(chain: Chain, nodes: list[Any], data: st.DataObject, count: int) -> None:
    for port, message, function in sent_messages(chain.device):
        codec, f_port = chain.encoder(port, message), (port.f_ports or (1,))[0]
        drawn = [Reading(data.draw, message) for _ in range(count)]
        arguments = [[each.given.get(name) for name in names(message.items)] for each in drawn]
        meant = [encoded(codec, f_port, as_written(each.data)) for each in drawn]
        for node in nodes:
            answers = node.encode(f"encode{function}", arguments)
            assert [REFUSED if each in {"ValueError", "IndexError"} else each for each in answers] == meant
        sent = [bytes.fromhex(each) for each in meant if each != REFUSED]
        event("uplinks" if sent else "no uplinks")
        assert not any(decoded.errors for decoded in chain.decoded("up", f_port, sent))
        chain.decoded("up", data.draw(st.sampled_from([*port.f_ports, 99])), damaged(data, sent))


def downlinks_hold(chain: Chain, nodes: list[Any], data: st.DataObject, count: int) -> None:
    for port, message in chain.device.downlinks():
        asked = [data.draw(readings(chain.device, message, sound=index % 3 == 0)) for index in range(count)]
        check_encoder(chain.codec, chain.server, [(each, None) for each in asked])
        said = [asked_of(chain.codec, each) for each in asked]
        assert said == [asked_of(chain.codec.reference, each) for each in asked]
        sent = [each.payload for each in said if isinstance(each, Downlink)]
        event("downlinks" if sent else "no downlinks")
        for f_port, found in (
            ((port.f_ports or (1,))[0], sent),
            (data.draw(st.sampled_from([*port.f_ports, 99])), damaged(data, sent)),
        ):
            meant = [as_command(chain, port, each) for each in chain.decoded("down", f_port, found)]
            for node in nodes:
                heard = node.decode([(f_port, payload) for payload in found])
                assert [
                    (command, out[: len(values)]) for (command, out), (_, values) in zip(heard, meant, strict=True)
                ] == meant


def asked_of(codec: SchemaCodec | Reference, data: dict[str, Any]) -> Downlink | str:
    try:
        return codec.encode_downlink(data)
    except PayloadError as error:
        return f"{error.field}: {error.reason}"


def as_command(chain: Chain, port: Port, decoded: Decoded) -> tuple[int, list[Any]]:
    """What the node must hear: a command that is sound in each value, or none."""
    if decoded.errors or not all(each.endswith((": not available", " not decoded")) for each in decoded.warnings):
        return -1, []
    name = decoded.data.get("command", "")
    message = next(each for each in port.messages if each.name == name)
    return chain.numbers[f"CMD_{name.upper()}" if name else "CMD"], as_node(message, decoded.data)


def test_the_words_of_the_boards_are_among_them(micropython32: Any, nodes: list[Any]) -> None:
    assert micropython32.version
    assert len(nodes) == 2, "both are asked each question"


@cache
def own(name: str) -> Chain:
    return Chain(REGISTRY.device(name))


@pytest.mark.parametrize("name", OWN)
@settings(EXAMPLES, max_examples=6)
@given(data=st.data())
def test_every_own_sensor_type_keeps_the_promise(nodes: list[Any], name: str, data: st.DataObject) -> None:
    chain = own(name)
    chain.load(nodes)
    uplinks_hold(chain, nodes, data, 12)
    downlinks_hold(chain, nodes, data, 6)


@st.composite
def node_devices(draw: Any) -> Device:
    """One message and one command of the generator that draws for the node alone."""
    down = Port("down", (7,), (draw(node_messages(command=True)),))
    return Device("test/random", "Random", "", (Port("up", (7,), (draw(node_messages()),)), down))


def chain_of(device: Device) -> Chain:
    try:
        return Chain(device)
    except EmitError as error:
        event(f"refused: {error.target} {error.reason}")
        assume(False)
        raise


@settings(EXAMPLES, max_examples=50)
@given(st.one_of(devices("micropython"), node_devices()), st.data())
def test_every_schema_keeps_the_promise(nodes: list[Any], device: Device, data: st.DataObject) -> None:
    chain = chain_of(device)
    chain.load(nodes)
    uplinks_hold(chain, nodes, data, 5)
    downlinks_hold(chain, nodes, data, 4)
