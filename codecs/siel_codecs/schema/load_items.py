"""From the tables of a message to its items: order, references, arms, series and entries."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fractions import Fraction
from typing import Final

from siel_codecs.schema.load_fields import Context, constant_of, leaf_of
from siel_codecs.schema.load_names import Names, Scope
from siel_codecs.schema.load_places import Place, Places, fields_below
from siel_codecs.schema.load_tables import (
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
    MAX_SAMPLES,
    Arm,
    Choice,
    Constant,
    Control,
    Entry,
    Item,
    Leaf,
    Lookahead,
    Message,
    Number,
    Opaque,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Step,
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
        self._steering: set[TomlPath] = set()
        self._controls: list[TomlPath] = []
        self._later: dict[str, tuple[TomlPath, int]] = {}  # leaves of the message itself and the bit each begins at
        self._ahead: list[Lookahead] = []  # wanted by the item that is being read
        self._read_ahead: dict[str, tuple[Leaf, TomlPath]] = {}
        self._series: list[tuple[TomlPath, Scope]] = []
        self._names = Names(context)

    def message(self) -> Message:
        table, fields = self._table, (*self._path, "field")
        version = table.version
        if version is not None and version.value >> version.bits:
            reason = f"{version.value} does not fit {version.bits} bits"
            self._context.fault((*self._path, "version"), reason)
        self._read_leaves(table.field, fields, 0)
        places = Places(self._context)
        start = version.bits if version else 0
        places.walk(table.field, fields, Place(start, start, start % 8), last=True, entry=False)
        self._find_later(places.starts)
        items = self._items(table.field, fields, Scope({}, {}), self._names, top=True)
        for control in self._controls:
            if control not in self._steering:
                self._context.fault((*control, "name"), f"{self._name_at(control)!r} steers nothing")
        for where, leaf in self._leaves.items():
            if CHANNEL in getattr(leaf, "name", "") and "entry" not in where:
                self._context.fault((*where, "name"), f'"{CHANNEL}" stands for the channel of a TLV entry only')
        if version is not None:
            items = (Constant(_VERSION_TITLE, version.bits, version.value), *items)
        title = table.title or (table.name or "uplink").replace("_", " ").capitalize()
        return Message(table.name, title, items, table.extra, version.value if version else None)

    def _name_at(self, path: TomlPath) -> str:
        return str(getattr(self._leaves[path], "name", ""))

    # Leaves

    def _read_leaves(self, fields: Sequence[AnyField], path: TomlPath, depth: int) -> None:
        if depth > MAX_NESTING:
            self._context.fault(path, f"is nested more than {MAX_NESTING} deep")
        for n, table in enumerate(fields):
            here = (*path, n)
            if isinstance(table, Field):
                leaf = self._leaves[here] = leaf_of(table, here, self._context)
                if isinstance(leaf, Control):
                    self._controls.append(here)
            elif isinstance(table, Const):
                self._leaves[here] = constant_of(table, here, self._context)
            elif isinstance(table, Unused):
                self._leaves[here] = Reserved(table.reserved)
            for below, its in fields_below(table, here):
                self._read_leaves(below, its, depth + 1)

    def _find_later(self, starts: dict[TomlPath, int]) -> None:
        for n, table in enumerate(self._table.field):
            here: TomlPath = (*self._path, "field", n)
            if here not in starts:
                continue
            leaf = self._leaves.get(here)
            if isinstance(leaf, Control | Choice) and isinstance(table, Field) and table.count == 0:
                at = _bit_in_word(leaf.bits, 0, leaf.bits) if table.type.little else 0
                if at is not None:
                    self._later[leaf.name] = (here, starts[here] + at)
            elif isinstance(table, LittleWord):
                right = table.word
                for m in range(len(table.field)):
                    inner: TomlPath = (*here, "field", m)
                    part = self._leaves.get(inner)
                    bits = part.bits if part else 0
                    right -= bits
                    at = _bit_in_word(table.word, right, bits)
                    if isinstance(part, Control | Choice) and at is not None:
                        self._later[part.name] = (inner, starts[here] + at)

    # Items

    def _items(
        self, fields: Sequence[AnyField], path: TomlPath, scope: Scope, names: Names, *, top: bool = False
    ) -> tuple[Item, ...]:
        items: list[Item] = []
        for n, table in enumerate(fields):
            here = (*path, n)
            item = self._item(table, here, scope, names)
            if top:
                items += self._ahead
                self._ahead.clear()
            items.append(item)
        return tuple(items)

    def _item(self, table: AnyField, path: TomlPath, scope: Scope, names: Names) -> Item:
        if isinstance(table, Field):
            return self._field(table, path, scope, names)
        if isinstance(table, LittleWord):
            return self._word(table, path, scope, names)
        if isinstance(table, Group):
            return self._group(table, path, scope, names)
        if isinstance(table, Union):
            return self._union(table, path, scope, names)
        if isinstance(table, Series):
            return self._samples(table, path, scope, names)
        if isinstance(table, TlvList):
            return self._tlv(table, path, scope, names)
        leaf = self._leaves[path]
        return leaf  # a constant or reserved bits

    def _take(self, leaf: Leaf, path: TomlPath, scope: Scope, names: Names) -> None:
        # Adds a name to what has been read
        if isinstance(leaf, Number | Choice | Opaque | Control):
            names.add(leaf, path, scope.conditions)
            scope.leaves[leaf.name] = (leaf, path)

    def _field(self, table: Field, path: TomlPath, scope: Scope, names: Names) -> Item:
        leaf = self._leaves[path]
        if table.delta is not None:
            self._context.fault((*path, "delta"), "differences are between the samples of a series only")
        if table.count == 0:
            self._take(leaf, path, scope, names)
            return Word(leaf.bits, (leaf,)) if table.type.little else leaf
        if not isinstance(leaf, Number | Choice):
            return leaf  # told before
        if table.type.little:
            self._context.fault((*path, "type"), "the elements of an array are big-endian")
        names.add(leaf, path, scope.conditions)
        return Repeat(leaf, self._count(table.count, (*path, "count"), scope))

    def _count(self, count: int | str | None, path: TomlPath, scope: Scope) -> int | str | None:
        if isinstance(count, str):
            self._control(count, path, scope, "counts", ahead=False)
        return count

    def _word(self, table: LittleWord, path: TomlPath, scope: Scope, names: Names) -> Word:
        leaves: list[Leaf] = []
        for n, each in enumerate(table.field):
            here = (*path, "field", n)
            leaf = self._plain(each, here, "a word")
            if isinstance(leaf, Opaque):
                self._context.fault((*here, "type"), "bytes in hex cannot stand in a word")
            elif leaf is not None:
                leaves.append(leaf)
                self._take(leaf, here, scope, names)
        bits = sum(leaf.bits for leaf in leaves)
        if bits != table.word and len(leaves) == len(table.field):
            self._context.fault((*path, "word"), f"its fields have {bits} bits, not {table.word}")
        return Word(table.word, tuple(leaves))

    def _plain(self, table: AnyField, path: TomlPath, place: str) -> Leaf | None:
        # Only big-endian single leaves stand in words and series
        if not isinstance(table, Field | Const | Unused):
            self._context.fault(path, f"only single fields can stand in {place}")
            return None
        if isinstance(table, Field) and table.count != 0:
            self._context.fault((*path, "count"), f"an array cannot stand in {place}")
        if isinstance(table, Field | Const) and table.type.little:
            self._context.fault((*path, "type"), f"a little-endian field cannot stand in {place}")
        if isinstance(table, Field) and table.delta is not None and place == "a word":
            self._context.fault((*path, "delta"), "differences are between the samples of a series only")
        return self._leaves[path]

    # References

    def _control(
        self, name: str, path: TomlPath, scope: Scope, purpose: str, *, ahead: bool = True
    ) -> tuple[Control | Choice, TomlPath] | None:
        found = scope.leaves.get(name) or self._read_ahead.get(name)
        if found is None and ahead and name in self._later:
            where, bit = self._later[name]
            found = self._read_ahead[name] = (self._leaves[where], where)
            self._ahead.append(Lookahead(name, bit, found[0].bits))
        if found is None:
            self._context.fault(path, self._why_missing(name, scope, ahead))
            return None
        leaf, where = found
        if isinstance(leaf, Control) or (isinstance(leaf, Choice) and purpose == "steers"):
            self._steering.add(where)
            return leaf, where
        what = "a control, a flag or an enum" if purpose == "steers" else "a control"
        self._context.fault(path, f"{name!r} cannot be used here: only {what} {purpose}")
        return None

    def _why_missing(self, name: str, scope: Scope, ahead: bool) -> str:
        elsewhere = [path for path in self._leaves if self._name_at(path) == name]
        if not elsewhere:
            known = [each for each, (leaf, _) in scope.leaves.items() if isinstance(leaf, Control | Choice)]
            near = ", ".join(get_close_matches(name, known, 3, 0.5))
            return f"there is no {name!r} before it" + (f" (near: {near})" if near else "")
        if any(len(path) == len(self._path) + 2 for path in elsewhere):
            return f"{name!r} comes later" + (", and not at a fixed place" if ahead else "")
        return f"{name!r} stands in another arm, entry, word or series and is not read here"

    # Groups and unions

    def _group(self, table: Group, path: TomlPath, scope: Scope, names: Names) -> Switch:
        found = self._control(table.when, (*path, "when"), scope, "steers")
        codes, rest = self._group_codes(table, path, found[0] if found else None)
        arms = [Arm(codes, self._arm(table.field, (*path, "field"), (codes, path), found, (scope, names), table.when))]
        bits = found[0].bits if found else 1
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
        found = self._control(table.switch, (*path, "switch"), scope, "steers")
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
        return Switch(table.switch, tuple(arms), table.otherwise)

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
        control: tuple[Control | Choice, TomlPath] | None,
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

    # Series

    def _samples(self, table: Series, path: TomlPath, scope: Scope, names: Names) -> Samples:
        others = [where for where, its in self._series if _meet(its, scope)]
        if others:
            self._context.fault((*path, "samples"), "a message has one series")
        self._series.append((path, scope.below(None, frozenset())))
        if isinstance(table.samples, int) and table.samples > MAX_SAMPLES:
            self._context.fault((*path, "samples"), f"at most {MAX_SAMPLES}")
        count = self._count(table.samples, (*path, "samples"), scope)
        leaves = [
            each
            for n, field in enumerate(table.field)
            if (each := self._series_leaf(field, (*path, "field", n), scope, names)) is not None
        ]
        if not any(isinstance(each.leaf, Number | Choice) for each in leaves):
            self._context.fault((*path, "field"), "a series has at least one value")
        if table.samples is None and sum(each.leaf.bits for each in leaves) < 8:  # noqa: PLR2004 - a byte
            self._context.fault(
                (*path, "samples"), "samples to the end have at least 8 bits, or padding looks like one"
            )
        if table.base is not None:
            self._control(table.base, (*path, "base"), scope, "can be the time")
        return Samples(tuple(leaves), count, table.order == "newest_first", self._step(table, path, scope), table.base)

    def _series_leaf(self, table: AnyField, path: TomlPath, scope: Scope, names: Names) -> SeriesLeaf | None:
        leaf = self._plain(table, path, "a series")
        if leaf is None:
            return None
        if not isinstance(leaf, Number | Choice | Reserved):
            self._context.fault(path, "only numbers, flags, enums and reserved bits can stand in a series")
            return None
        delta = table.delta if isinstance(table, Field) else None
        if delta is not None and delta >= leaf.bits:
            self._context.fault((*path, "delta"), f"must have fewer bits than the field ({leaf.bits})")
        if not isinstance(leaf, Reserved):
            names.add(leaf, path, scope.conditions)
        return SeriesLeaf(leaf, delta or 0)

    def _step(self, table: Series, path: TomlPath, scope: Scope) -> int | Step:
        if table.step is None:
            step_ms = (table.step_s or 0) * 1000
            if step_ms < 0 or Fraction(step_ms).denominator != 1 or step_ms >= 1 << 42:
                self._context.fault((*path, "step_s"), "must be a whole number of milliseconds, not below 0")
                return 0
            return int(step_ms)
        here = (*path, "step")
        if table.step_s is not None:
            self._context.fault((*path, "step_s"), "stands beside step; one of them")
        found = scope.leaves.get(table.step)
        if found is None:
            self._context.fault(here, self._why_missing(table.step, scope, ahead=False))
            return 0
        leaf = found[0]
        if not isinstance(leaf, Number) or leaf.unit is None or leaf.unit.senml != "s":
            self._context.fault(here, f"{table.step!r} is no number with a unit of time")
            return 0
        if leaf.specials:
            self._context.fault(here, f"{table.step!r} can be absent; the times of a series hang on it")
        to_ms = Fraction(1000 * leaf.unit.senml_num, leaf.unit.senml_den * leaf.den)
        ms_num, ms_add = leaf.num * to_ms, leaf.add * to_ms
        if ms_num.denominator != 1 or ms_add.denominator != 1 or leaf.lowest * ms_num + ms_add < 0:
            self._context.fault(here, f"{table.step!r} must be whole milliseconds, not below 0")
            return 0
        return Step(leaf.name, int(ms_num), int(ms_add))

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
        if any(entry.time for entry in table.entry) and self._series:
            self._context.fault((*path, "tlv"), "entries with a time and a series cannot stand in one message")
        return Tlv(key_bytes, table.channel, table.length, tuple(entries), table.unknown, table.sizes, table.tail)

    def _entry(self, entry: TlvEntry, path: TomlPath, around: Scope, outer: Names, *, channel: bool) -> Entry:
        scope = Scope({}, {})
        own = Names(self._context)
        outside = self._later, self._read_ahead
        self._later, self._read_ahead = {}, {}  # places in entries are not fixed
        items = self._items(entry.field, (*path, "field"), scope, own)
        self._later, self._read_ahead = outside
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
            self._control(entry.time, (*path, "time"), scope, "can be the time", ahead=False)
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


def _meet(one: Scope, other: Scope) -> bool:
    return all(
        codes & other.conditions[control] for control, codes in one.conditions.items() if control in other.conditions
    )


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


def _bit_in_word(word: int, right: int, bits: int) -> int | None:
    # Where a part of a little-endian word begins in wire order, None if it has no one place
    if not bits or right // 8 != (right + bits - 1) // 8 or right < 0:
        return None
    return right // 8 * 8 + 8 - right % 8 - bits
