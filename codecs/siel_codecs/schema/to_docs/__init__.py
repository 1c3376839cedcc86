"""The page of a device: bit maps, tables, worked examples."""

from __future__ import annotations

from siel_codecs.schema.to_docs.page import emit_markdown

__all__ = ["emit_markdown"]
