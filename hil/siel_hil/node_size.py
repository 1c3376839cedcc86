"""What a node's firmware takes: bytes of its compiled modules, and heap in the words of the boards."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from siel_hil.board_files import package_dir
from siel_hil.errors import ImageError
from siel_hil.image import compile_module
from siel_hil.parts import Program
from siel_hil.process import SHIM

MAC_GOALS: Final = {"mpy_bytes": 14 * 1024, "resident_heap_bytes": 20 * 1024, "garbage_per_uplink_bytes": 1024}
"""At most; what a node has to leave room for on an RP2040 beside its drivers and codecs."""
_ROOTS: Final = ("mac", "record")
_SHARED: Final = "_compat"
"""Every module needs it, so it is nobody's."""
_HEAP: Final = "2m"
_LIMIT_S: Final = 60


class MacHeap(msgspec.Struct, frozen=True):
    """Bytes of the heap, each a multiple of the interpreter's block."""

    resident_heap_bytes: int
    """The modules, once they are loaded from .mpy files; frozen into an image they take next to none of it."""
    session_heap_bytes: int
    """Mac and State of a device that has joined."""
    garbage_per_uplink_bytes: int
    """The most that one uplink without an answer leaves behind."""
    garbage_per_storing_uplink_bytes: int
    """The same for an uplink that has its counter or its airtime stored first."""
    uplinks: int
    stores: int
    """How often that many uplinks in a row had something stored."""


def modules(packages: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Yield the modules of firmware packages: dotted name, source."""
    for package in packages:
        root = package_dir(package)
        for source in sorted(root.rglob("*.py")):
            yield ".".join(source.relative_to(root.parent).with_suffix("").parts), source


def mpy_bytes(packages: tuple[str, ...], cache: Path) -> dict[str, int]:
    """Return the size of each module's .mpy file as boards carry it (-O3); packages' empty markers are left out.

    Args:
        packages: Such as siel_node.
        cache: Keeps compiled modules.

    Raises:
        ImageError: One of them does not compile.
    """
    return {
        name: compile_module(source, _told(name), cache).stat().st_size
        for name, source in modules(packages)
        if not name.endswith("__init__")
    }


def mac_modules() -> list[str]:
    """Return the modules of siel_node that MAC, region, crypto and records are made of.

    These are what the MAC and the records load when they are loaded; what they load later, when an identity or a board
    asks for it, is not among them.
    """
    root = package_dir("siel_node")
    found: set[str] = set()
    ahead = list(_ROOTS)
    while ahead:
        name = ahead.pop()
        if name not in found and name != _SHARED:
            found.add(name)
            ahead += _loads(ast.parse((root / f"{name}.py").read_text(encoding="utf-8")).body)
    return sorted(found)


def _loads(statements: list[ast.stmt]) -> Iterator[str]:
    """Yield the modules of the package that statements load at once: `from . import a`, `from .b import c`."""
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.level == 1:
            if statement.module is None:
                yield from (alias.name for alias in statement.names)
            else:
                yield statement.module.replace(".", "/")


def mac_heap(program: Program, cache: Path) -> MacHeap:
    """Measure the MAC's heap in ``program``; 32-bit words give the figures of the boards.

    Raises:
        ImageError: It did not come to figures; the message has the interpreter's words.
    """
    with tempfile.TemporaryDirectory(prefix="siel-heap-") as folder:
        lib = Path(folder)
        for name, source in modules(("siel_node",)):
            target = (lib / Path(*name.split("."))).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(compile_module(source, _told(name), cache), target)
        command = program.command("-X", f"heapsize={_HEAP}", str(SHIM / "heap.py"), folder, *mac_modules())
        done = subprocess.run(
            command, env=program.environ(), capture_output=True, text=True, check=False, timeout=_LIMIT_S
        )
    if done.returncode != 0:
        raise ImageError(f"the MAC's heap could not be measured: {done.stdout}{done.stderr}")
    return msgspec.convert(json.loads(done.stdout), MacHeap)


def firmware_sleeps() -> bool:
    """Tell whether a node has its microcontroller sleep between readings, or wait with its clocks running."""
    return any(
        word in source.read_text(encoding="utf-8")
        for _, source in modules(("siel_node",))
        for word in ("lightsleep(", "deepsleep(")
    )


def _told(name: str) -> str:
    # As in an image: the same name, the same bytes
    return f"{name.replace('.', '/')}.py"
