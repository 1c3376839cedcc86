"""What the node's target names, refuses by name, and leaves to the schema's author."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from siel_codecs.errors import EmitError
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import (
    Absent,
    Arm,
    Choice,
    Constant,
    Control,
    Device,
    Entry,
    Item,
    Message,
    NodeInput,
    Number,
    Opaque,
    Port,
    Repeat,
    Samples,
    SeriesLeaf,
    Special,
    Switch,
    Tlv,
    Word,
)
from siel_codecs.schema.to_micropython import emit_encoder
from siel_codecs.schema.to_micropython.numbers import CannotEmitError, scaling

LEVEL = Number("level", "Level", 16, False, 1, 0, 1, 0, 65534, (), True, None, None)


def number(**changes: Any) -> Number:
    return msgspec.structs.replace(LEVEL, **changes)


def device(*items: Item, direction: Literal["up", "down"] = "up", name: str = "") -> Device:
    return Device("test/made", "Made", "", (Port(direction, (7,), (Message(name, "A message", items),)),))


def module(*items: Item, **options: Any) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(emit_encoder(device(*items, **options)), names)
    return names


def from_schema(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(emit_encoder(load_text('title = "Made"\n' + text, "test/made")), names)
    return names


@pytest.mark.parametrize(
    ("items", "field", "reason"),
    [
        ([number(bits=31)], "level", "31 bits; a small integer holds 30"),
        ([Word(32, (number(bits=32),))], "level", "32 bits"),
        ([number(add=1, num=2)], "level", "give node"),
        ([number(num=1 << 20, node=NodeInput("n", 1, 1))], "level", "needs more than 30 bits"),
        ([number(node=NodeInput("n", 1, 1 << 22))], "level", "needs more than 30 bits"),
        ([number(bits=24, code_max=16_000_000, node=NodeInput("n", 100, 101))], "level", "needs more than 30 bits"),
        (
            [number(bits=24, code_max=16_000_000, add=-8_000_000, node=NodeInput("n", 100, 101))],
            "level",
            "needs more than 30 bits",
        ),
        ([Opaque("serial", "Serial", 16)], "serial", "bytes in hex"),
        ([Tlv(1, False, False, (Entry(1, (LEVEL,)),), "stop", ())], "tlv", "entries that name themselves"),
        ([Control("_t", 30), Samples((SeriesLeaf(LEVEL),), 2, True, 0, "_t")], "_t", "no absolute time"),
        ([Control("_c", 32), Switch("_c", (Arm((1,), (LEVEL,)),), "ignore")], "_c", "32 bits"),
        ([LEVEL, number(name="depth", node=NodeInput("level", 1, 1))], "depth", "level has the same argument level"),
    ],
)
def test_what_a_node_cannot_send_is_refused_by_name(items: list[Item], field: str, reason: str) -> None:
    with pytest.raises(EmitError) as caught:
        emit_encoder(device(*items))
    assert (caught.value.codec, caught.value.target, caught.value.field) == ("test/made", "micropython", field)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([number(num=1, den=10, node=NodeInput("n", 1, 1))], "not every code is a whole number of 1: give node"),
        ([number(add=1, num=2)], "give node"),
        ([number(bits=30, code_max=(1 << 30) - 1, add=1 << 29)], "needs more than 30 bits"),
        ([Control("_n", 4), Repeat(LEVEL, "_n")], "no lists of open length"),
        ([Samples((SeriesLeaf(LEVEL),), 2, True, 0, None)], "no lists of open length"),
    ],
)
def test_what_a_node_cannot_be_told_is_refused_by_name(items: list[Item], reason: str) -> None:
    with pytest.raises(EmitError) as caught:
        emit_encoder(device(*items, direction="down"))
    assert reason in caught.value.reason


def test_a_name_with_two_meanings_in_one_message_is_refused() -> None:
    arms = (Arm((0,), (LEVEL,)), Arm((1,), (number(num=10),)))
    with pytest.raises(EmitError) as caught:
        emit_encoder(device(Control("_mode", 1), Switch("_mode", arms, "error")))
    assert caught.value.field == "level"


def test_several_uplinks_without_a_name_are_refused() -> None:
    ports = tuple(Port("up", (port,), (Message("", "A message", (LEVEL,)),)) for port in (7, 8))
    with pytest.raises(EmitError) as caught:
        emit_encoder(Device("test/made", "Made", "", ports))
    assert "give each uplink a name" in caught.value.reason


def test_an_encoder_is_made_of_the_newest_version_and_one_of_each_name() -> None:
    def version(value: int, *items: Item) -> Message:
        return Message("", "", (Constant("payload version", 8, value), *items), version=value)

    ports = (
        Port("up", (7,), (version(2, LEVEL), version(1))),
        Port("up", (), (Message("alarm", "", (number(bits=8, code_max=255),)),)),
    )
    names: dict[str, Any] = {}
    exec(emit_encoder(Device("test/made", "Made", "", ports)), names)
    assert (names["F_PORT"], names["SIZE"], names["F_PORT_ALARM"], names["SIZE_ALARM"]) == (7, 3, 1, 1)
    buf = bytearray(3)
    assert names["encode"](buf, 258) == 3
    assert buf == bytes([2, 1, 2])
    assert names["encode_alarm"](buf, 300) == 1
    assert buf == bytes([255, 1, 2])


def test_what_a_device_includes_is_left_to_its_own_module() -> None:
    own = Port("up", (7,), (Message("", "", (LEVEL,)),))
    other = Port("up", (21,), (Message("", "", (LEVEL,)),), "test/other")
    assert emit_encoder(Device("test/made", "", "", (own, other))) == emit_encoder(Device("test/made", "", "", (own,)))


def test_words_of_the_language_and_of_the_code_itself_are_fine_as_names() -> None:
    awkward = ["class", "buf", "len", "at", "i", "code", "n", "size"]
    items: list[Item] = [number(name=name, bits=8, code_max=255) for name in awkward]
    counted: list[Item] = [
        Control("_put", 4),
        Control("_get", 4),
        Repeat(number(name="out", bits=8, code_max=255), "_put"),
    ]
    of_get = Switch("_get", (Arm((3,), (number(name="f_port", bits=8, code_max=255),)), Arm((0,), ())), "error")
    names = module(*items, *counted, of_get)
    buf = bytearray(30)
    size = names["encode"](buf, 1, 2, 3, 4, 5, 6, 7, 8, [9, 10], 11)
    assert buf[:size] == bytes([1, 2, 3, 4, 5, 6, 7, 8, 0x23, 9, 10, 11])


def test_a_choice_has_a_constant_for_each_code_and_a_flag_has_none() -> None:
    mode = Choice("mode", "Mode", 4, ((1, "alarm"), (2, "at rest"), (5, "at-rest")), ())
    fault = Choice("wet", "Wet", 2, ((0, True), (1, False)), (Special(3, 3, Absent.FAULT),))
    names = module(mode, fault, Constant("rest", 2, 1))
    assert (names["MODE_ALARM"], names["MODE_AT_REST_2"], names["MODE_AT_REST_5"], names["FAULT"]) == (1, 2, 5, "fault")
    assert not [name for name in names if name.startswith("WET")]
    buf = bytearray(1)
    for wet, code in ((True, 0), (False, 1), ("fault", 3)):
        names["encode"](buf, names["MODE_ALARM"], wet)
        assert buf[0] == 0x11 | code << 2
    for wrong in ((3, True), (0, True), (16, True), (None, True), (1, None)):
        with pytest.raises(ValueError, match="mode" if wrong[1] else "wet"):
            names["encode"](buf, *wrong)


def test_a_constant_does_not_take_the_name_of_another() -> None:
    size = Choice("size", "Size", 8, ((9, "alarm"),), ())
    names: dict[str, Any] = {}
    ports = (
        Port("up", (7,), (Message("", "", (size,)),)),
        Port("up", (8,), (Message("alarm", "", (LEVEL,)),)),
    )
    exec(emit_encoder(Device("test/made", "Made", "", ports)), names)
    assert (names["SIZE_ALARM"], names["SIZE_ALARM_9"]) == (2, 9)


def test_a_group_is_there_when_one_of_its_values_is() -> None:
    names = from_schema("""
        [[uplink]]
        f_port = 7
        field = [
          { name = "_has_a", type = "bool" },
          { name = "_mode", type = "u7" },
          { when = "_has_a", field = [
            { name = "a", type = "u8", not_available = 255 }, { name = "b", type = "u8", not_available = 255 } ] },
          { switch = "_mode", arm = [
            { is = 4, field = [ { name = "c", type = "u8" } ] },
            { is = [7, 8], field = [ { name = "c", type = "u8" }, { name = "d", type = "u8" } ] } ] },
        ]
    """)
    buf = bytearray(8)

    def sent(*values: int | None) -> bytes:
        return bytes(buf[: names["encode"](buf, *values)])

    assert sent(None, None, 1, None) == bytes([4, 1])
    assert sent(2, None, 1, None) == bytes([0x84, 2, 255, 1])
    assert sent(None, 3, 1, 6) == bytes([0x87, 255, 3, 1, 6])
    with pytest.raises(ValueError, match="c"):
        sent(None, None, None, 6)
    with pytest.raises(ValueError, match="c"):
        sent(None, None, None, None)


def test_a_value_of_an_arm_that_a_choice_rules_out_is_refused() -> None:
    mode = Choice("mode", "Mode", 8, ((1, "a"), (2, "b"), (3, "c")), ())
    arms = (Arm((1, 2), (number(name="one"),)), Arm((3,), (number(name="two"),)))
    names = module(mode, Switch("mode", arms, "error"))
    buf = bytearray(3)
    assert names["encode"](buf, 2, 5, None) == 3
    with pytest.raises(ValueError, match="two"):
        names["encode"](buf, 2, 5, 6)
    with pytest.raises(ValueError, match="one"):
        names["encode"](buf, 3, 5, 6)


@pytest.mark.parametrize(
    ("lists", "wrong"),
    [(([1], [1, 2]), "soil"), (([1] * 16, [1] * 16), "level"), ((None, [1]), "soil"), (([1, None], [1, 2]), "level")],
)
def test_lists_that_do_not_fit_are_refused_by_name(lists: tuple[Any, Any], wrong: str) -> None:
    series = Samples((SeriesLeaf(LEVEL), SeriesLeaf(number(name="soil"))), "_n", True, 0, None)
    names = module(Control("_n", 4), series)
    with pytest.raises(ValueError, match=wrong):
        names["encode"](bytearray(242), *lists)


def test_the_oldest_sample_goes_first_where_the_schema_says_so() -> None:
    leaf = SeriesLeaf(number(bits=8, code_max=255), 4)
    buf = bytearray(20)
    newest_first = module(Control("_n", 4), Samples((leaf,), "_n", True, 0, None))
    assert buf[: newest_first["encode"](buf, [10, 12, 30])].hex() == "30a281e0"
    oldest_first = module(Control("_n", 4), Samples((leaf,), "_n", False, 0, None))
    assert buf[: oldest_first["encode"](buf, [10, 12, 30])].hex() == "31e80ce0"


def test_a_command_that_is_longer_than_known_is_taken_where_the_schema_ignores_that() -> None:
    message = Message("", "", (Constant("command", 32, 0xFFFFFFFE), number(bits=8)), extra="ignore")
    names: dict[str, Any] = {}
    exec(emit_encoder(Device("test/made", "Made", "", (Port("down", (), (message,)),))), names)
    out: list[Any] = [None]
    payload = bytes.fromhex("fffffffe07aa")
    assert [names["decode_downlink"](1, payload[:n], n, out) for n in (4, 5, 6)] == [-1, names["CMD"], names["CMD"]]
    assert out == [7]
    assert names["decode_downlink"](1, bytes.fromhex("ffffffff07"), 5, out) == -1


def test_constants_wider_than_small_integers_are_compared_in_parts_also_in_words() -> None:
    word = Word(32, (Constant("low byte first", 32, 0x01020304),))
    optional = Switch("_c", (Arm((1,), (Constant("wide", 32, 0xFEDCBA98),)), Arm((0,), ())), "error")
    names = module(word, Control("_c", 1), optional, number(bits=7, code_max=127), direction="down")
    out: list[Any] = [None]
    for payload, command in (("0403020115", 0), ("0403020195", -1), ("04030201ff6e5d4c0a", 0), ("0403010115", -1)):
        sent = bytes.fromhex(payload)
        assert names["decode_downlink"](7, sent, len(sent), out) == command, payload


def test_special_codes_of_a_command_other_than_not_available_make_it_unsound() -> None:
    specials = (Special(255, 255, Absent.NOT_AVAILABLE), Special(254, 254, Absent.FAULT))
    names = module(number(bits=8, code_max=200, specials=specials), direction="down")
    out: list[Any] = [0]
    decode = names["decode_downlink"]
    assert [(decode(7, bytes([code]), 1, out), out[0]) for code in (255, 200, 201, 254)] == [
        (0, None),
        (0, 200),
        (-1, 200),
        (-1, 200),
    ]


@pytest.mark.parametrize(
    ("given", "code"), [(4, 0), (5, 1), (14, 1), (15, 2), (-4, 0), (-5, -1), (-14, -1), (-15, -2), (10**12, 99)]
)
def test_a_tie_goes_away_from_zero(given: int, code: int) -> None:
    leaf = number(bits=8, signed=True, code_min=-99, code_max=99, node=NodeInput("tenths", 1, 10))
    buf = bytearray(1)
    module(leaf)["encode"](buf, given)
    assert buf[0] == code & 255


@pytest.mark.parametrize(("given", "code"), [(-24, -2), (-25, -99), (-26, -99), (24, 2), (25, 98), (26, 98)])
def test_what_rounds_to_a_code_outside_the_range_is_outside(given: int, code: int) -> None:
    specials = (Special(-99, -99, Absent.UNDER_RANGE), Special(98, 98, Absent.OVER_RANGE))
    tenths = NodeInput("tenths", 1, 10)
    leaf = number(bits=8, signed=True, code_min=-2, code_max=2, node=tenths, specials=specials)
    buf = bytearray(1)
    module(leaf)["encode"](buf, given)
    assert buf[0] == code & 255


@pytest.mark.parametrize(("given", "code"), [(-20, -3), (-10, -2), (-1, -1), (0, 0), (9, 0), (10, 1), (-11, -2)])
def test_away_from_zero_is_away_from_the_value_s_zero_not_the_code_s(given: int, code: int) -> None:
    leaf = number(bits=8, signed=True, num=10, add=5, code_min=-9, code_max=9, node=NodeInput("ones", 1, 1))
    buf = bytearray(1)
    module(leaf)["encode"](buf, given)
    assert buf[0] == code & 255


def test_a_difference_that_would_be_the_escape_is_sent_whole() -> None:
    leaf = SeriesLeaf(number(bits=8, code_max=255), 4)
    encode = module(Samples((leaf,), 2, True, 0, None))["encode"]
    buf = bytearray(3)
    sent = [bytes(buf[: encode(buf, [10, after])]).hex() for after in (3, 2, 17, 18)]
    assert sent == ["0a90", "0a8020", "0a70", "0a8120"]


def test_a_single_code_without_a_meaning_makes_no_command() -> None:
    out: list[Any] = [0]
    level = module(number(bits=8, code_max=254), direction="down")["decode_downlink"]
    choice = Choice("mode", "Mode", 2, ((0, "a"), (1, "b"), (3, "c")))
    mode = module(choice, direction="down")["decode_downlink"]
    assert [level(7, bytes([code]), 1, out) for code in (254, 255)] == [0, -1]
    assert [mode(7, bytes([code << 6]), 1, out) for code in range(4)] == [0, 0, -1, 0]


def test_limits_in_comparisons_are_values_where_the_ends_are_sent() -> None:
    leaf = number(bits=8, add=180, den=100, code_max=254, node=NodeInput("battery_mv", 1, 1000))
    found = scaling(leaf)
    assert (found.low, found.high) == (1800, 4340)
    marked = msgspec.structs.replace(leaf, specials=(Special(255, 255, Absent.OVER_RANGE),))
    assert scaling(marked).high == 4344
    with pytest.raises(CannotEmitError):
        scaling(number(add=1, num=2))
