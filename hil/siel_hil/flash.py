"""A board's flash: a littlefs image in a file, made by MicroPython itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from siel_hil.errors import ImageError
from siel_hil.process import SHIM


def format_flash(argv: Sequence[str], env: Mapping[str, str], flash: Path, files: Mapping[str, bytes]) -> None:
    """Make ``flash`` a fresh file system that holds ``files``.

    Args:
        argv: Command that starts MicroPython.
        env: Its environment.
        flash: The file to make or overwrite.
        files: Absolute path on the board (``/identity.json``) -> content.

    Raises:
        ImageError: MicroPython could not make it; the message holds its words.
    """
    # on stdin: MicroPython takes no argument longer than 255 characters
    lines = "".join(f"{name} {content.hex()}\n" for name, content in files.items())
    done = subprocess.run(
        [*argv, str(SHIM / "format.py"), str(flash)],
        env=dict(env),
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        raise ImageError(f"cannot make the flash image {flash}: {done.stdout}{done.stderr}")
