"""Random devices and random changes of them, from a ``random.Random``: one step of a schema's life each."""

from __future__ import annotations

import random
from collections.abc import Sequence

from msgspec.structs import replace

from siel_codecs.schema import below, model
from siel_codecs.schema.model import (
    CHANNEL,
    Absent,
    Arm,
    Choice,
    Constant,
    Control,
    Device,
    Entry,
    Item,
    Leaf,
    Message,
    Number,
    Opaque,
    Port,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Special,
    Switch,
    Tlv,
    Unit,
    Word,
)

VOLT = Unit("V", "V", 1, 1, "V")
KELVIN = Unit("K", "K", 1, 1, "K")


class Maker:
    """Makes random devices; names are never used twice."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.names = draw, 0

    def name(self, hidden: bool = False) -> str:
        self.names += 1
        return f"{'_' if hidden else ''}f{self.names}"

    def number(self, bits: int = 0) -> Number:
        draw = self.draw
        bits = bits or draw.choice((1, 3, 4, 7, 8, 11, 16))
        signed = bits > 1 and draw.random() < 0.4
        lowest = -(1 << bits - 1) if signed else 0
        highest = lowest + (1 << bits) - 1
        specials: tuple[Special, ...] = ()
        code_min, code_max = lowest, highest
        if bits > 2 and draw.random() < 0.6:
            code_max = highest - draw.randrange(1, 4)
            if draw.random() < 0.8:
                specials = (Special(highest, highest, draw.choice((Absent.NOT_AVAILABLE, Absent.FAULT))),)
        num, den = draw.choice(((1, 1), (1, 10), (1, 2), (5, 1)))
        name = self.name()
        unit = draw.choice((None, VOLT))
        add = draw.choice((0, 0, 30))
        return Number(name, name, bits, signed, num, add, den, code_min, code_max, specials, True, unit, None)

    def choice(self, bits: int = 0) -> Choice:
        bits = bits or self.draw.choice((1, 2, 3, 8))
        name = self.name()
        if bits == 1:
            return Choice(name, name, 1, ((0, False), (1, True)))
        codes = self.draw.sample(range(1 << bits), self.draw.randrange(2, 4))
        return Choice(name, name, bits, tuple((code, f"m{code}") for code in sorted(codes)))

    def leaf(self) -> Number | Choice | Reserved:
        kind = self.draw.randrange(6)
        if kind == 0:
            return Reserved(self.draw.choice((1, 2, 4, 8)))
        return self.choice() if kind == 1 else self.number()

    def run(self, most: int = 4) -> list[Item]:
        return [self.leaf() for _ in range(self.draw.randrange(1, most))]

    def padded(self, items: list[Item]) -> list[Item]:
        bits = below.static_bits(tuple(items)) or 0
        return [*items, Reserved(-bits % 8)] if bits % 8 else items

    def switch(self) -> list[Item]:
        name = self.name(hidden=True)
        if self.draw.random() < 0.5:
            group = Switch(name, (Arm((1,), tuple(self.run(3))),), "ignore")
            return [Control(name, 1), *self.run(3), group]
        arms = (Arm((0,), tuple(self.run(3))), Arm((1, 2), tuple(self.run(3))))
        return [Control(name, 2), *self.run(2), Switch(name, arms, "error")]

    def items(self) -> tuple[Item, ...]:  # noqa: PLR0911 - one for each shape
        draw = self.draw
        kind = draw.randrange(7)
        if kind < 2:
            return tuple(self.run(6))
        if kind == 2:
            return (*self.switch(), *self.run(3))
        if kind == 3:
            word = Word(16, (self.number(4), self.number(7), self.choice(3), Reserved(2)))
            return (*self.padded(self.run(3)), Opaque(self.name(), "id", 16), word, *self.run(3))
        if kind == 4:
            if draw.random() < 0.5:
                name = self.name(hidden=True)
                return (Control(name, 3), *self.run(3), Repeat(self.number(8), name))
            return (*self.padded(self.run(3)), Repeat(self.number(8), draw.choice((3, None))))
        if kind == 5:
            leaves = (SeriesLeaf(self.number(11), draw.choice((0, 4))), SeriesLeaf(self.choice(3)))
            return (*self.run(3), Samples(leaves, 4, draw.random() < 0.5, 600_000, None))
        entries = tuple(Entry(key, tuple(self.padded(self.run(3)))) for key in (1, 3, 0x20))
        return (*self.padded(self.run(2)), Tlv(1, False, draw.random() < 0.5, entries, "stop", ()))

    def device(self) -> Device:
        items = self.items()
        version = None
        if self.draw.random() < 0.5:
            version = 1
            items = (Constant("payload version", 8, 1), *items)
        return Device("test/random", "Random", "", (Port("up", (7,), (Message("", "m", items, "error", version),)),))


def _any_number(maker: Maker, leaf: Number) -> Number:  # noqa: PLR0911 - one for each kind of change
    draw = maker.draw
    kind = draw.randrange(10)
    if kind == 0:
        return replace(leaf, num=leaf.num * 2)
    if kind == 1:
        return replace(leaf, add=leaf.add + 7)
    if kind == 2:
        return replace(leaf, unit=KELVIN if leaf.unit is VOLT else VOLT)
    if kind == 3 and leaf.code_max - leaf.code_min > 2:
        return replace(leaf, code_min=leaf.code_min + 1)
    if kind == 4 and leaf.code_max < leaf.highest and not leaf.specials:
        return replace(leaf, code_max=leaf.highest)
    if kind == 5 and leaf.specials:
        return replace(leaf, specials=(replace(leaf.specials[0], absent=Absent.UNDER_RANGE),))
    if kind == 6 and leaf.specials:
        return replace(leaf, specials=())
    if kind == 7 and leaf.bits > 2 and not leaf.specials:
        middle = 1 << leaf.bits - 2
        return replace(leaf, signed=not leaf.signed, code_min=0, code_max=middle)
    if kind == 8:
        return replace(leaf, name=maker.name())
    return replace(leaf, title="another title", saturates=not leaf.saturates)


def _any_choice(maker: Maker, leaf: Choice) -> Choice:
    kind = maker.draw.randrange(4)
    if kind == 0 and len(leaf.meanings) > 1:
        first, second, *rest = leaf.meanings
        return replace(leaf, meanings=((first[0], second[1]), (second[0], first[1]), *rest))
    if kind == 1 and len(leaf.meanings) > 2:
        return replace(leaf, meanings=leaf.meanings[1:])
    if kind == 2 and not leaf.is_flag:
        free = next((code for code in range(1 << leaf.bits) if code not in dict(leaf.meanings)), None)
        if free is not None:
            return replace(leaf, meanings=(*leaf.meanings, (free, "fresh")))
    return replace(leaf, name=maker.name())


def _any_reserved(maker: Maker, leaf: Reserved) -> list[Item]:
    kind = maker.draw.randrange(5)
    if kind == 0 and leaf.bits > 1:
        return [Reserved(1), Reserved(leaf.bits - 1)]
    if kind == 1:
        return [maker.choice(leaf.bits)]
    if kind == 2:
        fresh = maker.number(leaf.bits)
        return [replace(fresh, signed=False, code_min=1, code_max=(1 << leaf.bits) - 1, specials=())]
    if kind == 3:
        return [Constant("mark", leaf.bits, maker.draw.randrange(2))]
    return [maker.number(leaf.bits)]


def change_items(maker: Maker, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Change one thing somewhere in the items."""
    draw = maker.draw
    if not items:
        return items
    at = draw.randrange(len(items))
    item = items[at]
    kind = draw.randrange(8)
    if kind == 0 and len(items) > 1 and isinstance(item, Number | Choice):
        return (*items[:at], *items[at + 1 :])
    if kind == 1 and isinstance(item, Number | Choice | Reserved):
        return (*items[:at], maker.number(8), *items[at:])
    if kind == 2 and at + 1 < len(items) and isinstance(item, Number | Choice):
        following = items[at + 1]
        if isinstance(following, Number | Choice | Reserved):
            return (*items[:at], following, item, *items[at + 2 :])
    return (*items[:at], *_change_item(maker, item), *items[at + 1 :])


