"""Lines of generated Python, and the texts and names in them; whatever comes from a schema enters as a literal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from siel_codecs.schema.model import CHANNEL
from siel_codecs.schema.words import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Code(str):
    """A Python expression whose value is a text; any other string is the text itself."""

    __slots__ = ()


def joined(pieces: Sequence[str]) -> str:
    """Return the expression of texts and expressions one after the other."""
    found: list[str] = []
    text = ""
    for piece in pieces:
        if isinstance(piece, Code):
            found += [repr(text), str(piece)] if text else [str(piece)]
            text = ""
        else:
            text += piece
    if text or not found:
        found.append(repr(text))
    return " + ".join(found)


def filled(template: str, **values: str | list[str]) -> str:
    """Return the expression of a template of ``words``; a value is a text, a ``Code``, or a list of both."""
    pieces: list[str] = []
    for index, part in enumerate(parts(template)):
        value = values[part] if index % 2 else part
        pieces += value if isinstance(value, list) else [value]
    return joined(pieces)


def with_channel(name: str) -> list[str]:
    """Return the pieces of a name; its channel is in the variable ``ch``."""
    before, channel, after = name.partition(CHANNEL)
    return [before, Code("ch"), after] if channel else [name]


TREE: Final = 8
"""More cases than these are found by halving."""


class Lines:
    """Source that grows; constants of the module are kept apart."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: list[str] = []
        self._known: dict[str, str] = {}

    def __call__(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    def constant(self, prefix: str, value: Any) -> str:
        """Return the name of a constant of the module with this value."""
        text = repr(value)
        key = f"{prefix} {text}"
        if key not in self._known:
            self._known[key] = f"{prefix}_{len(self.constants)}"
            self.constants.append(f"{self._known[key]} = {text}")
        return self._known[key]

    def capture(self, write: Callable[[], None]) -> list[str]:
        """Return the lines that ``write`` adds, without adding them."""
        before, self.lines = self.lines, []
        write()
        found, self.lines = self.lines, before
        return found

    def block(self, head: str, body: Sequence[str]) -> None:
        """Add a statement with its body."""
        self.lines.append(head)
        self.lines += [f"    {line}" for line in body or ["pass"]]

    def within(self, head: str, write: Callable[[], None]) -> None:
        """Add a statement whose body ``write`` adds."""
        self.block(head, self.capture(write))


def branches(out: Lines, control: str, cases: list[tuple[tuple[int, ...], list[str]]], last: list[str]) -> None:
    """Add a chain of branches, or a tree of them where there are many."""
    if len(cases) > TREE and all(len(codes) == 1 for codes, _ in cases):
        cases = sorted(cases, key=lambda case: case[0])
        middle = len(cases) // 2
        out.within(f"if {control} < {cases[middle][0][0]}:", lambda: branches(out, control, cases[:middle], last))
        out.within("else:", lambda: branches(out, control, cases[middle:], last))
        return
    word = "if"
    for codes, body in cases:
        out.block(f"{word} {matches(control, codes)}:", body)
        word = "elif"
    if last and cases:
        out.block("else:", last)
    elif last:
        for line in last:
            out(line)


def matches(control: str, codes: tuple[int, ...]) -> str:
    """Return the condition that the variable ``control`` is one of these codes."""
    if len(codes) == 1:
        return f"{control} == {codes[0]}"
    low, high = min(codes), max(codes)
    if high - low == len(codes) - 1:
        return f"{low} <= {control} <= {high}"
    return f"{control} in {{{', '.join(map(str, codes))}}}"
