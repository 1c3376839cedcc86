"""Payloads from codes: whatever a device could send, also what no encoder would.

A ``Layout`` knows every leaf of a message and what must hold for it to be there; a ``Plan`` says what is chosen; what
it leaves open is filled in with ordinary codes and with as many groups as there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from siel_codecs.schema.below import static_bits
from siel_codecs.schema.model import (
    Choice,
    Constant,
    Control,
    Lookahead,
    Number,
    Opaque,
    Repeat,
    Reserved,
    Samples,
    Switch,
    Tlv,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.schema.model import Item, Leaf, Message, SeriesLeaf

Path = tuple[int, ...]
"""Indices from a message's items down: item, arm or entry, item ...; of a list the element, of a series the sample."""
Scope = tuple[Path, str]
"""Where a control holds (the whole message, or one entry of a Tlv) and its name."""

ORDINARY_COUNT: Final = 2
ORDINARY_SECONDS: Final = 1_767_222_000
"""2025-12-31T23:00:00Z, where a control says when something was measured."""
CHANNEL_NUMBER: Final = 1


class Slot(msgspec.Struct, frozen=True):
    """One leaf and what must hold for it to be in the payload."""

    path: Path
    leaf: Leaf
    scope: Path
    needs: tuple[tuple[Scope, frozenset[int]], ...]
    """Controls and the codes of which they must have one."""
    entry: tuple[Path, int] | None
    """The Tlv and the index of its entry."""
    within: str = ""
    """"list" or "series" for the first element of one."""


@dataclass
class Plan:
    """What is chosen; the rest is ordinary."""

    codes: dict[Path, int] = field(default_factory=dict)
    controls: dict[Scope, int] = field(default_factory=dict)
    counts: dict[Path, int] = field(default_factory=dict)
    """Of lists and series that go on to the end of the payload."""
    entries: dict[Path, list[tuple[int, int]]] = field(default_factory=dict)
    """Per Tlv the index and the channel of each entry, in wire order."""
    after: dict[Path, bytes] = field(default_factory=dict)
    """Per Tlv what stands between its last entry and its tail."""
    differences: dict[Path, int] = field(default_factory=dict)
    """Differences of a series that are sent whatever the codes are."""
    escapes: set[Path] = field(default_factory=set)
    """Leaves of a series that are sent whole although a difference would do."""


