"""What the codes of one field mean, and what becomes of them when another field reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from siel_codecs.schema.model import Absent, Choice, Constant, Control, Number, Opaque, Reserved

Kind = Literal[
    "moved",
    "width",
    "byte order",
    "sign",
    "scale",
    "offset",
    "unit",
    "meaning",
    "special codes",
    "range",
    "removed",
    "renamed",
    "another kind",
    "added",
    "constant",
    "group",
    "list",
    "series",
    "entry",
    "length",
    "port",
    "version",
]
"""What changed."""
DATA: Final = (Number, Choice, Opaque)
Value = int | float | str | bool | None


class Break(msgspec.Struct, frozen=True):
    """One reason why a frame of the sender says something else to the receiver.

    In its text what was is as the sender means it, and what is now is as the receiver does.
    """

    field: str
    kind: Kind
    reason: str
    code: int | None = None
    """A code of the field that shows it."""
    certain: bool = True
    """False: a frame has to show whether it matters."""


class Piece(msgspec.Struct, frozen=True):
    """Raw codes (as they stand on the wire, unsigned) ``low`` to ``high`` that mean one kind of thing."""

    low: int
    high: int
    shift: int
    """The code is the raw code less this."""
    absent: Absent | None
    """None: they are values."""


class Reading(msgspec.Struct, frozen=True):
    """How the receiver's raw code follows from the sender's: ``raw * factor + add``."""

    factor: int = 1
    add: int = 0


def pieces(leaf: Number | Choice | Opaque) -> Iterator[Piece]:
    """Yield what a device may send in this field: values, and codes that say why there is none."""
    spans: list[tuple[int, int, Absent | None]]
    if isinstance(leaf, Number):
        spans = [(leaf.code_min, leaf.code_max, None)]
    elif isinstance(leaf, Choice):
        spans = [(code, code, None) for code, _ in leaf.meanings]
    else:
        spans = [(0, (1 << leaf.bits) - 1, None)]
    specials = () if isinstance(leaf, Opaque) else leaf.specials
    spans += [(special.first, special.last, special.absent) for special in specials]
    modulus = 1 << leaf.bits
    for first, last, absent in spans:
        if first < 0:
            yield Piece(first + modulus, min(last, -1) + modulus, modulus, absent)
        if last >= 0:
            yield Piece(max(first, 0), last, 0, absent)


def highest_raw(leaf: Number | Choice | Opaque) -> int:
    """Return the largest raw code that a device sends."""
    return max((piece.high for piece in pieces(leaf)), default=0)


def value(leaf: Number | Choice | Opaque, raw: int) -> tuple[Value, Absent | None]:
    """Return what a raw code says: a value, or None and why there is none."""
    for piece in pieces(leaf):
        if piece.low <= raw <= piece.high:
            return (None, piece.absent) if piece.absent else (_value(leaf, raw, piece.shift), None)
    return None, Absent.OUT_OF_RANGE


def changes(sent: Number | Choice | Opaque, read: Number | Choice | Opaque, by: Reading) -> Iterator[Break]:
    """Yield what a field's codes no longer say when another field reads them; each kind of change once.

    Args:
        sent: The field as its sender means it.
        read: The field of the receiver.
        by: How the one's raw code follows from the other's.
    """
    seen: set[str] = set()
    for piece in pieces(sent):
        for low, high, other in _overlaps(piece, read, by):
            for found in _change(sent, piece, read, other, low, high, by):
                if found.kind not in seen:
                    seen.add(found.kind)
                    yield found
    if isinstance(sent, Number) and isinstance(read, Number):
        before, after = (leaf.unit.display if leaf.unit else "" for leaf in (sent, read))
        if before != after:
            yield Break(sent.name, "unit", f"was in {before or 'no unit'}, is in {after or 'no unit'}", sent.code_min)


def _overlaps(piece: Piece, read: Number | Choice | Opaque, by: Reading) -> Iterator[tuple[int, int, Piece | None]]:
    """Yield the sender's raw codes of a piece, cut where the receiver's meaning changes; None is no meaning."""
    taken: list[tuple[int, int, Piece | None]] = []
    for other in pieces(read):
        low = max(piece.low, -((by.add - other.low) // by.factor))
        high = min(piece.high, (other.high - by.add) // by.factor)
        if low <= high:
            taken.append((low, high, other))
    taken.sort(key=lambda part: part[0])
    at = piece.low
    for low, high, other_piece in taken:
        if at < low:
            yield at, low - 1, None
        yield low, high, other_piece
        at = high + 1
    if at <= piece.high:
        yield at, piece.high, None


def _change(
    sent: Number | Choice | Opaque,
    piece: Piece,
    read: Number | Choice | Opaque,
    other: Piece | None,
    low: int,
    high: int,
    by: Reading,
) -> Iterator[Break]:
    after = other.absent if other else Absent.OUT_OF_RANGE
    shown = _shown(sent, piece, low, high)
    if piece.absent is None and after is None and other is not None:
        for raw in (high, low):
            new = _value(read, raw * by.factor + by.add, other.shift)
            if not equal(_value(sent, raw, piece.shift), new):
                yield from _other_value(sent, piece, read, other, raw, new, by)
                return
    elif piece.absent is None:
        if other is None and isinstance(read, Choice):
            yield Break(sent.name, "meaning", f"{shown}: without a meaning now", high - piece.shift)
        elif other is None:
            yield Break(sent.name, "range", f"{shown}: outside its range now", high - piece.shift)
        else:
            yield Break(sent.name, "special codes", f"{shown} now says {_why(after)}", high - piece.shift)
    elif after is None and other is not None:
        new = _value(read, high * by.factor + by.add, other.shift)
        reason = f"{shown} said {piece.absent.value}, is now the value {say(new)}"
        yield Break(sent.name, "special codes", reason, high - piece.shift)
    elif after is not piece.absent:
        yield Break(
            sent.name, "special codes", f"{shown} said {piece.absent.value}, now says {_why(after)}", high - piece.shift
        )


def _other_value(
    sent: Number | Choice | Opaque,
    piece: Piece,
    read: Number | Choice | Opaque,
    other: Piece,
    raw: int,
    new: Value,
    by: Reading,
) -> Iterator[Break]:
    code, old = raw - piece.shift, say(_value(sent, raw, piece.shift))
    example = f"code {code} was {old}, is now {say(new)}"
    if not (isinstance(sent, Number) and isinstance(read, Number)):
        same = isinstance(sent, Choice) and isinstance(read, Choice)
        yield Break(sent.name, "meaning" if same else "another kind", example, code)
        return
    if piece.shift != other.shift:
        was = f"was {_sign(sent)}, is {_sign(read)}" if sent.signed != read.signed else "the sign is another bit"
        yield Break(sent.name, "sign", f"{was}: {example}", code)
    step = read.scale * by.factor
    if sent.scale != step:
        yield Break(sent.name, "scale", f"one step was {sent.scale}, is {step}: {example}", code)
    elif piece.shift == other.shift:
        yield Break(sent.name, "offset", example, code)


def _value(leaf: Number | Choice | Opaque, raw: int, shift: int) -> Value:
    if isinstance(leaf, Number):
        return leaf.value(raw - shift)
    if isinstance(leaf, Choice):
        return next(meaning for code, meaning in leaf.meanings if code == raw)
    return raw.to_bytes(leaf.bits // 8, "big").hex()


def equal(one: object, other: object) -> bool:
    """Tell whether two values are the same to a reader of JSON: 20 is 20.0, but 1 is not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    return one == other


def say(found: object) -> str:
    """Return a value as people read it."""
    if isinstance(found, bool):
        return "true" if found else "false"
    return f"{found:g}" if isinstance(found, float) else repr(found) if isinstance(found, str) else str(found)


def _shown(sent: Number | Choice | Opaque, piece: Piece, low: int, high: int) -> str:
    first, last = low - piece.shift, high - piece.shift
    codes = f"code {first}" if first == last else f"codes {first} to {last}"
    if piece.absent is not None:
        return codes
    ends = dict.fromkeys(say(_value(sent, raw, piece.shift)) for raw in (low, high))
    return f"{codes} ({' to '.join(ends)})"


def _why(absent: Absent | None) -> str:
    return "nothing" if absent is None or absent is Absent.OUT_OF_RANGE else absent.value


def _sign(leaf: Number) -> str:
    return "signed" if leaf.signed else "unsigned"


def title(leaf: Number | Choice | Opaque | Control | Constant | Reserved) -> str:
    """Return what to call a field in front of people."""
    return leaf.title if isinstance(leaf, Constant) else "reserved bits" if isinstance(leaf, Reserved) else leaf.name
