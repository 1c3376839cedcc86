"""One message to a JavaScript function that takes it apart: straight-line code, a loop only for lists and entries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from siel_codecs.schema import words
from siel_codecs.schema.below import static_bits
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
)
from siel_codecs.schema.to_javascript.cursor import SHORT, Place, plus
from siel_codecs.schema.to_javascript.lists import ListDecoder
from siel_codecs.schema.to_javascript.text import INT_BITS, literal, one_line, plain, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_codecs.schema.model import Device, Item, Message

_MOVING: Final = Word | Opaque | Switch | Repeat | Samples
"""What may go on from another value of the variable that tells the place."""


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


class _Decoder(ListDecoder):
    def __init__(self, device: Device, message: Message) -> None:
        super().__init__(device, message, _steering(message.items))
        self.has_series = has_series(message.items)

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

    def switch(self, item: Switch) -> None:
        size = static_bits((item,))
        start, known = self.place, self.known_end
        if start.base and any(isinstance(inner, _MOVING) for arm in item.arms for inner in arm.items):
            size = None  # it gives the variable that tells the place other values
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
            if not arm.items:
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
            shown = plain(item.control.removeprefix("_"))
            unknown = say(words.UNKNOWN_ARM, control=shown, code=code, known=plain(", ".join(map(str, codes))))
            empty = " && ".join(f"{code} !== {each}" for arm in item.arms if not arm.items for each in arm.codes)
            head = f"{word} ({empty}) {{" if empty else "} else {"
            self.script.add(head, f"  return siel_failed({unknown});", "}")
        elif word != "if":
            self.script.add("}")
        if size is None:
            self.place, self.known_end = after, None
        else:
            self.place, self.known_end = replace(start, offset=start.offset + size), known


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
