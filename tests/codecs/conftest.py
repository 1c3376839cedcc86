"""What several test files of this folder need."""

from __future__ import annotations

import os

import pytest

from siel_hil.parts import find_micropython, find_micropython32
from siel_hil.parts.program import Program


@pytest.fixture(scope="session")
def micropython() -> Program:
    """A real MicroPython; its absence fails the test with the command that would fetch it."""
    return find_micropython(fetch=False)


@pytest.fixture(scope="session")
def micropython32() -> Program:
    """A real MicroPython with the 32-bit words of the boards; without one the test is skipped, in CI it fails."""
    program, reason = find_micropython32(fetch=False)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no 32-bit MicroPython: {reason}")
    return program
