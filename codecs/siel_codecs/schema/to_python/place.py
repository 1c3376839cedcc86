"""Where generated Python reads, and where it puts what it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from siel_codecs.schema import words
from siel_codecs.schema.to_python.text import Code, Lines, filled

if TYPE_CHECKING:
    from siel_codecs.schema.model import Number


class Place(NamedTuple):
    """A bit of the payload: so many bits behind its start, behind the byte ``p``, or behind the bit ``q``."""

    var: str
    off: int

    def bit(self) -> str:
        """Return the expression of the bit."""
        start = {"": "", "p": "p * 8", "q": "q"}[self.var]
        return f"{start} + {self.off}" if start and self.off else start or str(self.off)

    def byte(self, more: int = 0) -> str:
        """Return the expression of the byte in which it, or the bit ``more`` further on, stands."""
        off = (self.off + more) // 8
        return str(off) if not self.var else f"p + {off}" if off else "p"

    def on(self, bits: int) -> Place:
        """Return the place so many bits further on."""
        return Place(self.var, self.off + bits)

    @property
    def aligned(self) -> bool:
        """Whether it is known to be the first bit of a byte."""
        return self.var != "q" and self.off % 8 == 0


class Sink(NamedTuple):
    """The variables that what is read goes to."""

    data: str = "data"
    warnings: str = "warnings"


class Cursor:
    """The place to which a decoder has come, and what is known about the payload's end."""

    def __init__(self, out: Lines, fixed: int | None, have: int) -> None:
        """``out`` takes the code; a ``fixed`` size is that of every payload; ``have`` bytes are known to be there."""
        self.out, self.fixed = out, fixed
        self.at = Place("", 0)
        self.have: tuple[str, int] = ("", have)
        """A variable of the place and the bytes behind it that are known to be there."""
        self.end = "size"
        self.checked = False
        """Whether all that is read is known to be there."""

    @property
    def short(self) -> str:
        """The statement that refuses a payload that ends too early."""
        return f"return failed({filled(words.TOO_SHORT, length=Code('str(size)'))})"

    def need(self, bits: int) -> None:
        """Refuse a payload without so many bits from here on."""
        if self.fixed is not None or self.checked or not bits:
            return
        if self.at.var == "q":
            self.out.block(f"if {self.end} * 8 < {self.at.on(bits).bit()}:", [self.short])
            return
        last = (self.at.off + bits + 7) // 8
        if self.have[0] == self.at.var and self.have[1] >= last:
            return
        self.have = (self.at.var, last)
        self.out.block(f"if {self.end} < {Place(self.at.var, last * 8).byte()}:", [self.short])

    def bits(self, bits: int) -> str:
        """Return the expression of the number that the next bits are; with a shift inside it stands in brackets."""
        at, end, mask = self.at, self.at.on(bits), f" & {(1 << bits) - 1:#x}"
        if self.fixed is not None and not at.var and not (bits == 8 and at.aligned):  # noqa: PLR2004 - a byte
            shift = self.fixed * 8 - end.off
            if shift:
                return f"n >> {shift}{mask}"
            return "n" if bits == self.fixed * 8 else f"n{mask}"
        if at.var == "q":
            span = f"payload[({at.bit()}) >> 3:({end.on(7).bit()}) >> 3]"
            return f'from_bytes({span}, "big") >> (-({end.bit()}) & 7){mask}'
        right = -end.off % 8
        whole = big_endian(at, (end.off + 7) // 8 - at.off // 8)
        if at.off % 8 == 0 and right == 0:
            return whole
        whole = f"({whole})" if " " in whole else whole
        return f"{whole} >> {right}{mask}" if right else f"{whole}{mask}"


def meet(places: list[Place]) -> tuple[Place, bool]:
    """Return a place that can stand for all of these, and whether a variable must be set for it."""
    if len(set(places)) <= 1:
        return places[0], False
    if all(place.var != "q" for place in places) and len({place.off % 8 for place in places}) == 1:
        return Place("p", places[0].off % 8), True
    return Place("q", 0), True


def move(place: Place, to: Place) -> list[str]:
    """Return the statement after which ``to`` stands where ``place`` does."""
    if place == to:
        return []
    return [f"q = {place.bit()}"] if to.var == "q" else [f"p = {place.byte()}"]


def big_endian(at: Place, count: int) -> str:
    """Return the expression of the number that so many bytes from a place on are."""
    if count == 1:
        return f"payload[{at.byte()}]"
    if count == 2:  # noqa: PLR2004 - two are faster without a slice
        return f"payload[{at.byte()}] << 8 | payload[{at.byte(8)}]"
    return f'from_bytes(payload[{at.byte()}:{Place(at.var, at.off // 8 * 8).byte(count * 8)}], "big")'


def shown_signed(leaf: Number, code: str) -> str:
    """Return the expression of a number's code with its sign."""
    sign = 1 << leaf.bits - 1
    return f"(({code}) ^ {sign:#x}) - {sign:#x}" if leaf.signed else code
