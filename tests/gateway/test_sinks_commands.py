"""What an operator's message becomes; everything that is not exactly a command is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from siel_codecs import codec, registry
from siel_codecs.js import JsCodec, js_source
from siel_gateway.codecs import AnyCodec
from siel_gateway.edge.records import MAX_ID_CHARS, Delivery, Downlink
from siel_gateway.sinks.commands import MAX_COMMAND_BYTES, Unencoded, encoded, read_command

EUI = "70b3d57ed0001a2b"
NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
JS_EUI = "70b3d57ed0001a2c"
JS = JsCodec("vendor/device", js_source(b"function encodeDownlink(input) {}"))
CODECS: dict[str, AnyCodec] = {EUI: registry.load("siel/valve"), JS_EUI: JS}
OPEN = {"command": "open", "request": 7, "minutes": 30}
GOOD: dict[str, Any] = {
    "id": "valve-1",
    "issued": "2025-12-31T23:59:00Z",
    "expires": "2026-01-01T00:10:00.250+00:00",
    "f_port": 20,
    "bytes": "01fF",
    "confirmed": True,
}


def read(message: object, *, retained: bool = False, dev_eui: str = EUI) -> Downlink | Unencoded | Delivery | None:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return read_command(dev_eui, data, retained=retained, now_ms=NOW_MS, codecs=CODECS)


def refused(message: object, **more: Any) -> tuple[str, str]:
    delivery = read(message, **more)
    assert isinstance(delivery, Delivery)
    return delivery.outcome, delivery.reason


def test_bytes_become_a_downlink() -> None:
    assert read(GOOD) == Downlink(
        id="valve-1", f_port=20, payload=b"\x01\xff", confirmed=True, expires_ms=NOW_MS + 600_250
    )


def with_data(data: object, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != "bytes"} | {"data": data} | changes


def test_data_goes_through_the_devices_codec() -> None:
    downlink = read(with_data(OPEN))
    assert isinstance(downlink, Downlink)
    assert (downlink.f_port, downlink.payload) == (20, bytes.fromhex("0107001e"))
    codec = registry.load("siel/valve")
    assert codec.decode_downlink(20, downlink.payload).data == OPEN


def test_data_for_javascript_waits_for_its_codec() -> None:
    read_ = read(with_data({"minutes": 10}), dev_eui=JS_EUI)
    waiting = Downlink(id="valve-1", f_port=20, payload=b"", confirmed=True, expires_ms=NOW_MS + 600_250)
    assert read_ == Unencoded(JS, {"minutes": 10}, waiting)
    assert read_.id == "valve-1"
    assert encoded(waiting, codec.Downlink(8, b"\x01")) == structs.replace(waiting, f_port=8, payload=b"\x01")


def test_an_empty_payload_is_a_payload() -> None:
    downlink = read({**GOOD, "bytes": ""})
    assert isinstance(downlink, Downlink)
    assert downlink.payload == b""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"expires": "2026-01-01T00:00:00Z"}, ("expired", "EXPIRED")),
        ({"expires": "0001-01-01T00:00:00+14:00"}, ("expired", "EXPIRED")),
        ({"issued": "2026-01-01T00:11:00Z"}, ("expired", "EXPIRED")),
        ({"data": {}}, ("refused", "DATA_OR_BYTES")),
        ({"bytes": None}, ("refused", "DATA_OR_BYTES")),
        ({"bytes": "0"}, ("refused", "MALFORMED")),
        ({"bytes": "zz"}, ("refused", "MALFORMED")),
        ({"bytes": "00\n"}, ("refused", "MALFORMED")),
        ({"f_port": 0}, ("refused", "MALFORMED")),
        ({"f_port": 224}, ("refused", "MALFORMED")),
        ({"f_port": 1.5}, ("refused", "MALFORMED")),
        ({"f_port": True}, ("refused", "MALFORMED")),
        ({"confirmed": "yes"}, ("refused", "MALFORMED")),
        ({"expires": "2026-01-01T00:10:00"}, ("refused", "MALFORMED")),
        ({"expires": 1}, ("refused", "MALFORMED")),
        ({"fport": 1}, ("refused", "MALFORMED")),
        ({"bytes": "00" * 243}, ("refused", "MALFORMED")),
    ],
)
def test_what_is_refused(change: dict[str, Any], expected: tuple[str, str]) -> None:
    assert refused({**GOOD, **change}) == expected


def test_the_longest_payload_and_id_pass() -> None:
    assert isinstance(read({**GOOD, "bytes": "00" * 242}), Downlink)
    assert isinstance(read({**GOOD, "id": "x" * MAX_ID_CHARS}), Downlink)
    assert read({**GOOD, "id": "x" * (MAX_ID_CHARS + 1)}) is None


def test_a_message_is_read_up_to_its_bound() -> None:
    message = json.dumps(GOOD).encode()
    assert isinstance(read(message.ljust(MAX_COMMAND_BYTES)), Downlink)
    assert read(message.ljust(MAX_COMMAND_BYTES + 1)) is None


@pytest.mark.parametrize("gone", ["issued", "expires", "f_port"])
def test_every_field_is_needed(gone: str) -> None:
    assert refused({name: value for name, value in GOOD.items() if name != gone}) == ("refused", "MALFORMED")


def test_retained_and_unknown_devices_are_refused() -> None:
    assert refused(GOOD, retained=True) == ("refused", "RETAINED")
    assert refused(GOOD, dev_eui="0" * 16) == ("refused", "UNKNOWN_DEVICE")


def test_data_that_the_codec_does_not_know_is_refused_with_the_reason() -> None:
    for data, said in (({**OPEN, "colour": 1}, "colour"), ({**OPEN, "minutes": 9999}, "minutes"), ({}, "command")):
        outcome, reason = refused(with_data(data))
        assert outcome == "refused"
        assert reason.startswith("DATA: ")
        assert said in reason
    assert refused(with_data(OPEN, f_port=21))[1].startswith("DATA: ")


@pytest.mark.parametrize("message", [b"", b"[]", b"{}", b'{"id":""}', b'{"id":1}', b"\xff", b"[" * 4000, b"null"])
def test_without_an_id_there_is_nobody_to_answer(message: bytes) -> None:
    assert read(message) is None


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
    ),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.text(max_size=5), below, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([*GOOD, "data"]), JSON, max_size=4), st.booleans())
def test_no_message_crashes_it(change: dict[str, Any], retained: bool) -> None:
    read({**GOOD, **change}, retained=retained)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["command", "request", "minutes", "x"]), JSON | st.just("open"), max_size=3))
def test_no_data_crashes_it(data: dict[str, Any]) -> None:
    message = with_data(data)
    assert isinstance(read(message), Downlink | Delivery)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_no_bytes_crash_it(data: bytes) -> None:
    read(data)