class Layout:
    """All leaves, controls, lists and Tlvs of one message."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.switches: dict[Scope, list[Switch]] = {}
        self.counts: dict[Scope, list[Repeat | Samples]] = {}
        self.times: set[Scope] = set()
        self.lists: dict[Path, Repeat | Samples] = {}
        self.tlvs: dict[Path, Tlv] = {}
        self.first_of_list: dict[Path, Slot] = {}
        self.slots = list(self._walk(message.items, (), (), (), None))
        self.leaf_of = {(slot.scope, _name(slot.leaf)): slot.leaf for slot in self.slots if _name(slot.leaf)}

    def _walk(
        self,
        items: tuple[Item, ...],
        base: Path,
        scope: Path,
        needs: tuple[tuple[Scope, frozenset[int]], ...],
        entry: tuple[Path, int] | None,
    ) -> Iterator[Slot]:
        for index, item in enumerate(items):
            path = (*base, index)
            if isinstance(item, Word):
                for place, leaf in enumerate(item.leaves):
                    yield Slot((*path, place), leaf, scope, needs, entry)
            elif isinstance(item, Switch):
                self.switches.setdefault((scope, item.control), []).append(item)
                for place, arm in enumerate(item.arms):
                    need = ((scope, item.control), frozenset(arm.codes))
                    yield from self._walk(arm.items, (*path, place), scope, (*needs, need), entry)
            elif isinstance(item, Repeat | Samples):
                yield from self._list(item, path, scope, needs, entry)
            elif isinstance(item, Tlv):
                self.tlvs[path] = item
                for place, each in enumerate(item.entries):
                    inner = (*path, place)
                    if each.time:
                        self.times.add((inner, each.time))
                    yield from self._walk(each.items, inner, inner, needs, (path, place))
            elif not isinstance(item, Lookahead):
                yield Slot(path, item, scope, needs, entry)

    def _list(
        self,
        item: Repeat | Samples,
        path: Path,
        scope: Path,
        needs: tuple[tuple[Scope, frozenset[int]], ...],
        entry: tuple[Path, int] | None,
    ) -> Iterator[Slot]:
        self.lists[path] = item
        if isinstance(item.count, str):
            self.counts.setdefault((scope, item.count), []).append(item)
        if isinstance(item, Repeat):
            found = [Slot((*path, 0), item.leaf, scope, needs, entry, "list")]
        else:
            found = [
                Slot((*path, 0, place), each.leaf, scope, needs, entry, "series")
                for place, each in enumerate(item.leaves)
            ]
            if item.base:
                self.times.add((scope, item.base))
        if found:
            self.first_of_list[path] = found[0]
        yield from found

    def reach(self, slot: Slot) -> Plan | None:
        """Return a plan with which the leaf is in the payload; None where no codes bring it there."""
        allowed: dict[Scope, list[int]] = {}
        for scope, codes in slot.needs:
            allowed[scope] = [code for code in allowed.get(scope, self.arm_codes(scope)) if code in codes]
        if not all(allowed.values()):
            return None
        plan = Plan(controls={scope: codes[0] for scope, codes in allowed.items()})
        if slot.entry is not None:
            tlv, index = slot.entry
            plan.entries[tlv] = [(index, CHANNEL_NUMBER)]
        return plan

    def arm_codes(self, scope: Scope) -> list[int]:
        """Return every code that an arm of this control's switches names, in their order."""
        arms = (arm for switch in self.switches.get(scope, ()) for arm in switch.arms)
        return list(dict.fromkeys(code for arm in arms for code in arm.codes))

    def ordinary_control(self, scope: Scope, bits: int, *, fewest: bool = False) -> int:
        """Return the code that brings most items (``fewest``: the least), or an ordinary count or time."""
        mask = (1 << bits) - 1
        codes = [code for code in self.arm_codes(scope) if code <= mask]
        if codes:
            sizes = {code: self._size(scope, code) for code in codes}
            return min(codes, key=lambda code: sizes[code] if fewest else -sizes[code])
        if scope in self.counts:
            return 0 if fewest else min(ORDINARY_COUNT, mask)
        return ORDINARY_SECONDS & mask if scope in self.times else 0

    def _size(self, scope: Scope, code: int) -> int:
        arms = (arm for switch in self.switches[scope] for arm in switch.arms)
        return sum(len(arm.items) for arm in arms if code in arm.codes)

    def fewest(self) -> Plan:
        """Return the plan with as little in the payload as the message allows."""
        plan = Plan(counts=dict.fromkeys(self.lists, 0), entries={path: [] for path in self.tlvs})
        for slot in self.slots:
            scope = (slot.scope, _name(slot.leaf))
            if scope in self.switches or scope in self.counts:
                plan.controls[scope] = self.ordinary_control(scope, slot.leaf.bits, fewest=True)
        return plan

    def payload(self, plan: Plan) -> bytes:
        """Return the payload of a plan, padded with zeros to a whole byte."""
        return self._write(plan).bytes()

    def bits(self, plan: Plan) -> int:
        """Return how many bits of that payload are no padding."""
        return self._write(plan).count

    def _write(self, plan: Plan) -> _Bits:
        out = _Bits()
        _Writer(self, plan).items(out, self.message.items, (), ())
        return out


