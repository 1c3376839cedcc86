"""Files that a person names: what is no true file is refused, for a pipe would let its reader wait for ever."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read its bytes.

    Raises:
        OSError: It is not there, must not be read or is no regular file; ``strerror`` says which.
        ValueError: The path holds a NUL.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a folder is refused by open itself
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return path.open("rb")
