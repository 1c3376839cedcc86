"""The generated Python decoder: one function without a loop, integer operations, one division per value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siel_codecs.schema.model import Absent

if TYPE_CHECKING:
    from siel_codecs.schema.model import Device, Frame, Number

HEAD = "def decode(f_port, payload, recv_ms=None):"
"""The names that the source needs beside builtins: Decoded, Sample and failed, from ``siel_codecs.codec``."""


def emit_decoder(device: Device) -> str:
    """Return the source of ``decode(f_port, payload, recv_ms) -> Decoded``."""
    lines = [f"# {device.name}, made from its schema", "from_bytes = int.from_bytes"]
    for frame in device.frames:
        units = {field.name: field.unit.display for field in frame.fields}
        lines.append(f"UNITS_{frame.f_port} = {units!r}")
    lines += ["", "", HEAD]
    for frame in device.frames:
        lines += [f"    if f_port == {frame.f_port}:", *(f"        {line}" for line in _frame(frame))]
    ports = ", ".join(str(frame.f_port) for frame in device.frames)
    lines.append(f'    return failed(f"port {{f_port}} is not one of this device (known: {ports})")')
    return "\n".join(lines) + "\n"


def _frame(frame: Frame) -> list[str]:
    size = frame.size
    version_shift = size * 8 - frame.version_bits
    lines = [
        f"if len(payload) != {size}:",
        f'    how = "too short" if len(payload) < {size} else "too long"',
        f'    return failed(f"payload {{how}}: {{len(payload)}} bytes, port {frame.f_port} has {size}")',
        'n = from_bytes(payload, "big")',
        f"if n >> {version_shift} != {frame.version}:",
        f'    return failed(f"payload version {{n >> {version_shift}}} is not known here (known: {frame.version})")',
        "data = {}",
        "warnings = []",
    ]
    for field, shift in zip(frame.fields, frame.shifts(), strict=True):
        lines += _number(field, shift)
    lines.append(f"return Decoded(data, UNITS_{frame.f_port}, warnings, [], [Sample(data, recv_ms)])")
    return lines


def _number(field: Number, shift: int) -> list[str]:
    code = f"n >> {shift} & {field.mask:#x}" if shift else f"n & {field.mask:#x}"
    if field.signed:
        sign = 1 << field.bits - 1
        code = f"(({code}) ^ {sign:#x}) - {sign:#x}"
    store = f"data[{field.name!r}] = {_value(field)}"
    if field.every_code_is_a_value:
        return [f"v = {code}", store]
    outside = repr(f"{field.name}: {Absent.OUT_OF_RANGE.value}")
    if field.not_available is not None:
        missing = repr(f"{field.name}: {Absent.NOT_AVAILABLE.value}")
        outside = f"{missing} if v == {field.not_available} else {outside}"
    return [
        f"v = {code}",
        f"if {field.code_min} <= v <= {field.code_max}:",
        f"    {store}",
        "else:",
        f"    warnings.append({outside})",
    ]


def _value(field: Number) -> str:
    steps = "v" if field.offset == 0 else f"(v {'+' if field.offset > 0 else '-'} {abs(field.offset)})"
    if field.num != 1:
        steps = f"{steps} * {field.num}"
    return steps if field.den == 1 else f"{steps} / {field.den}"
