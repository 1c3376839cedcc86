"""Generated Python against the construct objects, over random schemas and over all that come with the package."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from random_schemas import devices, payloads, readings
from siel_codecs.codec import Decoded, SchemaCodec
from siel_codecs.errors import PayloadError
from siel_codecs.schema.model import Constant, Device, Message, Port

slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def port_of(port: Port) -> int:
    return port.f_ports[0] if port.f_ports else 77


def exact(value: Any) -> Any:
    """The value with its types, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return [(name, exact(each)) for name, each in value.items()]
    if isinstance(value, list):
        return [exact(each) for each in value]
    assert not isinstance(value, float) or math.isfinite(value)
    return (type(value).__name__, value)


def outcome(decoded: Decoded) -> Any:
    samples = [(exact(each.data), each.time_ms, each.age_ms, each.warnings, each.own_time) for each in decoded.samples]
    return exact(decoded.data), decoded.units, decoded.warnings, decoded.errors, samples


def attempt(call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except PayloadError as error:
        return str(error), error.field


def assert_same_decoding(codec: SchemaCodec, direction: str, f_port: int, payload: bytes) -> Decoded:
    if direction == "up":
        found = codec.decode(f_port, payload, 1_000_000)
        expected = codec.reference.decode(f_port, payload, 1_000_000)
    else:
        found, expected = codec.decode_downlink(f_port, payload), codec.reference.decode_downlink(f_port, payload)
    assert outcome(found) == outcome(expected), payload.hex()
    return found


def encoded(codec: SchemaCodec, port: Port, data: dict[str, Any]) -> bytes | None:
    """What both encoders make of it, equal; None where both refuse."""
    f_port = port_of(port)
    if port.direction == "up":
        found = attempt(codec.encode, f_port, data)
        assert found == attempt(codec.reference.encode, f_port, data)
        return found if isinstance(found, bytes) else None
    down = attempt(codec.encode_downlink, data, f_port)
    assert down == attempt(codec.reference.encode_downlink, data, f_port)
    assert attempt(codec.encode_downlink, data) == attempt(codec.reference.encode_downlink, data)
    return None if isinstance(down, tuple) else down.payload


def frame_of(codec: SchemaCodec, port: Port, message: Message, data: dict[str, Any]) -> bytes:
    """A frame of this message, also of an old version; its first bits where there are no such values."""
    try:
        return codec.reference._build(message, data, port.direction == "down")
    except PayloadError:
        first = message.items[0]
        if not isinstance(first, Constant):
            return b""
        return (first.code << -first.bits % 8).to_bytes((first.bits + 7) // 8, "big")


def each_message(device: Device) -> list[tuple[Port, Message]]:
    return [(port, message) for port in device.ports for message in port.messages]


@slow
@given(devices(), st.data())
def test_the_generated_decoder_is_the_construct_object(device: Device, data: st.DataObject) -> None:
    codec = SchemaCodec(device)
    port, message = data.draw(st.sampled_from(each_message(device)))
    frame = frame_of(codec, port, message, data.draw(readings(device, message, sound=True)))
    for payload in [frame, *data.draw(st.lists(payloads([frame]), min_size=1, max_size=5))]:
        assert_same_decoding(codec, port.direction, port_of(port), payload)
    assert_same_decoding(codec, port.direction, data.draw(st.sampled_from([13, 1])), frame)


@slow
@given(devices() | devices("downlink"), st.data())
def test_the_generated_encoder_is_the_construct_object(device: Device, data: st.DataObject) -> None:
    codec = SchemaCodec(device)
    for port, message in each_message(device):
        frame = encoded(codec, port, data.draw(readings(device, message)))
        if frame is not None:
            decoded = assert_same_decoding(codec, port.direction, port_of(port), frame)
            assert not decoded.errors
