"""What a driver must have done before the SX1262 transmits or receives: errata, calibration, wiring and law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from siel_hil.models.lora_radio import Finding, LoraSettings, unlawful
from siel_hil.models.sx1262_tables import (
    LORA,
    PA_MAX_DBM,
    REG_IQ,
    REG_TX_CLAMP,
    REG_TX_MODULATION,
    TX_PARAM_MAX_DBM,
    TX_PARAM_MIN_DBM,
)

_BANDWIDTH_500K_HZ: Final = 500_000
_BIT_2: Final = 0x04
_CLAMP_BITS: Final = 0x1E


@dataclass(slots=True)
class Settings(LoraSettings):
    """Everything a command has configured; a cold start makes a new one."""

    registers: dict[int, int] = field(default_factory=dict)
    packet_type: int = 0
    tx_param_dbm: int = 14
    pa: tuple[int, int, int] | None = None
    tx_base: int = 0
    rx_base: int = 0
    irq_mask: int = 0
    dio1_mask: int = 0
    fallback_mode: int = 2
    stop_timer_on_preamble: bool = False
    dcdc: bool = False
    dio2_switch: bool = False
    tcxo_delay_us: int | None = None
    image_band_mhz: tuple[int, int] = (902, 928)


def output_dbm(settings: Settings) -> float:
    """Return the power at the antenna connector: SetTxParams within what SetPaConfig allows.

    Source: SX1261/2 datasheet table 13-21: with a smaller PA, 22 still means its maximum.
    """
    pa_max = PA_MAX_DBM.get(settings.pa[:2], TX_PARAM_MAX_DBM) if settings.pa else TX_PARAM_MAX_DBM
    asked = min(max(settings.tx_param_dbm, TX_PARAM_MIN_DBM), TX_PARAM_MAX_DBM)
    return float(asked - (TX_PARAM_MAX_DBM - pa_max))


def _radio(settings: Settings) -> Iterator[Finding]:
    if settings.packet_type != LORA:
        yield "protocol", "packet_type", "not set to LoRa"
    iq_bit = settings.registers[REG_IQ] & _BIT_2
    if bool(iq_bit) == settings.invert_iq:
        yield "errata", "15.4", f"0x0736 = 0x{settings.registers[REG_IQ]:02x} with invert_iq={int(settings.invert_iq)}"
    low_mhz, high_mhz = settings.image_band_mhz
    if not low_mhz * 1_000_000 <= settings.frequency_hz <= high_mhz * 1_000_000:
        yield "calibration", "image", f"calibrated for {low_mhz} to {high_mhz} MHz, used at {settings.frequency_hz} Hz"


def before_rx(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong at SetRx."""
    yield from _radio(settings)


def before_tx(settings: Settings, antenna_gain_db: float, needs_dio2: bool) -> Iterator[Finding]:
    """Yield what is wrong at SetTx.

    Source: SX1261/2 datasheet 15.1 (0x0889 bit 2), 15.2 (0x08D8 bits 4:1), 15.4 (0x0736 bit 2), table 13-21.
    """
    yield from _radio(settings)
    registers = settings.registers
    wide = settings.bandwidth_hz == _BANDWIDTH_500K_HZ
    if bool(registers[REG_TX_MODULATION] & _BIT_2) == wide:
        yield "errata", "15.1", f"0x0889 = 0x{registers[REG_TX_MODULATION]:02x} at {settings.bandwidth_hz} Hz"
    if registers[REG_TX_CLAMP] & _CLAMP_BITS != _CLAMP_BITS:
        yield "errata", "15.2", f"0x08d8 = 0x{registers[REG_TX_CLAMP]:02x}"
    if needs_dio2 and not settings.dio2_switch:
        yield "protocol", "rf_switch", "DIO2 does not drive the antenna switch of this board"
    if settings.pa is None or settings.pa[:2] not in PA_MAX_DBM or settings.pa[2] != 0:
        yield "protocol", "pa_config", f"{settings.pa} is not an SX1262 setting of the datasheet"
    if not TX_PARAM_MIN_DBM <= settings.tx_param_dbm <= TX_PARAM_MAX_DBM:
        yield "protocol", "tx_params", f"{settings.tx_param_dbm} dBm is outside the SX1262's range"
    yield from unlawful(settings.frequency_hz, output_dbm(settings) + antenna_gain_db)
