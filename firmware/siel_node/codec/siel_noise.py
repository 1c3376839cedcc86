# Made by `siel codec generate siel/noise --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 18
SIZE = 6


def encode(
    buf: bytearray,
    noise_eq_deci: int | None,
    noise_max_deci: int | None,
    noise_90_deci: int | None,
    period_min: int | None,
    battery_mv: int | None,
) -> int:
    # Equivalent continuous level, LAeq: 25 to 125 dB(A), 10 bits
    if noise_eq_deci is None:
        noise_eq_deci = 1023
    elif noise_eq_deci < 250:
        noise_eq_deci = 1021
    elif noise_eq_deci > 1250:
        noise_eq_deci = 1022
    else:
        noise_eq_deci = noise_eq_deci - 250
    # Highest level, LAFmax: 25 to 125 dB(A), 10 bits
    if noise_max_deci is None:
        noise_max_deci = 1023
    elif noise_max_deci < 250:
        noise_max_deci = 1021
    elif noise_max_deci > 1250:
        noise_max_deci = 1022
    else:
        noise_max_deci = noise_max_deci - 250
    # Level exceeded in 90 % of the period, LA90: 25 to 125 dB(A), 10 bits
    if noise_90_deci is None:
        noise_90_deci = 1023
    elif noise_90_deci < 250:
        noise_90_deci = 1021
    elif noise_90_deci > 1250:
        noise_90_deci = 1022
    else:
        noise_90_deci = noise_90_deci - 250
    # Length of the period: 1 to 127 min, 7 bits
    if period_min is None:
        raise ValueError("period_min")
    if period_min < 1:
        period_min = 1
    elif period_min > 127:
        period_min = 127
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | noise_eq_deci >> 5
    buf[1] = (noise_eq_deci & 31) << 3 | noise_max_deci >> 7
    buf[2] = (noise_max_deci & 127) << 1 | noise_90_deci >> 9
    buf[3] = noise_90_deci >> 1 & 255
    buf[4] = (noise_90_deci & 1) << 7 | period_min
    buf[5] = battery_mv
    return 6
