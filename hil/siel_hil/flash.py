"""A board's flash: a littlefs image in a file, made by MicroPython itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from siel_hil.errors import ImageError
from siel_hil.process import SHIM

_LIMIT_S: Final = 60
_HEAP_BYTES: Final = 8 << 20
"""A file that fills the flash, in hex, some times over."""


def format_flash(argv: Sequence[str], env: Mapping[str, str], flash: Path, files: Mapping[str, bytes]) -> None:
    """Make ``flash`` a fresh file system that holds ``files``; see ``format_flashes``."""
    format_flashes(argv, env, {flash: files})


def format_flashes(argv: Sequence[str], env: Mapping[str, str], flashes: Mapping[Path, Mapping[str, bytes]]) -> None:
    """Make fresh file systems, all by one process: its start takes longer than its work.

    Args:
        argv: Command that starts MicroPython.
        env: Its environment.
        flashes: The file to make or overwrite -> absolute path on the board (``/identity.json``) -> content.

    Raises:
        ImageError: MicroPython could not make them; the message holds its words.
    """
    lines: list[str] = []
    for flash, files in flashes.items():
        lines += [f"= {bytes(flash).hex()}", *(f"{name} {content.hex()}" for name, content in files.items())]
    done = subprocess.run(
        [*argv, "-X", f"heapsize={_HEAP_BYTES}", str(SHIM / "format.py")],
        env=dict(env),
        # on stdin: MicroPython takes no argument longer than 255 characters
        input="".join(line + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    if done.returncode != 0:
        names = ", ".join(map(str, flashes))
        raise ImageError(f"cannot make the flash images {names}: {done.stdout}{done.stderr}")
