"""``siel codec list`` and ``show``: which sensor types there are and what they say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from siel_tools.commands.codec import _shared, _table

if TYPE_CHECKING:
    from siel_codecs.schema import model


@click.command("list")
@_shared.folders
@_shared.as_json
def list_codecs(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the sensor types that can be decoded."""
    from siel_codecs.errors import SchemaError

    registry = _shared.Codecs(folders).registry
    rows, faults = [], []
    for name in registry.names():
        try:
            device = registry.device(name)
        except SchemaError as error:
            faults.append(str(error))
        else:
            rows.append({"name": name, "title": device.title, "kind": device.kind})
    if as_json:
        _shared.print_json({"codecs": rows})
    else:
        widths = [max((len(row[key]) for row in rows), default=0) for key in ("name", "kind")]
        for row in rows:
            click.echo(f"{row['name']:<{widths[0]}}  {row['kind']:<{widths[1]}}  {row['title']}".rstrip())
    for fault in faults:
        click.echo(f"siel: not listed, its schema is wrong: {fault}", err=True)
    for file in _without_a_name(folders):
        text = "its place gives it no name; call it <vendor>/<device>.toml below the folder, in lower-case letters"
        click.echo(f"siel: not listed: {file}: {text}, digits, dashes and underscores", err=True)
    sys.exit(1 if faults else 0)


def _without_a_name(folders: tuple[Path, ...]) -> list[Path]:
    from siel_codecs.registry import NAME

    files = [(file, file.relative_to(folder).with_suffix("")) for folder in folders for file in folder.rglob("*.toml")]
    return sorted(file for file, name in files if not NAME.fullmatch(name.as_posix()))


