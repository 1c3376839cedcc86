"""Which frames of an old schema a new one still reads: the reasons, and that decoding shows the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from siel_codecs import registry
from siel_codecs.codec import Decoded, Sample, failed
from siel_codecs.schema import model
from siel_codecs.schema.evolution import Check, compare, judge
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import (
    Absent,
    Arm,
    Choice,
    Constant,
    Control,
    Device,
    Entry,
    Item,
    Message,
    Number,
    Opaque,
    Port,
    Repeat,
    Reserved,
    Samples,
    SeriesLeaf,
    Special,
    Switch,
    Tlv,
    Unit,
    Word,
)

VOLT = Unit("V", "V", 1, 1, "V")
KELVIN = Unit("K", "K", 1, 1, "K")

STATE = '{ name = "state", type = "u3", enum = { 0 = "dry", 1 = "wet", 2 = "flood" } }'
BASE = f"""
title = "Gauge"
[[uplink]]
f_port = 12
version = {{ bits = 3, value = 1 }}
field = [
  {{ name = "level", type = "s13", scale = 0.1, unit = "m", max = 300, not_available = -4096, fault = -4095 }},
  {{ reserved = 4 }},
  {STATE},
  {{ name = "open", type = "bool" }},
  {{ name = "battery", type = "u16le", scale = 0.001, unit = "V", max = 5 }},
]
"""


def load(text: str) -> Device:
    return load_text(text, "test/gauge")


def against(old: str, new: str, text: str = BASE) -> tuple[Check, Check]:
    """Compare BASE with BASE after one change; return its only message in both directions."""
    assert old in text
    found = compare(load(text), load(text.replace(old, new)))
    assert found.proven
    return found.kept[0], found.newer[0]


def kinds(check: Check) -> set[tuple[str, str]]:
    return {(each.field, each.kind) for each in check.breaks}


def test_a_schema_reads_its_own_frames() -> None:
    found = compare(load(BASE), load(BASE))
    assert (found.decodes, found.safe, found.proven) == (True, True, True)
    assert found.kept[0].frames > 30
    assert (found.kept[0].breaks, found.kept[0].witness, found.kept[0].advice) == ((), None, "")


def test_every_codec_reads_its_own_frames() -> None:
    known = registry.Registry()
    devices = {known.device(name).ports: known.device(name) for name in known.names()}  # each once of all its names
    assert len(devices) > 20
    for device in devices.values():
        found = compare(device, device)
        assert (device.name, found.decodes, found.safe, found.proven) == (device.name, True, True, True)


@pytest.mark.parametrize(
    ("old", "new", "field", "kind"),
    [
        ("scale = 0.1", "scale = 0.2", "level", "scale"),
        ("max = 300", "max = 250", "level", "range"),
        ('unit = "m"', 'unit = "cm"', "level", "unit"),
        ('"s13", scale = 0.1', '"s13", scale = 0.1, offset = 1', "level", "offset"),
        ("fault = -4095", "over_range = -4095", "level", "special codes"),
        ("not_available = -4096, fault = -4095", "not_available = -4095, fault = -4096", "level", "special codes"),
        ('1 = "wet", 2 = "flood"', '2 = "wet", 1 = "flood"', "state", "meaning"),
        (', 2 = "flood"', "", "state", "meaning"),
        ('"u16le"', '"u16"', "battery", "byte order"),
        ('name = "open"', 'name = "lid"', "open", "renamed"),
        ('{ name = "open", type = "bool" }', "{ reserved = 1 }", "open", "removed"),
        ('type = "bool"', 'type = "u1"', "open", "another kind"),
        ("{ reserved = 4 }", '{ name = "lid", type = "u4" }', "lid", "added"),
        (f"{{ reserved = 4 }},\n  {STATE}", f"{STATE},\n  {{ reserved = 4 }}", "state", "moved"),
        ('{ name = "state", type = "u3"', '{ reserved = 1 }, { name = "state", type = "u2"', "", ""),
        ("f_port = 12", "f_port = 13", "port 12", "port"),
        ("value = 1", "value = 2", "version 1", "version"),
    ],
)
def test_what_breaks_is_named_with_its_reason(old: str, new: str, field: str, kind: str) -> None:
    kept, _ = against(old, new)
    if not field:
        assert kept.outcome == "same"
        return
    assert kept.outcome != "same"
    assert (field, kind) in kinds(kept)
    assert kept.witness is not None
    assert kept.advice


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max = 300", "max = 400"),
        ('2 = "flood"', '2 = "flood", 3 = "ice"'),
        ('title = "Gauge"', 'title = "Level gauge"'),
        ("{ reserved = 4 }", "{ reserved = 3 }, { reserved = 1 }"),
        ("{ reserved = 4 }", '{ name = "lid", type = "u4", not_available = 0 }'),
        ("{ reserved = 4 }", '{ name = "_more", type = "bool" }, { reserved = 3 }'),
        ("max = 5 },", 'max = 5 },\n  { when = "_more", field = [ { name = "extra", type = "u8" } ] },'),
    ],
)
def test_what_may_grow_without_harm(old: str, new: str) -> None:
    text = BASE
    if '"_more"' in old + new:  # the group and its presence bit come together
        text = BASE.replace("{ reserved = 4 }", '{ name = "_more", type = "bool" }, { reserved = 3 }')
        text = text.replace(
            "max = 5 },", 'max = 5 },\n  { when = "_more", field = [ { name = "extra", type = "u8" } ] },'
        )
        found = compare(load(BASE), load(text))
        assert found.newer[0].outcome == "refused"
        assert found.decodes
        assert found.proven
        return
    kept, newer = against(old, new)
    assert kept.outcome == "same"
    assert newer.outcome in {"same", "partial"}


def test_an_appended_field_makes_old_frames_too_short_and_new_ones_too_long() -> None:
    kept, newer = against("max = 5 },", 'max = 5 },\n  { name = "rain", type = "u8" },')
    assert (kept.outcome, newer.outcome) == ("refused", "refused")
    assert kinds(kept) == {("rain", "length")}
    assert kept.witness is not None
    assert kept.witness.errors == ("payload too short: 5 bytes",)
    assert "new version" in kept.advice


def test_a_new_version_beside_the_old_one_is_how_it_is_done() -> None:
    second = BASE.split("[[uplink]]")[1].replace("value = 1", "value = 2").replace("scale = 0.1", "scale = 0.05")
    newer_text = BASE + "[[uplink]]" + second.replace("max = 300", "max = 150")
    found = compare(load(BASE), load(newer_text))
    assert (found.decodes, found.safe, found.proven) == (True, True, True)
    assert {check.version: check.outcome for check in found.newer} == {1: "same", 2: "refused"}
    gone = compare(load(newer_text), load(BASE))
    assert [(check.version, check.outcome) for check in gone.kept if check.outcome != "same"] == [(2, "refused")]


def test_a_frame_shows_what_would_go_wrong() -> None:
    kept, newer = against("scale = 0.1", "scale = 0.2")
    assert (kept.outcome, newer.outcome) == ("misread", "misread")
    assert kept.witness is not None
    assert kept.witness.read["level"] == pytest.approx(2 * kept.witness.sent["level"])
    assert "new version" in kept.advice


def test_a_command_under_another_name_is_another_command() -> None:
    text = """
