"""``siel node boards``: the boards that come with Siel."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from siel_tools.commands.codec import _shared, _table

if TYPE_CHECKING:
    from siel_hil.board_files import Board
    from siel_hil.errors import HilError

USAGE: Final = 2
FIGURES: Final = (
    ("sleep_ua", "µA", "asleep"),
    ("mcu_ma", "mA", "awake, without the radio"),
    ("rx_ma", "mA", "the radio while it listens"),
    ("tx_ma", "mA", "the radio while it sends at 14 dBm EIRP"),
    ("flash_write_mc", "mC", "one record stored"),
)
"""Key of [energy], unit, what it is."""


@click.command("boards", short_help="The boards that come with Siel.")
@_shared.as_json
def command(as_json: bool) -> None:
    """List the boards that come with Siel: what they are for, what is on them, what they draw and who says so."""
    from siel_hil.board_files import all_boards
    from siel_hil.errors import HilError

    try:
        found = list(all_boards())
    except HilError as error:
        wrong(error)
    if as_json:
        _shared.print_json({"boards": [document(board) for board in found]})
    else:
        _print(found)


def wrong(error: HilError) -> NoReturn:
    """End a command with what is wrong with a board's name or file."""
    click.echo(f"siel: {error}", err=True)
    sys.exit(USAGE)


def document(board: Board) -> dict[str, Any]:
    """Return a board as a JSON document."""
    return {
        "name": board.general.name,
        "title": board.general.title,
        "role": board.general.role,
        "mcu": board.general.mcu,
        "tried": board.general.tried,
        "deep_sleep": board.mcu.deep_sleep,
        "chips": [getattr(radio, "chip", "") for radio in board.radios],
        "sensors": [getattr(sensor, "kind", "") for sensor in board.sensors],
        "line": None if board.line is None else board.line.model_dump(),
        "energy": board.energy.model_dump(),
    }


def _print(boards: list[Board]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    heads = ("board", "for", "MCU", "chips", "line, sensors", "deep sleep", "on hardware")
    rows = [
        _table.Row(
            (
                board.general.name,
                board.general.role,
                board.mcu.title,
                ", ".join(document(board)["chips"]),
                _line(board) or ", ".join(document(board)["sensors"]),
                "yes" if board.mcu.deep_sleep else "no",
                "tried" if board.general.tried else "not tried",
            )
        )
        for board in boards
    ]
    _table.print_table(console, [_table.Column(head) for head in heads], rows)
    for board in boards:
        console.print(f"[bold]{board.general.name}[/bold], {board.general.title}")
        figures = [
            _table.Row((what, f"{figure.value:g} {unit}", figure.source))
            for key, unit, what in FIGURES
            if (figure := getattr(board.energy, key))
        ]
        columns = [_table.Column("it draws"), _table.Column("", right=True), _table.Column("who says so")]
        _table.print_table(console, columns, figures)


def _line(board: Board) -> str:
    if board.line is None:
        return ""
    wires = board.line.model_dump()
    return f"{wires['kind']} {wires['id']}, {wires['baud']} baud"
