"""Which names of the data belong to which items of a message, and what steers which items."""

from __future__ import annotations

import re
from collections.abc import Iterator

from siel_codecs.schema.below import names
from siel_codecs.schema.model import CHANNEL, Entry, Item, Repeat, Samples, Switch, Tlv


def channel_of(template: str, name: str) -> int | None:
    """Return the channel in a name; 0 where its template has none, None where the name is of another template."""
    if CHANNEL not in template:
        return 0 if name == template else None
    before, after = map(re.escape, template.split(CHANNEL, 1))
    found = re.fullmatch(f"{before}(0|[1-9][0-9]{{0,2}}){after}", name)
    return int(found[1]) if found and int(found[1]) < 256 else None  # noqa: PLR2004 - one byte


def inside(items: tuple[Item, ...]) -> Iterator[Item | Entry]:
    """Yield items and what is in them, Tlv entries included, in wire order."""
    for item in items:
        yield item
        if isinstance(item, Switch):
            for arm in item.arms:
                yield from inside(arm.items)
        elif isinstance(item, Tlv):
            for entry in item.entries:
                yield entry
                yield from inside(entry.items)


def steered(name: str, items: tuple[Item, ...]) -> Iterator[Switch | Repeat | Samples]:
    """Yield what a Control or Choice steers among the items after it."""
    for item in inside(items):
        if (
            (isinstance(item, Switch) and item.control == name)
            or (isinstance(item, Repeat) and item.count == name)
            or (isinstance(item, Samples) and name in (item.count, item.base))
        ):
            yield item


def arm_names(items: tuple[Item, ...]) -> set[str]:
    """Return the names in data that make an encoder choose these items."""
    series = any(isinstance(item, Samples) or (isinstance(item, Entry) and item.time) for item in inside(items))
    return {*names(items), *(["samples"] if series else [])}


def names_with(code: int, switches: list[Switch]) -> set[str]:
    """Return the names that have a place when the control has this code."""
    arms = (arm for switch in switches for arm in switch.arms if code in arm.codes)
    return {name for arm in arms for name in arm_names(arm.items)}


def unknown_arm(code: int, switches: list[Switch]) -> Switch | None:
    """Return the first of the switches for which this code is an error."""
    known = (switch for switch in switches if switch.otherwise == "error")
    return next((switch for switch in known if all(code not in arm.codes for arm in switch.arms)), None)
