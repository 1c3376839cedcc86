"""Lines of generated MicroPython in the shape that the formatter leaves alone, and parts of expressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

WIDTH: Final = 120
INDENT: Final = "    "
SMALL_INT_BITS: Final = 30
"""Magnitude of the largest integer that is never allocated. Source: MicroPython, py/smallint.h, 32-bit words."""


class Lines:
    """Source that grows line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0

    def add(self, *lines: str) -> None:
        """Append lines at the present depth."""
        self.lines += [f"{INDENT * self._depth}{line}" if line else "" for line in lines]

    def fits(self, line: str) -> bool:
        """Tell whether a line at the present depth is short enough."""
        return len(line) + len(INDENT) * self._depth <= WIDTH

    def comment(self, text: str) -> None:
        """Append a comment, shortened where it is too long."""
        room = WIDTH - len(INDENT) * self._depth - len("# ")
        self.add(f"# {text if len(text) <= room else text[: room - 4].rstrip() + ' ...'}")

    @contextmanager
    def block(self) -> Iterator[None]:
        """Indent what is added inside."""
        self._depth += 1
        yield
        self._depth -= 1

    def joined(self, head: str, parts: Sequence[str], operator: str, tail: str = "") -> None:
        """Append ``head part operator part ... tail``, in parentheses over several lines where one is too long."""
        line = f"{head}{f' {operator} '.join(parts)}{tail}"
        if self.fits(line) or len(parts) == 1:
            self.add(line)
            return
        self.add(f"{head}(")
        with self.block():
            self.add(parts[0], *(f"{operator} {part}" for part in parts[1:]))
        self.add(f"){tail}")

    def chain(self, branches: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Append ``if`` ... ``elif`` ... ``else``; an empty condition is the last.

        After a first branch that leaves stands another ``if``.
        """
        word = "if"
        for condition, body in branches:
            if not condition and word == "if":
                self.add(*body)
                return
            self.add(f"{word} {condition}:" if condition else "else:")
            with self.block():
                self.add(*body)
            leaves = word == "if" and body[-1].startswith(("raise", "return"))
            word = "if" if leaves else "elif"

    def text(self) -> str:
        """Return the source."""
        return "\n".join(self.lines) + "\n"


def times(value: str, factor: int) -> str:
    """Return the product."""
    return value if factor == 1 else f"{value} * {factor}"


def plus(value: str, constant: int) -> str:
    """Return the sum."""
    if constant == 0:
        return value
    return f"{value} + {constant}" if constant > 0 else f"{value} - {-constant}"


def runs(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Return the codes as ranges, ascending."""
    found: list[tuple[int, int]] = []
    for code in sorted(set(codes)):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def is_one_of(name: str, codes: Iterable[int]) -> str:
    """Return the condition that a variable is one of some codes."""
    ranges = runs(codes)
    if len(ranges) == 1:
        first, last = ranges[0]
        return f"{name} == {first}" if first == last else f"{first} <= {name} <= {last}"
    return f"{name} in ({', '.join(map(str, sorted(set(codes))))})"


def is_none_of(name: str, codes: Iterable[int]) -> str:
    """Return the condition that a variable is none of some codes."""
    ranges = runs(codes)
    if len(ranges) == 1:
        first, last = ranges[0]
        return f"{name} != {first}" if first == last else f"not {first} <= {name} <= {last}"
    return f"{name} not in ({', '.join(map(str, sorted(set(codes))))})"


class Piece:
    """Bits of one leaf that fall into one byte: ``(value >> down & mask) << up``."""

    __slots__ = ("byte", "down", "up", "whole", "width")

    def __init__(self, byte: int, down: int, width: int, up: int, whole: bool) -> None:
        self.byte, self.down, self.width, self.up = byte, down, width, up
        self.whole = whole
        """The leaf has no bits above these, so that no mask is needed when it is written."""

    def written(self, name: str) -> str:
        """Return the part of the byte that a variable of the leaf's width makes."""
        # Shifts bind closer than &, & closer than |
        text = f"{name} >> {self.down}" if self.down else name
        if not self.whole:
            text = f"{text} & {(1 << self.width) - 1}"
        return text if not self.up else f"{text} << {self.up}" if text == name else f"({text}) << {self.up}"

    def constant(self, code: int) -> int:
        """Return the part of the byte that a code makes."""
        return (code >> self.down & (1 << self.width) - 1) << self.up

    def read(self, buf: str) -> str:
        """Return the part of the leaf's code that the byte makes."""
        text = f"{buf}[{self.byte}]"
        if self.up:
            text = f"{text} >> {self.up}"
        if self.up + self.width < 8:  # noqa: PLR2004 - bits of a byte
            text = f"{text} & {(1 << self.width) - 1}"
        if not self.down:
            return text
        return f"({text}) << {self.down}" if " " in text else f"{text} << {self.down}"


def pieces(at: int, bits: int) -> list[Piece]:
    """Return the pieces of a leaf whose first bit is bit ``at``, most significant bit first."""
    found, left = [], bits
    while left:
        room = 8 - at % 8
        width = min(left, room)
        found.append(Piece(at // 8, left - width, width, room - width, left == bits))
        at, left = at + width, left - width
    return found


def word_pieces(at: int, shift: int, bits: int) -> list[Piece]:
    """Return the pieces of a leaf ``shift`` bits above the bottom of a little-endian word that starts at ``at``."""
    found, low = [], shift
    while low < shift + bits:
        width = min(8 - low % 8, shift + bits - low)
        found.append(Piece(at // 8 + low // 8, low - shift, width, low % 8, low + width == shift + bits))
        low += width
    return found[::-1]
