from __future__ import annotations

from pathlib import Path

from siel_codecs.registry import Registry
from siel_codecs.schema.load import load_text
from siel_codecs.schema.payload_sizes import size_table, sizes

README = Path(__file__).parents[2] / "codecs" / "README.md"
BEGIN, END = "<!-- siel codec airtime --table -->\n", "<!-- end of the table -->"
TEXT = """
title = "Pond"

[[uplink]]
f_port = 3
field = [
  { name = "air", type = "s16", scale = 0.1, unit = "degC" },
  { name = "wet", type = "bool" },
  { name = "door", type = "u7", enum = { 0 = "closed" } },
  { name = "level", type = "u16", unit = "mm" },
  { name = "co2", type = "u16", unit = "ppm" },
  { name = "wind", type = "u16", scale = 0.1, unit = "m/s" },
  { name = "lat", type = "s32", scale = 0.0001, unit = "lat" },
  { name = "lon", type = "s32", scale = 0.0001, unit = "lon" },
]
"""
EXAMPLE = """
[[example]]
f_port = 3
bytes = "00d7 80 04d2 0190 0023 0007fe48 00007a12"
data = { air = 21.5 }
"""


def test_sizes_are_those_that_a_count_by_hand_gives() -> None:
    found = sizes(load_text(TEXT + EXAMPLE, "test/pond"))
    assert found is not None
    assert (found.values, found.own) == (8, 17)
    # channel and type each; temperature 2, digital 1, digital 1, distance 4, concentration 2, generic 4, position 9
    assert found.lpp == 7 * 2 + 2 + 1 + 1 + 4 + 2 + 4 + 9
    # array; per record a map, label and name, label and value; 21.5, 1.234, 0.0004, 3.5, 52.3848 and 3.125 with tag 4
    assert found.senml_short == 1 + 8 * (1 + 1 + 2 + 1) + (3 + 2) + 1 + 7 + (3 + 3) + (3 + 1) + (3 + 2) + (3 + 5) + (
        3 + 3
    )
    assert found.senml > found.senml_short


def test_a_type_without_an_example_has_an_ordinary_frame_and_one_without_uplinks_no_row() -> None:
    found = sizes(load_text(TEXT, "test/pond"))
    assert found is not None
    assert (found.values, found.own, found.lpp) == (8, 17, 37)
    tap = load_text('title = "Tap"\n[[downlink]]\nf_port = 1\nfield = [{ name = "open", type = "bool" }]', "test/tap")
    assert sizes(tap) is None
    assert len(size_table([tap]).splitlines()) == 2


def test_the_readme_shows_what_the_command_prints() -> None:
    text = README.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    registry = Registry()
    own = [registry.device(name) for name in registry.names() if name.startswith("siel/")]
    assert text.split(BEGIN)[1].split(END)[0].strip() == size_table(own).strip()
