"""``siel node size``: what the firmware takes of flash and heap, and what it draws."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from siel_tools.commands import _params
from siel_tools.commands.codec import _shared, _table
from siel_tools.commands.node import boards

if TYPE_CHECKING:
    from siel_hil.board_files import Board

FAILED: Final = 1


@click.command("size", short_help="What the firmware takes of flash and heap, and what it draws.")
@click.option("--board", "name", metavar="NAME", help="This board alone; by default all that carry a node.")
@click.option("--interval", type=_params.duration, default="15m", show_default=True, help="From reading to reading.")
@_shared.as_json
def command(name: str | None, interval: int, as_json: bool) -> None:
    """Measure the firmware: bytes per module, heap of the MAC, charge per uplink, years of battery and flash.

    Heap is measured in a MicroPython with the 32-bit words of the boards; a machine that cannot run one says so. Goals
    stand beside what has one.
    """
    from siel_hil import board_energy, board_files
    from siel_hil.errors import HilError, ImageError

    if interval < (shortest_s := board_energy.shortest_interval_s()):
        raise click.UsageError(
            f"the duty cycle allows an uplink at SF9 every {shortest_s:.0f} s, not every {interval} s"
        )
    try:
        chosen = [board_files.load(name)] if name else [b for b in board_files.all_boards() if b.general.role == "node"]
    except HilError as error:
        boards.wrong(error)
    try:
        found = measure(chosen, interval)
    except ImageError as error:
        click.echo(f"siel: {error}", err=True)
        sys.exit(FAILED)
    if as_json:
        _shared.print_json(found)
    else:
        _print(found)


def measure(chosen: list[Board], interval_s: int) -> dict[str, Any]:
    """Return what was measured and computed as a JSON document.

    Args:
        chosen: The boards.
        interval_s: From reading to reading.

    Raises:
        ImageError: A module does not compile, or the heap could not be measured.
    """
    import msgspec

    from siel_hil import board_energy, node_size
    from siel_hil.image import PACKAGES, compiled_dir

    packages = max((PACKAGES[board.general.role] for board in chosen), key=len)
    modules = node_size.mpy_bytes(packages, compiled_dir())
    row = node_size.mac_modules()
    heap, reason = _heap()
    nodes = [board for board in chosen if board.general.role == "node"]
    return {
        "mac": {
            "mpy_bytes": sum(modules[f"siel_node.{module}"] for module in row),
            **heap,
            "modules": row,
            "goals": node_size.MAC_GOALS,
        },
        "heap_unknown": reason,
        "modules": modules,
        "interval_s": interval_s,
        "payload_bytes": board_energy.PAYLOAD_BYTES,
        "battery_mah": board_energy.BATTERY_MAH,
        "firmware_sleeps": node_size.firmware_sleeps(),
        "boards": [msgspec.to_builtins(board_energy.board_energy(board, interval_s)) for board in nodes],
        "flash": {
            "endurance_erases": board_energy.ENDURANCE_ERASES,
            "erases_per_write": board_energy.ERASES_PER_WRITE,
            "levelled_blocks": board_energy.LEVELLED_BLOCKS,
            "unanswered": msgspec.to_builtins(board_energy.wear(interval_s, answered=False)),
            "all_answered": msgspec.to_builtins(board_energy.wear(interval_s, answered=True)),
        },
    }


def _heap() -> tuple[dict[str, int | None], str | None]:
    """Return what is known of the MAC's heap, and why nothing is."""
    import msgspec

    from siel_hil.image import compiled_dir
    from siel_hil.node_size import MacHeap, mac_heap
    from siel_hil.parts import PartError, find_micropython32

    try:
        program, reason = find_micropython32()
    except PartError as error:
        program, reason = None, str(error)
    if program is None:
        return dict.fromkeys(MacHeap.__struct_fields__), reason
    return msgspec.to_builtins(mac_heap(program, compiled_dir())), None


