from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siel_codecs import registry
from siel_codecs.codec import Decoded, Sample, failed
from siel_codecs.schema.load import load_text
from siel_codecs.schema.rules import frames
from siel_codecs.schema.to_construct import Reference
from siel_codecs.schema.to_senml import CBOR_LABELS, SenmlMap, exact, senml_cbor, senml_json, senml_records
from siel_codecs.schema.to_vectors import RECV_MS
from siel_codecs.schema.units import SENML_UNITS

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

[[uplink]]
f_port = 3
field = [
  { name = "level", type = "u16", unit = "mm", not_available = 65535 },
  { name = "flow", type = "u16", unit = "L/h" },
  { name = "wind", type = "u8", unit = "deg" },
  { name = "door", type = "u7", enum = { 0 = "closed", 2 = "open" } },
  { name = "wet", type = "bool" },
  { name = "serial", type = "hex2" },
  { name = "t", type = "s8", scale = 0.5, unit = "degC", not_available = -128, count = 3 },
]

[[uplink]]
f_port = 4
field = [{ samples = "rest", step_s = 600, field = [{ name = "rain", type = "u8", scale = 0.2, unit = "mm" }] }]

[[uplink]]
f_port = 5
field = [{ tlv = "u8", channel = true, unknown = "raw", entry = [
  { key = 1, field = [{ name = "t_{channel}", type = "s8", unit = "degC" }] },
] }]
"""


@pytest.fixture(scope="module")
def pond() -> Device:
    return load_text(TEXT, "test/pond")


def records(
    device: Device, f_port: int, payload: str, recv_ms: int | None = None, base: str = ""
) -> list[dict[str, Any]]:
    return senml_records(device, Reference(device).decode(f_port, bytes.fromhex(payload), recv_ms), base)


def test_one_record_per_value_in_primary_units_and_none_for_what_is_absent(pond: Device) -> None:
    assert records(pond, 3, "04d2 0024 5a 05 00ff 2b 80 d9") == [
        {"n": "level", "u": "m", "v": Decimal("1.234")},
        {"n": "flow", "u": "m3/s", "v": Decimal("0.00001")},
        {"n": "wind", "v": 90},
        {"n": "door", "vs": "open"},
        {"n": "wet", "vb": True},
        {"n": "serial", "vs": "00ff"},
        {"n": "t_0", "u": "Cel", "v": Decimal("21.5")},
        {"n": "t_2", "u": "Cel", "v": Decimal("-19.5")},
    ]


def test_a_quotient_that_is_no_decimal_number_is_the_nearest_float(pond: Device) -> None:
    flow = records(pond, 3, "ffff 0001 00 00 0000 80 80 80")[0]
    assert flow == {"n": "flow", "u": "m3/s", "v": 1 / 3_600_000}
    assert isinstance(flow["v"], float)


def test_a_series_has_a_base_time_and_what_went_before_it(pond: Device) -> None:
    found = records(pond, 4, "050a0f", RECV_MS + 250, "urn:dev:mac:0011223344556677:")
    assert found == [
        {
            "bn": "urn:dev:mac:0011223344556677:",
            "bt": Decimal("1767225600.25"),
            "n": "rain",
            "u": "m",
            "v": Decimal("0.001"),
        },
        {"n": "rain", "u": "m", "v": Decimal("0.002"), "t": -600},
        {"n": "rain", "u": "m", "v": Decimal("0.003"), "t": -1200},
    ]


def test_without_a_time_of_reception_times_are_relative_to_now(pond: Device) -> None:
    assert [record.get("t", 0) for record in records(pond, 4, "050a0f")] == [0, -600, -1200]


def test_an_older_sample_of_unknown_age_is_not_told_as_if_it_were_of_now(pond: Device) -> None:
    samples = [Sample({"rain": 1}, RECV_MS, 0, []), Sample({"rain": 2}, None, None, [])]
    decoded = Decoded({"rain": 1}, {"rain": "mm"}, [], [], samples)
    assert [record["v"] for record in senml_records(pond, decoded)] == [Decimal("0.001")]


def test_the_unit_of_a_channel_is_found(pond: Device) -> None:
    assert records(pond, 5, "0701f6 ff77") == [{"n": "t_7", "u": "Cel", "v": -10}, {"n": "raw", "vs": "ff77"}]


def test_an_error_has_no_records(pond: Device) -> None:
    assert senml_records(pond, failed("payload too short: 0 bytes"), "urn:dev:x:") == []
    assert senml_cbor([]) == b"\x80"


@pytest.mark.parametrize("base", [":x", "a b", "tür/", "a\n"])
def test_a_base_name_that_senml_forbids_is_refused(pond: Device, base: str) -> None:
    with pytest.raises(ValueError, match="is no SenML name"):
        records(pond, 3, "04d2 0024 5a 05 00ff 2b 80 d9", base=base)


def test_cbor_has_integer_labels_and_exact_decimals() -> None:
    pack = senml_cbor([{"bn": "a:", "bt": 5, "n": "t", "u": "Cel", "v": Decimal("87.4"), "vb": True, "vs": "x"}])
    # array(1), map(7), -2 "a:", -3 5, 0 "t", 1 "Cel", 2 4([-1, 874]), 4 true, 3 "x"; written out by hand from RFC 8949
    assert pack.hex() == "81a72162613a22050061740163" + b"Cel".hex() + "02c4822019036a04f5036178"


def test_json_has_plain_numbers() -> None:
    assert json.loads(senml_json([{"n": "t", "v": Decimal("21.5")}])) == [{"n": "t", "v": 21.5}]
    assert senml_json([{"n": "t", "v": Decimal("0.000001")}]) == b'[{"n":"t","v":0.000001}]'


@given(st.fractions())
@example(Fraction(1, 1 << 41))
def test_exact_is_exact_where_a_decimal_number_can_be(value: Fraction) -> None:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    found = exact(value)
    if isinstance(found, float):
        assert rest != 1
        assert found == value.numerator / value.denominator
    else:
        assert Fraction(found) == value


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_value_of_every_codec_has_its_record(name: str) -> None:
    device = registry.Registry().device(name)
    reference, mapping = Reference(device), SenmlMap(device)
    for frame in frames(device):
        decoded = reference.decode(frame.f_port, frame.payload, RECV_MS)
        if frame.direction == "down" or decoded.errors:
            continue
        found = mapping.records(decoded)
        values = [value for sample in decoded.samples if sample.time_ms is not None for value in sample.data.values()]
        count = sum(sum(each is not None for each in v) if isinstance(v, list) else 1 for v in values)
        assert len(found) == count, frame.title
        assert {record["u"] for record in found if "u" in record} <= SENML_UNITS
        back = cbor2.loads(senml_cbor(found))
        names = {number: label for label, number in CBOR_LABELS.items()}
        assert [{names[label]: value for label, value in record.items()} for record in back] == found
        assert len(json.loads(senml_json(found))) == len(found)
