"""``siel codec generate``: what is made from a schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from siel_tools.commands.codec import _shared

if TYPE_CHECKING:
    from siel_codecs.schema.model import Device


def _micropython(device: Device) -> str:
    from siel_codecs.schema.to_micropython import emit_encoder

    return emit_encoder(device)


def _javascript(device: Device) -> str:
    from siel_codecs.schema.to_javascript import emit_javascript

    return emit_javascript(device)


def _json_schema(device: Device) -> str:
    from siel_codecs.schema.to_json_schema import json_schema

    return json.dumps(json_schema(device), indent=2, ensure_ascii=False) + "\n"


def _docs(device: Device) -> str:
    from siel_codecs.schema.to_docs import emit_markdown

    return emit_markdown(device)


def _vectors(device: Device) -> str:
    from siel_codecs.schema.to_vectors import vectors_json

    return json.dumps(vectors_json(device), indent=2, ensure_ascii=False) + "\n"


TARGETS: Final[dict[str, Callable[[Device], str]]] = {
    "micropython": _micropython,
    "js": _javascript,
    "json-schema": _json_schema,
    "docs": _docs,
    "vectors": _vectors,
}


@click.command("generate", short_help="What is made from a schema: code, docs, vectors.")
@click.argument("device")
@click.option("--target", type=click.Choice(list(TARGETS)), required=True, help="What to make.")
@_shared.folders
def command(device: str, target: str, folders: tuple[Path, ...]) -> None:
    """Print what is made from the schema of DEVICE.

    micropython: the node's encoder and command decoder. js: the codec for a network server (TS013). json-schema: what
    decoded data looks like. docs: a page in Markdown with a map of the bits. vectors: payloads and what they say, to
    test any other codec of this device.
    """
    from siel_codecs.errors import EmitError

    try:
        text = TARGETS[target](_shared.Codecs(folders).device(device))
    except EmitError as error:
        click.echo(f"siel: {error}", err=True)
        sys.exit(1)
    click.echo(text, nl=False)
