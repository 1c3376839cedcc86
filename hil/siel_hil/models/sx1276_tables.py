"""The SX1276 as data: registers of the LoRa page, their values after reset, modes, interrupts, times.

Source of everything without another: SX1276/77/78/79 datasheet rev. 7, the table or section named.
"""

from __future__ import annotations

from typing import Final

# --- modes, table 16 -------------------------------------------------------------------------------------------
SLEEP: Final = 0
STDBY: Final = 1
FSTX: Final = 2
TX: Final = 3
FSRX: Final = 4
RX_CONTINUOUS: Final = 5
RX_SINGLE: Final = 6
CAD: Final = 7
RECEPTION: Final = (RX_CONTINUOUS, RX_SINGLE)
LONG_RANGE: Final = 0x80
"""Bit of RegOpMode: the LoRa modem; changes in sleep only."""
SHARED: Final = 0x40
"""Bit of RegOpMode: the FSK page shows at 0x0D to 0x3F in LoRa mode."""

# --- interrupts, RegIrqFlags -----------------------------------------------------------------------------------
IRQ_RX_TIMEOUT: Final = 0x80
IRQ_RX_DONE: Final = 0x40
IRQ_CRC_ERROR: Final = 0x20
IRQ_VALID_HEADER: Final = 0x10
IRQ_TX_DONE: Final = 0x08
IRQ_CAD_DONE: Final = 0x04
IRQ_FHSS: Final = 0x02
IRQ_CAD_DETECTED: Final = 0x01
DIO0_FLAGS: Final = (IRQ_RX_DONE, IRQ_TX_DONE, IRQ_CAD_DONE, 0)
DIO1_FLAGS: Final = (IRQ_RX_TIMEOUT, IRQ_FHSS, IRQ_CAD_DETECTED, 0)
"""What bits 7:6 and 5:4 of RegDioMapping1 put on the pins, table 18."""

# --- times -----------------------------------------------------------------------------------------------------
RESET_US: Final = 5000
"""Section 7.2.2: how long to wait after NRST."""
CRYSTAL_US: Final = 250
"""TS_OSC, table 7, typical: from sleep to standby."""
SYNTHESIZER_US: Final = 60
"""TS_FS, table 7, typical: from standby to FSTX or FSRX."""
TX_RAMP_US: Final = 55
"""TS_TR, section 4.2.5.1, with the 40 us ramp after reset; the LoRa modem has no figure of its own."""
RX_START_US: Final = 71
"""TS_RE: drivers' figure for a 125 kHz channel; the LoRa modem has none in the datasheet."""

