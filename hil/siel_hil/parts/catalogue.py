"""The table of real programs: which packages hold them and what is old enough to refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from siel_hil.parts.program import Tool

MICROPYTHON: Final = Tool(
    name="micropython",
    path="usr/bin/micropython",
    probe=("-c", "import sys; print(sys.implementation[0], *sys.implementation[1][:3])"),
    version=re.compile(r"^micropython (\d+) (\d+) (\d+)", re.MULTILINE),
    oldest=(1, 22),
    variable="MICROPYTHON",
)

MICROPYTHON32: Final = Tool(
    name="micropython32",
    path="usr/bin/micropython",
    # Only an interpreter with 32-bit words answers with its version
    probe=("-c", "import sys; sys.maxsize >> 31 or print(sys.implementation[0], *sys.implementation[1][:3])"),
    version=MICROPYTHON.version,
    oldest=(1, 22),
    variable="MICROPYTHON32",
)
"""Has the integers and the objects' sizes of the boards: small integers of 31 bits."""

_MOSQUITTO_VERSION: Final = r"{} version (\d+)\.(\d+)\.(\d+)"

MOSQUITTO: Final = Tool(
    name="mosquitto",
    path="usr/sbin/mosquitto",
    probe=("-h",),
    version=re.compile(_MOSQUITTO_VERSION.format("mosquitto")),
    oldest=(2, 0),
    variable="MOSQUITTO",
)
MOSQUITTO_SUB: Final = Tool(
    name="mosquitto_sub",
    path="usr/bin/mosquitto_sub",
    probe=("--help",),
    version=re.compile(_MOSQUITTO_VERSION.format("mosquitto_sub")),
    oldest=(2, 0),
)
MOSQUITTO_PUB: Final = Tool(
    name="mosquitto_pub",
    path="usr/bin/mosquitto_pub",
    probe=("--help",),
    version=re.compile(_MOSQUITTO_VERSION.format("mosquitto_pub")),
    oldest=(2, 0),
)


@dataclass(frozen=True)
class Part:
    """Packages that are fetched together.

    Attributes:
        name: Folder below the cache.
        packages: What is asked of the package index; it resolves the libraries.
        tools: What must start afterwards.
        leave_out: Dependencies of the packages' installation scripts, which are never run.
        later_suites: Distribution -> its later release to take the part from when the machine's own has none.
        arch: Architecture; empty is the machine's own.
    """

    name: str
    packages: tuple[str, ...]
    tools: tuple[Tool, ...]
    leave_out: tuple[str, ...] = ()
    later_suites: dict[str, str] = field(default_factory=dict)
    arch: str = ""


MICROPYTHON_PART: Final = Part("micropython", ("micropython",), (MICROPYTHON,), later_suites={"debian": "trixie"})
MICROPYTHON32_PART: Final = Part(
    "micropython32", ("micropython",), (MICROPYTHON32,), later_suites={"debian": "trixie"}, arch="i386"
)
X86: Final = ("x86_64", "amd64", "i386", "i486", "i586", "i686")
"""Machines that start a program of i386, if their kernel lets them."""
MOSQUITTO_PART: Final = Part(
    "mosquitto",
    ("mosquitto", "mosquitto-clients"),
    (MOSQUITTO, MOSQUITTO_SUB, MOSQUITTO_PUB),
    leave_out=("adduser", "debconf", "lsb-base", "sysvinit-utils", "init-system-helpers"),
)

INSTALLERS: Final = {
    "dnf": "sudo dnf install {name}",
    "zypper": "sudo zypper install {name}",
    "pacman": "sudo pacman -S {name}",
    "apk": "sudo apk add {name}",
    "brew": "brew install {name}",
}
"""Package manager found on PATH, where there is no apt -> the command to tell."""
