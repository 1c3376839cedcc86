"""``python -m siel_hil.parts``: make sure that every real program is there, and tell where."""

from __future__ import annotations

import sys

import click

from siel_hil.parts.catalogue import MICROPYTHON32, MICROPYTHON_PART, MOSQUITTO_PART
from siel_hil.parts.errors import PartError
from siel_hil.parts.find import Finder
from siel_hil.parts.optional import look


@click.command()
@click.option("--fetch/--no-fetch", default=True, help="Download what is missing (default), or only look.")
@click.option("--tests/--no-tests", default=True, help="Also what only tests need: a 32-bit MicroPython (default).")
def main(fetch: bool, tests: bool) -> None:
    """Find or fetch MicroPython and mosquitto; ends with 2 if one cannot be had.

    The 32-bit MicroPython may be missing: the tests that need it are then skipped and say why.
    """
    finder = Finder()
    try:
        for part in (MICROPYTHON_PART, MOSQUITTO_PART):
            for tool in part.tools:
                program = finder.find(part, tool, fetch=fetch)
                click.echo(f"{tool.name} {program.version_text} ({program.origin})")
        if tests:
            found, reason = look(finder, fetch=fetch)
            if found is None:
                click.echo(f"No {MICROPYTHON32.name}, so tests on 32-bit words are skipped: {reason}", err=True)
            else:
                click.echo(f"{MICROPYTHON32.name} {found.version_text} ({found.origin})")
        finder.tidy()
    except PartError as error:
        click.echo(f"siel: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
