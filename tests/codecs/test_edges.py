"""Edges that random schemas seldom reach, said by hand and held by every target."""

from __future__ import annotations

from typing import Any

import pytest

from hand_made import device, number
from javascript_servers import Server, expected, made
from siel_codecs.codec import Codec, Decoded, SchemaCodec
from siel_codecs.errors import PayloadError
from siel_codecs.schema.model import (
    CHANNEL,
    Absent,
    Arm,
    Choice,
    Constant,
    Control,
    Entry,
    Item,
    Opaque,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Special,
    Step,
    Switch,
    Tlv,
    Word,
)
from siel_codecs.schema.to_javascript import emit_javascript


def sent(*items: Item, **data: Any) -> str:
    """The payload in hex, or the error: of an uplink and of a command, by every target the same."""
    up, down = SchemaCodec(device(*items)), SchemaCodec(device(*items, direction="down"))
    said = [made(codec, data) for codec in (down, down.reference)]
    (script,) = Server(emit_javascript(down.device)).call("encodeDownlink", [{"data": data}])
    found = made(down, data)
    assert all(each == found for each in said)
    assert script | found == script
    text: str = found["errors"][0] if found["errors"] else bytes(found["bytes"]).hex()
    for codec in (up, up.reference):
        assert uplink(codec, data) == text
    return text


def uplink(codec: Codec, data: dict[str, Any]) -> str:
    try:
        return codec.encode(7, data).hex()
    except PayloadError as error:
        return f"{error.field}: {error.reason}" if error.field else error.reason


def said(*items: Item, payload: str, **message: Any) -> Decoded:
    """What an uplink says, by every target the same."""
    codec = SchemaCodec(device(*items, **message))
    frame = bytes.fromhex(payload)
    inputs = [{"bytes": list(frame), "fPort": 7, "recvTime": "1970-01-01T00:16:40Z"}]
    found = codec.decode(7, frame, 1_000_000)
    assert codec.reference.decode(7, frame, 1_000_000) == found
    assert Server(emit_javascript(codec.device)).call("decodeUplink", inputs) == [
        expected(codec, "up", 7, frame, 1_000_000)
    ]
    return found


# Encoders


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


def test_values_of_one_sample_are_no_series_of_two() -> None:
    series = Samples((SeriesLeaf(number()),), 2, True, 0, None)
    assert sent(series, samples=[{"level": 5}, {"level": 6}]) == "0506"
    assert sent(series, level=5) == "samples: must be a list of 2 values"


def test_the_largest_payload_is_sent_and_no_larger_one() -> None:
    items = number("a"), Repeat(number("b"), None)
    assert sent(*items, a=1, b=[2] * 241) == "01" + "02" * 241
    assert sent(*items, a=1, b=[2] * 242) == "payload too long: 243 bytes"


@pytest.mark.parametrize(("later", "payload"), [(3, "0a90"), (2, "0a8020"), (17, "0a70"), (18, "0a8120"), (10, "0a00")])
def test_a_difference_that_would_be_the_escape_is_sent_whole(later: int, payload: str) -> None:
    series = Samples((SeriesLeaf(number(), 4),), 2, True, 0, None)
    assert sent(series, samples=[{"level": 10}, {"level": later}]) == payload


@pytest.mark.parametrize(
    ("levels", "payload"),
    [([None, 250], "ff8fa0"), ([250, None], "fa8ff0"), ([None, None], "ff8ff0"), ([249, 250], "f910")],
)
def test_no_difference_leads_to_or_from_a_code_that_is_no_value(levels: list[Any], payload: str) -> None:
    missing = Special(255, 255, Absent.NOT_AVAILABLE)
    series = Samples((SeriesLeaf(number(code_max=250, specials=(missing,)), 4),), 2, True, 0, None)
    assert sent(series, samples=[{"level": each} for each in levels]) == payload


@pytest.mark.parametrize(("low", "high", "payload"), [(3, 9, "0305"), (-9, -3, "fd05"), (-3, 3, "0005")])
def test_a_number_that_is_no_data_is_sent_as_what_is_next_to_zero(low: int, high: int, payload: str) -> None:
    assert sent(number("_x", signed=True, code_min=low, code_max=high), number(), level=5) == payload


