"""The gateway's log: lines for people on a terminal, JSON elsewhere, and never a key in either."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

HIDDEN: Final = "(hidden)"
_SECRET_NAME: Final = re.compile(r"(?:keys?|secret|password|token)$", re.IGNORECASE)
_LOG_LEVEL: Final = logging.INFO


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every field that is named like a secret, at any depth: a last net, no licence.

    Numbers stay: they are counts.
    """
    for name in event:
        event[name] = _without_secrets(event[name], name)
    return event


def _without_secrets(value: Any, name: str = "") -> Any:
    if _SECRET_NAME.search(name) and not isinstance(value, int):
        return HIDDEN
    if isinstance(value, Mapping):
        return {inner_name: _without_secrets(inner, str(inner_name)) for inner_name, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list | tuple) else value


def set_up_logging(stream: TextIO, *, as_json: bool | None = None) -> None:
    """Send structlog's and the libraries' lines to ``stream``.

    Args:
        stream: Where they go.
        as_json: One JSON object per line; None decides by whether ``stream`` is a terminal.
    """
    use_json = not stream.isatty() if as_json is None else as_json
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    # Tracebacks without the values of variables: those may be keys
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if use_json
        else [structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*before, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LOG_LEVEL),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