# --- registers -------------------------------------------------------------------------------------------------
FIFO_BYTES: Final = 256
REGISTERS: Final = 128
FIFO: Final = 0x00
OP_MODE: Final = 0x01
FRF: Final = 0x06
PA_CONFIG: Final = 0x09
OCP: Final = 0x0B
FIFO_ADDR_PTR: Final = 0x0D
FIFO_TX_BASE: Final = 0x0E
FIFO_RX_BASE: Final = 0x0F
FIFO_RX_CURRENT: Final = 0x10
IRQ_MASK: Final = 0x11
IRQ_FLAGS: Final = 0x12
RX_NB_BYTES: Final = 0x13
RX_HEADER_COUNT: Final = 0x14
RX_PACKET_COUNT: Final = 0x16
MODEM_STAT: Final = 0x18
PKT_SNR: Final = 0x19
PKT_RSSI: Final = 0x1A
RSSI: Final = 0x1B
HOP_CHANNEL: Final = 0x1C
MODEM_CONFIG_1: Final = 0x1D
MODEM_CONFIG_2: Final = 0x1E
SYMB_TIMEOUT: Final = 0x1F
PREAMBLE: Final = 0x20
PAYLOAD_LENGTH: Final = 0x22
MAX_PAYLOAD_LENGTH: Final = 0x23
RX_BYTE_ADDR: Final = 0x25
MODEM_CONFIG_3: Final = 0x26
RSSI_WIDEBAND: Final = 0x2C
IF_FREQ_2: Final = 0x2F
IF_FREQ_1: Final = 0x30
DETECT_OPTIMIZE: Final = 0x31
INVERT_IQ: Final = 0x33
HIGH_BW_1: Final = 0x36
DETECTION_THRESHOLD: Final = 0x37
SYNC_WORD: Final = 0x39
HIGH_BW_2: Final = 0x3A
INVERT_IQ_2: Final = 0x3B
DIO_MAPPING_1: Final = 0x40
VERSION: Final = 0x42
PA_DAC: Final = 0x4D
PAGED: Final = range(0x0D, 0x40)
"""What the FSK page has registers of its own for."""
READ_ONLY: Final = frozenset(
    {FIFO_RX_CURRENT, *range(RX_NB_BYTES, MODEM_CONFIG_1), RX_BYTE_ADDR, *range(0x28, 0x2B), RSSI_WIDEBAND, VERSION}
)
STANDBY_ONLY: Final = frozenset(
    {
        *range(FRF, FRF + 3),
        *range(MODEM_CONFIG_1, MAX_PAYLOAD_LENGTH + 1),
        *(MODEM_CONFIG_3, DETECT_OPTIMIZE, INVERT_IQ, DETECTION_THRESHOLD, SYNC_WORD, INVERT_IQ_2),
    }
)
"""Section 4.1.2: the modem's configuration is written in sleep, standby or FS mode; it has no effect elsewhere here."""
RESET: Final = {
    OP_MODE: 0x09,
    0x02: 0x1A,
    0x03: 0x0B,
    0x05: 0x52,
    FRF: 0x6C,
    FRF + 1: 0x80,
    PA_CONFIG: 0x4F,
    0x0A: 0x09,
    OCP: 0x2B,
    0x0C: 0x20,
    FIFO_TX_BASE: 0x80,
    MODEM_CONFIG_1: 0x72,
    MODEM_CONFIG_2: 0x70,
    SYMB_TIMEOUT: 0x64,
    PREAMBLE + 1: 0x08,
    PAYLOAD_LENGTH: 0x01,
    MAX_PAYLOAD_LENGTH: 0xFF,
    IF_FREQ_2: 0x20,
    DETECT_OPTIMIZE: 0xC3,
    INVERT_IQ: 0x27,
    HIGH_BW_1: 0x03,
    DETECTION_THRESHOLD: 0x0A,
    SYNC_WORD: 0x12,
    HIGH_BW_2: 0x20,
    INVERT_IQ_2: 0x1D,
    VERSION: 0x12,
    0x44: 0x2D,
    0x4B: 0x09,
    PA_DAC: 0x84,
    0x61: 0x13,
    0x62: 0x0E,
    0x63: 0x5B,
    0x64: 0xDB,
    0x70: 0xD0,
}
"""Table 41; what is not here is 0."""

# --- the modem -------------------------------------------------------------------------------------------------
BANDWIDTHS_HZ: Final = (7810, 10420, 15630, 20830, 31250, 41670, 62500, 125000, 250000, 500000)
"""By bits 7:4 of RegModemConfig1."""
MIN_SYMB_TIMEOUT: Final = 4
"""Section 4.1.5: 4 to 1023 symbols."""
LOW_PORT_BELOW_HZ: Final = 525_000_000
RSSI_OFFSET_DBM: Final = (-157, -164)
"""Section 5.5.5: of the high and the low frequency port."""
IF_FREQ_2_VALUES: Final = {7810: 0x48, 10420: 0x44, 15630: 0x44, 20830: 0x44, 31250: 0x44, 41670: 0x44}
"""Source: SX1276 errata note rev. 1, 2.3; all bandwidths between these and 500 kHz want 0x40."""

# --- power, section 5.4 ----------------------------------------------------------------------------------------
BOOST: Final = 0x80
"""Bit of RegPaConfig: the PA_BOOST pin instead of RFO."""
PA_DAC_20_DBM: Final = 0x87
PA_DAC_DEFAULT: Final = 0x84
OCP_ON: Final = 0x20
OCP_20_DBM_MA: Final = 120
"""Least limit that lets 20 dBm through, section 5.4.4 and table 10."""
