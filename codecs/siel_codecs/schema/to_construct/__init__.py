"""The readable reference: construct objects, and a small interpreter from codes to results and back."""

from __future__ import annotations

from siel_codecs.schema.to_construct.reference import Reference, message_construct
from siel_codecs.schema.to_construct.values import half_away_from_zero

__all__ = ["Reference", "half_away_from_zero", "message_construct"]
