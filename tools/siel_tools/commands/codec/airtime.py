"""``siel codec airtime``: what the messages of a device cost on air and from a battery."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from siel_tools.commands import _params
from siel_tools.commands.codec import _shared, _table

if TYPE_CHECKING:
    from siel_codecs.schema.airtime import Airtime, Frame, MessageAirtime, Rate
_OWN: Final = "siel/"


class _Figure(click.FloatRange):
    """A number in a range; not one that is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is no number.", param, ctx)
        return found


_POSITIVE = _Figure(0, 1_000_000)


@click.command("airtime", short_help="What the uplinks of DEVICE cost on air and from a battery.")
@click.argument("device", required=False)
@click.option("--interval", type=_params.duration, default="600s", show_default=True, help="From uplink to uplink.")
@click.option("--battery-mah", type=_Figure(1, 1_000_000), help="Charge of the battery.")
@click.option("--self-discharge", type=_Figure(0, 100), help="What it loses by itself, % per year.")
@click.option("--tx-ma", type=_POSITIVE, help="The radio while it sends.")
@click.option("--rx-ma", type=_POSITIVE, help="The radio while a window is open.")
@click.option("--awake-ma", type=_POSITIVE, help="The microcontroller while it is awake.")
@click.option("--awake-s", type=_POSITIVE, help="How long that is per message beside the time on air.")
@click.option("--sleep-ua", type=_POSITIVE, help="Everything while it sleeps.")
@click.option(
    "--table",
    is_flag=True,
    help="Print payload sizes beside Cayenne LPP and SenML-CBOR instead; without DEVICE those of all siel/ types.",
)
@_shared.folders
@_shared.as_json
def command(
    device: str | None, interval: int, table: bool, folders: tuple[Path, ...], as_json: bool, **figures: float | None
) -> None:
    """Tell what each uplink of DEVICE costs: bytes, milliseconds, messages per hour, years of battery.

    EU868, SF12 to SF7 at 125 kHz, 13 bytes of LoRaWAN around the payload. Without an option a figure of the battery is
    the default that stands below the tables with its source.
    """
    if table:
        _print_sizes(device, folders, as_json=as_json)
        return
    if device is None:
        raise click.UsageError("DEVICE is needed, or --table.")
    from siel_codecs.schema.airtime import airtime
    from siel_codecs.schema.energy import EnergyModel

    chosen = {name: value for name, value in figures.items() if value is not None}
    found = airtime(_shared.Codecs(folders).device(device), interval, EnergyModel(**chosen))
    if as_json:
        _shared.print_json(document(found))
        return
    _print(found, set(chosen))


def _print_sizes(device: str | None, folders: tuple[Path, ...], *, as_json: bool) -> None:
    import msgspec

    from siel_codecs.schema.payload_sizes import size_table, sizes

    codecs = _shared.Codecs(folders)
    names = [name for name in codecs.registry.names() if name.startswith(_OWN)] if device is None else [device]
    devices = [codecs.device(name) for name in names]
    if as_json:
        _shared.print_json({"sizes": [msgspec.to_builtins(found) for each in devices if (found := sizes(each))]})
    else:
        click.echo(size_table(devices), nl=False)


def document(found: Airtime) -> dict[str, Any]:
    """Return an Airtime as a JSON document, with the source of each figure of its energy model."""
    import msgspec

    from siel_codecs.schema.energy import FIGURES

    energy = msgspec.to_builtins(found.energy)
    figures = [
        {
            "name": figure.name,
            "value": energy[figure.name],
            "unit": figure.unit,
            "what": figure.what,
            "source": figure.source if energy[figure.name] == figure.value else "given",
        }
        for figure in FIGURES
    ]
    built: dict[str, Any] = msgspec.to_builtins(found)
    return {**built, "energy": figures}


def _print(found: Airtime, chosen: set[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from siel_codecs.schema.airtime import USUAL_PERMILLE
    from siel_codecs.schema.energy import FIGURES

    console = Console(highlight=False)
    console.print(f"[bold]{found.device}[/bold], EU868, one uplink in {_params_duration(found.interval_s)}")
    console.print()
    if not found.messages:
        console.print("This device sends no uplinks.")
        return
    for message in found.messages:
        for frame in message.frames:
            _print_frame(console, message, frame)
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False, style="dim")
    table.add_column(overflow="fold", ratio=2)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", ratio=4)
    for figure in FIGURES:
        value = getattr(found.energy, figure.name)
        source = "given" if figure.name in chosen else figure.source
        table.add_row(figure.what, f"{value:g} {figure.unit}", source)
    console.print(table)
    if any(rate.legal and rate.battery_years is None for rate in _rates(found)):
        duty_cycle = f"{USUAL_PERMILLE / 10:g} %"
        console.print(
            f"[dim]> 99 s!: the channels that every device has ({duty_cycle}) allow no shorter interval.[/dim]"
        )
    end = "Years are what the charge gives at best: cold and other messages take from it, and cells age."
    console.print(f"[dim]{end}[/dim]")


def _rates(found: Airtime) -> Iterator[Rate]:
    return (rate for message in found.messages for frame in message.frames for rate in frame.rates)


def _print_frame(console: Any, message: MessageAirtime, frame: Frame) -> None:
    version = "" if message.version is None else f", version {message.version}"
    end = "" if len(message.frames) == 1 else f", {frame.end}"
    size = f"{frame.payload_bytes} byte{'' if frame.payload_bytes == 1 else 's'} ({frame.payload_bits} bits)"
    console.print(
        f"[bold cyan]uplink[/bold cyan], {_shared.where(message.f_ports)}{version}{end}: {size}, {_legal(frame)}"
    )
    duty_cycles = list(frame.rates[0].messages_per_hour)
    numbers = ("DR", "SF", "ms", *(f"msg/h\n{each} %" for each in duty_cycles), "years of\nbattery")
    columns = [
        *(_table.Column(name, right=True) for name in numbers),
        _table.Column("the last step: field, bits to save, ms saved"),
    ]
    rows = []
    for rate in frame.rates:
        per_hour = [str(rate.messages_per_hour[each]) if rate.legal else "-" for each in duty_cycles]
        cells = (str(rate.data_rate), str(rate.spreading_factor), f"{rate.airtime_us / 1000:.1f}", *per_hour)
        rows.append(_table.Row((*cells, _years(rate), _step(rate)), None if rate.legal else "dim"))
    _table.print_table(console, columns, rows, lead="DR{}")


def _legal(frame: Frame) -> str:
    if not frame.legal_at:
        return "[red]too long for every data rate[/red]"
    if len(frame.legal_at) == len(frame.rates):
        return "legal at every data rate"
    return f"[yellow]not legal below DR{frame.legal_at[0]}[/yellow]"


def _years(rate: Rate) -> str:
    if not rate.legal:
        return "too long"
    if rate.battery_years is None:
        return f"> {rate.shortest_interval_s:.0f} s!"
    return f"{rate.battery_years:.1f}" if rate.battery_years < 1000 else ">1000"  # noqa: PLR2004 - nobody waits for it


def _step(rate: Rate) -> str:
    step = rate.step
    if not step.field:
        return "none: the header alone takes as long"
    return f"{step.field}, {step.bits_to_save} bit{'' if step.bits_to_save == 1 else 's'}, {step.saves_us / 1000:.1f}"


def _params_duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
