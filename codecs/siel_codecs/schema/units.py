"""The units that schemas may name, each in the codes of people, SenML and UCUM.

SenML: only primary units are sent; a secondary one (RFC 8798: mm, hPa, ppm, dBm ...) is turned into its primary unit
by an exact factor. Where there is no primary unit, or none that a rational factor reaches (a degree is pi/180 rad, dBm
is dBW less 30), ``senml`` is empty: the record then carries no unit, and its name must tell.

Source: RFC 8428 section 12.1, RFC 8798 sections 2 and 3, IANA registry "SenML Units"; The Unified Code for Units of
Measure, version 2.1. What stands in braces is a UCUM annotation and changes no meaning.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from siel_codecs.schema.model import Unit

# fmt: off
SENML_UNITS: Final = frozenset([
    "m", "kg", "s", "A", "K", "cd", "mol", "Hz", "rad", "sr", "N", "Pa", "J", "W", "C", "V", "F", "Ohm", "S", "Wb",
    "T", "H", "Cel", "lm", "lx", "Bq", "Gy", "Sv", "kat", "m2", "m3", "m/s", "m/s2", "m3/s", "W/m2", "cd/m2", "bit",
    "bit/s", "lat", "lon", "pH", "dB", "dBW", "count", "/", "%RH", "%EL", "EL", "1/s", "S/m", "B", "VA", "VAs",
    "var", "vars", "J/m", "kg/m3", "NTU",
])
# fmt: on
"""Primary units that are recommended for new producers."""

# (code, display, senml, factor to the SenML unit, ucum)
_TABLE: Final[tuple[tuple[str, str, str, int | str, str], ...]] = (
    # temperature and humidity; one offset from another is no factor, so kelvin and degree Celsius stay themselves
    ("degC", "°C", "Cel", 1, "Cel"),
    ("K", "K", "K", 1, "K"),
    ("%RH", "%", "%RH", 1, "%"),
    # ratios; %EL is the energy left in a battery
    ("%", "%", "/", "1/100", "%"),
    ("%EL", "%", "%EL", 1, "%"),
    ("ppm", "ppm", "/", "1/1000000", "[ppm]"),
    ("ppb", "ppb", "/", "1/1000000000", "[ppb]"),
    # electricity and energy
    ("V", "V", "V", 1, "V"),
    ("mV", "mV", "V", "1/1000", "mV"),
    ("A", "A", "A", 1, "A"),
    ("mA", "mA", "A", "1/1000", "mA"),
    ("uA", "µA", "A", "1/1000000", "uA"),
    ("mAh", "mAh", "C", "18/5", "mA.h"),
    ("Ohm", "Ω", "Ohm", 1, "Ohm"),
    ("kOhm", "kΩ", "Ohm", 1000, "kOhm"),
    ("W", "W", "W", 1, "W"),
    ("kW", "kW", "W", 1000, "kW"),
    ("VA", "VA", "VA", 1, "V.A"),
    ("var", "var", "var", 1, "V.A{reactive}"),
    ("J", "J", "J", 1, "J"),
    ("Wh", "Wh", "J", 3600, "W.h"),
    ("kWh", "kWh", "J", 3600000, "kW.h"),
    # length, area, volume, mass
    ("um", "µm", "m", "1/1000000", "um"),
    ("mm", "mm", "m", "1/1000", "mm"),
    ("cm", "cm", "m", "1/100", "cm"),
    ("m", "m", "m", 1, "m"),
    ("km", "km", "m", 1000, "km"),
    ("m2", "m²", "m2", 1, "m2"),
    ("L", "L", "m3", "1/1000", "L"),
    ("m3", "m³", "m3", 1, "m3"),
    ("kg", "kg", "kg", 1, "kg"),
    # flow, speed, acceleration; g is the standard acceleration of free fall, 9.80665 m/s2
    ("L/min", "L/min", "m3/s", "1/60000", "L/min"),
    ("L/h", "L/h", "m3/s", "1/3600000", "L/h"),
    ("m3/h", "m³/h", "m3/s", "1/3600", "m3/h"),
    ("m3/s", "m³/s", "m3/s", 1, "m3/s"),
    ("mm/h", "mm/h", "m/s", "1/3600000", "mm/h"),
    ("mm/s", "mm/s", "m/s", "1/1000", "mm/s"),
    ("m/s", "m/s", "m/s", 1, "m/s"),
    ("km/h", "km/h", "m/s", "5/18", "km/h"),
    ("m/s2", "m/s²", "m/s2", 1, "m/s2"),
    ("g", "g", "m/s2", "196133/20000", "[g]"),
    ("mg", "mg", "m/s2", "196133/20000000", "m[g]"),
    # pressure
    ("Pa", "Pa", "Pa", 1, "Pa"),
    ("hPa", "hPa", "Pa", 100, "hPa"),
    ("mbar", "mbar", "Pa", 100, "mbar"),
    ("kPa", "kPa", "Pa", 1000, "kPa"),
    ("bar", "bar", "Pa", 100000, "bar"),
    # light and radiation
    ("lx", "lx", "lx", 1, "lx"),
    ("klx", "klx", "lx", 1000, "klx"),
    ("W/m2", "W/m²", "W/m2", 1, "W/m2"),
    ("umol/m2/s", "µmol/(m²·s)", "", 1, "umol/m2/s"),
    ("UV", "UV index", "", 1, "{UV_index}"),
    # what is in air, water and soil
    ("ug/m3", "µg/m³", "kg/m3", "1/1000000000", "ug/m3"),
    ("mg/m3", "mg/m³", "kg/m3", "1/1000000", "mg/m3"),
    ("mg/L", "mg/L", "kg/m3", "1/1000", "mg/L"),
    ("kg/m3", "kg/m³", "kg/m3", 1, "kg/m3"),
    ("NTU", "NTU", "NTU", 1, "{NTU}"),
    ("pH", "pH", "pH", 1, "[pH]"),
    ("uS/cm", "µS/cm", "S/m", "1/10000", "uS/cm"),
    ("mS/cm", "mS/cm", "S/m", "1/10", "mS/cm"),
    ("dS/m", "dS/m", "S/m", "1/10", "dS/m"),
    ("S/m", "S/m", "S/m", 1, "S/m"),
    # levels; dBA is the A-weighted sound pressure level
    ("dB", "dB", "dB", 1, "dB"),
    ("dBA", "dB(A)", "dB", 1, "dB[SPL]{A}"),
    ("dBm", "dBm", "", 1, "dB{mW}"),
    # directions and places
    ("deg", "°", "", 1, "deg"),
    ("lat", "°", "lat", 1, "deg"),
    ("lon", "°", "lon", 1, "deg"),
    # time and what is counted
    ("us", "µs", "s", "1/1000000", "us"),
    ("ms", "ms", "s", "1/1000", "ms"),
    ("s", "s", "s", 1, "s"),
    ("min", "min", "s", 60, "min"),
    ("h", "h", "s", 3600, "h"),
    ("d", "d", "s", 86400, "d"),
    ("Hz", "Hz", "Hz", 1, "Hz"),
    ("kHz", "kHz", "Hz", 1000, "kHz"),
    ("MHz", "MHz", "Hz", 1000000, "MHz"),
    ("rpm", "1/min", "1/s", "1/60", "/min"),
    ("count", "count", "count", 1, "{count}"),
    ("B", "B", "B", 1, "By"),
)


def unit_of(display: str, senml: str, factor: Fraction, ucum: str) -> Unit:
    """Return the unit of which one is ``factor`` of its SenML unit."""
    return Unit(display, senml, factor.numerator, factor.denominator, ucum)


UNITS: Final[dict[str, Unit]] = {
    code: unit_of(display, senml, Fraction(factor), ucum) for code, display, senml, factor, ucum in _TABLE
}
"""Unit by the code that stands in a schema."""
