"""What the worker gives up before it runs a line of a codec: it can read and write its two pipes, and compute."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
from pathlib import Path
from typing import Any, Final

from siel_codecs.js.limits import ADDRESS_SPACE_BYTES

# Source: <linux/prctl.h>
_PR_SET_NO_NEW_PRIVS: Final = 38
# Source: landlock(7), <linux/landlock.h>; the numbers of its system calls are the same on every architecture.
_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_VERSION: Final = 1
_LANDLOCK_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights to files each version knows; the last one's is every later one's."""
_LANDLOCK_NET_FROM: Final = 4
_LANDLOCK_NET: Final = 0b11
"""Bind and connect."""
_LANDLOCK_SCOPE_FROM: Final = 6
_LANDLOCK_SCOPE: Final = 0b11
"""Abstract sockets and signals of other processes."""

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
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _shut_files_and_network(libc)
    for limit, value in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))


def landlock_version(libc: Any = None) -> int:
    """Return the version of Landlock that this kernel has switched on, 0 or less for none."""
    libc = libc or ctypes.CDLL(None)
    return int(libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION))


def _shut_files_and_network(libc: Any) -> None:
    """Even code that breaks out of QuickJS opens no file of this user, not the key store either, and no connection."""
    version = landlock_version(libc)
    if version < 1:
        return
    rights = _LANDLOCK_FILE_RIGHTS.get(version, max(_LANDLOCK_FILE_RIGHTS.values()))
    handled = struct.pack("=Q", (1 << rights) - 1)
    if version >= _LANDLOCK_NET_FROM:
        handled += struct.pack("=Q", _LANDLOCK_NET)
    if version >= _LANDLOCK_SCOPE_FROM:
        handled += struct.pack("=Q", _LANDLOCK_SCOPE)
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if rules >= 0:
        libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0)
        os.close(rules)
