"""A program that can be started, and how its version is asked for."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import Final

PROBE_TIMEOUT_S: Final = 20
"""Longest wait for a version; a loaded two-core machine needs well under one second."""


@dataclass(frozen=True)
class Program:
    """A program that was started once and answered with its version.

    Attributes:
        argv: What starts it; append the arguments.
        env: Variables to add to the environment of the process.
        version: As the program tells it.
        origin: Where it comes from, for people.
    """

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    version: tuple[int, ...] = ()
    origin: str = ""

    def command(self, *args: str) -> list[str]:
        """Return the argument vector that starts the program with ``args``."""
        return [*self.argv, *args]

    def environ(self) -> dict[str, str]:
        """Return this process's environment with the program's own variables added."""
        return {**os.environ, **self.env}

    @property
    def version_text(self) -> str:
        """Return the version as people write it."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True)
class Tool:
    """One program: where it lies in an unpacked package and what proves that it works.

    Attributes:
        name: File name.
        path: Place below the root of an unpacked tree.
        probe: Arguments that make it tell its version.
        version: Finds the version in what it then prints.
        oldest: The oldest version that does.
        variable: Environment variable that names another one; empty if there is none.
    """

    name: str
    path: str
    probe: tuple[str, ...]
    version: re.Pattern[str]
    oldest: tuple[int, ...]
    variable: str = ""

    @property
    def oldest_text(self) -> str:
        """Return the oldest version that does, as people write it."""
        return ".".join(map(str, self.oldest))


def probe_version(tool: Tool, argv: tuple[str, ...]) -> tuple[int, ...] | None:
    """Start the program once and return its version; None if it does not start or is something else."""
    try:
        ran = subprocess.run(
            [*argv, *tool.probe],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = tool.version.search(ran.stdout.decode("utf-8", "replace"))
    return tuple(int(part) for part in found.groups()) if found else None
