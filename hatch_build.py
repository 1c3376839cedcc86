"""Puts the boards into the wheel.

They are no Python package, so that no board's main.py can be imported; an installed harness finds them in its own
package, an editable one beside the firmware. A plain ``force-include`` would copy them into editable installs too,
where the copy then grows old.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Boards(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """Adds firmware/boards to a wheel that is not an editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder; hatchling calls this before it builds."""
        if version == "standard":
            build_data["force_include"]["firmware/boards"] = "siel_hil/boards"
