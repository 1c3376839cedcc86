"""One command to a JavaScript function that makes its payload from values by name.

Codes are put one after the other into ``out``, which also keeps the first error; what comes after an error is made
and thrown away, so that no function needs to throw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.model import (
    MAX_PAYLOAD_BYTES,
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
    leaves,
    names,
)
from siel_codecs.schema.to_javascript_text import (
    INT_BITS,
    TARGET,
    Script,
    identifier,
    literal,
    one_line,
    say,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        EmitError: Series and entries in a command, or numbers that doubles cannot hold.
    """
    encoder = _Encoder(device, message)
    own = [*(["command"] if message.name else []), *encoder.names]
    known = literal(", ".join(encoder.names))
    encoder.script.add(f"siel_names(out, data, [{', '.join(map(literal, own))}], {known});")
    encoder.items(message.items)
    encoder.script.add("return siel_made(out, to);")
    title = [f"// {one_line(message.title)}"] if message.title else []
    declared = ", ".join(['out = {bytes: [], bits: 0, error: ""}', *sorted(encoder.variables)])
    return [*title, f"function {head} {{", f"  var {declared};", *encoder.script.lines, "}"]


class _Encoder:
    def __init__(self, device: Device, message: Message) -> None:
        self.device, self.message = device, message
        self.script = Script()
        self.script.depth = 1
        self.names = names(message.items)
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
            elif isinstance(item, Samples | Tlv):
                what = "a time series" if isinstance(item, Samples) else "entries that name themselves"
                raise EmitError(self.device.name, TARGET, self.message.name or "downlink", f"{what} in a downlink")
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
            name = literal(leaf.name)
            self.script.add(f"siel_opaque(out, {name}, siel_get(data, {name}), {leaf.bits // 8});")

    def lookahead(self, item: Lookahead, after: tuple[Item, ...]) -> None:
        found = (leaf for leaf in leaves(self.message.items) if getattr(leaf, "name", None) == item.name)
        later = next(leaf for leaf in found if isinstance(leaf, Number | Choice | Control))
        code, variable = self.code(later, after), self.code_of(item.name)
        if code != variable:
            self.script.add(f"{variable} = {code};")
        self.ahead.add(item.name)

    def code(self, leaf: Number | Choice | Control, after: tuple[Item, ...]) -> str:
        """Return the expression of a leaf's code; one that steers is kept in its variable."""
        steered = list(_steered(leaf.name, after))
        switches = [item for item in steered if isinstance(item, Switch)]
        lists = [item for item in steered if isinstance(item, Repeat)]
        if isinstance(leaf, Number) and leaf.name.startswith("_"):
            missing = leaf.special(Absent.NOT_AVAILABLE)
            return str(min(max(0, leaf.code_min), leaf.code_max) if missing is None else missing)
        derived = isinstance(leaf, Control) or leaf.name.startswith("_")
        if isinstance(leaf, Number | Choice) and not derived:
            name = literal(leaf.name)
            code = self.value(leaf, f"siel_get(data, {name})", name)
        elif lists:
            name = literal(lists[0].leaf.name)
            code = f"siel_list(out, {name}, siel_get(data, {name}), 0, {(1 << leaf.bits) - 1}).length"
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
        return f"siel_pick(out, data, {rows}, {every})"

    def check_arms(self, switches: Sequence[Switch], code: str) -> None:
        """Refuse a code that has no arm, and values of other arms than its own."""
        for switch in switches:
            if switch.otherwise == "error":
                known = sorted(each for arm in switch.arms for each in arm.codes)
                shown = text(switch.control.removeprefix("_"))
                unknown = say(words.UNKNOWN_ARM, control=shown, code=code, known=text(", ".join(map(str, known))))
                self.script.add(f"if ({known}.indexOf({code}) < 0) siel_refuse(out, null, {unknown});")
        rows, every = self.arms(switches, only_known=False)
        if every != "[]":
            self.script.add(f"siel_arms(out, data, {code}, {rows}, {every});")

    def arms(self, switches: Sequence[Switch], *, only_known: bool) -> tuple[str, str]:
        """Return the literals of ``[[code, [name, ...]], ...]`` and of all names in the arms."""
        codes = list(dict.fromkeys(code for switch in switches for arm in switch.arms for code in arm.codes))
        if only_known:
            codes = [code for code in codes if all(_has_arm(switch, code) for switch in switches)]
        rows = []
        for code in codes:
            own = {name for switch in switches for arm in switch.arms if code in arm.codes for name in names(arm.items)}
            rows.append(f"[{code}, [{', '.join(literal(name) for name in self.names if name in own)}]]")
        found = {name for switch in switches for arm in switch.arms for name in names(arm.items)}
        return f"[{', '.join(rows)}]", f"[{', '.join(literal(name) for name in self.names if name in found)}]"

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
        leaf, name = item.leaf, literal(item.leaf.name)
        self.variables |= {"i", "list"}
        if item.count is None:
            least, most = "0", str(MAX_PAYLOAD_BYTES * 8 // leaf.bits)
        else:
            least = most = str(item.count) if isinstance(item.count, int) else self.code_of(item.count)
        self.script.add(f"list = siel_list(out, {name}, siel_get(data, {name}), {least}, {most});")
        with self.script.block("for (i = 0; i < list.length; i += 1)"):
            field = f'{literal(leaf.name + "[")} + i + "]"'
            self.put(leaf.bits, self.value(leaf, "siel_get(list, i)", field))


def _has_arm(switch: Switch, code: int) -> bool:
    return switch.otherwise == "ignore" or any(code in arm.codes for arm in switch.arms)


def _steered(name: str, items: Sequence[Item]) -> Iterator[Switch | Repeat]:
    """Yield what a code steers among the items after it."""
    for item in items:
        if (isinstance(item, Switch) and item.control == name) or (isinstance(item, Repeat) and item.count == name):
            yield item
        if isinstance(item, Switch):
            for arm in item.arms:
                yield from _steered(name, arm.items)
