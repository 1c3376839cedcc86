"""The generated MicroPython encoder: straight-line integer code into the caller's buffer, nothing allocated.

Small integers have 31 bits on the 32-bit ports; whatever lies outside is allocated. So every field has at most 30 bits,
no two fields meet in one variable, and an input is clamped before it is scaled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from siel_codecs.errors import EmitError

if TYPE_CHECKING:
    from siel_codecs.schema.model import Device, Frame, Number

TARGET: Final = "micropython"
SMALL_INT_BITS: Final = 30
"""Magnitude of the largest integer that is never allocated. Source: MicroPython, py/smallint.h, 32-bit words."""


def module_name(device: Device) -> str:
    """Return the name of the module below ``siel_node/codec/``: ``siel_climate`` for ``siel/climate``."""
    return device.name.replace("/", "_").replace("-", "_")


def emit_encoder(device: Device) -> str:
    """Return the source of the node's encoder.

    Raises:
        EmitError: The schema says something that this target cannot express.
    """
    if len(device.frames) != 1:
        raise EmitError(device.name, TARGET, "frame", "one module encodes one frame")
    frame = device.frames[0]
    for field in frame.fields:
        _check(device, field)
    arguments = [f"{field.node.name}: {_type(field)}" for field in frame.fields]
    lines = [
        f"# Made by `siel codec generate {device.name} --target {TARGET}`: change the schema instead.",
        "# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.",
        f"F_PORT = {frame.f_port}",
        f"SIZE = {frame.size}",
        "",
        "",
        *_signature(arguments),
    ]
    body = [line for field in frame.fields for line in _prepare(field)]
    body += [f"buf[{index}] = {byte}" for index, byte in enumerate(_bytes(frame))]
    body.append(f"return {frame.size}")
    return "\n".join([*lines, *(f"    {line}" for line in body)]) + "\n"


def _check(device: Device, field: Number) -> None:
    if field.bits > SMALL_INT_BITS:
        raise EmitError(device.name, TARGET, field.name, f"{field.bits} bits; a small integer holds {SMALL_INT_BITS}")
    if field.node.num != 1:
        raise EmitError(device.name, TARGET, field.name, "a step of the code must be a whole number of node units")
    for code in (field.code_min, field.code_max):
        if abs(code + field.offset) * field.node.den + field.node.den >> SMALL_INT_BITS:
            raise EmitError(device.name, TARGET, field.name, f"code {code} needs more than {SMALL_INT_BITS} bits")


def _type(field: Number) -> str:
    return "int" if field.not_available is None else "int | None"


def _signature(arguments: list[str]) -> list[str]:
    one_line = f"def encode(buf: bytearray, {', '.join(arguments)}) -> int:"
    if len(one_line) <= 120:  # noqa: PLR2004 - the line length of this project
        return [one_line]
    return ["def encode(", "    buf: bytearray,", *(f"    {each}," for each in arguments), ") -> int:"]


def _prepare(field: Number) -> list[str]:
    # From the node's integer to the bits on the wire, in the argument's own variable
    name, per_step = field.node.name, field.node.den
    low, high = ((code + field.offset) * per_step for code in (field.code_min, field.code_max))
    lines = [f"# {field.title}: {_range(field)}, {field.bits} bits"]
    first = "if"
    if field.not_available is not None:
        lines += [f"if {name} is None:", f"    {name} = {field.not_available & field.mask}"]
        first = "elif"
    lines += [
        f"{first} {name} < {low}:",
        f"    {name} = {field.code_min & field.mask}",
        f"elif {name} > {high}:",
        f"    {name} = {field.code_max & field.mask}",
    ]
    if per_step == 1:
        steps = [name]
    elif low >= 0:
        steps = [f"({name} + {per_step // 2}) // {per_step}"]
    else:
        # Half away from zero on both sides of it
        steps = [f"({name} + {per_step // 2}) // {per_step}", f"-(({per_step // 2} - {name}) // {per_step})"]
    sign = "-" if field.offset > 0 else "+"
    codes = [step if field.offset == 0 else f"{step} {sign} {abs(field.offset)}" for step in steps]
    if codes == [name]:
        return [*lines, "else:", f"    {name} &= {field.mask}"] if field.code_min < 0 else lines
    if field.code_min < 0:
        codes = [f"{code} & {field.mask}" for code in codes]
    if len(codes) == 1:
        return [*lines, "else:", f"    {name} = {codes[0]}"]
    return [*lines, f"elif {name} >= 0:", f"    {name} = {codes[0]}", "else:", f"    {name} = {codes[1]}"]


def _range(field: Number) -> str:
    low, high = (field.value(code) for code in (field.code_min, field.code_max))
    return f"{low:g} to {high:g} {field.unit.display}"


def _bytes(frame: Frame) -> list[str]:
    # Per byte of the payload the parts of the fields that fall into it
    total = frame.size * 8
    spans = [(str(frame.version), frame.version_bits, total - frame.version_bits, True)]
    spans += [
        (field.node.name, field.bits, shift, False) for field, shift in zip(frame.fields, frame.shifts(), strict=True)
    ]
    result = []
    for index in range(frame.size):
        right = total - 8 * (index + 1)
        parts = [part for span in spans if (part := _part(span, right))]
        result.append(" | ".join(parts) or "0")
    return result


def _part(span: tuple[str, int, int, bool], right: int) -> str:
    name, bits, shift, constant = span
    low, high = max(shift, right), min(shift + bits, right + 8)
    if low >= high:
        return ""
    down, width, up = low - shift, high - low, low - right
    if constant:
        part = int(name) >> down & (1 << width) - 1
        return str(part << up) if part else ""
    # Shifts bind closer than &, & closer than |
    text = f"{name} >> {down}" if down else name
    if high < shift + bits:
        text = f"{text} & {(1 << width) - 1}"
    if up:
        text = f"{text} << {up}" if text == name else f"({text}) << {up}"
    return text
