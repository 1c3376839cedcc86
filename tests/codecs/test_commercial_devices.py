"""The schemas of devices that one can buy, held against what their vendors print."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from siel_codecs.codec import as_ts013
from siel_codecs.errors import PayloadError
from siel_codecs.registry import PACKAGE_FOLDER, Registry
from siel_codecs.schema.below import leaves
from siel_codecs.schema.model import CHANNEL, Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siel_codecs.codec import Codec, Decoded
    from siel_codecs.schema.model import Device, Example

README = Path(__file__).parents[2] / "codecs" / "README.md"
REGISTRY = Registry()
NAMES = [name for name in REGISTRY.names() if not name.startswith("siel/")]
CLASSES = {"water_level", "soil", "weather", "parking", "air_quality", "people_counting", "climate", "contact", "noise"}
ONE_TYPE_TWICE = {("milesight-iot/vs133", "10e4010910112110e40275217533")}
"""An encoder writes each entry once."""
NONE_MISSING = {
    "adeunis/pulse",  # counters
    "dragino/lds02",  # contacts; the battery alone has a range
    "milesight-iot/ws301",
    "milesight-iot/vs121",  # counts
    "milesight-iot/vs132",
    "milesight-iot/vs133",
}
"""Counts, contacts and a battery: nothing that a missing sensor would show in."""
ABSENT = ("not available", "below its range", "above its range", "sensor fault", "outside its range", "is not known")


def alias_of(name: str) -> str | None:
    """Return the name that a file says to be another name of."""
    found = re.match(r'same_as = "(.+)"', (PACKAGE_FOLDER / f"{name}.toml").read_text())
    return found[1] if found else None


ALIASES = [name for name in NAMES if alias_of(name)]
DEVICES = [name for name in NAMES if name not in ALIASES]
EXAMPLES = [(name, example) for name in DEVICES for example in REGISTRY.device(name).examples]
IDS = [f"{name}: {example.title}" for name, example in EXAMPLES]


def decoded(codec: Codec, example: Example) -> Decoded:
    """Return what a codec says of an example."""
    decode = codec.decode if example.direction == "up" else codec.decode_downlink
    return decode(example.f_port, example.payload)


def encoded(codec: Codec, example: Example, data: dict[str, Any]) -> bytes:
    """Return the payload that a codec makes of ``data``."""
    if example.direction == "up":
        return codec.encode(example.f_port, data)
    return codec.encode_downlink(data, example.f_port).payload


def numbers(device: Device) -> Iterator[Number]:
    """Yield the numbers of all uplinks."""
    for _, message in device.uplinks():
        yield from (leaf for leaf in leaves(message.items) if isinstance(leaf, Number))


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_an_example_decodes_to_what_is_printed(name: str, example: Example) -> None:
    codec = REGISTRY.load(name)
    found = decoded(codec, example)
    assert found.errors == []
    assert as_ts013(found) == example.data
    assert found.warnings == list(example.warnings)
    assert decoded(codec.reference, example) == found


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_what_an_example_says_can_be_sent_again(name: str, example: Example) -> None:
    if (name, example.payload.hex()) in ONE_TYPE_TWICE:
        with pytest.raises(PayloadError):
            encoded(REGISTRY.load(name), example, example.data)
        return
    codec = REGISTRY.load(name)
    missing = {re.sub(r"^sample (\d+): ", r"samples[\1].", warning).split(":")[0] for warning in example.warnings}
    refused = ""
    try:
        payload = encoded(codec, example, example.data)
    except PayloadError as error:
        refused = error.field or str(error)
    if refused:
        assert refused in missing, "only what is absent and has no code for it is refused"
        return
    assert encoded(codec.reference, example, example.data) == payload
    assert as_ts013(decoded(codec, msgspec.structs.replace(example, payload=payload))) == example.data


@pytest.mark.parametrize("name", NAMES)
def test_random_payloads_give_a_result_and_no_impossible_value(name: str) -> None:
    codec, rng = REGISTRY.load(name), random.Random(name)
    limits: dict[str, tuple[float, float]] = {"%": (0, 100), "hPa": (0, 1300), "m/s": (-60, 60)}
    examples = [example for example in codec.device.examples if example.direction == "up"]
    values = 0
    for _ in range(100):
        example = rng.choice(examples)
        payload = bytearray(example.payload if rng.random() < 0.8 else rng.randbytes(rng.randrange(256)))
        for _ in range(rng.randrange(4) if payload else 0):
            payload[rng.randrange(len(payload))] = rng.randrange(256)
        found = codec.decode(example.f_port, bytes(payload))
        assert found == codec.reference.decode(example.f_port, bytes(payload))
        for sample in found.samples:
            for field, value in sample.data.items():
                low, high = limits.get(found.units.get(field, ""), (float("-inf"), float("inf")))
                if name != "cayenne/lpp":  # which knows no sensor and so no limits of one
                    assert not isinstance(value, float) or low <= value <= high, f"{field} {value}"
                values += 1
    assert values > 0


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_names_its_document_and_shows_a_reading_that_is_missing(name: str) -> None:
    device = REGISTRY.device(name)
    assert device.source
    assert device.kind in CLASSES | {"generic"}
    assert len(device.examples) >= 2
    ranged = any(not number.every_code_is_a_value for number in numbers(device))
    shown = any(warning.endswith(ABSENT) for example in device.examples for warning in example.warnings)
    assert shown or not ranged or name in NONE_MISSING


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_that_can_say_frost_shows_it(name: str) -> None:
    device = REGISTRY.device(name)
    degrees = [number for number in numbers(device) if number.unit and number.unit.ucum == "Cel"]
    cold = {number.name for number in degrees if number.value(number.code_min) < 0}
    shown = [sample for each in device.examples for sample in (each.data, *each.data.get("samples", ()))]
    templates = {field: re.sub(r"_\d+$", f"_{CHANNEL}", field) for sample in shown for field in sample}
    frost = {
        form
        for sample in shown
        for field, value in sample.items()
        if isinstance(value, int | float) and value < 0
        for form in (field, templates[field])
    }
    assert not cold or cold & frost


@pytest.mark.parametrize("name", DEVICES)
def test_a_humidity_is_never_above_a_hundred(name: str) -> None:
    for number in numbers(REGISTRY.device(name)):
        if number.unit and number.unit.display == "%":
            assert 0 <= number.value(number.code_min) <= number.value(number.code_max) <= 100


@pytest.mark.parametrize("name", ALIASES)
def test_another_name_means_the_same(name: str) -> None:
    target = alias_of(name)
    assert target is not None
    assert REGISTRY.device(name).ports == REGISTRY.device(target).ports


def test_the_classes_that_municipalities_buy_are_there() -> None:
    assert {REGISTRY.device(name).kind for name in DEVICES} >= CLASSES


def test_the_readme_lists_every_device_with_its_class() -> None:
    section = README.read_text().split("## Commercial devices\n")[1].split("\n## ")[0]
    listed = dict(re.findall(r"^\| `([^`]+)` \| ([a-z_]+) \|", section, re.MULTILINE))
    assert listed == {name: REGISTRY.device(name).kind for name in DEVICES}
    assert set(re.findall(r"`([a-z0-9-]+/[a-z0-9-]+)`", section)) == set(NAMES)
