"""What a node on a board draws, how long a battery lasts, and how long its flash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from siel_codecs.schema.airtime import USUAL_PERMILLE, airtime_us
from siel_codecs.schema.energy import EnergyModel, message_mas, years_at
from siel_hil.board_files import Board
from siel_node.duty_cycle import DutyCycle
from siel_node.region_eu868 import DEFAULT_CHANNELS_HZ
from siel_node.state import F_CNT_BLOCK

DATA_RATE: Final = 3
"""SF9."""
PAYLOAD_BYTES: Final = 12
"""More than most of the types of siel/ take."""
BATTERY_MAH: Final = 19_000
"""One D cell, lithium thionyl chloride."""
ENDURANCE_ERASES: Final = 100_000
"""Of one block. Source: W25Q16JV data sheet; other flash of this kind says the same."""
ERASES_PER_WRITE: Final = 2
"""Assumed, and more than littlefs takes: it appends to what is erased, and erases when a block is full."""
LEVELLED_BLOCKS: Final = 16
"""Assumed: so many free blocks littlefs has to wander over; it leaves one after 100 erases."""
_YEAR_S: Final = 365.25 * 86_400
_MOST_YEARS: Final = 1000.0
_WARM_UP: Final = 200
_COUNTED: Final = 2000


class Goal(msgspec.Struct, frozen=True):
    """What a node with this microcontroller should draw at most."""

    sleep_ua: float
    uplink_mc: float


GOALS: Final[Mapping[str, Goal]] = {"esp32s3": Goal(sleep_ua=25, uplink_mc=80)}
"""By ``mcu``; a board with an RP2040 is for mains or sun and has none."""


class BoardEnergy(msgspec.Struct, frozen=True):
    """One board with one reading per interval."""

    board: str
    sleep_ua: float
    uplink_mc: float
    """One unconfirmed uplink with the measurement before it, both windows, and its share of what is stored."""
    battery_years: float
    """When it sleeps in between."""
    battery_years_awake: float
    """When it waits in between with its clocks running."""
    goal: Goal | None


class Wear(msgspec.Struct, frozen=True):
    """How many years the flash lasts that keeps the records of MAC and airtime; 1000 at most."""

    writes_per_uplink: float
    years_one_block: float
    """If every erase hit the same block."""
    years_levelled: float
    """With the wandering of littlefs."""


def shortest_interval_s() -> float:
    """Return the interval below which the duty cycle of the channels that every device has forbids that uplink."""
    return airtime_us(DATA_RATE, PAYLOAD_BYTES) / 1e6 * 1000 / USUAL_PERMILLE


def board_energy(board: Board, interval_s: float) -> BoardEnergy:
    """Return what a board draws with one uplink of ``PAYLOAD_BYTES`` at SF9 per interval.

    Args:
        board: A node's.
        interval_s: Above 0.
    """
    figures = board.energy
    model = EnergyModel(
        battery_mah=BATTERY_MAH,
        tx_ma=figures.tx_ma.value,
        rx_ma=figures.rx_ma.value,
        awake_ma=figures.mcu_ma.value,
        sleep_ua=figures.sleep_ua.value,
    )
    awake = msgspec.structs.replace(model, sleep_ua=model.awake_ma * 1000)
    mas = message_mas(model, DATA_RATE, airtime_us(DATA_RATE, PAYLOAD_BYTES))
    mas += figures.flash_write_mc.value * writes_per_uplink(interval_s)
    # awake all the time: what the message needs of the microcontroller is in that already
    radio_mas = message_mas(msgspec.structs.replace(model, awake_ma=0), DATA_RATE, airtime_us(DATA_RATE, PAYLOAD_BYTES))
    return BoardEnergy(
        board=board.general.name,
        sleep_ua=model.sleep_ua,
        uplink_mc=mas,
        battery_years=years_at(model, mas, interval_s),
        battery_years_awake=years_at(awake, radio_mas, interval_s),
        goal=GOALS.get(board.general.mcu),
    )


def writes_per_uplink(interval_s: float) -> float:
    """Return how often one uplink that nothing answers has a record stored, on a node that has run for long.

    The airtime's share is what the node's own ledger asks for; all uplinks are taken to be in the band that every
    device has.
    """
    ledger = DutyCycle()
    time_us = airtime_us(DATA_RATE, PAYLOAD_BYTES)
    frequency_hz = DEFAULT_CHANNELS_HZ[0]
    stores = 0
    for n in range(_WARM_UP + _COUNTED):
        stores += ledger.reserve(frequency_hz, time_us) and n >= _WARM_UP
        ledger.spend(round(n * interval_s), frequency_hz, time_us)
        ledger.wait_s(round(n * interval_s), frequency_hz, time_us)
    return 1 / F_CNT_BLOCK + stores / _COUNTED


def wear(interval_s: float, answered: bool) -> Wear:
    """Return what storing its records does to a node's flash.

    Args:
        interval_s: From uplink to uplink, above 0.
        answered: Whether every uplink gets a downlink, whose counter is stored; else none does.
    """
    writes = writes_per_uplink(interval_s) + (1 if answered else 0)
    years = ENDURANCE_ERASES / (writes * ERASES_PER_WRITE) * interval_s / _YEAR_S
    return Wear(
        writes_per_uplink=writes,
        years_one_block=min(years, _MOST_YEARS),
        years_levelled=min(years * LEVELLED_BLOCKS, _MOST_YEARS),
    )
