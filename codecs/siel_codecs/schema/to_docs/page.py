"""A Markdown page of one sensor type: per message a picture of its bits, its fields and a frame worked through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from siel_codecs.codec import as_ts013
from siel_codecs.schema.below import leaves, static_bits, static_bytes
from siel_codecs.schema.model import Constant, Lookahead, Repeat, Samples, Switch, Tlv, Word
from siel_codecs.schema.to_construct.reference import Reference
from siel_codecs.schema.to_docs.bitmap import bit_map
from siel_codecs.schema.to_docs.text import (
    COLUMNS,
    condition_text,
    difference,
    dynamic_size,
    flat,
    heading,
    name_of,
    place,
    row,
    step_text,
    table,
    times,
)
from siel_codecs.schema.to_docs.trace import trace
from siel_codecs.schema.wire import Layout, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siel_codecs.schema.model import Device, Entry, Item, Leaf, Message, Port

MAX_WORKED_STEPS: Final = 60
"""A frame of more fields is worked through up to here."""
_HOW_TO_READ: Final = (
    "Bits are numbered as in a byte: 7 is the most significant. A field goes on with the most significant bit of the "
    "next byte, but one marked `le` has its least significant byte first. In the pictures a number stands for a name "
    "that does not fit: the one in the first column of the table. A value is `(code * a + b) / c`: whole numbers, then "
    "one division. What has no value is absent from the data, and a warning says why."
)
_UNKNOWN_KEYS: Final = {
    "stop": "At a key that is not in the table decoding stops; what came before it stands.",
    "skip": "A key that is not in the table is passed over where its length is known, else decoding stops.",
    "raw": "From a key that is not in the table on the rest is given as hex in `raw`.",
}


def emit_markdown(device: Device) -> str:
    """Return the page, ready to be shown; lines end in a newline."""
    codec = Reference(device)
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

    def __init__(self, device: Device, codec: Reference, port: Port, message: Message) -> None:
        self.device, self.codec, self.port, self.message = device, codec, port, message
        self.numbers = 0

    def lines(self) -> list[str]:
        port, message = self.port, self.message
        where = "any port" if not port.f_ports else "port " + ", ".join(map(str, port.f_ports))
        if port.direction == "down" and message.name:
            title = f"Command `{message.name}`, {where}"
        else:
            title = f"{message.title or self.device.title}, {where}"
        lines = ["", f"### {title[0].upper()}{title[1:]}", "", self._size()]
        lines += self._items(message.items, [], 0)
        return lines + self._worked()

    def _size(self) -> str:
        message, size = self.message, static_bytes(self.message)
        parts = [f"{message.title}."] if self.port.direction == "down" and message.name and message.title else []
        parts.append(dynamic_size(message) if size is None else f"{size} byte{'s' if size != 1 else ''}.")
        if message.version is not None:
            parts.append(f"Version {message.version} of the payload.")
        if message.extra == "ignore":
            parts.append("More bytes at the end are passed over.")
        if self.port.included:
            parts.append(f"As `{self.port.included}` says it.")
        return " ".join(parts)

    def _items(self, items: tuple[Item, ...], when: list[str], at: int | None) -> list[str]:
        """Return the picture and the table of each run of leaves, and what stands between them.

        Args:
            items: In wire order.
            when: The conditions under which they are there.
            at: Bits before them, None where that depends.
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
                    lines += self._items(arm.items, [*when, condition_text(item.control, arm.codes)], at)
            known = {code for arm in item.arms for code in arm.codes}
            rest = "is an error" if item.otherwise == "error" else "means that nothing follows here"
            leaf = next(each for each in leaves(self.message.items) if name_of(each) == item.control)
            if len(known) < 1 << leaf.bits:
                lines += ["", f"{heading(when)}Any other code of `{item.control.lstrip('_')}` {rest}."]
            return lines
        if isinstance(item, Repeat):
            text = f"{heading(when)}A list `{item.leaf.name}`: {times(item.count)}, one after the other."
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
        rows = [row(str(number), leaf, little=id(leaf) in little) for number, leaf in zip(numbers, parts, strict=True)]
        head = ["", heading(when, alone=True)] if text and when else []
        return [*head, "", "```text", picture, "```", "", *table(COLUMNS, rows)]

    def _series(self, item: Samples, when: list[str], at: int | None) -> list[str]:
        order = "the newest first" if item.newest_first else "the oldest first"
        text = f"{heading(when)}A time series: {times(item.count)}, {order}. {step_text(item)}"
        if item.base:
            text += f" The newest was measured at `{item.base.lstrip('_')}` (seconds since 1970, UTC)."
        lines = ["", text, *self._run([each.leaf for each in item.leaves], [], at, text=False)]
        differences = [each for each in item.leaves if each.delta_bits]
        if differences:
            lines += ["", "From the second sample on the wire:", ""]
            lines += [f"- {difference(each)}" for each in differences]
        return lines

    def _tlv(self, item: Tlv, when: list[str]) -> list[str]:
        key = f"key ({item.key_bytes} byte{'s' if item.key_bytes > 1 else ''})"
        shown = [*(["channel"] if item.channel else []), key, *(["length"] if item.length else []), "value"]
        less = f" less {item.tail_bytes} bytes that are not looked at" if item.tail_bytes else ""
        text = f"{heading(when)}Entries up to the end{less}, each: {', '.join(shown)}. {_UNKNOWN_KEYS[item.unknown]}"
        lines = ["", text]
        if item.sizes:
            sizes = ", ".join(f"0x{key:0{2 * item.key_bytes}x} ({size})" for key, size in item.sizes)
            lines += ["", f"Passed over, with their bytes: {sizes}."]
        columns = ("key", "#", "name", "byte", *COLUMNS[2:])
        rows = [row for entry in item.entries for row in self._entry(entry, item.key_bytes)]
        return [*lines, "", *table(columns, rows)]

    def _entry(self, entry: Entry, key_bytes: int) -> Iterator[tuple[str, ...]]:
        key = f"0x{entry.key:0{2 * key_bytes}x}"
        for at, condition, leaf, little in flat(entry.items):
            self.numbers += 1
            number, name, *rest = row(str(self.numbers), leaf, little=little)
            rest[-1] = condition + rest[-1]
            if entry.time and name_of(leaf) == entry.time:
                rest[-1] = "when the entry was measured: seconds since 1970, UTC"
            place = "" if at is None else f"{at // 8}" if at % 8 == 0 else f"{at // 8}, bit {7 - at % 8}"
            yield key, number, name, place, *rest
            key = ""

    def _worked(self) -> list[str]:
        f_port, payload, title = self._example()
        up = self.port.direction == "up"
        decoded = self.codec.decode(f_port, payload) if up else self.codec.decode_downlink(f_port, payload)
        if decoded.errors:
            return []
        rows = []
        for step in trace(self.message, payload)[:MAX_WORKED_STEPS]:
            value = "none" if step.is_data else ""
            if step.value is not None:
                value = msgspec.json.encode(step.value).decode()
            unit = decoded.units.get(step.name.split("[")[0].strip(), "") if step.value is not None else ""
            code = step.arithmetic if step.name == "key" else str(step.code)
            how = "" if step.name == "key" else step.arithmetic
            rows.append(
                (place(step.first_bit, step.bits), f"`{step.name.lstrip('_')}`", code, how, f"{value} {unit}".strip())
            )
        lines = ["", f"**Worked example** ({title}): `{payload.hex() or 'no bytes'}` on port {f_port}", ""]
        lines += table(("bits", "field", "code", "arithmetic", "value"), rows)
        lines += ["", "```json", _json(as_ts013(decoded)), "```"]
        return lines + ([""] + [f"- Warning: {warning}" for warning in decoded.warnings] if decoded.warnings else [])

    def _example(self) -> tuple[int, bytes, str]:
        layout = Layout(self.message)
        for example in self.device.examples:
            here = not self.port.f_ports or example.f_port in self.port.f_ports
            if example.direction == self.port.direction and here and self._selects(example.payload):
                return example.f_port, example.payload, example.title or "from the schema"
        return self.port.f_ports[0] if self.port.f_ports else 1, layout.payload(Plan()), "made from the schema"

    def _selects(self, payload: bytes) -> bool:
        selector, first = self.port.selector, self.message.items[0] if self.message.items else None
        if selector is None or not isinstance(first, Constant):
            return True
        bits = 8 * len(payload)
        return bits >= first.bits and int.from_bytes(payload, "big") >> (bits - first.bits) == first.code


def _json(data: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
