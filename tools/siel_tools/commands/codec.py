"""``siel codec``: what sensor payloads say, and code made from their schemas."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import click

from siel_tools.commands._params import hex_bytes

if TYPE_CHECKING:
    from siel_codecs.codec import Decoded, SchemaCodec
    from siel_codecs.schema.model import Device

F_PORT = click.IntRange(0, 255)


@click.group()
def command() -> None:
    """Sensor payloads: what they say, and code made from their schemas."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_codecs(as_json: bool) -> None:
    """List the sensor types that can be decoded."""
    from siel_codecs import registry

    rows = [{"name": name, "title": _load(name).device.title} for name in registry.names()]
    if as_json:
        _print_json({"codecs": rows})
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['title']}")


@command.command()
@click.argument("device")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(device: str, as_json: bool) -> None:
    """Show what the payload of DEVICE carries: fields, ranges, units."""
    model = _load(device).device
    if as_json:
        _print_json(_description(model))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{model.name}[/bold]  {model.title}")
    console.print(model.description.strip(), highlight=False)
    for frame in model.frames:
        table = Table("name", "range", "step", "bits", "node gives", "what", box=box.SIMPLE)
        for row in _fields(frame):
            limits = f"{row['min']:g} to {row['max']:g} {row['unit']['display']}"
            table.add_row(row["name"], limits, f"{row['step']:g}", str(row["bits"]), row["node"], row["title"])
        size = f"{frame.size} bytes ({frame.bits} bits, {frame.version_bits} of them say version {frame.version})"
        console.print(f"port {frame.f_port}, {size}", highlight=False)
        console.print(table)


@command.command()
@click.argument("device", required=False)
@click.argument("payload", required=False, type=hex_bytes, metavar="HEX")
@click.option("--fport", type=F_PORT, help="The port the payload came on.")
@click.option("--batch", type=click.File("rb"), metavar="FILE", help="Decode JSON lines instead; - is standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def decode(device: str | None, payload: bytes | None, fport: int | None, batch: BinaryIO | None, as_json: bool) -> None:
    """Decode the application payload HEX of DEVICE, or many with --batch.

    Lines of a batch: {"device":"vendor/name","fPort":2,"bytes":"hex","recvTime":"2026-01-01T00:00:00Z"}, the time may
    be missing. Each is answered by one line: {"data":{...} or null,"warnings":[...],"errors":[...]}.
    """
    if batch is not None:
        if device is not None or fport is not None:
            raise click.UsageError("--batch takes device, port and payload from the file; leave them out.")
        _decode_batch(batch)
        return
    if device is None or payload is None or fport is None:
        raise click.UsageError("DEVICE, --fport N and HEX are needed, or --batch FILE.")
    decoded = _load(device).decode(fport, payload)
    if as_json:
        _print_json(
            {
                "data": None if decoded.errors else decoded.data,
                "units": decoded.units,
                "warnings": decoded.warnings,
                "errors": decoded.errors,
            }
        )
    else:
        _print_decoded(decoded)
    sys.exit(1 if decoded.errors else 0)


@command.command()
@click.argument("device")
@click.argument("values", metavar="JSON")
@click.option("--fport", type=F_PORT, required=True, help="The port the payload goes to.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def encode(device: str, values: str, fport: int, as_json: bool) -> None:
    """Encode JSON, an object of values by name in display units, as DEVICE would.

    Example: siel codec encode siel/climate --fport 11 '{"temperature": 21.5, "humidity": 48}'. A value that is missing
    or null is sent as not available; what is outside its range is sent as the nearest that can be.
    """
    from siel_codecs.errors import PayloadError

    codec = _load(device)
    try:
        data = json.loads(values)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"JSON cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise click.UsageError('JSON must be an object, such as {"battery": 3.3}.')
    try:
        payload = codec.encode(fport, data)
    except PayloadError as error:
        _wrong(f"{error}\nsiel codec show {codec.name} lists ports and values.")
    if as_json:
        _print_json({"f_port": fport, "bytes": payload.hex()})
    else:
        click.echo(payload.hex())
    _tell_saturation(codec, fport, payload, data)


@command.command()
@click.argument("device")
@click.option("--target", type=click.Choice(["micropython"]), required=True, help="What to make.")
def generate(device: str, target: str) -> None:
    """Print code made from the schema of DEVICE: micropython is the node's encoder."""
    from siel_codecs.errors import EmitError
    from siel_codecs.schema.to_micropython import emit_encoder

    try:
        source = emit_encoder(_load(device).device)
    except EmitError as error:
        click.echo(f"siel: {error}", err=True)
        sys.exit(1)
    click.echo(source, nl=False)


def _load(name: str) -> SchemaCodec:
    from siel_codecs.errors import SchemaError, UnknownCodecError
    from siel_codecs.registry import Registry

    try:
        return Registry().load(name)
    except UnknownCodecError as error:
        _wrong(f"{error}\nsiel codec list shows all with their titles.")
    except SchemaError as error:
        _wrong(f"{len(error.faults)} fault(s) in the schema of {name}:\n{error}")


def _decode_batch(lines: BinaryIO) -> None:
    from siel_codecs.batch import decode_line
    from siel_codecs.registry import Registry

    registry = Registry()
    out = sys.stdout.buffer
    for line in lines:
        out.write(decode_line(registry, line) + b"\n")
    out.flush()


def _print_decoded(decoded: Decoded) -> None:
    width = max(map(len, decoded.data), default=0)
    for name, value in decoded.data.items():
        click.echo(f"{name:<{width}}  {value} {decoded.units[name]}")
    for warning in decoded.warnings:
        click.echo(f"warning: {warning}", err=True)
    for error in decoded.errors:
        click.echo(f"siel: the payload cannot be decoded: {error}", err=True)


def _tell_saturation(codec: SchemaCodec, f_port: int, payload: bytes, data: dict[str, Any]) -> None:
    from siel_codecs.schema.to_construct import exact

    sent = codec.decode(f_port, payload).data
    frame = next(frame for frame in codec.device.frames if frame.f_port == f_port)
    for field in frame.fields:
        asked = data.get(field.name)
        if asked is None:
            continue
        if abs(exact(asked, field.name) - exact(sent[field.name], field.name)) * field.den > field.num:
            unit = field.unit.display
            click.echo(
                f"warning: {field.name}: {asked} {unit} is outside its range, sent as {sent[field.name]}", err=True
            )


def _fields(frame: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "title": field.title,
            "bits": field.bits,
            "signed": field.signed,
            "min": field.value(field.code_min),
            "max": field.value(field.code_max),
            "step": field.num / field.den,
            "not_available_code": field.not_available,
            "unit": {
                "display": field.unit.display,
                "senml": field.unit.senml,
                "senml_factor": field.unit.senml_num / field.unit.senml_den,
                "ucum": field.unit.ucum,
            },
            "node": field.node.name,
        }
        for field in frame.fields
    ]


def _description(model: Device) -> dict[str, Any]:
    frames = [
        {
            "f_port": frame.f_port,
            "size_bytes": frame.size,
            "bits": frame.bits,
            "version": frame.version,
            "fields": _fields(frame),
        }
        for frame in model.frames
    ]
    return {"name": model.name, "title": model.title, "description": model.description, "frames": frames}


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False))


def _wrong(text: str) -> NoReturn:
    click.echo(f"siel: {text}", err=True)
    sys.exit(2)
