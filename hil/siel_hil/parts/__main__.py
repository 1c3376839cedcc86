"""``python -m siel_hil.parts``: make sure that every real program is there, and tell where."""

from __future__ import annotations

import sys

import click

from siel_hil.parts.catalogue import MICROPYTHON_PART, MOSQUITTO_PART
from siel_hil.parts.errors import PartError
from siel_hil.parts.find import Finder


@click.command()
@click.option("--fetch/--no-fetch", default=True, help="Download what is missing (default), or only look.")
def main(fetch: bool) -> None:
    """Find or fetch MicroPython and mosquitto; ends with 2 if one cannot be had."""
    finder = Finder()
    try:
        for part in (MICROPYTHON_PART, MOSQUITTO_PART):
            for tool in part.tools:
                program = finder.find(part, tool, fetch=fetch)
                click.echo(f"{tool.name} {program.version_text} ({program.origin})")
        finder.tidy()
    except PartError as error:
        click.echo(f"siel: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