def _change_item(maker: Maker, item: Item) -> Sequence[Item]:  # noqa: PLR0911, PLR0912 - one for each kind of change
    draw = maker.draw
    if isinstance(item, Number):
        return [_any_number(maker, item)]
    if isinstance(item, Choice):
        return [_any_choice(maker, item)]
    if isinstance(item, Reserved):
        return _any_reserved(maker, item)
    if isinstance(item, Word):
        kind = draw.randrange(3)
        if kind == 0:
            return list(item.leaves)  # the other byte order
        leaves = change_items(maker, item.leaves)
        bits = below.static_bits(leaves)
        return [replace(item, leaves=leaves)] if bits == item.bits else [item]
    if isinstance(item, Switch):
        index = draw.randrange(len(item.arms))
        arm = item.arms[index]
        kind = draw.randrange(4)
        if kind == 0 and len(item.arms) > 1:
            return [replace(item, arms=(*item.arms[:index], *item.arms[index + 1 :]))]
        if kind == 1 and len(item.arms) > 1:
            first, second = item.arms
            return [replace(item, arms=(replace(first, codes=second.codes), replace(second, codes=first.codes)))]
        changed = replace(arm, items=change_items(maker, arm.items))
        return [replace(item, arms=(*item.arms[:index], changed, *item.arms[index + 1 :]))]
    if isinstance(item, Repeat):
        if draw.random() < 0.3 and isinstance(item.count, int):
            return [replace(item, count=item.count + 1)]
        return [replace(item, leaf=_any_number(maker, item.leaf))] if isinstance(item.leaf, Number) else [item]
    if isinstance(item, Samples):
        kind = draw.randrange(5)
        if kind == 0:
            return [replace(item, newest_first=not item.newest_first)]
        if kind == 1:
            return [replace(item, step=300_000)]
        newest = item.leaves[0]
        if kind == 2:
            return [replace(item, leaves=(replace(newest, delta_bits=5 - newest.delta_bits), *item.leaves[1:]))]
        if kind == 3 and isinstance(item.count, int):
            return [replace(item, count=item.count - 1)]
        assert isinstance(newest.leaf, Number)
        return [replace(item, leaves=(replace(newest, leaf=_any_number(maker, newest.leaf)), *item.leaves[1:]))]
    if isinstance(item, Tlv):
        index = draw.randrange(len(item.entries))
        entry = item.entries[index]
        kind = draw.randrange(5)
        if kind == 0:
            return [replace(item, entries=(*item.entries[:index], *item.entries[index + 1 :]))]
        if kind == 1:
            return [replace(item, entries=(*item.entries, Entry(0x44, (maker.number(8),))))]
        if kind == 2:
            return [
                replace(item, entries=(*item.entries[:index], replace(entry, key=0x55), *item.entries[index + 1 :]))
            ]
        inner = tuple(maker.padded(list(change_items(maker, entry.items))))
        return [replace(item, entries=(*item.entries[:index], replace(entry, items=inner), *item.entries[index + 1 :]))]
    return [item]