def test_words_and_bytes_stand_on_a_byte_also_where_bits_were_counted_to_it() -> None:
    half = Control("_n", 4), Repeat(number("list"), "_n"), Reserved(4)
    word = Word(24, (number("a", 4), number("b", 20)))
    items = (*half, word, Word(16, (number("c", 16),)), Opaque("id", "Identity", 24))
    data = {"list": [1, 2], "a": 10, "b": 0x12345, "c": 0xCDEF, "id": "a0b1c2"}
    payload = "201020" + "4523a1" + "efcd" + "a0b1c2"
    assert sent(*items, **data) == payload
    assert said(*items, payload=payload).data == data


@pytest.mark.parametrize("codes", [(254, 255), (255, 254)])
def test_of_several_codes_for_one_reason_the_first_is_sent(codes: tuple[int, int]) -> None:
    specials = tuple(Special(code, code, Absent.NOT_AVAILABLE) for code in codes)
    assert sent(number(code_max=253, specials=specials), level=None) == f"{codes[0]:02x}"
    choice = Choice("mode", "Mode", 8, ((1, "on"),), specials)
    assert sent(choice, mode="not_available") == f"{codes[0]:02x}"


@pytest.mark.parametrize(("value", "payload"), [(1.5e-7, "02"), (1.4999999e-7, "01"), (2.5e-6, "19"), (1e-8, "00")])
def test_values_written_with_an_exponent_are_rounded_by_their_digits(value: float, payload: str) -> None:
    assert sent(number(den=10_000_000), level=value) == payload


def test_what_is_no_series_is_refused_in_words() -> None:
    series = Samples((SeriesLeaf(number(), 2),), None, True, 0, None)
    assert sent(series, samples=[5]) == "samples[0]: must be an object of values by name"
    assert sent(series, samples=[{"level": 1}] * 256) == "01" + "00" * 63 + "00"
    assert sent(series, samples=[{"level": 1}] * 257) == "samples: must be a list of 0 to 256 values"
    timed = Samples((SeriesLeaf(number()),), 1, True, 0, "_t")
    for moment in ("now", 1.5, True, "2026-01-01T00:00:00"):
        text = "time: must be a time as RFC 3339 or in milliseconds since 1970"
        assert sent(Control("_t", 32), timed, time=moment, samples=[{"level": 5}]) == text


@pytest.mark.parametrize("tail", [0, 1, 2, 5])
@pytest.mark.parametrize(("data", "payload"), [({}, "07"), ({"t": 3}, "070103"), ({"t": 3, "u": 4}, "0701030204")])
def test_the_tail_is_sent_as_zeros(tail: int, data: dict[str, Any], payload: str) -> None:
    entries = Entry(1, (number("t"),)), Entry(2, (number("u"),))
    assert sent(number(), Tlv(1, False, False, entries, "stop", (), tail), level=7, **data) == payload + "00" * tail


# Decoders


def test_bytes_left_over_are_told_after_the_warnings_of_older_samples() -> None:
    series = Samples((SeriesLeaf(number(code_max=9)),), 2, True, 0, None)
    assert said(series, payload="0aff07", extra="ignore").warnings == [
        "level: outside its range",
        "sample 1: level: outside its range",
        "1 bytes at the end are not decoded",
    ]


@pytest.mark.parametrize(("code", "age"), [(7, 2000), (6, 1000), (5, None), (3, None), (0, None), (9, None)])
def test_a_step_that_is_not_above_zero_or_no_value_is_not_known(code: int, age: int | None) -> None:
    interval = number("interval", code_max=8)
    series = Samples((SeriesLeaf(number()),), 2, True, Step("interval", 1000, -5000), None)
    samples = said(interval, series, payload=f"{code:02x}0102").samples
    assert [sample.age_ms for sample in samples] == [0, age]
    assert [sample.time_ms for sample in samples] == [1_000_000, None if age is None else 1_000_000 - age]


def test_the_first_sample_of_a_series_to_the_end_is_whole() -> None:
    series = Samples((SeriesLeaf(number(bits=16), 4),), None, True, 0, None)
    assert said(series, payload="01").errors == ["payload too long: 1 bytes"]
    assert [sample.data for sample in said(series, payload="010203").samples] == [
        {"level": 258},
        {"level": 258},
        {"level": 261},
    ]
    assert said(series, payload="010283").errors == ["payload too short: 3 bytes"]


