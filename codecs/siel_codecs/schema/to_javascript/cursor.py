"""Where the next bit of a payload stands, told by a constant or by a variable of the generated JavaScript."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from siel_codecs.schema.below import static_bits
from siel_codecs.schema.model import Repeat, Samples, Switch, Tlv
from siel_codecs.schema.to_javascript.text import Script, bits_at, bits_of, identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_codecs.schema.model import Item

Base = Literal["", "p", "at"]
SHORT: Final = "return siel_short(b);"


@dataclass
class Place:
    """Where the next bit stands: ``offset`` bits from the start, from byte ``p`` or from bit ``at``."""

    base: Base = ""
    offset: int = 0

    def octet(self, index: int) -> str:
        """Return the byte that holds the bit ``offset`` or, with an index, one after it."""
        return f"b[{plus(self.base, self.offset // 8 + index)}]"

    def limit(self, bits: int) -> str:
        """Return what is at most ``end`` if so many bits are there; bytes, for ``at`` bits."""
        last = self.offset + bits
        return plus(self.base, last if self.base == "at" else (last + 7) // 8)


def plus(base: str, offset: int) -> str:
    """Return a sum of a variable, if there is one, and a constant."""
    if not base:
        return str(offset)
    return f"{base} + {offset}" if offset > 0 else f"{base} - {-offset}" if offset else base


class Cursor:
    """A script that goes through a payload."""

    def __init__(self, *, fixed: bool) -> None:
        self.script = Script()
        self.script.depth = 1
        self.variables: set[str] = set()
        self.place = Place()
        self.fixed = fixed
        """The length was compared before; nothing needs to be compared on the way."""
        self.end = "b.length"
        """Bytes that may be read."""
        self.known_end: Place | None = None
        """Up to here the bytes are there."""

    def variable(self, name: str) -> str:
        """Return a variable's name and have it declared."""
        self.variables.add(name)
        return name

    def code_of(self, name: str) -> str:
        """Return the variable of a code that steers."""
        return self.variable(f"code_{identifier(name)}")

    def set_base(self, base: Base, value: str) -> None:
        """Let the place be told by a variable and give it a value."""
        self.variables.add(base)
        if value != base:
            self.script.add(f"{base} = {value};")
        self.place, self.known_end = Place(base, 0), None

    def rebase(self, base: Base) -> None:
        """Let the place be told by a variable alone: a byte's index (it must be on a byte) or a bit's."""
        place = self.place
        if base == place.base:
            if place.offset:
                step = place.offset if base == "at" else place.offset // 8
                self.script.add(f"{base} += {step};")
            self.place, self.known_end = Place(base, 0), None
        elif base == "p":
            value = f"{plus('at', place.offset)} >> 3" if place.base == "at" else str(place.offset // 8)
            self.set_base("p", value)
        elif place.base == "p":
            self.set_base("at", plus("p * 8", place.offset))
        else:
            self.set_base("at", str(place.offset))

    def loose(self, items: Sequence[Item]) -> None:
        """Go over to a place in a variable before items of a length that only the payload tells."""
        whole = self.place.base != "at" and self.place.offset % 8 == 0 and remainder(items) == 0
        self.rebase("p" if whole else "at")

    def on_byte(self) -> None:
        """Give up counting bits where the model says that a byte begins."""
        if self.place.base == "at":
            self.rebase("p")

    def need(self, bits: int) -> None:
        """End with TOO_SHORT unless so many bits are there."""
        if self.fixed or not bits:
            return
        known = self.known_end
        if known and known.base == self.place.base and self.place.offset + bits <= known.offset:
            return
        end = self.end if self.place.base != "at" else f"{self.end} * 8"
        self.script.add(f"if ({end} < {self.place.limit(bits)}) {SHORT}")
        self.known_end = Place(self.place.base, self.place.offset + bits)

    def read(self, bits: int, *, signed: bool = False) -> str:
        """Return the expression of the next bits and go past them."""
        place = self.place
        self.place = replace(place, offset=place.offset + bits)
        if place.base == "at":
            return bits_at(plus("at", place.offset), bits, signed=signed)
        skip = place.offset % 8
        octets = [place.octet(index) for index in range((skip + bits + 7) // 8)]
        return bits_of(octets, skip, bits, signed=signed)


def remainder(items: Sequence[Item]) -> int | None:
    """Return by how many bits the end of the items stands past a byte's if their start is on one; None: that varies."""
    total = 0
    for item in items:
        bits = static_bits((item,))
        if bits is None:
            bits = _loose_remainder(item)
        if bits is None:
            return None
        total += bits
    return total % 8


def _loose_remainder(item: Item) -> int | None:
    if isinstance(item, Switch):
        ends = {remainder(arm.items) for arm in item.arms} | ({0} if item.otherwise == "ignore" else set())
        return ends.pop() if len(ends) == 1 else None
    if isinstance(item, Repeat):
        return None if item.leaf.bits % 8 else 0
    if isinstance(item, Samples):
        return None if any(each.leaf.bits % 8 or each.delta_bits % 8 for each in item.leaves) else 0
    return 0 if isinstance(item, Tlv) else None
