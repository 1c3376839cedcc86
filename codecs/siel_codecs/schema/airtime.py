"""What the messages of a device cost on air: bytes, milliseconds, legality, messages per hour, years of battery.

EU868 with its six usual data rates, SF12 (DR0) to SF7 (DR5) at 125 kHz. An uplink has the header, the port and the MIC
of LoRaWAN around its payload and no MAC commands in it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from siel_codecs.schema import extent
from siel_codecs.schema.energy import EnergyModel, battery_years
from siel_codecs.schema.extent import End, Span
from siel_codecs.schema.model import Device, Message, Port
from siel_node import lora, region_eu868

OVERHEAD_BYTES: Final = 13
"""MHDR 1, DevAddr 4, FCtrl 1, FCnt 2, FPort 1, MIC 4. Source: TS001-1.0.4, chapter 4."""
DATA_RATES: Final = tuple(range(region_eu868.MAX_CHANNEL_DR + 1))
DUTY_CYCLES_PERMILLE: Final = tuple(sorted({band[2] for band in region_eu868.SUB_BANDS}))
"""Those of the sub-bands: 0.1 %, 1 % and 10 %."""
USUAL_PERMILLE: Final = region_eu868.SUB_BANDS[region_eu868.sub_band(region_eu868.DEFAULT_CHANNELS_HZ[0])][2]
"""That of the three channels that every device has."""
DEFAULT_INTERVAL_S: Final = 600
_HOUR_US: Final = 3_600_000_000


class Step(msgspec.Struct, frozen=True):
    """The last step in time on air that a frame takes, and who made it."""

    field: str
    """The last field in wire order whose bits made the frame take more symbols; empty: the header alone does."""
    bits_to_save: int
    """How many bits would have to go for a step less; 0: not even an empty payload is shorter."""
    saves_us: int
    """What they would save."""


class Rate(msgspec.Struct, frozen=True):
    """One frame at one data rate."""

    data_rate: int
    spreading_factor: int
    airtime_us: int
    legal: bool
    """Whether EU868 carries a payload of this size at this data rate at all."""
    messages_per_hour: dict[str, int]
    """By duty cycle in percent: "0.1", "1", "10"; a band of its own for this device."""
    shortest_interval_s: float
    """What the duty cycle of the default channels allows."""
    battery_years: float | None
    """None: not legal at this data rate or this interval."""
    step: Step


class Frame(msgspec.Struct, frozen=True):
    """The message at one size."""

    end: End
    payload_bytes: int
    payload_bits: int
    phy_bytes: int
    legal_at: tuple[int, ...]
    """Data rates."""
    rates: tuple[Rate, ...]


class MessageAirtime(msgspec.Struct, frozen=True):
    """One uplink message; one frame where its size is static, else the smallest and the largest."""

    f_ports: tuple[int, ...]
    version: int | None
    title: str
    frames: tuple[Frame, ...]


class Airtime(msgspec.Struct, frozen=True):
    """All uplink messages of a device."""

    device: str
    interval_s: float
    energy: EnergyModel
    messages: tuple[MessageAirtime, ...]


def airtime(device: Device, interval_s: float = DEFAULT_INTERVAL_S, energy: EnergyModel | None = None) -> Airtime:
    """Return what each uplink message of a device costs.

    Args:
        device: Any device.
        interval_s: From one uplink to the next, above 0; for the battery.
        energy: Figures of the battery and the board; None: the defaults.
    """
    figures = energy or EnergyModel()
    found = tuple(_message(port, message, interval_s, figures) for port, message in device.uplinks())
    return Airtime(device.name, interval_s, figures, found)


def airtime_us(data_rate: int, payload_bytes: int) -> int:
    """Return the time on air of an uplink with a payload of this size at DR0 to DR5."""
    spreading_factor, bandwidth_hz = region_eu868.DATA_RATES[data_rate]
    return lora.airtime_us(spreading_factor, bandwidth_hz, OVERHEAD_BYTES + payload_bytes)


def legal_at(payload_bytes: int) -> tuple[int, ...]:
    """Return the data rates at which EU868 carries a payload of this size."""
    return tuple(rate for rate in DATA_RATES if payload_bytes <= region_eu868.MAX_PAYLOAD_BYTES[rate])


def step(data_rate: int, found: list[Span]) -> Step:
    """Return which field made a frame take its last symbols at a data rate.

    Args:
        data_rate: 0 to 5.
        found: The fields in wire order.
    """
    bits = sum(span.bits for span in found)
    size = extent.size_bytes(found)
    now_us = airtime_us(data_rate, size)
    shorter = next((length for length in reversed(range(size)) if airtime_us(data_rate, length) < now_us), None)
    if shorter is None:
        return Step("", 0, 0)
    at = 0
    for span in found:
        at += span.bits
        if at > 8 * shorter:
            return Step(span.name, bits - 8 * shorter, now_us - airtime_us(data_rate, shorter))
    raise AssertionError("a frame has the bits of its fields")


def _message(port: Port, message: Message, interval_s: float, energy: EnergyModel) -> MessageAirtime:
    small, large = extent.spans(message, "smallest"), extent.spans(message, "largest")
    frames = [_frame("smallest", small, interval_s, energy)]
    if sum(span.bits for span in small) != sum(span.bits for span in large):
        frames.append(_frame("largest", large, interval_s, energy))
    return MessageAirtime(port.f_ports, message.version, message.title, tuple(frames))


def _frame(end: End, found: list[Span], interval_s: float, energy: EnergyModel) -> Frame:
    size = extent.size_bytes(found)
    legal = legal_at(size)
    rates = tuple(_rate(rate, size, found, rate in legal, interval_s, energy) for rate in DATA_RATES)
    return Frame(end, size, sum(span.bits for span in found), OVERHEAD_BYTES + size, legal, rates)


def _rate(data_rate: int, size: int, found: list[Span], legal: bool, interval_s: float, energy: EnergyModel) -> Rate:
    time_us = airtime_us(data_rate, size)
    shortest_s = time_us / 1e6 * 1000 / USUAL_PERMILLE
    return Rate(
        data_rate=data_rate,
        spreading_factor=region_eu868.DATA_RATES[data_rate][0],
        airtime_us=time_us,
        legal=legal,
        messages_per_hour={
            f"{permille / 10:g}": _HOUR_US * permille // (1000 * time_us) if legal else 0
            for permille in DUTY_CYCLES_PERMILLE
        },
        shortest_interval_s=shortest_s,
        battery_years=battery_years(energy, data_rate, time_us, interval_s)
        if legal and interval_s >= shortest_s
        else None,
        step=step(data_rate, found),
    )
