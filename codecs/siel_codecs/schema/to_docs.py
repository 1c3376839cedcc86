"""A Markdown page of one sensor type: per message a picture of its bits, its fields and a frame worked through."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import msgspec

from siel_codecs.codec import SchemaCodec, as_ts013
from siel_codecs.schema.bitmap import bit_map
from siel_codecs.schema.model import (
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
    static_bits,
    static_bytes,
)
from siel_codecs.schema.to_senml import exact
from siel_codecs.schema.trace import trace
from siel_codecs.schema.wire import Layout, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siel_codecs.schema.model import Device, Entry, Item, Leaf, Message, Port, SeriesLeaf, Unit

MAX_WORKED_STEPS: Final = 60
"""A frame of more fields is worked through up to here."""
MAX_ARM_CODES: Final = 6
"""More codes of one group are told as a number."""
_HOW_TO_READ: Final = (
    "Bits are numbered as in a byte: 7 is the most significant. A field goes on with the most significant bit of the "
    "next byte, but one marked `le` has its least significant byte first. In the pictures a number stands for a name "
    "that does not fit: the one in the first column of the table. A value is `(code * a + b) / c`: whole numbers, then "
    "one division. What has no value is absent from the data, and a warning says why."
)
_COLUMNS: Final = ("#", "name", "bits", "kind", "range", "step", "unit", "SenML", "UCUM", "no value", "what")


def emit_markdown(device: Device) -> str:
    """Return the page, ready to be shown; lines end in a newline."""
    codec = SchemaCodec(device)
    lines = [
        f"# {device.title}",
        "",
        f"`{device.name}`" + (f" ({device.kind.replace('_', ' ')})" if device.kind else ""),
    ]
    if device.description:
        lines += ["", device.description.strip()]
    if device.source:
        lines += ["", f"Source of the format: {device.source}"]
    for direction, title in (("up", "Uplinks"), ("down", "Downlinks")):
        ports = [port for port in device.ports if port.direction == direction]
        if ports:
            lines += ["", f"## {title}"]
        for port in ports:
            for message in port.messages:
                lines += _Page(device, codec, port, message).lines()
    lines += [
        "",
        "## How to read this",
        "",
        _HOW_TO_READ,
    ]
    return "\n".join(lines) + "\n"


class _Page:
    """The part of a page that tells of one message."""

    def __init__(self, device: Device, codec: SchemaCodec, port: Port, message: Message) -> None:
        self.device, self.codec, self.port, self.message = device, codec, port, message
        self.numbers = 0
        self.order: dict[int, int] = {}

    def lines(self) -> list[str]:
        port, message = self.port, self.message
        where = "any port" if not port.f_ports else "port " + ", ".join(map(str, port.f_ports))
        if message.name:
            title = f"Command `{message.name}`, {where}"
        else:
            title = f"{message.title or self.device.title}, {where}"
        lines = ["", f"### {title[0].upper()}{title[1:]}", "", self._size()]
        lines += self._items(message.items, [], 0, "")
        return lines + self._worked()

    def _size(self) -> str:
        size, extra = static_bytes(self.message), self.message.extra == "ignore"
        text = "Its size depends on what is in it." if size is None else f"{size} byte{'s' if size != 1 else ''}."
        version = "" if self.message.version is None else f" Version {self.message.version} of the payload."
        title = f"{self.message.title}. " if self.message.name and self.message.title else ""
        return title + text + version + (" More bytes at the end are passed over." if extra else "")

    def _items(self, items: tuple[Item, ...], when: list[str], at: int | None, channel: str) -> list[str]:
        """Return the picture and the table of each run of leaves, and what stands between them.

        Args:
            items: In wire order.
            when: The conditions under which they are there.
            at: Bits before them, None where that depends.
            channel: Unused but kept for the entries of a Tlv.
        """
        lines: list[str] = []
        run: list[Leaf | Word] = []
        started = at

        def flush() -> None:
            nonlocal run
            if run:
                lines.extend(self._run(run, when, started))
            run = []

        for item in items:
            if isinstance(item, Lookahead):
                continue
            if isinstance(item, Switch | Repeat | Samples | Tlv):
                flush()
                lines += self._block(item, when, at)
                bits = static_bits((item,))
                at = None if at is None or bits is None else at + bits
                started = at
            else:
                run.append(item)
                at = None if at is None else at + item.bits
                continue
        flush()
        return lines

    def _block(self, item: Switch | Repeat | Samples | Tlv, when: list[str], at: int | None) -> list[str]:
        if isinstance(item, Switch):
            lines: list[str] = []
            for arm in item.arms:
                if arm.items:
                    lines += self._items(arm.items, [*when, _condition(item.control, arm.codes)], at, "")
            known = {code for arm in item.arms for code in arm.codes}
            rest = "is an error" if item.otherwise == "error" else "means that nothing follows here"
            leaf = next(each for each in leaves(self.message.items) if _name(each) == item.control)
            if len(known) < 1 << leaf.bits:
                lines += ["", f"{_heading(when)}Any other code of `{item.control.lstrip('_')}` {rest}."]
            return lines
        if isinstance(item, Repeat):
            text = f"{_heading(when)}A list `{item.leaf.name}`: {_times(item.count)}, one after the other."
            return ["", text, *self._run([item.leaf], [], at, text=False)]
        if isinstance(item, Samples):
            return self._series(item, when, at)
        return self._tlv(item, when)

    def _run(self, run: Sequence[Leaf | Word], when: list[str], at: int | None, *, text: bool = True) -> list[str]:
        parts = [leaf for item in run for leaf in (item.leaves if isinstance(item, Word) else (item,))]
        first = self.numbers + 1
        self.numbers += len(parts)
        numbers = range(first, self.numbers + 1)
        little = {id(leaf) for item in run if isinstance(item, Word) for leaf in item.leaves if item.bits > 8}  # noqa: PLR2004 - a byte has no order
        picture = bit_map(run, numbers, at or 0, relative=at is None)
        rows = [_row(str(number), leaf, little=id(leaf) in little) for number, leaf in zip(numbers, parts, strict=True)]
        head = ["", _heading(when, alone=True)] if text and when else []
        return [*head, "", "```text", picture, "```", "", *_table(_COLUMNS, rows)]

    def _series(self, item: Samples, when: list[str], at: int | None) -> list[str]:
        order = "the newest first" if item.newest_first else "the oldest first"
        text = f"{_heading(when)}A time series: {_times(item.count)}, {order}. {_step(item)}"
        if item.base:
            text += f" The newest was measured at `{item.base.lstrip('_')}` (seconds since 1970, UTC)."
        lines = ["", text, *self._run([each.leaf for each in item.leaves], [], at, text=False)]
        differences = [each for each in item.leaves if each.delta_bits]
        if differences:
            lines += ["", "From the second sample on the wire:", ""]
            lines += [f"- {_difference(each)}" for each in differences]
        return lines

    def _tlv(self, item: Tlv, when: list[str]) -> list[str]:
        head = [Constant("channel", 8, 0)] if item.channel else []
        shown = [*(("channel",) if item.channel else ()), "key", *(("length",) if item.length else ()), "value"]
        _ = head
        text = f"{_heading(when)}Entries up to the end"
        text += f" less {item.tail_bytes} bytes that are not looked at" if item.tail_bytes else ""
        text += f", each {', '.join(shown[:-1])} ({item.key_bytes} byte{'s' if item.key_bytes > 1 else ''} of key) and "
        text += (
            "value. "
            + {
                "stop": "At a key that is not in the table decoding stops; what came before it stands.",
                "skip": "A key that is not in the table is passed over where its length is known, else decoding stops.",
                "raw": "From a key that is not in the table on the rest is given as hex in `raw`.",
            }[item.unknown]
        )
        lines = ["", text]
        if item.sizes:
            sizes = ", ".join(f"0x{key:0{2 * item.key_bytes}x} ({size})" for key, size in item.sizes)
            lines += ["", f"Passed over, with their bytes: {sizes}."]
        columns = ("key", "#", "name", "byte", *_COLUMNS[2:])
        rows = [row for entry in item.entries for row in self._entry(entry, item.key_bytes)]
        return [*lines, "", *_table(columns, rows)]

    def _entry(self, entry: Entry, key_bytes: int) -> Iterator[tuple[str, ...]]:
        key = f"0x{entry.key:0{2 * key_bytes}x}"
        for at, condition, leaf, little in _flat(entry.items):
            self.numbers += 1
            number, name, *rest = _row(str(self.numbers), leaf, little=little)
            rest[-1] = condition + rest[-1]
            if entry.time and _name(leaf) == entry.time:
                rest[-1] = "when the entry was measured: seconds since 1970, UTC"
            place = "" if at is None else f"{at // 8}" if at % 8 == 0 else f"{at // 8}, bit {7 - at % 8}"
            yield key, number, name, place, *rest
            key = ""

    def _worked(self) -> list[str]:
        payload, title = self._example()
        f_port = self.port.f_ports[0] if self.port.f_ports else 1
        up = self.port.direction == "up"
        decoded = self.codec.decode(f_port, payload) if up else self.codec.decode_downlink(f_port, payload)
        if decoded.errors:
            return []
        rows = []
        for step in trace(self.message, payload)[:MAX_WORKED_STEPS]:
            value = (
                msgspec.json.encode(step.value).decode() if step.value is not None else "none" if step.is_data else ""
            )
            unit = decoded.units.get(step.name, "") if step.value is not None else ""
            bits = _place(step.first_bit, step.bits)
            rows.append(
                (bits, f"`{step.name.lstrip('_')}`", str(step.code), step.arithmetic, f"{value} {unit}".strip())
            )
        lines = ["", f"**Worked example** ({title}): `{payload.hex() or 'no bytes'}` on port {f_port}", ""]
        lines += _table(("bits", "field", "code", "arithmetic", "value"), rows)
        lines += ["", "```json", _json(as_ts013(decoded)), "```"]
        return lines + ([""] + [f"- Warning: {warning}" for warning in decoded.warnings] if decoded.warnings else [])

    def _example(self) -> tuple[bytes, str]:
        layout = Layout(self.message)
        for example in self.device.examples:
            here = not self.port.f_ports or example.f_port in self.port.f_ports
            if example.direction == self.port.direction and here and self._selects(example.payload):
                return example.payload, example.title or "from the schema"
        return layout.payload(Plan()), "made from the schema"

    def _selects(self, payload: bytes) -> bool:
        selector, first = self.port.selector, self.message.items[0] if self.message.items else None
        if selector is None or not isinstance(first, Constant):
            return True
        bits = 8 * len(payload)
        return bits >= first.bits and int.from_bytes(payload, "big") >> (bits - first.bits) == first.code


def _flat(items: tuple[Item, ...]) -> Iterator[tuple[int | None, str, Leaf, bool]]:
    """Yield place, condition, leaf and byte order of each leaf of a Tlv entry."""
    at: int | None = 0
    for item in items:
        bits = static_bits((item,))
        if isinstance(item, Word):
            yield from ((at, "", leaf, item.bits > 8) for leaf in item.leaves)  # noqa: PLR2004 - a byte has no order
        elif isinstance(item, Switch):
            for arm in item.arms:
                for place, condition, leaf, little in _flat(arm.items):
                    where = None if at is None or place is None else at + place
                    yield where, f"if {_condition(item.control, arm.codes)}: {condition}", leaf, little
        elif isinstance(item, Repeat):
            yield at, f"{_times(item.count)}: ", item.leaf, False
        elif isinstance(item, Samples):
            yield from ((None, f"{_times(item.count)}: ", each.leaf, False) for each in item.leaves)
        elif not isinstance(item, Lookahead | Tlv):
            yield at, "", item, False
        at = None if at is None or bits is None else at + bits


def _row(number: str, leaf: Leaf, *, little: bool) -> tuple[str, ...]:
    order = " le" if little else ""
    bits = str(leaf.bits)
    if isinstance(leaf, Number):
        unit = leaf.unit
        return (
            number, f"`{leaf.name}`", bits, ("signed" if leaf.signed else "unsigned") + order, _range(leaf),
            _decimal(leaf.scale), *_unit(unit), _absent(leaf), _what(leaf),
        )  # fmt: skip
    if isinstance(leaf, Choice):
        words = ", ".join(f"{code} = {str(value).lower()}" for code, value in leaf.meanings)
        kind = "flag" if leaf.is_flag else "enum"
        return number, f"`{leaf.name}`", bits, kind + order, words, "", "", "", "", _absent(leaf), _what(leaf)
    if isinstance(leaf, Opaque):
        return number, f"`{leaf.name}`", bits, "hex", f"{leaf.bits // 8} bytes", "", "", "", "", "", leaf.title
    if isinstance(leaf, Control):
        name = f"{leaf.name.lstrip('_')}"
        return number, name, bits, "control" + order, "", "", "", "", "", "", "steers what follows; no data"
    if isinstance(leaf, Constant):
        return number, leaf.title, bits, "constant" + order, str(leaf.code), "", "", "", "", "", ""
    return number, "reserved", bits, "reserved" + order, "", "", "", "", "", "", "sent as 0, not looked at"


def _what(leaf: Number | Choice) -> str:
    return leaf.title + ("; no data" if leaf.name.startswith("_") else "")


def _range(leaf: Number) -> str:
    return f"{leaf.value(leaf.code_min)} to {leaf.value(leaf.code_max)}"


def _unit(unit: Unit | None) -> tuple[str, str, str]:
    if unit is None:
        return "", "", ""
    factor = Fraction(unit.senml_num, unit.senml_den)
    senml = unit.senml if factor == 1 or not unit.senml else f"{unit.senml} (* {_decimal(factor)})"
    return unit.display, senml, unit.ucum


def _decimal(value: Fraction) -> str:
    number = exact(value)
    return str(value) if isinstance(number, float) else f"{number:f}"


def _absent(leaf: Number | Choice) -> str:
    parts = [
        f"{special.first}{f' to {special.last}' if special.last != special.first else ''} {special.absent.value}"
        for special in leaf.specials
    ]
    return ", ".join(parts)


def _difference(each: SeriesLeaf) -> str:
    name = "the reserved bits" if isinstance(each.leaf, Reserved) else f"`{each.leaf.name}`"
    most = (1 << each.delta_bits - 1) - 1
    return (
        f"{name}: {each.delta_bits} bits, the signed difference of its code from the sample before it, "
        f"{-most} to {most}; {-most - 1} says that the whole code of {each.leaf.bits} bits follows"
    )


def _step(item: Samples) -> str:
    if not isinstance(item.step, int):
        ms = f"{item.step.name.lstrip('_')} * {_decimal(Fraction(item.step.ms_num, 1000))}"
        add = f" + {_decimal(Fraction(item.step.ms_add, 1000))}" if item.step.ms_add else ""
        return f"Between two samples lie {ms}{add} seconds (by the code of that field)."
    if item.step:
        return f"Between two samples lie {_decimal(Fraction(item.step, 1000))} seconds."
    return "Only the time of the newest is known."


def _times(count: int | str | None) -> str:
    if count is None:
        return "as many as there are up to the end"
    return f"{count} times" if isinstance(count, int) else f"`{count.lstrip('_')}` times"


def _condition(control: str, codes: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, codes[:MAX_ARM_CODES]))
    if len(codes) > MAX_ARM_CODES:
        shown = f"one of {len(codes)} codes ({codes[0]} to {codes[-1]})"
    return f"`{control.lstrip('_')}` is {shown if ',' not in shown or 'one of' in shown else 'one of ' + shown}"


def _heading(when: list[str], *, alone: bool = False) -> str:
    if not when:
        return ""
    text = f"**If {' and '.join(when)}**"
    return text + ":" if alone else text + ": "


def _place(first_bit: int, bits: int) -> str:
    """Return where bits stand as byte.bit, ends included."""
    last = first_bit + bits - 1
    if first_bit % 8 == 0 and last % 8 == 7:  # noqa: PLR2004 - bits of a byte
        return str(first_bit // 8) if first_bit // 8 == last // 8 else f"{first_bit // 8} to {last // 8}"
    first, end = f"{first_bit // 8}.{7 - first_bit % 8}", f"{last // 8}.{7 - last % 8}"
    return first if first == end else f"{first} to {end}"


def _name(leaf: Leaf) -> str:
    return "" if isinstance(leaf, Constant | Reserved) else leaf.name


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table without the columns that are empty in every row."""
    cells = [[text.replace("|", "\\|") for text in row] for row in rows]
    kept = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    widths = [max(len(columns[place]), *(len(row[place]) for row in cells)) for place in kept]

    def line(row: Sequence[str]) -> str:
        texts = (f"{row[place]:<{width}}" for place, width in zip(kept, widths, strict=True))
        return "| " + " | ".join(texts) + " |"

    return [line(columns), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, cells)]


def _json(data: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
