"""``siel codec``: what sensor payloads say, what they cost, and code made from their schemas.

One module per theme; none of them imports a codec before it is asked for one.
"""

from __future__ import annotations

import click

from siel_tools.commands.codec import airtime, check, generate, javascript, look, payload


@click.group()
def command() -> None:
    """Sensor payloads: what they say, what they cost, and code made from their schemas.

    DEVICE is a codec's name (siel codec list) or the path of a schema file that ends in .toml.
    """


for _member in (
    look.list_codecs,
    look.show,
    payload.decode,
    payload.encode,
    generate.command,
    airtime.command,
    check.command,
    javascript.command,
):
    command.add_command(_member)
