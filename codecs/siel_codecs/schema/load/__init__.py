"""A schema's TOML text becomes the model; what is wrong is told at once, with file, line and field."""

from __future__ import annotations

from siel_codecs.schema.load.files import (
    MAX_DEPTH,
    MAX_SCHEMA_BYTES,
    SameAs,
    load_file,
    load_text,
    parse_text,
    read_text,
)

__all__ = ["MAX_DEPTH", "MAX_SCHEMA_BYTES", "SameAs", "load_file", "load_text", "parse_text", "read_text"]
