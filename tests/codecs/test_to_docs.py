from __future__ import annotations

import json
import re
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings

from random_schemas import devices
from siel_codecs import registry
from siel_codecs.schema.below import names
from siel_codecs.schema.load import load_text
from siel_codecs.schema.model import Device
from siel_codecs.schema.to_construct import Reference
from siel_codecs.schema.to_docs import emit_markdown
from siel_codecs.schema.to_docs.trace import trace
from siel_codecs.schema.wire import Layout, Plan

SCHEMAS = [
    name
    for name in registry.names()
    if "same_as" not in tomllib.loads((registry.PACKAGE_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
]
"""Other names of a codec are not tried again."""
TEXT = """
title = "Pond"
description = "What a pond tells."
source = "Pond manual, section 3"
kind = "water_level"

[[uplink]]
f_port = 3
field = [
  { name = "_has_air", type = "bool" },
  { name = "level", title = "Water | level", type = "u15", scale = 0.5, offset = -10, unit = "mm", SPECIALS },
  { when = "_has_air", field = [{ name = "air", type = "s16le", scale = 0.1, unit = "degC" }] },
]

[[downlink]]
name = "set_limit"
title = "Warn below this level"
f_port = 3
field = [
  { const = 7, type = "u8", title = "command" },
  { name = "limit", type = "u8", unit = "mm", min = 1, max = 100 },
]

[[example]]
f_port = 3
bytes = "83e8d6ff"
data = { level = 490.0, air = -4.2 }
title = "A cold day"
""".replace("SPECIALS", "max = 900, not_available = 32767, fault = { from = 32760, to = 32765 }")
PAGE = """
### Uplink, port 3

2 bytes at least; what is in it decides.

```text
byte    7   6   5   4   3   2   1   0
      +---+---------------------------+
   0  | 1 |                           |
      +---+                           |
   1  | level                         |
      +-------------------------------+
```
"""


def test_a_page_shows_picture_conditions_tables_commands_and_a_frame_worked_through() -> None:
    page = emit_markdown(load_text(TEXT, "test/pond"))
    assert page.startswith("# Pond\n\n`test/pond` (water level)\n\nWhat a pond tells.\n")
    assert "Source of the format: Pond manual, section 3" in page
    assert PAGE in page
    row = next(line for line in page.splitlines() if "`level`" in line and "unsigned" in line)
    assert [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] == [
        "2", "`level`", "15", "unsigned", "-10.0 to 900.0", "0.5", "mm", "m (* 0.001)", "mm",
        "32767 not available, 32760 to 32765 sensor fault", "Water \\| level",
    ]  # fmt: skip
    assert "**If `has_air` is 1**:" in page
    assert "### Command `set_limit`, port 3\n\nWarn below this level. 2 bytes." in page
    assert re.search(r"\| `limit` +\| 8 +\| unsigned \| 1 to 100", page)
    assert "**Worked example** (A cold day): `83e8d6ff` on port 3" in page
    assert re.search(r"\| 0\.6 to 1 *\.?0? +\| `level` +\| 1000 \| \(1000 - 20\) / 2 = 490\.0 +\| 490\.0 mm \|", page)
    assert re.search(r"\| 2 to 3 +\| `air` +\| -42 +\| -42 / 10 = -4\.2 +\| -4\.2 °C +\|", page)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_page_is_whole(name: str) -> None:
    check_page(registry.Registry().device(name))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(devices())
def test_pages_of_random_devices_are_whole(device: Device) -> None:
    check_page(device)
    check_way(device)


def test_entries_are_a_table_by_key_and_meanings_keep_their_spelling() -> None:
    text = """
title = "Pond"
[[uplink]]
f_port = 3
field = [{ tlv = "u8", channel = true, entry = [
  { key = 0x67, field = [{ name = "t_{channel}", type = "s16le", scale = 0.1, unit = "degC" }] },
  { key = 0x68, field = [{ name = "probe_{channel}", type = "u8", enum = { 0 = "NTC-A", 1 = "none" } }] },
] }]
[[example]]
f_port = 3
bytes = "0367d6ff"
data = { t_3 = -4.2 }
"""
    page = emit_markdown(load_text(text, "test/pond"))
    assert "Entries up to the end, each: channel, key (1 byte), value." in page
    assert re.search(r"\| 0x67 +\| 1 +\| `t_{channel}` +\| 0 +\| 16 +\| signed le +\|", page)
    assert "0 = NTC-A, 1 = none" in page
    assert re.search(r"\| 1 +\| `key` +\| 0x67 +\|", page)
    assert re.search(r"\| `t_3` +\| -42 +\| -42 / 10 = -4\.2 +\| -4\.2 °C +\|", page)


def check_page(device: Device) -> None:
    page = emit_markdown(device)
    messages = [message for _, message in (*device.uplinks(), *device.downlinks())]
    for message in messages:
        for field in names(message.items):
            assert f"`{field}`" in page
    assert page.count("**Worked example**") == len(messages)
    for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL):
        json.loads(block)
    tables = re.findall(r"(?:^\|.*\n)+", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    for table in tables:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
        assert len({len(line) for line in table.splitlines()}) == 1
    assert all(
        len(line) <= 6 + 33 for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) for line in block.split("\n")
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_way_through_a_frame_ends_at_what_decoders_say(name: str) -> None:
    check_way(registry.Registry().device(name))


def check_way(device: Device) -> None:
    reference = Reference(device)
    examples = [(port, message, [Layout(message).payload(Plan())]) for port, message in device.uplinks()]
    for port, message, payloads in examples:
        if len(port.messages) == 1:
            payloads += [e.payload for e in device.examples if e.direction == "up" and e.f_port in port.f_ports]
        for payload in payloads:
            decoded = reference.decode(port.f_ports[0] if port.f_ports else 1, payload)
            if decoded.errors:
                continue
            steps = [step for step in trace(message, payload) if step.is_data and step.value is not None]
            walked = {(re.sub(r" ?\[\d+\]$", "", step.name), repr(step.value)) for step in steps}
            told = {
                (field, repr(each))
                for sample in ({"data": decoded.data}, *({"data": sample.data} for sample in decoded.samples))
                for field, value in sample["data"].items()
                for each in (value if isinstance(value, list) else [value])
                if each is not None and field != "raw"
            }
            assert told <= walked, payload.hex()
            if len({step.name for step in steps}) == len(steps):  # nothing was overwritten by a later entry
                assert walked == told, payload.hex()
