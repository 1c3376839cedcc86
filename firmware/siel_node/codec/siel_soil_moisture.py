# Made by `siel codec generate siel/soil_moisture --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 13
SIZE = 6
F_PORT_PROFILE = 24
SIZE_PROFILE = 42
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
    soil_moisture_permille,
    soil_temperature_deci,
    battery_mv: int | None,
    soil_ec_us_cm: int | None,
) -> int:
    _has_ec = 0 if soil_ec_us_cm is None else 1
    # Volumetric water content: 0 to 100 %, 10 bits
    if soil_moisture_permille is None:
        soil_moisture_permille = 1023
    elif soil_moisture_permille == FAULT:
        soil_moisture_permille = 1022
    elif soil_moisture_permille < 0:
        soil_moisture_permille = 0
    elif soil_moisture_permille > 1000:
        soil_moisture_permille = 1000
    # Soil temperature: -40 to 80 °C, 11 bits
    if soil_temperature_deci is None:
        soil_temperature_deci = 1024
    elif soil_temperature_deci == FAULT:
        soil_temperature_deci = 1025
    elif soil_temperature_deci < -400:
        soil_temperature_deci = 1648
    elif soil_temperature_deci > 800:
        soil_temperature_deci = 800
    else:
        soil_temperature_deci &= 2047
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | _has_ec << 4 | soil_moisture_permille >> 6
    buf[1] = (soil_moisture_permille & 63) << 2 | soil_temperature_deci >> 9
    buf[2] = soil_temperature_deci >> 1 & 255
    buf[3] = (soil_temperature_deci & 1) << 7 | battery_mv >> 1
    buf[4] = (battery_mv & 1) << 7
    if _has_ec == 1:
        # Electrical conductivity of the bulk soil: 0 to 20000 µS/cm, 11 bits
        if soil_ec_us_cm is None:
            soil_ec_us_cm = 2047
        elif soil_ec_us_cm < 0:
            soil_ec_us_cm = 0
        elif soil_ec_us_cm > 20000:
            soil_ec_us_cm = 2000
        else:
            soil_ec_us_cm = (soil_ec_us_cm + 5) // 10
        buf[4] |= soil_ec_us_cm >> 4
        buf[5] = (soil_ec_us_cm & 15) << 4
        at = 44
    else:
        at = 33
    return at + 7 >> 3


def encode_profile(buf: bytearray, battery_mv: int | None, soil_moisture_permille, soil_temperature_deci) -> int:
    if soil_moisture_permille is None:
        soil_moisture_permille = ()
    _depths = len(soil_moisture_permille)
    if _depths > 15:
        raise ValueError("soil_moisture_permille")
    if soil_temperature_deci is not None and len(soil_temperature_deci) != _depths:
        raise ValueError("soil_temperature_deci")
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | _depths << 1 | battery_mv >> 7
    buf[1] = (battery_mv & 127) << 1
    at = 15
    i = 0
    while i < _depths:
        code = soil_moisture_permille[i]
        # Volumetric water content, uppermost depth first: 0 to 100 %, 10 bits
        if code is None:
            code = 1023
        elif code == FAULT:
            code = 1022
        elif code < 0:
            code = 0
        elif code > 1000:
            code = 1000
        at = __put(buf, at, code, 10)
        i += 1
    i = 0
    while i < _depths:
        code = None if soil_temperature_deci is None else soil_temperature_deci[i]
        # Soil temperature, uppermost depth first: -40 to 80 °C, 11 bits
        if code is None:
            code = 1024
        elif code == FAULT:
            code = 1025
        elif code < -400:
            code = 1648
        elif code > 800:
            code = 800
        else:
            code &= 2047
        at = __put(buf, at, code, 11)
        i += 1
    return at + 7 >> 3
