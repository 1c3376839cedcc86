# Made by `siel codec generate siel/rain_gauge --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 12
SIZE = 5


def encode(
    buf: bytearray,
    tips: int | None,
    rain_intensity: int | None,
    blocked: int | None,
    battery_mv: int | None,
) -> int:
    # Rain since installation: 0 to 13107 mm, 16 bits
    if tips is None:
        raise ValueError("tips")
    if tips < 0:
        tips = 0
    elif tips > 65535:
        tips = 65535
    # Strongest minute since the last uplink: 0 to 500 mm/h, 9 bits
    if rain_intensity is None:
        rain_intensity = 511
    elif rain_intensity < 0:
        rain_intensity = 0
    elif rain_intensity > 500:
        rain_intensity = 500
    # The funnel seems blocked: True or False, 1 bit
    if blocked is None:
        raise ValueError("blocked")
    blocked = 1 if blocked else 0
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | tips >> 11
    buf[1] = tips >> 3 & 255
    buf[2] = (tips & 7) << 5 | rain_intensity >> 4
    buf[3] = (rain_intensity & 15) << 4 | blocked << 3 | battery_mv >> 5
    buf[4] = (battery_mv & 31) << 3
    return 5
