"""Tables that cut no word: each column holds its longest word, or the rows are told one value below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console

_GAP: Final = 2
_SHORT: Final = 16
"""A cell of so much is not broken while there is room: "-40 to 85 °C"."""
_INDENT: Final = 2


class Column(NamedTuple):
    """The head of a column."""

    title: str
    right: bool = False


class Row(NamedTuple):
    """One cell per column, as it is to be read: nothing in it is markup."""

    cells: tuple[str, ...]
    style: str | None = None


def print_table(console: Console, columns: Sequence[Column], rows: Sequence[Row], lead: str = "{}") -> None:
    """Print a table that fits the console; a column in which nothing stands is left out.

    Args:
        console: Its width counts.
        columns: What stands above; a line end in a title is kept.
        rows: In their order.
        lead: How the first cell stands above the others of its row where the console is too narrow for a table.
    """
    used = [n for n in range(len(columns)) if any(row.cells[n] for row in rows)]
    columns = [columns[n] for n in used]
    rows = [row._replace(cells=tuple(row.cells[n] for n in used)) for row in rows]
    fitting = widths([[column.title for column in columns], *(row.cells for row in rows)], console.width)
    if fitting is None:
        _print_rows(console, columns, rows, lead)
        return
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0), show_edge=False)
    for column, width in zip(columns, fitting, strict=True):
        table.add_column(escape(column.title), justify="right" if column.right else "left", width=width)
    for row in rows:
        table.add_row(*map(escape, row.cells), style=row.style)
    console.print()
    console.print(table)
    console.print()


def widths(rows: Sequence[Sequence[str]], total: int) -> list[int] | None:
    """Return how wide each column is; None where even their longest words do not fit beside each other.

    Args:
        rows: The cells, those of the head among them.
        total: What there is for all columns and the gaps between them.
    """
    columns = list(zip(*rows, strict=True))
    found = [max(map(_longest_word, column)) for column in columns]
    room = total - sum(found) - _GAP * (len(found) - 1)
    if room < 0:
        return None
    whole = [max(_longest_line(cell) for cell in column) for column in columns]
    for n, most in enumerate(whole):
        more = min(room, max(0, min(most, _SHORT) - found[n]))
        found[n], room = found[n] + more, room - more
    for _ in range(room):  # to the column that has the most lines in a cell
        lines = [-(-need // width) if width else 0 for need, width in zip(whole, found, strict=True)]
        if max(lines) <= 1:
            break
        found[lines.index(max(lines))] += 1
    return found


def _longest_line(cell: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cell.split("\n")))


def _longest_word(cell: str) -> int:
    # The spaces in front of a name are its depth and stand before its first word
    from rich.cells import cell_len

    return max(map(cell_len, cell.split()), default=0) + len(cell) - len(cell.lstrip(" "))


def _print_rows(console: Console, columns: Sequence[Column], rows: Sequence[Row], lead: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console.print()
    for row in rows:
        depth = len(row.cells[0]) - len(row.cells[0].lstrip(" "))
        style = row.style or ""
        console.print(Padding(Text(lead.format(row.cells[0].strip()), style or "bold"), (0, 0, 0, depth)))
        for column, cell in zip(columns[1:], row.cells[1:], strict=True):
            if cell:
                title = column.title.replace("\n", " ")
                console.print(Padding(Text(f"{title}: {cell}", style), (0, 0, 0, depth + _INDENT)))
    console.print()
