"""The construct objects of a message: between the bits of a payload and the codes of its items.

They work on a stream in which each byte is one bit, as the inside of a BitStruct does, so that every width and every
place is the same to them. What comes out, and what goes in, is a list as long as the items: of a leaf its code, of a
Word and of a Switch a list (None where nothing follows), of a Repeat the codes, of Samples lists of codes, of a Tlv a
list of ``Found``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import construct as c
from construct.lib import bits2bytes, swapbytesinbits

from siel_codecs.schema import words
from siel_codecs.schema.below import static_bits
from siel_codecs.schema.model import (
    Constant,
    Entry,
    Item,
    Leaf,
    Lookahead,
    Number,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Switch,
    Tlv,
    Word,
)

if TYPE_CHECKING:
    Adapter = c.Adapter[Any, Any, Any, Any]
    Construct = c.Construct[Any, Any]
else:
    Adapter, Construct = c.Adapter, c.Construct


class RefusedError(Exception):
    """The payload says something that the schema has no place for; the text is one of ``words``."""


class Found(NamedTuple):
    """One entry of a Tlv."""

    entry: Entry | None
    """None for the last of a Tlv that is not decoded further, and for one that is passed over."""
    channel: int
    codes: Any
    key: int
    at: int
    """Byte of the payload where it begins."""
    rest: bytes
    """Of an unknown key, from its first byte to the end of the entries."""
    passed_over: bool


class Steering(Adapter):
    """A leaf whose code is kept for the items that it steers."""

    def __init__(self, subcon: Any, name: str) -> None:
        """``name`` is what the items call it."""
        super().__init__(subcon)
        self.steers = name

    def _decode(self, obj: int, context: Any, path: Any) -> int:
        steering(context)[self.steers] = obj
        return obj

    def _encode(self, obj: int, context: Any, path: Any) -> int:
        steering(context)[self.steers] = obj
        return obj


class Expected(Adapter):
    """A constant."""

    def __init__(self, subcon: Any, constant: Constant) -> None:
        """``constant`` is the model's."""
        super().__init__(subcon)
        self.constant = constant

    def _decode(self, obj: int, context: Any, path: Any) -> int:
        if obj != self.constant.code:
            wrong = {"title": self.constant.title, "code": obj, "expected": self.constant.code}
            raise RefusedError(words.WRONG_CONSTANT.format(**wrong))
        return obj

    def _encode(self, obj: int, context: Any, path: Any) -> int:
        return obj


class Unknown(Construct):
    """Stands where a Switch has no arm and that is an error."""

    def __init__(self, switch: Switch) -> None:
        """``switch`` is the model's."""
        super().__init__()
        self.switch = switch

    def _parse(self, stream: Any, context: Any, path: Any) -> Any:
        known = sorted(code for arm in self.switch.arms for code in arm.codes)
        control = self.switch.control
        wrong = {"control": control.removeprefix("_"), "code": steering(context)[control]}
        raise RefusedError(words.UNKNOWN_ARM.format(**wrong, known=", ".join(map(str, known))))


class Series(Construct):
    """The samples of a time series, each a list of codes, in wire order."""

    def __init__(self, samples: Samples) -> None:
        """``samples`` are the model's."""
        super().__init__()
        self.samples = samples
        self.whole = [leaf(each.leaf) for each in samples.leaves]
        self.deltas = [c.BitsInteger(max(each.delta_bits, 1), signed=True) for each in samples.leaves]
        self.least = sum(each.delta_bits or each.leaf.bits for each in samples.leaves)
        self.first = sum(each.leaf.bits for each in samples.leaves)

    def _parse(self, stream: Any, context: Any, path: Any) -> list[list[int]]:
        count = self.samples.count
        if isinstance(count, str):
            count = steering(context)[count]
        found: list[list[int]] = []
        while len(found) < count if isinstance(count, int) else left(stream) >= (self.least if found else self.first):
            before = found[-1] if found else None
            found.append([self._code(index, before, stream, context, path) for index in range(len(self.whole))])
        return found

    def _code(self, index: int, before: list[int] | None, stream: Any, context: Any, path: Any) -> int:
        bits = self.samples.leaves[index].delta_bits
        if bits and before is not None:
            delta = parsed(self.deltas[index], stream, context, path)
            if delta != escape(bits):
                return int(before[index] + delta)
        return int(parsed(self.whole[index], stream, context, path))

    def _build(self, obj: list[list[int]], stream: Any, context: Any, path: Any) -> Any:
        before: list[int] | None = None
        for codes in obj:
            for index, series in enumerate(self.samples.leaves):
                delta = None if before is None else difference(series, before[index], codes[index])
                if delta is not None:
                    build(self.deltas[index], delta, stream, context, path)
                    continue
                if series.delta_bits and before is not None:
                    build(self.deltas[index], escape(series.delta_bits), stream, context, path)
                build(self.whole[index], codes[index], stream, context, path)
            before = codes
        return obj


