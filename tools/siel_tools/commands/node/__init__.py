"""``siel node``: the firmware of nodes and heads, and the boards that carry it."""

from __future__ import annotations

import click

from siel_tools.commands.node import boards, size


@click.group()
def command() -> None:
    """Nodes and heads: which boards there are, what their firmware takes and draws."""


command.add_command(boards.command)
command.add_command(size.command)
