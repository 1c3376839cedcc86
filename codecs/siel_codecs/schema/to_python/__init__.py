"""The decoder and encoder of the gateway, generated as Python."""

from __future__ import annotations

from siel_codecs.schema.to_python.emit import emit_python

__all__ = ["emit_python"]
