"""The generated decoder of one message: straight-line code, integers, one division per value.

A message of static size is one integer from which fields are shifted. Elsewhere the place is a constant while it can be
(``Place.var`` empty), then a constant after the byte ``p``, and after the bit ``q`` where bytes are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.below import leaves, static_bytes
from siel_codecs.schema.model import (
    CHANNEL,
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
    Step,
    Switch,
    Tlv,
    Word,
)
from siel_codecs.schema.to_python.place import Cursor, Place, Sink, big_endian, meet, move, shown_signed
from siel_codecs.schema.to_python.series import repeat, samples, tlv
from siel_codecs.schema.to_python.text import Code, Lines, branches, filled, joined, with_channel
from siel_codecs.schema.to_python.values import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class MessageDecoder(Cursor):
    """Writes the decoder of one message; ``size`` is the payload's length and the selector is already checked."""

    def __init__(self, codec: str, out: Lines, message: Message, command: bool, selector: Constant | None) -> None:
        """``codec`` stands in errors; a ``command`` has its name in the data; the ``selector`` has been looked at."""
        super().__init__(out, static_bytes(message), (selector.bits + 7) // 8 if selector else 0)
        self.codec, self.message, self.command = codec, message, command
        self.selected = message.items[0] if selector else None
        kept = _steering(message.items)
        self.kept = {name: f"c{index}" for index, name in enumerate(dict.fromkeys(kept))}
        self.assigned: set[str] = set()
        self.numbers: dict[str, Number] = {}
        every = list(inside(message.items))
        self.series = any(isinstance(item, Samples) for item in every)
        self.timed = any(isinstance(item, Entry) and item.time for item in every)
        units = {
            leaf.name: leaf.unit.display
            for leaf in leaves(message.items)
            if isinstance(leaf, Number) and leaf.unit is not None and not leaf.name.startswith("_")
        }
        self.own_units = any(CHANNEL in name for name in units)
        self.units = out.constant("UNITS", {name: unit for name, unit in units.items() if CHANNEL not in name})

    def write(self) -> None:
        """Add the code; each way through it returns."""
        out, message = self.out, self.message
        if self.fixed is not None:
            if message.extra == "error":
                out.within(f"if size != {self.fixed}:", lambda: self.wrong_size(self.fixed))
            else:
                out.block(f"if size < {self.fixed}:", [self.short])
        out(f"data = {{'command': {message.name!r}}}" if self.command and message.name else "data = {}")
        out("warnings = []")
        if self.series or self.timed:
            out("older, timed, base, extra = [], [], None, None")
        if self.own_units:
            out(f"units = {self.units}.copy()")
        if self.fixed and any(
            isinstance(item, Number | Choice | Constant | Control) for item in _leaves(message.items)
        ):
            whole = "payload" if message.extra == "error" else f"payload[:{self.fixed}]"
            out(f'n = from_bytes({whole}, "big")')
        self.items(message.items, Sink())
        if self.fixed is None:
            used = f"({self.at.on(7).bit()}) >> 3" if self.at.var == "q" else self.at.byte(7)
            if not isinstance(message.items[-1], Tlv):
                self.left_over(used)
        elif message.extra == "ignore":
            self.left_over(str(self.fixed))
        units = "units" if self.own_units else self.units
        if self.series or self.timed:
            several = f"series_result(data, {units}, warnings, older, timed, base, extra, recv_ms)"
            out.block("if older or timed or base is not None or extra is not None:", [f"return {several}"])
        out(f"return Decoded(data, {units}, warnings, [], [Sample(data, recv_ms, 0, warnings)])")

    def wrong_size(self, size: int | None) -> None:
        """Refuse a payload that is shorter or longer."""
        self.out.block(f"if size < {size}:", [self.short])
        self.out(f"return failed({filled(words.TOO_LONG, length=Code('str(size)'))})")

    def left_over(self, used: str) -> None:
        """Say what becomes of bytes after the end."""
        if self.message.extra == "error":
            body = f"return failed({filled(words.TOO_LONG, length=Code('str(size)'))})"
        elif self.series or self.timed:
            body = f"extra = {filled(words.EXTRA_BYTES, count=Code(f'str(size - ({used}))'))}"
        else:
            body = f"warnings.append({filled(words.EXTRA_BYTES, count=Code(f'str(size - ({used}))'))})"
        self.out.block(f"if size > {used}:", [body])

    # items

    def items(self, items: Sequence[Item], sink: Sink) -> None:
        """Add the code of items that follow each other."""
        run: list[Leaf] = []
        quiet = 0
        checked = self.checked
        for index, item in enumerate(items):
            if not quiet:
                # Nothing among these can be refused but for the payload's end: that is looked at once.
                self.run(run, sink)
                run = []
                self.checked = checked
                stretch = list(_quiet(items[index:]))
                quiet = len(stretch)
                self.need(sum(each.bits for each in stretch))
                self.checked = checked or quiet > 0
            quiet = max(quiet - 1, 0)
            if isinstance(item, Word | Lookahead | Switch | Repeat | Samples | Tlv | Opaque):
                self.run(run, sink)
                run = []
                self.item(item, sink)
                continue
            run.append(item)
        self.run(run, sink)
        self.checked = checked

    def item(self, item: Item, sink: Sink) -> None:
        """Add the code of an item that is not part of a run of leaves."""
        if isinstance(item, Word):
            self.word(item, sink)
        elif isinstance(item, Lookahead):
            here, have, self.at = self.at, self.have, Place("", item.bit)
            self.have = ("", have[1] if not have[0] else 0)
            self.need(item.bits)
            self.keep(item.name, self.bits(item.bits))
            self.at, self.have = here, self.have if not here.var else have
        elif isinstance(item, Switch):
            self.switch(item, sink)
        elif isinstance(item, Repeat):
            repeat(self, item, sink)
        elif isinstance(item, Samples):
            samples(self, item, sink)
        elif isinstance(item, Tlv):
            tlv(self, item, sink)
        elif isinstance(item, Opaque):
            self.opaque(item, sink)

    def run(self, run: list[Leaf], sink: Sink) -> None:
        """Add the code of leaves that are read together."""
        total = sum(leaf.bits for leaf in run)
        self.need(total)
        spoken = [leaf for leaf in run if self.speaks(leaf)]
        if self.fixed is not None or len(spoken) <= 1:
            for leaf in run:
                if self.speaks(leaf):
                    self.leaf(leaf, self.bits(leaf.bits), sink)
                self.at = self.at.on(leaf.bits)
            return
        end = self.at.on(total)
        if self.at.var == "q":
            span = f"payload[({self.at.bit()}) >> 3:({end.on(7).bit()}) >> 3]"
            self.out(f'r = from_bytes({span}, "big") >> (-({end.bit()}) & 7)')
            right = total
        else:
            count = (end.off + 7) // 8 - self.at.off // 8
            self.out(f"r = {big_endian(self.at, count)}")
            right = total + -end.off % 8
        for leaf in run:
            right -= leaf.bits
            if self.speaks(leaf):
                self.leaf(
                    leaf,
                    f"r >> {right} & {(1 << leaf.bits) - 1:#x}" if right else f"r & {(1 << leaf.bits) - 1:#x}",
                    sink,
                )
        self.at = end

    def speaks(self, leaf: Leaf) -> bool:
        """Return whether anything comes from a leaf."""
        if isinstance(leaf, Reserved) or leaf is self.selected:
            return False
        return isinstance(leaf, Constant) or not leaf.name.startswith("_") or leaf.name in self.kept

    def word(self, word: Word, sink: Sink) -> None:
        """Add the code of a little-endian word."""
        self.need(word.bits)
        if self.at.aligned:
            count = word.bits // 8
            first = self.at.byte()
            if count == 1:
                whole = f"payload[{first}]"
            elif count == 2:  # noqa: PLR2004 - two are faster without a slice
                whole = f"payload[{first}] | payload[{self.at.byte(8)}] << 8"
            else:
                whole = f'from_bytes(payload[{first}:{self.at.byte(word.bits)}], "little")'
        else:
            whole = f'from_bytes(({self.bits(word.bits)}).to_bytes({word.bits // 8}, "big"), "little")'
        if len(word.leaves) > 1:
            self.out(f"w = {whole}")
        for leaf, shift in zip(word.leaves, word.shifts(), strict=True):
            if self.speaks(leaf):
                mask = (1 << leaf.bits) - 1
                part = f"w >> {shift} & {mask:#x}" if shift else f"w & {mask:#x}"
                self.leaf(leaf, part if len(word.leaves) > 1 else whole, sink)
        self.at = self.at.on(word.bits)

    def opaque(self, opaque: Opaque, sink: Sink) -> None:
        """Add the code of bytes shown as hex."""
        self.need(opaque.bits)
        if not opaque.name.startswith("_"):
            if self.at.aligned:
                text = f"payload[{self.at.byte()}:{self.at.byte(opaque.bits)}].hex()"
            else:
                text = f'({self.bits(opaque.bits)}).to_bytes({opaque.bits // 8}, "big").hex()'
            self.out(f"{sink.data}[{joined(with_channel(opaque.name))}] = {text}")
        self.at = self.at.on(opaque.bits)

    def keep(self, name: str, code: str) -> None:
        """Keep the code of what steers."""
        self.out(f"{self.kept[name]} = {code}")
        self.assigned.add(name)

    def code(self, name: str) -> str:
        """Return the variable with the code of what steers."""
        if name not in self.assigned:
            raise EmitError(self.codec, "python", name, "it steers what may come without it")
        return self.kept[name]

    # leaves

    def leaf(self, leaf: Leaf, code: str, sink: Sink) -> None:
        """Add the code of a leaf whose unsigned code is the expression ``code``."""
        if isinstance(leaf, Constant):
            self.out(f"v = {code}")
            wrong = filled(words.WRONG_CONSTANT, title=leaf.title, code=Code("str(v)"), expected=str(leaf.code))
            self.out.block(f"if v != {leaf.code}:", [f"return failed({wrong})"])
        elif isinstance(leaf, Control):
            self.keep(leaf.name, code)
        elif isinstance(leaf, Number | Choice):
            if isinstance(leaf, Number):
                code = shown_signed(leaf, code)
                self.numbers[leaf.name] = leaf
            if leaf.name in self.kept:
                self.keep(leaf.name, code)
                code = self.kept[leaf.name]
            if not leaf.name.startswith("_"):
                self.value(leaf, code, sink)

    def value(self, leaf: Number | Choice, code: str, sink: Sink, *, wide: bool = False) -> None:
        """Add the code that stores the value of a code, or warns; a ``wide`` one may be outside the leaf's bits."""
        name = with_channel(leaf.name)
        key = joined(name)
        if CHANNEL in leaf.name:
            self.out(f"name = {key}")
            name, key = [Code("name")], "name"
            if isinstance(leaf, Number) and leaf.unit is not None:
                self.out(f"units[name] = {leaf.unit.display!r}")
        store(self.out, leaf, code, f"{sink.data}[{key}] = ", name, sink, wide=wide)

    # groups

    def switch(self, switch: Switch, sink: Sink) -> None:
        """Add the code of groups of which one follows."""
        control = self.code(switch.control)
        arms: list[tuple[tuple[int, ...], Callable[[], None]]] = [
            (arm.codes, lambda arm=arm: self.items(arm.items, sink))  # type: ignore[misc]
            for arm in switch.arms
        ]
        known = ", ".join(map(str, sorted(code for arm in switch.arms for code in arm.codes)))
        unknown = filled(
            words.UNKNOWN_ARM, control=switch.control.removeprefix("_"), code=Code(f"str({control})"), known=known
        )

        def otherwise() -> None:
            if switch.otherwise == "error":
                self.out(f"return failed({unknown})")

        self.dispatch(control, arms, otherwise, returns=switch.otherwise == "error")

    def dispatch(
        self,
        control: str,
        arms: list[tuple[tuple[int, ...], Callable[[], None]]],
        otherwise: Callable[[], None],
        returns: bool,
    ) -> None:
        """Add branches by a code, and bring their ends to one place; with ``returns`` the last has no end."""
        start, have, assigned = self.at, self.have, set(self.assigned)
        bodies: list[tuple[list[str], Place]] = []
        ends: list[set[str]] = []
        for write in [*(write for _, write in arms), otherwise]:
            self.at, self.have, self.assigned = start, have, set(assigned)
            body = self.out.capture(write)
            bodies.append((body, self.at))
            ends.append(self.assigned)
        if returns:
            ends.pop()
        self.assigned = set.intersection(*ends) if ends else assigned
        self.at, moved = meet([place for _, place in (bodies[:-1] if returns else bodies)])
        self.have = have if not have[0] else ("", 0)
        finished = [body + move(place, self.at) if moved else body for body, place in bodies]
        if returns:
            finished[-1] = bodies[-1][0]
        cases = [(codes, body) for (codes, _), body in zip(arms, finished[:-1], strict=True)]
        branches(self.out, control, cases, finished[-1])

    def count(self, count: int | str | None) -> str | None:
        """Return the expression of a number of elements, None for as many as there are."""
        return self.code(count) if isinstance(count, str) else None if count is None else str(count)


def _quiet(items: Sequence[Item]) -> Iterator[Leaf | Word]:
    """Yield the items up to the first that may be refused for what it says, that one included, or has no fixed size."""
    for item in items:
        if isinstance(item, Lookahead | Switch | Repeat | Samples | Tlv):
            return
        yield item
        if isinstance(item, Constant) or (isinstance(item, Word) and any(isinstance(x, Constant) for x in item.leaves)):
            return


def inside(items: Sequence[Item]) -> Iterator[Item | Entry]:
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


def _leaves(items: Sequence[Item]) -> Iterator[Item | Entry]:
    """Yield what is read from the whole message's number."""
    yield from (item for item in inside(items) if not isinstance(item, Word))
    yield from (Control(item.name, item.bits) for item in inside(items) if isinstance(item, Lookahead))


def _steering(items: Sequence[Item]) -> Iterator[str]:
    """Yield the names whose codes are needed later."""
    for item in inside(items):
        if isinstance(item, Switch):
            yield item.control
        elif isinstance(item, Repeat | Samples):
            yield from [item.count] if isinstance(item.count, str) else []
            if isinstance(item, Samples):
                yield from [item.base] if item.base is not None else []
                yield from [item.step.name] if isinstance(item.step, Step) else []
        elif isinstance(item, Entry) and item.time is not None:
            yield item.time
        elif isinstance(item, Lookahead):
            yield item.name
