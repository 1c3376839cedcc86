"""One message to a JavaScript function that takes it apart: straight-line code, a loop only for lists and entries."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.model import (
    CHANNEL,
    MAX_SAMPLES,
    Absent,
    Choice,
    Constant,
    Control,
    Lookahead,
    Number,
    Opaque,
    Repeat,
    Reserved,
    Samples,
    Switch,
    Tlv,
    Word,
    static_bits,
)
from siel_codecs.schema.to_javascript_text import (
    INT_BITS,
    TARGET,
    Part,
    Script,
    bits_at,
    bits_of,
    identifier,
    joined,
    literal,
    member,
    one_line,
    say,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from siel_codecs.schema.model import Device, Entry, Item, Leaf, Message, SeriesLeaf, Step

Base = Literal["", "p", "at"]
SHORT: Final = "return siel_short(b);"
MAX_EXACT: Final = 1 << 53
"""Integers up to here are doubles."""
FEW_MEANINGS: Final = 2
"""More are looked up in a list."""


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


def plus(base: str, offset: int) -> str:
    """Return a sum of a variable, if there is one, and a constant."""
    if not base:
        return str(offset)
    return f"{base} + {offset}" if offset > 0 else f"{base} - {-offset}" if offset else base


def emit_decoder(device: Device, message: Message, head: str, *, direction: str, selected: bool) -> list[str]:
    """Return the lines of a function of the payload ``b`` that gives what TS013 asks for.

    Args:
        device: For what is refused.
        message: What the payload is.
        head: Name of the function and its arguments, ``b`` and, where the message may be a series, ``time``: when it
            was received, in milliseconds since 1970, or null.
        direction: A downlink's data begins with its command.
        selected: The first item was compared to find this message.
    """
    decoder = _Decoder(device, message)
    decoder.walk_message(direction=direction, selected=selected)
    title = [f"// {one_line(message.title)}"] if message.title else []
    used = sorted(decoder.variables)
    declared = [f"  var {', '.join(used)};"] if used else []
    return [*title, f"function {head} {{", *declared, *decoder.script.lines, "}"]


class _Decoder:
    def __init__(self, device: Device, message: Message) -> None:
        self.device, self.message = device, message
        self.script = Script()
        self.script.depth = 1
        self.variables: set[str] = set()
        self.place = Place()
        self.fixed = static_bits(message.items) is not None
        """The length was compared before; nothing needs to be compared on the way."""
        self.end = "b.length"
        """Bytes that may be read."""
        self.known_end: Place | None = None
        """Up to here the bytes are there."""
        self.steering = _steering(message.items)
        self.sink = Sink()
        self.steering_bits: dict[str, int] = {}
        self.numbers: dict[str, Number] = {}
        self.has_series = has_series(message.items)

    # -- the message

    def walk_message(self, *, direction: str, selected: bool) -> None:
        message, script = self.message, self.script
        self.variables |= {"data = {}", "warnings = []"}
        if direction == "down" and message.name:
            script.add(f"data.command = {literal(message.name)};")
        size = static_bits(message.items)
        if size is not None:
            octets = (size + 7) // 8
            if octets:
                script.add(f"if (b.length < {octets}) {SHORT}")
            if message.extra == "error":
                script.add(f"if (b.length > {octets}) return siel_long(b);")
        if selected:
            self.known_end = Place("", message.items[0].bits)  # type: ignore[union-attr]
        self.items(message.items, skip_first_check=selected)
        if self.has_series:
            self.variables |= {"rows", "older = []", "timed = []", "own = false"}
            script.add("rows = siel_rows(data, warnings, older, timed, time);")
        if size is None or message.extra == "ignore":
            self.extra()
        self.finish()

    def extra(self) -> None:
        """What stands behind the last item."""
        if any(isinstance(item, Tlv) for item in self.message.items):
            return
        if self.place.base == "at":
            self.set_base("p", f"{plus('at', self.place.offset + 7)} >> 3")
        used = plus(self.place.base, (self.place.offset + 7) // 8)
        if self.message.extra == "error":
            self.script.add(f"if (b.length > {used}) return siel_long(b);")
        else:
            count = f"(b.length - ({used}))" if " " in used else f"(b.length - {used})"
            self.script.add(f"if (b.length > {used}) {self.sink.warn(say(words.EXTRA_BYTES, count=count))}")

    def finish(self) -> None:
        """Return the result; the warnings about bytes left over come after those of older samples."""
        samples = "siel_samples(data, rows, own || timed.length > 0)" if self.has_series else "data"
        self.script.add(f"return {{data: {samples}, warnings: warnings, errors: []}};")

    # -- places

    def variable(self, name: str) -> str:
        self.variables.add(name)
        return name

    def set_base(self, base: Base, value: str) -> None:
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

    # -- items

    def items(self, items: tuple[Item, ...], *, skip_first_check: bool = False) -> None:
        for index, item in enumerate(items):
            if isinstance(item, Lookahead):
                self.lookahead(item)
            elif isinstance(item, Switch):
                self.switch(item)
            elif isinstance(item, Repeat):
                self.repeat(item)
            elif isinstance(item, Samples):
                self.samples(item)
            elif isinstance(item, Tlv):
                self.tlv(item)
            else:
                if self.known_end is None or self.place.offset >= self.known_end.offset:
                    self.need(_run(items[index:]))
                if isinstance(item, Word):
                    self.word(item)
                else:
                    self.leaf(item, unchecked=skip_first_check and index == 0)

    def lookahead(self, item: Lookahead) -> None:
        here, known = self.place, self.known_end
        self.place = Place("", item.bit)
        if not self.fixed:
            self.script.add(f"if (b.length < {self.place.limit(item.bits)}) {SHORT}")
        self.script.add(f"{self.code_of(item.name)} = {self.read(item.bits)};")
        self.steering_bits[item.name] = item.bits
        self.place, self.known_end = here, known

    def code_of(self, name: str) -> str:
        """Return the variable of a code that steers."""
        return self.variable(f"code_{identifier(name)}")

    def leaf(self, leaf: Leaf, *, unchecked: bool = False) -> None:
        if isinstance(leaf, Reserved) or unchecked:
            self.place = replace(self.place, offset=self.place.offset + leaf.bits)
        elif isinstance(leaf, Opaque):
            self.opaque(leaf)
        else:
            self.coded(leaf, lambda signed: self.read(leaf.bits, signed=signed))

    def opaque(self, leaf: Opaque) -> None:
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
            wrong = say(words.WRONG_CONSTANT, title=text(leaf.title), code="v", expected=text(str(leaf.code)))
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
            inside = _between(code, leaf.code_min, leaf.code_max, None if any_code else (lowest, highest))
            cases.append((inside, [store(self.number(leaf, code))]))
            unknown = absent(words.ABSENT, why=text(Absent.OUT_OF_RANGE.value))
        else:
            cases += self.meanings(leaf, code, store)
            unknown = absent(words.UNKNOWN_CODE, code=code)
        for special in leaf.specials:
            is_it = _between(code, special.first, special.last, None)
            cases.append((is_it, absent(words.ABSENT, why=text(special.absent.value))))
        if not any_code and _covered(leaf) == highest - lowest + 1:
            unknown = []
        self.script.chain(cases, unknown)

    def number(self, leaf: Number, code: str) -> str:
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

    # -- groups

    def switch(self, item: Switch) -> None:
        size = static_bits((item,))
        start, known = self.place, self.known_end
        if size is None:
            self.loose((item,))
            after = self.place
            if start.base:  # a place from the start stays known within the arms
                start, known = after, None
        code = self.code_of(item.control)
        codes = sorted(code for arm in item.arms for code in arm.codes)
        lenient = item.otherwise == "ignore" or len(codes) == 1 << self.steering_bits.get(item.control, INT_BITS)
        word = "if"
        for arm in item.arms:
            if lenient and not arm.items:
                continue
            condition = " || ".join(f"{code} === {number}" for number in arm.codes)
            with self.script.block(f"{word} ({condition})", ""):
                self.place, self.known_end = start, known
                self.items(arm.items)
                if size is None and self.place != start:
                    self.rebase(after.base)
            self.script.lines.pop()
            word = "} else if"
        if not lenient:
            shown = text(item.control.removeprefix("_"))
            unknown = say(words.UNKNOWN_ARM, control=shown, code=code, known=text(", ".join(map(str, codes))))
            self.script.add("} else {", f"  return siel_failed({unknown});")
        if word != "if":
            self.script.add("}")
        if size is None:
            self.place, self.known_end = after, None
        else:
            self.place, self.known_end = replace(start, offset=start.offset + size), known

    def repeat(self, item: Repeat) -> None:
        leaf, script = item.leaf, self.script
        start = self.into_list(leaf.bits % 8 == 0)
        is_data = not leaf.name.startswith("_")
        if is_data:
            script.add(f"{self.variable('list')} = [];")
        with self.loop(item.count, leaf.bits, leaf.bits):
            code = self.read(leaf.bits, signed=isinstance(leaf, Number) and leaf.signed)
            if is_data:
                script.add(f"{self.variable('v')} = {code};")
                shown = (*text(leaf.name), (True, "["), (False, "i"), (True, "]"))
                self.value(leaf, "v", shown, lambda value: f"list.push({value});", gap=["list.push(null);"])
        self.out_of_list(start, static_bits((item,)))
        if is_data:
            script.add(self.sink.store(leaf.name)("list"))

    def samples(self, item: Samples) -> None:
        script, outer = self.script, self.sink
        widths = [width for each in item.leaves for width in (each.leaf.bits, each.delta_bits)]
        start = self.into_list(not any(width % 8 for width in widths))
        script.add(f"{self.variable('series')} = [];")
        first = sum(each.leaf.bits for each in item.leaves)
        later = sum(each.delta_bits or each.leaf.bits for each in item.leaves)
        with self.loop(item.count, first, later):
            script.add(f"{self.variable('row')} = {{data: {{}}, warnings: []}};")
            self.sink = Sink("row.data", "row.warnings")
            for index, each in enumerate(item.leaves):
                self.element(index, each, whole=later == first)
            script.add("series.push(row);")
        self.sink = outer
        self.out_of_list(start, static_bits((item,)))
        if not item.newest_first:
            script.add("series.reverse();")
        if item.base:
            script.add(f"time = {self.code_of(item.base)} * 1000;", "own = true;")
        script.add(f"siel_series({self.sink.data}, {self.sink.warnings}, series, {self.step(item.step)}, older);")

    def step(self, step: int | Step) -> str:
        """Return the expression of the milliseconds between two samples, 0 or less where they are not known."""
        if isinstance(step, int):
            return str(step)
        code, number = self.code_of(step.name), self.numbers[step.name]
        largest = max(abs(number.lowest), abs(number.highest)) * abs(step.ms_num) + abs(step.ms_add)
        if largest * MAX_SAMPLES > MAX_EXACT:
            raise EmitError(
                self.device.name, TARGET, step.name, "as a step in milliseconds it is too large for a double"
            )
        inside = _between(code, number.code_min, number.code_max, (number.lowest, number.highest))
        value = f"{code} * {step.ms_num}" + (f" + {step.ms_add}" if step.ms_add else "")
        return f"{inside} ? {value} : 0" if inside else value

    def element(self, index: int, each: SeriesLeaf, *, whole: bool) -> None:
        """One leaf of a sample; with differences its place is told by a variable alone, ever again."""
        leaf, script = each.leaf, self.script
        is_data = not isinstance(leaf, Reserved) and not leaf.name.startswith("_")
        signed = isinstance(leaf, Number) and leaf.signed
        if not each.delta_bits or isinstance(leaf, Reserved):
            if not whole:
                self.need(leaf.bits)
            code = self.read(leaf.bits, signed=signed)
            if is_data and not isinstance(leaf, Reserved):
                script.add(f"{self.variable('v')} = {code};")
                self.value(leaf, "v", text(leaf.name), self.sink.store(leaf.name))
            return
        base, last = self.place.base, self.variable(f"last_{index}")
        self.rebase(base)
        escape = -(1 << each.delta_bits - 1)
        with self.script.block("if (i > 0)"):
            self.need(each.delta_bits)
            script.add(f"{self.variable('v')} = {self.read(each.delta_bits, signed=True)};")
            self.rebase(base)
        with self.script.block(f"if (i === 0 || v === {escape})"):
            self.need(leaf.bits)
            script.add(f"{last} = {self.read(leaf.bits, signed=signed)};")
            self.rebase(base)
        script.add("else " + f"{last} += v;")
        self.place, self.known_end = Place(base, 0), None
        if is_data:
            self.value(leaf, last, text(leaf.name), self.sink.store(leaf.name), any_code=True)

    def into_list(self, whole: bool) -> Place:
        """Let a variable tell the place of an element; return the place of the first."""
        start = self.place
        self.rebase("p" if whole and start.base != "at" and start.offset % 8 == 0 else "at")
        return start

    def out_of_list(self, start: Place, size: int | None) -> None:
        self.known_end = None
        if size is not None and not start.base:
            self.place = replace(start, offset=start.offset + size)

    @contextmanager
    def loop(self, count: int | str | None, first: int, later: int) -> Iterator[None]:
        """Repeat what is added inside for each element of ``first`` bits, or at least ``later`` from the second on."""
        self.variable("i")
        base = self.place.base
        end = self.end if base == "p" else f"{self.end} * 8"
        if count is None:
            size, sizes = (first, later) if base == "at" else (first // 8, later // 8)
            least = str(size) if size == sizes else f"(i > 0 ? {sizes} : {size})"
            head = f"{base} + {least} <= {end}"
        else:
            head = f"i < {count if isinstance(count, int) else self.code_of(count)}"
        self.known_end = None
        with self.script.block(f"for (i = 0; {head}; i += 1)"):
            if count is None:
                self.known_end = Place(base, min(first, later))
            elif first == later:
                self.need(first)
            yield
            self.rebase(base)
        self.known_end = None

    # -- entries

    def tlv(self, item: Tlv) -> None:
        script = self.script
        self.on_byte()
        self.rebase("p")
        outer = self.end
        if item.tail_bytes:
            self.end = self.variable("end")
            script.add(f"end = b.length - {item.tail_bytes};", f"if (end < p) {SHORT}")
        self.variables |= {"start", "key"}
        with script.block(f"while (p < {self.end})"):
            script.add("start = p;")
            self.need(8 * (item.channel + item.key_bytes))
            if item.channel:
                script.add(f"{self.variable('channel')} = {self.read(8)};")
            script.add(f"key = {self.read(8 * item.key_bytes)};")
            self.length(item)
            self.rebase("p")
            word = "if"
            for entry in item.entries:
                size = static_bits(entry.items)
                if item.length and size is None:
                    continue  # no length is its own: never decoded
                condition = f"key === {entry.key:#x}" + (f" && length === {(size or 0) // 8}" if item.length else "")
                with script.block(f"{word} ({condition})", ""):
                    self.entry(entry)
                script.lines.pop()
                word = "} else if"
            if word == "if":
                self.unknown_key(item)
            else:
                with script.block("} else"):
                    self.unknown_key(item)
        self.end, self.place, self.known_end = outer, Place("p", 0), None

    def length(self, item: Tlv) -> None:
        if not item.length:
            return
        self.variable("length")
        if item.unknown == "skip":
            self.need(8)
            self.script.add(f"length = {self.read(8)};")
            return
        known = " || ".join(f"key === {entry.key:#x}" for entry in item.entries)
        self.rebase("p")
        self.script.add("length = -1;")
        with self.script.block(f"if ({known})"):
            self.need(8)
            self.script.add(f"length = {self.read(8)};")
            self.rebase("p")
        self.place, self.known_end = Place("p", 0), None

    def entry(self, entry: Entry) -> None:
        outer = self.sink
        if entry.time:
            self.variable("row")
            self.script.add("row = {data: {}, warnings: [], time: null, age: null};")
            self.sink = Sink("row.data", "row.warnings")
        self.items(entry.items)
        self.rebase("p")
        if entry.time:
            self.script.add(f"row.time = {self.code_of(entry.time)} * 1000;", "timed.push(row);")
        self.sink, self.place, self.known_end = outer, Place("p", 0), None

    def unknown_key(self, item: Tlv) -> None:
        script = self.script
        shown = {"key": f"siel_key(key, {2 * item.key_bytes})", "at": "start"}
        stop, skip, raw = (
            self.sink.warn(say(template, **shown))
            for template in (words.UNKNOWN_KEY_STOP, words.UNKNOWN_KEY_SKIP, words.UNKNOWN_KEY_RAW)
        )
        if item.unknown == "raw":
            script.add(raw, f"data.raw = siel_hex(b, start, {self.end});", "break;")
        elif item.unknown == "stop" or not (item.length or item.sizes):
            script.add(stop, "break;")
        else:
            if not item.length:
                table = ", ".join(f"{key}: {size}" for key, size in item.sizes)
                script.add(f"{self.variable('length')} = {{{table}}}[key];")
                with script.block("if (length === undefined)"):
                    script.add(stop, "break;")
            script.add(f"if ({self.end} < p + length) {SHORT}", "p += length;", skip)


def _between(code: str, low: int, high: int, limits: tuple[int, int] | None) -> str:
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


def _run(items: Sequence[Item]) -> int:
    """Return the bits of the leaves that can be looked for at once without another error coming first."""
    total = 0
    for item in items:
        if not isinstance(item, Number | Choice | Opaque | Control | Constant | Reserved | Word):
            break
        total += item.bits
        if isinstance(item, Constant) or (isinstance(item, Word) and any(isinstance(x, Constant) for x in item.leaves)):
            break
    return total


def has_series(items: Sequence[Item]) -> bool:
    """Return whether the items may give more than one sample, or one with a time of its own."""
    for item in items:
        if (
            isinstance(item, Samples)
            or (isinstance(item, Switch) and any(has_series(arm.items) for arm in item.arms))
            or (isinstance(item, Tlv) and any(entry.time or has_series(entry.items) for entry in item.entries))
        ):
            return True
    return False


def _steering(items: Sequence[Item]) -> set[str]:
    """Return the names of all leaves whose codes are needed later."""
    found: set[str] = set()
    for item in items:
        if isinstance(item, Switch):
            found.add(item.control)
            for arm in item.arms:
                found |= _steering(arm.items)
        elif isinstance(item, Repeat | Samples):
            found |= {item.count} if isinstance(item.count, str) else set()
            if isinstance(item, Samples):
                found |= {item.base} if item.base else set()
                found |= set() if isinstance(item.step, int) else {item.step.name}
        elif isinstance(item, Tlv):
            for entry in item.entries:
                found |= _steering(entry.items) | ({entry.time} if entry.time else set())
    return found


def remainder(items: Sequence[Item]) -> int | None:
    """Return by how many bits the end of the items stands past a byte's if their start is on one; None: that varies."""
    total = 0
    for item in items:
        if isinstance(item, Switch):
            ends = {remainder(arm.items) for arm in item.arms} | ({0} if item.otherwise == "ignore" else set())
            bits = ends.pop() if len(ends) == 1 else None
        elif isinstance(item, Repeat):
            bits = (
                item.count * item.leaf.bits if isinstance(item.count, int) else 0 if item.leaf.bits % 8 == 0 else None
            )
        elif isinstance(item, Samples):
            sizes = [size for each in item.leaves for size in (each.leaf.bits, each.delta_bits)]
            bits = (
                static_bits((item,))
                if all(size % 8 for size in sizes)
                else 0
                if not any(s % 8 for s in sizes)
                else None
            )
            bits = static_bits((item,)) if bits is None else bits
        elif isinstance(item, Tlv):
            bits = 0
        else:
            bits = static_bits((item,))
        if bits is None:
            return None
        total += bits
    return total % 8
