"""Network servers' ways to run a JavaScript codec, in QuickJS, and what Python says to the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import quickjs

from siel_codecs.codec import Codec, SchemaCodec, as_ts013
from siel_codecs.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL = """
(function (functions) {
  function sound(value) {
    var infinite = value === Infinity || value === -Infinity || (value === 0 && 1 / value < 0);
    if (value === undefined || value !== value || infinite) {
      throw new Error("a value that JSON cannot say");
    }
    if (typeof value === "object" && value !== null) Object.keys(value).forEach(function (key) { sound(value[key]); });
    return value;
  }
  return function (name, inputs) {
    return JSON.stringify(eval(inputs).map(function (input) { return sound(functions[name](input)); }));
  };
})
"""
NAMES = ["decodeUplink", "decodeDownlink", "encodeDownlink"]


class Server:
    """Runs a file as network servers do: as a strict ES module, and as a script inside a function."""

    def __init__(self, source: str) -> None:
        functions = [name for name in NAMES if f"function {name}(" in source]
        table = "{" + ", ".join(f"{name}: {name}" for name in functions) + "}"
        self.contexts = quickjs.Context(), quickjs.Context()
        strict, sloppy = self.contexts
        for context in self.contexts:
            context.set_time_limit(10)  # of CPU; a loop without an end is an exception
        strict.module(f"{source}\nglobalThis.functions = {table};")
        sloppy.eval(f"var functions = (function () {{\n{source}\nreturn {table};\n}})();")
        self.calls = [context.eval(f"{CALL}(functions)") for context in self.contexts]

    def call(self, name: str, inputs: list[Any]) -> list[dict[str, Any]]:
        """Return what both say to each input, NaN, Infinity and -0 refused; they must be equal."""
        strict, sloppy = (call(name, json.dumps(inputs)) for call in self.calls)
        assert strict == sloppy
        found: list[dict[str, Any]] = json.loads(strict)
        return found


def expected(codec: SchemaCodec, direction: str, f_port: int, payload: bytes, recv_ms: int | None) -> dict[str, Any]:
    decoded = codec.decode(f_port, payload, recv_ms) if direction == "up" else codec.decode_downlink(f_port, payload)
    return {"data": as_ts013(decoded), "warnings": decoded.warnings, "errors": decoded.errors}


def made(codec: Codec, data: dict[str, Any], f_port: int | None = None) -> dict[str, Any]:
    try:
        downlink = codec.encode_downlink(data, f_port)
    except PayloadError as error:
        reason = f"{error.field}: {error.reason}" if error.field else error.reason
        return {"bytes": [], "warnings": [], "errors": [reason]}
    return {"bytes": list(downlink.payload), "fPort": downlink.f_port, "warnings": [], "errors": []}


def check_encoder(codec: SchemaCodec, server: Server, asked: Sequence[tuple[dict[str, Any], int | None]]) -> None:
    """Hold the encoder against Python; ``asked`` are data and the port that is asked for."""
    inputs = [{"data": data} if f_port is None else {"data": data, "fPort": f_port} for data, f_port in asked]
    for (data, f_port), result in zip(asked, server.call("encodeDownlink", inputs), strict=True):
        wanted = made(codec, data, f_port)
        assert result | wanted == result, (data, f_port, wanted)
        assert all(type(byte) is int and 0 <= byte <= 255 for byte in result["bytes"])
