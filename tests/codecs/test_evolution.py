"""Which frames of an old schema a new one still reads: the reasons, and that decoding shows the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from random_changes import Maker, change, change_leaf
from random_schemas import devices
from siel_codecs import registry
from siel_codecs.codec import Decoded, Sample, failed
from siel_codecs.schema.evolution import Check, compare, judge
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import Device

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
        (
            '"s13", scale = 0.1, unit = "m", max = 300, not_available = -4096, fault = -4095',
            '"u13", scale = 0.1, unit = "m"',
            "level",
            "sign",
        ),
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
    ("old", "new", "reason"),
    [
        ('type = "s8"', 'type = "u8"', "was signed, is unsigned: code -1 was -1, is now 255"),
        ('type = "s8", min = -5, max = 100', 'type = "u8"', "was signed, is unsigned: code -1 was -1, is now 255"),
        ('type = "s8"', 'type = "s8", max = -1', "codes 0 to 127 (0 to 127): outside its range now"),
    ],
)
def test_a_change_of_the_sign_alone_has_one_reason(old: str, new: str, reason: str) -> None:
    text = 'title = "Gauge"\n[[uplink]]\nf_port = 1\nfield = [{ name = "level", type = "s8" }]\n'
    before = load(text.replace('type = "s8"', old))
    (check,) = compare(before, load(text.replace('type = "s8"', new))).kept
    assert [each.reason for each in check.breaks] == [reason]


def test_other_ages_of_samples_are_misread_also_where_no_time_is_known() -> None:
    text = """title = "Plan"
[[downlink]]
f_port = 1
field = [{ samples = 2, step_s = 60, field = [{ name = "level", type = "u8" }] }]
"""
    (check,) = compare(load(text), load(text.replace("60", "120"))).kept
    assert check.outcome == "misread"


def test_a_sign_that_is_read_from_another_bit_is_told() -> None:
    text = 'title = "Gauge"\n[[uplink]]\nf_port = 1\nfield = [{ reserved = 8 }, { name = "level", type = "s8" }]\n'
    wide = text.replace("{ reserved = 8 }, ", "").replace('"s8"', '"s16"')
    (check,) = compare(load(text), load(wide)).kept
    assert [each.reason for each in check.breaks] == ["the sign is another bit: code -1 was -1, is now 255"]


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


def test_an_array_of_fixed_length_may_run_to_the_end_instead() -> None:
    text = 'title = "T"\n[[uplink]]\nf_port = 1\nfield = [{ name = "a", type = "u8", count = 3 }]'
    found = compare(load(text), load(text.replace("count = 3", 'count = "rest"')))
    assert (found.decodes, found.proven, found.kept[0].outcome) == (True, True, "same")


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


def agree(old: Device, new: Device, seed: int) -> None:
    found = compare(old, new, seed)
    for check in (*found.kept, *found.newer):
        assert check.proven, check
        assert (check.outcome == "same") == (check.witness is None), check


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_reasons_and_decoding_agree_about_random_changes(seed: int) -> None:
    maker = Maker(random.Random(seed))
    old = maker.device()
    agree(old, change(maker, old), seed)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(devices(), st.integers(0, 2**32))
def test_they_agree_about_a_changed_field_of_any_device(device: Device, seed: int) -> None:
    agree(device, change_leaf(Maker(random.Random(seed)), device), seed)
