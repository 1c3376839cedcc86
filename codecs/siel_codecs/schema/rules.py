"""Payloads that the rules force, of all that a device, a fault or a stranger may send.

For every message: an ordinary frame and one with as little in it as possible; each number at its lowest and highest
value and at the first negative one; each code that says why there is no value, and codes without a meaning; each
meaning of an enum; each arm of a union with the others present and absent; lists and series with none, one and most
elements, with differences, the escape and a difference that leads nowhere; each entry of a Tlv, unknown and cut ones;
bits that are not looked at; too short, too long and empty. For every direction a port, a version and a message that
do not exist.

The bytes come from the model alone; what they mean is for others to say.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from siel_codecs.schema.model import (
    MAX_PAYLOAD_BYTES,
    MAX_SAMPLES,
    Choice,
    Constant,
    Control,
    Number,
    Opaque,
    Reserved,
    Samples,
)
from siel_codecs.schema.wire import CHANNEL_NUMBER, Layout, Plan, Slot, unused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.schema.model import Device, Message, Port, SeriesLeaf, Special, Tlv
    from siel_codecs.schema.wire import Path

MAX_F_PORT: Final = 223
"""The last application port. Source: TS001-1.0.4, 4.3.2."""


_DIRECTIONS: Final[tuple[Literal["up", "down"], ...]] = ("up", "down")


class Frame(NamedTuple):
    """One payload and what is special about it."""

    title: str
    direction: Literal["up", "down"]
    f_port: int
    payload: bytes


def frames(device: Device) -> Iterator[Frame]:
    """Yield the schema's examples and then what the rules force; some may be equal."""
    for number, example in enumerate(device.examples, 1):
        yield Frame(example.title or f"example {number}", example.direction, example.f_port, example.payload)
    for port in device.ports:
        f_port = port.f_ports[0] if port.f_ports else 1
        yield from (Frame(f"port {f_port}, {title}", port.direction, f_port, payload) for title, payload in _port(port))
        for other in port.f_ports[1:]:
            yield Frame(f"port {other}, ordinary", port.direction, other, Layout(port.messages[0]).payload(Plan()))
    for direction in _DIRECTIONS:
        ports = [port for port in device.ports if port.direction == direction]
        known = {f_port for port in ports for f_port in port.f_ports}
        if ports and all(port.f_ports for port in ports) and len(known) < MAX_F_PORT:
            f_port = next(each for each in range(1, MAX_F_PORT + 1) if each not in known)
            yield Frame(f"port {f_port}, unknown", direction, f_port, Layout(ports[0].messages[0]).payload(Plan()))


def _port(port: Port) -> Iterator[tuple[str, bytes]]:
    for message in port.messages:
        prefix = f"{message.name or message.title}: " if len(port.messages) > 1 or message.name else ""
        yield from ((prefix + title, payload) for title, payload in _payloads(message))
        first = message.items[0] if message.items else None
        if isinstance(first, Constant) and port.selector is None:
            yield f"{prefix}{first.title} wrong", Layout(message).payload(Plan(codes={(0,): first.code ^ 1}))
    yield from _unknown(port)


def _unknown(port: Port) -> Iterator[tuple[str, bytes]]:
    selector = port.selector
    if selector is None:
        return
    known = {message.items[0].code for message in port.messages if isinstance(message.items[0], Constant)}
    for code in range(min(1 << selector.bits, len(known) + 1)):
        if code not in known:
            what = "version" if port.messages[0].version is not None else selector.title
            yield f"unknown {what} {code}", Layout(port.messages[0]).payload(Plan(codes={(0,): code}))


def _payloads(message: Message) -> Iterator[tuple[str, bytes]]:
    layout = Layout(message)
    ordinary, least = layout.payload(Plan()), layout.payload(layout.fewest())
    yield "ordinary", ordinary
    yield "as little as there can be", least
    for slot in layout.slots:
        plan = layout.reach(slot)
        if plan is not None:
            yield from _of_slot(layout, slot, plan)
    yield from _groups(layout)
    for path, item in layout.lists.items():
        slot = layout.first_of_list[path]
        plan = layout.reach(slot)
        if plan is not None:
            yield from _of_list(layout, path, plan)
            if isinstance(item, Samples):
                for place, each in enumerate(item.leaves):
                    if each.delta_bits:
                        yield from _of_differences(layout, (*path, 1, place), each, plan)
    for path, tlv in layout.tlvs.items():
        yield from _of_tlv(layout, path, tlv)
    yield "bits that are not looked at are set", _with_padding_set(layout, ordinary)
    yield "empty", b""
    for what, payload in (("ordinary", ordinary), ("least", least)):
        if payload:
            yield f"{what}, one byte short", payload[:-1]
        yield f"{what}, one byte long", payload + b"\x00"
    yield "ordinary, long by far", ordinary + bytes(max(MAX_PAYLOAD_BYTES - len(ordinary), 2))