def on_bytes(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Put reserved bits before what has to begin on a byte."""
    found: list[Item] = []
    for item in items:
        at = below.static_bits(tuple(found)) or 0
        if isinstance(item, Opaque | Word | Tlv) and at % 8:
            found.append(Reserved(-at % 8))
        found.append(item)
    return tuple(found)


def change(maker: Maker, device: Device) -> Device:
    """Return the device with one thing changed."""
    draw = maker.draw
    (port,) = device.ports
    (message,) = port.messages
    kind = draw.randrange(12)
    if kind == 0:
        return replace(device, ports=(replace(port, f_ports=draw.choice(((8,), (7, 8), ()))),))
    if kind == 1 and message.version is not None:
        fresh = replace(message, version=2, items=(Constant("payload version", 8, 2), *maker.run(4)))
        keep = (message,) if draw.random() < 0.5 else ()
        return replace(device, ports=(replace(port, messages=(fresh, *keep)),))
    if kind == 2:
        fresh = replace(message, extra="ignore")
        return replace(device, ports=(replace(port, messages=(fresh,)),))
    fixed = 1 if message.version is not None else 0
    items = on_bytes((*message.items[:fixed], *change_items(maker, message.items[fixed:])))
    return replace(device, ports=(replace(port, messages=(replace(message, items=items),)),))


def change_leaf(maker: Maker, device: Device) -> Device:
    """Return any device with one of its fields changed, its width kept; what steers keeps its name."""
    steering = {
        name
        for port in device.ports
        for message in port.messages
        for item in _inside(message.items)
        for name in _steered_by(item)
    }
    places = [
        (n, m)
        for n, port in enumerate(device.ports)
        for m, message in enumerate(port.messages)
        if any(isinstance(leaf, Number | Choice | Reserved) for leaf in below.leaves(message.items))
    ]
    if not places:
        return device
    n, m = maker.draw.choice(places)
    message = device.ports[n].messages[m]
    count = sum(isinstance(leaf, Number | Choice | Reserved) for leaf in below.leaves(message.items))
    turn = _Turn(maker, steering, maker.draw.randrange(count))
    fresh = replace(message, items=tuple(map(turn.item, message.items)))
    messages = (*device.ports[n].messages[:m], fresh, *device.ports[n].messages[m + 1 :])
    port = replace(device.ports[n], messages=messages)
    return replace(device, ports=(*device.ports[:n], port, *device.ports[n + 1 :]))


class _Turn:
    """Changes the leaf whose turn it is, in wire order."""

    def __init__(self, maker: Maker, steering: set[str], turn: int) -> None:
        self.maker, self.steering, self.turn = maker, steering, turn

    def leaf(self, leaf: Leaf) -> Leaf:
        if not isinstance(leaf, Number | Choice | Reserved):
            return leaf
        self.turn -= 1
        if self.turn != -1:
            return leaf
        if isinstance(leaf, Reserved):
            return self.maker.number(leaf.bits) if leaf.bits <= model.MAX_FIELD_BITS else leaf
        fresh = _any_number(self.maker, leaf) if isinstance(leaf, Number) else _any_choice(self.maker, leaf)
        fixed = leaf.name in self.steering or CHANNEL in leaf.name
        return replace(fresh, name=leaf.name) if fixed else fresh

    def item(self, item: Item) -> Item:
        if isinstance(item, Word):
            return replace(item, leaves=tuple(map(self.leaf, item.leaves)))
        if isinstance(item, Switch):
            return replace(item, arms=tuple(replace(arm, items=tuple(map(self.item, arm.items))) for arm in item.arms))
        if isinstance(item, Repeat):
            return replace(item, leaf=self.leaf(item.leaf))
        if isinstance(item, Samples):
            return replace(item, leaves=tuple(replace(each, leaf=self.leaf(each.leaf)) for each in item.leaves))
        if isinstance(item, Tlv):
            entries = tuple(replace(each, items=tuple(map(self.item, each.items))) for each in item.entries)
            return replace(item, entries=entries)
        return item if isinstance(item, model.Lookahead) else self.leaf(item)


def _inside(items: tuple[Item, ...]) -> Sequence[Item]:
    found: list[Item] = []
    for item in items:
        found.append(item)
        parts = item.arms if isinstance(item, Switch) else item.entries if isinstance(item, Tlv) else ()
        for part in parts:
            found += _inside(part.items)
    return found


def _steered_by(item: Item) -> list[str]:
    if isinstance(item, Switch):
        return [item.control]
    if isinstance(item, Samples) and isinstance(item.step, model.Step):
        return [item.step.name]
    return []
