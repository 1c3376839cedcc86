"""The table of units: exact factors, primary SenML units only."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import pytest

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
