"""Two runs of fields over the same bits: which field of the one reads which of the other, and what it makes of it.

A run is what stands between two items whose size or presence depends on the payload. In it every field has its place,
counted in bits from the run's start; a little-endian word is just fields whose bits stand elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from siel_codecs.schema.evolution.codes import (
    DATA,
    Break,
    Reading,
    changes,
    highest_raw,
    pieces,
    say,
    title,
    value,
)
from siel_codecs.schema.model import Choice, Constant, Control, Leaf, Number, Opaque, Repeat, Reserved, Word

_MANY_CODES: Final = 4096


class Token(msgspec.Struct, frozen=True):
    """One field of a run."""

    leaf: Leaf
    name: str
    """As in the data: an element of a list has its index behind the name."""
    bits: tuple[int, ...]
    """Where its bits stand, the most significant first."""

    @property
    def is_data(self) -> bool:
        """Whether a reader of the data sees it."""
        return isinstance(self.leaf, DATA) and not self.name.startswith("_")


class Known(msgspec.Struct, frozen=True):
    """Bits that are the same in every frame, as a code."""

    code: int


class Of(msgspec.Struct, frozen=True):
    """The bits of one field of the sender, and nothing else that varies."""

    token: Token
    by: Reading


class Mixed(msgspec.Struct, frozen=True):
    """Bits of several fields, or a part of one."""

    token: Token | None
    """The first of them."""


Source = Known | Of | Mixed
"""What a field of the receiver reads."""


def tokens(item: Leaf | Word | Repeat, at: int) -> list[Token]:
    """Return the fields of an item of fixed size that starts at bit ``at``."""
    if isinstance(item, Word):
        return [
            Token(leaf, title(leaf), tuple(at + _in_word(item.bits, place) for place in range(end - leaf.bits, end)))
            for leaf, end in zip(item.leaves, _ends(item), strict=True)
        ]
    if isinstance(item, Repeat):
        width, count = item.leaf.bits, item.count
        assert isinstance(count, int)  # noqa: S101 - others have no fixed size
        return [
            Token(item.leaf, f"{item.leaf.name}[{n}]", tuple(range(at + n * width, at + (n + 1) * width)))
            for n in range(count)
        ]
    return [Token(item, title(item), tuple(range(at, at + item.bits)))]


def _ends(word: Word) -> Iterator[int]:
    return (word.bits - right for right in word.shifts())


def _in_word(bits: int, place: int) -> int:
    """Return the wire's bit of the number's bit, both from their most significant."""
    return bits - 8 - place // 8 * 8 + place % 8


class Sender:
    """What is known about the bits of a run as one side sends them."""

    def __init__(self, found: list[Token], length: int, padding: int) -> None:
        """``padding`` zeros follow the ``length`` bits of the fields."""
        self.tokens = found
        self.length = length
        self._known = dict.fromkeys(range(length, length + padding), 0)
        self._owner: dict[int, tuple[Token, int]] = {}
        for token in found:
            for place, bit in enumerate(token.bits):
                weight = len(token.bits) - 1 - place
                fixed = _fixed_bit(token.leaf, weight)
                if fixed is None:
                    self._owner[bit] = (token, weight)
                else:
                    self._known[bit] = fixed
                    if weight == 0 and token.is_data:  # of a field with one code only the last bit stands for it
                        self._owner[bit] = (token, 0)
        self._by_place = {token.bits: token for token in found}

    def read(self, bits: tuple[int, ...]) -> Source:
        """Return what somebody reads at these bits."""
        same = self._by_place.get(bits)
        if same is not None and not isinstance(same.leaf, Constant | Reserved):
            return Of(same, Reading())
        owners = [self._owner.get(bit) for bit in bits]
        if all(bit in self._known for bit in bits):
            whole = next((owner[0] for owner in owners if owner and owner[0].is_data), None)
            return Mixed(whole) if whole else Known(int("".join(str(self._known[bit]) for bit in bits), 2))
        varying = [owner for owner in owners if owner]
        token = varying[0][0] if varying else None
        foreign = any(owner is None and bit not in self._known for bit, owner in zip(bits, owners, strict=True))
        if token is None or foreign or any(owner[0] is not token for owner in varying):
            return Mixed(token)
        return self._affine(token, bits, owners)

    def _affine(self, token: Token, bits: tuple[int, ...], owners: list[tuple[Token, int] | None]) -> Source:
        weights = [owner[1] for owner in owners if owner]
        missing = [bit for bit in token.bits if bit not in bits and self._owner.get(bit, (None,))[0] is token]
        places = [place for place, owner in enumerate(owners) if owner]
        one_block = weights == list(range(weights[0], weights[0] - len(weights), -1)) and weights[-1] == 0
        if missing or not one_block or places != list(range(places[0], places[0] + len(places))):
            return Mixed(token)
        right = len(bits) - 1 - places[-1]
        add = sum(self._known[bit] << len(bits) - 1 - n for n, bit in enumerate(bits) if owners[n] is None)
        return Of(token, Reading(1 << right, add))


def _fixed_bit(leaf: Leaf, weight: int) -> int | None:
    if isinstance(leaf, Constant):
        return leaf.code >> weight & 1
    if isinstance(leaf, Reserved):
        return 0
    if isinstance(leaf, Control) or highest_raw(leaf).bit_length() > weight:
        return None
    return 0


def compare(sender: Sender, found: list[Token], elsewhere: set[str]) -> Iterator[Break]:
    """Yield what the fields ``found`` of the receiver make of the sender's run.

    Args:
        sender: Who sends.
        found: The receiver's fields over the same bits; what reaches beyond them is not among them.
        elsewhere: Names of the receiver's fields in the whole message.
    """
    sources = {id(token): sender.read(token.bits) for token in found}
    readers: dict[int, Token] = {}
    for token in found:
        source = sources[id(token)]
        if isinstance(source, Of) and (token.is_data or id(source.token) not in readers):
            readers[id(source.token)] = token
    sent_names = {token.name for token in sender.tokens if token.is_data}
    for token in sender.tokens:
        if token.is_data:
            reader = readers.get(id(token))
            yield from _of_sent(token, reader, sources[id(reader)] if reader else None, found, elsewhere)
    for token in found:
        yield from _of_read(token, sources[id(token)], sent_names)


def _of_sent(
    token: Token, reader: Token | None, source: Source | None, found: list[Token], elsewhere: set[str]
) -> Iterator[Break]:
    if reader is not None and reader.is_data and isinstance(source, Of):
        if reader.name != token.name:
            yield Break(token.name, "renamed", f"is called {reader.name} now")
        elif isinstance(token.leaf, Number | Choice | Opaque) and isinstance(reader.leaf, Number | Choice | Opaque):
            yield from changes(token.leaf, reader.leaf, source.by)
        return
    other = next((each for each in found if each.name == token.name), None)
    if other is None:
        if token.name.split("[")[0] in elsewhere:
            yield Break(token.name, "moved", "stands elsewhere in the frame now", certain="[" not in token.name)
        else:
            yield Break(token.name, "removed", "is not in the frame any more")
    elif len(other.bits) != len(token.bits):
        yield Break(token.name, "width", f"had {len(token.bits)} bits, has {len(other.bits)}")
    elif set(other.bits) == set(token.bits):
        yield Break(token.name, "byte order", "its bytes stand in another order now")
    else:
        yield Break(token.name, "moved", f"started at bit {token.bits[0]}, starts at bit {other.bits[0]}")


def _of_read(token: Token, source: Source, sent_names: set[str]) -> Iterator[Break]:
    if isinstance(token.leaf, Constant):
        if isinstance(source, Known):
            if source.code != token.leaf.code:
                yield Break(token.name, "constant", f"is {source.code} in these frames, must be {token.leaf.code} now")
        else:
            stood = source.token.name if source.token else "something else"
            code, certain = _other_than(source, token.leaf.code)
            yield Break(token.name, "constant", f"must be {token.leaf.code} where {stood} stood", code, certain)
    elif token.is_data and token.name not in sent_names:
        assert isinstance(token.leaf, Number | Choice | Opaque)  # noqa: S101 - is_data says so
        if isinstance(source, Known):
            seen, absent = value(token.leaf, source.code)
            if absent is None:
                yield Break(token.name, "added", f"these frames do not carry it and would say {say(seen)}")
        elif not (isinstance(source, Of) and source.token.is_data):  # that is a renamed field
            stood = source.token.name if source.token else "nothing"
            yield Break(token.name, "added", f"is read where {stood} stood", certain=False)


def _other_than(source: Of | Mixed, code: int) -> tuple[int | None, bool]:
    """Return a code of the sender's field that the constant is not, and whether there is one for sure."""
    if source.token is None or not isinstance(source.token.leaf, Number | Choice | Opaque):
        return None, False
    if isinstance(source, Mixed):
        return None, False
    raws = [raw for piece in pieces(source.token.leaf) for raw in (piece.low, piece.high)]
    return None, any(raw * source.by.factor + source.by.add != code for raw in raws)


def sent_codes(leaf: Leaf) -> list[int] | None:
    """Return every code that a device sends in a field that steers, None where they are too many to list."""
    if isinstance(leaf, Choice):
        found = [code for piece in pieces(leaf) for code in range(piece.low, min(piece.high, piece.low + 256) + 1)]
        return found if len(found) <= _MANY_CODES else None
    return list(range(1 << leaf.bits)) if 1 << leaf.bits <= _MANY_CODES else None
