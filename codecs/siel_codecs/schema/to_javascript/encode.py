"""One command to a JavaScript function that makes its payload from values by name.

Codes are put one after the other into ``out``, which also keeps the first error; what comes after an error is made
and thrown away, so that no function needs to throw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.below import leaves, names, static_bits
from siel_codecs.schema.model import (
    MAX_PAYLOAD_BYTES,
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
)
from siel_codecs.schema.to_javascript.text import (
    INT_BITS,
    TARGET,
    Script,
    identifier,
    literal,
    one_line,
    plain,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siel_codecs.schema.model import Device, Item, Leaf, Message

MAX_EXACT: Final = 1 << 53
ASKED: Final = {
    Absent.NOT_AVAILABLE: "not_available",
    Absent.UNDER_RANGE: "under_range",
    Absent.OVER_RANGE: "over_range",
    Absent.FAULT: "fault",
}
"""Texts that ask for a code instead of a value."""


def emit_encoder(device: Device, message: Message, head: str) -> list[str]:
    """Return the lines of a function of ``data`` and the port ``to``, which gives what TS013 asks for.

    Args:
        device: For what is refused.
        message: What is made.
        head: Name and arguments of the function.

    Raises:
        EmitError: Entries within a group or with times of their own, a series in an entry, or numbers that doubles
            cannot hold.
    """
    encoder = _Encoder(device, message)
    every = list(_inside(message.items))
    own = [*(["command"] if message.name else []), *encoder.names]
    own += ["samples"] if any(isinstance(item, Samples) for item in every) else []
    own += ["time"] if any(isinstance(item, Samples) and item.base for item in every) else []
    encoder.script.add(f'siel_names(out, data, {_list(own)}, {encoder.known}, "");')
    encoder.items(message.items)
    encoder.script.add("return siel_made(out, to);")
    title = [f"// {one_line(message.title)}"] if message.title else []
    declared = ", ".join(['out = {bytes: [], bits: 0, error: "", channel: 0, sent: []}', *sorted(encoder.variables)])
    return [*title, f"function {head} {{", f"  var {declared};", *encoder.script.lines, "}"]


class _Encoder:
    def __init__(self, device: Device, message: Message) -> None:
        self.device, self.message = device, message
        self.script = Script()
        self.script.depth = 1
        self.names = names(message.items)
        self.known = literal(", ".join(self.names))
        self.values = "data"
        """Where values are looked up."""
        self.prefix = ""
        """Expression of what stands before the names in errors."""
        self.variables: set[str] = set()
        self.ahead: set[str] = set()

    def items(self, items: tuple[Item, ...]) -> None:
        for index, item in enumerate(items):
            after = items[index + 1 :]
            if isinstance(item, Word):
                self.word(item, after)
            elif isinstance(item, Lookahead):
                self.lookahead(item, after)
            elif isinstance(item, Switch):
                self.switch(item)
            elif isinstance(item, Repeat):
                self.repeat(item)
            elif isinstance(item, Samples):
                self.samples(item)
            elif isinstance(item, Tlv):
                self.tlv(item)
            else:
                self.leaf(item, after)

    def put(self, bits: int, code: str) -> None:
        """Append a code; more bits than a code can have are zeros."""
        for done in range(0, bits, INT_BITS):
            self.script.add(f"siel_put(out, {min(INT_BITS, bits - done)}, {code});")

    def word(self, word: Word, after: tuple[Item, ...]) -> None:
        start = self.variable("start")
        self.script.add(f"{start} = out.bytes.length;")
        for leaf in word.leaves:
            self.leaf(leaf, after)
        self.script.add(f"siel_reverse(out, {start});")

    def variable(self, name: str) -> str:
        self.variables.add(name)
        return name

    def code_of(self, name: str) -> str:
        return self.variable(f"code_{identifier(name)}")

    # -- leaves

    def leaf(self, leaf: Leaf, after: tuple[Item, ...]) -> None:
        if isinstance(leaf, Reserved):
            self.put(leaf.bits, "0")
        elif isinstance(leaf, Constant):
            self.put(leaf.bits, str(leaf.code))
        elif isinstance(leaf, Opaque):
            self.opaque(leaf)
        else:
            self.put(leaf.bits, self.code_of(leaf.name) if leaf.name in self.ahead else self.code(leaf, after))

    def opaque(self, leaf: Opaque) -> None:
        if leaf.name.startswith("_"):
            self.put(leaf.bits, "0")
        else:
            self.script.add(f"siel_opaque(out, {self.field(leaf.name)}, {self.get(leaf.name)}, {leaf.bits // 8});")

    def get(self, name: str) -> str:
        """Return the expression of a value."""
        return f"siel_get({self.values}, {literal(name)})"

    def field(self, name: str) -> str:
        """Return the expression of a name as errors say it."""
        return f"{self.prefix} + {literal(name)}" if self.prefix else literal(name)

    def refuse(self, reason: str) -> NoReturn:
        """Refuse to make the function."""
        raise EmitError(self.device.name, TARGET, self.message.name or "downlink", reason)

    def lookahead(self, item: Lookahead, after: tuple[Item, ...]) -> None:
        found = (leaf for leaf in leaves(self.message.items) if getattr(leaf, "name", None) == item.name)
        later = next(leaf for leaf in found if isinstance(leaf, Number | Choice | Control))
        code, variable = self.code(later, after), self.code_of(item.name)
        if code != variable:
            self.script.add(f"{variable} = {code};")
        self.ahead.add(item.name)

    def code(self, leaf: Number | Choice | Control, after: tuple[Item, ...]) -> str:
        """Return the expression of a leaf's code; one that steers is kept in its variable."""
        if isinstance(leaf, Number) and leaf.name.startswith("_"):
            missing = leaf.special(Absent.NOT_AVAILABLE)
            return str(min(max(0, leaf.code_min), leaf.code_max) if missing is None else missing)
        steered = list(_steered(leaf.name, after))
        switches = [item for item in steered if isinstance(item, Switch)]
        lists = [item for item in steered if not isinstance(item, Switch)]
        derived = isinstance(leaf, Control) or leaf.name.startswith("_")
        if isinstance(leaf, Number | Choice) and not derived:
            code = self.value(leaf, self.get(leaf.name), self.field(leaf.name))
        elif lists:
            code = self.derived(leaf, lists)
        elif switches:
            code = self.pick(switches)
        else:
            code = str(leaf.meanings[0][0]) if isinstance(leaf, Choice) else "0"
        if not steered:
            return code
        variable = self.code_of(leaf.name)
        self.script.add(f"{variable} = {code};")
        if switches and (lists or not derived):
            self.check_arms(switches, variable)
        return variable

    def derived(self, leaf: Number | Choice | Control, lists: Sequence[Repeat | Samples]) -> str:
        """Return the expression of the time of a series or of the length of a list."""
        for item in lists:
            if isinstance(item, Samples) and item.base == leaf.name:
                return f"siel_base(out, {self.series(item, MAX_SAMPLES)}, data, {leaf.bits})"
        most, first = (1 << leaf.bits) - 1, lists[0]
        if isinstance(first, Samples):
            return f"siel_length({self.series(first, most)})"
        name = first.leaf.name
        return f"siel_list(out, {literal(name)}, {self.get(name)}, 0, {most}).length"

    def value(self, leaf: Number | Choice, value: str, field: str) -> str:
        """Return the expression of the code of a value."""
        codes = ", ".join(
            f"{word}: {code}" for absent, word in ASKED.items() if (code := leaf.special(absent)) is not None
        )
        if isinstance(leaf, Choice):
            meanings = ", ".join(f"[{code}, {literal(meaning)}]" for code, meaning in leaf.meanings)
            known = ", ".join(x if isinstance(x, str) else "true" if x else "false" for _, x in leaf.meanings)
            return f"siel_choice(out, {field}, {value}, [{meanings}], {{{codes}}}, {literal(known)})"
        limits = max(abs(leaf.code_min) + 2, abs(leaf.code_max) + 2) * 2 * leaf.num + 2 * abs(leaf.add)
        if max(limits, 20 * leaf.den) > MAX_EXACT:
            raise EmitError(self.device.name, TARGET, leaf.name, "its scale and offset are too large for a double")
        parts = [f"num: {leaf.num}, add: {leaf.add}, den: {leaf.den}, low: {leaf.code_min}, high: {leaf.code_max}"]
        if leaf.saturates:
            ends = ((Absent.UNDER_RANGE, "below", leaf.code_min), (Absent.OVER_RANGE, "above", leaf.code_max))
            for absent, word, nearest in ends:
                special = leaf.special(absent)
                parts.append(f"{word}: {nearest if special is None else special}")
        else:
            low, high = leaf.value(leaf.code_min), leaf.value(leaf.code_max)
            parts.append(f'least: "{low}", most: "{high}"')
        return f"siel_number(out, {field}, {value}, {{{', '.join(parts)}, codes: {{{codes}}}}})"

    # -- groups

    def pick(self, switches: Sequence[Switch]) -> str:
        """Return the expression of the code whose arms hold what is given."""
        rows, every = self.arms(switches, only_known=True)
        return f"siel_pick(out, {self.values}, {rows}, {every})"

    def check_arms(self, switches: Sequence[Switch], code: str) -> None:
        """Refuse a code that has no arm, and values of other arms than its own."""
        for switch in switches:
            if switch.otherwise == "error":
                known = sorted(each for arm in switch.arms for each in arm.codes)
                shown = plain(switch.control.removeprefix("_"))
                unknown = say(words.UNKNOWN_ARM, control=shown, code=code, known=plain(", ".join(map(str, known))))
                self.script.add(f"if ({known}.indexOf({code}) < 0) siel_refuse(out, null, {unknown});")
        rows, every = self.arms(switches, only_known=False)
        if every != "[]":
            self.script.add(f"siel_arms(out, {self.values}, {code}, {rows}, {every});")

    def arms(self, switches: Sequence[Switch], *, only_known: bool) -> tuple[str, str]:
        """Return the literals of ``[[code, [name, ...]], ...]`` and of all names in the arms."""
        codes = list(dict.fromkeys(code for switch in switches for arm in switch.arms for code in arm.codes))
        if only_known:
            codes = [code for code in codes if all(_has_arm(switch, code) for switch in switches)]
        rows, ordered = [], [*self.names, "samples"]
        for code in codes:
            arms = [arm for switch in switches for arm in switch.arms if code in arm.codes]
            own = {name for arm in arms for name in _names(arm.items)}
            rows.append(f"[{code}, {_list(name for name in ordered if name in own)}]")
        found = {name for switch in switches for arm in switch.arms for name in _names(arm.items)}
        return f"[{', '.join(rows)}]", _list(name for name in ordered if name in found)

    def switch(self, item: Switch) -> None:
        code, word = self.code_of(item.control), "if"
        for arm in item.arms:
            if not arm.items:
                continue
            condition = " || ".join(f"{code} === {number}" for number in arm.codes)
            with self.script.block(f"{word} ({condition})", ""):
                self.items(arm.items)
            self.script.lines.pop()
            word = "} else if"
        if word != "if":
            self.script.add("}")

    def repeat(self, item: Repeat) -> None:
        leaf = item.leaf
        self.variables |= {"i", "list"}
        if item.count is None:
            least, most = "0", str(MAX_PAYLOAD_BYTES * 8 // leaf.bits)
        else:
            least = most = str(item.count) if isinstance(item.count, int) else self.code_of(item.count)
        self.script.add(f"list = siel_list(out, {self.field(leaf.name)}, {self.get(leaf.name)}, {least}, {most});")
        with self.script.block("for (i = 0; i < list.length; i += 1)"):
            field = f'{self.field(leaf.name + "[")} + i + "]"'
            self.put(leaf.bits, self.value(leaf, "siel_get(list, i)", field))

    def series(self, item: Samples, most: int | str, least: str = "0") -> str:
        """Return the expression of the samples that are given, newest first; null where there are none."""
        own = _list(names(tuple(each.leaf for each in item.leaves)))
        every = _list(self.names)
        return f"siel_series_of(out, data, {least}, {most}, {own}, {every}, {self.known})"

    def samples(self, item: Samples) -> None:
        if self.values != "data":
            self.refuse("a time series in an entry of a downlink")
        script = self.script
        self.variables |= {"i", "rows", "codes"}
        bits = sum(each.delta_bits or each.leaf.bits for each in item.leaves)
        room = str(min(MAX_PAYLOAD_BYTES * 8 // bits, MAX_SAMPLES))
        count = room if item.count is None else item.count if isinstance(item.count, int) else self.code_of(item.count)
        least = "0" if item.count is None else str(count)
        given = self.series(item, count, least)
        script.add(f"rows = siel_series_rows(out, {given}, {least}, {count});", "codes = [];")
        with script.block("for (i = 0; i < rows.length; i += 1)"):
            self.values, self.prefix = "rows[i]", '(rows[i] === data ? "" : "samples[" + i + "].")'
            codes = ["0" if isinstance(each.leaf, Reserved) else self.code(each.leaf, ()) for each in item.leaves]
            self.values, self.prefix = "data", ""
            script.add(f"codes.push([{', '.join(codes)}]);")
        if not item.newest_first:
            script.add("codes.reverse();")
        with script.block("for (i = 0; i < codes.length; i += 1)"):
            for index, each in enumerate(item.leaves):
                leaf, code = each.leaf, f"codes[i][{index}]"
                if each.delta_bits and not isinstance(leaf, Reserved):
                    low, high = (leaf.code_min, leaf.code_max) if isinstance(leaf, Number) else (1, 0)
                    before = f"i > 0 ? codes[i - 1][{index}] : null"
                    script.add(f"siel_delta(out, {each.delta_bits}, {leaf.bits}, {low}, {high}, {before}, {code});")
                elif each.delta_bits:
                    script.add(f"if (i > 0) siel_put(out, {each.delta_bits}, {-(1 << each.delta_bits - 1)});")
                    self.put(leaf.bits, "0")
                else:
                    self.put(leaf.bits, code)

    def tlv(self, item: Tlv) -> None:
        if self.script.depth > 1:
            self.refuse("entries that name themselves in a group of a downlink")
        self.variables |= {"channels", "values", "j"}
        for entry in item.entries:
            if entry.time:
                self.refuse("entries with times of their own in a downlink")
            own = _list(names(entry.items))
            self.script.add(f"channels = siel_channels(data, {own});")
            with self.script.block("for (j = 0; j < channels.length; j += 1)"):
                self.script.add(
                    f"values = siel_entry(out, data, channels[j], {own});", "if (values === null) continue;"
                )
                if item.channel:
                    self.put(8, "channels[j]")
                self.put(8 * item.key_bytes, str(entry.key))
                if item.length:
                    self.put(8, str((static_bits(entry.items) or 0) // 8))
                self.values = "values"
                self.items(entry.items)
                self.values = "data"
        if item.tail_bytes:
            self.put(8 * item.tail_bytes, "0")


def _has_arm(switch: Switch, code: int) -> bool:
    return switch.otherwise == "ignore" or any(code in arm.codes for arm in switch.arms)


def _list(found: Iterable[str]) -> str:
    return f"[{', '.join(map(literal, found))}]"


def _inside(items: Sequence[Item]) -> Iterator[Item]:
    """Yield items and what is in them, in wire order."""
    for item in items:
        yield item
        if isinstance(item, Switch):
            for arm in item.arms:
                yield from _inside(arm.items)
        elif isinstance(item, Tlv):
            for entry in item.entries:
                yield from _inside(entry.items)


def _names(items: Sequence[Item]) -> set[str]:
    """Return the names in data that let an encoder choose these items."""
    series = any(isinstance(item, Samples) for item in _inside(items))
    return {*names(tuple(items)), *(["samples"] if series else [])}


def _steered(name: str, items: Sequence[Item]) -> Iterator[Switch | Repeat | Samples]:
    """Yield what a code steers among the items after it."""
    for item in _inside(items):
        if (
            (isinstance(item, Switch) and item.control == name)
            or (isinstance(item, Repeat) and item.count == name)
            or (isinstance(item, Samples) and name in (item.count, item.base))
        ):
            yield item