def _of_slot(layout: Layout, slot: Slot, plan: Plan) -> Iterator[tuple[str, bytes]]:
    leaf = slot.leaf
    scope = (slot.scope, leaf.name) if isinstance(leaf, Control | Choice) else None
    if isinstance(leaf, Control) and (scope in layout.counts and scope not in layout.switches):
        return
    for what, code in _codes(layout, slot):
        chosen = copy.deepcopy(plan)
        if isinstance(leaf, Control) or scope in layout.switches:
            assert scope is not None  # noqa: S101 - for the type checker; both kinds have a scope
            chosen.controls[scope] = code
        else:
            chosen.codes[slot.path] = code
        yield what, layout.payload(chosen)


def _codes(layout: Layout, slot: Slot) -> Iterator[tuple[str, int]]:
    """Yield what is said and the code that says it, for all that the rules ask of one leaf."""
    leaf = slot.leaf
    if isinstance(leaf, Number):
        yield f"{leaf.name} lowest", leaf.code_min
        yield f"{leaf.name} highest", leaf.code_max
        if leaf.code_min < 0:
            yield f"{leaf.name} smallest negative code", min(-1, leaf.code_max)
        below_zero = -(leaf.add // leaf.num) - 1
        if leaf.code_min <= below_zero <= leaf.code_max:
            yield f"{leaf.name} just below zero", below_zero
        yield from _special_codes(leaf.name, leaf.specials)
        yield from ((f"{leaf.name} outside its range, code {code}", code) for code in unused(leaf))
    elif isinstance(leaf, Choice):
        yield from ((f"{leaf.name} {word(value)}", code) for code, value in leaf.meanings)
        yield from _special_codes(leaf.name, leaf.specials)
        yield from ((f"{leaf.name} unknown code {code}", code) for code in unused(leaf))
    elif isinstance(leaf, Opaque):
        yield f"{leaf.name} all zero", 0
        yield f"{leaf.name} all ones", (1 << leaf.bits) - 1
    elif isinstance(leaf, Constant):
        if slot.path != (0,):
            yield f"{leaf.title} wrong", leaf.code ^ 1
    elif isinstance(leaf, Reserved):
        yield "reserved bits set", (1 << leaf.bits) - 1
    else:
        yield from _control_codes(layout, slot, leaf)


def _control_codes(layout: Layout, slot: Slot, leaf: Control) -> Iterator[tuple[str, int]]:
    name, scope = leaf.name.lstrip("_"), (slot.scope, leaf.name)
    known = layout.arm_codes(scope)
    if scope in layout.times or not known:
        yield f"{name} earliest", 0
        yield f"{name} latest", (1 << leaf.bits) - 1
        return
    yield from ((f"{name} {code}", code) for code in known)
    for switch in layout.switches[scope]:
        codes = {code for arm in switch.arms for code in arm.codes}
        free = [code for code in range(min(1 << leaf.bits, len(codes) + 1)) if code not in codes]
        yield from ((f"{name} {code}", code) for code in free[:1])


def _special_codes(name: str, specials: tuple[Special, ...]) -> Iterator[tuple[str, int]]:
    for special in specials:
        for code in dict.fromkeys((special.first, special.last)):
            yield f"{name} {special.absent.value}, code {code}", code


def _groups(layout: Layout) -> Iterator[tuple[str, bytes]]:
    """Yield each group alone; that each is left out alone is what the codes of its control say."""
    for (scope, name), switches in layout.switches.items():
        if scope:
            continue  # in an entry: it is alone with it already
        for arm in switches[0].arms:
            plan = layout.fewest()
            plan.controls[scope, name] = arm.codes[0]
            yield f"only {name.lstrip('_')} {arm.codes[0]}", layout.payload(plan)


def _of_list(layout: Layout, path: Path, plan: Plan) -> Iterator[tuple[str, bytes]]:
    item = layout.lists[path]
    if isinstance(item.count, int):
        return
    what = "samples" if isinstance(item, Samples) else item.leaf.name
    scope = layout.first_of_list[path].scope

    def payload(count: int) -> bytes:
        chosen = copy.deepcopy(plan)
        if isinstance(item.count, str):
            chosen.controls[scope, item.count] = count
        else:
            chosen.counts[path] = count
        return layout.payload(chosen)

    highest = MAX_SAMPLES
    if isinstance(item.count, str):
        highest = min(highest, (1 << layout.leaf_of[scope, item.count].bits) - 1)
    while highest > 1 and len(payload(highest)) > MAX_PAYLOAD_BYTES:
        highest -= 1
    for count in dict.fromkeys((0, 1, min(3, highest), highest)):
        yield f"{what}: {count} elements", payload(count)
    yield f"{what}: {highest} elements, cut in the middle", payload(highest)[:-1]
    if isinstance(item.count, str):
        yield f"{what}: more elements announced than are there", _announced(layout, scope, item.count, plan)


def _announced(layout: Layout, scope: Path, control: str, plan: Plan) -> bytes:
    """Return a payload with the largest count and nothing behind what an ordinary one has."""
    ordinary = layout.payload(plan)
    chosen = copy.deepcopy(plan)
    chosen.controls[scope, control] = (1 << layout.leaf_of[scope, control].bits) - 1
    return layout.payload(chosen)[: len(ordinary)]


def _of_differences(layout: Layout, path: Path, each: SeriesLeaf, plan: Plan) -> Iterator[tuple[str, bytes]]:
    """Yield what a second sample may say: the largest steps, the escape, a step out of the leaf and one from no value.

    ``path`` is the leaf in the second sample on the wire.
    """
    leaf, largest = each.leaf, (1 << each.delta_bits - 1) - 1
    before = (*path[:-2], 0, path[-1])
    if not isinstance(leaf, Number):
        return
    cases: list[tuple[str, int, int | None]] = [
        ("largest step up", leaf.code_min, largest),
        ("largest step down", leaf.code_max, -largest),
        ("a step beyond its bits", leaf.highest, largest),
        ("a step below its bits", leaf.lowest, -largest),
        ("escape", leaf.code_min, None),
    ]
    cases += [(f"a step from {special.absent.value}", special.first, 1) for special in leaf.specials]
    for what, first, step in cases:
        chosen = copy.deepcopy(plan)
        chosen.codes[before] = first
        if step is not None:
            chosen.differences[path] = step
        elif leaf.code_max - leaf.code_min > largest:
            chosen.codes[path] = leaf.code_max
        else:
            chosen.escapes.add(path)
        yield f"{leaf.name}: {what}", layout.payload(chosen)


def _of_tlv(layout: Layout, path: Path, tlv: Tlv) -> Iterator[tuple[str, bytes]]:
    keys = {entry.key for entry in tlv.entries}
    sized = {key for key, _ in tlv.sizes}
    free = next((key for key in range(1 << 8 * tlv.key_bytes) if key not in keys | sized), None)
    channel = bytes([CHANNEL_NUMBER]) * tlv.channel

    def payload(entries: list[tuple[int, int]], after: bytes = b"") -> bytes:
        return layout.payload(Plan(entries={path: entries}, after={path: after}))

    none = payload([])
    for index, entry in enumerate(tlv.entries):
        one = payload([(index, CHANNEL_NUMBER)])
        title = f"entry 0x{entry.key:0{2 * tlv.key_bytes}x}"
        yield f"{title} alone", one
        yield f"{title} cut", one[:-1]
        yield f"{title} twice", payload([(index, CHANNEL_NUMBER)] * 2)
        if tlv.channel:
            yield f"{title} of channels 0, 3 and 255", payload([(index, 0), (index, 3), (index, 255)])
        if tlv.length:
            at = len(none) - tlv.tail_bytes + len(channel) + tlv.key_bytes
            wrong = bytearray(one)
            wrong[at] ^= 1
            yield f"{title} with another length", bytes(wrong)
    first = [(0, CHANNEL_NUMBER)]
    unknown = [(f"key 0x{free:x} unknown", free, b"\x01\x02")] if free is not None else []
    unknown += [(f"key 0x{key:x} passed over", key, bytes(size)) for key, size in tlv.sizes]
    for title, key, body in unknown:
        head = channel + key.to_bytes(tlv.key_bytes, "big") + (bytes([len(body)]) if tlv.length else b"")
        known = payload(first)[len(none) - tlv.tail_bytes :][: len(payload(first)) - len(none)]
        yield f"{title}, alone", payload([], head + body)
        yield f"{title}, after a known one", payload(first, head + body)
        yield f"{title}, before a known one", payload([], head + body + known)
        yield f"{title}, cut", payload([], head + body[:-1])
    yield "a key and no more", payload([], channel + tlv.entries[0].key.to_bytes(tlv.key_bytes, "big"))
    yield "half a key", payload(first, b"\x01" * (len(channel) + tlv.key_bytes - 1))


def _with_padding_set(layout: Layout, payload: bytes) -> bytes:
    spare = -layout.bits(Plan()) % 8
    return payload[:-1] + bytes([payload[-1] | (1 << spare) - 1]) if payload else payload


def word(value: str | bool) -> str:
    """Return a meaning for a title."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value