title = "Valve"
[[downlink]]
name = "open"
f_port = 3
field = [ { const = 1, type = "u8", title = "command" }, { name = "minutes", type = "u8", unit = "min" } ]
[[downlink]]
name = "close"
f_port = 3
field = [ { const = 2, type = "u8", title = "command" }, { name = "minutes", type = "u8", unit = "min" } ]
"""
    swapped = text.replace("const = 1", "const = 9").replace("const = 2", "const = 1").replace("const = 9", "const = 2")
    found = compare(load(text), load(swapped))
    assert (found.decodes, found.safe, found.proven) == (False, False, True)
    gone = compare(load(text), load(text.replace("const = 2", "const = 3")))
    assert [check.outcome for check in gone.kept] == ["same", "refused"]
    assert kinds(gone.kept[1]) == {("command", "version")}


def sample(data: dict[str, Any], age_ms: int = 0) -> Sample:
    return Sample(data, 1_000_000 - age_ms, age_ms)


def decoded(*samples: Sample, warnings: Sequence[str] = (), units: dict[str, str] | None = None) -> Decoded:
    return Decoded(samples[0].data, units or {}, list(warnings), [], list(samples))


def test_what_a_receiver_makes_of_a_frame_has_four_names() -> None:
    sent = decoded(sample({"a": 1, "b": True}), warnings=["c: not available"], units={"a": "m"})
    assert judge(sent, sent) == "same"
    more = decoded(sample({"a": 1.0, "b": True}), warnings=["x: fault", "c: not available"], units={"a": "m"})
    assert judge(sent, more) == "same"
    assert judge(sent, decoded(sample({"a": 1}), warnings=["c: not available"], units={"a": "m"})) == "partial"
    assert judge(sent, decoded(sample({"a": 1, "b": True}), units={"a": "m"})) == "partial"
    assert judge(sent, failed("payload too short: 1 bytes")) == "refused"
    for wrong in ({"a": 2, "b": True}, {"a": 1, "b": 1}, {"a": 1, "b": True, "d": 0}):
        assert judge(sent, decoded(sample(wrong), warnings=["c: not available"], units={"a": "m"})) == "misread"
    assert (
        judge(sent, decoded(sample({"a": 1, "b": True}), warnings=["c: not available"], units={"a": "cm"})) == "misread"
    )
    series = decoded(sample({"a": 1}), sample({"a": 2}, 600))
    assert judge(series, decoded(sample({"a": 1}), sample({"a": 2}, 900))) == "misread"
    assert judge(series, decoded(sample({"a": 1}))) == "misread"


# Random schemas, and random changes of them: what the layouts say and what decoding shows must be one.


class Maker:
    """Makes random devices; names are never used twice."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.names = draw, 0

    def name(self, hidden: bool = False) -> str:
        self.names += 1
        return f"{'_' if hidden else ''}f{self.names}"

    def number(self, bits: int = 0) -> Number:
        draw = self.draw
        bits = bits or draw.choice((1, 3, 4, 7, 8, 11, 16))
        signed = bits > 1 and draw.random() < 0.4
        lowest = -(1 << bits - 1) if signed else 0
        highest = lowest + (1 << bits) - 1
        specials: tuple[Special, ...] = ()
        code_min, code_max = lowest, highest
        if bits > 2 and draw.random() < 0.6:
            code_max = highest - draw.randrange(1, 4)
            if draw.random() < 0.8:
                specials = (Special(highest, highest, draw.choice((Absent.NOT_AVAILABLE, Absent.FAULT))),)
        num, den = draw.choice(((1, 1), (1, 10), (1, 2), (5, 1)))
        name = self.name()
        unit = draw.choice((None, VOLT))
        add = draw.choice((0, 0, 30))
        return Number(name, name, bits, signed, num, add, den, code_min, code_max, specials, True, unit, None)

    def choice(self, bits: int = 0) -> Choice:
        bits = bits or self.draw.choice((1, 2, 3, 8))
        name = self.name()
        if bits == 1:
            return Choice(name, name, 1, ((0, False), (1, True)))
        codes = self.draw.sample(range(1 << bits), self.draw.randrange(2, 4))
        return Choice(name, name, bits, tuple((code, f"m{code}") for code in sorted(codes)))

    def leaf(self) -> Number | Choice | Reserved:
        kind = self.draw.randrange(6)
        if kind == 0:
            return Reserved(self.draw.choice((1, 2, 4, 8)))
        return self.choice() if kind == 1 else self.number()

    def run(self, most: int = 4) -> list[Item]:
        return [self.leaf() for _ in range(self.draw.randrange(1, most))]

    def padded(self, items: list[Item]) -> list[Item]:
        bits = model.static_bits(tuple(items)) or 0
        return [*items, Reserved(-bits % 8)] if bits % 8 else items

    def switch(self) -> list[Item]:
        name = self.name(hidden=True)
        if self.draw.random() < 0.5:
            group = Switch(name, (Arm((1,), tuple(self.run(3))),), "ignore")
            return [Control(name, 1), *self.run(3), group]
        arms = (Arm((0,), tuple(self.run(3))), Arm((1, 2), tuple(self.run(3))))
        return [Control(name, 2), *self.run(2), Switch(name, arms, "error")]

    def items(self) -> tuple[Item, ...]:  # noqa: PLR0911 - one for each shape
        draw = self.draw
        kind = draw.randrange(7)
        if kind < 2:
            return tuple(self.run(6))
        if kind == 2:
            return (*self.switch(), *self.run(3))
        if kind == 3:
            word = Word(16, (self.number(4), self.number(7), self.choice(3), Reserved(2)))
            return (*self.padded(self.run(3)), Opaque(self.name(), "id", 16), word, *self.run(3))
        if kind == 4:
            if draw.random() < 0.5:
                name = self.name(hidden=True)
                return (Control(name, 3), *self.run(3), Repeat(self.number(8), name))
            return (*self.padded(self.run(3)), Repeat(self.number(8), draw.choice((3, None))))
        if kind == 5:
            leaves = (SeriesLeaf(self.number(11), draw.choice((0, 4))), SeriesLeaf(self.choice(3)))
            return (*self.run(3), Samples(leaves, 4, draw.random() < 0.5, 600_000, None))
        entries = tuple(Entry(key, tuple(self.padded(self.run(3)))) for key in (1, 3, 0x20))
        return (*self.padded(self.run(2)), Tlv(1, False, draw.random() < 0.5, entries, "stop", ()))

    def device(self) -> Device:
        items = self.items()
        version = None
        if self.draw.random() < 0.5:
            version = 1
            items = (Constant("payload version", 8, 1), *items)
        return Device("test/random", "Random", "", (Port("up", (7,), (Message("", "m", items, "error", version),)),))


