"""Bytes of one reading in this project's own form, in Cayenne LPP and in SenML CBOR.

The reading is the first uplink example of each schema, else an ordinary frame. Cayenne LPP is only counted, not made:
a byte each for channel and type, then the value. Its types are taken wherever one has the quantity, however coarse it
is there (humidity in half per cent); what no type has is a generic sensor, an enum a digital input. SenML carries
neither base name nor time, for LoRaWAN tells both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from siel_codecs.schema.model import MAX_DR0_BYTES
from siel_codecs.schema.to_construct.reference import Reference
from siel_codecs.schema.to_senml import senml_cbor, senml_records
from siel_codecs.schema.wire import Layout, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siel_codecs.schema.model import Device
    from siel_codecs.schema.to_senml import Record

LPP_HEADER: Final = 2
"""Channel and type."""
LPP_BOOLEAN, LPP_GENERIC, LPP_POSITION = 1, 4, 9
LPP_BYTES: Final = {
    "Cel": 2,  # temperature, 0.1 degC
    "%RH": 1,  # humidity, 0.5 %
    "/": 1,  # percentage, 1 %
    "%EL": 1,  # the same
    "Pa": 2,  # barometer, 0.1 hPa
    "V": 2,  # voltage, 0.01 V
    "A": 2,  # current, 0.001 A
    "W": 2,  # power, 1 W
    "J": 4,  # energy, 0.001 kWh
    "Hz": 4,  # frequency, 1 Hz
    "m": 4,  # distance, 0.001 m
    "lx": 2,  # luminosity, 1 lx
}
"""Size of the value by SenML unit. Source: Cayenne LPP, "Data Types", and the extended types of its libraries (voltage
0x74, current 0x75, frequency 0x76, percentage 0x78, power 0x80, distance 0x82, energy 0x83; generic sensor 0x64)."""
LPP_BYTES_SHOWN: Final = {
    "ppm": 2,  # concentration, 1 ppm
    "ppb": LPP_GENERIC,  # a concentration has no decimals
    "°": 2,  # direction, 1 degree
}
"""Size of the value by display unit, which is asked first. Source: the same, types 0x7d and 0x84."""
LPP_POSITIONS: Final = {"lat": LPP_POSITION, "lon": 0}
"""Both stand in one value. Source: the same, type 0x88."""


class Sizes(msgspec.Struct, frozen=True):
    """What one reading takes, in bytes."""

    codec: str
    values: int
    own: int
    lpp: int
    senml: int
    senml_short: int
    """With names of one letter and without units."""


def sizes(device: Device) -> Sizes | None:
    """Return the sizes of the device's first uplink example, else of an ordinary frame; None where it sends nothing."""
    example = next((each for each in device.examples if each.direction == "up"), None)
    first = next(device.uplinks(), None)
    if first is None:
        return None
    port, message = first
    f_port, payload = port.f_ports[0] if port.f_ports else 1, Layout(message).payload(Plan())
    if example is not None:
        f_port, payload = example.f_port, example.payload
    decoded = Reference(device).decode(f_port, payload)
    records = senml_records(device, decoded)
    units = [unit for sample in decoded.samples for unit in _units(sample.data, decoded.units)]
    senml = [record.get("u", "") for record in records]
    return Sizes(
        codec=device.name,
        values=len(records),
        own=len(payload),
        lpp=sum(map(_lpp, records, units, senml)),
        senml=len(senml_cbor(records)),
        senml_short=len(senml_cbor([_short(record, index) for index, record in enumerate(records)])),
    )


def size_table(devices: Iterable[Device]) -> str:
    """Return a Markdown table of the sizes of all devices that send something; * marks what DR0 does not carry."""
    rows = [found for device in devices if (found := sizes(device)) is not None]
    lines = [
        "| type | values | own | Cayenne LPP | SenML-CBOR, short | SenML-CBOR |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row.codec} | {row.values} | {' | '.join(map(_bytes, (row.own, row.lpp, row.senml_short, row.senml)))} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _bytes(count: int) -> str:
    return f"{count} *" if count > MAX_DR0_BYTES else str(count)


def _units(data: dict[str, Any], units: dict[str, str]) -> list[str]:
    """Return the display unit of each record that the data makes."""
    found = []
    for name, value in data.items():
        count = sum(each is not None for each in value) if isinstance(value, list) else 1
        found += [units.get(name, "")] * count
    return found


def _lpp(record: Record, display: str, senml: str) -> int:
    if "v" not in record:
        text = record.get("vs")
        return LPP_HEADER + LPP_BOOLEAN if text is None or not _is_hex(text) else LPP_HEADER + LPP_GENERIC
    if senml in LPP_POSITIONS:
        size = LPP_POSITIONS[senml]
        return LPP_HEADER + size if size else 0
    return LPP_HEADER + LPP_BYTES_SHOWN.get(display, LPP_BYTES.get(senml, LPP_GENERIC))


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and all(digit in "0123456789abcdef" for digit in text)


def _short(record: Record, index: int) -> Record:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    name = (
        letters[index] if index < len(letters) else f"{letters[index // len(letters)]}{letters[index % len(letters)]}"
    )
    return {"n": name, **{label: value for label, value in record.items() if label not in {"n", "u"}}}
