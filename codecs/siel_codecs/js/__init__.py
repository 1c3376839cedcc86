"""Any TS013 JavaScript codec, run in QuickJS inside a worker process that holds no keys.

``prelude.js`` is what a codec finds around it; ``engine`` keeps one context per codec; ``worker`` is the process,
``process`` and ``host`` its other end; ``source`` says how a file is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siel_codecs.js.batch import run_js_line
    from siel_codecs.js.codec import JsCodec
    from siel_codecs.js.host import JsHost
    from siel_codecs.js.process import JsWorkerError
    from siel_codecs.js.source import JsSource, JsSourceError, js_source, read_js

__all__ = ["JsCodec", "JsHost", "JsSource", "JsSourceError", "JsWorkerError", "js_source", "read_js", "run_js_line"]

_MODULES = {
    "JsCodec": "codec",
    "JsHost": "host",
    "JsSource": "source",
    "JsSourceError": "source",
    "JsWorkerError": "process",
    "js_source": "source",
    "read_js": "source",
    "run_js_line": "batch",
}


def __getattr__(name: str) -> Any:
    # The worker is a module of this package and must not pay for the host's half: 40 ms and 15 MB
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
