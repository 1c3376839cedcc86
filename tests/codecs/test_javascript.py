"""Generated JavaScript in QuickJS, as network servers load it, against the Python codec of the same schema."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
import quickjs
from hypothesis import given, settings
from hypothesis import strategies as st

from javascript_servers import Server, check_encoder, expected
from siel_codecs.codec import SchemaCodec
from siel_codecs.errors import EmitError
from siel_codecs.registry import Registry
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import (
    Arm,
    Control,
    Device,
    Entry,
    Item,
    Message,
    Number,
    Port,
    Samples,
    SeriesLeaf,
    Switch,
    Tlv,
)
from siel_codecs.schema.rules import frames
from siel_codecs.schema.to_javascript import MAX_BYTES, emit_javascript

RECV_TIME, RECV_MS = "2026-01-02T03:04:05.678Z", 1_767_323_045_678
REGISTRY = Registry()
HAND_MADE = {
    "bits": """
title = "Every width at every place"
[[uplink]]
f_port = 1
field = [
"""
    + ",\n".join(
        f'{{ name = "{kind}{bits}", type = "{kind}{bits}", scale = "{scale}", offset = {offset} }}'
        for kind, bits, scale, offset in [
            ("u", 1, "1", 0),
            ("u", 32, "1", 0),
            ("s", 32, "1/10", 0),
            ("u", 3, "1", -5),
            ("s", 31, "1/3", 0),
            ("u", 31, "7", 0),
            ("s", 2, "1", 0),
            ("u", 27, "1/1000", 40),
            ("s", 26, "1/7", -1),
            ("u", 5, "2/3", 0),
            ("s", 25, "0.001", 0),
            ("u", 24, "1", 0),
            ("s", 24, "1", 0),
            ("s", 8, "1", 0),
            ("u", 16, "1", 0),
            ("s", 16, "0.01", 0),
            ("u", 17, "1", 0),
            ("s", 9, "1", 0),
            ("u", 30, "1", 0),
            ("s", 29, "1", 0),
        ]
    )
    + """]
[[downlink]]
field = [{ name = "low", type = "u3", min = 1 }, { name = "all", type = "s32" }, { name = "more", type = "u29" }]
""",
    "words": """
title = "Little-endian words and a control that stands later"
[[uplink]]
f_port = [2, 7]
extra = "ignore"
field = [
  { name = "head", type = "u8", not_available = [255, 0], min = 1, max = 200 },
  { when = "_late", field = [{ name = "a", type = "u16le", scale = 0.1 }] },
  { word = 24, field = [
    { name = "b", type = "s11", fault = -1024 }, { const = 5, type = "u3", title = "mark" }, { reserved = 3 },
    { name = "c", type = "u7" },
  ] },
]
[[uplink]]
f_port = 3
field = [
  { switch = "_late", otherwise = "error", arm = [
    { is = 1, field = [{ name = "x", type = "u8" }] }, { is = [2, 3], field = [{ name = "y", type = "s8" }] },
  ] },
  { name = "_late", type = "u2" },
  { name = "id", type = "hex3" },
]
""".replace(
        """  { when = "_late", field = [{ name = "a", type = "u16le", scale = 0.1 }] },
""",
        """  { name = "a", type = "u16le", scale = 0.1 },
""",
    ).replace(
        """  { name = "id", type = "hex3" },
""",
        """  { reserved = 6 },
  { name = "id", type = "hex3" },
""",
    ),
    "groups": """
