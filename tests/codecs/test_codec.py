"""What a codec promises its users, told by hand: the texts, the rounding, the samples, the policies."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.codec import Codec, Decoded, Downlink, Sample, SchemaCodec, as_ts013, failed
from siel_codecs.errors import EmitError, PayloadError
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import Arm as SwitchArm
from siel_codecs.schema.model import Control, Device, Entry, Message, Number, Port, Samples, SeriesLeaf, Switch, Tlv
from siel_codecs.schema.to_construct import half_away_from_zero
from siel_codecs.schema.to_python.runtime import scaled

CLIMATE = """
title = "Climate"
[[uplink]]
f_port = 11
version = { bits = 3, value = 1 }
field = [
  { name = "temperature", type = "s15", scale = 0.01, unit = "degC", min = -40, max = 125, not_available = -16384 },
  { name = "humidity", type = "u14", scale = 0.01, unit = "%RH", max = 100, not_available = 16383, over_range = 16382 },
  { name = "door", type = "u2", enum = { 0 = "closed", 1 = "open" } },
]
[[uplink]]
f_port = 11
version = { bits = 3, value = 0 }
field = [ { name = "temperature", type = "s13", scale = 0.1, unit = "degC" } ]

[[downlink]]
name = "set_interval"
f_port = 12
field = [
  { const = 1, type = "u8", title = "command" },
  { name = "interval", type = "u16", unit = "min", min = 1, max = 1440 },
]
[[downlink]]
name = "restart"
f_port = 12
field = [ { const = 2, type = "u8", title = "command" } ]
"""


def both(text: str) -> list[Any]:
    codec = SchemaCodec(load_text(text, "test/one"))
    return [codec, codec.reference]


@pytest.fixture(params=[0, 1], ids=["generated", "reference"])
def climate(request: pytest.FixtureRequest) -> Codec:
    found: Codec = both(CLIMATE)[request.param]
    return found


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
        (Fraction(1, 3), 0.33),
    ],
)
def test_values_round_half_away_from_zero_and_saturate(climate: Codec, asked: float, sent: float) -> None:
    payload = climate.encode(11, {"temperature": asked, "door": "open"})
    assert climate.decode(11, payload).data == {"temperature": sent, "door": "open"}


def test_what_is_above_its_range_is_sent_as_such_where_there_is_a_code(climate: Codec) -> None:
    decoded = climate.decode(11, climate.encode(11, {"temperature": 0, "humidity": 225, "door": "open"}))
    assert decoded.data == {"temperature": 0.0, "door": "open"}
    assert decoded.warnings == ["humidity: above its range"]


def test_what_is_missing_or_asked_for_is_absent_with_a_warning(climate: Codec) -> None:
    decoded = climate.decode(11, climate.encode(11, {"humidity": "over_range", "door": "closed"}), 5)
    assert decoded.data == {"door": "closed"}
    assert decoded.warnings == ["temperature: not available", "humidity: above its range"]
    assert decoded.samples == [Sample({"door": "closed"}, 5, 0, decoded.warnings)]
    assert decoded.units == {"temperature": "°C", "humidity": "%"}


@pytest.mark.parametrize(
    ("f_port", "payload", "error"),
    [
        (11, "", "payload too short: 0 bytes"),
        (11, "2000", "payload too short: 2 bytes"),
        (11, "2000000000ff", "payload too long: 6 bytes"),
        (11, "ff", "payload version 7 is not known here (known: 1, 0)"),
        (10, "00", "port 10 is not one of this device (known: 11)"),
    ],
)
def test_a_payload_that_is_none_gives_one_error_and_no_data(
    climate: Codec, f_port: int, payload: str, error: str
) -> None:
    assert climate.decode(f_port, bytes.fromhex(payload)) == failed(error)


def test_codes_without_a_meaning_are_no_data(climate: Codec) -> None:
    decoded = climate.decode(11, bytes.fromhex("2fffffff7f")[:4] + b"\xff")
    assert decoded.data == {}
    assert decoded.warnings == [
        "temperature: outside its range",
        "humidity: not available",
        "door: code 3 is not known",
    ]


def test_an_old_version_still_decodes(climate: Codec) -> None:
    assert climate.decode(11, (215).to_bytes(2, "big")).data == {"temperature": 21.5}


@pytest.mark.parametrize(
    ("f_port", "data", "text"),
    [
        (1, {}, "port 1 is not one of this device (known: 11)"),
        (11, {"level": 1}, "level: there is no such value (known: temperature, humidity, door)"),
        (11, {"temperature": "3.3"}, "temperature: must be a finite number or null"),
        (11, {"temperature": True}, "temperature: must be a finite number or null"),
        (11, {"temperature": float("nan")}, "temperature: must be a finite number or null"),
        (11, {"temperature": float("-inf")}, "temperature: must be a finite number or null"),
        (11, {"temperature": 10**5000}, "temperature: must be a finite number or null"),
        (11, {"temperature": [3.3]}, "temperature: must be a finite number or null"),
        (11, {"temperature": "fault"}, "temperature: has no code for sensor fault"),
        (11, {"temperature": 1, "door": True}, "door: must be one of closed, open"),
        (11, {"temperature": 1}, "door: must have a value; it has no code for not available"),
    ],
)
def test_what_cannot_be_encoded_names_the_value(climate: Codec, f_port: int, data: dict[str, Any], text: str) -> None:
    with pytest.raises(PayloadError) as caught:
        climate.encode(f_port, data)
    assert str(caught.value) == f"test/one: {text}"
    assert caught.value.field == (text.split(":", maxsplit=1)[0] if f_port == 11 else None)


def test_commands_there_and_back(climate: Codec) -> None:
    sent = climate.encode_downlink({"command": "set_interval", "interval": 60})
    assert sent == Downlink(12, b"\x01\x00\x3c")
    assert climate.decode_downlink(12, sent.payload).data == {"command": "set_interval", "interval": 60}
    assert climate.encode_downlink({"command": "restart"}, 12).payload == b"\x02"
    assert climate.decode_downlink(12, b"\x03").errors == ["command 3 is not known here (known: 1, 2)"]
    assert climate.decode_downlink(11, b"\x02").errors == ["port 11 is not one of this device (known: 12)"]


@pytest.mark.parametrize(
    ("data", "f_port", "text"),
    [
        ({}, None, "command must be one of set_interval, restart"),
        ({"command": "stop"}, None, "command must be one of set_interval, restart"),
        ({"command": ["restart"]}, None, "command must be one of set_interval, restart"),
        ({"command": "restart", "interval": 1}, None, "interval: there is no such value (known: )"),
        ({"command": "set_interval", "interval": 1441}, None, "interval: must be 1 to 1440"),
        ({"command": "restart"}, 13, "port 13 is not one of this device (known: 12)"),
    ],
)
def test_commands_are_refused_not_bent(climate: Codec, data: dict[str, Any], f_port: int | None, text: str) -> None:
    with pytest.raises(PayloadError) as caught:
        climate.encode_downlink(data, f_port)
    assert str(caught.value) == f"test/one: {text}"


def test_a_device_without_commands_says_so() -> None:
    for codec in both(CLIMATE[: CLIMATE.index("[[downlink]]")]):
        with pytest.raises(PayloadError, match="this device takes no commands"):
            codec.encode_downlink({})
        assert codec.decode_downlink(1, b"").errors == ["port 1 is not one of this device (known: )"]


# Numbers


@given(st.fractions(), st.fractions())
def test_the_reference_rounds_half_away_from_zero_of_the_value(steps: Fraction, value: Fraction) -> None:
    rounded = half_away_from_zero(steps, value)
    assert abs(rounded - steps) <= Fraction(1, 2)
    if abs(rounded - steps) == Fraction(1, 2):
        assert (rounded > steps) == (value >= 0)


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1000, 1000).map(lambda value: round(value, 3)),
    st.integers(),
    st.tuples(st.integers(-(10**7), 10**7), st.integers(0, 5)).map(lambda of: of[0] / 10 ** of[1]),
)


@given(VALUES, st.integers(1, 2000), st.integers(-(10**6), 10**6), st.integers(1, 2000))
def test_the_fast_ways_round_as_the_exact_one(value: float, num: int, add: int, den: int) -> None:
    exact = Fraction(str(value))
    assert scaled(value, num, add, den) == half_away_from_zero((exact * den - add) / num, exact)


@given(st.integers(-(10**6), 10**6), st.sampled_from([1, 2, 4, 8]), st.sampled_from([10, 100, 1000]))
def test_the_fast_ways_see_ties(code: int, half: int, den: int) -> None:
    value = (2 * code + 1) / (2 * den)  # as near to a tie as a double can be, on either side
    exact = Fraction(str(value))
    assert scaled(value, half, 0, den * half) == half_away_from_zero(exact * den, exact)


# Series


def device(*items: Any, name: str = "test/one") -> Device:
    return Device(name, "One", "", (Port("up", (1,), (Message("", "A message", tuple(items)),)),))


def number(name: str, bits: int = 8, **changes: Any) -> Number:
    found: dict[str, Any] = {
        "name": name, "title": name, "bits": bits, "signed": False, "num": 1, "add": 0, "den": 1, "code_min": 0,
        "code_max": (1 << bits) - 1, "specials": (), "saturates": True, "unit": None, "node": None,
    }  # fmt: skip
    return Number(**found | changes)


def test_a_series_has_the_newest_first_and_each_its_time() -> None:
    series = Samples((SeriesLeaf(number("level", 16), 4),), "_n", False, 60_000, "_t")
    codec = SchemaCodec(device(Control("_t", 32), number("battery"), Control("_n", 8), series))
    data = {
        "battery": 7,
        "time": "2026-01-01T00:10:00.500Z",
        "samples": [{"level": 1003}, {"level": 1000}, {"level": 5}],
    }
    payload = codec.encode(1, data)
    # seconds, battery, count; the oldest whole, the next by the escape, the newest as a difference of 3
    assert payload.hex() == "6955bb58" + "07" + "03" + "0005" + "8" + "03e8" + "3"
    decoded = codec.decode(1, payload, 1)
    assert decoded.data == {"battery": 7, "level": 1003}
    moment = 1_767_226_200_000
    assert decoded.samples == [
        Sample({"battery": 7, "level": 1003}, moment, 0, [], True),
        Sample({"level": 1000}, moment - 60_000, 60_000, [], True),
        Sample({"level": 5}, moment - 120_000, 120_000, [], True),
    ]
    assert as_ts013(decoded)["samples"][1] == {"time": "2026-01-01T00:09:00.000Z", "age_s": 60, "level": 1000}
    assert codec.encode(1, as_ts013(decoded)) == payload


def test_what_a_difference_leads_out_of_the_width_is_no_value() -> None:
    series = Samples((SeriesLeaf(number("level"), 4),), 2, True, 0, None)
    decoded = SchemaCodec(device(series)).decode(1, bytes([254, 0x70]), 9)
    assert decoded.data == {"level": 254}
    assert decoded.warnings == ["sample 1: level: outside its range"]
    assert decoded.samples[1] == Sample({}, None, None, ["level: outside its range"])


def test_an_empty_series_is_one_sample_of_what_is_around_it() -> None:
    series = Samples((SeriesLeaf(number("level")),), "_n", True, 1000, None)
    decoded = SchemaCodec(device(Control("_n", 8), series, number("battery"))).decode(1, b"\x00\x05", 3)
    assert decoded.samples == [Sample({"battery": 5}, 3, 0)]
    assert as_ts013(decoded) == {"battery": 5}


# Entries


def tlv(unknown: Any, **changes: Any) -> SchemaCodec:
    timed = Entry(3, (Control("_t", 32), number("level", 16)), "_t")
    entries = (Entry(1, (number("a"),)), Entry(2, (number("b", 16),)), timed)
    found: dict[str, Any] = {"key_bytes": 1, "channel": False, "length": False, "entries": entries, "sizes": ()}
    return SchemaCodec(device(Tlv(**found | {"unknown": unknown} | changes)))


IN_RAW = "the rest is in raw"


@pytest.mark.parametrize(
    ("codec", "payload", "data", "warning"),
    [
        (tlv("stop"), "01050900010002ffff", {"a": 5}, "type 0x09 at byte 2 is not known: the rest is not decoded"),
        (tlv("raw"), "01050900", {"a": 5, "raw": "0900"}, "type 0x09 at byte 2 is not known: " + IN_RAW),
        (tlv("raw", tail_bytes=1), "010509ff", {"a": 5, "raw": "09"}, "type 0x09 at byte 2 is not known: " + IN_RAW),
        (tlv("skip"), "09000105", {}, "type 0x09 at byte 0 is not known: the rest is not decoded"),
        (tlv("skip", sizes=((9, 1),)), "09000105", {"a": 5}, "type 0x09 at byte 0 is not known: passed over"),
        (tlv("skip", length=True), "0902ffff010105", {"a": 5}, "type 0x09 at byte 0 is not known: passed over"),
        (tlv("skip", length=True), "0102ffff010105", {"a": 5}, "type 0x01 at byte 0 is not known: passed over"),
    ],
)  # fmt: skip
def test_an_unknown_type_is_handled_as_the_schema_says(
    codec: SchemaCodec, payload: str, data: dict[str, Any], warning: str
) -> None:
    decoded = codec.decode(1, bytes.fromhex(payload))
    assert (decoded.data, decoded.warnings) == (data, [warning])
    assert codec.reference.decode(1, bytes.fromhex(payload)) == decoded


def test_entries_with_a_time_are_samples_of_their_own() -> None:
    codec = tlv("stop")
    data = {"a": 5, "samples": [{"time": 60_000, "level": 7}, {"time": "1970-01-01T00:02:00Z", "level": 8}]}
    payload = codec.encode(1, data)
    assert payload.hex() == "0105" + "030000003c0007" + "03000000780008"
    decoded = codec.decode(1, payload, 99)
    assert decoded.samples == [
        Sample({"a": 5}, 99, 0),
        Sample({"level": 7}, 60_000, None, [], True),
        Sample({"level": 8}, 120_000, None, [], True),
    ]
    assert codec.encode(1, as_ts013(decoded)) == payload
    alone = codec.decode(1, payload[2:])
    assert (alone.data, [sample.data for sample in alone.samples]) == ({}, [{"level": 7}, {"level": 8}])
    assert as_ts013(alone)["samples"][0] == {"time": "1970-01-01T00:01:00.000Z", "level": 7}


# What the generator refuses, and what it must not be fooled by


def test_a_control_that_may_be_missing_is_refused_by_name() -> None:
    first = Switch("_a", (SwitchArm((1,), (Control("_b", 8),)),), "ignore")
    with pytest.raises(EmitError, match="python: _b: it steers what may come without it"):
        SchemaCodec(device(Control("_a", 8), first, Switch("_b", (SwitchArm((1,), (number("x"),)),), "ignore")))


def test_texts_of_a_schema_are_never_code() -> None:
    evil = "'+__import__('os').abort()+'\n\"\"\"{f_port}\\"
    found = device(number(evil, title=evil, code_max=9), name=evil)
    decoded = SchemaCodec(found).decode(1, b"\xff")
    assert decoded.warnings == [f"{evil}: outside its range"]
    assert SchemaCodec(found).decode(1, b"\x01").data == {evil: 1}


def test_a_moment_beyond_the_calendar_is_no_time() -> None:
    decoded = Decoded({}, {}, [], [], [Sample({}, 10**30, 0), Sample({}, None, 1500)])
    assert as_ts013(decoded) == {"samples": [{"age_s": 0}, {"age_s": 1.5}]}
