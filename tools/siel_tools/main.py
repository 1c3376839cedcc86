"""The ``siel`` command: a lazy group, so that no command pays for another one's imports."""

from __future__ import annotations

import importlib
from typing import Final

import click

COMMANDS: Final = ("codec", "demo", "frame", "gateway", "hil", "keys")
"""Each names the module ``siel_tools.commands.<name>`` that holds a click command called ``command``."""


class LazyGroup(click.Group):
    """A group whose members are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"siel_tools.commands.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - narrows the type of a module attribute
        return command


@click.group(cls=LazyGroup)
@click.version_option(package_name="siel")
def main() -> None:
    """LoRaWAN sensor networks: node, gateway and a harness that runs both without hardware."""