_MAC_WORDS: Final = (
    ("mpy_bytes", "compiled modules (-O3)"),
    ("resident_heap_bytes", "heap they take when loaded from .mpy files"),
    ("session_heap_bytes", "heap of a session"),
    ("garbage_per_uplink_bytes", "garbage of an uplink"),
    ("garbage_per_storing_uplink_bytes", "garbage of one that has something stored first"),
)


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    mac, number = found["mac"], _table.Column("bytes", right=True)
    console.print(f"[bold]MAC, region, crypto, records[/bold]: {', '.join(mac['modules'])}")
    rows = [
        _table.Row((what, "not known" if mac[key] is None else str(mac[key]), _goal(mac[key], mac["goals"].get(key))))
        for key, what in _MAC_WORDS
    ]
    _table.print_table(console, [_table.Column("what"), number, _table.Column("at most")], rows)
    if found["heap_unknown"]:
        console.print(f"No heap was measured: {found['heap_unknown']}.", markup=False)
    rows = [_table.Row((name, str(size))) for name, size in found["modules"].items()]
    _table.print_table(console, [_table.Column("module"), number], [*rows, _total(found["modules"])])
    if found["boards"]:
        _print_boards(console, found)
    _print_flash(console, found)


def _total(modules: dict[str, int]) -> _table.Row:
    return _table.Row(("together", str(sum(modules.values()))), "bold")


def _goal(value: float | None, goal: float | None) -> str:
    if goal is None:
        return ""
    missed = value is not None and value > goal
    return f"{goal:g}{', missed' if missed else ''}"


def _print_boards(console: Any, found: dict[str, Any]) -> None:
    console.print(
        f"[bold]Charge[/bold]: {found['payload_bytes']} bytes at SF9, both windows, one uplink in"
        f" {_time(found['interval_s'])}, battery of {found['battery_mah'] / 1000:g} Ah"
    )
    heads = ("board", "mC per\nuplink", "at most", "µA asleep", "at most", "years", "years if\nit never sleeps")
    rows = []
    for board in found["boards"]:
        goal = board["goal"] or {}
        rows.append(
            _table.Row(
                (
                    board["board"],
                    f"{board['uplink_mc']:.0f}",
                    _goal(board["uplink_mc"], goal.get("uplink_mc")),
                    f"{board['sleep_ua']:g}",
                    _goal(board["sleep_ua"], goal.get("sleep_ua")),
                    f"{board['battery_years']:.1f}",
                    f"{board['battery_years_awake']:.2f}",
                )
            )
        )
    _table.print_table(console, [_table.Column(head, right=n > 0) for n, head in enumerate(heads)], rows)
    if not found["firmware_sleeps"]:
        console.print("This firmware never sleeps: between readings it waits with its clocks running.")
    console.print("Sums over the figures and sources of siel node boards; none was measured on this firmware.")
    console.print()


def _print_flash(console: Any, found: dict[str, Any]) -> None:
    flash = found["flash"]
    console.print(f"[bold]Flash[/bold]: the records of MAC and airtime, one uplink in {_time(found['interval_s'])}")
    rows = [
        _table.Row(
            (
                what,
                f"{flash[key]['writes_per_uplink']:.2f}",
                _years(flash[key]["years_one_block"]),
                _years(flash[key]["years_levelled"]),
            )
        )
        for key, what in (("unanswered", "nothing answers"), ("all_answered", "every uplink is answered"))
    ]
    heads = ("if", "writes per\nuplink", "years, all in\none block", "years,\nlevelled")
    _table.print_table(console, [_table.Column(head, right=n > 0) for n, head in enumerate(heads)], rows)
    console.print(
        f"A block lasts {flash['endurance_erases']} erases (W25Q16JV data sheet). Assumed: {flash['erases_per_write']}"
        f" erases per write, more than littlefs needs, and {flash['levelled_blocks']} free blocks it wanders over."
    )


def _years(years: float) -> str:
    return ">1000" if years >= 1000 else f"{years:.3g}"  # noqa: PLR2004 - nobody waits for it


def _time(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