Change = Callable[[Maker, Any], Any]


def _any_number(maker: Maker, leaf: Number) -> Number:  # noqa: PLR0911 - one for each kind of change
    draw = maker.draw
    kind = draw.randrange(10)
    if kind == 0:
        return replace(leaf, num=leaf.num * 2)
    if kind == 1:
        return replace(leaf, add=leaf.add + 7)
    if kind == 2:
        return replace(leaf, unit=KELVIN if leaf.unit is VOLT else VOLT)
    if kind == 3 and leaf.code_max - leaf.code_min > 2:
        return replace(leaf, code_min=leaf.code_min + 1)
    if kind == 4 and leaf.code_max < leaf.highest and not leaf.specials:
        return replace(leaf, code_max=leaf.highest)
    if kind == 5 and leaf.specials:
        return replace(leaf, specials=(replace(leaf.specials[0], absent=Absent.UNDER_RANGE),))
    if kind == 6 and leaf.specials:
        return replace(leaf, specials=())
    if kind == 7 and leaf.bits > 2 and not leaf.specials:
        middle = 1 << leaf.bits - 2
        return replace(leaf, signed=not leaf.signed, code_min=0, code_max=middle)
    if kind == 8:
        return replace(leaf, name=maker.name())
    return replace(leaf, title="another title", saturates=not leaf.saturates)


