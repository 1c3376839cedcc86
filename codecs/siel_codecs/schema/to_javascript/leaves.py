"""Leaves in generated JavaScript: a code is read, and its value is kept or a warning is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.below import static_bits
from siel_codecs.schema.model import CHANNEL, Absent, Choice, Constant, Control, Number, Opaque, Reserved
from siel_codecs.schema.to_javascript.cursor import SHORT, Cursor, Place, plus
from siel_codecs.schema.to_javascript.text import TARGET, Part, bits_of, joined, literal, member, plain, say, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siel_codecs.schema.model import Device, Leaf, Lookahead, Message, Word

MAX_EXACT: Final = 1 << 53
"""Integers up to here are doubles."""
FEW_MEANINGS: Final = 2
"""More are looked up in a list."""


@dataclass(frozen=True)
class Sink:
    """Which objects take values and warnings."""

    data: str = "data"
    warnings: str = "warnings"

    def store(self, name: str) -> Callable[[str], str]:
        """Return what makes a statement that keeps an expression as the value of ``name``."""
        target = f"{self.data}[{joined(text(name))}]" if CHANNEL in name else member(self.data, name)
        return lambda value: f"{target} = {value};"

    def warn(self, message: str) -> str:
        """Return the statement that keeps a warning."""
        return f"{self.warnings}.push({message});"


class LeafDecoder(Cursor):
    """Takes leaves apart."""

    def __init__(self, device: Device, message: Message, steering: set[str]) -> None:
        """``steering`` are the names of the leaves whose codes are needed later."""
        super().__init__(fixed=static_bits(message.items) is not None)
        self.device, self.message, self.steering = device, message, steering
        self.sink = Sink()
        self.steering_bits: dict[str, int] = {}
        self.numbers: dict[str, Number] = {}

    def lookahead(self, item: Lookahead) -> None:
        """Read a code that stands further on."""
        here, known = self.place, self.known_end
        self.place = Place("", item.bit)
        if not self.fixed:
            self.script.add(f"if (b.length < {self.place.limit(item.bits)}) {SHORT}")
        self.script.add(f"{self.code_of(item.name)} = {self.read(item.bits)};")
        self.steering_bits[item.name] = item.bits
        self.place, self.known_end = here, known

    def leaf(self, leaf: Leaf, *, unchecked: bool = False) -> None:
        """Take a leaf apart; an ``unchecked`` one was compared before."""
        if isinstance(leaf, Reserved) or unchecked:
            self.place = replace(self.place, offset=self.place.offset + leaf.bits)
        elif isinstance(leaf, Opaque):
            self.opaque(leaf)
        else:
            self.coded(leaf, lambda signed: self.read(leaf.bits, signed=signed))

    def opaque(self, leaf: Opaque) -> None:
        """Keep bytes as hex."""
        self.on_byte()
        first = self.place.offset // 8
        self.place = replace(self.place, offset=self.place.offset + leaf.bits)
        if not leaf.name.startswith("_"):
            start, stop = plus(self.place.base, first), plus(self.place.base, first + leaf.bits // 8)
            self.script.add(self.sink.store(leaf.name)(f"siel_hex(b, {start}, {stop})"))

    def word(self, word: Word) -> None:
        """Its leaves are bits of the same bytes in the other order."""
        self.on_byte()
        start = self.place
        count = word.bits // 8
        octets = [start.octet(count - 1 - index) for index in range(count)]
        done = 0
        for leaf in word.leaves:
            here, stop = done, done + leaf.bits
            done = stop

            def read(signed: bool, here: int = here, stop: int = stop) -> str:
                inside = octets[here // 8 : (stop + 7) // 8]
                return bits_of(inside, here % 8, stop - here, signed=signed)

            if not isinstance(leaf, Reserved | Opaque):
                self.coded(leaf, read)
        self.place = replace(start, offset=start.offset + word.bits)

    def coded(self, leaf: Number | Choice | Control | Constant, read: Callable[[bool], str]) -> None:
        """A leaf whose code is read by an expression; ``read`` must be called once, also where it is not needed."""
        code = read(isinstance(leaf, Number) and leaf.signed)
        if isinstance(leaf, Constant):
            self.script.add(f"{self.variable('v')} = {code};")
            wrong = say(words.WRONG_CONSTANT, title=plain(leaf.title), code="v", expected=plain(str(leaf.code)))
            self.script.add(f"if (v !== {leaf.code}) return siel_failed({wrong});")
            return
        steers = leaf.name in self.steering
        if not isinstance(leaf, Number):
            self.steering_bits[leaf.name] = leaf.bits
        if isinstance(leaf, Number):
            self.numbers[leaf.name] = leaf
        if isinstance(leaf, Control):
            if steers:
                self.script.add(f"{self.code_of(leaf.name)} = {code};")
            return
        is_data = not leaf.name.startswith("_")
        if steers:
            self.script.add(f"{self.code_of(leaf.name)} = {code};")
            code = self.code_of(leaf.name)
        elif is_data:
            self.script.add(f"{self.variable('v')} = {code};")
            code = "v"
        if is_data:
            self.value(leaf, code, text(leaf.name), self.sink.store(leaf.name))

    def value(
        self,
        leaf: Number | Choice,
        code: str,
        shown: tuple[Part, ...],
        store: Callable[[str], str],
        *,
        gap: Sequence[str] = (),
        any_code: bool = False,
    ) -> None:
        """Keep what a code means.

        Args:
            leaf: Whose code.
            code: The variable that holds it.
            shown: The name as warnings say it.
            store: Makes the statement that keeps a value.
            gap: Statements beside the warning where there is no value.
            any_code: The code may be beyond the bits of the leaf (a sum of differences).
        """

        def absent(template: str, **values: str | tuple[Part, ...]) -> list[str]:
            return [*gap, self.sink.warn(say(template, name=shown, **values))]

        cases: list[tuple[str, Sequence[str]]] = []
        lowest, highest = (leaf.lowest, leaf.highest) if isinstance(leaf, Number) else (0, (1 << leaf.bits) - 1)
        if isinstance(leaf, Number):
            inside = between(code, leaf.code_min, leaf.code_max, None if any_code else (lowest, highest))
            cases.append((inside, [store(self.number(leaf, code))]))
            unknown = absent(words.ABSENT, why=plain(Absent.OUT_OF_RANGE.value))
        else:
            cases += self.meanings(leaf, code, store)
            unknown = absent(words.UNKNOWN_CODE, code=code)
        for special in leaf.specials:
            is_it = between(code, special.first, special.last, None)
            cases.append((is_it, absent(words.ABSENT, why=plain(special.absent.value))))
        if not any_code and _covered(leaf) == highest - lowest + 1:
            unknown = []
        self.script.chain(cases, unknown)

    def number(self, leaf: Number, code: str) -> str:
        """Return the expression of the value of a code."""
        largest = max(abs(leaf.lowest), abs(leaf.highest)) * leaf.num
        if max(largest, largest + abs(leaf.add), leaf.den) > MAX_EXACT:
            raise EmitError(self.device.name, TARGET, leaf.name, "its scale and offset are too large for a double")
        steps = code if leaf.num == 1 else f"{code} * {leaf.num}"
        if leaf.add:
            steps = f"{steps} {'+' if leaf.add > 0 else '-'} {abs(leaf.add)}"
        if leaf.den == 1:
            return steps
        return f"{steps} / {leaf.den}" if steps == code else f"({steps}) / {leaf.den}"

    def meanings(self, leaf: Choice, code: str, store: Callable[[str], str]) -> list[tuple[str, Sequence[str]]]:
        """Return the cases of an enum or a flag, for ``Script.chain``."""
        meanings = leaf.meanings
        if sorted(meanings) == [(0, False), (1, True)] and leaf.bits == 1:
            return [("", [store(f"{code} === 1")])]
        if len(meanings) <= FEW_MEANINGS:
            return [(f"{code} === {number}", [store(literal(value))]) for number, value in meanings]
        if [number for number, _ in meanings] == list(range(len(meanings))):
            table = f"[{', '.join(literal(value) for _, value in meanings)}]"
        else:
            table = f"{{{', '.join(f'{number}: {literal(value)}' for number, value in meanings)}}}"
        self.script.add(f"{self.variable('m')} = {table}[{code}];")
        return [("m !== undefined", [store("m")])]


def between(code: str, low: int, high: int, limits: tuple[int, int] | None) -> str:
    """Return the condition of a range; what the limits say already is left out."""
    if low == high:
        return f"{code} === {low}"
    sides = [f"{code} >= {low}"] if limits is None or low > limits[0] else []
    if limits is None or high < limits[1]:
        sides.append(f"{code} <= {high}")
    return " && ".join(sides)


def _covered(leaf: Number | Choice) -> int:
    """Return how many codes have a meaning or are a special."""
    values = leaf.code_max - leaf.code_min + 1 if isinstance(leaf, Number) else len(leaf.meanings)
    return values + sum(special.last - special.first + 1 for special in leaf.specials)
