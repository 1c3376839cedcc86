"""The ``siel`` command: a lazy group, so that no command pays for another one's imports."""

from __future__ import annotations

import importlib
from typing import Final

import click

COMMANDS: Final = {
    "codec": "Payload codecs: what payloads say and cost, code made from schemas.",
    "demo": "Readings from emulated nodes through the gateway to a broker.",
    "frame": "LoRaWAN frames: decode and encode.",
    "gateway": "The gateway daemon: run it, check its configuration.",
    "hil": "Run nodes, heads and the gateway in a simulated world.",
    "keys": "The gateway's key store.",
    "node": "Nodes and heads: boards, size and charge of their firmware.",
}
"""Name and help of each; the module ``siel_tools.commands.<name>`` holds the click command as ``command``."""


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup)
@click.version_option(package_name="siel")
def main() -> None:
    """LoRaWAN sensor networks: node, gateway and a harness that runs both without hardware."""