def _any_choice(maker: Maker, leaf: Choice) -> Choice:
    kind = maker.draw.randrange(4)
    if kind == 0:
        first, second, *rest = leaf.meanings
        return replace(leaf, meanings=((first[0], second[1]), (second[0], first[1]), *rest))
    if kind == 1 and len(leaf.meanings) > 2:
        return replace(leaf, meanings=leaf.meanings[1:])
    if kind == 2 and not leaf.is_flag:
        free = next((code for code in range(1 << leaf.bits) if code not in dict(leaf.meanings)), None)
        if free is not None:
            return replace(leaf, meanings=(*leaf.meanings, (free, "fresh")))
    return replace(leaf, name=maker.name())


def _any_reserved(maker: Maker, leaf: Reserved) -> list[Item]:
    kind = maker.draw.randrange(5)
    if kind == 0 and leaf.bits > 1:
        return [Reserved(1), Reserved(leaf.bits - 1)]
    if kind == 1:
        return [maker.choice(leaf.bits)]
    if kind == 2:
        fresh = maker.number(leaf.bits)
        return [replace(fresh, signed=False, code_min=1, code_max=(1 << leaf.bits) - 1, specials=())]
    if kind == 3:
        return [Constant("mark", leaf.bits, maker.draw.randrange(2))]
    return [maker.number(leaf.bits)]


