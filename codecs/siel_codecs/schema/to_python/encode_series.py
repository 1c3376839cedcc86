"""The generated encoder of time series and of entries that name themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siel_codecs.schema.below import names, static_bits
from siel_codecs.schema.model import CHANNEL, MAX_PAYLOAD_BYTES, MAX_SAMPLES, Entry, Number, Reserved, Samples, Tlv
from siel_codecs.schema.to_python.text import Code

if TYPE_CHECKING:
    from siel_codecs.schema.to_python.encode import MessageEncoder


def samples(encoder: MessageEncoder, series: Samples) -> None:
    """Add a time series."""
    bits = sum(each.delta_bits or each.leaf.bits for each in series.leaves)
    most = min(MAX_PAYLOAD_BYTES * 8 // bits, MAX_SAMPLES)
    out = encoder.out
    out(f"found = {encoder.series(series, str(most), encoder.exactly(series.count))}")
    out('by_list = data.get("samples") is not None')
    # Errors name the newest sample first, whatever the order on the wire.
    out("rows = []")
    out.within("for i, sample in enumerate(found):", lambda: _row(encoder, series))
    body = out.capture(lambda: _wire(encoder, series))
    if any(each.delta_bits for each in series.leaves):
        out("before = None")
        body.append("before = row")
    out.block(f"for row in {'rows' if series.newest_first else 'reversed(rows)'}:", body)


def _row(encoder: MessageEncoder, samples: Samples) -> None:
    """Add what finds the codes of one sample."""
    values, prefix = encoder.values, encoder.prefix
    encoder.values, encoder.prefix = "sample", [Code("of")]
    encoder.out('of = "samples[" + str(i) + "]." if by_list else ""')
    codes = []
    for index, each in enumerate(samples.leaves):
        if isinstance(each.leaf, Reserved):
            codes.append("0")
        else:
            encoder.out(f"r{index} = {encoder.code(each.leaf, ())}")
            codes.append(f"r{index}")
    encoder.out(f"rows.append(({', '.join(codes)},))")
    encoder.values, encoder.prefix = values, prefix


def _wire(encoder: MessageEncoder, samples: Samples) -> None:
    """Add what puts the codes of one sample into the number."""
    out = encoder.out
    for index, each in enumerate(samples.leaves):
        leaf, bits = each.leaf, each.delta_bits
        mask = (1 << leaf.bits) - 1
        whole = f"n = n << {leaf.bits} | row[{index}] & {mask:#x}"
        if not bits:
            out(whole)
            continue
        escape = f"n = n << {bits} | {1 << bits - 1}"
        if not isinstance(leaf, Number):
            out.block("if before is not None:", [escape])
            out(whole)
            continue
        low, high = leaf.code_min, leaf.code_max
        fits = f"{low} <= before[{index}] <= {high} and {low} <= row[{index}] <= {high}"
        out.block("if before is None:", [whole])
        difference = f"row[{index}] - before[{index}]"
        out.block(
            f"elif {fits} and abs({difference}) < {1 << bits - 1}:",
            [f"n = n << {bits} | {difference} & {(1 << bits) - 1:#x}"],
        )
        out.block("else:", [escape, whole])


def tlv(encoder: MessageEncoder, found: Tlv) -> None:
    """Add the entries that hold what is given, then those of the samples."""
    out = encoder.out
    out("sent = set()")
    for entry in found.entries:
        if entry.time is None:
            own = tuple(names(entry.items))
            body = out.capture(lambda entry=entry: _entry(encoder, found, entry))  # type: ignore[misc]
            held = out.capture(lambda body=body: out.block("if values is not None:", body))  # type: ignore[misc]
            start = f"values = of_channel({own!r}, data, channel, sent)"
            if any(CHANNEL in name for name in own):
                out.block(f"for channel in channels_in({own!r}, data):", [start, *held])
            else:
                out.lines += ["channel = 0", start, *held]
    timed = [entry for entry in found.entries if entry.time is not None]
    if timed:
        _timed(encoder, found, timed)
    if found.tail_bytes:
        encoder.put(8 * found.tail_bytes, "0")


def _timed(encoder: MessageEncoder, tlv: Tlv, timed: list[Entry]) -> None:
    """Add the entries of the samples that have a time of their own."""
    out = encoder.out
    entries = tuple(tuple(names(entry.items)) for entry in timed)
    found = f'sample_entry(CODEC, data.get("samples"), {encoder.names_constant}, {entries!r})'
    prefix, encoder.prefix = encoder.prefix, [Code("of")]
    loop: list[str] = []
    for index, entry in enumerate(timed):
        body = out.capture(lambda entry=entry: _entry(encoder, tlv, entry))  # type: ignore[misc]
        loop += [f"if entry == {index}:", *(f"    {line}" for line in body)]
    encoder.prefix = prefix
    out.block(f"for entry, channel, values, of in {found}:", loop)


def _entry(encoder: MessageEncoder, tlv: Tlv, entry: Entry) -> None:
    """Add one entry, whose values are in ``values``."""
    outer, encoder.values = encoder.values, "values"
    encoder.out("ch = str(channel)")
    if encoder.switches:
        encoder.out(f"given = templates(values, {encoder.names_constant})")
    if tlv.channel:
        encoder.put(8, "channel")
    encoder.put(8 * tlv.key_bytes, str(entry.key))
    if tlv.length:
        encoder.put(8, str((static_bits(entry.items) or 0) // 8))
    encoder.clock = entry.time
    encoder.items(entry.items)
    encoder.clock = None
    encoder.values = outer
