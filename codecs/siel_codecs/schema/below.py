"""What lies below the items of a message: leaves, names, how many bits they always take."""

from __future__ import annotations

from collections.abc import Iterator

from siel_codecs.schema.model import (
    Choice,
    Item,
    Leaf,
    Lookahead,
    Message,
    Number,
    Opaque,
    Repeat,
    Samples,
    Switch,
    Tlv,
    Word,
)


def leaves(items: tuple[Item, ...]) -> Iterator[Leaf]:
    """Yield every leaf below ``items`` in wire order, those of all arms, series and entries included."""
    for item in items:
        if isinstance(item, Word):
            yield from item.leaves
        elif isinstance(item, Switch):
            for arm in item.arms:
                yield from leaves(arm.items)
        elif isinstance(item, Repeat):
            yield item.leaf
        elif isinstance(item, Samples):
            yield from (each.leaf for each in item.leaves)
        elif isinstance(item, Tlv):
            for entry in item.entries:
                yield from leaves(entry.items)
        elif not isinstance(item, Lookahead):
            yield item


def names(items: tuple[Item, ...]) -> list[str]:
    """Return the names of all data below ``items``, in wire order, each once; those of samples included."""
    found = (leaf.name for leaf in leaves(items) if isinstance(leaf, Number | Choice | Opaque))
    return list(dict.fromkeys(name for name in found if not name.startswith("_")))


def static_bits(items: tuple[Item, ...]) -> int | None:
    """Return how many bits the items always take, None where that depends on the payload."""
    total = 0
    for item in items:
        bits = _static_bits(item)
        if bits is None:
            return None
        total += bits
    return total


def _static_bits(item: Item) -> int | None:
    if isinstance(item, Lookahead):
        return 0
    if isinstance(item, Switch):
        arms = {static_bits(arm.items) for arm in item.arms}
        if item.otherwise == "ignore":
            arms.add(0)
        return arms.pop() if len(arms) == 1 else None
    if isinstance(item, Repeat):
        return item.count * item.leaf.bits if isinstance(item.count, int) else None
    if isinstance(item, Samples):
        if isinstance(item.count, int) and not any(each.delta_bits for each in item.leaves):
            return item.count * sum(each.leaf.bits for each in item.leaves)
        return None
    return None if isinstance(item, Tlv) else item.bits


def static_bytes(message: Message) -> int | None:
    """Return how many bytes the message always has, None where that depends on the payload."""
    bits = static_bits(message.items)
    return None if bits is None else (bits + 7) // 8
