"""Where each field of a message stands, as far as that is fixed, and what cannot stand where it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from siel_codecs.schema.load.fields import Context
from siel_codecs.schema.load.tables import (
    AnyField,
    Const,
    Field,
    Group,
    LittleWord,
    Series,
    Table,
    TlvList,
    Union,
    Unused,
)
from siel_codecs.schema.model import MAX_PAYLOAD_BYTES, Choice, Control, Leaf
from siel_codecs.toml_lines import TomlPath

_MOST_BITS: Final = 8 * MAX_PAYLOAD_BYTES


class Place:
    """A position in a payload."""

    __slots__ = ("align", "least", "start")

    def __init__(self, least: int, start: int | None, align: int | None) -> None:
        self.least = least
        """The fewest bits that can stand before it."""
        self.start = start
        """Bits that stand before it, None where that depends on the payload."""
        self.align = align
        """The same modulo 8, None where even that depends."""

    def after(self, bits: int) -> Place:
        """Return the place ``bits`` further on."""
        start = None if self.start is None else self.start + bits
        return Place(self.least + bits, start, None if self.align is None else (self.align + bits) % 8)

    def after_some(self, least: int, unit: int) -> Place:
        """Return the place after an unknown number of times ``unit`` bits, at least ``least`` bits."""
        return Place(self.least + least, None, self.align if unit % 8 == 0 else None)


def fields_below(table: Table, path: TomlPath) -> list[tuple[Sequence[AnyField], TomlPath]]:
    """Return the lists of fields in a group, union, word, series or TLV, each with its path; of others none."""
    if isinstance(table, Union):
        return [(arm.field, (*path, "arm", n, "field")) for n, arm in enumerate(table.arm)]
    if isinstance(table, TlvList):
        return [(entry.field, (*path, "entry", n, "field")) for n, entry in enumerate(table.entry)]
    if isinstance(table, Group | LittleWord | Series):
        return [(table.field, (*path, "field"))]
    return []


def leaf_bits(table: Table) -> int:
    """Return the bits of one field, constant or reserved entry; of an array those of one element."""
    if isinstance(table, Unused):
        return table.reserved
    return int(table.type.bits) if isinstance(table, Field | Const) else 0


class Places:
    """One message's walk; afterwards ``starts`` says where each field with a fixed place begins."""

    def __init__(self, leaves: Mapping[TomlPath, Leaf], context: Context) -> None:
        """``leaves`` are all of the message's by their paths."""
        self._context = context
        self._bits: dict[str, set[int]] = {}
        for leaf in leaves.values():
            if isinstance(leaf, Control | Choice):
                self._bits.setdefault(leaf.name, set()).add(leaf.bits)
        self._full = False
        self.starts: dict[TomlPath, int] = {}

    def walk(self, fields: Sequence[AnyField], path: TomlPath, place: Place, *, last: bool, entry: bool) -> Place:
        """Return the place after ``fields``.

        Args:
            fields: One list of fields.
            path: Of that list.
            place: Where it begins.
            last: Nothing follows the list.
            entry: It stands in an entry of a TLV.
        """
        for n, table in enumerate(fields):
            here = (*path, n)
            if place.start is not None and not entry:
                self.starts[here] = place.start
            place = self._after(table, here, place, last=last and n == len(fields) - 1, entry=entry)
            if place.least > _MOST_BITS and not self._full:
                self._full = True
                most = f"a payload has at most {MAX_PAYLOAD_BYTES}"
                self._context.fault(here, f"ends after {(place.least + 7) // 8} bytes; {most}")
        return place

    def _after(self, table: AnyField, path: TomlPath, place: Place, *, last: bool, entry: bool) -> Place:
        def whole(what: str, key: str) -> None:
            if place.align is None:
                where = "what stands before it can end within a byte"
            elif place.align:
                where = f"it begins {place.align} bits into one"
            else:
                return
            self._context.fault((*path, key), f"{what} must begin on a byte, but {where}")

        def to_end(what: str, key: str) -> None:
            if entry:
                self._context.fault((*path, key), f"{what} to the end cannot stand in an entry: more entries follow")
            elif not last:
                self._context.fault((*path, key), f"{what} to the end must be the last of the message")

        if isinstance(table, Field):
            return self._field(table, path, place, whole, to_end)
        if isinstance(table, LittleWord):
            whole("a word", "word")
            return place.after(table.word)
        if isinstance(table, Series):
            return self._series(table, place, to_end)
        if isinstance(table, TlvList):
            whole("a TLV", "tlv")
            to_end("entries", "tlv")
            return self._entries(table, path, place)
        if isinstance(table, Group | Union):
            return self._arms(table, path, place, last=last, entry=entry)
        if isinstance(table, Const) and table.type.little:
            whole("a little-endian number", "type")
        return place.after(leaf_bits(table))

    def _field(
        self,
        table: Field,
        path: TomlPath,
        place: Place,
        whole: Callable[[str, str], None],
        to_end: Callable[[str, str], None],
    ) -> Place:
        bits = leaf_bits(table)
        if table.type.kind == "hex" or table.type.little:
            whole("bytes in hex" if table.type.kind == "hex" else "a little-endian number", "type")
        if table.count is None:
            to_end("an array", "count")
            if bits < 8:  # noqa: PLR2004 - a byte
                self._context.fault(
                    (*path, "count"), "elements to the end have at least 8 bits, or padding looks like one"
                )
        if isinstance(table.count, int):
            return place.after(bits * (table.count or 1))
        return place.after_some(0, bits)

    def _series(self, table: Series, place: Place, to_end: Callable[[str, str], None]) -> Place:
        bits = sum(leaf_bits(each) for each in table.field)
        delta = any(isinstance(each, Field) and each.delta for each in table.field)
        if table.samples is None:
            to_end("a series", "samples")
            return place.after_some(0, 1)
        if isinstance(table.samples, str):
            return place.after_some(0, 1 if delta else bits)
        if not delta:
            return place.after(bits * table.samples)
        fewest = sum((isinstance(each, Field) and each.delta) or leaf_bits(each) for each in table.field)
        return place.after_some(bits + fewest * (table.samples - 1), 1)

    def _entries(self, table: TlvList, path: TomlPath, place: Place) -> Place:
        for (fields, below), entry in zip(fields_below(table, path), table.entry, strict=True):
            head = 8 * ((2 if table.tlv == "u16" else 1) + table.channel + table.length)
            end = self.walk(fields, below, Place(place.least + head, None, 0), last=False, entry=True)
            if end.align != 0:
                left = "can end within a byte" if end.align is None else f"leaves {end.align} bits of a byte"
                self._context.fault((*below[:-1], "field"), f"the entry of key {entry.key} {left}")
        return place.after_some(8 * table.tail, 8)

    def _arms(self, table: Group | Union, path: TomlPath, place: Place, *, last: bool, entry: bool) -> Place:
        ends = [self.walk(fields, below, place, last=last, entry=entry) for fields, below in fields_below(table, path)]
        if isinstance(table, Group) or (table.otherwise == "ignore" and not self._covers(table)):
            ends.append(place)
        starts, aligns = {end.start for end in ends}, {end.align for end in ends}
        least = min(end.least for end in ends)
        return Place(least, starts.pop() if len(starts) == 1 else None, aligns.pop() if len(aligns) == 1 else None)

    def _covers(self, table: Union) -> bool:
        bits = self._bits.get(table.switch, set())
        return len(bits) == 1 and covers(table, next(iter(bits)))


def covers(table: Union, bits: int) -> bool:
    """Whether each code of a control of so many bits has an arm, so that nothing is left to ``otherwise``."""
    return len({code for arm in table.arm for code in arm.is_ if 0 <= code < 1 << bits}) == 1 << bits
