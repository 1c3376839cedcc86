"""The node's encoder of one message: straight-line stores where a field has one place, else a bit helper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from siel_codecs.schema.model import (
    MAX_PAYLOAD_BYTES,
    MAX_SAMPLES,
    Absent,
    Choice,
    Constant,
    Control,
    Lookahead,
    Number,
    Repeat,
    Reserved,
    Samples,
    Switch,
    Tlv,
    Word,
)
from siel_codecs.schema.to_micropython.codes import (
    choice_branches,
    number_branches,
    refusal,
    told_meanings,
    told_range,
)
from siel_codecs.schema.to_micropython.numbers import CannotEmitError, scaling
from siel_codecs.schema.to_micropython.plan import Plan, Steered
from siel_codecs.schema.to_micropython.steer import check_equal, derive, list_names, none_is_empty, refuse_others
from siel_codecs.schema.to_micropython.text import (
    WIDTH,
    Lines,
    Piece,
    is_one_of,
    pieces,
    runs,
    word_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_codecs.schema.model import Item, Leaf, Message, SeriesLeaf

PUT: Final = """\
def __put(buf: bytearray, at: int, code: int, bits: int) -> int:
    # From bit at on, most significant bit first; what is left of the last byte becomes 0.
    while bits:
        room = 8 - (at & 7)
        take = bits if bits < room else room
        bits -= take
        part = (code >> bits & (1 << take) - 1) << room - take
        if room == 8:
            buf[at >> 3] = part
        else:
            buf[at >> 3] |= part
        at += take
    return at
