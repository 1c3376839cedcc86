"""JavaScript as text: literals, messages, bits out of bytes, and a file that grows by lines.

ES5 that means the same in strict and in sloppy code. Integers above 31 bits are doubles: JavaScript's shifts are not
for them.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from siel_codecs.schema.model import CHANNEL
from siel_codecs.schema.words import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TARGET: Final = "javascript"
INT_BITS: Final = 32
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ODD_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_]")

Part = tuple[bool, str]
"""True: text as it is read; False: an expression."""


def literal(value: str | bool | int) -> str:
    """Return the JavaScript literal of a text, a truth value or an integer."""
    return json.dumps(value)


def member(target: str, name: str) -> str:
    """Return the expression of a property; reserved words are allowed after a dot since ES5."""
    return f"{target}.{name}" if _PLAIN_NAME.fullmatch(name) else f"{target}[{literal(name)}]"


def text(value: str) -> tuple[Part, ...]:
    """Return a text whose CHANNEL, if it has one, is the variable ``channel``."""
    found: list[Part] = []
    for index, piece in enumerate(value.split(CHANNEL)):
        found += [(False, "channel")] * (index > 0) + [(True, piece)]
    return tuple(found)


def plain(value: str) -> tuple[Part, ...]:
    """Return a text as it is read."""
    return ((True, value),)


def say(template: str, **values: str | tuple[Part, ...]) -> str:
    """Return the expression of one of the texts of ``words``.

    Args:
        template: The text with its named parts.
        values: Per part an expression (a plain string), or texts and expressions (``text``, ``plain``).
    """
    found: list[Part] = []
    for index, piece in enumerate(parts(template)):
        if index % 2 == 0:
            found.append((True, piece))
        else:
            value = values[piece]
            found += [(False, value)] if isinstance(value, str) else value
    return joined(found)


def joined(pieces: Sequence[Part]) -> str:
    """Return the concatenation of texts and expressions; always a string in JavaScript."""
    merged: list[Part] = []
    for is_text, piece in pieces:
        if is_text and merged and merged[-1][0]:
            merged[-1] = (True, merged[-1][1] + piece)
        elif piece or not is_text:
            merged.append((is_text, piece))
    if not merged or not any(is_text for is_text, _ in merged[:2]):
        merged.insert(0, (True, ""))
    return " + ".join(literal(piece) if is_text else _atom(piece) for is_text, piece in merged)


def _atom(expression: str) -> str:
    return expression if re.fullmatch(r"[\w.$]+(\([\w.$, ]*\))?", expression) else f"({expression})"


def identifier(name: str) -> str:
    """Return what may stand in the name of a variable."""
    return _ODD_IN_NAME.sub("_", name)


def one_line(value: str) -> str:
    """Return a text that cannot end a line comment."""
    return " ".join(value.split())


def bits_of(octets: Sequence[str], skip: int, bits: int, *, signed: bool = False) -> str:
    """Return the code that ``bits`` bits make, the most significant first.

    Args:
        octets: Expressions of all bytes that hold them and no other, at most five.
        skip: How many bits of the first byte stand before them, 0 to 7.
        bits: 1 to 32.
        signed: Two's complement; needs two bits or more.
    """
    total = 8 * len(octets)
    right = total - skip - bits
    if total > INT_BITS:
        high = f"({octets[0]} & {(1 << 8 - skip) - 1}) * {1 << INT_BITS - right}"
        code = f"{high} + (({_whole(octets[1:])}) >>> {right})"
        return _sign(code, bits) if signed else code
    whole = _whole(octets)
    grouped = f"({whole})" if len(octets) > 1 else whole
    if signed:
        left = INT_BITS - total + skip
        moved = f"{grouped} << {left}" if left else grouped
        return f"{moved} >> {INT_BITS - bits}" if bits < INT_BITS else whole
    if right or (total == INT_BITS and not skip):
        whole = grouped = f"{grouped} >>> {right}"
    return f"{grouped} & {(1 << bits) - 1}" if skip else whole


def _whole(octets: Sequence[str]) -> str:
    last = len(octets) - 1
    return " | ".join(
        f"{octet} << {8 * (last - index)}" if index < last else octet for index, octet in enumerate(octets)
    )


def _sign(code: str, bits: int) -> str:
    return f"({code}) << {INT_BITS - bits} >> {INT_BITS - bits}" if bits < INT_BITS else f"({code}) | 0"


def bits_at(at: str, bits: int, *, signed: bool = False) -> str:
    """Return the code of bits at a place that only the payload tells."""
    code = f"siel_bits(b, {at}, {bits})"
    return _sign(code, bits) if signed else code


class Script:
    """Lines with their indentation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def add(self, *lines: str) -> None:
        """Append lines at the present depth."""
        self.lines += ["  " * self.depth + line if line else "" for line in lines]

    @contextmanager
    def block(self, head: str, tail: str = "}") -> Iterator[None]:
        """Indent what is added inside, between ``head {`` and ``tail``."""
        self.add(f"{head} {{")
        self.depth += 1
        yield
        self.depth -= 1
        self.add(tail)

    def chain(self, cases: Sequence[tuple[str, Sequence[str]]], otherwise: Sequence[str]) -> None:
        """Append ``if (condition) ...; else if ...; else ...``; an empty condition always holds and ends it."""
        word = "if"
        for condition, statements in cases:
            if not condition:
                otherwise = statements
                break
            self._branch(f"{word} ({condition})", statements)
            word = "else if"
        if otherwise and word == "if":
            self.add(*otherwise)
        elif otherwise:
            self._branch("else", otherwise)

    def _branch(self, head: str, statements: Sequence[str]) -> None:
        if len(statements) == 1:
            self.add(f"{head} {statements[0]}")
        else:
            self.add(f"{head} {{", *(f"  {statement}" for statement in statements), "}")
