"""One payload, field by field: where it stands, its code, and how the code becomes the value.

For people who follow a frame by hand. What it says is held equal to the decoders by tests; it does not replace them:
it takes only payloads that they take without an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from siel_codecs.schema.model import (
    CHANNEL,
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
    from siel_codecs.schema.model import Item, Leaf, Message, SeriesLeaf


class Step(msgspec.Struct, frozen=True):
    """One leaf of a payload."""

    name: str
    first_bit: int
    """From the payload's start, most significant bit of byte 0 first; of a word its first byte's."""
    bits: int
    code: int
    arithmetic: str
    """What is calculated, or what the code means."""
    value: int | float | str | bool | None
    """None: there is none, and ``arithmetic`` says why, or the leaf is no data."""
    is_data: bool


def trace(message: Message, payload: bytes) -> list[Step]:
    """Return the steps through a payload that the codec decodes without an error."""
    walk = _Walk(payload)
    walk.items(message.items)
    return walk.steps


class _Walk:
    def __init__(self, payload: bytes) -> None:
        self.number, self.size = int.from_bytes(payload, "big"), 8 * len(payload)
        self.at = 0
        self.codes: dict[str, int] = {}
        self.steps: list[Step] = []

    def read(self, bits: int, at: int | None = None) -> int:
        if at is None:
            at, self.at = self.at, self.at + bits
        return self.number >> (self.size - at - bits) & (1 << bits) - 1

    def items(self, items: tuple[Item, ...], channel: str = "") -> None:
        for item in items:
            if isinstance(item, Word):
                at = self.at
                word = int.from_bytes(self.read(item.bits).to_bytes(item.bits // 8, "big"), "little")
                for leaf, shift in zip(item.leaves, item.shifts(), strict=True):
                    self.leaf(leaf, word >> shift & (1 << leaf.bits) - 1, at, channel)
            elif isinstance(item, Lookahead):
                self.codes[item.name] = self.read(item.bits, item.bit)
            elif isinstance(item, Switch):
                for arm in item.arms:
                    if self.codes[item.control] in arm.codes:
                        self.items(arm.items, channel)
            elif isinstance(item, Repeat):
                for index in range(self.count(item.count, item.leaf.bits)):
                    at = self.at
                    self.leaf(item.leaf, self.read(item.leaf.bits), at, channel, f"[{index}]")
            elif isinstance(item, Samples):
                self.samples(item)
            elif isinstance(item, Tlv):
                self.tlv(item)
            else:
                at = self.at
                self.leaf(item, self.read(item.bits), at, channel)

    def leaf(self, leaf: Leaf, code: int, at: int, channel: str = "", after: str = "") -> None:
        if isinstance(leaf, Number) and leaf.signed and code > leaf.highest:
            code -= 1 << leaf.bits
        name = leaf.title if isinstance(leaf, Constant) else "reserved" if isinstance(leaf, Reserved) else leaf.name
        if isinstance(leaf, Control | Choice):
            self.codes[leaf.name] = code
        arithmetic, value = meaning(leaf, code)
        shown = name.replace(CHANNEL, channel) + after
        is_data = isinstance(leaf, Number | Choice | Opaque) and not name.startswith("_")
        self.steps.append(Step(shown, at, leaf.bits, code, arithmetic, value, is_data))

    def count(self, count: int | str | None, bits: int) -> int:
        if count is None:
            return (self.size - self.at) // bits
        return count if isinstance(count, int) else self.codes[count]

    def samples(self, item: Samples) -> None:
        whole = sum(each.leaf.bits for each in item.leaves)
        least = sum(each.delta_bits or each.leaf.bits for each in item.leaves)
        before: dict[int, int] = {}
        index, count = 0, None if item.count is None else self.count(item.count, whole)
        while index < count if count is not None else self.size - self.at >= (least if index else whole):
            for place, each in enumerate(item.leaves):
                before[place] = self.sample(each, index, before.get(place))
            index += 1

    def sample(self, each: SeriesLeaf, index: int, before: int | None) -> int:
        """Take one leaf of a sample and return its code."""
        at, after = self.at, f" [{index}]"
        if before is not None and each.delta_bits:
            difference = self.read(each.delta_bits)
            escape = 1 << each.delta_bits - 1
            if difference != escape:
                difference -= (1 << each.delta_bits) if difference > escape else 0
                code = before + difference
                arithmetic, value = meaning(each.leaf, code)
                sum_ = f"{before} {'+' if difference >= 0 else '-'} {abs(difference)} = {code}; "
                name = "reserved" if isinstance(each.leaf, Reserved) else each.leaf.name
                is_data = not isinstance(each.leaf, Reserved) and not name.startswith("_")
                self.steps.append(
                    Step(name + after, at, each.delta_bits, difference, sum_ + arithmetic, value, is_data)
                )
                return code
            self.steps.append(
                Step("escape" + after, at, each.delta_bits, -escape, "the whole code follows", None, False)
            )
            at = self.at
        self.leaf(each.leaf, self.read(each.leaf.bits), at, after=after)
        return self.steps[-1].code

    def tlv(self, item: Tlv) -> None:
        end = self.size - 8 * item.tail_bytes
        by_key = {entry.key: entry for entry in item.entries}
        while self.at < end:
            channel = ""
            if item.channel:
                at = self.at
                channel = str(self.read(8))
                self.steps.append(Step("channel", at, 8, int(channel), "", None, False))
            at = self.at
            key = self.read(8 * item.key_bytes)
            entry = by_key.get(key)
            known = f"0x{key:0{2 * item.key_bytes}x}"
            self.steps.append(Step("key", at, 8 * item.key_bytes, key, known, None, False))
            size = self.read(8) if item.length else dict(item.sizes).get(key)
            if item.length:
                self.steps.append(Step("length", self.at - 8, 8, int(size or 0), "bytes", None, False))
            if entry is None and (size is None or item.unknown != "skip"):
                return
            if entry is None:
                self.at += 8 * int(size or 0)
                continue
            self.items(entry.items, channel)
            self.at += -self.at % 8


def meaning(leaf: Leaf, code: int) -> tuple[str, int | float | str | bool | None]:
    """Return how a code becomes a value, for people, and the value."""
    if isinstance(leaf, Number | Choice):
        special = next((each for each in leaf.specials if each.first <= code <= each.last), None)
        return _valued(leaf, code) if special is None else (special.absent.value, None)
    if isinstance(leaf, Opaque):
        return "as it is", f"{code:0{leaf.bits // 4}x}"
    if isinstance(leaf, Constant):
        return f"must be {leaf.code}", None
    return ("steers what follows" if isinstance(leaf, Control) else "not looked at"), None


def _valued(leaf: Number | Choice, code: int) -> tuple[str, int | float | str | bool | None]:
    if isinstance(leaf, Choice):
        value = dict(leaf.meanings).get(code)
        return ("the code is not known" if value is None else "listed above"), value
    if not leaf.code_min <= code <= leaf.code_max:
        return "outside its range", None
    return _arithmetic(leaf, code), leaf.value(code)


def _arithmetic(leaf: Number, code: int) -> str:
    text = str(code)
    if leaf.num != 1:
        text += f" * {leaf.num}"
    if leaf.add:
        text += f" {'+' if leaf.add > 0 else '-'} {abs(leaf.add)}"
    if leaf.den != 1:
        text = f"({text}) / {leaf.den}" if " " in text else f"{text} / {leaf.den}"
    return "the code itself" if text == str(code) else f"{text} = {leaf.value(code)}"
