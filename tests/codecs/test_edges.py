"""Edges that random schemas seldom reach, said by hand and held by every target."""

from __future__ import annotations

from typing import Any

import pytest

from hand_made import device, number
from javascript_servers import Server, made
from siel_codecs.codec import Codec, SchemaCodec
from siel_codecs.errors import PayloadError
from siel_codecs.schema.model import (
    CHANNEL,
    Choice,
    Control,
    Entry,
    Item,
    Opaque,
    Samples,
    SeriesLeaf,
    Tlv,
)
from siel_codecs.schema.to_javascript import emit_javascript


def sent(*items: Item, **data: Any) -> str:
    """The payload in hex, or the error: of an uplink and of a command, by every target the same."""
    up, down = SchemaCodec(device(*items)), SchemaCodec(device(*items, direction="down"))
    asked = {name: value for name, value in data.items() if value is not ...}
    said = [made(codec, asked) for codec in (down, down.reference)]
    (script,) = Server(emit_javascript(down.device)).call("encodeDownlink", [{"data": asked}])
    found = made(down, asked)
    assert all(each == found for each in said)
    assert script | found == script
    text: str = found["errors"][0] if found["errors"] else bytes(found["bytes"]).hex()
    for codec in (up, up.reference):
        assert uplink(codec, asked) == text
    return text


def uplink(codec: Codec, data: dict[str, Any]) -> str:
    try:
        return codec.encode(7, data).hex()
    except PayloadError as error:
        return f"{error.field}: {error.reason}"


@pytest.mark.parametrize("zero", [0, 0.0])
def test_a_tie_at_zero_goes_up(zero: float) -> None:
    assert sent(number(signed=True, num=10, add=5, code_min=-9, code_max=9), level=zero) == "00"
    assert sent(number(signed=True, num=10, add=-5, code_min=-9, code_max=9), level=zero) == "01"


@pytest.mark.parametrize("value", [1, 0, 1.0, "true"])
def test_a_flag_is_true_or_false_and_no_number(value: Any) -> None:
    assert sent(Choice("on", "On", 8, ((0, False), (1, True))), on=value) == "on: must be one of false, true"


@pytest.mark.parametrize("value", ["be ef", "beef ", "be", "beef00", "béef", "0xbe", "be\n"])
def test_hex_is_digits_and_nothing_else(value: str) -> None:
    assert sent(Opaque("id", "Identity", 16), id="beeF") == "beef"
    assert sent(Opaque("id", "Identity", 16), id=value) == "id: must be 2 bytes in hex"


@pytest.mark.parametrize(
    ("moment", "payload"),
    [
        (0, "0005"),
        (-1, ""),
        ("1969-12-31T23:59:59.500Z", ""),
        ("1970-01-01T00:00:00.999Z", "0005"),
        (255_999, "ff05"),
        ("1970-01-01T01:04:15+01:00", "ff05"),
        (256_000, ""),
    ],
)
def test_a_time_has_the_seconds_of_its_bits(moment: Any, payload: str) -> None:
    series = Samples((SeriesLeaf(number()),), 1, True, 0, "_t")
    wanted = payload or "time: must be 0 to 255000"
    assert sent(Control("_t", 8), series, time=moment, samples=[{"level": 5}]) == wanted


@pytest.mark.parametrize(
    ("name", "payload"),
    [("t_0", "000105"), ("t_255", "ff0105"), ("t_256", ""), ("t_03", ""), ("t_", ""), ("t_1000", "")],
)
def test_a_channel_is_one_byte_written_without_zeros_before_it(name: str, payload: str) -> None:
    tlv = Tlv(1, True, False, (Entry(1, (number(f"t_{CHANNEL}"),)),), "stop", ())
    assert sent(tlv, **{name: 5}) == (payload or f"{name}: there is no such value (known: t_{CHANNEL})")
