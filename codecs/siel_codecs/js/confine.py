"""What the worker gives up before it runs a line of a codec: it can read and write its two pipes, and compute."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from pathlib import Path
from typing import Final

from siel_codecs.js.limits import ADDRESS_SPACE_BYTES

# Source: <linux/prctl.h>
_PR_SET_NO_NEW_PRIVS: Final = 38

LIMITS: Final = (
    (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NPROC, 0),
    (resource.RLIMIT_NOFILE, 3),
)
"""No file, socket or process beyond standard input, output and error; whatever is to be imported is imported before."""


def confine() -> None:
    """Give up every right that computing does not need; what a kernel does not know is left out."""
    with contextlib.suppress(OSError):
        # When memory runs out, this process goes and not the daemon
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, value in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
