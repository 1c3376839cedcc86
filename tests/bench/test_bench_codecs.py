"""The frame that the decode goal names, 80 bits in nine fields, and the batch mode. Prints; asserts equality only."""

from __future__ import annotations

import json
from timeit import Timer
from typing import TYPE_CHECKING, Any

from siel_codecs.batch import decode_line
from siel_codecs.codec import SchemaCodec
from siel_codecs.registry import Registry
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import Absent

if TYPE_CHECKING:
    from collections.abc import Callable

# name, bits, signed, scale, offset
FIELDS = [
    ("tamper", 1, False, "1", 0),
    ("mode", 3, False, "1", 0),
    ("battery", 8, False, "1/100", 200),
    ("temperature", 11, True, "1/10", 0),
    ("humidity", 10, False, "1/10", 0),
    ("pressure", 14, False, "1/10", 3000),
    ("level", 16, False, "1", 0),
    ("rain", 12, False, "1/10", 0),
    ("status", 1, False, "1", 0),
]
LINES = 20_000


def nine_fields() -> SchemaCodec:
    text = 'title = "Nine"\n[frame]\nf_port = 2\nversion = { bits = 4, value = 1 }\n'
    for name, bits, signed, scale, offset in FIELDS:
        missing = f"not_available = {-(1 << bits - 1) if signed else (1 << bits) - 1}\n" if bits > 3 else ""
        text += (
            f'[[field]]\nname = "{name}"\ntitle = "{name}"\nbits = {bits}\nsigned = {str(signed).lower()}\n{missing}'
            f'scale = "{scale}"\noffset = {offset}\nunit = {{ display = "-", senml = "/", ucum = "1" }}\n'
            f'node = {{ name = "{name}", scale = "{scale}" }}\n'
        )
    return SchemaCodec(load_text(text, "bench/nine"))


def best_us(call: Callable[[], Any], calls: int) -> float:
    return min(Timer(call).repeat(5, calls)) / calls * 1e6


def test_eighty_bits_in_nine_fields() -> None:
    codec = nine_fields()
    frame = codec.device.frames[0]
    assert (frame.bits, len(frame.fields)) == (80, 9)
    payload = codec.encode(
        2, {field.name: field.value((field.code_min + field.code_max) // 2) for field in frame.fields}
    )
    found = codec.reference[2].parse(payload)
    assert not any(isinstance(value, Absent) for value in found.values())
    assert codec.decode(2, payload).data == {field.name: found[field.name] for field in frame.fields}
    fast = best_us(lambda: codec.decode(2, payload), 100_000)
    slow = best_us(lambda: codec.reference[2].parse(payload), 5_000)
    print(f"\n80 bits, nine fields: {fast:.2f} us; construct {slow:.2f} us, {slow / fast:.0f} times that")


def test_a_batch() -> None:
    registry = Registry()
    good = json.dumps(
        {"device": "siel/climate", "fPort": 11, "bytes": "2219a710aa", "recvTime": "2026-01-01T00:00:00Z"}
    )
    wrong = json.dumps({"device": "siel/nothing", "fPort": 11, "bytes": "2219a710aa"})
    lines = [(wrong if index % 100 == 0 else good).encode() for index in range(LINES)]
    assert sum(json.loads(decode_line(registry, line))["data"] is None for line in lines) == LINES // 100
    us = best_us(lambda: [decode_line(registry, line) for line in lines], 1) / LINES
    print(f"\nbatch: {us:.2f} us per line, {us / 10:.1f} s for 100 000 lines")
