"""The frame that the decode goal names, the batch mode, and a million bad frames for each codec.

Goals: 80 bits in nine fields in 1.2 us and at least 15 times faster than construct; seven entries that name themselves
in 2 to 4 us; 100 000 lines in seconds. Prints; asserts equality only.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from timeit import Timer
from typing import TYPE_CHECKING, Any

import msgspec
from construct.lib import bytes2bits

from fuzz_codecs import fuzz
from siel_codecs.batch import Batch
from siel_codecs.codec import SchemaCodec
from siel_codecs.registry import Registry
from siel_codecs.schema.load import load_text
from siel_codecs.schema.to_construct import message_construct

if TYPE_CHECKING:
    from collections.abc import Callable

NINE = """
title = "Nine"
[[uplink]]
f_port = 2
version = { bits = 4, value = 1 }
field = [
  { name = "tamper", type = "bool" },
  { name = "mode", type = "u3" },
  { name = "battery", type = "u8", scale = 0.01, offset = 2, unit = "V", not_available = 255 },
  { name = "temperature", type = "s11", scale = 0.1, unit = "degC", not_available = -1024 },
  { name = "humidity", type = "u10", scale = 0.1, unit = "%RH", not_available = 1023 },
  { name = "pressure", type = "u14", scale = 0.1, offset = 300, unit = "hPa", not_available = 16383 },
  { name = "level", type = "u16", unit = "mm", not_available = 65535 },
  { name = "rain", type = "u12", scale = 0.1, unit = "mm", not_available = 4095 },
  { name = "status", type = "u1" },
]
"""
READING = {
    "tamper": False,
    "mode": 2,
    "battery": 3.5,
    "temperature": -21.5,
    "humidity": 50.5,
    "pressure": 1013.2,
    "level": 1234,
    "rain": 10.2,
    "status": 1,
}
SEVEN = """
title = "Seven"
[[uplink]]
f_port = 85
field = [
  { tlv = "u16", unknown = "stop", entry = [
    { key = 0x0175, field = [ { name = "battery", type = "u8", unit = "%", max = 100 } ] },
    { key = 0x0367, field = [ { name = "temperature", type = "s16le", scale = 0.1, unit = "degC" } ] },
    { key = 0x0468, field = [ { name = "humidity", type = "u8", scale = 0.5, unit = "%RH", max = 100 } ] },
    { key = 0x0584, field = [ { name = "wind_direction", type = "u16le", scale = 0.1, unit = "deg", max = 360 } ] },
    { key = 0x0673, field = [ { name = "pressure", type = "u16le", scale = 0.1, unit = "hPa" } ] },
    { key = 0x0792, field = [ { name = "wind_speed", type = "u16le", scale = 0.1, unit = "m/s" } ] },
    { key = 0x0877, field = [
      { name = "rain", type = "u16le", scale = 0.01, unit = "mm" },
      { name = "rain_counter", type = "u8" },
    ] },
  ] },
]
"""
LINES = 100_000
FRAMES = 1_000_000


def best_us(call: Callable[[], Any], calls: int) -> float:
    """Return the fastest of many short rounds, per call: the others tell about the machine, not about the code."""
    return min(Timer(call).repeat(50, calls)) / calls * 1e6


def against_construct(what: str, text: str, f_port: int, data: dict[str, Any]) -> None:
    codec = SchemaCodec(load_text(text, "bench/one"))
    payload = codec.encode(f_port, data)
    decoded = codec.decode(f_port, payload)
    assert decoded == codec.reference.decode(f_port, payload)
    assert decoded.data == data
    message = codec.device.ports[0].messages[0]
    layout = message_construct(message)
    fast = best_us(lambda: codec.decode(f_port, payload), 2_000)
    codes = best_us(lambda: layout.parse(bytes2bits(payload), codes={}), 100)
    slow = best_us(lambda: codec.reference.decode(f_port, payload), 100)
    encode = best_us(lambda: codec.encode(f_port, data), 500)
    print(
        f"\n{what}: {fast:.2f} us, encode {encode:.1f} us; construct to codes {codes:.1f} us, {codes / fast:.0f} times "
        f"that, and to values {slow:.1f} us, {slow / fast:.0f} times that"
    )


def test_eighty_bits_in_nine_fields() -> None:
    codec = SchemaCodec(load_text(NINE, "bench/nine"))
    assert len(codec.encode(2, READING)) == 10
    against_construct("80 bits, nine fields", NINE, 2, READING)


def test_seven_entries_that_name_themselves() -> None:
    data = {
        "battery": 99,
        "temperature": -3.4,
        "humidity": 55.5,
        "wind_direction": 271.3,
        "pressure": 1013.2,
        "wind_speed": 4.6,
        "rain": 1.25,
        "rain_counter": 7,
    }
    against_construct("seven entries", SEVEN, 85, data)


def test_a_batch() -> None:
    registry = Registry()
    examples = [
        {"device": name, "fPort": each.f_port, "bytes": each.payload.hex(), "recvTime": "2026-01-01T00:00:00Z"}
        for name in registry.names()
        for each in registry.device(name).examples
        if each.direction == "up"
    ]
    good = [json.dumps(each).encode() for each in examples]
    wrong = [b"{", b"", json.dumps(examples[0] | {"device": "siel/nothing"}).encode(), good[0][:-1]]
    lines = [wrong[index // 100 % 4] if index % 100 == 0 else good[index % len(good)] for index in range(LINES)]
    source = b"\n".join(lines) + b"\n"
    found: list[bytes] = []

    def batch() -> None:
        found[:] = [b"".join(Batch(registry).stream(BytesIO(source)))]

    seconds = min(Timer(batch).repeat(3, 1))
    answers = [json.loads(line) for line in found[0].splitlines()]
    assert len(answers) == LINES
    assert sum(each["data"] is None for each in answers) == LINES // 100
    print(f"\nbatch of {LINES} lines, {len(good)} different: {seconds:.2f} s, {LINES / seconds:.0f} lines/s")


def fuzz_one(name: str) -> tuple[str, int]:
    return name, fuzz(Registry().load(name), FRAMES, seed=3)


def test_a_million_bad_frames_for_each_codec() -> None:
    registry = Registry()
    layouts = {msgspec.json.encode(registry.device(name).ports): name for name in registry.names()}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, said in pool.map(fuzz_one, sorted(layouts.values())):
            assert said
            print(f"\n{name}: {FRAMES} bad frames, {said} of them said something, none an impossible value", end="")
    print()
