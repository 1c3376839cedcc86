"""Generated JavaScript over random schemas: all that Python decodes and encodes, equal to the bit."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from javascript_servers import Server, check_encoder, expected
from random_schemas import devices, payloads, readings
from siel_codecs.codec import SchemaCodec
from siel_codecs.errors import EmitError, PayloadError
from siel_codecs.schema.model import Device, Port
from siel_codecs.schema.to_javascript import emit_javascript

RECV_TIME, RECV_MS = "2026-01-02T03:04:05.678Z", 1_767_323_045_678
slow = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def frame_of(codec: SchemaCodec, port: Port, data: dict[str, Any]) -> list[bytes]:
    """The frame with these values, if there is one."""
    try:
        if port.direction == "up":
            return [codec.encode(port.f_ports[0] if port.f_ports else 77, data)]
        return [codec.encode_downlink(data).payload]
    except PayloadError:
        return []


def emitted(device: Device) -> str:
    """The file; devices for which it is too large are none that a server takes."""
    try:
        return emit_javascript(device)
    except EmitError as error:
        assume(error.field != "file")
        raise


@slow
@given(devices() | devices("downlink"), st.data())
def test_decoders_say_what_python_says(device: Device, data: st.DataObject) -> None:
    codec, server = SchemaCodec(device), Server(emitted(device))
    for port in device.ports:
        message = data.draw(st.sampled_from(port.messages))
        frames = frame_of(codec, port, data.draw(readings(device, message, sound=True)))
        found = [b"", *frames, *data.draw(st.lists(payloads(frames), min_size=4, max_size=8))]
        f_port = data.draw(st.sampled_from([*port.f_ports, 13]))
        inputs = [{"bytes": list(payload), "fPort": f_port, "recvTime": RECV_TIME} for payload in found]
        function = "decodeUplink" if port.direction == "up" else "decodeDownlink"
        for payload, result in zip(found, server.call(function, inputs), strict=True):
            assert result == expected(codec, port.direction, f_port, payload, RECV_MS), payload.hex()


@slow
@given(devices("downlink"), st.data())
def test_encoders_make_what_python_makes_and_decoders_take_it(device: Device, data: st.DataObject) -> None:
    codec, server = SchemaCodec(device), Server(emitted(device))
    for port in device.ports:
        for message in port.messages:
            asked = data.draw(st.lists(readings(device, message), min_size=3, max_size=6))
            asked.append(data.draw(readings(device, message, sound=True)))
            check_encoder(codec, server, [(each, f_port) for each in asked for f_port in (None, *port.f_ports)])
            sound = server.call("encodeDownlink", [{"data": each} for each in asked])
            frames = [{"bytes": each["bytes"], "fPort": each["fPort"]} for each in sound if not each["errors"]]
            assert not any(each["errors"] for each in server.call("decodeDownlink", frames))
