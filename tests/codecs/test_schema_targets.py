"""Every target of a schema against the construct object, over random schemas."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import construct
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from siel_codecs.codec import Decoded, SchemaCodec
from siel_codecs.errors import EmitError, PayloadError
from siel_codecs.registry import Registry
from siel_codecs.schema.model import Absent, Device, Frame, NodeInput, Number, Unit
from siel_codecs.schema.to_construct import half_away_from_zero
from siel_codecs.schema.to_micropython import emit_encoder

UNIT = Unit("u", "count", 1, 1, "1")


@st.composite
def numbers(draw: Any, position: int) -> Number:
    bits = draw(st.integers(1, 24))
    signed = draw(st.booleans())
    lowest = -(1 << bits - 1) if signed else 0
    codes = st.integers(lowest, lowest + (1 << bits) - 1)
    low, high = sorted((draw(codes), draw(codes)))
    missing = draw(st.one_of(st.none(), codes))
    assume(missing is None or not low <= missing <= high)
    scale = draw(st.fractions(min_value=Fraction(1, 1000), max_value=100, max_denominator=1000))
    return Number(
        name=f"n{position}",
        title="A number",
        bits=bits,
        signed=signed,
        offset=draw(st.integers(-1000, 1000)),
        num=scale.numerator,
        den=scale.denominator,
        code_min=low,
        code_max=high,
        not_available=missing,
        unit=UNIT,
        node=NodeInput(f"i{position}", 1, draw(st.sampled_from([1, 2, 3, 5, 10]))),
    )


@st.composite
def devices(draw: Any) -> Device:
    version_bits = draw(st.integers(1, 8))
    fields = tuple(draw(numbers(position)) for position in range(draw(st.integers(1, 5))))
    frame = Frame(draw(st.integers(1, 223)), version_bits, draw(st.integers(0, (1 << version_bits) - 1)), fields)
    return Device("test/random", "Random", "", (frame,))


def by_construct(codec: SchemaCodec, f_port: int, payload: bytes) -> tuple[dict[str, Any], list[str]] | None:
    """Data and warnings as the reference has them; None where it refuses."""
    try:
        found = codec.reference[f_port].parse(payload)
    except (construct.ConstructError, KeyError):
        return None
    values = {name: value for name, value in found.items() if name not in {"_io", "version"}}
    data = {name: value for name, value in values.items() if not isinstance(value, Absent)}
    warnings = [f"{name}: {value.value}" for name, value in values.items() if isinstance(value, Absent)]
    return data, warnings


def assert_equal(decoded: Decoded, expected: tuple[dict[str, Any], list[str]] | None) -> None:
    if expected is None:
        assert decoded.errors
        assert (decoded.data, decoded.warnings, decoded.samples) == ({}, [], [])
    else:
        assert (decoded.data, decoded.warnings, decoded.errors) == (*expected, [])
        assert {name: type(value) for name, value in decoded.data.items()} == {
            name: type(value) for name, value in expected[0].items()
        }
        assert [sample.data for sample in decoded.samples] == [expected[0]]


@given(devices(), st.data())
def test_the_generated_decoder_is_the_construct_object(device: Device, data: st.DataObject) -> None:
    codec, frame = SchemaCodec(device), device.frames[0]
    noise = data.draw(st.binary(min_size=frame.size, max_size=frame.size))
    sound = bytearray(noise)
    sound[0] = sound[0] & (1 << 8 - frame.version_bits) - 1 | frame.version << 8 - frame.version_bits
    for payload in (noise, bytes(sound), noise[:-1], noise + b"\0", b""):
        assert_equal(codec.decode(frame.f_port, payload), by_construct(codec, frame.f_port, payload))
    assert codec.decode(frame.f_port ^ 1, bytes(sound)).errors


class SmallInt(int):
    """An integer that refuses to leave what a 32-bit MicroPython holds without allocation."""

    def _checked(self, value: int) -> SmallInt:
        assert -(1 << 30) <= value < 1 << 30, f"{value} would be allocated"
        return SmallInt(value)

    def __add__(self, other: int) -> SmallInt:
        return self._checked(int(self) + other)

    def __sub__(self, other: int) -> SmallInt:
        return self._checked(int(self) - other)

    def __rsub__(self, other: int) -> SmallInt:
        return self._checked(other - int(self))

    def __neg__(self) -> SmallInt:
        return self._checked(-int(self))

    def __floordiv__(self, other: int) -> SmallInt:
        return self._checked(int(self) // other)

    def __and__(self, other: int) -> SmallInt:
        return self._checked(int(self) & other)

    def __or__(self, other: int) -> SmallInt:
        return self._checked(int(self) | other)

    def __ror__(self, other: int) -> SmallInt:
        return self._checked(int(self) | other)

    def __lshift__(self, other: int) -> SmallInt:
        return self._checked(int(self) << other)

    def __rshift__(self, other: int) -> SmallInt:
        return self._checked(int(self) >> other)


def node_encoder(device: Device) -> dict[str, Any]:
    names: dict[str, Any] = {}
    try:
        exec(emit_encoder(device), names)
    except EmitError:
        assume(False)
    return names


def in_display_units(field: Number, reading: int | None) -> Fraction | None:
    return None if reading is None else Fraction(reading * field.node.num * field.num, field.node.den * field.den)


@settings(max_examples=200)
@given(devices(), st.data())
def test_the_node_s_encoder_is_the_construct_object_in_small_integers(device: Device, data: st.DataObject) -> None:
    encoder, frame, codec = node_encoder(device), device.frames[0], SchemaCodec(device)
    readings: list[int | None] = []
    for field in frame.fields:
        low, high = ((code + field.offset) * field.node.den for code in (field.code_min, field.code_max))
        near = st.one_of(st.integers(low, high), st.integers(low - 20, low + 20), st.integers(high - 20, high + 20))
        far = st.integers(-(1 << 30), (1 << 30) - 1)
        missing = st.none() if field.not_available is not None else st.nothing()
        readings.append(data.draw(st.one_of(near, near, far, missing)))
    buf = bytearray(b"\xff" * (frame.size + 1))
    size = encoder["encode"](buf, *(None if each is None else SmallInt(each) for each in readings))
    assert (size, encoder["SIZE"], encoder["F_PORT"]) == (frame.size, frame.size, frame.f_port)
    assert buf[size] == 0xFF
    values = {field.name: in_display_units(field, each) for field, each in zip(frame.fields, readings, strict=True)}
    assert bytes(buf[:size]) == codec.encode(frame.f_port, values)


@pytest.mark.parametrize("name", Registry().names())
@given(st.data())
def test_what_a_schema_codec_encodes_it_decodes(name: str, data: st.DataObject) -> None:
    codec = Registry().load(name)
    frame = codec.device.frames[0]
    codes = {
        field.name: data.draw(st.one_of(st.none(), st.integers(field.code_min, field.code_max)))
        for field in frame.fields
    }
    values = {field.name: field.value(code) for field in frame.fields if (code := codes[field.name]) is not None}
    decoded = codec.decode(frame.f_port, codec.encode(frame.f_port, values), 1234)
    assert decoded.data == values
    assert decoded.warnings == [f"{name}: not available" for name, code in codes.items() if code is None]
    assert [sample.time_ms for sample in decoded.samples] == [1234]


@pytest.mark.parametrize("name", Registry().names())
@given(st.integers(0, 255), st.binary(max_size=8))
def test_noise_gives_a_result_and_no_impossible_value(name: str, f_port: int, payload: bytes) -> None:
    codec = Registry().load(name)
    for port in (f_port, codec.device.frames[0].f_port):
        decoded = codec.decode(port, payload)
        assert_equal(decoded, by_construct(codec, port, payload))
        for field in codec.device.frames[0].fields:
            value = decoded.data.get(field.name, field.value(field.code_min))
            assert field.value(field.code_min) <= value <= field.value(field.code_max)


CLIMATE, CLIMATE_PORT = Registry().load("siel/climate"), 11


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (21.345, 21.35),  # a tie as written, although its binary fraction lies below
        (-21.345, -21.35),
        (-0.005, -0.01),
        (0.0049, 0.0),
        (20, 20.0),
        (1000, 125.0),
        (-1e308, -40.0),
    ],
)
def test_values_round_half_away_from_zero_and_saturate(asked: float, sent: float) -> None:
    payload = CLIMATE.encode(CLIMATE_PORT, {"temperature": asked})
    assert CLIMATE.decode(CLIMATE_PORT, payload).data == {"temperature": sent}


@given(st.fractions())
def test_half_away_from_zero(value: Fraction) -> None:
    rounded = half_away_from_zero(value)
    assert abs(rounded - value) <= Fraction(1, 2)
    assert abs(rounded - value) != Fraction(1, 2) or abs(rounded) > abs(value)


@pytest.mark.parametrize(
    ("f_port", "data", "field"),
    [
        (1, {}, None),
        (11, {"level": 1}, "level"),
        (11, {"battery": "3.3"}, "battery"),
        (11, {"battery": True}, "battery"),
        (11, {"battery": float("nan")}, "battery"),
        (11, {"battery": float("-inf")}, "battery"),
        (11, {"battery": 10**5000}, "battery"),
        (11, {"battery": [3.3]}, "battery"),
    ],
)
def test_what_cannot_be_encoded_names_the_value(f_port: int, data: dict[str, Any], field: str | None) -> None:
    with pytest.raises(PayloadError) as caught:
        CLIMATE.encode(f_port, data)
    assert (caught.value.codec, caught.value.field) == ("siel/climate", field)


@pytest.mark.parametrize(
    ("f_port", "payload", "error"),
    [
        (11, "30003fff", "payload too short: 4 bytes, port 11 has 5"),
        (11, "30003fffffff", "payload too long: 6 bytes, port 11 has 5"),
        (11, "50003fffff", "payload version 2 is not known here (known: 1)"),
        (10, "30003fffff", "port 10 is not one of this device (known: 11)"),
    ],
)
def test_a_payload_that_is_none_gives_an_error_and_no_data(f_port: int, payload: str, error: str) -> None:
    decoded = CLIMATE.decode(f_port, bytes.fromhex(payload))
    assert (decoded.data, decoded.errors, decoded.samples) == ({}, [error], [])


def test_not_available_is_absent_with_a_warning_and_never_a_number() -> None:
    decoded = CLIMATE.decode(11, CLIMATE.encode(11, {}))
    assert decoded.data == {}
    assert decoded.warnings == ["temperature: not available", "humidity: not available", "battery: not available"]


def device_with(**changes: Any) -> Device:
    field: dict[str, Any] = {
        "name": "n",
        "title": "N",
        "bits": 8,
        "signed": False,
        "offset": 0,
        "num": 1,
        "den": 1,
        "code_min": 0,
        "code_max": 255,
        "not_available": None,
        "unit": UNIT,
        "node": NodeInput("n", 1, 1),
    }
    return Device("test/one", "One", "", (Frame(1, 1, 0, (Number(**field | changes),)),))


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": 31, "code_max": 9},
        {"node": NodeInput("n", 2, 1)},
        {"offset": 1 << 30},
        {"node": NodeInput("n", 1, 1 << 22)},
    ],
    ids=["too wide", "node unit coarser than a step", "offset too large", "product too large"],
)
def test_the_node_s_target_refuses_by_name_what_it_cannot_express(changes: dict[str, Any]) -> None:
    assert "def encode" in emit_encoder(device_with(bits=30))
    with pytest.raises(EmitError) as caught:
        emit_encoder(device_with(**changes))
    assert (caught.value.target, caught.value.field) == ("micropython", "n")


def test_a_value_without_a_code_for_not_available_must_be_given() -> None:
    codec = SchemaCodec(device_with())
    with pytest.raises(PayloadError) as caught:
        codec.encode(1, {})
    assert caught.value.field == "n"
    assert codec.decode(1, codec.encode(1, {"n": 255})).data == {"n": 255}
