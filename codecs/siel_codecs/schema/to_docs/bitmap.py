"""Pictures of bits in plain text: a row per byte, a column per bit, a border where one field ends and another begins.

byte    7   6   5   4   3   2   1   0
      +-----------+-------------------+
   0  | version=1 |                   |
      +-----------+                   |
   1  | temperature                   |
      |       +-----------------------+
   2  |       | humidity              |
      +-------+-----------------------+
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from siel_codecs.schema.model import Constant, Reserved, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_codecs.schema.model import Leaf

_WIDTH: Final = 4
"""Characters of a bit, its border included."""
MAX_EQUAL_ROWS: Final = 3
"""Of more whole bytes of one field the middle ones are told, not drawn."""
Cell = int | None


def bit_map(items: Sequence[Leaf | Word], numbers: Sequence[int], first_bit: int = 0, *, relative: bool = False) -> str:
    """Return the picture of leaves that follow each other.

    Args:
        items: Leaves and words, most significant bit first.
        numbers: What stands for each leaf (those in words included, in their order) whose name does not fit.
        first_bit: Of the first leaf, counted from where byte 0 begins.
        relative: Bytes are counted from here, as ``+0``, for what stands before is of no fixed size.
    """
    leaves = [leaf for item in items for leaf in (item.leaves if isinstance(item, Word) else (item,))]
    cells = _cells(items, first_bit % 8)
    rows = [cells[at : at + 8] for at in range(0, len(cells), 8)]
    labels = [(*_names(leaf), str(number)) for leaf, number in zip(leaves, numbers, strict=True)]
    lines = ["byte " + "".join(f"{bit:>{_WIDTH}}" for bit in range(7, -1, -1)), _border([None] * 8, rows[0])]
    places = _places(rows, labels)
    skipped = False
    for at, row in enumerate(rows):
        inside = 0 < at < len(rows) - 1 and at not in places and len({*row, *rows[at - 1], *rows[at + 1]}) == 1
        if not (inside and _run(rows, at) > MAX_EQUAL_ROWS):
            byte = f"{'+' if relative else ''}{first_bit // 8 + at}"
            lines.append(_row(byte, row, places.get(at, {})))
            below: list[Cell] = rows[at + 1] if at + 1 < len(rows) else [None] * 8
            lines.append(_border(row, below))
            skipped = False
        elif not skipped:
            lines.append(_row("..", row, {}))
            skipped = True
    return "\n".join(line.rstrip() for line in lines if line.strip(" |"))


def _within(texts: tuple[str, ...], width: int) -> str:
    return next((text for text in texts if len(text) <= width), "")


def _cells(items: Sequence[Leaf | Word], first: int) -> list[Cell]:
    cells: list[Cell] = [None] * first
    number = 0
    for item in items:
        if isinstance(item, Word):
            word: list[Cell] = [None] * item.bits
            for leaf, shift in zip(item.leaves, item.shifts(), strict=True):
                for bit in range(shift, shift + leaf.bits):
                    word[8 * (bit // 8) + 7 - bit % 8] = number
                number += 1
            cells += word
        else:
            cells += [number] * item.bits
            number += 1
    return cells + [None] * (-len(cells) % 8)


def _places(rows: list[list[Cell]], labels: list[tuple[str, ...]]) -> dict[int, dict[int, str]]:
    """Return per row and column the text that begins there: each name once, in the widest piece of its field."""
    best: dict[int, tuple[int, int, int]] = {}
    for at, row in enumerate(rows):
        for cell, column, width in _pieces(row):
            if cell is not None and (cell not in best or width > best[cell][2]):
                best[cell] = (at, column, width)
    places: dict[int, dict[int, str]] = {}
    for cell, (at, column, width) in best.items():
        inside = _WIDTH * width - 1
        text = _within(labels[cell], inside - 2) or _within(labels[cell], inside)
        places.setdefault(at, {})[column] = f" {text}" if len(text) < inside else text
    return places


def _pieces(row: list[Cell]) -> list[tuple[Cell, int, int]]:
    found: list[tuple[Cell, int, int]] = []
    for column, cell in enumerate(row):
        if found and found[-1][0] == cell:
            found[-1] = (cell, found[-1][1], found[-1][2] + 1)
        else:
            found.append((cell, column, 1))
    return found


def _row(byte: str, row: list[Cell], texts: dict[int, str]) -> str:
    line = f"{byte:>4}  "
    for cell, column, width in _pieces(row):
        before = row[column - 1] if column else None
        line += "|" if cell != before else " "
        line += f"{texts.get(column, ''):<{_WIDTH * width - 1}}"
    return line + ("|" if row[-1] is not None else "")


def _border(above: list[Cell], below: list[Cell]) -> str:
    lines = [above[column] != below[column] for column in range(8)]
    text = ""
    for column in range(9):
        left, right = column > 0 and lines[column - 1], column < 8 and lines[column]  # noqa: PLR2004 - bits of a byte
        sides = [
            (row[column - 1] if column else None) != (row[column] if column < 8 else None)  # noqa: PLR2004 - the same
            for row in (above, below)
        ]
        text += (
            "+" if (left or right) and (any(sides) or left != right) else "|" if any(sides) else "-" if left else " "
        )
        text += ("-" if right else " ") * (_WIDTH - 1)
    return "      " + text


def _run(rows: list[list[Cell]], at: int) -> int:
    """Return how many whole rows of the same field there are around this one."""
    return sum(1 for row in rows if set(row) == set(rows[at]))


def _names(leaf: Leaf) -> tuple[str, ...]:
    """Return what may stand for a leaf, the best first."""
    if isinstance(leaf, Reserved):
        return ("-",)
    if isinstance(leaf, Constant):
        return f"{leaf.title}={leaf.code}", f"={leaf.code}"
    return (leaf.name.lstrip("_"),)
