"""Hypothesis strategies for messages of a node, readings in its integers, and integers that stay small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from siel_codecs.schema.below import static_bits
from siel_codecs.schema.model import (
    Absent,
    Arm,
    Choice,
    Constant,
    Control,
    Item,
    Lookahead,
    Message,
    NodeInput,
    Number,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Special,
    Switch,
    Word,
)


class Names:
    """Gives each leaf a name of its own."""

    def __init__(self) -> None:
        self.count = 0

    def next(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"


@st.composite
def numbers(draw: Any, name: str, *, command: bool, bits: int = 0) -> Number:
    bits = bits or draw(st.one_of(st.integers(2, 12), st.integers(1, 30)))
    signed = bits > 1 and draw(st.booleans())
    lowest = -(1 << bits - 1) if signed else 0
    highest = lowest + (1 << bits) - 1
    low, high = sorted((draw(st.integers(lowest, highest)), draw(st.integers(lowest, highest))))
    free = [code for code in {lowest, highest, low - 1, high + 1, high + 2} if lowest <= code <= highest]
    free = draw(st.permutations([code for code in free if not low <= code <= high]))
    absents = draw(st.permutations([Absent.NOT_AVAILABLE, Absent.UNDER_RANGE, Absent.OVER_RANGE, Absent.FAULT]))
    specials = tuple(Special(code, code, absent) for code, absent in zip(free, absents, strict=False))
    num, den = draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 3, 5, 10, 100]))
    if command:
        steps = draw(st.integers(1, 10))
        node = NodeInput(f"node_{name}", num, den * steps) if draw(st.booleans()) else None
        add = num * draw(st.integers(-20, 20))
    else:
        node = NodeInput(f"node_{name}", draw(st.integers(1, 20)), draw(st.sampled_from([1, 2, 3, 10, 1000])))
        node = node if draw(st.booleans()) else None
        add = draw(st.integers(-1000, 1000)) if node else num * draw(st.integers(-50, 50))
    return Number(
        name=name, title="A number", bits=bits, signed=signed, num=num, add=add, den=den, code_min=low, code_max=high,
        specials=specials, saturates=not command and draw(st.integers(0, 4)) > 0, unit=None, node=node,
    )  # fmt: skip


@st.composite
def choices(draw: Any, name: str) -> Choice:
    bits = draw(st.integers(1, 4))
    codes = draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=6, unique=True))
    rest = [code for code in range(1 << bits) if code not in codes]
    specials = []
    if rest and draw(st.booleans()):
        specials.append(Special(rest[0], rest[0], draw(st.sampled_from([Absent.NOT_AVAILABLE, Absent.FAULT]))))
    values: Sequence[str | bool] = [f"is {code}" for code in codes]
    if len(codes) <= 2 and draw(st.booleans()):
        values = [True, False][: len(codes)]
    return Choice(name, "A choice", bits, tuple(zip(codes, values, strict=True)), tuple(specials))


@st.composite
def blocks(  # noqa: PLR0911 - a form each
    draw: Any, fresh: Names, command: bool, depth: int, at: int | None
) -> list[Item]:
    """One field, or a few items that belong together; ``at`` is where they start if that is known."""
    form = draw(st.sampled_from("nnncckrwgulp" if depth < 2 else "nncckr"))
    if form == "n":
        return [draw(numbers(fresh.next(), command=command))]
    if form == "c":
        return [draw(choices(fresh.next()))]
    if form == "k":
        bits = draw(st.integers(1, 32))
        return [Constant("constant", bits, draw(st.integers(0, (1 << bits) - 1)))]
    if form == "r":
        return [Reserved(draw(st.integers(1, 40)))]
    if form == "w":
        size = draw(st.sampled_from([8, 16, 24, 32]))
        if at is None:
            return [Reserved(1)]
        first = draw(st.integers(1, min(30, size - 1)))
        parts = (draw(numbers(fresh.next(), command=command, bits=first)),)
        word = Word(size, (*parts, *_filled(draw, fresh, size - first, command)))
        return [*([Reserved(-at % 8)] if at % 8 else []), word]
    if form == "p":
        leaf = draw(st.one_of(numbers(fresh.next(), command=command), choices(fresh.next())))
        if draw(st.booleans()) or command:
            return [Repeat(leaf, draw(st.integers(1, 4)))]
        count = Control(fresh.next("_n"), draw(st.integers(1, 4)))
        return [count, Repeat(leaf, count.name)]
    bits = draw(st.integers(1, 5))
    control: Control | Choice = Control(fresh.next("_c"), bits)
    pool = list(range(1 << bits))
    if form == "u" and draw(st.booleans()):
        choice = draw(choices(fresh.next()))
        control, pool = choice, [code for code, _ in choice.meanings]
    codes = draw(st.permutations(pool))[: draw(st.integers(1, 4))]
    arms = [Arm((code,), tuple(draw(several(fresh, command, depth + 1, None)))) for code in codes]
    if form == "g" and len(codes) > 1:
        arms[-1] = Arm(arms[-1].codes, ())
    otherwise = draw(st.sampled_from(["error", "ignore"]))
    switch = Switch(control.name, tuple(arms), otherwise)
    if form == "l" and at is not None:
        between = draw(numbers(fresh.next(), command=command))
        # The control stands behind what it steers only where that has one size
        same = Switch(
            control.name, tuple(Arm(arm.codes, (Reserved(3), _resized(fresh, draw, command))) for arm in arms), "error"
        )
        return [Lookahead(control.name, at + between.bits + 8, control.bits), between, same, control]
    return [control, switch]


def _resized(fresh: Names, draw: Any, command: bool) -> Number:
    return draw(numbers(fresh.next(), command=command, bits=5))  # type: ignore[no-any-return]


def _filled(draw: Any, fresh: Names, bits: int, command: bool) -> Iterator[Number | Choice | Reserved]:
    while bits:
        take = min(bits, draw(st.integers(1, 30)))
        bits -= take
        yield draw(numbers(fresh.next(), command=command, bits=take)) if draw(st.booleans()) else Reserved(take)


@st.composite
def several(draw: Any, fresh: Names, command: bool, depth: int, at: int | None) -> list[Item]:
    items: list[Item] = []
    for _ in range(draw(st.integers(1, 4 if depth == 0 else 2))):
        items += draw(blocks(fresh, command, depth, at))
        bits = static_bits(tuple(items))
        at = None if at is None or bits is None else bits
    return items


@st.composite
def series(draw: Any, fresh: Names) -> list[Item]:
    own = []
    for _ in range(draw(st.integers(1, 3))):
        leaf = draw(
            st.one_of(
                numbers(fresh.next(), command=False), choices(fresh.next()), st.builds(Reserved, st.integers(1, 9))
            )
        )
        delta = draw(st.integers(2, leaf.bits - 1)) if isinstance(leaf, Number) and leaf.bits > 2 else 0
        own.append(SeriesLeaf(leaf, delta if draw(st.booleans()) else 0))
    assume(any(not isinstance(each.leaf, Reserved) for each in own))
    control = Control(fresh.next("_s"), draw(st.integers(1, 4)))
    count = draw(st.sampled_from([control.name, 3, None]))
    assume(count is not None or sum(each.leaf.bits for each in own) >= 8)
    samples = Samples(tuple(own), count, draw(st.booleans()), 0, None)
    return [control, samples] if count == control.name else [samples]


@st.composite
def messages(draw: Any, command: bool = False) -> Message:
    fresh = Names()
    items = draw(several(fresh, command, 0, 0))
    if not command:
        end = draw(st.sampled_from("srn"))
        if end == "s":
            items += draw(series(fresh))
        elif end == "r":
            leaf = draw(numbers(fresh.next(), command=False))
            assume(leaf.bits >= 8)
            items.append(Repeat(leaf, None))
    return Message("", "A message", tuple(items))


class Reading:
    """Draws values for the groups that it chooses, now and then one too many or too few."""

    def __init__(self, draw: Any, message: Message) -> None:
        self.draw = draw
        self.given: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.samples: list[dict[str, Any]] | None = None
        self.lengths: dict[str, int] = {}
        self.codes: dict[str, int] = {}
        self._stray = draw(st.integers(0, 9)) == 0
        self._items(message.items)

    def _items(self, items: tuple[Item, ...]) -> None:
        for item in items:
            if isinstance(item, Word):
                self._items(item.leaves)
            elif isinstance(item, Number | Choice):
                self.given[item.name], self.data[item.name] = self._value(item)
            elif isinstance(item, Switch):
                self._switch(item)
            elif isinstance(item, Repeat):
                drawn = [self._value(item.leaf) for _ in range(self._length(item.count))]
                self.given[item.leaf.name] = [given for given, _ in drawn]
                self.data[item.leaf.name] = [value for _, value in drawn]
                if self._stray and self.draw(st.booleans()):
                    self.given[item.leaf.name] = self.data[item.leaf.name] = None
            elif isinstance(item, Samples):
                self._series(item)

    def _switch(self, switch: Switch) -> None:
        codes = [code for arm in switch.arms for code in arm.codes]
        code = self.codes.get(switch.control)
        if code is None:
            code = self.codes[switch.control] = int(self.draw(st.sampled_from(codes)))
        for arm in switch.arms:
            if code in arm.codes or self._stray:
                self._items(arm.items)

    def _series(self, item: Samples) -> None:
        length = self._length(item.count)
        self.samples = [{} for _ in range(length)]
        for each in item.leaves:
            if not isinstance(each.leaf, Reserved):
                drawn = [self._value(each.leaf) for _ in range(length)]
                self.given[each.leaf.name] = [given for given, _ in drawn]
                for sample, (_, value) in zip(self.samples, drawn, strict=True):
                    sample[each.leaf.name] = value
        self.data["samples"] = self.samples

    def _length(self, count: int | str | None) -> int:
        if isinstance(count, int):
            return count + int(self.draw(st.sampled_from([0, 0, 0, 0, 0, 1])))
        return int(self.draw(st.integers(0, 5)))

    def _value(self, leaf: Number | Choice) -> tuple[Any, Any]:
        pick = self.draw(st.integers(0, 9))
        if pick == 0 and (self._stray or leaf.special(Absent.NOT_AVAILABLE) is not None):
            return None, None
        if pick == 1 and leaf.special(Absent.FAULT) is not None:
            return "fault", "fault"
        if isinstance(leaf, Choice):
            if pick == 2 and self._stray and not leaf.is_flag:
                return 1 << leaf.bits, "none of these"
            code, value = self.draw(st.sampled_from(leaf.meanings))
            self.codes[leaf.name] = code
            return value if leaf.is_flag else code, value
        step = step_of(leaf)
        ends = [int((Fraction(code * leaf.num + leaf.add, leaf.den)) / step) for code in (leaf.code_min, leaf.code_max)]
        near = [st.integers(end - 20, end + 20) for end in ends]
        far = st.integers(-(1 << 30), (1 << 30) - 1)
        given = self.draw(st.one_of(*near, far, st.integers(*ends)) if leaf.saturates else st.integers(*ends))
        return given, given * step


def step_of(leaf: Number) -> Fraction:
    return leaf.scale if leaf.node is None else Fraction(leaf.node.num, leaf.node.den)


class SmallInt(int):
    """An integer that refuses to leave what a 32-bit MicroPython holds without allocation."""


def _small(name: str) -> Any:
    plain = getattr(int, name)

    def checked(self: SmallInt, *other: int) -> Any:
        value = plain(self, *other)
        assert value is NotImplemented or -(1 << 30) <= value < 1 << 30, f"{value} would be allocated"
        return value if value is NotImplemented else SmallInt(value)

    return checked


for _operator in ("add", "sub", "mul", "floordiv", "and", "or", "xor", "lshift", "rshift"):
    setattr(SmallInt, f"__{_operator}__", _small(f"__{_operator}__"))
    setattr(SmallInt, f"__r{_operator}__", _small(f"__r{_operator}__"))
SmallInt.__neg__ = _small("__neg__")  # type: ignore[method-assign]
