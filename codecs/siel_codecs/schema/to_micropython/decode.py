"""The node's decoder of commands: one function that takes none but sound ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from siel_codecs.schema.below import names, static_bytes
from siel_codecs.schema.model import (
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
from siel_codecs.schema.to_micropython.numbers import CannotEmitError, growing
from siel_codecs.schema.to_micropython.plan import Plan, walk
from siel_codecs.schema.to_micropython.text import (
    SMALL_INT_BITS,
    Lines,
    Piece,
    is_none_of,
    is_one_of,
    pieces,
    word_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_codecs.schema.model import Item, Leaf, Message, Port, Special

GET: Final = """\
def __get(buf: bytes | bytearray | memoryview, at: int, bits: int) -> int:
    # From bit at on, most significant bit first.
    code = 0
    while bits:
        room = 8 - (at & 7)
        take = bits if bits < room else room
        code = code << take | buf[at >> 3] >> room - take & (1 << take) - 1
        at += take
        bits -= take
    return code
"""


class Decoder:
    """Writes ``decode_downlink``.

    Args:
        ports: Those on which the device takes commands.
        numbers: Number of each command by its name.

    Attributes:
        needs_get: Whether it calls ``__get``.
        out_size: Slots that the longest command fills.

    Raises:
        CannotEmitError: A command says something that this target cannot express.
    """

    def __init__(self, ports: Sequence[Port], numbers: dict[str, int]) -> None:
        self.needs_get = False
        self.out_size = 0
        self._lines = Lines()
        self._at: int | None = 0
        self._numbers = numbers
        self._add(
            "def decode_downlink("
            "f_port: int, buf: bytes | bytearray | memoryview, n: int, out: list[int | None]) -> int:"
        )
        with self._lines.block():
            for port in sorted(ports, key=lambda each: not each.f_ports):
                self._port(port)
            if all(port.f_ports for port in ports):
                self._add("return -1")

    def text(self) -> str:
        """Return the source of the function."""
        return self._lines.text()

    def _add(self, *lines: str) -> None:
        self._lines.add(*lines)

    def _port(self, port: Port) -> None:
        if not port.f_ports:
            self._messages(port)
            return
        self._add(f"if {is_one_of('f_port', port.f_ports)}:")
        with self._lines.block():
            self._messages(port)

    def _messages(self, port: Port) -> None:
        selector = port.selector
        if selector is None:
            self._message(port.messages[0], 0)
            return
        if selector.bits > SMALL_INT_BITS:
            raise CannotEmitError(selector.title, f"{selector.bits} bits; a small integer holds {SMALL_INT_BITS}")
        self._add(f"if n < {(selector.bits + 7) // 8}:", "    return -1")
        self._joined("kind = ", _read(pieces(0, selector.bits)))
        seen: set[str] = set()
        for message in port.messages:
            first = message.items[0]
            if message.name in seen or not isinstance(first, Constant):
                continue  # of several versions of a command the newest is what this node takes
            seen.add(message.name)
            self._add(f"if kind == {first.code}:")
            with self._lines.block():
                self._message(message, 1)
        self._add("return -1")

    def _message(self, message: Message, skipped: int) -> None:
        self._plan, self._at = Plan(message), 0
        for item in walk(message.items):
            if isinstance(item, Samples) or (isinstance(item, Repeat) and not isinstance(item.count, int)):
                raise CannotEmitError(message.name or "command", "a node takes no lists of open length in commands")
        self._slots: dict[str, int] = {}
        size = 0
        counts: dict[str, int] = {}
        for item in walk(message.items):
            if isinstance(item, Repeat):
                counts[item.leaf.name] = max(int(item.count or 0), counts.get(item.leaf.name, 0))
        absent: list[int] = []  # slots that an arm fills which may not come
        in_arms = {name for item in message.items if isinstance(item, Switch) for name in names((item,))}
        for name in names(message.items):
            self._slots[name] = size
            size += counts.get(name, 1)
            absent += range(self._slots[name], size) if name in in_arms else ()
        self.out_size = max(self.out_size, size)
        told = ", ".join(f"{slot} {self._plan.arguments[name].name}" for name, slot in self._slots.items())
        self._lines.comment(f"{message.title}: {f'out is {told}' if told else 'without values'}")
        length = static_bytes(message)
        self._checked = length is not None
        if length is not None:
            self._add(f"if n {'<' if message.extra == 'ignore' else '!='} {length}:", "    return -1")
        self._add(*(f"out[{slot}] = None" for slot in absent))
        self._known: set[str] = set()
        if skipped and isinstance(message.items[0], Constant):
            self._at = message.items[0].bits
        self._items(message.items[skipped:])
        if length is None and message.extra == "error":
            end = "(at + 7 >> 3)" if self._at is None else str((self._at + 7) // 8)
            self._add(f"if n != {end}:", "    return -1")
        self._add(f"return {self._numbers[message.name]}")

    def _joined(self, head: str, parts: list[str]) -> None:
        self._lines.joined(head, parts, "|")

    # The walk

    def _items(self, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, Switch):
                self._switch(item)
            elif isinstance(item, Repeat):
                self._repeat(item)
            elif isinstance(item, Lookahead):
                self._room(item.bit + item.bits, absolute=True)
                self._joined(f"{self._steering(item.name)} = ", _read(pieces(item.bit, item.bits)))
                self._known.add(item.name)
            elif isinstance(item, Word):
                self._word(item)
            elif not isinstance(item, Samples | Tlv):  # both refused before
                self._leaf(item)

    def _room(self, bits: int, *, absolute: bool = False) -> None:
        if self._checked:
            return
        if absolute:
            self._add(f"if n < {(bits + 7) // 8}:", "    return -1")
        elif self._at is not None:
            self._add(f"if n < {(self._at + bits + 7) // 8}:", "    return -1")
        else:
            self._add(f"if n * 8 < at + {bits}:", "    return -1")

    def _word(self, word: Word) -> None:
        self._room(word.bits)
        for leaf, shift in zip(word.leaves, word.shifts(), strict=True):
            parts = word_pieces(self._at or 0, shift, leaf.bits)
            self._take(leaf, parts, "buf" if self._at is not None else "buf[(at >> 3) + ")
        self._pass(word.bits)

    def _leaf(self, leaf: Leaf) -> None:
        self._room(leaf.bits)
        if self._at is not None:
            self._take(leaf, pieces(self._at, leaf.bits))
        elif not isinstance(leaf, Reserved):
            self.needs_get = True
            if isinstance(leaf, Constant) and leaf.bits > SMALL_INT_BITS:
                low = leaf.bits - SMALL_INT_BITS
                self._check(f"__get(buf, at, {SMALL_INT_BITS})", leaf.code >> low)
                self._check(f"__get(buf, at + {SMALL_INT_BITS}, {low})", leaf.code & (1 << low) - 1)
            else:
                self._use(leaf, [f"__get(buf, at, {leaf.bits})"])
        self._pass(leaf.bits)

    def _pass(self, bits: int) -> None:
        if self._at is None:
            self._add(f"at += {bits}")
        else:
            self._at += bits

    def _take(self, leaf: Leaf, parts: list[Piece], buf: str = "buf") -> None:
        if isinstance(leaf, Constant) and leaf.bits > SMALL_INT_BITS:
            for part in parts:
                alone = Piece(part.byte, 0, part.width, part.up, part.whole)
                self._check(_at(alone.read("buf"), buf), part.constant(leaf.code) >> part.up)
        else:
            self._use(leaf, [_at(part.read("buf"), buf) for part in parts])

    def _check(self, text: str, code: int) -> None:
        self._add(
            f"if {f'({text})' if ' ' in text and not text.startswith('__get') else text} != {code}:", "    return -1"
        )

    def _use(self, leaf: Leaf, texts: list[str]) -> None:
        if isinstance(leaf, Constant):
            self._check(" | ".join(texts), leaf.code)
        elif isinstance(leaf, Control):
            if leaf.name not in self._known:
                self._joined(f"{self._steering(leaf.name)} = ", texts)
        elif isinstance(leaf, Number | Choice):
            name = self._steering(leaf.name) if leaf.name in self._plan.steering else "code"
            if leaf.name not in self._known:
                self._joined(f"{name} = ", texts)
            self._value(leaf, name, str(self._slots[leaf.name]))

    def _steering(self, name: str) -> str:
        # Neither another field nor a variable of this function is called so
        return name if name.startswith("_") else f"__{name}"

    # From codes to values

    def _value(self, leaf: Number | Choice, name: str, slot: str) -> None:
        if isinstance(leaf, Number) and leaf.signed:
            half = 1 << leaf.bits - 1
            self._add(f"{name} = ({name} ^ {half}) - {half}")
        branches: list[tuple[str, list[str]]] = []
        for special in _missing(leaf):
            test = f"{name} == {special.first}"
            if special.last > special.first:
                test = f"{special.first} <= {name} <= {special.last}"
            branches.append((test, [f"out[{slot}] = None"]))
        branches += _number(leaf, name, slot) if isinstance(leaf, Number) else _choice(leaf, name, slot)
        self._lines.chain(branches)

    def _repeat(self, item: Repeat) -> None:
        count = item.count
        leaf, slot = item.leaf, self._slots[item.leaf.name]
        self._room(int(count or 0) * leaf.bits)
        if self._at is not None:
            self._add(f"at = {self._at}")
            self._at = None
        self.needs_get = True
        self._add("i = 0", f"while i < {count}:")
        with self._lines.block():
            self._add(f"code = __get(buf, at, {leaf.bits})", f"at += {leaf.bits}")
            self._value(leaf, "code", f"{slot} + i" if slot else "i")
            self._add("i += 1")

    def _switch(self, switch: Switch) -> None:
        name, start, known = self._steering(switch.control), self._at, set(self._known)
        written: list[tuple[tuple[int, ...], list[str], int | None]] = []
        outer = self._lines
        for arm in switch.arms:
            self._lines, self._at, self._known = Lines(), start, set(known)
            self._items(arm.items)
            written.append((arm.codes, self._lines.lines, self._at))
        self._lines, self._known = outer, known
        ends = {end for _, _, end in written} | ({start} if switch.otherwise == "ignore" else set())
        moved = len(ends) > 1
        word = "if"
        for codes, lines, end in written:
            body = [*lines, f"at = {end}"] if moved and end is not None else lines
            self._add(f"{word} {is_one_of(name, codes)}:")
            with self._lines.block():
                self._lines.add(*(body or ["pass"]))
            word = "elif"
        if switch.otherwise == "error":
            self._add("else:", "    return -1")
        elif moved and start is not None:
            self._add("else:", f"    at = {start}")
        self._at = None if moved else ends.pop()


def _at(text: str, buf: str) -> str:
    # Bytes of a word whose place is a variable
    return text if buf == "buf" else text.replace("buf[", buf, 1)


def _read(parts: Sequence[Piece]) -> list[str]:
    return [part.read("buf") for part in parts]


def _missing(leaf: Number | Choice) -> list[Special]:
    # A command that says "fault" or "out of range" is no sound one
    return [special for special in leaf.specials if special.absent is Absent.NOT_AVAILABLE]


def _number(number: Number, name: str, slot: str) -> list[tuple[str, list[str]]]:
    told = [(each.first, each.last) for each in _missing(number)]
    covered = sum(last - first + 1 for first, last in [*told, (number.code_min, number.code_max)])
    branches: list[tuple[str, list[str]]] = []
    if covered <= number.mask:
        low, high = number.code_min > number.lowest, number.code_max < number.highest
        test = f"not {number.code_min} <= {name} <= {number.code_max}"
        if not high:
            test = f"{name} < {number.code_min}"
        elif not low:
            test = f"{name} > {number.code_max}"
        branches.append((test, ["return -1"]))
    return [*branches, ("", [f"out[{slot}] = {growing(number).expression(name)}"])]


def _choice(choice: Choice, name: str, slot: str) -> list[tuple[str, list[str]]]:
    meant = [code for code, _ in choice.meanings]
    covered = len(meant) + sum(each.last - each.first + 1 for each in _missing(choice))
    branches: list[tuple[str, list[str]]] = []
    if covered < 1 << choice.bits:
        branches.append((is_none_of(name, meant), ["return -1"]))
    if not choice.is_flag:
        return [*branches, ("", [f"out[{slot}] = {name}"])]
    yes = next((code for code, value in choice.meanings if value is True), None)
    return [*branches, ("", [f"out[{slot}] = {'False' if yes is None else f'{name} == {yes}'}"])]


__all__ = ["GET", "CannotEmitError", "Decoder"]
