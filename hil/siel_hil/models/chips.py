"""Which model stands for the chip that a [[radio]] of board.toml names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siel_hil.errors import ImageError
from siel_hil.medium import Medium, Station
from siel_hil.models.sx1262 import SX1262
from siel_hil.models.sx1276 import SX1276
from siel_hil.world import World

Chip = SX1262 | SX1276


def fit_chip(
    world: World, medium: Medium, station: Station, radio: Mapping[str, Any], sx1262: type[SX1262] = SX1262
) -> Chip:
    """Return the chip of one [[radio]], on the air at ``station``.

    Args:
        world: Where it lives.
        medium: Where it sends and hears.
        station: The board it is soldered to.
        radio: The table of board.toml.
        sx1262: Another model of that chip, for planted faults.

    Raises:
        ImageError: There is no model of the chip.
    """
    if radio["chip"] == "sx1262":
        return sx1262(world, medium, station, tcxo_start_us=radio["tcxo_us"] or None)
    if radio["chip"] == "sx1276":
        return SX1276(world, medium, station)
    raise ImageError(f"the harness has no model of the chip {radio['chip']!r}; it has sx1262 and sx1276")