title = "Groups of any size"
[[uplink]]
version = { bits = 3, value = 2 }
extra = "ignore"
field = [
  { name = "_a", type = "bool" }, { name = "_b", type = "bool" },
  { name = "mode", type = "u3", enum = { 0 = "off", 1 = "on", 2 = "auto", 5 = "test" }, fault = 7 },
  { when = "_a", field = [
    { name = "odd", type = "u11", max = 2000, over_range = 2047, under_range = { from = 2040, to = 2045 } },
    { when = "_b", field = [{ name = "inner", type = "bool", true_is = 0 }] },
  ] },
  { when = "_b", field = [{ name = "even", type = "s5" }] },
  { switch = "mode", otherwise = "ignore", arm = [
    { is = 1, field = [{ name = "speed", type = "u4" }] },
    { is = [2, 5], field = [{ name = "_n", type = "u4" }, { name = "list", type = "u5", count = "_n", max = 30 }] },
  ] },
]
[[uplink]]
version = { bits = 3, value = 1 }
field = [{ name = "old", type = "u6" }]
[[downlink]]
name = "set"
f_port = [10, 11]
field = [
  { const = 1, type = "u4" },
  { name = "_a", type = "bool" }, { name = "_b", type = "bool" },
  { name = "mode", type = "u2", enum = { 0 = "off", 1 = "on", 2 = "auto" } },
  { when = "_a", field = [{ name = "odd", type = "u11", max = 200, scale = 0.1, offset = 10 }] },
  { when = "_b", field = [{ name = "even", type = "s5", not_available = -16, min = -15, max = 15, saturate = true }] },
  { switch = "mode", otherwise = "error", arm = [
    { is = 0, field = [] },
    { is = 1, field = [{ name = "speed", type = "u4" }] },
    { is = 2, field = [{ name = "_n", type = "u4" }, { name = "list", type = "u5", count = "_n", max = 30 }] },
  ] },
]
[[downlink]]
name = "pick"
f_port = [10, 11]
field = [
  { const = 2, type = "u4" },
  { name = "_what", type = "u4" },
  { switch = "_what", otherwise = "error", arm = [
    { is = [3, 4], field = [{ name = "x", type = "u16le", scale = 0.01 }] },
    { is = 1, field = [{ name = "x", type = "u16", scale = 0.01 }, { name = "id", type = "hex2" }] },
  ] },
  { name = "fixed", type = "u8", count = 3, not_available = 255, max = 254 },
  { name = "rest", type = "s10", count = "rest", scale = 0.5, min = -100, max = 100, fault = -512 },
]
[[downlink]]
name = "alone"
f_port = 12
field = [{ name = "alone", type = "u8" }]
""",
    "series": """
title = "Series"
[[uplink]]
f_port = 1
field = [
  { name = "_time", type = "u32" }, { name = "interval", type = "u8", unit = "min", max = 200, not_available = 255 },
  { samples = "rest", order = "oldest_first", step = "interval", base = "_time", field = [
    { name = "level", type = "s12", scale = 0.1, delta = 4, not_available = -2048, min = -200, max = 200 },
    { name = "ok", type = "bool" }, { reserved = 3 },
  ] },
]
[[uplink]]
f_port = 2
extra = "ignore"
field = [
  { name = "_n", type = "u4" }, { name = "first", type = "u4", max = 9 },
  { samples = "_n", step_s = 90, field = [{ name = "rain", type = "u16", scale = 0.2, delta = 8, max = 12000 }] },
  { name = "last", type = "u8" },
]
[[uplink]]
f_port = 3
field = [{ samples = 4, step_s = 600, field = [{ name = "t", type = "s8" }, { name = "d", type = "u8", max = 100 }] }]
[[uplink]]
f_port = 4
field = [{ name = "levels", type = "s12", count = "rest", max = 100 }]
[[downlink]]
f_port = 5
field = [
  { name = "_time", type = "u32" }, { name = "_n", type = "u5" }, { name = "key", type = "u3" },
  { samples = "_n", order = "oldest_first", step_s = 60, base = "_time", field = [
    { name = "level", type = "s12", scale = 0.1, delta = 4, not_available = -2048, min = -200, max = 200 },
    { name = "ok", type = "bool" }, { reserved = 3 },
  ] },
]
""",
    "entries": """
