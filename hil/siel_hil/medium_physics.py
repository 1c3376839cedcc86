"""Radio physics as data and small functions: path loss, noise, sensitivity, airtime.

Written apart from the firmware's own arithmetic: the harness checks the firmware and borrows nothing from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

Position = tuple[float, float]
"""East and north in metres; the path-loss laws were measured with their antennas' heights and include them."""

NOISE_FIGURE_DB: Final = 6.0
"""Source: gives the SX1262's sensitivity table within 0.5 dB, SF7 to SF12 at 125 kHz."""
THERMAL_NOISE_DBM_HZ: Final = -174.0
SNR_FLOOR_DB: Final = {5: -2.5, 6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}
"""Lowest in-band SNR a frame is decoded at. Source: SX1261/2 datasheet table 6-1; bandwidth moves only the noise."""
FREQUENCY_TOLERANCE: Final = 0.25
"""Largest offset of sender and receiver, as part of the bandwidth. Source: SX1302 datasheet, less than 3 dB loss."""
PREAMBLE_SYMBOLS_NEEDED: Final = 5
"""Undisturbed preamble symbols a receiver needs. Source: Bor et al. 2016 (LoRaSim), "timing collision"."""
CAPTURE_DB: Final = 6.0
"""How far a frame must exceed same-SF interference. Source: Goursaud 2015, diagonal; Croce 2018 measured 1 dB."""
SYNC_WORD_SYMBOLS_X4: Final = 17
"""Sync word and start-of-frame delimiter, 4.25 symbols. Source: SX1261/2 datasheet 6.1.4."""
HEADER_SYMBOLS: Final = 8
LDRO_FROM_US: Final = 16000
"""Low data rate optimisation belongs to symbols of 16.38 ms and longer. Source: SX1261/2 datasheet 6.1.1.4."""


@dataclass(frozen=True)
class PathLoss:
    """Log-distance law: ``loss_db`` at ``reference_m`` and ``slope_db`` more for each tenfold distance.

    Below ``clamp_m`` the loss stays at its value there: the laws were fitted to longer links and would promise gain.
    """

    name: str
    loss_db: float
    reference_m: float
    slope_db: float
    clamp_m: float

    def at(self, distance_m: float) -> float:
        """Return the loss in dB over ``distance_m``."""
        return self.loss_db + self.slope_db * math.log10(max(distance_m, self.clamp_m) / self.reference_m)


OULU: Final = PathLoss("oulu", 128.95, 1000.0, 23.2, 10.0)
"""Source: Petajajarvi 2015, measured at 868 MHz on land in Oulu."""
LORASIM: Final = PathLoss("lorasim", 127.41, 40.0, 20.8, 40.0)
"""Source: Bor et al. 2016, built-up area: harsh."""
NS3: Final = PathLoss("ns3", 7.7, 1.0, 37.6, 1.0)
"""Source: ns-3 lorawan module's default."""
DORTMUND: Final = PathLoss("dortmund", 132.25, 1000.0, 26.5, 10.0)
"""Source: Joerke 2017, urban 868 MHz."""
PATH_LOSSES: Final = {law.name: law for law in (OULU, LORASIM, NS3, DORTMUND)}


def noise_dbm(bandwidth_hz: int) -> float:
    """Return the receiver's noise in the channel."""
    return THERMAL_NOISE_DBM_HZ + 10.0 * math.log10(bandwidth_hz) + NOISE_FIGURE_DB


def milliwatts(dbm: float) -> float:
    """Return ``dbm`` as power."""
    return math.pow(10.0, dbm / 10.0)


def total_dbm(signal_dbm: float, noise: float) -> float:
    """Return the sum of two powers given in dBm."""
    return 10.0 * math.log10(milliwatts(signal_dbm) + milliwatts(noise))


def symbols_x4_us(quarters: int, spreading_factor: int, bandwidth_hz: int) -> int:
    """Return how long ``quarters`` quarter symbols last, rounded down to a microsecond."""
    return quarters * (1 << spreading_factor) * 250_000 // bandwidth_hz


def needs_ldro(spreading_factor: int, bandwidth_hz: int) -> bool:
    """Say whether LoRaWAN wants low data rate optimisation at this modulation."""
    return symbols_x4_us(4, spreading_factor, bandwidth_hz) >= LDRO_FROM_US


def airtime_us(
    spreading_factor: int,
    bandwidth_hz: int,
    length: int,
    *,
    crc: bool = True,
    coding_rate: int = 5,
    preamble: int = 8,
    implicit: bool = False,
    ldro: bool | None = None,
) -> int:
    """Return the time a frame is on air, as the transmitter is really set.

    Args:
        spreading_factor: 5 to 12.
        bandwidth_hz: Bandwidth.
        length: PHYPayload, 0 to 255 bytes.
        crc: Whether two bytes of CRC follow the payload.
        coding_rate: 5 to 8 for 4/5 to 4/8.
        preamble: Programmed symbols.
        implicit: Whether the header is left out.
        ldro: Low data rate optimisation as set; None follows the rule.

    Source: SX1261/2 datasheet 6.1.4.
    """
    optimised = needs_ldro(spreading_factor, bandwidth_hz) if ldro is None else ldro
    bits = 8 * length + 16 * crc - 4 * spreading_factor + (0 if implicit else 20)
    if spreading_factor > 6:  # noqa: PLR2004 - SF5 and SF6 have their own formula in the datasheet
        bits += 8
        quarters = 4 * preamble + SYNC_WORD_SYMBOLS_X4
        block_bits = 4 * (spreading_factor - 2 * optimised)
    else:
        quarters = 4 * preamble + SYNC_WORD_SYMBOLS_X4 + 8
        block_bits = 4 * spreading_factor
    quarters += 4 * (HEADER_SYMBOLS + math.ceil(max(bits, 0) / block_bits) * coding_rate)
    return symbols_x4_us(quarters, spreading_factor, bandwidth_hz)