@pytest.mark.parametrize(("payload", "short"), [("0901ffaabb", False), ("0902ffaabb", True), ("09aabb", True)])
def test_what_is_passed_over_does_not_run_into_the_tail(payload: str, short: bool) -> None:
    tlv = Tlv(1, False, True, (Entry(1, (number(),)),), "skip", (), 2)
    assert said(tlv, payload=payload).errors == ([f"payload too short: {len(payload) // 2} bytes"] if short else [])


def test_a_payload_may_end_anywhere() -> None:
    items = (
        Control("_n", 8),
        Repeat(number("list"), "_n"),
        Control("_more", 8),
        Switch("_more", (Arm((1,), (number("a"),)), Arm((2,), (number("b", 24),))), "ignore"),
        number("c"),
        Switch("_more", (Arm((1,), (number("d"),)),), "ignore"),
    )
    for whole in ("0211120107060a", "0211120207060506", "0200000009"):
        sound = len(whole) // 2
        for size in range(sound):
            assert said(*items, payload=whole[: 2 * size]).errors == [f"payload too short: {size} bytes"]
        assert not said(*items, payload=whole).errors


def test_what_is_wrong_first_is_told() -> None:
    items = Constant("mark", 8, 1), number("a", 16), Control("_n", 8), Repeat(number(), "_n")
    assert said(*items, payload="02").errors == ["mark is 2, not 1"]
    assert said(*items, payload="01").errors == ["payload too short: 1 bytes"]
    word = Word(16, (number("b"), Constant("mark", 8, 1)))
    behind = number("a", 16), Control("_n", 8), Repeat(number(), "_n")
    assert said(word, *behind, payload="0200").errors == ["mark is 2, not 1"]
    assert said(word, *behind, payload="0100").errors == ["payload too short: 2 bytes"]


def test_a_control_in_every_arm_steers_what_comes_after_them() -> None:
    first = Switch("_a", (Arm((0,), (Control("_b", 8), number("x"))), Arm((1,), (Control("_b", 8),))), "error")
    items = Control("_a", 8), first, Switch("_b", (Arm((5,), (number("y"),)),), "ignore")
    assert said(*items, payload="00050709").data == {"x": 7, "y": 9}
    assert said(*items, payload="010509").data == {"y": 9}
    assert said(*items, payload="0106").data == {}


@pytest.mark.parametrize(("unknown", "data"), [("stop", {}), ("raw", {"raw": "09"})])
def test_an_unknown_key_needs_no_length_where_it_is_not_passed_over(unknown: Any, data: dict[str, str]) -> None:
    found = said(Tlv(1, False, True, (Entry(1, (number(),)),), unknown, ()), payload="09")
    assert found.data == data
    assert found.warnings[0].startswith("type 0x09 at byte 0 is not known")


def test_one_bit_more_than_is_there_is_too_short() -> None:
    group = Switch("_w", (Arm((1,), (number("a", 7),)),), "ignore")
    items = Constant("mark", 8, 1), Control("_w", 1), group
    assert said(*items, payload="01").errors == ["payload too short: 1 bytes"]
    assert said(*items, payload="0185").data == {"a": 5}


def test_what_follows_a_list_of_half_bytes_in_a_group_is_found() -> None:
    group = Switch("_w", (Arm((1,), (Repeat(number("list", 4), "_n"),)),), "ignore")
    items = Control("_w", 8), Control("_n", 8), group, number()
    assert said(*items, payload="0103123450").data == {"list": [1, 2, 3], "level": 0x45}
    assert said(*items, payload="000345").data == {"level": 0x45}


def test_a_moment_before_the_calendar_is_no_time() -> None:
    codec = SchemaCodec(device(Samples((SeriesLeaf(number()),), 2, True, 1000, None)))
    first_ms = -62_135_596_800_000
    inputs = [{"bytes": [1, 2], "fPort": 7, "recvTime": first_ms}]
    (found,) = Server(emit_javascript(codec.device)).call("decodeUplink", inputs)
    assert found == expected(codec, "up", 7, b"\x01\x02", first_ms)
    assert [sample.get("time") for sample in found["data"]["samples"]] == ["0001-01-01T00:00:00.000Z", None]
