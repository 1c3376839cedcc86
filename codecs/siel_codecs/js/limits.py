"""Bounds of everything that a JavaScript codec takes, gives or uses."""

from __future__ import annotations

from typing import Final

MAX_SOURCE_BYTES: Final = 1 << 20
"""TS013 implementers take 64 KB; bundles in the public device repositories have some hundred."""
MAX_RESULT_BYTES: Final = 256 << 10
"""What a codec may return is bounded in characters by the prelude; in UTF-8 and with its quotes it is not longer."""
MAX_REQUEST_BYTES: Final = MAX_SOURCE_BYTES + 4096
MAX_INPUT_BYTES: Final = 64 << 10
"""Payload or command, as JSON."""

CALL_LIMIT_S: Final = 0.25
"""Of processor time, then the worker is killed. The network servers allow 0.1 s."""
LOAD_LIMIT_S: Final = 1.0
"""The same while a file is read and its top level runs."""
STALL_LIMIT_S: Final = 2.0
"""Of wall time, whoever had the processor meanwhile."""
START_LIMIT_S: Final = 30.0
"""Of wall time until a new worker says that it is ready; on a small box under load that takes seconds."""
ENGINE_CALL_S: Final = 0.2
"""QuickJS interrupts a loop by itself; where it does not look, the worker is killed a little later."""
ENGINE_LOAD_S: Final = 0.8
WATCHDOG_S: Final = 3.0
"""The kernel ends a worker that is busy for so long and has nobody left to kill it."""

MAX_CONTEXTS: Final = 16
"""Codecs that are kept; the one not used for longest goes first and costs a load when it comes back."""
MAX_FILES: Final = 64
"""Whose text a host remembers; the one that came first goes first and is read again when it comes back."""
CONTEXT_BYTES: Final = 16 << 20
STACK_BYTES: Final = 512 << 10
ADDRESS_SPACE_BYTES: Final = 768 << 20
"""All contexts at their limit, and Python with its libraries."""
