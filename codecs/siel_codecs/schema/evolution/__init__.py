"""Which old frames a new schema still reads, and which new ones old decoders would take for something else."""

from __future__ import annotations

from siel_codecs.schema.evolution.compare import Check, Evolution, compare, judge

__all__ = ["Check", "Evolution", "compare", "judge"]
