"""Generated JavaScript in QuickJS: 80 bits in nine fields, in a kept context and in a fresh one. Prints figures."""

from __future__ import annotations

import json
from timeit import Timer
from typing import TYPE_CHECKING, Any

import quickjs

from siel_codecs.codec import SchemaCodec
from siel_codecs.schema.load import load_text
from siel_codecs.schema.to_javascript import emit_javascript

if TYPE_CHECKING:
    from collections.abc import Callable

NINE_FIELDS = """
title = "Nine fields"
[[uplink]]
f_port = 2
version = { bits = 4, value = 1 }
field = [
  { name = "tamper", type = "bool" },
  { name = "mode", type = "u3", enum = { 0 = "sleep", 1 = "normal", 2 = "alarm" } },
  { name = "battery", type = "u8", scale = 0.01, offset = 2, not_available = 255 },
  { name = "temperature", type = "s11", scale = 0.1, not_available = -1024 },
  { name = "humidity", type = "u10", scale = 0.1, not_available = 1023 },
  { name = "pressure", type = "u14", scale = 0.1, offset = 300, not_available = 16383 },
  { name = "level", type = "u16", not_available = 65535 },
  { name = "rain", type = "u12", scale = 0.1, not_available = 4095 },
  { name = "door", type = "bool" },
]
[[downlink]]
f_port = 2
field = [
  { name = "interval", type = "u16", min = 1, max = 1440 },
  { name = "threshold", type = "s11", scale = 0.1, not_available = -1024 },
  { name = "mode", type = "u3", enum = { 0 = "sleep", 1 = "normal", 2 = "alarm" } },
]
"""
CALL = "(function (name, input) { return JSON.stringify(globalThis[name](JSON.parse(input))); })"


def best_us(call: Callable[[], Any], calls: int) -> float:
    return min(Timer(call).repeat(5, calls)) / calls * 1e6


def test_eighty_bits_in_nine_fields() -> None:
    codec = SchemaCodec(load_text(NINE_FIELDS, "bench/nine"))
    source = emit_javascript(codec.device)
    context = quickjs.Context()
    context.eval(source)
    call = context.eval(CALL)
    payload = codec.encode(2, {
        "tamper": True, "mode": "normal", "battery": 3.61, "temperature": -5.3, "humidity": 87.4, "pressure": 1013.2,
        "level": 1234, "rain": 12.3, "door": False,
    })  # fmt: skip
    text = json.dumps({"bytes": list(payload), "fPort": 2, "recvTime": "2026-01-02T03:04:05Z"})
    assert len(payload) == 10
    assert json.loads(call("decodeUplink", text))["data"] == codec.decode(2, payload).data
    command = {"interval": 15, "threshold": -5.3, "mode": "normal"}
    asked = json.dumps({"data": command})
    assert json.loads(call("encodeDownlink", asked))["bytes"] == list(codec.encode_downlink(command).payload)

    def fresh() -> Any:
        new = quickjs.Context()
        new.eval(source)
        return new.eval(CALL)("decodeUplink", text)

    inside = context.eval(
        "(function (input, times) { input = JSON.parse(input); while (times--) decodeUplink(input); return 0; })"
    )
    print(f"\nJavaScript, {len(source)} bytes, kept context, JSON in and out: "
          f"decode {best_us(lambda: json.loads(call('decodeUplink', text)), 5_000):.1f} us, "
          f"encode {best_us(lambda: json.loads(call('encodeDownlink', asked)), 5_000):.1f} us")  # fmt: skip
    print(f"JavaScript, decodeUplink alone: {best_us(lambda: inside(text, 10_000), 1) / 10_000:.2f} us")
    print(f"JavaScript, fresh context per frame: {best_us(fresh, 100):.0f} us")
    print(f"generated Python, the same frame: {best_us(lambda: codec.decode(2, payload), 50_000):.2f} us")
