"""A program that not every machine can run: the 32-bit MicroPython. Where there is none, the reason is told."""

from __future__ import annotations

import platform
import time
from contextlib import suppress
from functools import cache as remember
from pathlib import Path
from typing import Final, NamedTuple

from siel_hil.parts.catalogue import MICROPYTHON32, MICROPYTHON32_PART, X86
from siel_hil.parts.errors import FaultyPartError, MissingPartError
from siel_hil.parts.find import Finder
from siel_hil.parts.program import Program

REFUSED: Final = "micropython32.refused"
"""Below the cache: why the last attempt to fetch it failed."""
REFUSED_S: Final = 3600
"""So long no other attempt is made; after it a mirror that was being updated is whole again."""


class Found(NamedTuple):
    """A program, or why there is none."""

    program: Program | None
    reason: str = ""


def find_micropython32(fetch: bool = True) -> Found:
    """Return a MicroPython with the 32-bit words of the boards; fetches it unless told not to.

    Raises:
        FaultyPartError: The variable MICROPYTHON32 names something else.
    """
    return _found(fetch)


@remember
def _found(fetch: bool) -> Found:
    return look(Finder(), fetch=fetch)


def look(finder: Finder, *, fetch: bool, machine: str = "") -> Found:
    """Look for it with ``finder``.

    Args:
        finder: Knows variables, PATH and cache.
        fetch: Download it if it is nowhere and was not refused before.
        machine: What this machine is; empty asks it.

    Raises:
        FaultyPartError: The variable names something else.
    """
    machine = machine or platform.machine()
    refused = finder.cache / REFUSED
    try:
        return Found(finder.find(MICROPYTHON32_PART, MICROPYTHON32, fetch=False))
    except FaultyPartError:
        raise
    except MissingPartError as error:
        if machine.lower() not in X86:
            return Found(None, f"a machine of type {machine} does not run programs of i386")
        if told := _read(refused):
            return Found(None, f"{told} (remove {refused} to try again)")
        if not fetch:
            return Found(None, error.cause)
    try:
        return Found(finder.find(MICROPYTHON32_PART, MICROPYTHON32))
    except MissingPartError as error:
        with suppress(OSError):
            refused.write_text(f"{error.cause}\n", encoding="utf-8")
        return Found(None, error.cause)


def _read(refused: Path) -> str:
    try:
        fresh = time.time() - refused.stat().st_mtime < REFUSED_S
        return refused.read_text(encoding="utf-8").strip() if fresh else ""
    except OSError:
        return ""
