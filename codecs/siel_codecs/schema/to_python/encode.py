"""The generated encoder of one message: the codes of its items, shifted one after the other into one number.

The number begins with a 1 that is no part of the payload, so that its length is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.below import leaves, names, static_bits, static_bytes
from siel_codecs.schema.model import (
    CHANNEL,
    MAX_PAYLOAD_BYTES,
    MAX_SAMPLES,
    Absent,
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
    Switch,
    Tlv,
    Word,
)
from siel_codecs.schema.to_python.decode import inside
from siel_codecs.schema.to_python.encode_series import samples, tlv
from siel_codecs.schema.to_python.text import Code, Lines, filled, joined, matches, with_channel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class MessageEncoder:
    """Writes the body of a function of ``data`` that returns the payload of one message."""

    def __init__(self, codec: str, out: Lines, message: Message, command: bool) -> None:
        """``codec`` stands in errors; the data of a ``command`` may say its name."""
        self.codec, self.out, self.message = codec, out, message
        self.names = names(message.items)
        every = list(inside(message.items))
        also = {"command"} if command and message.name else set()
        if any(isinstance(item, Samples) or (isinstance(item, Entry) and item.time) for item in every):
            also.add("samples")
        if any(isinstance(item, Samples) and item.base for item in every):
            also.add("time")
        self.names_constant = out.constant("NAMES", dict.fromkeys(self.names, 0))
        self.also = f"ALSO_{len(out.constants)}"
        out.constants.append(f"{self.also} = frozenset({sorted(also)!r})")
        self.plain = not any(CHANNEL in name for name in self.names)
        self.switches = any(isinstance(item, Switch) for item in every)
        self.kept = {name: f"c{index}" for index, name in enumerate(dict.fromkeys(_steering(message.items)))}
        self.ahead: dict[str, str] = {}
        self.number = "n"
        self.values = "data"
        self.prefix: list[str] = []
        self.clock: str | None = None
        self.fresh = 0

    def write_known(self) -> None:
        """Add the body of a function of ``data``: whether all of its names have a place in this message."""
        self.out(f"return all(is_known(name, {self.names_constant}, {self.also}) for name in data)")

    def write(self) -> None:
        """Add the body."""
        out = self.out
        check = f"check_names(CODEC, data, {self.names_constant}, {self.also})"
        if self.plain:
            out.block(f"if not ({self.names_constant}.keys() | {self.also}).issuperset(data):", [check])
        else:
            out(check)
        if self.switches:
            out(f"given = templates(data, {self.names_constant})")
        out("n = 1")
        self.items(self.message.items)
        size = static_bytes(self.message)
        if size is not None and size <= MAX_PAYLOAD_BYTES:
            bits = static_bits(self.message.items) or 0
            shift = f" << {size * 8 - bits}" if size * 8 - bits else ""
            number = f"(n{shift})" if shift else "n"
            out(f'return {number}.to_bytes({size + 1}, "big")[1:]')
        else:
            out("return finished(CODEC, n)")

    def variable(self, prefix: str) -> str:
        """Return a name that is used nowhere else."""
        self.fresh += 1
        return f"{prefix}{self.fresh}"

    def field(self, name: str) -> list[str]:
        """Return the pieces of the name of a value in errors."""
        return [*self.prefix, *with_channel(name)]

    def put(self, bits: int, code: str) -> None:
        """Add some bits to the number; ``code`` is not negative."""
        if code == "0":
            self.out(f"{self.number} <<= {bits}")
        else:
            code = code if code.isalnum() else f"({code})"
            self.out(f"{self.number} = {self.number} << {bits} | {code}")

    # items

    def items(self, items: Sequence[Item]) -> None:
        """Add the code of items that follow each other."""
        for index, item in enumerate(items):
            self.item(item, items[index + 1 :])

    def item(self, item: Item, after: Sequence[Item]) -> None:
        """Add the code of one item; ``after`` it come those that it may steer."""
        if isinstance(item, Word):
            outer, self.number = self.number, self.variable("w")
            self.out(f"{self.number} = 0")
            for leaf in item.leaves:
                self.leaf(leaf, after)
            word, self.number = self.number, outer
            self.put(item.bits, f"swapped({word}, {item.bits // 8})")
        elif isinstance(item, Lookahead):
            later = next(leaf for leaf in leaves(self.message.items) if getattr(leaf, "name", None) == item.name)
            variable = self.variable("a")
            self.out(f"{variable} = {self.code(later, after)}")
            self.ahead[item.name] = variable
        elif isinstance(item, Switch):
            self.switch(item)
        elif isinstance(item, Repeat):
            self.repeat(item)
        elif isinstance(item, Samples):
            samples(self, item)
        elif isinstance(item, Tlv):
            tlv(self, item)
        else:
            self.leaf(item, after)

    def leaf(self, leaf: Leaf, after: Sequence[Item]) -> None:
        """Add the code that puts a leaf into the number."""
        if isinstance(leaf, Reserved):
            self.put(leaf.bits, "0")
        elif isinstance(leaf, Constant):
            self.put(leaf.bits, str(leaf.code))
        else:
            known = self.ahead.pop(leaf.name, None)
            code = self.code(leaf, after) if known is None else known
            signed = isinstance(leaf, Number) and leaf.signed
            self.put(leaf.bits, f"{code} & {(1 << leaf.bits) - 1:#x}" if signed else code)

    def code(self, leaf: Leaf, after: Sequence[Item]) -> str:
        """Add what finds the code of a leaf, and return its expression."""
        if isinstance(leaf, Control) and leaf.name == self.clock:
            self.out(f'c = seconds(CODEC, {joined([*self.prefix, "time"])}, values["time"], {leaf.bits})')
            code = "c"
        elif isinstance(leaf, Control) or leaf.name.startswith("_"):  # type: ignore[union-attr]
            code = self.derived(leaf, after)  # type: ignore[arg-type]
        else:
            self.out(f"v = {self.values}.get({leaf.name!r})")  # type: ignore[union-attr]
            code = self.value(leaf, joined(self.field(leaf.name)))  # type: ignore[arg-type, union-attr]
            switches = [each for each in steered(leaf.name, after) if isinstance(each, Switch)]  # type: ignore[union-attr]
            if switches:
                self.out(f"check_arms(CODEC, {code}, given, {self.arms(switches)})")
        if leaf.name in self.kept:  # type: ignore[union-attr]
            kept = self.kept[leaf.name]  # type: ignore[union-attr]
            self.out(f"{kept} = {code}")
            return kept
        return code

    def value(self, leaf: Number | Choice | Opaque, field: str) -> str:
        """Add what finds the code of the value ``v``, and return its expression."""
        if isinstance(leaf, Opaque):
            return f"opaque(CODEC, {field}, v, {leaf.bits // 8})"
        specials: dict[str, int] = {}
        for special in leaf.specials:
            specials.setdefault(special.absent.name.lower(), special.first)
        if isinstance(leaf, Choice):
            codes = self.out.constant("CODES", {value: code for code, value in leaf.meanings})
            self.out(f"c = chosen(CODEC, {field}, v, {codes}, {specials!r})")
            return "c"
        self.out(f"c = scaled(v, {leaf.num}, {leaf.add}, {leaf.den})")
        self.out.block("if c is None:", [f"c = asked(CODEC, {field}, v, {specials!r})"])
        if leaf.saturates:
            low, high = leaf.special(Absent.UNDER_RANGE), leaf.special(Absent.OVER_RANGE)
            self.out.block(f"elif c < {leaf.code_min}:", [f"c = {leaf.code_min if low is None else low}"])
            self.out.block(f"elif c > {leaf.code_max}:", [f"c = {leaf.code_max if high is None else high}"])
        else:
            lowest, highest = str(leaf.value(leaf.code_min)), str(leaf.value(leaf.code_max))
            wrong = filled(words.OUT_OF_RANGE, low=lowest, high=highest)
            refuse = f"raise PayloadError(CODEC, {wrong}, field={field})"
            self.out.block(f"elif not {leaf.code_min} <= c <= {leaf.code_max}:", [refuse])
        return "c"

    # what steers

    def derived(self, leaf: Control | Number | Choice | Opaque, after: Sequence[Item]) -> str:
        """Add what finds the code of what is no data, and return its expression."""
        if isinstance(leaf, Number):
            missing = leaf.special(Absent.NOT_AVAILABLE)
            return str(min(max(0, leaf.code_min), leaf.code_max) if missing is None else missing)
        if isinstance(leaf, Opaque):
            return "0"
        users = list(steered(leaf.name, after))
        switches = [user for user in users if isinstance(user, Switch)]
        for user in users:
            if isinstance(user, Samples) and user.base == leaf.name:
                return self.base(user, leaf)
        for user in users:
            if not isinstance(user, Switch):
                self.out(f"c = {self.count(user, leaf)}")
                if switches:
                    self.out(f"check_arms(CODEC, c, given, {self.arms(switches)})")
                return "c"
        if switches:
            return f"pick(CODEC, given, {self.arms(switches)})"
        return "0" if isinstance(leaf, Control) else str(leaf.meanings[0][0])

    def arms(self, switches: list[Switch]) -> str:
        """Return a constant that says what has a place with which code; see ``to_python_runtime.Arms``."""
        every = dict.fromkeys(code for switch in switches for arm in switch.arms for code in arm.codes)
        strict = [switch for switch in switches if switch.otherwise == "error"]
        known = [{code for arm in switch.arms for code in arm.codes} for switch in strict]
        codes = [code for code in every if all(code in each for each in known)]
        if not codes:
            raise EmitError(self.codec, "python", switches[0].control, "no code has an arm in all that it steers")
        order = [*self.names, "samples"]
        held = {code: _names_with(code, switches) for code in codes}
        elsewhere = {name for switch in switches for arm in switch.arms for name in _arm_names(arm.items)}
        text = ", ".join(f"({code}, frozenset({sorted(held[code])!r}))" for code in codes)
        shown = [", ".join(map(str, sorted(each))) for each in known]
        required = ", ".join(
            f"({switch.control.removeprefix('_')!r}, frozenset({sorted(each)!r}), {text!r})"
            for switch, each, text in zip(strict, known, shown, strict=True)
        )
        all_names = [name for name in order if name in elsewhere]
        name = f"ARMS_{len(self.out.constants)}"
        comma = "," if text else ""
        comma_2 = "," if required else ""
        self.out.constants.append(f"{name} = (({text}{comma}), {tuple(all_names)!r}, ({required}{comma_2}))")
        return name

    def switch(self, switch: Switch) -> None:
        """Add groups of which one follows."""
        word = "if"
        ahead = dict(self.ahead)
        for arm in switch.arms:
            self.ahead = dict(ahead)
            body = self.out.capture(lambda arm=arm: self.items(arm.items))  # type: ignore[misc]
            self.out.block(f"{word} {matches(self.kept[switch.control], arm.codes)}:", body)
            word = "elif"
        self.ahead = {name: each for name, each in ahead.items() if name in self.ahead}

    def count(self, user: Repeat | Samples, control: Control | Choice) -> str:
        """Return the expression of a list's length."""
        most = (1 << control.bits) - 1
        if isinstance(user, Samples):
            return f"len({self.series(user, str(most), 'None')})"
        name = user.leaf.name
        return f"len(listed(CODEC, {joined(self.field(name))}, {self.values}.get({name!r}), {most}))"

    # lists and series

    def exactly(self, count: int | str | None) -> str:
        """Return the expression of the number of elements there must be."""
        return self.kept[count] if isinstance(count, str) else str(count)

    def repeat(self, repeat: Repeat) -> None:
        """Add a list."""
        leaf = repeat.leaf
        most = MAX_PAYLOAD_BYTES * 8 // leaf.bits
        field = joined(self.field(leaf.name))
        values = f"listed(CODEC, {field}, {self.values}.get({leaf.name!r}), {most}, {self.exactly(repeat.count)})"
        index = self.variable("i")

        def write() -> None:
            code = self.value(leaf, joined([*self.field(leaf.name), "[", Code(f"str({index})"), "]"]))
            signed = isinstance(leaf, Number) and leaf.signed
            self.put(leaf.bits, f"{code} & {(1 << leaf.bits) - 1:#x}" if signed else code)

        self.out.within(f"for {index}, v in enumerate({values}):", write)

    def series(self, samples: Samples, most: str, exactly: str) -> str:
        """Return the expression of the values of each sample."""
        own = tuple(names(tuple(each.leaf for each in samples.leaves)))
        return f"series_of(CODEC, data, {own!r}, {self.names_constant}, {most}, {exactly})"

    def base(self, samples: Samples, leaf: Control | Choice) -> str:
        """Add what finds when the newest sample was measured, and return the expression of its seconds."""
        self.out('moment = data.get("time")')
        found = self.series(samples, str(MAX_SAMPLES), "None")
        self.out.block("if moment is None:", [f"found = {found}", 'moment = found[0].get("time") if found else None'])
        return f'seconds(CODEC, "time", moment, {leaf.bits})'


def steered(name: str, items: Sequence[Item]) -> Iterator[Switch | Repeat | Samples]:
    """Yield what a Control or Choice steers among the items after it."""
    for item in inside(items):
        if (
            (isinstance(item, Switch) and item.control == name)
            or (isinstance(item, Repeat) and item.count == name)
            or (isinstance(item, Samples) and name in {item.count, item.base})
        ):
            yield item


def _steering(items: Sequence[Item]) -> Iterator[str]:
    for item in inside(items):
        if isinstance(item, Switch):
            yield item.control
        elif isinstance(item, Repeat | Samples) and isinstance(item.count, str):
            yield item.count


def _arm_names(items: tuple[Item, ...]) -> set[str]:
    series = any(isinstance(item, Samples) or (isinstance(item, Entry) and item.time) for item in inside(items))
    return {*names(items), *(["samples"] if series else [])}


def _names_with(code: int, switches: list[Switch]) -> set[str]:
    arms = (arm for switch in switches for arm in switch.arms if code in arm.codes)
    return {name for arm in arms for name in _arm_names(arm.items)}