class _Bits:
    def __init__(self) -> None:
        self.value = self.count = 0

    def put(self, code: int, bits: int) -> None:
        self.value = self.value << bits | code & (1 << bits) - 1
        self.count += bits

    def bytes(self) -> bytes:
        spare = -self.count % 8
        return (self.value << spare).to_bytes((self.count + spare) // 8, "big")


class _Writer:
    def __init__(self, layout: Layout, plan: Plan) -> None:
        self.layout, self.plan = layout, plan

    def items(self, out: _Bits, items: tuple[Item, ...], base: Path, scope: Path) -> None:
        for index, item in enumerate(items):
            path = (*base, index)
            if isinstance(item, Word):
                word = _Bits()
                for place, leaf in enumerate(item.leaves):
                    word.put(self.code(leaf, (*path, place), scope), leaf.bits)
                out.put(int.from_bytes(word.bytes(), "little"), item.bits)
            elif isinstance(item, Switch):
                code = self.control((scope, item.control))
                for place, arm in enumerate(item.arms):
                    if code in arm.codes:
                        self.items(out, arm.items, (*path, place), scope)
                        break
                else:  # the size, where it is fixed, is looked at before the code
                    out.put(0, static_bits((item,)) or 0)
            elif isinstance(item, Repeat):
                for place in range(self.count(item, path, scope)):
                    out.put(self.code(item.leaf, (*path, place), scope, place), item.leaf.bits)
            elif isinstance(item, Samples):
                self.samples(out, item, path, scope)
            elif isinstance(item, Tlv):
                self.tlv(out, item, path)
            elif not isinstance(item, Lookahead):
                out.put(self.code(item, path, scope), item.bits)

    def samples(self, out: _Bits, item: Samples, path: Path, scope: Path) -> None:
        before: dict[int, int] = {}
        for sample in range(self.count(item, path, scope)):
            for place, each in enumerate(item.leaves):
                where = (*path, sample, place)
                code = self.code(each.leaf, where, scope, sample)
                if not each.delta_bits or not sample:
                    out.put(code, each.leaf.bits)
                elif where in self.plan.differences:
                    out.put(self.plan.differences[where], each.delta_bits)
                    code = before[place] + self.plan.differences[where]
                elif where not in self.plan.escapes and _fits(each, before[place], code):
                    out.put(code - before[place], each.delta_bits)
                else:
                    out.put(1 << each.delta_bits - 1, each.delta_bits)
                    out.put(code, each.leaf.bits)
                before[place] = code

    def tlv(self, out: _Bits, item: Tlv, path: Path) -> None:
        everything = [(index, CHANNEL_NUMBER) for index in range(len(item.entries))]
        for index, channel in self.plan.entries.get(path, everything):
            body, inner = _Bits(), (*path, index)
            self.items(body, item.entries[index].items, inner, inner)
            if item.channel:
                out.put(channel, 8)
            out.put(item.entries[index].key, 8 * item.key_bytes)
            if item.length:
                out.put(len(body.bytes()), 8)
            for byte in body.bytes():
                out.put(byte, 8)
        for byte in self.plan.after.get(path, b"") + bytes(item.tail_bytes):
            out.put(byte, 8)

    def count(self, item: Repeat | Samples, path: Path, scope: Path) -> int:
        if isinstance(item.count, int):
            return item.count
        return self.plan.counts.get(path, ORDINARY_COUNT) if item.count is None else self.control((scope, item.count))

    def control(self, scope: Scope) -> int:
        if scope in self.plan.controls:
            return self.plan.controls[scope]
        leaf = self.layout.leaf_of[scope]
        return self.layout.ordinary_control(scope, leaf.bits)

    def code(self, leaf: Leaf, path: Path, scope: Path, index: int = 0) -> int:
        """Return the code of a leaf; ``index`` is its place in a list."""
        name = (scope, _name(leaf))
        if isinstance(leaf, Control) or name in self.layout.switches:
            return self.control(name)
        return self.plan.codes.get(path, ordinary(leaf, index))


def ordinary(leaf: Leaf, index: int = 0) -> int:
    """Return a code that is a value; those of neighbours in a list differ by one where the range allows it."""
    if isinstance(leaf, Number):
        code = leaf.code_min + (leaf.code_max - leaf.code_min) // 3
        return min(code + index % 16, leaf.code_max)
    if isinstance(leaf, Choice):
        return leaf.meanings[index % len(leaf.meanings)][0]
    if isinstance(leaf, Opaque):
        return int.from_bytes(bytes(place & 0xFF for place in range(1, leaf.bits // 8 + 1)), "big")
    return leaf.code if isinstance(leaf, Constant) else 0


def unused(leaf: Number | Choice) -> list[int]:
    """Return the codes next to those with a meaning that have none themselves, at most three."""
    lowest, highest = (leaf.lowest, leaf.highest) if isinstance(leaf, Number) else (0, (1 << leaf.bits) - 1)
    taken = [(special.first, special.last) for special in leaf.specials]
    taken += [(leaf.code_min, leaf.code_max)] if isinstance(leaf, Number) else [(c, c) for c, _ in leaf.meanings]
    beside = [code for first, last in taken for code in (last + 1, first - 1)]
    free = [
        code
        for code in (*reversed(beside), lowest, highest)
        if lowest <= code <= highest and not any(first <= code <= last for first, last in taken)
    ]
    return list(dict.fromkeys(free))[:3]


def _fits(each: SeriesLeaf, before: int, code: int) -> bool:
    leaf = each.leaf
    values = not isinstance(leaf, Number) or all(leaf.code_min <= value <= leaf.code_max for value in (before, code))
    return values and abs(code - before) < 1 << each.delta_bits - 1


def _name(leaf: Leaf) -> str:
    return "" if isinstance(leaf, Constant | Reserved) else leaf.name
