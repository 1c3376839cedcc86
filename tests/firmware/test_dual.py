"""Scripts that run, unchanged, under CPython and under MicroPython; a case is a test of its own in both."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from siel_hil.parts import Program, find_micropython, find_micropython32

DUAL = Path(__file__).parent / "dual"
ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "lorawan.json"
SCRIPTS = ("activation", "traffic", "commands", "endurance", "vectors")
CASES = [
    (script, name)
    for script in SCRIPTS
    for name in re.findall(r"^@case\ndef (\w+)", (DUAL / f"{script}.py").read_text(encoding="utf-8"), re.MULTILINE)
]


@cache
def outcome(interpreter: str, script: str) -> dict[str, str]:
    arguments = [str(DUAL / f"{script}.py"), str(VECTORS)]
    if interpreter != "cpython":
        program: Program | None = find_micropython()
        if interpreter == "micropython32":
            program = find_micropython32(fetch=False).program
        if program is None:
            return {}
        command = program.command(*arguments)
        environment = {**program.environ(), "MICROPYPATH": f"{ROOT}:{ROOT / 'firmware'}"}
    else:
        command = [sys.executable, "-P", *arguments]
        environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'firmware'}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {found[2]: found[0] for found in re.finditer(r"^(ok|FAIL) (\w+).*$", done.stdout, re.MULTILINE)}


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
@pytest.mark.parametrize(("script", "name"), CASES)
def test_case(script: str, name: str, interpreter: str) -> None:
    assert outcome(interpreter, script).get(name) == f"ok {name}"


@pytest.mark.parametrize("script", SCRIPTS)
def test_all_cases_with_the_word_size_of_a_board(script: str) -> None:
    found = find_micropython32(fetch=False)
    if found.program is None:
        pytest.skip(found.reason)
    told = outcome("micropython32", script)
    assert told == {name: f"ok {name}" for of, name in CASES if of == script}
