"""One side of two layouts that are walked together, and what is asked of its items."""

from __future__ import annotations

from siel_codecs.schema import below
from siel_codecs.schema.evolution.codes import DATA, Kind, title
from siel_codecs.schema.evolution.run import Source, Token, tokens
from siel_codecs.schema.model import Arm, Item, Lookahead, Repeat, Samples, Step, Switch, Tlv

Sources = dict[str, Source]
"""What the receiver's controls read, by name."""
Sent = dict[str, Token]
"""The sender's fields by name."""


class Side:
    """The items of one side that are still to come."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        self.rest = list(items)

    def run(self, fields: Sent, ahead: dict[str, Lookahead]) -> tuple[list[Token], int]:
        """Take the fields up to the next item of another size; return them and their bits."""
        found: list[Token] = []
        at = 0
        while self.rest:
            item = self.rest[0]
            if isinstance(item, Lookahead):
                ahead[item.name] = item
            elif isinstance(item, Switch | Samples | Tlv) or (
                isinstance(item, Repeat) and not isinstance(item.count, int)
            ):
                break
            else:
                new = tokens(item, at)
                found += new
                at += sum(len(token.bits) for token in new)
            self.rest.pop(0)
        fields.update({token.name: token for token in found})
        return found, at

    def pop(self) -> Item | None:
        """Take the next item, None at the end."""
        return self.rest.pop(0) if self.rest else None


def arm_of(switch: Switch, code: int) -> tuple[Item, ...] | None:
    """Return what follows for a code; None where it is an error."""
    found: Arm | None = next((arm for arm in switch.arms if code in arm.codes), None)
    if found is not None:
        return found.items
    return () if switch.otherwise == "ignore" else None


def arm_codes(items: tuple[Item, ...]) -> dict[str, set[int]]:
    """Return per control the codes that are no error; a control that is not there may have any code."""
    known: dict[str, set[int]] = {}
    for item in items:
        if isinstance(item, Switch):
            codes = {code for arm in item.arms for code in arm.codes}
            if item.otherwise == "error":
                known[item.control] = known.get(item.control, codes) & codes
        inner = item.arms if isinstance(item, Switch) else item.entries if isinstance(item, Tlv) else ()
        for part in inner:
            for name, codes in arm_codes(part.items).items():
                known.setdefault(name, codes)
    return known


def same_step(one: int | Step, other: int | Step) -> bool:
    """Tell whether the time between two samples is read in the same way."""
    if isinstance(one, Step) and isinstance(other, Step):
        return (one.name, one.ms_num, one.ms_add) == (other.name, other.ms_num, other.ms_add)
    return one == other


def first_name(items: tuple[Item, ...]) -> str:
    """Return the name of the first data below ``items``, empty where there is none."""
    found = (leaf.name for leaf in below.leaves(items) if isinstance(leaf, DATA) and not leaf.name.startswith("_"))
    return next(found, "")


def called(token: Token) -> str:
    """Return what a person calls a field."""
    return plain(token.name) or title(token.leaf)


def plain(name: str) -> str:
    """Return a name without the underscore of what steers."""
    return name.removeprefix("_")


def place_of(ahead: Lookahead) -> tuple[int, int]:
    """Return where a control stands that is read ahead."""
    return ahead.bit, ahead.bits


def kind_of(one: Item, other: Item | None) -> Kind:
    """Return what to call a change of an item into one of another kind."""
    if other is None:
        return "removed"
    if isinstance(one, Switch):
        return "group"
    return "list" if isinstance(one, Repeat) else "series" if isinstance(one, Samples) else "entry"


def changed(one: Item, other: Item | None) -> str:
    """Return what to say about it."""
    if other is None:
        return "is not in the frame any more"
    if isinstance(one, Switch) and isinstance(other, Switch):
        return f"its group was steered by {plain(one.control)}, is steered by {plain(other.control)}"
    if isinstance(one, Switch):
        return f"its group is not steered by {plain(one.control)} any more"
    return "is laid out in another way now"
