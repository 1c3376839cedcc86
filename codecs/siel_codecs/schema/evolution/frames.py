"""Frames that a device of one schema sends, chosen so that every code with a meaning of its own is in one of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from siel_codecs.schema import below, model, wire
from siel_codecs.schema.evolution.codes import pieces
from siel_codecs.schema.model import Choice, Control, Leaf, Message, Number, Opaque

_RANDOM_FRAMES: Final = 48
_MOST_CODES: Final = 300
"""Of one field: more than an enum of a byte has."""
_MOST_FRAMES: Final = 3000
_COUNTS: Final = (0, 1, 2, 3, 5)
_ELEMENTS: Final = 4
"""How many elements of a list have codes of their own."""


def frames(message: Message, hints: dict[str, list[int]], seed: int = 0) -> Iterator[bytes]:
    """Yield payloads of a message, each once; the same ones for the same arguments.

    Args:
        message: As the device means it.
        hints: Codes by field name that are worth a frame.
        seed: Of the random ones.
    """
    seen: set[bytes] = set()
    layout = wire.Layout(message)
    draw = random.Random(seed)  # noqa: S311 - frames that repeat, not secrets
    for plan in _plans(layout, hints, draw):
        payload = layout.payload(plan)
        if payload not in seen and len(payload) <= model.MAX_PAYLOAD_BYTES:
            seen.add(payload)
            yield payload
        if len(seen) >= _MOST_FRAMES:
            return


def boundaries(message: Message) -> dict[str, list[int]]:
    """Return by name the codes at which the meaning of a field changes, and those beside them."""
    found: dict[str, list[int]] = {}
    for leaf in below.leaves(message.items):
        if isinstance(leaf, Number | Choice):
            ends = [raw - piece.shift for piece in pieces(leaf) for raw in (piece.low, piece.high)]
            near = dict.fromkeys(code + beside for code in ends for beside in (0, -1, 1))
            found.setdefault(leaf.name, []).extend(near)
    return found


def _plans(layout: wire.Layout, hints: dict[str, list[int]], draw: random.Random) -> Iterator[wire.Plan]:
    yield wire.Plan()
    yield layout.fewest()
    for slot in layout.slots:
        if not isinstance(slot.leaf, Number | Choice | Opaque | Control):
            continue
        scope = (slot.scope, slot.leaf.name)
        steers = isinstance(slot.leaf, Control) or scope in layout.switches
        for code in _codes(layout, slot, hints, draw):
            plan = layout.reach(slot)
            if plan is None:
                break
            if steers:
                plan.controls.setdefault(scope, code)
            else:
                plan.codes[slot.path] = code
            yield plan
    for path in layout.lists:
        for count in _COUNTS:
            yield wire.Plan(counts={path: count})
    for _ in range(_RANDOM_FRAMES):
        yield _random_plan(layout, hints, draw)


def _random_plan(layout: wire.Layout, hints: dict[str, list[int]], draw: random.Random) -> wire.Plan:
    plan = wire.Plan()
    for slot in layout.slots:
        if isinstance(slot.leaf, Control) or (slot.scope, getattr(slot.leaf, "name", "")) in layout.switches:
            assert isinstance(slot.leaf, Control | Choice)  # noqa: S101 - nothing else steers
            codes = _codes(layout, slot, hints, draw)
            plan.controls[slot.scope, slot.leaf.name] = draw.choice(codes) if codes else 0
        elif isinstance(slot.leaf, Number | Choice | Opaque):
            plan.codes[slot.path] = _random_code(slot.leaf, draw)
            if slot.within == "list":
                for n in range(1, _ELEMENTS):
                    plan.codes[*slot.path[:-1], n] = _random_code(slot.leaf, draw)
            elif slot.within == "series":
                for n in range(1, _ELEMENTS):
                    plan.codes[*slot.path[:-2], n, slot.path[-1]] = _random_code(slot.leaf, draw)
    for path in layout.lists:
        plan.counts[path] = draw.randrange(_ELEMENTS)
    for path, tlv in layout.tlvs.items():
        entries = draw.sample(range(len(tlv.entries)), min(len(tlv.entries), draw.randrange(1, 5)))
        plan.entries[path] = [(index, draw.randrange(256) if tlv.channel else 0) for index in entries]
    return plan


def _random_code(leaf: Number | Choice | Opaque, draw: random.Random) -> int:
    piece = draw.choice(list(pieces(leaf)))
    return draw.randint(piece.low, piece.high) - piece.shift


def _codes(layout: wire.Layout, slot: wire.Slot, hints: dict[str, list[int]], draw: random.Random) -> list[int]:
    """Return codes that a device sends in a field: the ends of each meaning, what is hinted at, some others."""
    leaf: Leaf = slot.leaf
    if isinstance(leaf, Control):
        return _control_codes(layout, (slot.scope, leaf.name), leaf, draw)
    assert isinstance(leaf, Number | Choice | Opaque)  # noqa: S101 - the others carry no codes of their own
    found: list[int] = []
    sound = list(pieces(leaf))
    for piece in sound:
        middle = (piece.low + piece.high) // 2
        found += [raw - piece.shift for raw in (piece.low, piece.high, middle, min(piece.low + 1, piece.high))]
    modulus = 1 << leaf.bits
    for hint in hints.get(leaf.name, []):
        found += [
            code
            for code in (hint, hint - modulus, hint + modulus)
            if any(piece.low <= code + piece.shift <= piece.high for piece in sound)
        ]
    if isinstance(leaf, Number):
        found += [_random_code(leaf, draw) for _ in range(2)]
    return list(dict.fromkeys(found))[:_MOST_CODES]


def _control_codes(layout: wire.Layout, scope: wire.Scope, leaf: Control, draw: random.Random) -> list[int]:
    mask = (1 << leaf.bits) - 1
    if scope in layout.switches:
        switches = layout.switches[scope]
        codes = layout.arm_codes(scope)
        if all(switch.otherwise == "ignore" for switch in switches):
            codes += [code for code in (0, 1, 2, mask, draw.randint(0, mask)) if code not in codes]
        for switch in switches:
            if switch.otherwise == "error":
                listed = {code for arm in switch.arms for code in arm.codes}
                codes = [code for code in codes if code in listed]
        return [code for code in codes if code <= mask][:_MOST_CODES]
    if scope in layout.counts:
        return [count for count in _COUNTS if count <= mask]
    return list(dict.fromkeys([wire.ORDINARY_SECONDS & mask, 0, draw.randint(0, mask)]))
