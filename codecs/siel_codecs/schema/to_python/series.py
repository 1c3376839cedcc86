"""The generated decoder of time series and of entries that name themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.below import names, static_bits
from siel_codecs.schema.model import CHANNEL, Entry, Number, Repeat, Reserved, Samples, SeriesLeaf, Tlv
from siel_codecs.schema.to_python.place import Place, Sink, shown_signed
from siel_codecs.schema.to_python.text import Code, filled, joined, with_channel
from siel_codecs.schema.to_python.values import store

if TYPE_CHECKING:
    from collections.abc import Callable

    from siel_codecs.schema.to_python.decode import MessageDecoder

OF_ONE = Sink("d", "said")
"""Where the values of one sample go."""


def elements(decoder: MessageDecoder, bits: int, count: int | str | None) -> tuple[str, bool]:
    """Add the code that finds elements of equal size; their end is in the variable ``e``.

    Returns:
        The arguments of the range of their places, and whether those are bytes.
    """
    number = decoder.count(count)
    in_bytes = decoder.at.aligned and bits % 8 == 0
    first, unit, end = (
        (decoder.at.byte(), bits // 8, decoder.end) if in_bytes else (decoder.at.bit(), bits, f"{decoder.end} * 8")
    )
    if number is None:
        decoder.out(f"e = {first} + ({end} - ({first})) // {unit} * {unit}")
    else:
        decoder.out(f"e = {first} + {number} * {unit}")
        if decoder.fixed is None:
            decoder.out.block(f"if {end} < e:", [decoder.short])
    return f"{first}, e, {unit}", in_bytes


def repeat(decoder: MessageDecoder, repeat: Repeat, sink: Sink) -> None:
    """Add the code of a list."""
    leaf = repeat.leaf
    places, in_bytes = elements(decoder, leaf.bits, repeat.count)
    if not leaf.name.startswith("_"):
        here, fixed = decoder.at, decoder.fixed
        name = with_channel(leaf.name)
        if isinstance(leaf, Number) and leaf.unit is not None and CHANNEL in leaf.name:
            decoder.out(f"units[{joined(name)}] = {leaf.unit.display!r}")
        decoder.out("values = []")
        decoder.at, decoder.fixed = Place("p" if in_bytes else "q", 0), None
        code = decoder.bits(leaf.bits)
        code = shown_signed(leaf, code) if isinstance(leaf, Number) else code
        element = [*name, "[", Code("str(len(values) - 1)"), "]"]
        body = decoder.out.capture(lambda: store(decoder.out, leaf, code, "values.append(", element, sink, close=")"))
        decoder.at, decoder.fixed = here, fixed
        before = "p" if in_bytes else "q"
        decoder.out.block(f"for {before} in range({places}):", body)
        decoder.out(f"{sink.data}[{joined(name)}] = values")
    behind(decoder, leaf.bits, repeat.count, in_bytes)


def behind(decoder: MessageDecoder, bits: int, count: int | str | None, in_bytes: bool) -> None:
    """Stand behind elements of equal size, after a loop that moved ``p`` or ``q``."""
    var = "p" if in_bytes else "q"
    if isinstance(count, int) and decoder.at.var != var:
        decoder.at = decoder.at.on(bits * count)
    else:
        decoder.out(f"{var} = e")
        decoder.at, decoder.have = Place(var, 0), ("", 0)


def samples(decoder: MessageDecoder, series: Samples, sink: Sink) -> None:
    """Add the code of a time series; its newest sample goes to ``sink``."""
    out = decoder.out
    if sink.data != "data":
        raise EmitError(decoder.codec, "python", "samples", "a series has no place in a sample")
    bits = sum(each.leaf.bits for each in series.leaves)
    out("series = []")
    if any(each.delta_bits for each in series.leaves):
        _with_deltas(decoder, series)
    else:
        places, in_bytes = elements(decoder, bits, series.count)
        here = decoder.at, decoder.have, decoder.fixed
        var = "p" if in_bytes else "q"
        # All of them are known to be there: nothing is checked in the loop.
        decoder.at, decoder.have, decoder.fixed = Place(var, 0), (var, bits), None
        checked, decoder.checked = decoder.checked, True

        def one() -> None:
            out("d, said = {}, []")
            decoder.run([each.leaf for each in series.leaves], OF_ONE)
            out("series.append((d, said))")

        body = out.capture(one)
        decoder.checked = checked
        decoder.at, decoder.have, decoder.fixed = here
        out.block(f"for {var} in range({places}):", body)
        behind(decoder, bits, series.count, in_bytes)
    step = _step(decoder, series)
    if series.base is not None:
        out(f"base = {decoder.code(series.base)} * 1000")
    if not series.newest_first:
        out("series.reverse()")
    taken = [
        "data.update(series[0][0])",
        "warnings += series[0][1]",
        f"older += [(d, w, i * {step} if {step} else None) for i, (d, w) in enumerate(series[1:], 1)]",
    ]
    out.block("if series:", taken)


def _step(decoder: MessageDecoder, series: Samples) -> str:
    if isinstance(series.step, int):
        return str(series.step)
    name = series.step.name
    number = decoder.numbers.get(name)
    if number is None:
        raise EmitError(decoder.codec, "python", name, "it is no number that stands before the series")
    code = decoder.code(name)
    ms = f"{code} * {series.step.ms_num} + {series.step.ms_add}"
    decoder.out(f"step = max({ms}, 0) if {number.code_min} <= {code} <= {number.code_max} else 0")
    return "step"


def _with_deltas(decoder: MessageDecoder, series: Samples) -> None:
    """Add the loop over samples that are told by their differences, bit by bit."""
    out = decoder.out
    out(f"q = {decoder.at.bit()}")
    decoder.at = Place("q", 0)
    count = decoder.count(series.count)
    least = sum(each.delta_bits or each.leaf.bits for each in series.leaves)
    first = sum(each.leaf.bits for each in series.leaves)
    left = f"{decoder.end} * 8 - q"
    head = f"while {left} >= ({least} if series else {first}):" if count is None else f"while len(series) < {count}:"

    def one() -> None:
        out("d, said = {}, []")
        for index, each in enumerate(series.leaves):
            _delta(decoder, each, f"k{index}")
        out("series.append((d, said))")

    out.within(head, one)
    decoder.at = Place("q", 0)


def _delta(decoder: MessageDecoder, each: SeriesLeaf, code: str) -> None:
    out, leaf, bits = decoder.out, each.leaf, each.delta_bits

    def whole() -> None:
        decoder.at = Place("q", 0)
        decoder.need(leaf.bits)
        text = decoder.bits(leaf.bits)
        out(f"{code} = {shown_signed(leaf, text) if isinstance(leaf, Number) else text}")
        out(f"q += {leaf.bits}")

    if bits:
        sign = 1 << bits - 1

        def difference() -> None:
            decoder.at = Place("q", 0)
            decoder.need(bits)
            out(f"v = (({decoder.bits(bits)}) ^ {sign:#x}) - {sign:#x}")
            out(f"q += {bits}")
            out.within(f"if v == {-sign}:", whole)
            out.block("else:", [f"{code} += v"])

        out.within("if series:", difference)
        out.within("else:", whole)
    else:
        whole()
    if not isinstance(leaf, Reserved) and not leaf.name.startswith("_"):
        decoder.value(leaf, code, OF_ONE, wide=bool(bits))


def tlv(decoder: MessageDecoder, found: Tlv, sink: Sink) -> None:
    """Add the code of entries up to the end."""
    out = decoder.out
    start = decoder.at.byte()
    if decoder.at.var == "q":
        start = f"({decoder.at.on(7).bit()}) >> 3"
    if start != "p":
        out(f"p = {start}")
    if found.tail_bytes:
        out(f"end = size - {found.tail_bytes}")
        out.block("if end < p:", [decoder.short])
        decoder.end = "end"
    before, decoder.checked = decoder.checked, False
    out.within(f"while p < {decoder.end}:", lambda: _entry(decoder, found, sink))
    decoder.checked = before
    out("p = size")
    decoder.end = "size"
    decoder.at, decoder.have = Place("p", 0), ("", 0)


def _entry(decoder: MessageDecoder, found: Tlv, sink: Sink) -> None:
    out = decoder.out
    head = found.key_bytes + found.channel
    decoder.at, decoder.have = Place("p", 0), ("", 0)
    decoder.need(head * 8)
    decoder.at = Place("p", 8 * found.channel)
    out(f"k = {decoder.bits(found.key_bytes * 8)}")
    decoder.at = Place("p", head * 8)
    known = decoder.assigned, decoder.numbers
    arms: list[tuple[tuple[int, ...], Callable[[], None]]] = [
        ((entry.key,), lambda entry=entry: _known(decoder, found, entry, sink))  # type: ignore[misc]
        for entry in found.entries
    ]
    decoder.fixed = None
    decoder.dispatch("k", arms, lambda: _unknown(decoder, found, sink), returns=False)
    decoder.assigned, decoder.numbers = known
    if decoder.at != Place("p", 0):
        out(f"p = {decoder.at.byte()}" if decoder.at.var != "q" else f"p = ({decoder.at.on(7).bit()}) >> 3")


def _known(decoder: MessageDecoder, found: Tlv, entry: Entry, sink: Sink) -> None:
    out = decoder.out
    if not found.length:
        _items(decoder, found, entry, sink)
        return
    bits = static_bits(entry.items)
    if bits is None:
        raise EmitError(decoder.codec, "python", f"key {entry.key:#x}", "a length before what has no fixed size")
    decoder.need(8)
    at = decoder.at
    length = decoder.bits(8)

    def held() -> None:
        decoder.at = at.on(8)
        _items(decoder, found, entry, sink)

    have = decoder.have
    body = out.capture(held)
    after, decoder.at, decoder.have = decoder.at, at, have
    other = out.capture(lambda: _unknown(decoder, found, sink))
    moved = [f"p = {after.byte()}"] if after != decoder.at else []
    out.block(f"if {length} == {bits // 8}:", body + moved)
    out.block("else:", other)
    decoder.at, decoder.have = Place("p", 0), ("", 0)


def _items(decoder: MessageDecoder, found: Tlv, entry: Entry, sink: Sink) -> None:
    out = decoder.out
    if any(CHANNEL in name for name in names(entry.items)):
        out("ch = str(payload[p])")
    del found
    if entry.time is None:
        decoder.items(entry.items, sink)
        return
    out("d, said = {}, []")
    decoder.items(entry.items, OF_ONE)
    out(f"timed.append((d, said, {decoder.code(entry.time)} * 1000))")


def _unknown(decoder: MessageDecoder, found: Tlv, sink: Sink) -> None:
    """Add what becomes of a key that is in no entry; ``p`` is then behind it, or the loop is left."""
    out, head = decoder.out, found.key_bytes + found.channel
    key = Code(f"format(k, '#0{2 + 2 * found.key_bytes}x')")

    def warn(template: str) -> None:
        out(f"{sink.warnings}.append({filled(template, key=key, at=Code('str(p)'))})")

    def stop() -> None:
        warn(words.UNKNOWN_KEY_STOP)
        out("break")

    def skip(length: str) -> None:
        end = f"p + {head + found.length} + {length}"
        out(f"e = {end}")
        out.block(f"if {decoder.end} < e:", [decoder.short])
        warn(words.UNKNOWN_KEY_SKIP)
        out("p = e")

    if found.unknown == "raw":
        warn(words.UNKNOWN_KEY_RAW)
        out(f"{sink.data}['raw'] = payload[p:{decoder.end}].hex()")
        out("break")
    elif found.unknown == "skip" and found.length:
        out.block(f"if {decoder.end} < p + {head + 1}:", [decoder.short])
        skip(f"payload[p + {head}]")
    elif found.unknown == "skip" and found.sizes:
        out(f"s = {out.constant('SIZES', dict(found.sizes))}.get(k)")
        out.within("if s is None:", stop)
        skip("s")
    else:
        stop()
    decoder.at, decoder.have = Place("p", 0), ("", 0)
