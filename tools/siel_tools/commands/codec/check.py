"""``siel codec check``: is a schema right, what can be made of it, and does it still read what is in the field."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from siel_tools.commands.codec import _shared
from siel_tools.commands.codec.generate import TARGETS

if TYPE_CHECKING:
    from siel_codecs.codec import SchemaCodec
    from siel_codecs.schema.evolution import Check, Evolution
    from siel_codecs.schema.model import Device

_FEW = 3
_SHOWN = {
    "same": "same",
    "partial": "less than was sent",
    "refused": "refused",
    "misread": "MISREAD",
}


@click.command("check", short_help="Is a schema right, and does it still read what is in the field?")
@click.argument("device", metavar="NEW.toml")
@click.option("--against", metavar="OLD.toml", help="The schema that devices in the field have.")
@_shared.folders
@_shared.as_json
def command(device: str, against: str | None, folders: tuple[Path, ...], as_json: bool) -> None:
    """Check a schema: its text, its examples, what can be made of it, its size.

    With --against also whether frames of the devices in the field still say the same under the new schema, and whether
    decoders of the old one take new frames for something else. Both may be names of codecs, too. Ends with 1 when
    something is wrong.
    """
    from siel_codecs.errors import SchemaError, UnknownCodecError

    codecs = _shared.Codecs(folders)
    try:
        found = codecs.device_or_fault(device)
    except UnknownCodecError as error:
        _shared.wrong(f"{error}\nThe path of a schema file ends in .toml.")
    except SchemaError as error:
        if as_json:
            faults = [{"line": each.line, "field": each.field, "reason": each.reason} for each in error.faults]
            _shared.print_json({"codec": device, "ok": False, "faults": faults})
        else:
            click.echo(f"{len(error.faults)} fault(s):\n{error}", err=True)
        sys.exit(1)
    old = codecs.device(against) if against is not None else None
    report = examine(found, old)
    if as_json:
        _shared.print_json(report)
    else:
        _print(report)
    sys.exit(0 if report["ok"] else 1)


def examine(device: Device, old: Device | None = None) -> dict[str, Any]:
    """Return everything that is to be said about a schema, as a JSON document."""
    from siel_codecs.codec import SchemaCodec
    from siel_codecs.schema.evolution import compare

    codec = SchemaCodec(device)
    examples = _examples(codec)
    evolution = None if old is None else compare(old, device)
    fine = all(each["ok"] for each in examples) and (evolution is None or (evolution.decodes and evolution.safe))
    return {
        "codec": device.name,
        "title": device.title,
        "ok": fine,
        "faults": [],
        "examples": examples,
        "targets": _targets(device),
        "sizes": _sizes(device),
        "evolution": None if evolution is None else _evolution(evolution),
    }


def _examples(codec: SchemaCodec) -> list[dict[str, Any]]:
    from siel_codecs.codec import as_ts013
    from siel_codecs.schema.evolution.codes import equal

    found = []
    for example in codec.device.examples:
        if example.direction == "up":
            decoded = codec.decode(example.f_port, example.payload)
        else:
            decoded = codec.decode_downlink(example.f_port, example.payload)
        data, warnings = as_ts013(decoded), list(decoded.warnings)
        fine = not decoded.errors and equal(data, example.data) and warnings == list(example.warnings)
        found.append(
            {
                "title": example.title,
                "direction": example.direction,
                "f_port": example.f_port,
                "bytes": example.payload.hex(),
                "ok": fine,
                "expected": {"data": example.data, "warnings": list(example.warnings)},
                "got": {"data": data, "warnings": warnings, "errors": list(decoded.errors)},
            }
        )
    return found


def _targets(device: Device) -> list[dict[str, Any]]:
    from siel_codecs.errors import EmitError

    found: list[dict[str, Any]] = []
    for target, emit in TARGETS.items():
        try:
            text = emit(device)
        except EmitError as error:
            found.append({"target": target, "bytes": None, "field": error.field, "reason": error.reason})
        else:
            found.append({"target": target, "bytes": len(text.encode()), "field": None, "reason": None})
    return found


def _sizes(device: Device) -> list[dict[str, Any]]:
    from siel_codecs.schema.airtime import airtime

    return [
        {
            "f_ports": list(message.f_ports),
            "version": message.version,
            "size": frame.end if len(message.frames) > 1 else "only",
            "bytes": frame.payload_bytes,
            "legal_at": list(frame.legal_at),
        }
        for message in airtime(device).messages
        for frame in message.frames
    ]


def _evolution(found: Evolution) -> dict[str, Any]:
    return {
        "against": found.old,
        "decodes": found.decodes,
        "safe": found.safe,
        "proven": found.proven,
        "old_frames": [_check(check) for check in found.kept],
        "new_frames_under_old": [_check(check) for check in found.newer],
    }


def _check(check: Check) -> dict[str, Any]:
    witness = check.witness
    return {
        "direction": check.direction,
        "f_ports": list(check.f_ports),
        "version": check.version,
        "name": check.name,
        "outcome": check.outcome,
        "breaks": [{"field": each.field, "kind": each.kind, "reason": each.reason} for each in check.breaks],
        "frames": check.frames,
        "proven": check.proven,
        "example": None
        if witness is None
        else {
            "f_port": witness.f_port,
            "bytes": witness.payload.hex(),
            "sent": witness.sent,
            "read": witness.read,
            "errors": list(witness.errors),
        },
        "advice": check.advice,
    }


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    state = "[green]fine[/green]" if report["ok"] else "[red]not fine[/red]"
    console.print(f"[bold]{escape(report['codec'])}[/bold]  {escape(report['title'])}: {state}")
    right = sum(each["ok"] for each in report["examples"])
    told = f"{right} of {len(report['examples'])} decode as written"
    none = "none: an [[example]] holds a payload and what it says"
    console.print(escape(f"  {'examples':<11} {told if report['examples'] else none}"))
    for each in report["examples"]:
        if not each["ok"]:
            _print_example(console, each)
    for each in report["targets"]:
        text = f"{each['bytes'] / 1024:.1f} KB" if each["reason"] is None else f"cannot be made: {_why(each)}"
        console.print(f"  {each['target']:<11} {escape(text)}")
    for each in report["sizes"]:
        version = "" if each["version"] is None else f" version {each['version']}"
        size = "" if each["size"] == "only" else f", {each['size']}"
        count = f"{each['bytes']} byte{'' if each['bytes'] == 1 else 's'}"
        console.print(f"  {_shared.where(tuple(each['f_ports']))}{version}{size}: {count}, {_legal(each)}")
    if report["evolution"] is not None:
        _print_evolution(console, report["evolution"])


def _why(target: dict[str, Any]) -> str:
    return f"{target['field']}: {target['reason']}" if target["field"] else str(target["reason"])


def _legal(size: dict[str, Any]) -> str:
    from siel_codecs.schema.airtime import DATA_RATES

    if not size["legal_at"]:
        return "[red]too long for every data rate of EU868[/red]"
    if len(size["legal_at"]) == len(DATA_RATES):
        return "legal at every data rate"
    lowest = size["legal_at"][0]
    return f"[yellow]not legal below DR{lowest}: a device far away (SF12 to SF{13 - lowest}) cannot send it[/yellow]"


def _print_example(console: Any, example: dict[str, Any]) -> None:
    from rich.markup import escape

    title = f" ({example['title']})" if example["title"] else ""
    console.print(escape(f"    port {example['f_port']}, {example['bytes']}{title}:"), style="red")
    expected, got = example["expected"], example["got"]
    if got["errors"]:
        console.print(escape(f"      cannot be decoded: {'; '.join(got['errors'])}"))
        return
    for name in dict.fromkeys([*expected["data"], *got["data"]]):
        one, other = expected["data"].get(name), got["data"].get(name)
        if not _equal(one, other):
            console.print(escape(f"      {name}: the example says {_word(one)}, the payload says {_word(other)}"))
    for text in expected["warnings"]:
        if text not in got["warnings"]:
            console.print(escape(f"      the warning {text!r} does not come"))
    for text in got["warnings"]:
        if text not in expected["warnings"]:
            console.print(escape(f"      the warning {text!r} is not in the example"))


def _equal(one: object, other: object) -> bool:
    from siel_codecs.schema.evolution.codes import equal

    return equal(one, other)


def _word(value: object) -> str:
    import json

    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _print_evolution(console: Any, found: dict[str, Any]) -> None:
    from rich.markup import escape

    console.print()
    verdict = "[green]yes[/green]" if found["decodes"] else "[red]no[/red]"
    console.print(f"old frames ({escape(found['against'])}) still decode: {verdict}")
    for check in found["old_frames"]:
        _print_check(console, check, forward=False)
    verdict = "[green]never[/green]" if found["safe"] else "[red]yes[/red]"
    console.print(f"new frames are misread by old decoders: {verdict}")
    for check in found["new_frames_under_old"]:
        _print_check(console, check, forward=True)
    if not found["proven"]:
        console.print("Reasons and decoded frames do not agree; the worse holds. This is a fault of siel: report it.")


def _print_check(console: Any, check: dict[str, Any], *, forward: bool) -> None:
    from rich.markup import escape

    what = "uplink" if check["direction"] == "up" else "command"
    name = f" {check['name']}" if check["name"].lower() not in {"", what} else ""
    version = "" if check["version"] is None else f", version {check['version']}"
    outcome = check["outcome"]
    colour = "green" if outcome == "same" or (forward and outcome != "misread") else "red"
    line = escape(f"{what}{name}, {_shared.where(tuple(check['f_ports']))}{version}")
    frames = f"{check['frames']} frame{'' if check['frames'] == 1 else 's'}"
    console.print(f"  {line}: [{colour}]{_SHOWN[outcome]}[/{colour}] [dim]({frames})[/dim]")
    if outcome == "same":
        return
    for each in check["breaks"]:
        reason = "" if forward else f": {each['reason']}"
        console.print(escape(f"    {each['field']}: {each['kind']}{reason}"))
    example = check["example"]
    if example is not None and (outcome == "misread" or not forward):
        read = "; ".join(example["errors"]) if example["errors"] else _few(example["read"], example["sent"])
        sent = _few(example["sent"], example["read"])
        if sent != read:  # else the values are the same and a unit makes the difference
            console.print(escape(f"    for example {example['bytes']}: {sent} is read as {read}"), style="dim")
    if check["advice"]:
        console.print(f"    [bold]{escape(check['advice'])}[/bold]")


def _few(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return the first values of ``one`` that the other does not have."""
    different = {name: value for name, value in one.items() if name not in other or not _equal(value, other[name])}
    shown = ", ".join(f"{name} {_word(value)}" for name, value in list(different.items())[:_FEW])
    return (shown or "nothing") + (" ..." if len(different) > _FEW else "")
