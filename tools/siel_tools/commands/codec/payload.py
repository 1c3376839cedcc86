"""``siel codec decode`` and ``encode``: single payloads, and many of them as JSON lines."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from siel_tools.commands._params import hex_bytes
from siel_tools.commands.codec import _shared

if TYPE_CHECKING:
    from siel_codecs.codec import Decoded, SchemaCodec
    from siel_codecs.schema.model import Number


@click.command(short_help="What a payload of DEVICE says; many with --batch.")
@click.argument("device", required=False)
@click.argument("payload", required=False, type=hex_bytes, metavar="HEX")
@click.option("--fport", type=_shared.F_PORT, help="The port the payload came on.")
@click.option("--downlink", is_flag=True, help="It is a payload for the device, not from it.")
@click.option("--recv-time", type=_shared.recv_time, metavar="TIME", help="When it was received, 2026-01-01T00:00:00Z.")
@_shared.batch
@_shared.folders
@_shared.as_json
def decode(
    device: str | None,
    payload: bytes | None,
    fport: int | None,
    downlink: bool,
    recv_time: int | None,
    batch: BinaryIO | None,
    folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Decode the application payload HEX of DEVICE, or many with --batch.

    Lines of a batch: {"device":"vendor/name","fPort":2,"bytes":"hex","recvTime":"2026-01-01T00:00:00Z"}, the time may
    be missing. Each is answered by one line: {"data":{...} or null,"warnings":[...],"errors":[...]}.
    """
    if batch is not None:
        if device is not None or fport is not None or downlink or recv_time is not None:
            raise click.UsageError("--batch takes device, port, payload and time from the file; leave them out.")
        _decode_batch(batch, folders)
        return
    if device is None or payload is None or fport is None:
        raise click.UsageError("DEVICE, --fport N and HEX are needed, or --batch FILE.")
    codec = _shared.Codecs(folders).codec(device)
    found = codec.decode_downlink(fport, payload) if downlink else codec.decode(fport, payload, recv_time)
    finish(found, as_json=as_json)


@click.command(short_help="The payload that says these values, or a command.")
@click.argument("device")
@click.argument("values", metavar="JSON")
@click.option("--fport", type=_shared.F_PORT, help="The port the payload goes to; for a downlink its own by default.")
@click.option("--downlink", is_flag=True, help="A command for the device.")
@_shared.folders
@_shared.as_json
def encode(
    device: str, values: str, fport: int | None, downlink: bool, folders: tuple[Path, ...], as_json: bool
) -> None:
    """Encode JSON, an object of values by name in display units, as DEVICE would.

    Example: siel codec encode siel/climate --fport 11 '{"temperature": 21.5, "humidity": 48}'. A value that is missing
    or null is sent as not available; what is outside its range is sent as the nearest that can be.

    A command: siel codec encode siel/valve --downlink '{"command": "open", "request": 1, "minutes": 20}'. Of a command
    every value must be one that the device takes.
    """
    from siel_codecs.errors import PayloadError

    codec = _shared.Codecs(folders).codec(device)
    data = _shared.json_object(values, '{"battery": 3.3}')
    try:
        if downlink:
            sent = codec.encode_downlink(data, fport)
            f_port, payload = sent.f_port, sent.payload
        elif fport is None:
            raise click.UsageError(f"--fport N is needed; siel codec show {device} lists ports and values.")
        else:
            f_port, payload = fport, codec.encode(fport, data)
    except PayloadError as error:
        _shared.wrong(f"{error}\nsiel codec show {device} lists ports and values.")
    if as_json:
        _shared.print_json({"f_port": f_port, "bytes": payload.hex()})
    elif downlink:
        click.echo(f"{payload.hex()}  on port {f_port}" if sys.stdout.isatty() else payload.hex())
    else:
        click.echo(payload.hex())
    if not downlink:
        _tell_saturation(codec, f_port, payload, data)


def finish(decoded: Decoded, *, as_json: bool) -> None:
    """Print what a payload says and end the command: 1 where it says nothing."""
    if as_json:
        from siel_codecs.codec import as_ts013

        _shared.print_json(
            {
                "data": None if decoded.errors else as_ts013(decoded),
                "units": decoded.units,
                "warnings": decoded.warnings,
                "errors": decoded.errors,
            }
        )
    else:
        _print(decoded)
    sys.exit(1 if decoded.errors else 0)


def _decode_batch(lines: BinaryIO, folders: tuple[Path, ...]) -> None:
    from siel_codecs.batch import Batch

    _shared.write_answers(Batch(_shared.Codecs(folders).registry).stream(lines))


def _print(decoded: Decoded) -> None:
    from siel_codecs.toml_lines import one_line

    samples = decoded.samples
    names = [*decoded.data, *(name for sample in samples for name in sample.data)]
    width = max(map(len, names), default=0)
    if len(samples) < 2 and not any(sample.own_time for sample in samples):  # noqa: PLR2004 - one is no series
        _print_values(decoded.data, decoded.units, width, "")
    else:
        for index, sample in enumerate(samples):
            click.echo(f"sample {index}{_when(sample.time_ms, sample.age_ms)}")
            _print_values(sample.data, decoded.units, width, "  ")
    for warning in decoded.warnings:
        click.echo(one_line(f"warning: {warning}"), err=True)
    for error in decoded.errors:
        click.echo(one_line(f"siel: the payload cannot be decoded: {error}"), err=True)


def _print_values(data: dict[str, Any], units: dict[str, str], width: int, indent: str) -> None:
    from siel_codecs.toml_lines import one_line

    for name, value in data.items():
        parts = value if isinstance(value, list) else [value]
        text = ", ".join("-" if part is None else _word(part) for part in parts)
        # What a vendor's codec says stays on its line and commands no terminal
        click.echo(one_line(f"{indent}{name:<{width}}  {text} {units.get(name, '')}".rstrip()))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _when(time_ms: int | None, age_ms: int | None) -> str:
    from datetime import UTC, datetime, timedelta

    if time_ms is not None:
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
        except OverflowError:
            return f", {time_ms} ms after 1970"
        return f", {moment:%Y-%m-%d %H:%M:%S} UTC"
    if age_ms:
        return f", {age_ms / 1000:g} s before the newest"
    return ", newest" if age_ms == 0 else ""


def _tell_saturation(codec: SchemaCodec, f_port: int, payload: bytes, data: dict[str, Any]) -> None:
    from siel_codecs.schema import below, model

    sent = codec.decode(f_port, payload)
    leaves = [leaf for _, message in codec.device.uplinks() for leaf in below.leaves(message.items)]
    numbers: dict[str, Number] = {leaf.name: leaf for leaf in leaves if isinstance(leaf, model.Number)}
    for name, asked in data.items():
        number = numbers.get(name)
        if number is None or isinstance(asked, bool) or not isinstance(asked, int | float):
            continue
        unit = f" {number.unit.display}" if number.unit and number.unit.display else ""
        if name not in sent.data:
            why = next((text for text in sent.warnings if text.startswith(f"{name}: ")), f"{name}: no value")
            click.echo(f"warning: {name}: {asked}{unit} is sent as {why.removeprefix(f'{name}: ')}", err=True)
        elif abs(Fraction(str(asked)) - Fraction(str(sent.data[name]))) > number.scale:
            click.echo(f"warning: {name}: {asked}{unit} is outside its range, sent as {sent.data[name]}", err=True)
