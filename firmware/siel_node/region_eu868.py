# EU868 as data. Source of each table: RP002-1.0.4 section 2.4 unless a line says otherwise.
from ._compat import const

# DR0 to DR6: (spreading factor, bandwidth in Hz)
DATA_RATES = (
    (12, 125000),
    (11, 125000),
    (10, 125000),
    (9, 125000),
    (8, 125000),
    (7, 125000),
    (7, 250000),
)
MAX_JOIN_DR = const(5)
# The default channels and those of a CFList carry DR0 to this
MAX_CHANNEL_DR = const(5)
# N, the largest FRMPayload with empty FOpts, for DR0 to DR6, without repeater
MAX_PAYLOAD_BYTES = (51, 51, 51, 115, 242, 242, 242)

DEFAULT_CHANNELS_HZ = (868100000, 868300000, 868500000)
# The five that networks in Europe usually add by CFList
USUAL_CHANNELS_HZ = (867100000, 867300000, 867500000, 867700000, 867900000)
MAX_CHANNELS = const(16)
DEFAULT_CHANNELS = const(7)
RX2_FREQUENCY_HZ = const(869525000)
RX2_DR = const(0)

MAX_EIRP_DBM = const(16)
MAX_TX_POWER_INDEX = const(7)

# Source: RP002-1.0.4 2.3, default settings. RX2 is always a second after RX1.
RECEIVE_DELAY1_S = const(1)
JOIN_ACCEPT_DELAY1_S = const(5)
JOIN_ACCEPT_DELAY2_S = const(6)

# (first Hz, last Hz, duty cycle in permille, ERP limit in dBm). Source: ETSI EN 300 220-2 V3.2.1 table B.1, bands K to
# Q (863 to 865 of K counts 0.1 % for channels with access by duty cycle). What lies between is not usable.
SUB_BANDS = (
    (863000000, 865000000, 1, 14),
    (865000000, 868000000, 10, 14),
    (868000000, 868600000, 10, 14),
    (868700000, 869200000, 1, 14),
    (869400000, 869650000, 100, 27),
    (869700000, 870000000, 10, 14),
)


def sub_band(frequency_hz: int, bands: tuple[tuple[int, int, int, int], ...] = SUB_BANDS) -> int:
    # Index into bands, -1 where no transmission is allowed.
    for index, band in enumerate(bands):
        if band[0] <= frequency_hz < band[1]:
            return index
    return -1


def frequency_hz(data: bytes | bytearray, at: int) -> int:
    # What CFList and MAC commands give in 100 Hz, 24 bits.
    return 100 * (data[at] | data[at + 1] << 8 | data[at + 2] << 16)


def receivable(frequency_hz: int) -> bool:
    # Inside the plan, where also what lies between the sub-bands may be listened to.
    return 863000000 <= frequency_hz <= 870000000


def rx1_dr(uplink_dr: int, rx1_dr_offset: int) -> int:
    return max(0, uplink_dr - rx1_dr_offset)


def data_rate(spreading_factor: int, bandwidth_hz: int) -> int:
    # The DR index of a modulation, -1 where EU868 has none.
    for index, rate in enumerate(DATA_RATES):
        if rate == (spreading_factor, bandwidth_hz):
            return index
    return -1
