"""board.toml: what stands in it is checked before anything is made of it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_hil import board_files, image, node_site
from siel_hil.board_files import BoardError, boards_dir, parse
from siel_hil.errors import ImageError
from siel_hil.gateway_site import GatewaySite
from siel_hil.node_site import NodeSite
from siel_hil.testbed import Testbed

PICO = (boards_dir() / "pico_sx1262" / "board.toml").read_text(encoding="utf-8")
HEAD = (boards_dir() / "pico_sx1262_head" / "board.toml").read_text(encoding="utf-8")


def faults(text: str, name: str | None = None) -> list[str]:
    with pytest.raises(BoardError) as caught:
        parse(text.encode(), "board.toml", name)
    return [f"{fault.line} {fault.key}: {fault.text}" for fault in caught.value.faults]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def changed(before: str, after: str, text: str = PICO) -> str:
    assert before in text
    return text.replace(before, after, 1)


@pytest.mark.parametrize("name", board_files.names())
def test_every_board_that_ships_is_good_and_whole(name: str) -> None:
    board = board_files.load(name)
    assert board.general.name == name
    assert {path.name for path in (boards_dir() / name).iterdir()} == {"board.toml", "main.py", "manifest.py"}


def test_the_device_gets_no_texts_for_people() -> None:
    written = tomllib.loads(PICO)
    del written["energy"]
    del written["board"]["title"], written["board"]["tried"]
    found = image.load_board("pico_sx1262")
    assert found["radio"][0].pop("max_dbm") == 22
    assert found == written


def test_what_a_file_leaves_out_the_device_and_the_harness_need_not_know() -> None:
    text = changed("address = 0x44", "", changed("tcxo_us = 5000", "", changed("power = 6", "")))
    data = parse(text.encode(), "board.toml").data
    assert data["radio"][0]["tcxo_us"] == 5000
    assert data["sensor"][1]["address"] == 0x44
    assert "power" not in data["sensor"][0]


def test_every_board_can_be_staged(tmp_path: Path) -> None:
    for name in board_files.names():
        into = image.stage(name, tmp_path / name, tmp_path / "cache")
        assert "source" not in (into / "board.py").read_text()


def test_all_faults_are_told_at_once_with_line_and_key() -> None:
    text = changed("reset = 15", "reset = 31\nrest = 3")
    text = changed("tcxo_mv = 1700", 'tcxo_mv = "1700"', text)
    text = changed("sleep_ua.value = 1500\n", "", text) + "[colour]\n"
    found = faults(text)
    assert [line.split(":")[0] for line in found] == [
        f"{line_of(text, 'rest')} radio[0].rest",
        f"{line_of(text, 'tcxo_mv')} radio[0].tcxo_mv",
        f"{line_of(text, 'sleep_ua.source')} energy.sleep_ua.value",
        f"{line_of(text, '[colour]')} colour",
    ]


@pytest.mark.parametrize(
    ("before", "after", "key", "said"),
    [
        ("reset = 15", "reset = 31", "radio[0].reset", "RP2040 has no pin 31"),
        ("reset = 15", "reset = 2", "radio[0].reset", "pin 2 is already radio[0].busy"),
        ("power = 6", "power = 10", "sensor[0].power", "pin 10 is already radio[0].sck"),
        ("sck = 10", "sck = 18", "radio[0].sck", "RP2040 has no SPI 1 sck on pin 18"),
        ("tx = 4", "tx = 0", "sensor[0].tx", "RP2040 has no UART 1 tx on pin 0"),
        ("sda = 8", "sda = 18", "sensor[1].sda", "RP2040 has no I2C 0 sda on pin 18"),
        ("spi = 1", "spi = 2", "radio[0].spi", "RP2040 has no SPI 2, but 0 to 1"),
        ('chip = "sx1262"', 'chip = "cc1101"', "radio[0].chip", "has to be one of: sx1262"),
        ('kind = "sht4x"', "kind = []", "sensor[1].kind", "has to be one of: a02yyuw, sht4x"),
        ("[[radio]]", "[radio]", "radio", "[[radio]]"),
        ('role = "node"', 'role = "head"', "board.role", "a head has a [line]"),
        (
            "[energy]",
            "[battery]\nadc = 7\nfull_mv = 9900\n[energy]",
            "battery.adc",
            "pin 7 of RP2040 measures no voltage",
        ),
        ("[energy]", '[line]\nkind = "uart"\nid = 0\ntx = 0\nrx = 1\n[energy]', "line", "a node has none"),
        ("antenna_gain_db = 2", "antenna_gain_db = 2.5", "radio[0].antenna_gain_db", "whole number"),
        ('mcu = "rp2040"', 'mcu = "z80"', "board.mcu", "rp2040"),
    ],
)
def test_a_wrong_word_is_told_where_it_stands(before: str, after: str, key: str, said: str) -> None:
    found = [text for text in faults(changed(before, after)) if f" {key}: " in text]
    assert len(found) == 1
    assert said in found[0]


SECOND = (
    '[[radio]]\nchip = "sx1262"\nspi = 1\nsck = 10\nmosi = 11\nmiso = 12\ncs = 3\nbusy = 2\ndio1 = 20\nreset = 15\n'
)


def test_chips_of_a_head_may_share_a_bus_but_no_line_of_their_own() -> None:
    other = SECOND.replace("cs = 3", "cs = 5").replace("busy = 2", "busy = 6").replace("dio1 = 20", "dio1 = 7")
    assert len(parse(changed("[line]", other.replace("15", "8") + "[line]", HEAD).encode(), "").radios) == 2
    assert len(faults(changed("[line]", SECOND + "[line]", HEAD))) == 4
    elsewhere = other.replace("15", "8").replace("sck = 10", "sck = 14")
    assert "SPI 1 belongs to radio[0]" in faults(changed("[line]", elsewhere + "[line]", HEAD))[0]


def test_a_folder_and_its_board_have_one_name() -> None:
    assert "pico_two" in faults(PICO, "pico_two")[0]


def test_an_unknown_board_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ImageError, match=r"known: .*pico_sx1262_head"):
        board_files.load("../boards/pico_sx1262")


@pytest.mark.parametrize("text", [b"[board", b"\xff", b"#" * (board_files.MAX_BYTES + 1), b"x = " + b"[" * 5000])
def test_what_is_no_toml_is_one_fault(text: bytes) -> None:
    with pytest.raises(BoardError) as caught:
        parse(text, "board.toml")
    assert len(caught.value.faults) == 1


LINES = PICO.splitlines()


def outcome(text: bytes) -> object:
    try:
        return parse(text, "board.toml").radios
    except BoardError as error:
        return error.faults


@given(
    st.lists(
        st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(["", "[[radio]]", "spi = 7", "x = 1", "[line]"]))
    ),
    st.data(),
)
def test_whatever_stands_there_is_a_board_or_has_faults(changes: list[tuple[int, str]], data: st.DataObject) -> None:
    lines = list(LINES)
    for at, line in changes:
        lines[at] = line
    cut = data.draw(st.integers(0, len(lines)))
    assert outcome("\n".join(lines[:cut]).encode())


@pytest.mark.parametrize(
    "name", [name for name in board_files.names() if board_files.load(name).general.role == "node"]
)
def test_a_node_on_every_board_joins_and_is_heard(
    name: str,
    testbed: Testbed,
    node: Callable[..., NodeSite],
    gateway: Callable[..., GatewaySite],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_site, "NODE_BOARD", name)
    node("climate", distance_m=300, interval_s=10)
    gateway()
    testbed.play(lambda: len(testbed.observations) == 1)
    assert len(testbed.observations) == 1
