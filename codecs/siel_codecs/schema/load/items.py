"""From the tables of a message to its items: order, references, arms, series and entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from siel_codecs.schema.load.fields import Context, constant_of, leaf_of
from siel_codecs.schema.load.names import Names, Scope
from siel_codecs.schema.load.places import Place, Places, covers, fields_below
from siel_codecs.schema.load.references import Found, References
from siel_codecs.schema.load.series import SeriesReader, plain_leaf
from siel_codecs.schema.load.tables import (
    AnyField,
    Const,
    Field,
    Group,
    LittleWord,
    MessageTable,
    Series,
    Table,
    TlvEntry,
    TlvList,
    Union,
    Unused,
)
from siel_codecs.schema.model import (
    CHANNEL,
    Arm,
    Choice,
    Constant,
    Control,
    Entry,
    Item,
    Leaf,
    Message,
    Number,
    Opaque,
    Repeat,
    Reserved,
    Switch,
    Tlv,
    Word,
)
from siel_codecs.toml_lines import TomlPath

MAX_NESTING: Final = 8
"""Groups, unions and entries inside each other."""
_COVERED_BITS: Final = 8
"""Up to here "all other codes" are few enough to be listed."""
_VERSION_TITLE: Final = "payload version"


def message_of(table: MessageTable, path: TomlPath, context: Context) -> Message:
    """Return the message; faults are in ``context``."""
    return _Builder(table, path, context).message()


class _Builder:
    """One message. First every leaf by itself, then where it stands, then what it refers to."""

    def __init__(self, table: MessageTable, path: TomlPath, context: Context) -> None:
        self._table, self._path, self._context = table, path, context
        context.units_of_names = {}
        self._leaves: dict[TomlPath, Leaf] = {}
        self._references = References(self._leaves, (*path, "field"), context)
        self._series = SeriesReader(self._references, context)
        self._names = Names(context)
        self._readers: dict[type[Table], Callable[[Any, TomlPath, Scope, Names], Item]] = {
            Field: self._field,
            LittleWord: self._word,
            Group: self._group,
            Union: self._union,
            Series: self._series.read,
            TlvList: self._tlv,
        }

    def message(self) -> Message:
        table, fields = self._table, (*self._path, "field")
        version = table.version
        if version is not None and version.value >> version.bits:
            reason = f"{version.value} does not fit {version.bits} bits"
            self._context.fault((*self._path, "version"), reason)
        self._read_leaves(table.field, fields, 0)
        places = Places(self._leaves, self._context)
        start = version.bits if version else 0
        places.walk(table.field, fields, Place(start, start, start % 8), last=True, entry=False)
        self._references.find_later(table.field, places.starts)
        items = self._items(table.field, fields, Scope({}, {}), self._names, top=True)
        self._references.check_controls()
        for where, leaf in self._leaves.items():
            if CHANNEL in getattr(leaf, "name", "") and "entry" not in where:
                self._context.fault((*where, "name"), f'"{CHANNEL}" stands for the channel of a TLV entry only')
        if version is not None:
            items = (Constant(_VERSION_TITLE, version.bits, version.value), *items)
        title = table.title or (table.name or "uplink").replace("_", " ").capitalize()
        return Message(table.name, title, items, table.extra, version.value if version else None)

    # Leaves

    def _read_leaves(self, fields: Sequence[AnyField], path: TomlPath, depth: int) -> None:
        if depth > MAX_NESTING:
            self._context.fault(path, f"is nested more than {MAX_NESTING} deep")
        for n, table in enumerate(fields):
            here = (*path, n)
            if isinstance(table, Field):
                self._leaves[here] = leaf_of(table, here, self._context)
            elif isinstance(table, Const):
                self._leaves[here] = constant_of(table, here, self._context)
            elif isinstance(table, Unused):
                self._leaves[here] = Reserved(table.reserved)
            for below, its in fields_below(table, here):
                self._read_leaves(below, its, depth + 1)

    # Items

    def _items(
        self, fields: Sequence[AnyField], path: TomlPath, scope: Scope, names: Names, *, top: bool = False
    ) -> tuple[Item, ...]:
        items: list[Item] = []
        for n, table in enumerate(fields):
            here = (*path, n)
            item = self._item(table, here, scope, names)
            if top:
                items += self._references.ahead
                self._references.ahead.clear()
            items.append(item)
        return tuple(items)

    def _item(self, table: AnyField, path: TomlPath, scope: Scope, names: Names) -> Item:
        read = self._readers.get(type(table))
        if read is not None:
            return read(table, path, scope, names)
        leaf = self._leaves[path]
        return Word(leaf.bits, (leaf,)) if isinstance(table, Const) and table.type.little else leaf

    def _take(self, leaf: Leaf, path: TomlPath, scope: Scope, names: Names) -> None:
        # Adds a name to what has been read
        if isinstance(leaf, Number | Choice | Opaque | Control):
            names.add(leaf, path, scope.conditions)
            scope.leaves[leaf.name] = (leaf, path)

    def _field(self, table: Field, path: TomlPath, scope: Scope, names: Names) -> Item:
        leaf = self._leaves[path]
        self._no_delta(table, path)
        if table.count == 0:
            self._take(leaf, path, scope, names)
            return Word(leaf.bits, (leaf,)) if table.type.little else leaf
        if not isinstance(leaf, Number | Choice):
            return leaf  # told before
        if table.type.little:
            self._context.fault((*path, "type"), "the elements of an array are big-endian")
        names.add(leaf, path, scope.conditions)
        if isinstance(table.count, str):
            self._references.control(table.count, (*path, "count"), scope, "counts")
        return Repeat(leaf, table.count)

    def _no_delta(self, table: Field, path: TomlPath) -> None:
        if table.delta is not None:
            self._context.fault((*path, "delta"), "differences are between the samples of a series only")

    def _word(self, table: LittleWord, path: TomlPath, scope: Scope, names: Names) -> Word:
        leaves: list[Leaf] = []
        for n, each in enumerate(table.field):
            here = (*path, "field", n)
            leaf = plain_leaf(each, here, "a word", self._references, self._context)
            if isinstance(each, Field):
                self._no_delta(each, here)
            if isinstance(leaf, Opaque):
                self._context.fault((*here, "type"), "bytes in hex cannot stand in a word")
            elif leaf is not None:
                leaves.append(leaf)
                self._take(leaf, here, scope, names)
        bits = sum(leaf.bits for leaf in leaves)
        if bits != table.word and len(leaves) == len(table.field):
            self._context.fault((*path, "word"), f"its fields have {bits} bits, not {table.word}")
        return Word(table.word, tuple(leaves))

    # Groups and unions

    def _group(self, table: Group, path: TomlPath, scope: Scope, names: Names) -> Switch:
        found = self._references.control(table.when, (*path, "when"), scope, "steers")
        codes, rest = self._group_codes(table, path, found[0] if found else None)
        arms = [Arm(codes, self._arm(table.field, (*path, "field"), (codes, path), found, (scope, names), table.when))]
        bits: int = found[0].bits if found else 1
        if rest:
            arms.append(Arm(rest, ()))
        whole = bits <= _COVERED_BITS and len(codes) + len(rest) == 1 << bits
        return Switch(table.when, tuple(arms), "error" if whole else "ignore")

    def _group_codes(
        self, table: Group, path: TomlPath, control: Control | Choice | None
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        # The codes for which the group is there, and those that an encoder sends where it is not
        if table.is_ is not None and table.is_not is not None:
            self._context.fault((*path, "is_not"), "stands beside is; one of them")
        if control is None:
            return table.is_ or (1,), ()
        known = self._codes_fit(table.is_ or table.is_not or (), (*path, "is" if table.is_ else "is_not"), control)
        if table.is_ is not None:
            codes = known
        elif control.bits > _COVERED_BITS:
            reason = f"{control.name!r} has {control.bits} bits; list the codes with is"
            self._context.fault((*path, "is_not" if table.is_not else "when"), reason)
            return (1,), ()
        else:
            absent = set(known) if table.is_not else {_code_of_absence(control)}
            codes = tuple(code for code in _all_codes(control) if code not in absent)
            if not codes:
                self._context.fault((*path, "is_not"), "leaves no code for which the group is there")
        others = [code for code in _all_codes(control) if code not in codes]
        if isinstance(control, Choice):
            return codes, tuple(code for code in others if code in dict(control.meanings)) or tuple(others[:1])
        return codes, tuple(others[:1])

    def _union(self, table: Union, path: TomlPath, scope: Scope, names: Names) -> Switch:
        found = self._references.control(table.switch, (*path, "switch"), scope, "steers")
        arms: list[Arm] = []
        taken: set[int] = set()
        for n, arm in enumerate(table.arm):
            here = (*path, "arm", n)
            twice = [code for code in arm.is_ if code in taken]
            if twice:
                self._context.fault((*here, "is"), f"code {twice[0]} has an arm already")
            taken |= set(arm.is_)
            codes = self._codes_fit(arm.is_, (*here, "is"), found[0]) if found else arm.is_
            items = self._arm(arm.field, (*here, "field"), (codes, (*here, "is")), found, (scope, names), table.switch)
            arms.append(Arm(codes, items))
        whole = found is not None and covers(table, found[0].bits)
        return Switch(table.switch, tuple(arms), "error" if whole else table.otherwise)

    def _codes_fit(self, codes: tuple[int, ...], path: TomlPath, control: Control | Choice) -> tuple[int, ...]:
        # Codes that the control can have; the others make an arm that nothing reaches
        good: list[int] = []
        meanings = [code for code, _ in control.meanings] if isinstance(control, Choice) else None
        for code in codes:
            if not 0 <= code < 1 << control.bits:
                reason = f"{control.name!r} has {control.bits} bit{'s' * (control.bits > 1)}: code {code} never comes"
                self._context.fault(path, reason)
            elif meanings is not None and code not in meanings:
                self._context.fault(path, f"code {code} is no meaning of {control.name!r}")
            else:
                good.append(code)
        return tuple(good)

    def _arm(
        self,
        fields: Sequence[AnyField],
        path: TomlPath,
        codes: tuple[tuple[int, ...], TomlPath],
        control: Found | None,
        around: tuple[Scope, Names],
        unknown: str,
    ) -> tuple[Item, ...]:
        scope, names = around
        where = control[1] if control else ("?", unknown)  # told already: its arms exclude each other all the same
        below = scope.below(where, frozenset(codes[0]))
        if control is not None and codes[0] and not below.conditions[where]:
            name = control[0].name
            self._context.fault(codes[1], f"is never reached: {name!r} has another code where this stands")
        return self._items(fields, path, below, names)

    # Entries

    def _tlv(self, table: TlvList, path: TomlPath, scope: Scope, names: Names) -> Tlv:
        key_bytes = 2 if table.tlv == "u16" else 1
        entries: list[Entry] = []
        keys: dict[int, str] = {}
        if table.unknown == "raw":
            names.add(Opaque("raw", "", 8), path, scope.conditions)

        def key_fits(key: int, here: TomlPath) -> None:
            if not 0 <= key < 1 << 8 * key_bytes:
                self._context.fault(here, f"{hex(key)} does not fit {8 * key_bytes} bits")
            elif key in keys:
                self._context.fault(here, f"key {hex(key)} is there twice ({keys[key]})")

        for n, entry in enumerate(table.entry):
            here = (*path, "entry", n)
            key_fits(entry.key, (*here, "key"))
            keys.setdefault(entry.key, f"entry {n}")
            entries.append(self._entry(entry, here, scope, names, channel=table.channel))
        for key, _ in table.sizes:
            key_fits(key, (*path, "sizes"))
            keys.setdefault(key, "sizes")
        if table.sizes and table.unknown != "skip":
            self._context.fault((*path, "sizes"), 'are looked at with unknown = "skip" only')
        if any(entry.time for entry in table.entry) and self._series.found:
            self._context.fault((*path, "tlv"), "entries with a time and a series cannot stand in one message")
        return Tlv(key_bytes, table.channel, table.length, tuple(entries), table.unknown, table.sizes, table.tail)

    def _entry(self, entry: TlvEntry, path: TomlPath, around: Scope, outer: Names, *, channel: bool) -> Entry:
        scope = Scope({}, {}, is_entry=True)
        items = self._items(entry.field, (*path, "field"), scope, Names(self._context))
        for where, leaf in self._leaves.items():
            if where[: len(path)] != path or not isinstance(leaf, Number | Choice | Opaque):
                continue
            outer.add_entry(leaf.name, where, around.conditions)
            if channel != (CHANNEL in leaf.name):
                must = f'must contain "{CHANNEL}"' if channel else f'cannot contain "{CHANNEL}": there is no channel'
                self._context.fault((*where, "name"), f"{leaf.name!r} {must}")
        for where, table in _tables(entry, path):
            if isinstance(table, Series):
                self._context.fault((*where, "samples"), "a series cannot stand in an entry")
            if isinstance(table, TlvList):
                self._context.fault((*where, "tlv"), "a TLV cannot stand in an entry")
        if entry.time is not None:
            self._references.control(entry.time, (*path, "time"), scope, "can be the time")
        return Entry(entry.key, items, entry.time)


def _tables(entry: TlvEntry, path: TomlPath) -> list[tuple[TomlPath, Table]]:
    found: list[tuple[TomlPath, Table]] = []
    rest: list[tuple[TomlPath, Table]] = [((*path, "field", n), each) for n, each in enumerate(entry.field)]
    while rest:
        where, table = rest.pop()
        found.append((where, table))
        for fields, below in fields_below(table, where):
            rest += [((*below, n), each) for n, each in enumerate(fields)]
    return found


def _all_codes(control: Control | Choice) -> list[int]:
    # Those with a meaning first: an encoder sends the first of an arm
    every = list(range(1 << min(control.bits, _COVERED_BITS)))
    if isinstance(control, Choice):
        meant = [code for code, _ in control.meanings]
        return meant + [code for code in every if code not in meant]
    return every


def _code_of_absence(control: Control | Choice) -> int:
    # "when" alone: a flag that is False, or code 0
    if isinstance(control, Choice):
        return next((code for code, value in control.meanings if value is False), 0)
    return 0
