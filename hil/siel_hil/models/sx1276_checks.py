"""What the SX1276's registers mean together, and what a driver must have written before it transmits or receives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from siel_hil.medium_physics import needs_ldro
from siel_hil.models import sx1276_tables as tab
from siel_hil.models.lora_radio import Finding, LoraSettings, unlawful

_FASTEST: Final = 7
_SLOWEST: Final = 12
_WIDE_HZ: Final = 500_000
_HIGH_BAND_HZ: Final = range(862_000_000, 1_020_000_001)
_LOW_BAND_HZ: Final = range(410_000_000, 525_000_001)
_OCP_STEEP_FROM: Final = 16
_OCP_FLAT_FROM: Final = 28


def decode(registers: bytes | bytearray, *, sending: bool) -> LoraSettings | None:
    """Return what the LoRa page sets; None for a modulation that is reserved or, with SF6, not modelled.

    Args:
        registers: All 128.
        sending: The two directions have IQ bits of their own.
    """
    config_1, config_2 = registers[tab.MODEM_CONFIG_1], registers[tab.MODEM_CONFIG_2]
    bandwidth, coding, spreading_factor = config_1 >> 4, config_1 >> 1 & 7, config_2 >> 4
    if bandwidth >= len(tab.BANDWIDTHS_HZ) or not 1 <= coding <= 4 or not _FASTEST <= spreading_factor <= _SLOWEST:  # noqa: PLR2004 - table 41
        return None
    iq = registers[tab.INVERT_IQ]
    return LoraSettings(
        # 32 MHz / 2**19 = 15625 / 2**8 Hz per step
        frequency_hz=(int.from_bytes(registers[tab.FRF : tab.FRF + 3], "big") * 15625 + (1 << 7)) >> 8,
        spreading_factor=spreading_factor,
        bandwidth_hz=tab.BANDWIDTHS_HZ[bandwidth],
        coding_rate=coding + 4,
        ldro=bool(registers[tab.MODEM_CONFIG_3] & 8),
        preamble=registers[tab.PREAMBLE] << 8 | registers[tab.PREAMBLE + 1],
        implicit=bool(config_1 & 1),
        payload_length=registers[tab.PAYLOAD_LENGTH],
        crc=bool(config_2 & 4),
        # the bit of sending is 1 for standard, that of receiving is 1 for inverted
        invert_iq=not iq & 1 if sending else bool(iq & 0x40),
        symbol_timeout=(config_2 & 3) << 8 | registers[tab.SYMB_TIMEOUT],
    )


def air_sync_word(register: int) -> int:
    """Return RegSyncWord as the SX126x write it, 0xYZ as 0xY4Z4: one on air, and so in the medium."""
    return (register & 0xF0) << 8 | 0x400 | (register & 0x0F) << 4 | 4


def output_dbm(registers: bytes | bytearray) -> float:
    """Return the power at the selected pin, section 5.4.2 and 5.4.3."""
    config = registers[tab.PA_CONFIG]
    below = 15 - (config & 15)
    if config & tab.BOOST:
        return float((20 if registers[tab.PA_DAC] == tab.PA_DAC_20_DBM else 17) - below)
    return 10.8 + 0.6 * (config >> 4 & 7) - below


def _ocp_ma(register: int) -> int:
    """Return the limit of the overload current protection, section 5.4.4."""
    trim = register & 31
    if trim < _OCP_STEEP_FROM:
        return 45 + 5 * trim
    return -30 + 10 * trim if trim < _OCP_FLAT_FROM else 240


def _modem(registers: bytes | bytearray, settings: LoraSettings) -> Iterator[Finding]:
    optimize, threshold = registers[tab.DETECT_OPTIMIZE], registers[tab.DETECTION_THRESHOLD]
    if optimize & 7 != 3 or threshold != 0x0A:  # noqa: PLR2004 - section 4.1.1.2
        yield "protocol", "detection", f"0x31 = 0x{optimize:02x} and 0x37 = 0x{threshold:02x} are not for SF7 to SF12"
    wanted = 0x19 if settings.invert_iq else 0x1D
    if registers[tab.INVERT_IQ_2] != wanted:
        found = registers[tab.INVERT_IQ_2]
        yield "protocol", "invert_iq_2", f"0x3b = 0x{found:02x} with invert_iq={int(settings.invert_iq)}"
    if not settings.ldro and needs_ldro(settings.spreading_factor, settings.bandwidth_hz):
        yield "protocol", "ldro", f"off at SF{settings.spreading_factor}, {settings.bandwidth_hz} Hz"


def before_rx(registers: bytes | bytearray, settings: LoraSettings, *, single: bool) -> Iterator[Finding]:
    """Yield what is wrong when reception starts.

    Source: SX1276/77/78 errata note rev. 1: 2.1 (0x36 and 0x3A at 500 kHz), 2.3 (bit 7 of 0x31, 0x2F and 0x30).
    """
    yield from _modem(registers, settings)
    if single and settings.symbol_timeout < tab.MIN_SYMB_TIMEOUT:
        yield "protocol", "symb_timeout", f"{settings.symbol_timeout} symbols"
    wide, high_1, high_2 = settings.bandwidth_hz == _WIDE_HZ, registers[tab.HIGH_BW_1], registers[tab.HIGH_BW_2]
    wanted = 0x64 if settings.frequency_hz in _HIGH_BAND_HZ else 0x7F if settings.frequency_hz in _LOW_BAND_HZ else None
    if (high_1 != 0x02 or high_2 != wanted) if wide and wanted is not None else high_1 != 0x03:  # noqa: PLR2004 - the note
        yield "errata", "2.1", f"0x36 = 0x{high_1:02x}, 0x3a = 0x{high_2:02x} at {settings.bandwidth_hz} Hz"
    automatic, if_2, if_1 = registers[tab.DETECT_OPTIMIZE] >> 7, registers[tab.IF_FREQ_2], registers[tab.IF_FREQ_1]
    right_if = (if_2, if_1) == (tab.IF_FREQ_2_VALUES.get(settings.bandwidth_hz, 0x40), 0)
    if automatic != wide or not (wide or right_if):
        yield "errata", "2.3", f"0x31 bit 7 = {automatic}, 0x2f = 0x{if_2:02x}, 0x30 = 0x{if_1:02x}"


def before_tx(
    registers: bytes | bytearray, settings: LoraSettings, antenna_gain_db: float, *, boost: bool
) -> Iterator[Finding]:
    """Yield what is wrong when transmission starts; ``boost``: the board's antenna is at PA_BOOST."""
    yield from _modem(registers, settings)
    config, dac, ocp = registers[tab.PA_CONFIG], registers[tab.PA_DAC], registers[tab.OCP]
    if bool(config & tab.BOOST) != boost:
        yield "protocol", "pa_select", f"the antenna of this board is at {'PA_BOOST' if boost else 'RFO'}"
    if dac not in {tab.PA_DAC_DEFAULT, tab.PA_DAC_20_DBM}:
        yield "protocol", "pa_dac", f"0x4d = 0x{dac:02x}"
    if config & tab.BOOST and dac == tab.PA_DAC_20_DBM and ocp & tab.OCP_ON and _ocp_ma(ocp) < tab.OCP_20_DBM_MA:
        yield "protocol", "ocp", f"{_ocp_ma(ocp)} mA is too little for 20 dBm"
    yield from unlawful(settings.frequency_hz, output_dbm(registers) + antenna_gain_db)
