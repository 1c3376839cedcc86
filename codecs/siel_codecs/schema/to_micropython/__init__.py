"""The encoder and command decoder of the node, generated as MicroPython."""

from __future__ import annotations

from siel_codecs.schema.to_micropython.emit import argument_names, emit_encoder, module_name, sent_messages

__all__ = ["argument_names", "emit_encoder", "module_name", "sent_messages"]
