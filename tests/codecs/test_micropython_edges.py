"""Edges of the node's target that random messages seldom reach."""

from __future__ import annotations

from typing import Any

import pytest

from hand_made import device, number
from siel_codecs.errors import EmitError
from siel_codecs.schema.model import (
    MAX_PAYLOAD_BYTES,
    Absent,
    Arm,
    Choice,
    Constant,
    Control,
    Device,
    Item,
    Lookahead,
    Message,
    NodeInput,
    Port,
    Repeat,
    Samples,
    SeriesLeaf,
    Special,
    Switch,
)
from siel_codecs.schema.to_micropython import emit_encoder


def run(made: Device) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(emit_encoder(made), names)
    return names


def encode(*items: Item) -> Any:
    """A function of the arguments that returns the payload in hex."""
    encoder, buf = run(device(*items))["encode"], bytearray(MAX_PAYLOAD_BYTES)
    return lambda *arguments: bytes(buf[: encoder(buf, *arguments)]).hex()


def decode(made: Device) -> Any:
    """A function of a payload in hex that returns the command's number and what it brings."""
    names = run(made)

    def call(payload: str, f_port: int = 7) -> tuple[int, list[Any]]:
        sent, out = bytes.fromhex(payload), [-5] * names["OUT_SIZE"]
        return names["decode_downlink"](f_port, sent, len(sent), out), out

    return call


# Encoders


@pytest.mark.parametrize(("given", "code"), [(-10, -1), (-14, -1), (-15, -2), (-25, -3), (0, -1), (-2000, -99)])
def test_a_tie_goes_away_from_zero_also_where_all_is_below_it(given: int, code: int) -> None:
    leaf = number(signed=True, code_min=-99, code_max=-1, node=NodeInput("tenths", 1, 10))
    assert encode(leaf)(given) == f"{code & 255:02x}"


@pytest.mark.parametrize(("given", "code"), [(-1, 99), (0, 0), (9, 0), (10, 1)])
def test_a_tie_at_zero_is_the_lowest_code_not_below_it(given: int, code: int) -> None:
    below = (Special(99, 99, Absent.UNDER_RANGE),)
    leaf = number(num=10, add=5, code_max=9, specials=below, node=NodeInput("ones", 1, 1))
    assert encode(leaf)(given) == f"{code:02x}"


@pytest.mark.parametrize("given", [-1, 4, None])
def test_a_code_beyond_the_bits_of_a_choice_is_refused(given: int | None) -> None:
    choice = Choice("mode", "Mode", 2, ((0, "a"), (1, "b"), (2, "c"), (3, "d")))
    with pytest.raises(ValueError, match="mode"):
        encode(choice)(given)


def test_a_code_that_a_later_group_refuses_is_not_chosen() -> None:
    missing = (Special(255, 255, Absent.NOT_AVAILABLE),)
    a, b, c = (number(name, code_max=254, specials=missing) for name in "abc")
    first = Switch("_c", (Arm((0,), (a,)), Arm((1,), (b,))), "ignore")
    made = encode(Control("_c", 8), first, Switch("_c", (Arm((1,), (c,)),), "error"))
    assert made(None, None, None) == "01ffff"
    assert made(None, 1, None) == "0101ff"
    with pytest.raises(ValueError, match="a"):
        made(1, None, None)


def test_a_name_in_two_groups_of_a_choice_is_welcome_with_both_codes() -> None:
    mode = Choice("mode", "Mode", 8, ((0, "a"), (1, "b"), (2, "c")))
    groups = [Switch("mode", (Arm((code,), (number("depth"),)),), "ignore") for code in (0, 1)]
    made = encode(mode, *groups)
    assert [made(code, 7) for code in (0, 1)] == ["0007", "0107"]
    with pytest.raises(ValueError, match="depth"):
        made(2, 7)


def test_a_name_in_two_groups_is_scaled_in_both() -> None:
    tens = number("depth", num=10, node=NodeInput("depth", 1, 1))
    groups = [Switch("mode", (Arm((code,), (tens,)),), "ignore") for code in (0, 1)]
    made = encode(Choice("mode", "Mode", 8, ((0, "a"), (1, "b"))), *groups)
    assert [made(code, 70) for code in (0, 1)] == ["0007", "0107"]


def test_what_follows_for_another_count_is_refused() -> None:
    group = Switch("_n", (Arm((2,), (number("depth"),)),), "ignore")
    made = encode(Control("_n", 8), Repeat(number(), "_n"), group)
    assert made([1, 2], 3) == "02010203"
    assert made([1], None) == "0101"
    with pytest.raises(ValueError, match="depth"):
        made([1], 3)


