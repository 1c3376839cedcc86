"""Random messages: what the node encodes and decodes is the reference, in integers that no board allocates.

The modules run on CPython with integers that refuse to grow; test_chain.py runs the same on real interpreters.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from node_calls import as_node
from node_schemas import Reading, SmallInt, messages
from random_schemas import messages as any_messages
from siel_codecs.errors import EmitError, PayloadError
from siel_codecs.schema.below import names
from siel_codecs.schema.model import Device, Message, Port
from siel_codecs.schema.to_construct import Reference
from siel_codecs.schema.to_micropython import emit_encoder

EXAMPLES = settings(max_examples=50, suppress_health_check=list(HealthCheck))


def small(value: Any) -> Any:
    if isinstance(value, list):
        return [small(each) for each in value]
    return SmallInt(value) if isinstance(value, int) and not isinstance(value, bool) else value


def on_cpython(module: dict[str, Any], arguments: list[Any]) -> str:
    buf = bytearray(b"\xff" * 242)
    try:
        size = module["encode"](buf, *map(small, arguments))
    except (ValueError, IndexError):
        return "refused"
    assert size <= module["SIZE"]
    assert buf[size:] == b"\xff" * (242 - size)
    return bytes(buf[:size]).hex()


def reference(codec: Reference, data: dict[str, Any]) -> str:
    try:
        return codec.encode(7, data).hex()
    except PayloadError:
        return "refused"


def module_of(device: Device) -> dict[str, Any]:
    module: dict[str, Any] = {}
    try:
        exec(emit_encoder(device), module)
    except EmitError as error:
        event(f"refused: {error.reason}")
        assume(False)
    return module


@EXAMPLES
@given(st.one_of(messages(), any_messages("micropython")), st.data())
def test_what_the_node_encodes_is_what_the_gateway_would(message: Message, data: st.DataObject) -> None:
    device = Device("test/random", "Random", "", (Port("up", (7,), (message,)),))
    module, codec = module_of(device), Reference(device)
    wanted = names(message.items)
    for _ in range(6):
        reading = Reading(data.draw, message)
        expected = reference(codec, reading.data)
        assert on_cpython(module, [reading.given.get(name) for name in wanted]) == expected
        event("refused" if expected == "refused" else "encoded")


class SmallBytes(bytes):
    """Bytes that are small integers."""

    def __getitem__(self, index: Any) -> Any:
        return SmallInt(super().__getitem__(index))


@EXAMPLES
@given(messages(command=True), st.data())
def test_what_the_node_decodes_is_what_the_gateway_meant(message: Message, data: st.DataObject) -> None:
    device = Device("test/random", "Random", "", (Port("down", (7,), (message,)),))
    module, codec, payloads = module_of(device), Reference(device), []
    for _ in range(5):
        try:
            payloads.append(codec.encode_downlink(Reading(data.draw, message).data).payload)
        except PayloadError:
            event("refused")
    payloads += [payload[:-1] for payload in payloads[:1]] + [payload + b"\0" for payload in payloads[:1]]
    payloads += data.draw(st.lists(st.binary(max_size=12), max_size=5))
    for payload in payloads:
        decoded = codec.decode_downlink(7, payload)
        sound = not decoded.errors and all(each.endswith(": not available") for each in decoded.warnings)
        event("sound" if sound else "noise")
        out: list[Any] = [-1] * module["OUT_SIZE"]
        assert module["decode_downlink"](7, SmallBytes(payload), len(payload), out) == (0 if sound else -1)
        assert not sound or out == as_node(message, decoded.data)
