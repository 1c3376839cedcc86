"""Where a run keeps its things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from siel_hil import image
from siel_hil import stage as stage_module
from siel_hil.pins import Wiring
from siel_hil.process import MicroPythonBoard
from siel_hil.stage import ROOM_BYTES, Stage, scratch_dir
from siel_hil.world import World

MAIN = "import time\nprint(open('/name').read())\nopen('/name', 'w').write('used')\ntime.sleep(9)\n"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage whose one board prints what its flash says and overwrites it."""

    def small_image(board: str, into: Path, cache: Path, changes: object) -> Path:
        into.mkdir(parents=True)
        (into / "main.py").write_text(MAIN)
        return into

    monkeypatch.setattr(image, "stage", small_image)
    return Stage(tmp_path)


class Started:
    """Boards that ran for a moment, and what they printed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._boards: list[MicroPythonBoard] = []

    def name_in_flash(self, name: str, files: dict[str, bytes]) -> list[str]:
        world, lines = World(1), list[str]()
        board = self._stage.build(world, name, "small", Wiring(), files, lines.append)
        self._boards.append(board)
        board.power_on()
        world.run(1_000_000)
        board.power_off()
        return lines


@pytest.fixture
def started(stage: Stage) -> Iterator[Started]:
    started = Started(stage)
    yield started
    for board in started._boards:
        board.power_off()


def test_flash_made_for_many_at_once_is_each_boards_own(stage: Stage, started: Started) -> None:
    files = {name: {"/name": name.encode()} for name in ("one", "two", "three")}
    stage.format(files)
    assert [started.name_in_flash(name, files[name]) for name in files] == [["one"], ["two"], ["three"]]


def test_a_second_board_of_a_name_starts_with_a_flash_of_its_own(stage: Stage, started: Started) -> None:
    files = {"/name": b"fresh"}
    stage.format({"one": files})
    assert started.name_in_flash("one", files) == ["fresh"]
    assert started.name_in_flash("one", files) == ["fresh"]


def test_flash_that_was_made_with_other_files_is_made_again(stage: Stage, started: Started) -> None:
    stage.format({"one": {"/name": b"old"}})
    assert started.name_in_flash("one", {"/name": b"new"}) == ["new"]


def test_boards_data_is_the_callers_own(stage: Stage) -> None:
    stage.board_data("pico_sx1262")["board"]["name"] = "changed"
    assert stage.board_data("pico_sx1262")["board"]["name"] != "changed"


def test_a_run_lies_in_memory_only_where_there_is_room_and_nobody_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(stage_module, "RAM_DISK", tmp_path)
    monkeypatch.setattr(stage_module, "ROOM_BYTES", 1)
    assert scratch_dir() == tmp_path
    monkeypatch.setattr(stage_module, "ROOM_BYTES", 1 << 60)
    assert scratch_dir() is None
    monkeypatch.setattr(stage_module, "ROOM_BYTES", ROOM_BYTES)
    monkeypatch.setattr(stage_module, "RAM_DISK", tmp_path / "missing")
    assert scratch_dir() is None
    monkeypatch.setattr(stage_module, "RAM_DISK", tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert scratch_dir() is None
