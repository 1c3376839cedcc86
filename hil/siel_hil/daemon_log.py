"""What the daemon inside the world logs: kept, and read for faults that would void a run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final

import msgspec
import structlog

from siel_hil.errors import ParticipantError
from siel_hil.world import World

FAULTS: Final = frozenset({"task_failed", "task_ended", "edge_failed"})
"""Lines that tell of a fault of the daemon's own: it goes on in the field, a run does not."""

Keep = Callable[[dict[str, Any]], None]


def fault_in(line: Mapping[str, Any]) -> ParticipantError | None:
    """Return the fault of the daemon's own that a line of its log tells of, if any."""
    if line.get("event") not in FAULTS:
        return None
    return ParticipantError("gateway", f"{line.get('task') or line['event']}: {line.get('exception', 'ended')}")


@contextlib.contextmanager
def daemon_log(world: World, keep: Keep) -> Iterator[None]:
    """Hand each line to ``keep`` instead of the terminal; a fault of the daemon's own voids the run.

    Args:
        world: Whose daemon it is.
        keep: Takes a line: ``event``, ``level`` and its fields.
    """

    def take(_logger: object, _name: str, line: MutableMapping[str, Any]) -> str:
        if (error := fault_in(line)) is not None:
            error.__cause__ = sys.exc_info()[1]
            world.fail(error)
        keep(dict(line))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, take],
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def as_json(line: dict[str, Any]) -> str:
    """Return a line as JSON."""
    return msgspec.json.encode(line, enc_hook=str).decode()