@pytest.mark.parametrize("wide", [0xFEDCBA98, 0x40000000, 0x80000001])
def test_constants_wider_than_small_integers_are_sent_in_parts_where_the_place_is_a_variable(wide: int) -> None:
    made = encode(Control("_n", 8), Repeat(number(), "_n"), Constant("wide", 32, wide))
    assert made([9]) == f"0109{wide:08x}"


@pytest.mark.parametrize(
    ("levels", "payload"),
    [([None, 250], "ff8fa0"), ([250, None], "fa8ff0"), ([None, None], "ff8ff0"), ([249, 250], "f910")],
)
def test_no_difference_leads_to_or_from_a_code_that_is_no_value(levels: list[Any], payload: str) -> None:
    missing = Special(255, 255, Absent.NOT_AVAILABLE)
    leaf = number(code_max=250, specials=(missing,))
    assert encode(Samples((SeriesLeaf(leaf, 4),), 2, True, 0, None))(levels) == payload


def test_a_list_to_the_end_fills_the_largest_payload_and_no_more() -> None:
    made = encode(Repeat(number(), None))
    assert made([1] * MAX_PAYLOAD_BYTES) == "01" * MAX_PAYLOAD_BYTES
    with pytest.raises(ValueError, match="level"):
        made([1] * (MAX_PAYLOAD_BYTES + 1))


# Commands


@pytest.mark.parametrize(("code", "value"), [(249, 249), (250, None), (252, None), (255, None)])
def test_every_code_of_a_special_range_is_no_value(code: int, value: int | None) -> None:
    specials = (Special(250, 255, Absent.NOT_AVAILABLE),)
    assert decode(device(number(code_max=249, specials=specials), direction="down"))(f"{code:02x}") == (0, [value])


def test_a_port_of_its_own_goes_before_one_that_takes_any() -> None:
    ports = [Port("down", f_ports, (Message(name, "", (number(),)),)) for name, f_ports in (("any", ()), ("own", (7,)))]
    made = decode(Device("test/made", "Made", "", tuple(ports)))
    assert [made("05", f_port) for f_port in (7, 8)] == [(1, [5]), (0, [5])]


@pytest.mark.parametrize("bits", [31, 32])
@pytest.mark.parametrize("wide", [0x7FFFFFFF, 0x40000001, 0x00000002, 0x2AAAAAAB])
@pytest.mark.parametrize("of_a_list", [False, True])
def test_wide_constants_are_compared_whole_at_every_place(bits: int, wide: int, of_a_list: bool) -> None:
    before: Item = Repeat(number(bits=7), 1) if of_a_list else number(bits=7)
    whole = 7 + bits
    made = decode(device(before, Constant("wide", bits, wide), direction="down"))

    def sent(code: int) -> str:
        return ((3 << bits | code) << -whole % 8).to_bytes((whole + 7) // 8, "big").hex()

    assert made(sent(wide)) == (0, [3])
    assert {made(sent(wide ^ 1 << bit))[0] for bit in range(bits)} == {-1}


def test_of_several_versions_of_a_command_a_node_takes_the_newest() -> None:
    messages = tuple(Message("go", "", (Constant("version", 8, code), number()), version=code) for code in (2, 1))
    made = decode(Device("test/made", "Made", "", (Port("down", (7,), messages),)))
    assert [made(payload)[0] for payload in ("0205", "0105", "0305")] == [0, -1, -1]


def test_a_control_that_stands_behind_the_end_of_a_payload_makes_no_command() -> None:
    switch = Switch("_mode", (Arm((0,), (number("a"),)), Arm((1,), (number("b"),))), "error")
    more = Switch("_mode", (Arm((1,), (number("c"),)),), "ignore")
    made = decode(device(Lookahead("_mode", 8, 8), switch, Control("_mode", 8), more, direction="down"))
    assert [made(payload)[0] for payload in ("", "05", "0500", "0501", "050107", "05010700")] == [-1, -1, 0, -1, 0, -1]


def test_a_command_that_stands_on_two_ports_is_refused_by_name() -> None:
    ports = tuple(Port("down", (f_port,), (Message("go", "", (number(),)),)) for f_port in (7, 8))
    with pytest.raises(EmitError, match="go: stands on two ports"):
        emit_encoder(Device("test/made", "Made", "", ports))
