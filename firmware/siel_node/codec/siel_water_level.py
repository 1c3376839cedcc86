# Made by `siel codec generate siel/water_level --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 10
SIZE = 3
F_PORT_PRESSURE = 22
SIZE_PRESSURE = 5
F_PORT_SERIES = 23
SIZE_SERIES = 80
FAULT = "fault"


def __put(buf: bytearray, at: int, code: int, bits: int) -> int:
    # From bit at on, most significant bit first; what is left of the last byte becomes 0.
    while bits:
        room = 8 - (at & 7)
        take = bits if bits < room else room
        bits -= take
        part = (code >> bits & (1 << take) - 1) << room - take
        if room == 8:
            buf[at >> 3] = part
        else:
            buf[at >> 3] |= part
        at += take
    return at


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
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | distance_mm >> 8
    buf[1] = distance_mm & 255
    buf[2] = battery_mv
    return 3


def encode_pressure(buf: bytearray, water_level_mm, water_temperature_deci, battery_mv: int | None) -> int:
    # Height of the water above the probe: -500 to 30000 mm, 16 bits
    if water_level_mm is None:
        water_level_mm = 32768
    elif water_level_mm == FAULT:
        water_level_mm = 32769
    elif water_level_mm < -500:
        water_level_mm = 32770
    elif water_level_mm > 30000:
        water_level_mm = 32767
    else:
        water_level_mm &= 65535
    # Temperature of the water at the probe: -10 to 50 °C, 10 bits
    if water_temperature_deci is None:
        water_temperature_deci = 512
    elif water_temperature_deci == FAULT:
        water_temperature_deci = 513
    elif water_temperature_deci < -100:
        water_temperature_deci = 924
    elif water_temperature_deci > 500:
        water_temperature_deci = 500
    else:
        water_temperature_deci &= 1023
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | water_level_mm >> 11
    buf[1] = water_level_mm >> 3 & 255
    buf[2] = (water_level_mm & 7) << 5 | water_temperature_deci >> 5
    buf[3] = (water_temperature_deci & 31) << 3 | battery_mv >> 5
    buf[4] = (battery_mv & 31) << 3
    return 5


def encode_series(buf: bytearray, interval_min: int | None, battery_mv: int | None, distance_mm) -> int:
    if distance_mm is None:
        distance_mm = ()
    _readings = len(distance_mm)
    if _readings > 31:
        raise ValueError("distance_mm")
    # Time between two readings: 1 to 240 min, 8 bits
    if interval_min is None:
        raise ValueError("interval_min")
    if interval_min < 1:
        interval_min = 1
    elif interval_min > 240:
        interval_min = 240
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | _readings
    buf[1] = interval_min
    buf[2] = battery_mv
    at = 24
    distance_mm_before = 0
    i = 0
    while i < _readings:
        code = distance_mm[i]
        # Distance from the sensor to the water surface: 30 to 4500 mm, 13 bits
        if code is None:
            code = 8191
        elif code < 30:
            code = 30
        elif code > 4500:
            code = 4500
        if i and 30 <= distance_mm_before <= 4500 and 30 <= code <= 4500 and -64 < code - distance_mm_before < 64:
            at = __put(buf, at, code - distance_mm_before, 7)
        else:
            if i:
                at = __put(buf, at, 64, 7)
            at = __put(buf, at, code, 13)
        distance_mm_before = code
        i += 1
    return at + 7 >> 3
