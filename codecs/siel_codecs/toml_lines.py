"""Where in a TOML file a key stands: the small index beside tomllib that gives a fault its line."""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]
"""Keys and, inside arrays of tables, indices: ``("field", 2, "bits")``."""

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_STRING: Final = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*$')
_SYNTAX_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")


def line_index(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every table header and of every key that begins a line."""
    index: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    depth, quote = 0, ""
    for number, whole in enumerate(text.splitlines(), 1):
        line = whole
        if quote:
            if quote not in line:
                continue
            line, quote = line.split(quote, 1)[1], ""
        elif depth == 0:
            if header := _HEADER.match(line):
                table = _resolve(_split(header[2]), counts, array=header[1] == "[[")
                index.setdefault(table, number)
                continue
            if key := _KEY.match(line):
                index.setdefault(table + _split(key[1]), number)
        depth, quote = _scan(line, depth)
    return index


def line_of(index: dict[Path, int], path: Path) -> int | None:
    """Return the line of ``path``, or of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in index:
            return index[path[:length]]
    return None


def syntax_line(message: str) -> int | None:
    """Return the line that tomllib's message names."""
    found = _SYNTAX_LINE.search(message)
    return int(found[1]) if found else None


def dotted(path: Path) -> str:
    """Return ``path`` as a person writes it: ``field[2].bits``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _split(key: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in key.split("."))


def _resolve(keys: Path, counts: dict[Path, int], *, array: bool) -> Path:
    path: Path = ()
    for position, key in enumerate(keys):
        path += (key,)
        if array and position == len(keys) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path


def _scan(line: str, depth: int) -> tuple[int, str]:
    # Brackets outside strings and comments; a triple quote that stays open is handed to the next line
    rest = line
    while found := _STRING.search(rest):
        depth += _balance(rest[: found.start()])
        mark = found[0]
        rest = rest[found.end() :]
        if mark in {'"""', "'''"}:
            if mark not in rest:
                return depth, mark
            rest = rest.split(mark, 1)[1]
    return depth + _balance(rest), ""


def _balance(text: str) -> int:
    return sum(text.count(mark) for mark in "[{") - sum(text.count(mark) for mark in "]}")
