"""The SX1262 as data: opcodes, register values after reset, times, power settings.

Source of everything without another: SX1261/2 datasheet rev. 2.1, the table or section named.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# --- interrupts, table 13-29 ----------------------------------------------------------------------------------
IRQ_TX_DONE: Final = 0x0001
IRQ_RX_DONE: Final = 0x0002
IRQ_PREAMBLE: Final = 0x0004
IRQ_HEADER_VALID: Final = 0x0010
IRQ_HEADER_ERR: Final = 0x0020
IRQ_CRC_ERR: Final = 0x0040
IRQ_TIMEOUT: Final = 0x0200

# --- chip modes and command status in the status byte, table 13-76 --------------------------------------------
SLEEP: Final = 0
STBY_RC: Final = 2
STBY_XOSC: Final = 3
FS: Final = 4
RX: Final = 5
TX: Final = 6
STATUS_QUIET: Final = 1
STATUS_DATA: Final = 2
STATUS_BAD_COMMAND: Final = 4
STATUS_FAILED: Final = 5
STATUS_TX_DONE: Final = 6

XOSC_START_ERR: Final = 0x0020
"""Device error, table 13-85."""

LORA: Final = 1
"""Packet type, table 13-38; after reset it is 0, GFSK."""
BANDWIDTHS_HZ: Final = {
    0: 7810,
    8: 10420,
    1: 15630,
    9: 20830,
    2: 31250,
    10: 41670,
    3: 62500,
    4: 125000,
    5: 250000,
    6: 500000,
}
"""Table 13-48."""

# --- times -----------------------------------------------------------------------------------------------------
COLD_START_US: Final = 3500
WARM_START_US: Final = 340
"""Table 8-2; the same figures in ST RM0453 table 33."""
SWITCH_US: Final = {
    (STBY_RC, STBY_XOSC): 31,
    (STBY_RC, FS): 50,
    (STBY_RC, RX): 83,
    (STBY_RC, TX): 126,
    (STBY_XOSC, FS): 40,
    (STBY_XOSC, RX): 62,
    (STBY_XOSC, TX): 105,
    (FS, RX): 41,
    (FS, TX): 76,
    (RX, FS): 15,
    (RX, TX): 92,
}
"""How long BUSY stays high, table 8-2 (RM0453 table 33); in TX the preamble begins when it falls."""
COMMAND_US: Final = 30
"""BUSY after a command that changes no mode: no figure in the datasheet, long enough to catch who never looks."""
CALIBRATE_US: Final = 3500
"""Section 9.2.1: all blocks."""
CALIBRATE_IMAGE_US: Final = 3500
"""The datasheet has no figure of its own; drivers allow more."""
SLEEP_SETTLE_US: Final = 500
"""Section 13.1.1: the chip does not answer for this long after SetSleep."""
TIMER_STEP_NS: Final = 15625
"""Section 13.1.4: SetTx and SetRx count in 15.625 us."""
CONTINUOUS: Final = 0xFFFFFF
CRYSTAL_MODES: Final = (STBY_XOSC, FS, RX, TX)

# --- registers -------------------------------------------------------------------------------------------------
REG_RETENTION: Final = 0x029F
"""Count and addresses of what a warm sleep keeps. Source: SWL2001, sx126x_add_registers_to_retention_list."""
RETENTION_SLOTS: Final = 4
REG_SYNC_WORD: Final = 0x0740
REG_IQ: Final = 0x0736
REG_HEADER_CR: Final = 0x0749
REG_HEADER_CRC: Final = 0x076B
"""Coding rate (bits 6:4), CRC flag (bit 4) of the last header. Source: SWL2001, sx126x_get_lora_params_from_header."""
REG_RANDOM: Final = range(0x0819, 0x081D)
REG_TX_MODULATION: Final = 0x0889
REG_RX_GAIN: Final = 0x08AC
REG_TX_CLAMP: Final = 0x08D8
RESET_REGISTERS: Final = {
    **dict(enumerate(b"SX1261 V2D 2D02\0", start=0x0320)),
    REG_IQ: 0x0D,
    REG_SYNC_WORD: 0x14,
    REG_SYNC_WORD + 1: 0x24,
    REG_TX_MODULATION: 0x01,
    REG_RX_GAIN: 0x94,
    REG_TX_CLAMP: 0xC8,
    0x0902: 0x01,
    0x0944: 0x00,
}
"""Source: table 12-1 and drivers' traces."""
LOST_IN_WARM_SLEEP: Final = (REG_IQ, REG_TX_MODULATION, REG_RX_GAIN)
"""Source: SWL2001 puts these on the retention list; RX gain also in section 9.6."""

