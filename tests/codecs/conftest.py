"""What several test files of this folder need."""

from __future__ import annotations

import pytest

from siel_hil.parts import find_micropython
from siel_hil.parts.program import Program


@pytest.fixture(scope="session")
def micropython() -> Program:
    """A real MicroPython; its absence fails the test with the command that would fetch it."""
    return find_micropython(fetch=False)
