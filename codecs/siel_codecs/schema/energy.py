"""What a message costs a battery: a table of currents, each with where it comes from, and one sum over it.

The sum is charge: the part that a battery's data sheet states. Cold, pulses and the end voltage of a regulator take
their share of it; take a result as what is possible at best with these figures.
"""

from __future__ import annotations

from typing import Final

import msgspec

from siel_node import lora, region_eu868
from siel_node.mac import rx_window

_SECONDS_PER_YEAR: Final = 365.25 * 86_400
_MAS_PER_MAH: Final = 3600
MOST_YEARS: Final = 1000
"""No result is longer."""
_RX_ERROR_US: Final = 10_000
"""How far off the node's windows may be; what the firmware assumes unless told otherwise."""


class Figure(msgspec.Struct, frozen=True):
    """One number of the energy model."""

    name: str
    value: float
    unit: str
    what: str
    source: str


FIGURES: Final = (
    Figure(
        "battery_mah",
        7700,
        "mAh",
        "charge of the battery",
        "one C cell, lithium thionyl chloride, that can give the pulses of sending (Saft LS 26500 data sheet)",
    ),
    Figure(
        "self_discharge",
        1.0,
        "% per year",
        "what the battery loses by itself",
        "lithium thionyl chloride at 20 °C, below 1 % (Saft LS 26500 data sheet)",
    ),
    Figure(
        "tx_ma",
        90.0,
        "mA",
        "the radio while it sends",
        "SX1262 at 14 dBm and 868 MHz, DC-DC, PA set up for 22 dBm as our driver does "
        "(SX1261/2 data sheet, power consumption in transmit mode)",
    ),
    Figure(
        "rx_ma",
        5.3,
        "mA",
        "the radio while a window is open",
        "SX1262, LoRa 125 kHz, full gain, DC-DC (SX1261/2 data sheet, power consumption)",
    ),
    Figure(
        "awake_ma",
        5.0,
        "mA",
        "the microcontroller from the measurement to the end of RX2",
        "assumed: a small Cortex-M at a few tens of MHz; measure yours",
    ),
    Figure(
        "awake_s",
        3.0,
        "s",
        "how long it is awake per message beside the time on air",
        "assumed 1 s to measure, and RX2 opens 2 s after the uplink (RP002-1.0.4, section 2.3)",
    ),
    Figure(
        "sleep_ua",
        10.0,
        "µA",
        "everything while it sleeps",
        "assumed: microcontroller, regulator and sensor; the radio's share is 0.6 µA "
        "(SX1261/2 data sheet, sleep with warm start)",
    ),
)
"""The energy model's figures; every one of them can be replaced."""


class EnergyModel(msgspec.Struct, frozen=True):
    """The figures that hold for one device; the defaults and their sources are ``FIGURES``."""

    battery_mah: float = FIGURES[0].value
    self_discharge: float = FIGURES[1].value
    """Percent of the battery's charge per year."""
    tx_ma: float = FIGURES[2].value
    rx_ma: float = FIGURES[3].value
    awake_ma: float = FIGURES[4].value
    awake_s: float = FIGURES[5].value
    sleep_ua: float = FIGURES[6].value


def windows_s(data_rate: int) -> float:
    """Return how long RX1 and RX2 are open after an uplink that nothing answers.

    Args:
        data_rate: Of the uplink, 0 to 5; RX1 is at the same one, RX2 at DR0.
    """
    total_us = 0
    for rate in (data_rate, region_eu868.RX2_DR):
        spreading_factor, bandwidth_hz = region_eu868.DATA_RATES[rate]
        symbols, _ = rx_window(spreading_factor, bandwidth_hz, _RX_ERROR_US)
        total_us += symbols * lora.symbol_time_us(spreading_factor, bandwidth_hz)
    return total_us / 1e6


def message_mas(model: EnergyModel, data_rate: int, airtime_us: int) -> float:
    """Return the charge in mA s of one unconfirmed uplink with both of its windows.

    Args:
        model: The figures.
        data_rate: 0 to 5.
        airtime_us: Of the uplink.
    """
    airtime_s = airtime_us / 1e6
    sending = model.tx_ma * airtime_s
    listening = model.rx_ma * windows_s(data_rate)
    return sending + listening + model.awake_ma * (model.awake_s + airtime_s)


def battery_years(model: EnergyModel, data_rate: int, airtime_us: int, interval_s: float) -> float:
    """Return how many years the battery lasts with one such uplink per interval.

    Args:
        model: The figures.
        data_rate: 0 to 5.
        airtime_us: Of the uplink.
        interval_s: From one uplink to the next, above 0.

    Returns:
        At most ``MOST_YEARS``; a board that draws next to nothing is a slip in its figures.
    """
    return years_at(model, message_mas(model, data_rate, airtime_us), interval_s)


def years_at(model: EnergyModel, mas: float, interval_s: float) -> float:
    """Return how many years the battery lasts when each interval takes so much from it, and sleep the rest.

    Args:
        model: The figures.
        mas: mA s per interval, 0 or more.
        interval_s: Above 0.

    Returns:
        At most ``MOST_YEARS``.
    """
    mean_ma = mas / interval_s + model.sleep_ua / 1000
    drawn_mah = mean_ma * _SECONDS_PER_YEAR / _MAS_PER_MAH
    lost_mah = model.battery_mah * model.self_discharge / 100
    used_mah = drawn_mah + lost_mah
    return model.battery_mah / max(used_mah, model.battery_mah / MOST_YEARS)