title = "Entries with channels, a length and a tail"
[[uplink]]
f_port = 1
field = [
  { name = "status", type = "u8", max = 100 },
  { tlv = "u8", channel = true, unknown = "skip", sizes = { 0x10 = 2 }, tail = 2, entry = [
    { key = 0x67, field = [{ name = "temperature_{channel}", type = "s16le", scale = 0.1, not_available = -32768 }] },
    { key = 0x68, field = [{ name = "_n", type = "u8" }, { name = "list_{channel}", type = "u8", count = "_n" }] },
    { key = 0x20, time = "_ts", field = [
      { name = "_ts", type = "u32le" }, { name = "old_{channel}", type = "u8", max = 99 },
    ] },
  ] },
]
[[uplink]]
f_port = 2
field = [{ tlv = "u16", length = true, unknown = "raw", entry = [
  { key = 0x0367, field = [{ name = "a", type = "u8" }] }, { key = 2, field = [{ name = "b", type = "hex3" }] },
] }]
[[uplink]]
f_port = 3
field = [{ tlv = "u8", length = true, unknown = "skip", entry = [{ key = 1, field = [{ name = "a", type = "u8" }] }] }]
[[uplink]]
f_port = 4
field = [{ tlv = "u8", unknown = "stop", entry = [
  { key = 1, time = "_t", field = [{ name = "_t", type = "u32" }, { name = "a", type = "u8", max = 9 }] },
  { key = 2, field = [
    { name = "_kind", type = "u8" },
    { switch = "_kind", otherwise = "error", arm = [
      { is = 1, field = [{ name = "b", type = "u16" }] }, { is = 7, field = [] },
    ] },
  ] },
] }]
[[downlink]]
f_port = 9
field = [{ tlv = "u8", channel = true, unknown = "stop", entry = [
  { key = 0x67, field = [
    { name = "limit_{channel}", type = "s16le", scale = 0.1 },
    { name = "on_{channel}", type = "u8", enum = { 0 = false, 1 = true }, not_available = 255 },
  ] },
  { key = 0x70, field = [{ name = "interval_{channel}", type = "u16", min = 1 }] },
] }]
""",
}


@cache
def device_of(name: str) -> Device:
    return load_text(HAND_MADE[name], f"test/{name}") if name in HAND_MADE else REGISTRY.device(name)


def ports_of(device: Device, direction: str) -> list[int]:
    return [f_port for port in device.ports if port.direction == direction for f_port in port.f_ports or (1, 200)]


def check_decoders(device: Device, server: Server, more: list[tuple[str, int, bytes]]) -> list[dict[str, Any]]:
    """Hold both decoders against Python over all that the rules force; return the data of sound downlinks."""
    codec = SchemaCodec(device)
    found = [(frame.direction, frame.f_port, frame.payload) for frame in frames(device)] + more
    downlinks: list[dict[str, Any]] = []
    for direction, function in (("up", "decodeUplink"), ("down", "decodeDownlink")):
        cases = [(f_port, payload) for way, f_port, payload in found if way == direction]
        inputs = [{"bytes": list(payload), "fPort": f_port, "recvTime": RECV_TIME} for f_port, payload in cases]
        if inputs:
            results = server.call(function, inputs)
            for (f_port, payload), result in zip(cases, results, strict=True):
                assert result == expected(codec, direction, f_port, payload, RECV_MS), (f_port, payload.hex())
            downlinks += [result["data"] for result in results if direction == "down" and not result["errors"]]
    return downlinks


def random_frames(device: Device, seed: int, count: int) -> list[tuple[str, int, bytes]]:
    rng = random.Random(seed)
    ports = [(direction, f_port) for direction in ("up", "down") for f_port in ports_of(device, direction)]
    return [(*rng.choice(ports), rng.randbytes(rng.choice([*range(24), 51, 242, 255]))) for _ in range(count)]


ODD_VALUES: list[Any] = [
    *(None, True, False, "", "on", "fault", "not_available", "under_range", "over_range", "1", "beef", "0A0b"),
    *([], [1], {}, [1, 2, 3], [None, 0, 5], ["x"], [{"x": 1}], [{"level": 1, "ok": True}]),
    *(-1, 0, 0.04, 0.05, 1.005, 2.675, 9.95, 10.05, -0.5, 0.5, 1.5, 2.5, 1e-9, 1e300, -1e300, 1e21, 123456789012345678),
    *([{}, {"level": 1.55}, {"level": None, "age_s": 3}], [{"level": -20, "time": "2026-01-01T00:00:00Z"}]),
    *("2026-01-01T00:00:00Z", "2026-01-01T01:00:00.5+01:00", 1767222000999),
]


def mutations(rng: random.Random, data: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    found = [data, {}, dict(reversed(data.items()))]
    for _ in range(25):
        changed = dict(data)
        for _ in range(rng.choice([1, 1, 2])):
            name = rng.choice(names)
            if rng.random() < 0.25:
                changed.pop(name, None)
            else:
                value = rng.choice(ODD_VALUES)
                # JavaScript has no integers: 5.0 is a time there and none in Python.
                changed[name] = 5 if name == "time" and isinstance(value, float) else value
        found.append(changed)
    return found


@pytest.mark.parametrize("name", HAND_MADE)
def test_every_kind_of_item_is_as_in_python(name: str) -> None:
    device = device_of(name)
    server = Server(emit_javascript(device))
    downlinks = check_decoders(device, server, random_frames(device, 1, 400))
    rng = random.Random(2)
    names = sorted(
        {key for data in downlinks for key in data}
        | {"command", "samples", "time", "nobody", "limit_0", "limit_256", "on_03", "on_255"}
    )
    asked = [(each, None) for data in downlinks for each in mutations(rng, data, names)]
    if asked:
        check_encoder(
            SchemaCodec(device), server, asked + [(data, ports_of(device, "down")[-1]) for data, _ in asked[::7]]
        )


@pytest.mark.parametrize("name", REGISTRY.names())
def test_every_shipped_schema_is_as_in_python(name: str) -> None:
    device = device_of(name)
    server = Server(emit_javascript(device))
    downlinks = check_decoders(device, server, random_frames(device, 3, 60))
    rng = random.Random(4)
    names = sorted({key for data in downlinks for key in data} | {"command", "nobody"})
    asked = [(each, None) for data in downlinks[::5] for each in mutations(rng, data, names)]
    if asked:
        check_encoder(SchemaCodec(device), server, asked)


@st.composite
def scaled_numbers(draw: st.DrawFn) -> Number:
    """A number of a command, small and large ones, refused or saturated outside."""
    bits, signed = draw(st.integers(2, 32)), draw(st.booleans())
    lowest = -(1 << bits - 1) if signed else 0
    codes = st.integers(lowest, lowest + (1 << bits) - 1)
    low, high = sorted((draw(codes), draw(codes)))
    num, den = draw(st.sampled_from([(1, 1), (1, 10), (1, 100), (1, 3), (7, 1), (2, 3), (125, 1000), (1, 999_983)]))
    add = draw(st.integers(-1000, 1000)) * num
    saturates = draw(st.booleans())
    return Number("x", "X", bits, signed, num, add, den, low, high, (), saturates, None, None)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_the_nearest_code_is_found_on_the_decimal_digits(data: st.DataObject) -> None:
    number = data.draw(scaled_numbers())
    device = Device("test/near", "Near", "", (Port("down", (1,), (Message("", "", (number,)),)),))
    between = st.integers(number.code_min * 4 - 9, number.code_max * 4 + 9).map(
        lambda quarter: float((Fraction(quarter, 4) * number.num + number.add) / number.den)
    )
    decimals = st.decimals(-9999, 9999, places=data.draw(st.integers(0, 9))).map(float)
    anything = st.floats(allow_nan=False, allow_infinity=False)
    values = data.draw(st.lists(st.one_of(between, decimals, anything, st.integers(-(1 << 40), 1 << 40)), min_size=30))
    check_encoder(SchemaCodec(device), Server(emit_javascript(device)), [({"x": value}, None) for value in values])


def test_ties_go_away_from_zero_of_the_decimal_value() -> None:
    number = Number("x", "X", 16, True, 1, 0, 100, -30000, 30000, (), False, None, None)
    device = Device("test/ties", "Ties", "", (Port("down", (1,), (Message("", "", (number,)),)),))
    server = Server(emit_javascript(device))
    # 1.005 and 2.675 are below their ties as doubles; as people wrote them they are ties.
    for value, code in (
        (1.005, 101),
        (-1.005, -101),
        (2.675, 268),
        (0.005, 1),
        (-0.005, -1),
        (0.0049999, 0),
        (1e-7, 0),
    ):
        (made_here,) = server.call("encodeDownlink", [{"data": {"x": value}}])
        assert made_here["bytes"] == list((code & 0xFFFF).to_bytes(2, "big")), value


NO_INPUTS: list[Any] = [None, 5, "text", [], {}, {"fPort": 1}, {"bytes": None, "fPort": 1}]
NO_BYTES: list[Any] = ["0102", 7, {}, [256], [-1], [1.5], ["1"], [None], [[1]], [1, True], {"length": 1e300}]
NO_PORTS: list[Any] = [None, "1", -1, 1.5, 256, [1], True]
NO_DATA: list[Any] = [None, 5, [], {}, {"data": None}, {"data": 7}, {"data": [1]}, {"data": "x"}]
ODD_INPUTS = [
    *((value, "bytes") for value in NO_INPUTS),
    *(({"bytes": value, "fPort": 1}, "bytes") for value in NO_BYTES),
    *(({"bytes": [1], "fPort": value}, "fPort") for value in NO_PORTS),
    ({"bytes": [1]}, "fPort"),
]


@pytest.mark.parametrize("name", ["siel/valve", "series"])
def test_odd_input_is_an_error_and_never_an_exception(name: str) -> None:
    server = Server(emit_javascript(device_of(name)))
    for function in ("decodeUplink", "decodeDownlink"):
        for (value, what), found in zip(
            ODD_INPUTS, server.call(function, [each for each, _ in ODD_INPUTS]), strict=True
        ):
            assert found["data"] == {}, value
            assert len(found["errors"]) == 1, value
            assert found["errors"][0].startswith(f"{what} must be"), value
    for found in server.call("encodeDownlink", NO_DATA):
        assert found["errors"] == ["data must be an object"]
        assert found["bytes"] == []


ODD_TIMES = [
    *("undefined", "null", "{}", "'yesterday'", "true", "NaN", "Infinity", "[1]", "new Date(NaN)", "1e300"),
    *("'2026-13-01T00:00:00Z'", "'2026-02-30T00:00:00Z'", "'2026-01-02T24:00:00Z'", "'2026-01-02T03:04:05'"),
]


@pytest.mark.parametrize("received", ODD_TIMES)
def test_a_recv_time_that_is_missing_or_odd_is_an_unknown_time(received: str) -> None:
    server = Server(emit_javascript(device_of("series")))
    call = f"functions.decodeUplink({{bytes: [1, 2, 1, 2, 1, 2, 1, 2], fPort: 3, recvTime: {received}}})"
    for context in server.contexts:
        found = json.loads(context.eval(f"JSON.stringify({call})"))
        assert [sample.get("time") for sample in found["data"]["samples"]] == [None] * 4
        assert [sample["age_s"] for sample in found["data"]["samples"]] == [0, 600, 1200, 1800]


@pytest.mark.parametrize("received", [
    "new Date(1767323045678)", "1767323045678", "'2026-01-02T03:04:05.678Z'", "'2026-01-02T04:04:05.6789+01:00'",
    "'2026-01-01 22:34:05.678-04:30'", "'2026-01-02t03:04:05.678000000z'"])  # fmt: skip
def test_a_recv_time_may_be_a_date_a_text_or_a_number(received: str) -> None:
    server = Server(emit_javascript(device_of("series")))
    call = f"functions.decodeUplink({{bytes: [1, 2, 1, 2, 1, 2, 1, 2], fPort: 3, recvTime: {received}}})"
    found = json.loads(server.contexts[0].eval(f"JSON.stringify({call})"))
    assert [sample["time"] for sample in found["data"]["samples"]][:2] == [RECV_TIME, "2026-01-02T02:54:05.678Z"]


def test_typed_arrays_are_bytes_too() -> None:
    server = Server(emit_javascript(device_of("siel/rain_gauge")))
    plain = "functions.decodeUplink({bytes: [0x20, 0x7a, 0x0e, 0x05, 0xa4], fPort: 12})"
    typed = plain.replace("[", "new Uint8Array([").replace("]", "])")
    context = server.contexts[1]
    assert context.eval(f"JSON.stringify({plain})") == context.eval(f"JSON.stringify({typed})")


def test_a_server_that_appends_its_call_gets_the_result_of_the_script() -> None:
    source = emit_javascript(device_of("siel/rain_gauge"))
    context = quickjs.Context()
    context.eval("var server_input = {bytes: [], fPort: 12, recvTime: new Date(0)};")
    found = context.eval(f"{source}\ndecodeUplink(server_input)")
    assert json.loads(found.json())["errors"] == ["payload too short: 0 bytes"]


def test_a_device_without_downlinks_has_no_functions_for_them() -> None:
    source = emit_javascript(device_of("siel/rain_gauge"))
    assert "function decodeUplink(" in source
    assert "Downlink" not in source


@pytest.mark.parametrize("num", [1 << 22, 1 << 40])
def test_a_number_that_doubles_cannot_hold_is_refused_by_name(num: int) -> None:
    number = Number("huge", "Huge", 32, False, num, 0, 1, 0, 100, (), True, None, None)
    device = Device("test/huge", "Huge", "", (Port("up", (1,), (Message("", "", (number,)),)),))
    with pytest.raises(EmitError, match=r"javascript: huge: its scale and offset are too large"):
        emit_javascript(device)


TIMED = Entry(1, (Control("_t", 32), Number("x", "X", 8, False, 1, 0, 1, 0, 255, (), True, None, None)), "_t")
PLAIN = Entry(2, (Number("y", "Y", 8, False, 1, 0, 1, 0, 255, (), True, None, None),))
SERIES = Samples((SeriesLeaf(Number("z", "Z", 8, False, 1, 0, 1, 0, 255, (), True, None, None)),), 2, True, 0, None)


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ((Tlv(1, False, False, (TIMED,), "stop", ()),), "entries with times of their own"),
        ((Tlv(1, False, False, (Entry(1, (SERIES,)),), "stop", ()),), "a time series in an entry"),
        (
            (Control("_c", 8), Switch("_c", (Arm((1,), (Tlv(1, False, False, (PLAIN,), "stop", ()),)),), "ignore")),
            "entries that name themselves in a group",
        ),
    ],
)
def test_what_no_encoder_is_made_for_is_refused_by_name(items: tuple[Item, ...], reason: str) -> None:
    device = Device("test/odd", "Odd", "", (Port("down", (1,), (Message("go", "", items),)),))
    with pytest.raises(EmitError, match=f"javascript: go: {reason}"):
        emit_javascript(device)


def test_a_file_that_servers_would_refuse_is_refused_here() -> None:
    numbers = tuple(
        Number(f"a_rather_long_name_{n}", "N", 5, False, 1, 0, 10, 0, 9, (), True, None, None) for n in range(380)
    )
    device = Device("test/large", "Large", "", (Port("up", (1,), (Message("", "", numbers),)),))
    with pytest.raises(EmitError, match=rf"javascript: file: \d+ bytes; network servers take {MAX_BYTES}"):
        emit_javascript(device)
