"""Where each key of a TOML document stands: the line index that tomllib does not keep."""

from __future__ import annotations

import re
from typing import Final

TomlPath = tuple[str | int, ...]
"""Keys and array positions from the root: ``("radio", 0, "channels", 2, "frequency_hz")``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BASIC_STRING: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL_STRING: Final = re.compile(r"'([^'\n]*)'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""(?:"{0,2})', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL)
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SYNTAX_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)$")
_SHORT_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class _LostPlaceError(Exception):
    """The text is not what tomllib accepted."""


class _Scanner:
    """One pass over a document that tomllib has already accepted; it notes positions and judges nothing."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[TomlPath, int] = {}
        self._counted_to = 0
        self._line = 1
        self._tables: dict[TomlPath, int] = {}  # arrays of tables and how many they hold

    def scan(self) -> dict[TomlPath, int]:
        table: TomlPath = ()
        try:
            while self._blank() < len(self._text):
                if self._text[self._at] == "[":
                    table = self._header()
                else:
                    self._pair(table)
        except (_LostPlaceError, RecursionError):
            pass  # a fault is then shown at the nearest table that was seen
        return self._lines

    def _blank(self) -> int:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _LostPlaceError
        self._at = found.end()
        return found

    def _note(self, path: TomlPath, at: int) -> None:
        self._line += self._text.count("\n", self._counted_to, at)  # positions only grow
        self._counted_to = at
        for depth in range(1, len(path) + 1):
            self._lines.setdefault(path[:depth], self._line)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._blank()
            sign = self._text[self._at : self._at + 1]
            if sign == '"':
                parts.append(_ESCAPE.sub(_unescape, self._take(_BASIC_STRING)[1]))
            elif sign == "'":
                parts.append(self._take(_LITERAL_STRING)[1])
            else:
                parts.append(self._take(_BARE_KEY)[0])
            self._blank()
            if self._text[self._at : self._at + 1] != ".":
                return parts
            self._at += 1

    def _header(self) -> TomlPath:
        start = self._at
        double = self._text.startswith("[[", start)
        self._at += 2 if double else 1
        path: TomlPath = ()
        parts = self._key()
        for n, part in enumerate(parts):
            path = (*path, part)
            if double and n == len(parts) - 1:
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        self._at += 2 if double else 1
        self._note(path, start)
        return path

    def _pair(self, table: TomlPath) -> None:
        start = self._blank()
        path = (*table, *self._key())
        self._note(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: TomlPath) -> None:
        self._blank()
        rest = self._text[self._at : self._at + 3]
        if rest[:1] == "[":
            self._array(path)
        elif rest[:1] == "{":
            self._inline_table(path)
        elif rest == '"""':
            self._take(_LONG_BASIC)
        elif rest == "'''":
            self._take(_LONG_LITERAL)
        elif rest[:1] == '"':
            self._take(_BASIC_STRING)
        elif rest[:1] == "'":
            self._take(_LITERAL_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: TomlPath) -> None:
        self._at += 1
        n = 0
        while self._text[self._blank() : self._at + 1] not in ("]", ""):
            self._note((*path, n), self._at)
            self._value((*path, n))
            n += 1
            if self._text[self._blank() : self._at + 1] == ",":
                self._at += 1
        self._at += 1

    def _inline_table(self, path: TomlPath) -> None:
        self._at += 1
        while self._text[self._blank() : self._at + 1] not in ("}", ""):
            self._pair(path)
            if self._text[self._blank() : self._at + 1] == ",":
                self._at += 1
        self._at += 1


def _unescape(found: re.Match[str]) -> str:
    if found[3] is None:
        return chr(int(found[1] or found[2], 16))
    return _SHORT_ESCAPES.get(found[3], found[3])


def line_index(text: str) -> dict[TomlPath, int]:
    """Map every key, table and array item of a valid TOML document to its line, from 1.

    Args:
        text: A document that ``tomllib.loads`` accepts; for any other the index is incomplete, never an error.
    """
    return _Scanner(text).scan()


def line_of(index: dict[TomlPath, int], path: TomlPath) -> int:
    """Return the line of ``path``, or of the nearest table around it, or 1."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in index:
            return index[path[:depth]]
    return 1


def syntax_line(message: str) -> int | None:
    """Return the line that the message of a ``tomllib.TOMLDecodeError`` names; None when it says "end of document"."""
    found = _SYNTAX_LINE.search(message)
    return int(found[1]) if found else None


def show_path(path: TomlPath) -> str:
    """Return ``radio[0].port`` for ``("radio", 0, "port")``, in one line whatever its keys hold."""
    return one_line("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix("."))


def one_line(text: str) -> str:
    """Return a text with escapes for what is not printed: line ends, control characters, directions of writing."""
    return text if text.isprintable() else "".join(s if s.isprintable() else ascii(s)[1:-1] for s in text)