@click.command(short_help="What the payloads of DEVICE carry.")
@click.argument("device")
@_shared.folders
@_shared.as_json
def show(device: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show what the payloads of DEVICE carry: messages, fields, ranges, units, commands."""
    found = _shared.Codecs(folders).device(device)
    if as_json:
        _shared.print_json(description(found))
        return
    from rich.console import Console

    console = Console(highlight=False)
    kind = f"  [dim]{found.kind}[/dim]" if found.kind else ""
    console.print(f"[bold]{found.name}[/bold]  {_plain(found.title)}{kind}")
    if found.description:
        console.print(_plain(" ".join(found.description.split())))
    if found.source:
        console.print(f"[dim]Format: {_plain(found.source)}[/dim]")
    console.print()
    for port in found.ports:
        for message in port.messages:
            _print_message(console, port, message)


def _print_message(console: Any, port: model.Port, message: model.Message) -> None:
    direction = "uplink" if port.direction == "up" else f"command [bold]{message.name}[/bold]"
    version = "" if message.version is None else f", version {message.version}"
    title = f": {_plain(message.title)}" if message.title.lower() not in {"", "uplink"} else ""
    title += f" (of {port.included})" if port.included else ""
    console.print(
        f"[bold cyan]{direction}[/bold cyan], {_shared.where(port.f_ports)}, {_size(message)}{version}{title}"
    )
    columns = [
        _table.Column("name"),
        _table.Column("bits", right=True),
        *map(_table.Column, ("values", "step", "no value", "what")),
    ]
    rows = [
        _table.Row(
            ("  " * row.depth + row.name, row.bits, row.values, row.step, row.absent, row.what),
            "dim" if row.quiet else None,
        )
        for row in _rows(message.items, 0)
    ]
    _table.print_table(console, columns, rows)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _size(message: model.Message) -> str:
    from siel_codecs.schema import extent

    small, large = (extent.size_bytes(extent.spans(message, end)) for end in ("smallest", "largest"))
    more = " or more" if message.extra == "ignore" else ""
    if small == large:
        return f"{small} byte{'' if small == 1 else 's'}{more}"
    return f"{small} to {large} bytes{more}"


class _Row(NamedTuple):
    depth: int
    name: str
    bits: str = ""
    values: str = ""
    step: str = ""
    absent: str = ""
    what: str = ""
    quiet: bool = False
    """Carries no data."""


def _rows(items: tuple[model.Item, ...], depth: int) -> Iterator[_Row]:
    from siel_codecs.schema import model

    for item in items:
        if isinstance(item, model.Word):
            yield _Row(depth, "little-endian", str(item.bits), quiet=True)
            for leaf in item.leaves:
                yield _leaf(leaf, depth + 1)
        elif isinstance(item, model.Switch):
            for arm in filter(lambda arm: arm.items, item.arms):
                codes = ", ".join(map(str, arm.codes[:8])) + (" ..." if len(arm.codes) > 8 else "")  # noqa: PLR2004 - a row
                yield _Row(depth, f"if {item.control.removeprefix('_')} is {codes}", quiet=True)
                yield from _rows(arm.items, depth + 1)
        elif isinstance(item, model.Repeat):
            yield _leaf(item.leaf, depth)._replace(name=f"{item.leaf.name}[{_count(item.count)}]")
        elif isinstance(item, model.Samples):
            order = "newest first" if item.newest_first else "oldest first"
            yield _Row(
                depth, f"samples[{_count(item.count)}]", what=f"{order}{_step(item.step)}{_base(item)}", quiet=True
            )
            for each in item.leaves:
                row = _leaf(each.leaf, depth + 1)
                yield row._replace(bits=f"{row.bits} ±{each.delta_bits}") if each.delta_bits else row
        elif isinstance(item, model.Tlv):
            for entry in item.entries:
                channel = ", any channel" if item.channel else ""
                yield _Row(depth, f"type 0x{entry.key:0{2 * item.key_bytes}x}{channel}", quiet=True)
                yield from _rows(entry.items, depth + 1)
            yield _Row(depth, "other types", what=_UNKNOWN[item.unknown], quiet=True)
        elif not isinstance(item, model.Lookahead):
            yield _leaf(item, depth)


_LONG = 1_000_000
_UNKNOWN = {"stop": "the rest is not decoded", "skip": "passed over", "raw": "the rest is in raw"}


def _count(count: int | str | None) -> str:
    return "to the end" if count is None else str(count).removeprefix("_")


def _step(step: int | model.Step) -> str:
    from siel_codecs.schema import model

    if isinstance(step, model.Step):
        return f", {step.name} apart"
    return f", {step / 1000:g} s apart" if step else ""


def _base(item: model.Samples) -> str:
    return f", from {item.base.removeprefix('_')}" if item.base else ""


def _leaf(leaf: model.Leaf, depth: int) -> _Row:
    from siel_codecs.schema import model

    bits = str(leaf.bits)
    if isinstance(leaf, model.Reserved):
        return _Row(depth, "reserved", bits, quiet=True)
    if isinstance(leaf, model.Constant):
        return _Row(depth, leaf.title, bits, f"always {leaf.code}", quiet=True)
    if isinstance(leaf, model.Control):
        return _Row(depth, leaf.name.removeprefix("_"), bits, what="steers what follows", quiet=True)
    if isinstance(leaf, model.Opaque):
        return _Row(depth, leaf.name, bits, "hex", what=_title(leaf))
    absent = ", ".join(f"{_codes(special)} {special.absent.value}" for special in leaf.specials)
    if isinstance(leaf, model.Choice):
        values = ", ".join(
            f"{code}={str(value).lower() if isinstance(value, bool) else value}" for code, value in leaf.meanings
        )
        return _Row(depth, leaf.name, bits, values, absent=absent, what=_title(leaf))
    unit = f" {leaf.unit.display}" if leaf.unit and leaf.unit.display else ""
    values = f"{_short(leaf.value(leaf.code_min))} to {_short(leaf.value(leaf.code_max))}{unit}"
    step = f"{float(leaf.scale):g}"
    return _Row(depth, leaf.name, bits, values, step, absent, _title(leaf))


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}" if abs(value) < _LONG else f"{value:.12g}"


def _title(leaf: model.Number | model.Choice | model.Opaque) -> str:
    return "" if leaf.title.lower() == leaf.name.replace("_", " ").lower() else leaf.title


def _codes(special: model.Special) -> str:
    return str(special.first) if special.first == special.last else f"{special.first} to {special.last}"


def description(device: model.Device) -> dict[str, Any]:
    """Return all of what a schema says as a JSON document."""
    import msgspec

    from siel_codecs.schema import below, extent

    def message(port: model.Port, each: model.Message) -> dict[str, Any]:
        return {
            "direction": port.direction,
            "f_ports": list(port.f_ports),
            "version": each.version,
            "name": each.name,
            "title": each.title,
            "smallest_bytes": extent.size_bytes(extent.spans(each, "smallest")),
            "largest_bytes": extent.size_bytes(extent.spans(each, "largest")),
            "extra": each.extra,
            "items": msgspec.to_builtins(each.items, enc_hook=str),
            "fields": [_field(leaf) for leaf in below.leaves(each.items) if _is_data(leaf)],
        }

    return {
        "name": device.name,
        "title": device.title,
        "description": device.description,
        "kind": device.kind,
        "source": device.source,
        "messages": [message(port, each) for port in device.ports for each in port.messages],
        "examples": [
            {**msgspec.to_builtins(each, enc_hook=str), "payload": each.payload.hex()} for each in device.examples
        ],
    }


def _is_data(leaf: model.Leaf) -> bool:
    from siel_codecs.schema import model

    return isinstance(leaf, model.Number | model.Choice | model.Opaque) and not leaf.name.startswith("_")


def _field(leaf: Any) -> dict[str, Any]:
    """Return a field with its range in display units, for those who do not want to compute it from codes."""
    from siel_codecs.schema import model

    found = {"name": leaf.name, "title": leaf.title, "bits": leaf.bits, "kind": type(leaf).__name__.lower()}
    if isinstance(leaf, model.Number):
        unit = leaf.unit
        return found | {
            "min": leaf.value(leaf.code_min),
            "max": leaf.value(leaf.code_max),
            "step": leaf.num / leaf.den,
            "unit": None
            if unit is None
            else {
                "display": unit.display,
                "senml": unit.senml,
                "senml_factor": unit.senml_num / unit.senml_den,
                "ucum": unit.ucum,
            },
            "no_value": [{"codes": [each.first, each.last], "why": each.absent.value} for each in leaf.specials],
        }
    if isinstance(leaf, model.Choice):
        return found | {"values": {str(code): value for code, value in leaf.meanings}}
    return found