# --- power -----------------------------------------------------------------------------------------------------
PA_MAX_DBM: Final = {(4, 7): 22, (3, 5): 20, (2, 3): 17, (2, 2): 14}
"""(paDutyCycle, hpMax) -> dBm that SetTxParams 22 gives. Source: table 13-21, SX1262."""
TX_PARAM_MIN_DBM: Final = -9
TX_PARAM_MAX_DBM: Final = 22
RESET_IMAGE_BAND_MHZ: Final = (902, 928)
"""Section 9.2.1: the image is calibrated for this band at power-up."""


class Command(NamedTuple):
    """One opcode: method of the model that carries it out, bytes it needs after the opcode, BUSY afterwards."""

    method: str
    length: int
    busy_us: int = COMMAND_US


COMMANDS: Final = {
    0x00: Command("reset_stats", 6),
    0x02: Command("clear_irq", 2),
    0x07: Command("clear_device_errors", 2),
    0x08: Command("set_dio_irq_params", 8),
    0x0D: Command("write_register", 3),
    0x0E: Command("write_buffer", 1),
    0x10: Command("nothing", 0, 0),
    0x11: Command("nothing", 0, 0),
    0x12: Command("nothing", 0, 0),
    0x13: Command("nothing", 0, 0),
    0x14: Command("nothing", 0, 0),
    0x15: Command("nothing", 0, 0),
    0x17: Command("nothing", 0, 0),
    0x1D: Command("nothing", 2, 0),
    0x1E: Command("nothing", 1, 0),
    0x80: Command("set_standby", 1),
    0x82: Command("set_rx", 3),
    0x83: Command("set_tx", 3),
    0x84: Command("set_sleep", 1),
    0x86: Command("set_rf_frequency", 4),
    0x89: Command("calibrate", 1, CALIBRATE_US),
    0x8A: Command("set_packet_type", 1),
    0x8B: Command("set_modulation_params", 4),
    0x8C: Command("set_packet_params", 6),
    0x8E: Command("set_tx_params", 2),
    0x8F: Command("set_buffer_base_address", 2),
    0x93: Command("set_fallback_mode", 1),
    0x95: Command("set_pa_config", 4),
    0x96: Command("set_regulator_mode", 1),
    0x97: Command("set_dio3_as_tcxo", 4),
    0x98: Command("calibrate_image", 2, CALIBRATE_IMAGE_US),
    0x9D: Command("set_dio2_as_rf_switch", 1),
    0x9F: Command("stop_timer_on_preamble", 1),
    0xA0: Command("set_symbol_timeout", 1),
    0xC0: Command("nothing", 0, 0),
    0xC1: Command("set_fs", 0),
}
"""Table 11-1 and section 13; CAD, RX duty cycle and test transmissions are not modelled."""
STEADY_BUSY_US: Final = {
    opcode: command.busy_us
    for opcode, command in COMMANDS.items()
    if command.method not in {"set_standby", "set_rx", "set_tx", "set_sleep", "set_fs", "calibrate"}
}
"""BUSY after the commands that change no mode and wait for no clock."""
FALLBACK_MODES: Final = {0x20: STBY_RC, 0x30: STBY_XOSC, 0x40: FS}
"""Section 13.1.14."""
