# Made by `siel codec generate siel/water_level --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 10
SIZE = 3


def encode(buf: bytearray, distance_mm: int | None, battery_mv: int | None) -> int:
    # Distance from the sensor to the water surface: 30 to 4500 mm, 13 bits
    if distance_mm is None:
        distance_mm = 8191
    elif distance_mm < 30:
        distance_mm = 30
    elif distance_mm > 4500:
        distance_mm = 4500
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv + 5) // 10 - 180
    buf[0] = 32 | distance_mm >> 8
    buf[1] = distance_mm & 255
    buf[2] = battery_mv
    return 3