def change_items(maker: Maker, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Change one thing somewhere in the items."""
    draw = maker.draw
    if not items:
        return items
    at = draw.randrange(len(items))
    item = items[at]
    kind = draw.randrange(8)
    if kind == 0 and len(items) > 1 and isinstance(item, Number | Choice):
        return (*items[:at], *items[at + 1 :])
    if kind == 1 and isinstance(item, Number | Choice | Reserved):
        return (*items[:at], maker.number(8), *items[at:])
    if kind == 2 and at + 1 < len(items) and isinstance(item, Number | Choice):
        following = items[at + 1]
        if isinstance(following, Number | Choice | Reserved):
            return (*items[:at], following, item, *items[at + 2 :])
    return (*items[:at], *_change_item(maker, item), *items[at + 1 :])


def _change_item(maker: Maker, item: Item) -> Sequence[Item]:  # noqa: PLR0911, PLR0912 - one for each kind of change
    draw = maker.draw
    if isinstance(item, Number):
        return [_any_number(maker, item)]
    if isinstance(item, Choice):
        return [_any_choice(maker, item)]
    if isinstance(item, Reserved):
        return _any_reserved(maker, item)
    if isinstance(item, Word):
        kind = draw.randrange(3)
        if kind == 0:
            return list(item.leaves)  # the other byte order
        leaves = change_items(maker, item.leaves)
        bits = model.static_bits(leaves)
        return [replace(item, leaves=leaves)] if bits == item.bits else [item]
    if isinstance(item, Switch):
        index = draw.randrange(len(item.arms))
        arm = item.arms[index]
        kind = draw.randrange(4)
        if kind == 0 and len(item.arms) > 1:
            return [replace(item, arms=(*item.arms[:index], *item.arms[index + 1 :]))]
        if kind == 1 and len(item.arms) > 1:
            first, second = item.arms
            return [replace(item, arms=(replace(first, codes=second.codes), replace(second, codes=first.codes)))]
        changed = replace(arm, items=change_items(maker, arm.items))
        return [replace(item, arms=(*item.arms[:index], changed, *item.arms[index + 1 :]))]
    if isinstance(item, Repeat):
        if draw.random() < 0.3 and isinstance(item.count, int):
            return [replace(item, count=item.count + 1)]
        return [replace(item, leaf=_any_number(maker, item.leaf))] if isinstance(item.leaf, Number) else [item]
    if isinstance(item, Samples):
        kind = draw.randrange(5)
        if kind == 0:
            return [replace(item, newest_first=not item.newest_first)]
        if kind == 1:
            return [replace(item, step=300_000)]
        newest = item.leaves[0]
        if kind == 2:
            return [replace(item, leaves=(replace(newest, delta_bits=5 - newest.delta_bits), *item.leaves[1:]))]
        if kind == 3 and isinstance(item.count, int):
            return [replace(item, count=item.count - 1)]
        assert isinstance(newest.leaf, Number)
        return [replace(item, leaves=(replace(newest, leaf=_any_number(maker, newest.leaf)), *item.leaves[1:]))]
    if isinstance(item, Tlv):
        index = draw.randrange(len(item.entries))
        entry = item.entries[index]
        kind = draw.randrange(5)
        if kind == 0:
            return [replace(item, entries=(*item.entries[:index], *item.entries[index + 1 :]))]
        if kind == 1:
            return [replace(item, entries=(*item.entries, Entry(0x44, (maker.number(8),))))]
        if kind == 2:
            return [
                replace(item, entries=(*item.entries[:index], replace(entry, key=0x55), *item.entries[index + 1 :]))
            ]
        inner = tuple(maker.padded(list(change_items(maker, entry.items))))
        return [replace(item, entries=(*item.entries[:index], replace(entry, items=inner), *item.entries[index + 1 :]))]
    return [item]


def on_bytes(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Put reserved bits before what has to begin on a byte."""
    found: list[Item] = []
    for item in items:
        at = model.static_bits(tuple(found)) or 0
        if isinstance(item, Opaque | Word | Tlv) and at % 8:
            found.append(Reserved(-at % 8))
        found.append(item)
    return tuple(found)


def change(maker: Maker, device: Device) -> Device:
    """Return the device with one thing changed."""
    draw = maker.draw
    (port,) = device.ports
    (message,) = port.messages
    kind = draw.randrange(12)
    if kind == 0:
        return replace(device, ports=(replace(port, f_ports=draw.choice(((8,), (7, 8), ()))),))
    if kind == 1 and message.version is not None:
        fresh = replace(message, version=2, items=(Constant("payload version", 8, 2), *maker.run(4)))
        keep = (message,) if draw.random() < 0.5 else ()
        return replace(device, ports=(replace(port, messages=(fresh, *keep)),))
    if kind == 2:
        fresh = replace(message, extra="ignore")
        return replace(device, ports=(replace(port, messages=(fresh,)),))
    fixed = 1 if message.version is not None else 0
    items = on_bytes((*message.items[:fixed], *change_items(maker, message.items[fixed:])))
    return replace(device, ports=(replace(port, messages=(replace(message, items=items),)),))


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_reasons_and_decoding_agree_about_random_changes(seed: int) -> None:
    maker = Maker(random.Random(seed))
    old = maker.device()
    found = compare(old, change(maker, old), seed)
    for check in (*found.kept, *found.newer):
        assert check.proven, check
        assert (check.outcome == "same") == (check.witness is None), check
