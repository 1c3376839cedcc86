# Made by `siel codec generate siel/air_quality --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 14
SIZE = 8
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


def encode(
    buf: bytearray,
    temperature_deci: int | None,
    humidity_permille: int | None,
    battery_mv: int | None,
    co2_ppm,
    pm2_5,
    pm10,
) -> int:
    _has_co2 = 0 if co2_ppm is None else 1
    _has_pm = 0 if pm10 is None and pm2_5 is None else 1
    # Air temperature: -40 to 85 °C, 11 bits
    if temperature_deci is None:
        temperature_deci = 1024
    elif temperature_deci < -400:
        temperature_deci = 1648
    elif temperature_deci > 850:
        temperature_deci = 850
    else:
        temperature_deci &= 2047
    # Relative humidity: 0 to 100 %, 8 bits
    if humidity_permille is None:
        humidity_permille = 255
    elif humidity_permille < 0:
        humidity_permille = 0
    elif humidity_permille > 1000:
        humidity_permille = 200
    else:
        humidity_permille = (humidity_permille + 2) // 5
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | _has_co2 << 4 | _has_pm << 3 | temperature_deci >> 8
    buf[1] = temperature_deci & 255
    buf[2] = humidity_permille
    buf[3] = battery_mv
    if _has_co2 == 1:
        # Carbon dioxide: 0 to 20000 ppm, 12 bits
        if co2_ppm is None:
            co2_ppm = 4095
        elif co2_ppm == FAULT:
            co2_ppm = 4094
        elif co2_ppm < 0:
            co2_ppm = 0
        elif co2_ppm > 20002:
            co2_ppm = 4093
        else:
            co2_ppm = (co2_ppm + 2) // 5
        buf[4] = co2_ppm >> 4
        buf[5] = (co2_ppm & 15) << 4
        at = 44
    else:
        at = 32
    if _has_pm == 1:
        # Fine dust up to 2.5 micrometres: 0 to 1000 µg/m³, 10 bits
        if pm2_5 is None:
            pm2_5 = 1023
        elif pm2_5 == FAULT:
            pm2_5 = 1022
        elif pm2_5 < 0:
            pm2_5 = 0
        elif pm2_5 > 1000:
            pm2_5 = 1021
        # Fine dust up to 10 micrometres: 0 to 1000 µg/m³, 10 bits
        if pm10 is None:
            pm10 = 1023
        elif pm10 == FAULT:
            pm10 = 1022
        elif pm10 < 0:
            pm10 = 0
        elif pm10 > 1000:
            pm10 = 1021
        at = __put(buf, at, pm2_5, 10)
        at = __put(buf, at, pm10, 10)
    return at + 7 >> 3
