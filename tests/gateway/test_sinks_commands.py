"""What an operator's message becomes; everything that is not exactly a command is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_codecs import registry
from siel_gateway.edge.records import MAX_ID_CHARS, Delivery, Downlink
from siel_gateway.sinks.commands import MAX_COMMAND_BYTES, read_command

EUI = "70b3d57ed0001a2b"
NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
CODECS = {EUI: registry.load("siel/water_level")}
GOOD: dict[str, Any] = {
    "id": "valve-1",
    "issued": "2025-12-31T23:59:00Z",
    "expires": "2026-01-01T00:10:00.250+00:00",
    "f_port": 20,
    "bytes": "01fF",
    "confirmed": True,
}


def read(message: object, *, retained: bool = False, dev_eui: str = EUI) -> Downlink | Delivery | None:
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


def test_data_goes_through_the_devices_codec() -> None:
    message = {**GOOD, "data": {"distance": 1271, "battery": 3.6}, "f_port": 10}
    del message["bytes"]
    downlink = read(message)
    assert isinstance(downlink, Downlink)
    assert CODECS[EUI].decode(10, downlink.payload).data == {"distance": 1271, "battery": 3.6}


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
    message = {**GOOD, "data": {"colour": 1}, "f_port": 10}
    del message["bytes"]
    outcome, reason = refused(message)
    assert outcome == "refused"
    assert reason.startswith("DATA: ")


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
@given(st.dictionaries(st.sampled_from(["distance", "battery", "x"]), JSON, max_size=3))
def test_no_data_crashes_it(data: dict[str, Any]) -> None:
    message = {**GOOD, "data": data, "f_port": 10}
    del message["bytes"]
    assert isinstance(read(message), Downlink | Delivery)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_no_bytes_crash_it(data: bytes) -> None:
    read(data)
