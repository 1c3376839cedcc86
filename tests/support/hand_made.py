"""Devices of a few items, written down."""

from __future__ import annotations

from typing import Any, Literal

from siel_codecs.schema.model import Device, Item, Message, Number, Port


def number(name: str = "level", bits: int = 8, **changes: Any) -> Number:
    """A number whose codes are its values, all of them."""
    found: dict[str, Any] = {
        "name": name, "title": name, "bits": bits, "signed": False, "num": 1, "add": 0, "den": 1, "code_min": 0,
        "code_max": (1 << bits) - 1, "specials": (), "saturates": True, "unit": None, "node": None,
    }  # fmt: skip
    return Number(**found | changes)


def device(*items: Item, direction: Literal["up", "down"] = "up", **message: Any) -> Device:
    """A device with one message, on port 7."""
    return Device("test/made", "Made", "", (Port(direction, (7,), (Message("", "A message", items, **message),)),))
