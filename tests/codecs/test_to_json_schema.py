from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from random_schemas import devices
from siel_codecs import registry
from siel_codecs.codec import as_ts013
from siel_codecs.schema.load import load_text
from siel_codecs.schema.to_construct import Reference
from siel_codecs.schema.to_json_schema import json_schema
from siel_codecs.schema.to_vectors import vectors

if TYPE_CHECKING:
    from siel_codecs.schema.model import Device

SCHEMAS = [
    name
    for name in registry.names()
    if "same_as" not in tomllib.loads((registry.PACKAGE_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
]
"""Other names of a codec are not tried again."""
TEXT = """
title = "Pond"
description = "Level and more."

[[uplink]]
f_port = 3
field = [
  { name = "level", title = "Water level", type = "u14", unit = "mm", min = 0, max = 5000, not_available = 16383 },
  { name = "door", type = "u2", enum = { 0 = "closed", 2 = "open" } },
  { name = "wet", type = "bool" },
  { reserved = 7 },
  { name = "serial", type = "hex2" },
  { name = "t", type = "s8", scale = 0.5, unit = "degC", min = -20, max = 50, count = 2 },
]

[[uplink]]
f_port = 4
field = [{ samples = "rest", step_s = 60, field = [{ name = "rain", type = "u8", scale = 0.2, unit = "mm" }] }]

[[uplink]]
f_port = 5
field = [{ tlv = "u8", channel = true, unknown = "raw", entry = [
  { key = 1, field = [{ name = "t_{channel}", type = "s8", unit = "degC" }] },
] }]

[[downlink]]
name = "interval"
f_port = 3
field = [
  { const = 1, type = "u8", title = "command" },
  { name = "minutes", type = "u8", unit = "min", min = 1, max = 60 },
]

[[downlink]]
name = "limit"
f_port = 3
field = [
  { const = 2, type = "u8", title = "command" },
  { name = "limit", type = "u8", unit = "mm", min = 0, max = 100, not_available = 255 },
]
"""
LEVEL = {"level": 1234, "door": "open", "wet": True, "serial": "00ff", "t": [-20.0, None]}


@pytest.fixture(scope="module")
def pond() -> Device:
    return load_text(TEXT, "test/pond")


def down(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({"$ref": "#/$defs/downlink", "$defs": schema["$defs"]})


def test_annotations_and_limits_stand_beside_the_type(pond: Device) -> None:
    properties = json_schema(pond)["$defs"]["uplink_3"]["properties"]
    assert properties["level"] == {
        "title": "Water level",
        "description": "Absent if not available (code 16383)",
        "type": "integer",
        "minimum": 0,
        "maximum": 5000,
        "x-step": "1",
        "unit": "mm",
        "x-senml": {"unit": "m", "factor": "1/1000"},
        "x-ucum": "mm",
    }
    assert properties["door"]["enum"] == ["closed", "open"]
    assert properties["wet"]["type"] == "boolean"
    assert (properties["t"]["minItems"], properties["t"]["maxItems"]) == (2, 2)


@pytest.mark.parametrize(
    "data",
    [
        {},
        LEVEL,
        {"rain": 0.2, "samples": [{"time": "2026-01-01T00:00:00.000Z", "age_s": 0, "rain": 0.2}, {"age_s": 60}]},
        {"t_0": 1, "t_255": -128, "raw": "01ff"},
    ],
)
def test_what_a_decoder_gives_is_valid(pond: Device, data: dict[str, Any]) -> None:
    Draft202012Validator(json_schema(pond)).validate(data)


@pytest.mark.parametrize(
    "change",
    [
        {"level": 5001},
        {"level": -1},
        {"level": 0.5},
        {"level": None},
        {"level": "1"},
        {"door": "ajar"},
        {"door": 0},
        {"wet": 1},
        {"serial": "00FF"},
        {"serial": "00"},
        {"t": [1.0]},
        {"t": [51.0, 0.0]},
        {"unheard": 1},
        {"t_1": 1},
        {"rain": 0.2},
        {"_mode": 1},
        {"command": "interval"},
    ],
)
def test_what_no_decoder_gives_is_not(pond: Device, change: dict[str, Any]) -> None:
    assert not Draft202012Validator(json_schema(pond)).is_valid(LEVEL | change)


@pytest.mark.parametrize("name", ["t_256", "t_01", "t_", "t_1x", "t_-1", "xt_1"])
def test_a_channel_is_a_number_of_one_byte(pond: Device, name: str) -> None:
    assert not Draft202012Validator(json_schema(pond)).is_valid({name: 1})


def test_an_encoder_takes_words_where_a_code_says_so_and_needs_the_rest(pond: Device) -> None:
    check = down(json_schema(pond))
    assert check.is_valid({"command": "interval", "minutes": 60})
    assert check.is_valid({"command": "limit", "limit": None})
    assert check.is_valid({"command": "limit", "limit": "not_available"})
    assert check.is_valid({"command": "limit"})
    for wrong in ({"minutes": 60}, {"command": "interval"}, {"command": "interval", "minutes": 0}, {"command": "off"}):
        assert not check.is_valid(wrong), wrong
    assert not check.is_valid({"command": "limit", "limit": "fault"})


def test_a_command_may_carry_a_series() -> None:
    device = load_text(
        """
title = "Plan"
[[downlink]]
name = "plan"
f_port = 7
field = [
  { name = "_at", type = "u32" },
  { samples = "rest", step_s = 60, base = "_at", field = [{ name = "level", type = "u8", min = 0, max = 100 }] },
]
""",
        "test/plan",
    )
    check = down(json_schema(device))
    for data in (
        {"command": "plan", "time": "2026-01-01T00:00:00Z", "samples": [{"level": 1}, {"level": 100}]},
        {"time": 1_767_225_600_000, "level": 0},
    ):
        assert check.is_valid(data), data
        assert not check.is_valid({**data, "samples": [{"level": 101}]})
    decoded = Reference(device).decode_downlink(7, bytes.fromhex("6955b900 0164"))
    assert check.is_valid(as_ts013(decoded)), as_ts013(decoded)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_shipped_schema_takes_its_codecs_data_and_nothing_else(name: str) -> None:
    device = registry.Registry().device(name)
    schema = json.loads(json.dumps(json_schema(device), allow_nan=False))
    Draft202012Validator.check_schema(schema)
    up, commands = Draft202012Validator(schema), down(schema) if "downlink" in schema["$defs"] else None
    found = vectors(device)
    for vector in found:
        if vector.call == "decode" and vector.direction == "up":
            assert up.is_valid(vector.data), (vector.title, next(up.iter_errors(vector.data)))
        elif vector.call == "decode" and not vector.errors and not vector.warnings:
            assert commands is not None
            assert commands.is_valid(vector.data), (vector.title, vector.data)
        elif vector.call == "encode":
            assert commands is not None
            assert commands.is_valid(vector.data) == (not vector.errors), (vector.title, vector.data)
    mutated(up, [vector.data for vector in found if vector.data and vector.direction == "up"][:5])


def mutated(check: Draft202012Validator, found: list[dict[str, Any]]) -> None:
    for data in found:
        assert not check.is_valid({**data, "unheard_of": 1})
        for name, value in data.items():
            assert not check.is_valid({**data, name: {"value": value}}), name
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert not check.is_valid({**data, name: 1e18}), name
            if isinstance(value, list):
                assert not check.is_valid({**data, name: [*value, {"unheard_of": 1}]}), name


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(devices())
def test_random_devices_give_and_take_what_their_schemas_say(device: Device) -> None:
    schema = json_schema(device)
    Draft202012Validator.check_schema(schema)
    up, commands = Draft202012Validator(schema), down(schema) if "downlink" in schema["$defs"] else None
    for vector in vectors(device):
        sound = not vector.errors and not (vector.direction == "down" and vector.warnings)
        check = up if vector.direction == "up" else commands
        assert check is not None
        assert check.is_valid(vector.data) or not sound, (vector, schema)


def test_a_command_takes_null_for_what_a_group_holds() -> None:
    device = load_text(
        """
title = "Pump"
[[downlink]]
f_port = 4
field = [
  { name = "on", type = "bool" }, { name = "_for", type = "bool" },
  { when = "_for", field = [{ name = "minutes", type = "u8" }] },
]
""",
        "test/pump",
    )
    check = down(json_schema(device))
    assert check.is_valid({"on": True, "minutes": None})
    assert check.is_valid({"on": True})
    assert not check.is_valid({"on": None})
