"""How long a message is at least and at most, field by field in wire order."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from siel_codecs.schema import below, model
from siel_codecs.schema.model import Item, Leaf, Repeat, Samples, Switch, Tlv, Word

_MAX_BITS: Final = 8 * model.MAX_PAYLOAD_BYTES
_MAX_COUNT: Final = _MAX_BITS
"""Elements of one bit that fill the largest payload."""

End = Literal["smallest", "largest"]


class Span(msgspec.Struct, frozen=True):
    """One field of a frame and how many bits it takes there."""

    name: str
    bits: int


def spans(message: model.Message, end: End) -> list[Span]:
    """Return the fields of the smallest or the largest frame of a message, in wire order.

    A list or series "to the end" has one element, or as many as the largest payload holds; a counted one has none, or
    as many as its count can say. Of entries that name themselves the smallest frame has the shortest one, the largest
    has each of them once. Never more bits than MAX_PAYLOAD_BYTES hold.
    """
    bits = {
        leaf.name: leaf.bits for leaf in below.leaves(message.items) if isinstance(leaf, model.Control | model.Choice)
    }
    return _bounded(_walk(message.items, {}, _Chooser(end, bits)))


def size_bytes(found: list[Span]) -> int:
    """Return the size of a frame with these fields, padded to a whole byte."""
    return (_sum(found) + 7) // 8


class _Chooser(msgspec.Struct, frozen=True):
    end: End
    bits: dict[str, int]
    """Of everything that can steer."""

    def pick(self, found: list[list[Span]]) -> list[Span]:
        return min(found, key=_sum) if self.end == "smallest" else max(found, key=_sum)


def _walk(items: tuple[Item, ...], codes: dict[str, int], chooser: _Chooser) -> list[Span]:
    """``codes`` are those of the controls that an earlier choice has settled."""
    found: list[Span] = []
    for index, item in enumerate(items):
        if isinstance(item, Switch):
            if item.control not in codes:
                codes = {**codes, item.control: _choose(items[index:], item.control, codes, chooser)}
            found += _walk(_arm(item, codes[item.control]) or (), codes, chooser)
        elif isinstance(item, Word):
            found += [_span(leaf) for leaf in item.leaves]
        elif isinstance(item, Repeat):
            count = _count(item.count, _sum(found), item.leaf.bits, chooser)
            found += [Span(f"{item.leaf.name}[{n}]", item.leaf.bits) for n in range(count)]
        elif isinstance(item, Samples):
            found += _series(item, _sum(found), chooser)
        elif isinstance(item, Tlv):
            found += _entries(item, chooser)
        elif not isinstance(item, model.Lookahead):
            found.append(_span(item))
    return found


def _choose(items: tuple[Item, ...], control: str, codes: dict[str, int], chooser: _Chooser) -> int:
    """Return the code with which all of ``items`` that it steers together are smallest or largest; -1 is any other."""
    switches = [item for item in items if isinstance(item, Switch) and item.control == control]
    listed = sorted({code for switch in switches for arm in switch.arms for code in arm.codes})
    if len(listed) < 1 << chooser.bits.get(control, model.MAX_FIELD_BITS):
        listed.append(-1)
    sizes: dict[tuple[int | None, ...], tuple[int, int]] = {}
    for code in listed:
        arms = [_arm(switch, code) for switch in switches]
        taken = [arm for arm in arms if arm is not None]
        if len(taken) == len(arms):  # a code that is an error somewhere is no frame
            size = sum(_sum(_walk(arm, {**codes, control: code}, chooser)) for arm in taken)
            sizes.setdefault(tuple(id(arm) for arm in taken), (size, code))
    if not sizes:
        return -1
    ends = min(sizes.values()), max(sizes.values())
    return ends[0 if chooser.end == "smallest" else 1][1]


def _arm(switch: Switch, code: int) -> tuple[Item, ...] | None:
    found = next((arm.items for arm in switch.arms if code in arm.codes), None)
    return () if found is None and switch.otherwise == "ignore" else found


def _count(count: int | str | None, before: int, element_bits: int, chooser: _Chooser) -> int:
    if isinstance(count, int):
        return min(count, _MAX_COUNT)
    if chooser.end == "smallest":
        return 1 if count is None else 0
    room = max(0, _MAX_BITS - before) // max(1, element_bits)
    return room if count is None else min((1 << chooser.bits.get(count, 8)) - 1, room)


def _series(item: Samples, before: int, chooser: _Chooser) -> list[Span]:
    whole = [_span(each.leaf) for each in item.leaves]
    if chooser.end == "smallest":
        later = [Span(span.name, each.delta_bits or span.bits) for each, span in zip(item.leaves, whole, strict=True)]
    else:  # each difference the escape, with the whole code behind it
        later = [Span(span.name, each.delta_bits + span.bits) for each, span in zip(item.leaves, whole, strict=True)]
    first = _count(item.count, before, _sum(whole), chooser)
    if first == 0:
        return []
    rest = _count(item.count, before + _sum(whole), _sum(later), chooser)
    if item.count is not None:
        rest = min(rest, first - 1)
    elif chooser.end == "smallest":
        rest = 0
    samples = [whole, *[later] * rest]
    return [Span(f"{span.name} [{n}]", span.bits) for n, sample in enumerate(samples) for span in sample]


def _entries(item: Tlv, chooser: _Chooser) -> list[Span]:
    head = 8 * (item.channel + item.key_bytes + item.length)
    found = [
        [Span(f"type 0x{entry.key:0{2 * item.key_bytes}x}", head), *_walk(entry.items, {}, chooser)]
        for entry in item.entries
    ]
    if not found:
        return []
    tail = [Span("tail", 8 * item.tail_bytes)] if item.tail_bytes else []
    if chooser.end == "smallest":
        return chooser.pick(found) + tail
    return [span for entry in found for span in entry] + tail


def _span(leaf: Leaf) -> Span:
    if isinstance(leaf, model.Reserved):
        return Span("reserved", leaf.bits)
    return Span(leaf.title if isinstance(leaf, model.Constant) else leaf.name, leaf.bits)


def _sum(found: list[Span]) -> int:
    return sum(span.bits for span in found)


def _bounded(found: list[Span]) -> list[Span]:
    total, kept = 0, []
    for span in found:
        room = _MAX_BITS - total
        if room <= 0:
            break
        kept.append(span if span.bits <= room else Span(span.name, room))
        total += span.bits
    return kept