class Entries(Construct):
    """The entries of a Tlv."""

    def __init__(self, tlv: Tlv) -> None:
        """``tlv`` is the model's."""
        super().__init__()
        self.tlv = tlv
        self.entries = {entry.key: (entry, items(entry.items)) for entry in tlv.entries}
        self.key = c.BitsInteger(tlv.key_bytes * 8)
        self.byte = c.BitsInteger(8)

    def _parse(self, stream: Any, context: Any, path: Any) -> list[Found]:
        end = stream.tell() + left(stream) - 8 * self.tlv.tail_bytes
        if end < stream.tell():
            raise c.StreamError("no room for the tail")
        start = stream.tell()
        inside = io.BytesIO(stream.getvalue()[:end])
        inside.seek(start)
        found: list[Found] = []
        while inside.tell() < end and (not found or found[-1].entry or found[-1].passed_over):
            found.append(self._entry(inside, end, context, path))
        stream.seek(0, 2)
        return found

    def _entry(self, stream: Any, end: int, context: Any, path: Any) -> Found:
        at = stream.tell()
        channel = parsed(self.byte, stream, context, path) if self.tlv.channel else 0
        key = parsed(self.key, stream, context, path)
        entry, layout = self.entries.get(key, (None, None))
        length = None
        if self.tlv.length and (entry or self.tlv.unknown == "skip"):
            length = parsed(self.byte, stream, context, path)
        if entry and layout and (length is None or length * 8 == static_bits(entry.items)):
            codes = parsed(layout, stream, context, path)
            return Found(entry, channel, codes, key, at // 8, b"", False)
        size = length if self.tlv.length else dict(self.tlv.sizes).get(key)
        skipped = self.tlv.unknown == "skip" and size is not None
        if skipped and size is not None:
            parsed(c.Bytes(size * 8), stream, context, path)
        rest = bits2bytes(stream.getvalue()[at:end])
        return Found(None, channel, None, key, at // 8, rest, skipped)

    def _build(self, obj: list[Found], stream: Any, context: Any, path: Any) -> Any:
        for found in obj:
            entry, layout = self.entries[found.key]
            if self.tlv.channel:
                build(self.byte, found.channel, stream, context, path)
            build(self.key, found.key, stream, context, path)
            if self.tlv.length:
                build(self.byte, (static_bits(entry.items) or 0) // 8, stream, context, path)
            build(layout, found.codes, stream, context, path)
        stream.write(bytes(8 * self.tlv.tail_bytes))
        return obj


# construct's classes are made to be derived from; what a derived one calls has an underscore there.


def parsed(subcon: Any, stream: Any, context: Any, path: Any) -> Any:
    """Parse a part of a construct object."""
    return subcon._parsereport(stream, context, path)  # noqa: SLF001 - see above


def build(subcon: Any, value: Any, stream: Any, context: Any, path: Any) -> None:
    """Build a part of a construct object."""
    subcon._build(value, stream, context, path)  # noqa: SLF001 - see above


def steering(context: Any) -> dict[str, int]:
    """Return the codes that steer, by name; the caller of parse or build gives the empty one."""
    codes: dict[str, int] = context._params.codes  # noqa: SLF001 - see above
    return codes


def items(found: tuple[Item, ...]) -> Any:
    """Return the construct object of items that follow each other."""
    return c.Sequence(*map(item, found))


def item(found: Item) -> Any:
    """Return the construct object of one item."""
    if isinstance(found, Word):
        return c.Transformed(items(found.leaves), swapbytesinbits, found.bits, swapbytesinbits, found.bits)
    if isinstance(found, Lookahead):
        return c.Pointer(found.bit, Steering(c.BitsInteger(found.bits), found.name))
    if isinstance(found, Switch):
        arms = {code: items(arm.items) for arm in found.arms for code in arm.codes}
        default = c.Pass if found.otherwise == "ignore" else Unknown(found)
        return c.Switch(lambda context: steering(context)[found.control], arms, default=default)
    if isinstance(found, Repeat):
        return repeat(found)
    own = Series(found) if isinstance(found, Samples) else Entries(found) if isinstance(found, Tlv) else None
    return leaf(found) if own is None else own  # type: ignore[arg-type]


def repeat(found: Repeat) -> Any:
    """Return the construct object of a list."""
    count = found.count
    if count is None:
        return c.GreedyRange(leaf(found.leaf))
    if isinstance(count, str):
        return c.Array(lambda context: steering(context)[count], leaf(found.leaf))
    return c.Array(count, leaf(found.leaf))


def leaf(found: Leaf) -> Any:
    """Return the construct object of some bits."""
    if isinstance(found, Reserved):
        return c.BitsInteger(found.bits)
    bits = c.BitsInteger(found.bits, signed=isinstance(found, Number) and found.signed)
    return Expected(bits, found) if isinstance(found, Constant) else Steering(bits, found.name)


def escape(bits: int) -> int:
    """Return the difference that says that the whole code follows."""
    return -(1 << bits - 1)


def difference(series: SeriesLeaf, before: int, code: int) -> int | None:
    """Return the difference as it is sent, None where the whole code is."""
    number = series.leaf
    if not series.delta_bits or not isinstance(number, Number):
        return None
    values = number.code_min <= before <= number.code_max and number.code_min <= code <= number.code_max
    return code - before if values and abs(code - before) < 1 << series.delta_bits - 1 else None


def left(stream: Any) -> int:
    """Return how many bits the stream still has."""
    return len(stream.getbuffer()) - int(stream.tell())
