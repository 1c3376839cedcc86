"""The table of units: exact factors, primary SenML units only."""

from __future__ import annotations

import re
from fractions import Fraction
from math import gcd
from pathlib import Path

import pytest

from siel_codecs.errors import SchemaError
from siel_codecs.schema.load import load_text
from siel_codecs.schema.units import SENML_UNITS, UNITS

SECONDARY = {
    "ms",
    "min",
    "h",
    "mm",
    "cm",
    "km",
    "hPa",
    "ppm",
    "mV",
    "mA",
    "km/h",
    "kWh",
    "Wh",
    "mm/h",
    "ug/m3",
    "dBm",
    "%",
}


def test_every_unit_has_a_primary_senml_unit_or_none_and_an_exact_factor() -> None:
    for code, unit in UNITS.items():
        assert unit.senml in SENML_UNITS or unit.senml == "", code
        assert unit.display, code
        assert unit.ucum, code
        assert unit.senml_num > 0, code
        assert unit.senml_den > 0, code
        assert gcd(unit.senml_num, unit.senml_den) == 1, code
        assert unit.senml or (unit.senml_num, unit.senml_den) == (1, 1), code


def test_no_secondary_unit_is_sent() -> None:
    assert not SECONDARY & SENML_UNITS
    assert not {unit.senml for unit in UNITS.values()} & SECONDARY


@pytest.mark.parametrize(
    ("code", "senml", "factor"),
    [
        ("degC", "Cel", "1"),
        ("mm", "m", "0.001"),
        ("km/h", "m/s", "1000/3600"),
        ("mm/h", "m/s", "1/3600000"),
        ("L/min", "m3/s", "1/60000"),
        ("kWh", "J", "3600000"),
        ("mAh", "C", "3.6"),
        ("hPa", "Pa", "100"),
        ("bar", "Pa", "100000"),
        ("g", "m/s2", "9.80665"),
        ("ug/m3", "kg/m3", "0.000000001"),
        ("mg/L", "kg/m3", "0.001"),
        ("uS/cm", "S/m", "0.0001"),
        ("mS/cm", "S/m", "0.1"),
        ("dS/m", "S/m", "0.1"),
        ("ppm", "/", "0.000001"),
        ("%", "/", "0.01"),
        ("d", "s", "86400"),
        ("rpm", "1/s", "1/60"),
        ("deg", "", "1"),
        ("dBm", "", "1"),
    ],
)
def test_a_value_in_its_senml_unit(code: str, senml: str, factor: str) -> None:
    unit = UNITS[code]
    assert (unit.senml, Fraction(unit.senml_num, unit.senml_den)) == (senml, Fraction(factor))


def test_the_readme_lists_every_code() -> None:
    text = (Path(__file__).parents[2] / "codecs" / "README.md").read_text()
    listed = text.split("its UCUM code:", 1)[1].split("A file may add", 1)[0]
    assert re.findall("`([^`]+)`", listed) == [*UNITS]


@pytest.mark.parametrize(("asked", "code"), [("Cel", "degC"), ("°C", "degC"), ("C", "degC"), ("µg/m³", "ug/m3")])
def test_the_code_is_found_by_what_people_senml_and_ucum_call_the_unit(asked: str, code: str) -> None:
    text = f'title = "T"\n[[uplink]]\nfield = [{{ name = "a", type = "u8", unit = "{asked}" }}]'
    with pytest.raises(SchemaError, match=f"near: {code}"):
        load_text(text, "test/t")


def test_where_no_code_is_near_all_are_told() -> None:
    with pytest.raises(SchemaError, match=r"known: degC, K, .*, B\); own units"):
        load_text('title = "T"\n[[uplink]]\nfield = [{ name = "a", type = "u8", unit = "celsius" }]', "test/t")
