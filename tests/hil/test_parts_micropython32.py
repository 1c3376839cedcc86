"""The 32-bit MicroPython: there, or a reason why not that is asked for once."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from siel_hil.parts import FaultyPartError, find_micropython, find_micropython32
from siel_hil.parts import __main__ as command
from siel_hil.parts import find as finding
from siel_hil.parts.errors import MissingPartError
from siel_hil.parts.find import Finder
from siel_hil.parts.optional import REFUSED, REFUSED_S, Found, look
from siel_hil.parts.program import Program


class Refusing(Finder):
    """Has nothing, and counts how often it was told to fetch."""

    def __init__(self, cache: Path, environ: dict[str, str] | None = None) -> None:
        super().__init__({"PATH": "/nowhere", **(environ or {})}, cache, lambda _line: None)
        self.fetches = 0

    def _fetch(self, part: object, tool: object) -> Program:
        self.fetches += 1
        raise MissingPartError("micropython32", "this release has no such package", "")


@pytest.fixture(autouse=True)
def no_admin_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "ADMIN_FOLDERS", ())


def test_a_machine_that_is_no_x86_says_so_and_fetches_nothing(tmp_path: Path) -> None:
    finder = Refusing(tmp_path)
    found = look(finder, fetch=True, machine="aarch64")
    assert found == Found(None, "a machine of type aarch64 does not run programs of i386")
    assert finder.fetches == 0


def test_a_fetch_that_failed_is_not_tried_again_until_its_note_is_removed(tmp_path: Path) -> None:
    finder = Refusing(tmp_path)
    assert look(finder, fetch=True, machine="x86_64") == Found(None, "this release has no such package")
    again = look(finder, fetch=True, machine="x86_64")
    assert finder.fetches == 1
    assert again.program is None
    assert "this release has no such package" in again.reason
    assert str(tmp_path / REFUSED) in again.reason
    hours_ago = time.time() - 2 * REFUSED_S
    os.utime(tmp_path / REFUSED, (hours_ago, hours_ago))
    look(finder, fetch=True, machine="x86_64")
    assert finder.fetches == 2


def test_who_only_looks_leaves_no_note(tmp_path: Path) -> None:
    found = look(Refusing(tmp_path), fetch=False, machine="x86_64")
    assert found.program is None
    assert "fetched" in found.reason
    assert list(tmp_path.iterdir()) == []


def test_an_interpreter_with_wide_words_is_refused_by_name(tmp_path: Path) -> None:
    wide = find_micropython(fetch=False)
    named = tmp_path / "mpy"
    named.write_text(f'#!/bin/sh\nexec {" ".join(wide.argv)} "$@"\n')
    named.chmod(0o755)
    with pytest.raises(FaultyPartError, match="MICROPYTHON32"):
        look(Refusing(tmp_path, {"MICROPYTHON32": str(named), "PATH": "/usr/bin:/bin"}), fetch=True, machine="x86_64")


def test_the_command_tells_why_there_is_none_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "look", lambda _finder, fetch: Found(None, f"fetch={fetch}, no reason of mine"))
    ran = CliRunner().invoke(command.main, ["--no-fetch"])
    assert ran.exit_code == 0
    assert "tests on 32-bit words are skipped: fetch=False, no reason of mine" in ran.stderr
    assert "32" not in CliRunner().invoke(command.main, ["--no-fetch", "--no-tests"]).stderr


def test_the_real_one_has_words_of_32_bits() -> None:
    program, reason = find_micropython32(fetch=False)
    if program is None:
        pytest.skip(f"no 32-bit MicroPython: {reason}")
    said = subprocess.run(
        program.command("-c", "import sys; print(sys.maxsize)"),
        env=program.environ(),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert said == f"{(1 << 31) - 1}\n"
