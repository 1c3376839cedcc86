"""Generated Python against the construct objects, over random schemas and over all that come with the package."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz_codecs import frame, fuzz, seeds
from random_schemas import devices, payloads, readings
from siel_codecs.codec import Decoded, Downlink, SchemaCodec, as_ts013
from siel_codecs.errors import PayloadError
from siel_codecs.registry import Registry
from siel_codecs.schema.model import Constant, Device, Message, Port, Samples
from siel_codecs.schema.to_construct import Reference

REGISTRY = Registry()
SPECIALS = {"not_available", "under_range", "over_range", "fault"}

slow = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


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
@given(devices("more"), st.data())
def test_the_generated_decoder_is_the_construct_object(device: Device, data: st.DataObject) -> None:
    codec = SchemaCodec(device)
    port, message = data.draw(st.sampled_from(each_message(device)))
    first = frame_of(codec, port, message, data.draw(readings(device, message, sound=True)))
    for payload in [first, *data.draw(st.lists(payloads([first]), min_size=1, max_size=5))]:
        assert_same_decoding(codec, port.direction, port_of(port), payload)
    assert_same_decoding(codec, port.direction, data.draw(st.sampled_from([13, 1])), first)


@slow
@given(devices("more") | devices("downlink"), st.data())
def test_the_generated_encoder_is_the_construct_object(device: Device, data: st.DataObject) -> None:
    codec = SchemaCodec(device)
    for port, message in each_message(device):
        sent = encoded(codec, port, data.draw(readings(device, message)))
        if sent is not None:
            decoded = assert_same_decoding(codec, port.direction, port_of(port), sent)
            assert not decoded.errors


def special_or_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in SPECIALS)


def in_order(value: Any) -> Any:
    """A value as it comes back: without those that say why there is none."""
    return [None if special_or_missing(each) else each for each in value] if isinstance(value, list) else value


@slow
@given(devices("all"), st.data())
def test_what_is_encoded_is_decoded(device: Device, data: st.DataObject) -> None:
    codec = SchemaCodec(device)
    port, message = data.draw(st.sampled_from(each_message(device)))
    given_data = data.draw(readings(device, message, sound=True))
    sent = attempt(codec.reference._build, message, given_data, port.direction == "down")
    if not isinstance(sent, bytes):
        return
    decode = codec.decode if port.direction == "up" else codec.decode_downlink
    decoded = decode(port_of(port), sent)
    own = {name: value for name, value in given_data.items() if name not in {"samples", "time"}}
    for name, value in own.items():
        if special_or_missing(value):
            assert name not in decoded.data
        else:
            assert exact(decoded.data[name]) == exact(in_order(value)), name
    rows = given_data.get("samples") or []
    found = [
        sample for sample in decoded.samples if sample.own_time or any(isinstance(x, Samples) for x in message.items)
    ]
    assert len(found) >= len(rows)
    for row, sample in zip(rows, found, strict=False):
        for name, value in row.items():
            if name != "time" and not special_or_missing(value):
                assert exact(sample.data[name]) == exact(in_order(value)), name


LAYOUTS = {msgspec.json.encode(REGISTRY.device(name).ports): name for name in REGISTRY.names()}
"""One name of each device that no other is equal to."""


@pytest.mark.parametrize("name", sorted(LAYOUTS.values()))
def test_a_shipped_codec_decodes_as_its_reference(name: str) -> None:
    codec, rnd = REGISTRY.load(name), random.Random(name)
    for direction, f_port, payload in seeds(codec.device):
        assert_same_decoding(codec, direction, f_port, payload)
        for _ in range(4):
            assert_same_decoding(codec, direction, f_port, frame(rnd, payload))


def again(codec: SchemaCodec | Reference, direction: str, f_port: int, data: dict[str, Any]) -> Any:
    if direction == "up":
        return attempt(codec.encode, f_port, data)
    sent = attempt(codec.encode_downlink, data, f_port)
    return sent.payload if isinstance(sent, Downlink) else sent


@pytest.mark.parametrize("name", sorted(LAYOUTS.values()))
def test_what_a_shipped_codec_says_is_encoded_as_by_its_reference(name: str) -> None:
    codec, encoded_again = REGISTRY.load(name), 0
    for direction, f_port, payload in seeds(codec.device):
        decode = codec.decode if direction == "up" else codec.decode_downlink
        decoded = decode(f_port, payload)
        sent = again(codec, direction, f_port, as_ts013(decoded))
        assert sent == again(codec.reference, direction, f_port, as_ts013(decoded))
        if isinstance(sent, bytes) and not decoded.errors:
            encoded_again += 1
            assert decode(f_port, sent).data == decoded.data
    assert encoded_again


@slow
@given(st.sampled_from(sorted(LAYOUTS.values())), st.data())
def test_a_shipped_codec_encodes_as_its_reference(name: str, data: st.DataObject) -> None:
    codec = REGISTRY.load(name)
    port, message = data.draw(st.sampled_from(each_message(codec.device)))
    sent = encoded(codec, port, data.draw(readings(codec.device, message)))
    if sent is not None:
        assert not assert_same_decoding(codec, port.direction, port_of(port), sent).errors


@pytest.mark.parametrize("name", REGISTRY.names())
def test_what_a_shipped_example_says_is_what_its_author_knows(name: str) -> None:
    codec = REGISTRY.load(name)
    for example in codec.device.examples:
        decode = codec.decode if example.direction == "up" else codec.decode_downlink
        decoded = decode(example.f_port, example.payload)
        assert (as_ts013(decoded), decoded.warnings, decoded.errors) == (example.data, list(example.warnings), [])


@pytest.mark.parametrize("name", sorted(LAYOUTS.values()))
def test_noise_gives_a_result_and_no_impossible_value(name: str) -> None:
    assert fuzz(REGISTRY.load(name), 2000, seed=1) > 0