"""


class Encoder:
    """Writes one function.

    Args:
        message: What it encodes.
        name: Of the function.

    Attributes:
        needs_put: Whether it calls ``__put``.

    Raises:
        CannotEmitError: The message says something that this target cannot express.
    """

    def __init__(self, message: Message, name: str) -> None:
        self.needs_put = False
        self._plan = plan = Plan(message)
        self._lines = Lines()
        self._at: int | None = 0
        """The bit that is written next; None: the variable ``at`` has it."""
        self._steered: dict[str, Steered] = {}
        """What steers and has its code."""
        self._ready: set[str] = set()
        """What steers or was looked ahead and is a code already."""
        self._buf = plan.fresh("buf") if "buf" in plan.locals.values() else "buf"
        self._var = {each: plan.fresh(each) for each in ("at", "n", "i", "code")}
        self._lines.add(*self._signature(name))
        with self._lines.block():
            self._items(message.items)
            self._end()

    def text(self) -> str:
        """Return the source of the function."""
        return self._lines.text()

    def _signature(self, name: str) -> list[str]:
        arguments = [f"{self._plan.locals[each]}{self._annotation(each)}" for each in self._plan.arguments]
        one_line = f"def {name}({', '.join([f'{self._buf}: bytearray', *arguments])}) -> int:"
        if len(one_line) <= WIDTH:
            return [one_line]
        return [f"def {name}(", f"    {self._buf}: bytearray,", *(f"    {each}," for each in arguments), ") -> int:"]

    def _annotation(self, name: str) -> str:
        # FAULT is no integer, and a list may be any array: mypy takes what is not annotated as it comes
        argument = self._plan.arguments[name]
        return "" if argument.is_list or argument.has(Absent.FAULT) else ": int | None"

    def _end(self) -> None:
        if self._at is None:
            self._lines.add(f"return {self._var['at']} + 7 >> 3")
        else:
            self._lines.add(f"return {(self._at + 7) // 8}")

    # The walk

    def _items(self, items: tuple[Item, ...]) -> None:
        run: list[Leaf | Word] = []
        start = 0
        for index, item in enumerate(items):
            if isinstance(item, Switch | Repeat | Samples):
                self._run(run, items[start:])
                run, start = [], index + 1
                if isinstance(item, Switch):
                    self._switch(item)
                elif isinstance(item, Repeat):
                    self._repeat(item)
                else:
                    self._samples(item)
            elif isinstance(item, Lookahead):
                self._prepare(self._plan.leaf_of[item.name], items[index + 1 :])
            elif not isinstance(item, Tlv):  # refused before
                run.append(item)
        self._run(run, items[start:])

    def _run(self, run: Sequence[Leaf | Word], after: tuple[Item, ...]) -> None:
        # What a leaf steers comes after the whole run
        for item in run:
            for leaf in item.leaves if isinstance(item, Word) else (item,):
                self._prepare(leaf, after)
        if self._at is not None:
            self._store(run, self._at)
        else:
            self._append(run)

    def _store(self, run: Sequence[Leaf | Word], start: int) -> None:
        # One line per byte; the first may have begun before
        at = start
        parts: list[tuple[Piece, Leaf]] = []
        for item in run:
            parts += _parts(item, at)
            at += item.bits
        for byte in range(start // 8, (at + 7) // 8):
            here = [(piece, leaf) for piece, leaf in parts if piece.byte == byte]
            texts = self._texts(here)
            if byte * 8 >= start:
                self._lines.joined(f"{self._buf}[{byte}] = ", texts or ["0"], "|")
            elif texts:
                self._lines.joined(f"{self._buf}[{byte}] |= ", texts, "|")
        self._at = at

    def _texts(self, parts: Sequence[tuple[Piece, Leaf]]) -> list[str]:
        constant, texts = 0, list[str]()
        for piece, leaf in parts:
            if isinstance(leaf, Constant):
                constant |= piece.constant(leaf.code)
            elif not isinstance(leaf, Reserved):
                texts.append(piece.written(self._name(leaf)))
        return [str(constant), *texts] if constant else texts

    def _append(self, run: Sequence[Leaf | Word]) -> None:
        at, fixed, bits = self._var["at"], 0, 0

        def flush() -> None:
            nonlocal fixed, bits
            if bits:
                self._put(str(fixed), bits)
            fixed = bits = 0

        for item in run:
            if isinstance(item, Constant | Reserved):
                code = item.code if isinstance(item, Constant) else 0
                if fixed and (fixed << item.bits | code) >> 30:
                    flush()
                fixed, bits = fixed << item.bits | code, bits + item.bits
                if fixed >> 30:
                    # A constant that is no small integer goes out in two parts
                    low, fixed, bits = fixed & 0xFFFF, fixed >> 16, bits - 16
                    flush()
                    fixed, bits = low, 16
                continue
            flush()
            if isinstance(item, Word):
                parts = _parts(item, 0)
                for byte in range(item.bits // 8):
                    texts = self._texts([(piece, leaf) for piece, leaf in parts if piece.byte == byte])
                    self._lines.joined(f"{self._buf}[{at} >> 3] = ", texts or ["0"], "|")
                    self._lines.add(f"{at} += 8")
            else:
                self._put(self._name(item), item.bits)
        flush()

    def _put(self, code: str, bits: int) -> None:
        self.needs_put = True
        at = self._var["at"]
        self._lines.add(f"{at} = __put({self._buf}, {at}, {code}, {bits})")

    def _moving(self) -> None:
        # From here on the place is a variable
        if self._at is not None:
            self._lines.add(f"{self._var['at']} = {self._at}")
            self._at = None

    def _name(self, leaf: Leaf) -> str:
        return self._plan.locals[leaf.name]  # type: ignore[union-attr]

    # From values to codes

    def _prepare(self, leaf: Leaf, after: tuple[Item, ...]) -> None:
        if not isinstance(leaf, Number | Choice | Control) or leaf.name in self._ready:
            return
        self._ready.add(leaf.name)
        if isinstance(leaf, Control | Choice):
            self._steered[leaf.name] = Steered(leaf, after)
        if isinstance(leaf, Control):
            derive(self._lines, self._plan.locals, leaf, self._steered[leaf.name])
        else:
            self._code(leaf, self._name(leaf))
        if isinstance(leaf, Choice):
            refuse_others(self._lines, self._plan.locals, leaf, self._steered[leaf.name])

    def _code(self, leaf: Number | Choice, name: str, *, masked: bool = True) -> None:
        """Turn the value in ``name`` into the code; of a series it keeps its sign until it is sent."""
        wanted = self._plan.locals[leaf.name]
        if isinstance(leaf, Number):
            self._lines.comment(told_range(leaf))
            self._lines.chain(number_branches(leaf, scaling(leaf), (name, wanted), masked=masked))
        else:
            self._lines.comment(told_meanings(leaf))
            self._lines.chain(choice_branches(leaf, name, wanted))

    # Groups

    def _switch(self, switch: Switch) -> None:
        possible = self._steered[switch.control].possible
        name = self._plan.locals[switch.control]
        arms = [(set(arm.codes) & possible if possible else set(arm.codes), arm.items) for arm in switch.arms]
        arms = [(codes, items) for codes, items in arms if codes]
        rest = not possible or possible - {code for codes, _ in arms for code in codes}
        branches: list[tuple[set[int] | None, tuple[Item, ...]]] = list(arms)
        if not rest:
            # The longest test, or the arm without items, becomes the else
            last = min(range(len(arms)), key=lambda index: (bool(arms[index][1]), -len(runs(arms[index][0]))))
            branches = [*(arm for index, arm in enumerate(arms) if index != last), (None, arms[last][1])]
        start, ready, steered = self._at, set(self._ready), dict(self._steered)
        written: list[tuple[set[int] | None, list[str], int | None]] = []
        outer = self._lines
        for codes, items in branches:
            self._lines, self._at, self._ready, self._steered = Lines(), start, set(ready), dict(steered)
            self._items(items)
            written.append((codes, self._lines.lines, self._at))
        refused = bool(rest) and switch.otherwise == "error"
        if rest and not refused:
            written.append((None, [], start))
        self._lines, self._ready, self._steered = outer, ready, steered
        self._join(name, written, refused=refused)

    def _join(self, name: str, written: list[tuple[set[int] | None, list[str], int | None]], *, refused: bool) -> None:
        ends = {end for _, _, end in written}
        if len(ends) > 1:
            written = [
                (codes, [*lines, *([] if end is None else [f"{self._var['at']} = {end}"])], end)
                for codes, lines, end in written
            ]
            self._at = None
        else:
            self._at = ends.pop()
        word = "if"
        for codes, lines, _ in written:
            if codes is None and word == "if":
                self._lines.add(*lines)
            elif codes is not None or lines:
                self._lines.add("else:" if codes is None else f"{word} {is_one_of(name, codes)}:")
                with self._lines.block():
                    self._lines.add(*(lines or ["pass"]))
            word = "elif"
        if refused:
            self._lines.add("else:", f"    {refusal(name)}")

    # Lists and series

    def _length(self, item: Repeat | Samples, bits: int) -> tuple[str, bool]:
        """Emit the checks of the lists' lengths; return the count's expression and whether every list is one."""
        lists = list_names(self._plan.locals, item)
        if isinstance(item.count, str):
            first = self._steered[item.count].lists[0] is item
            return item.count, first and len(lists) == 1
        if isinstance(item.count, int):
            check_equal(self._lines, str(item.count), lists)
            return str(item.count), False
        n = self._var["n"]
        most = min(MAX_PAYLOAD_BYTES * 8 // bits, MAX_SAMPLES if isinstance(item, Samples) else MAX_PAYLOAD_BYTES)
        none_is_empty(self._lines, lists[0])
        self._lines.add(f"{n} = len({lists[0]})", f"if {n} > {most}:", f"    {refusal(lists[0])}")
        check_equal(self._lines, n, lists[1:])
        return n, len(lists) == 1

    def _element(self, leaf: Number | Choice, index: str, *, sure: bool) -> None:
        element = f"{self._name(leaf)}[{index}]"
        text = element if sure else f"None if {self._name(leaf)} is None else {element}"
        self._lines.add(f"{self._var['code']} = {text}")

    def _repeat(self, item: Repeat) -> None:
        count, sure = self._length(item, item.leaf.bits)
        self._moving()
        i, code, add = self._var["i"], self._var["code"], self._lines
        add.add(f"{i} = 0", f"while {i} < {count}:")
        with add.block():
            self._element(item.leaf, i, sure=sure)
            self._code(item.leaf, code)
            self._put(code, item.leaf.bits)
            add.add(f"{i} += 1")

    def _samples(self, item: Samples) -> None:
        count, sure = self._length(item, sum(each.delta_bits or each.leaf.bits for each in item.leaves))
        self._moving()
        i, add = self._var["i"], self._lines
        before = {
            each.leaf.name: self._plan.fresh(f"{self._name(each.leaf)}_before")
            for each in item.leaves
            if each.delta_bits and not isinstance(each.leaf, Reserved)
        }
        add.add(*(f"{name} = 0" for name in before.values()))
        index = i if item.newest_first else f"{count} - 1 - {i}" if not count.isdigit() else f"{int(count) - 1} - {i}"
        add.add(f"{i} = 0", f"while {i} < {count}:")
        with add.block():
            for each in item.leaves:
                self._sample(each, index, before, sure=sure)
            add.add(f"{i} += 1")

    def _sample(self, each: SeriesLeaf, index: str, before: dict[str, str], *, sure: bool) -> None:
        leaf, code, add = each.leaf, self._var["code"], self._lines
        if isinstance(leaf, Reserved):
            self._put("0", leaf.bits)
            return
        self._element(leaf, index, sure=sure)
        if not each.delta_bits or not isinstance(leaf, Number):
            self._code(leaf, code)
            self._put(code, leaf.bits)
            return
        self._code(leaf, code, masked=False)
        last, low, high = before[leaf.name], leaf.code_min, leaf.code_max
        limit = 1 << each.delta_bits - 1
        values = [f"{low} <= {last} <= {high}", f"{low} <= {code} <= {high}"] if not leaf.every_code_is_a_value else []
        tests = [self._var["i"], *values, f"-{limit} < {code} - {last} < {limit}"]
        add.joined("if ", tests, "and", ":")
        with add.block():
            self._put(f"{code} - {last}", each.delta_bits)
        add.add("else:")
        with add.block():
            # The most negative difference says that the whole code follows
            add.add(f"if {self._var['i']}:")
            with add.block():
                self._put(str(limit), each.delta_bits)
            self._put(code, leaf.bits)
        add.add(f"{last} = {code}")


def _parts(item: Leaf | Word, at: int) -> list[tuple[Piece, Leaf]]:
    if not isinstance(item, Word):
        return [(piece, item) for piece in pieces(at, item.bits)]
    shifted = zip(item.leaves, item.shifts(), strict=True)
    return [(piece, leaf) for leaf, shift in shifted for piece in word_pieces(at, shift, leaf.bits)]


__all__ = ["PUT", "CannotEmitError", "Encoder"]
