"""SenML records of what a payload says: primary units only, values exact.

Source: RFC 8428; section numbers below are its own.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import cbor2
import msgspec

from siel_codecs.schema.below import leaves
from siel_codecs.schema.model import CHANNEL, Number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siel_codecs.codec import Decoded
    from siel_codecs.schema.model import Device, Unit

Record = dict[str, Any]

CBOR_LABELS: Final = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
"""Source: section 6, table 4."""
_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9:./_-]*")
"""Source: section 4.5.1."""
_JSON: Final = msgspec.json.Encoder(decimal_format="number")


class SenmlMap:
    """The records of one device; keep it where many payloads are mapped."""

    def __init__(self, device: Device) -> None:
        """Collect the units by name and by what people see."""
        self._units: dict[tuple[str, str], Unit] = {}
        self._channels: list[tuple[re.Pattern[str], Unit]] = []
        for _, message in (*device.uplinks(), *device.downlinks()):
            for leaf in leaves(message.items):
                if isinstance(leaf, Number) and leaf.unit is not None:
                    self._units.setdefault((leaf.name, leaf.unit.display), leaf.unit)
                    if CHANNEL in leaf.name:
                        pattern = "[0-9]+".join(map(re.escape, leaf.name.split(CHANNEL)))
                        self._channels.append((re.compile(pattern), leaf.unit))

    def records(self, decoded: Decoded, base_name: str = "") -> list[Record]:
        """Return the pack of a decoded payload; see ``senml_records``."""
        if base_name and not _NAME.fullmatch(base_name):
            raise ValueError(f"{base_name!r} is no SenML name: letters, digits and - : . / _, first a letter or digit")
        base = decoded.samples[0].time_ms if decoded.samples else None
        found: list[Record] = []
        for sample in decoded.samples:
            if sample.time_ms is not None:
                after = sample.time_ms - (base or 0)
            elif sample.age_ms is not None and base is None:
                after = -sample.age_ms
            else:
                continue
            time = {"t": exact(Fraction(after, 1000))} if after else {}
            found += [{**record, **time} for record in self._sample(sample.data, decoded.units)]
        if found:
            name = {"bn": base_name} if base_name else {}
            found[0] = {**name, **({} if base is None else {"bt": exact(Fraction(base, 1000))}), **found[0]}
        return found

    def _sample(self, data: dict[str, Any], units: dict[str, str]) -> Iterator[Record]:
        for name, value in data.items():
            unit = self._unit(name, units.get(name, ""))
            if isinstance(value, list):
                parts = [(f"{name}_{place}", each) for place, each in enumerate(value) if each is not None]
            else:
                parts = [(name, value)]
            yield from (_record(part, each, unit) for part, each in parts)

    def _unit(self, name: str, display: str) -> Unit | None:
        if (name, display) in self._units:
            return self._units[name, display]
        channels = (unit for pattern, unit in self._channels if unit.display == display and pattern.fullmatch(name))
        return next(channels, None)


def senml_records(device: Device, decoded: Decoded, base_name: str = "") -> list[Record]:
    """Return one record per value that is there, with the labels of section 5 (JSON).

    Numbers are ints and Decimals: the value's decimal text times the factor to the primary unit; a float, the nearest
    one, only where that is no decimal number (1/3600). Times are the samples' own, relative to the base time. A list
    is ``name_0``, ``name_1`` ... Where nobody told when the frame was received, times are relative to now. An older
    sample whose age is not known has no records: one without a time would say that it was measured now (section 4.5.3).

    Args:
        device: Gives the units.
        decoded: What its codec said; with errors there are no records.
        base_name: Stands before every name; a unique one ends in ``:`` or ``/`` (``urn:dev:mac:0011223344556677:``).

    Raises:
        ValueError: The base name has characters that SenML does not allow.
    """
    return SenmlMap(device).records(decoded, base_name)


def senml_json(records: Sequence[Record]) -> bytes:
    """Return a pack as SenML JSON (section 5), media type application/senml+json."""
    return _JSON.encode(records)


def senml_cbor(records: Sequence[Record]) -> bytes:
    """Return a pack as SenML CBOR (section 6), media type application/senml+cbor; decimal fractions are exact."""
    return cbor2.dumps([{CBOR_LABELS[label]: value for label, value in record.items()} for record in records])


def exact(value: Fraction) -> int | Decimal | float:
    """Return a fraction as an int or a decimal number where it is one, else as the nearest float."""
    if value.denominator == 1:
        return value.numerator
    rest, tens = value.denominator, 0
    while rest % 2 == 0 or rest % 5 == 0:
        tens += 1
        rest //= {(True, True): 10, (True, False): 2, (False, True): 5}[rest % 2 == 0, rest % 5 == 0]
    if rest != 1:
        return value.numerator / value.denominator
    return Decimal(f"{value.numerator * 10**tens // value.denominator}E-{tens}")  # from text: no context rounds it


def _record(name: str, value: Any, unit: Unit | None) -> Record:
    if isinstance(value, bool):
        return {"n": name, "vb": value}
    if isinstance(value, str):
        return {"n": name, "vs": value}
    if unit is None or not unit.senml:
        return {"n": name, "v": exact(Fraction(str(value)))}
    return {"n": name, "u": unit.senml, "v": exact(Fraction(str(value)) * Fraction(unit.senml_num, unit.senml_den))}
