"""The codec of network servers, generated as TS013 JavaScript."""

from __future__ import annotations

from siel_codecs.schema.to_javascript.emit import MAX_BYTES, emit_javascript

__all__ = ["MAX_BYTES", "emit_javascript"]
