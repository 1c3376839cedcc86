"""For commands that open the key store: nothing of their memory gets to a disk."""

from __future__ import annotations

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def keep_memory_private() -> None:
    """Let no core dump carry the keys to a disk; a limit of size alone does not hold where cores go to a pipe.

    Source: core(5), "Piping core dumps to a program"; prctl(2), PR_SET_DUMPABLE.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (AttributeError, OSError):  # not Linux
        return
