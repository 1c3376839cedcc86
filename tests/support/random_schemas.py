"""Hypothesis strategies for sound devices over all item kinds.

``devices(target)`` draws what the loader would let pass, ``readings(device, message)`` the data of one message with
values inside, at and outside their ranges, ``payloads(frames)`` noise, sound frames, and frames that were damaged.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

from hypothesis import strategies as st

from random_readings import REASONS, payloads, readings
from siel_codecs.schema.below import static_bits
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
    Lookahead,
    Message,
    NodeInput,
    Number,
    Opaque,
    Port,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Special,
    Step,
    Switch,
    Tlv,
    Unit,
    Word,
)

__all__ = ["devices", "messages", "payloads", "ports", "readings"]

Target = Literal["all", "more", "micropython", "downlink"]
"""``more`` has all, and one name in several arms or entries, and what steers within a little-endian word;
``micropython`` leaves out what no node can say; ``downlink`` draws commands without absolute times and
series."""

UNITS = [Unit("u", "count", 1, 1, "1"), Unit("°C", "Cel", 1, 1, "Cel"), None]
WORDS = ["closed", "open", 'it\'s "so"', "{braces}", "back\\slash"]
DEPTH = 2


class Builder:
    """The items of one message while they are drawn: the place they have come to, and names that are free."""

    def __init__(self, draw: Any, target: Target) -> None:
        self.draw, self.target = draw, target
        self.at: int | None = 0
        """The bit, while it is the same in every payload."""
        self.of_byte: int | None = 0
        """The bit of the byte, while that is known."""
        self.named = 0
        self.suffix = ""
        self.ends = False
        """Whether the last item takes all that is left."""
        self.has_series = False
        self.numbers: list[Number] = []
        """At the top, before the place."""

    def name(self, prefix: str) -> str:
        self.named += 1
        return f"{prefix}{self.named}{self.suffix}"

    def moved(self, bits: int | None, of_byte: int | None = None) -> None:
        """Go on by some bits; by a number that is not known (None) to a bit of the byte that may be."""
        if bits is None:
            self.at, self.of_byte = None, of_byte
        else:
            self.at = None if self.at is None else self.at + bits
            self.of_byte = None if self.of_byte is None else (self.of_byte + bits) % 8

    def take(self, leaf: Leaf) -> Leaf:
        self.moved(leaf.bits)
        return leaf

    def aligned(self) -> list[Item] | None:
        """Return what fills the byte; None where that is not known."""
        if self.of_byte is None:
            return None
        return [self.take(Reserved(8 - self.of_byte))] if self.of_byte else []

    # leaves

    def number(self, most_bits: int = 32, least_bits: int = 1) -> Number:
        draw = self.draw
        most_bits = min(most_bits, 30) if self.target == "micropython" else most_bits
        usual = [bits for bits in (8, 12, 16, 24) if least_bits <= bits <= most_bits]
        bits = draw(st.integers(least_bits, most_bits) | st.sampled_from(usual or [least_bits]))
        signed = bits > 1 and draw(st.booleans())
        lowest = -(1 << bits - 1) if signed else 0
        highest = lowest + (1 << bits) - 1
        low, high = lowest, highest
        specials: list[Special] = []
        if draw(st.booleans()):
            low, high = sorted(draw(st.tuples(st.integers(lowest, highest), st.integers(lowest, highest))))
            reasons = draw(st.lists(st.sampled_from(REASONS), unique=True, max_size=4))
            free = highest
            for reason in reasons:
                last = free
                first = last - draw(st.sampled_from([0, 0, 0, 2]))
                if first > high:
                    specials.append(Special(first, last, reason))
                    free = first - 1 - draw(st.integers(0, 1))
        num, den = draw(
            st.sampled_from([(1, 1), (1, 10), (1, 100), (1, 5), (3, 7), (2, 1), (25, 1), (1, 1000), (5, 3)])
        )
        add = draw(
            st.one_of(st.just(0), st.integers(-1000, 1000).map(lambda steps: steps * num), st.integers(-1000, 1000))
        )
        name = self.name("n")
        node = None
        if draw(st.booleans()):
            per = draw(st.sampled_from([1, 1, 2, 5, 10]))
            scale = Fraction(num, den * per)
            node = NodeInput(f"i_{name}".replace(CHANNEL, ""), scale.numerator, scale.denominator)
        saturates = self.target != "downlink" or draw(st.booleans())
        unit = draw(st.sampled_from(UNITS))
        return Number(
            name, f"A number: {name}", bits, signed, num, add, den, low, high, tuple(specials), saturates, unit, node
        )

    def choice(self, name: str | None = None) -> Choice:
        draw = self.draw
        bits = draw(st.integers(1, 8))
        codes = draw(st.lists(st.integers(0, (1 << bits) - 1), unique=True, min_size=1, max_size=4))
        values: list[Any] = WORDS
        if len(codes) == 2 and draw(st.booleans()):
            values = draw(st.sampled_from([[False, True], [True, False]]))
        meanings: tuple[tuple[int, str | bool], ...] = tuple(zip(codes, values, strict=False))
        free = sorted(set(range(1 << bits)) - set(codes))
        specials = (Special(free[-1], free[-1], Absent.NOT_AVAILABLE),) if free and draw(st.booleans()) else ()
        return Choice(name or self.name("m"), "A choice", bits, meanings, specials)

    def leaf(self) -> Leaf:
        kind = self.draw(st.sampled_from(["number"] * 5 + ["choice"] * 2 + ["constant", "reserved"]))
        if kind == "number":
            return self.number()
        if kind == "choice":
            return self.choice()
        bits = self.draw(st.integers(1, 16))
        if kind == "constant":
            return Constant("it's a {constant}", bits, self.draw(st.integers(0, (1 << bits) - 1)))
        return Reserved(bits)

    # items

    def items(self, count: int, depth: int, *, top: bool) -> list[Item]:
        kinds = ["leaf"] * 5 + ["word", "fixed list"]
        if self.target != "micropython":
            kinds.append("opaque")
        if depth:
            kinds += ["switch"] * 3 + ["list"]
        if depth and top:
            kinds.append("ahead")
        found: list[Item] = []
        for _ in range(count):
            found += getattr(self, "add_" + self.draw(st.sampled_from(kinds)).replace(" ", "_"))(depth)
            if top:
                self.numbers += [item for item in found if isinstance(item, Number) and item not in self.numbers]
        return found

    def add_leaf(self, depth: int) -> list[Item]:
        return [self.take(self.leaf())]

    def add_opaque(self, depth: int) -> list[Item]:
        found = self.aligned()
        if found is None:
            return []
        return [*found, self.take(Opaque(self.name("x"), "Bytes", 8 * self.draw(st.integers(1, 9))))]

    def add_word(self, depth: int) -> list[Item]:
        found = self.aligned()
        if found is None:
            return []
        bits = left = self.draw(st.sampled_from([8, 16, 24] + [32] * (self.target != "micropython")))
        inside: list[Leaf] = []
        while left and len(inside) < 4:
            leaf = self.leaf()
            if leaf.bits <= left:
                inside.append(leaf)
                left -= leaf.bits
            else:
                inside.append(self.number(most_bits=left))
                left -= inside[-1].bits
        if left:
            inside.append(Reserved(left))
        self.moved(bits)
        return [*found, Word(bits, tuple(inside))]

    def add_fixed_list(self, depth: int) -> list[Item]:
        leaf = self.draw(st.sampled_from([self.number, self.choice]))()
        count = self.draw(st.integers(1, 4))
        self.moved(count * leaf.bits)
        return [Repeat(leaf, count)]

    def add_list(self, depth: int) -> list[Item]:
        count = Control(self.name("_c"), self.draw(st.integers(1, 4)))
        found: list[Item] = [self.take(count)]
        if self.draw(st.booleans()):
            found += self.add_leaf(depth)
        leaf = self.draw(st.sampled_from([self.number, self.choice]))()
        self.moved(None, self.of_byte if leaf.bits % 8 == 0 else None)
        return [*found, Repeat(leaf, count.name)]

    def control(self) -> Control | Choice:
        if self.draw(st.booleans()):
            return self.choice(self.name("m"))
        return Control(self.name("_k"), self.draw(st.integers(1, 5)))

    def steering(self, control: Control | Choice) -> list[Item]:
        """Return what steers, perhaps in a little-endian word."""
        fill = self.aligned() if self.target == "more" and self.draw(st.booleans()) else None
        if fill is None:
            return [self.take(control)]
        before = self.draw(st.integers(0, 16 - control.bits))
        after = 16 - control.bits - before
        leaves = (*([Reserved(before)] if before else []), control, *([Reserved(after)] if after else []))
        self.moved(16)
        return [*fill, Word(16, leaves)]

    def add_switch(self, depth: int) -> list[Item]:
        control = self.control()
        found = self.steering(control)
        if self.draw(st.booleans()):
            found += self.add_leaf(depth)
        first = self.switch(control, depth, same_size=self.draw(st.booleans()))
        found.append(first)
        if isinstance(control, Control) and self.draw(st.booleans()):
            known = [code for arm in first.arms for code in arm.codes] if first.otherwise == "error" else None
            found.append(self.switch(control, depth, same_size=False, second=True, known=known))
        return found

    def add_ahead(self, depth: int) -> list[Item]:
        if self.at is None:
            return self.add_switch(depth)
        control = self.control()
        switch = self.switch(control, depth, same_size=True)
        place = self.at
        return [] if place is None else [Lookahead(control.name, place, control.bits), switch, self.take(control)]

    def switch(
        self,
        control: Control | Choice,
        depth: int,
        *,
        same_size: bool,
        second: bool = False,
        known: list[int] | None = None,
    ) -> Switch:
        """Return a switch; the ``second`` on a control has arms for codes that the first lets pass."""
        draw = self.draw
        every = [code for code, _ in control.meanings] if isinstance(control, Choice) else range(1 << control.bits)
        codes = draw(st.lists(st.sampled_from(known or list(every)), unique=True, min_size=1, max_size=4))
        otherwise: Literal["error", "ignore"] = "ignore" if second else draw(st.sampled_from(["error", "ignore"]))
        arms: list[tuple[tuple[int, ...], list[Item], int | None]] = []
        start = self.at, self.of_byte
        ends = [start[1]] if otherwise == "ignore" else []
        named = most_named = self.named
        while codes:
            if self.target == "more" and draw(st.booleans()):
                self.named = named  # names of other arms again
            own = codes[: draw(st.integers(1, 2))]
            codes = codes[len(own) :]
            self.at, self.of_byte = start
            items = self.items(draw(st.integers(0, 2)), depth - 1, top=False)
            arms.append((tuple(own), items, static_bits(tuple(items))))
            ends.append(self.of_byte)
            most_named = max(most_named, self.named)
        self.named = most_named
        sizes = [size for _, _, size in arms if size is not None]
        self.at, self.of_byte = start
        if same_size and len(sizes) == len(arms):
            most = max(sizes)
            arms = [
                (own, items + ([Reserved(most - size)] if size is not None and size < most else []), most)
                for own, items, size in arms
            ]
            otherwise = "error" if most else otherwise
        built = Switch(control.name, tuple(Arm(own, tuple(items)) for own, items, _ in arms), otherwise)
        bits = static_bits((built,))
        if bits is not None:
            self.moved(bits)
        else:
            self.moved(None, ends[0] if len(set(ends)) == 1 else None)
        return built

    # what comes last or once

    def series(self, *, last: bool) -> list[Item]:
        draw = self.draw
        found: list[Item] = []
        leaves: list[SeriesLeaf] = []
        to_end = last and draw(st.booleans())
        for _ in range(draw(st.integers(1, 3))):
            leaf = draw(st.sampled_from([self.number, self.number, self.choice]))()
            delta = 0
            if isinstance(leaf, Number) and leaf.bits > 3 and not to_end and draw(st.booleans()):
                delta = draw(st.integers(2, leaf.bits - 1))
            leaves.append(SeriesLeaf(leaf, delta))
        bits = sum(each.leaf.bits for each in leaves)
        if to_end and bits < 8:
            leaves.append(SeriesLeaf(Reserved(8 - bits)))
        base = None
        if self.target in {"all", "more"} and draw(st.booleans()):
            base = self.name("_t")
            found.append(self.take(Control(base, 32)))
        count: int | str | None = None
        if not to_end and draw(st.booleans()):
            count = draw(st.integers(1, 4))
        elif not to_end:
            count = self.name("_c")
            found.append(self.take(Control(count, draw(st.integers(1, 4)))))
        step: int | Step = draw(st.sampled_from([0, 600_000, 1500]))
        if self.numbers and draw(st.booleans()):
            number = draw(st.sampled_from(self.numbers))
            step = Step(number.name, draw(st.integers(1, 1000)), draw(st.integers(-1000, 1000)))
        samples = Samples(tuple(leaves), count, draw(st.booleans()), step, base)
        self.moved(static_bits((samples,)))
        self.has_series, self.ends = True, to_end
        return [*found, samples]

    def to_end(self) -> list[Item]:
        self.ends = True
        return [Repeat(self.number(least_bits=8), None)]

    def tlv(self) -> list[Item]:
        draw = self.draw
        start = self.aligned()
        if start is None:
            return []
        key_bytes, channel, length = draw(st.sampled_from([1, 2])), draw(st.booleans()), draw(st.booleans())
        key = st.integers(0, 5) | st.integers(0, 256**key_bytes - 1)
        keys = draw(st.lists(key, unique=True, min_size=2, max_size=14))
        entries = [self.entry(each, channel, length) for each in keys[1:]]
        unknown = draw(st.sampled_from(["stop", "skip", "raw"]))
        sizes = ((keys[0], draw(st.integers(0, 4))),) if unknown == "skip" and not length else ()
        self.ends = True
        return [
            *start,
            Tlv(key_bytes, channel, length, tuple(entries), unknown, sizes, draw(st.sampled_from([0, 0, 2]))),
        ]

    def entry(self, key: int, channel: bool, length: bool) -> Entry:
        draw = self.draw
        of_entry = Builder(draw, self.target)
        of_entry.at, of_entry.named = None, self.named
        of_entry.suffix = "_" + CHANNEL if channel else ""
        time = None
        items: list[Item] = []
        if self.target != "downlink" and draw(st.integers(0, 3)) == 0:
            time = of_entry.name("_t").replace("_" + CHANNEL, "")
            control = of_entry.take(Control(time, 32))
            items.append(Word(32, (control,)) if self.target == "more" and draw(st.booleans()) else control)
        items.append(of_entry.take(of_entry.number()))
        if draw(st.booleans()):
            items += of_entry.items(1, 0 if length else 1, top=False)
        end = of_entry.aligned()
        if end is None:
            return self.entry(key, channel, True)
        if not (self.target == "more" and draw(st.integers(0, 3)) == 0):
            self.named = of_entry.named
        return Entry(key, tuple(items + end), time)


@st.composite
def messages(
    draw: Any, target: Target = "all", *, name: str = "", first: Constant | None = None, version: int | None = None
) -> Message:
    """Draw one message; ``first`` is the Constant by which several are told apart."""
    build = Builder(draw, target)
    items: list[Item] = [] if first is None else [build.take(first)]
    items += build.items(draw(st.integers(0 if items else 1, 4)), DEPTH, top=True)
    last = draw(st.sampled_from(["", "", "series", "series, more", "list", "tlv"]))
    if last.startswith("series") and target != "downlink":
        items += build.series(last=last == "series")
    if last == "series, more" and not build.ends:
        items += build.items(1, 1, top=True)
    if last == "list" and target != "micropython":
        items += build.to_end()
    if last == "tlv" and target != "micropython":
        items += build.tlv()
    if not items:
        items = [build.take(build.number())]
    return Message(name, "A message", tuple(items), draw(st.sampled_from(["error", "error", "ignore"])), version)


@st.composite
def ports(draw: Any, direction: Literal["up", "down"], f_ports: tuple[int, ...], target: Target = "all") -> Port:
    """Draw the messages of one port: one, several versions, several told apart by a code, or commands."""
    commands = direction == "down"
    how = draw(st.sampled_from(["one", "one", "version", "code"]))
    if how == "one":
        name = draw(st.sampled_from(["", "start"])) if commands else ""
        return Port(direction, f_ports, (draw(messages(target, name=name)),))
    bits = draw(st.integers(2, 9))
    codes = draw(
        st.lists(st.integers(0, (1 << bits) - 1), unique=True, min_size=1 if how == "version" else 2, max_size=3)
    )
    found = []
    for index, code in enumerate(codes):
        first = Constant("version" if how == "version" else "frame {code}", bits, code)
        name = f"command_{index}" if (commands and how == "code") or target == "micropython" else ""
        found.append(draw(messages(target, name=name, first=first, version=code if how == "version" else None)))
    return Port(direction, f_ports, tuple(found))


@st.composite
def devices(draw: Any, target: Target = "all") -> Device:
    """Draw a device that the loader would let pass.

    ``downlink`` gives one with commands only, ``micropython`` one with an uplink and perhaps commands, ``all`` one or
    two uplink ports, perhaps one for any port, and perhaps commands.
    """
    found: list[Port] = []
    if target != "downlink":
        f_ports = draw(st.sampled_from([(10,), (10, 11), ()]))
        found.append(draw(ports("up", f_ports, target)))
        if target in {"all", "more"} and draw(st.booleans()):
            found.append(draw(ports("up", (12,), target)))
    if target == "downlink" or draw(st.booleans()):
        found.append(draw(ports("down", (10,), "micropython" if target == "micropython" else "downlink")))
    return Device("test/random", "Random", "", tuple(found))
