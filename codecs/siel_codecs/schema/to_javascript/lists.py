"""Lists, time series and entries in generated JavaScript: what repeats."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.below import static_bits
from siel_codecs.schema.model import MAX_SAMPLES, Number, Repeat, Reserved, Samples, Tlv
from siel_codecs.schema.to_javascript.cursor import SHORT, Place
from siel_codecs.schema.to_javascript.leaves import MAX_EXACT, LeafDecoder, Sink, between
from siel_codecs.schema.to_javascript.text import TARGET, say, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.schema.model import Entry, Item, SeriesLeaf, Step


class ListDecoder(LeafDecoder):
    """Takes apart what repeats."""

    @abstractmethod
    def items(self, items: tuple[Item, ...], *, skip_first_check: bool = False) -> None:
        """Take any items apart."""

    def repeat(self, item: Repeat) -> None:
        """Take a list apart."""
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
        """Take a time series apart."""
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
        inside = between(code, number.code_min, number.code_max, (number.lowest, number.highest))
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
        """Go on behind a list; where its size is known the place is a constant again."""
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
        """Take entries apart that name themselves."""
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
        """Read an entry's length where the reference reads one: of unknown keys only if they are passed over."""
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
        """Take one entry apart; with a time of its own it is a sample of its own."""
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
        """Do what the schema says about keys that it does not have."""
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
