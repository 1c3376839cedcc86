# Made by `siel codec generate siel/weather --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 15
SIZE = 12
FAULT = "fault"


def encode(
    buf: bytearray,
    wind_speed_deci,
    wind_gust_deci,
    wind_direction: int | None,
    pressure_pa: int | None,
    temperature_deci: int | None,
    humidity_permille: int | None,
    tips: int | None,
    battery_mv: int | None,
    solar_irradiance_w_m2: int | None,
) -> int:
    _has_sun = 0 if solar_irradiance_w_m2 is None else 1
    # Wind, mean of ten minutes: 0 to 75 m/s, 10 bits
    if wind_speed_deci is None:
        wind_speed_deci = 1023
    elif wind_speed_deci == FAULT:
        wind_speed_deci = 1022
    elif wind_speed_deci < 0:
        wind_speed_deci = 0
    elif wind_speed_deci > 750:
        wind_speed_deci = 750
    # Strongest gust of three seconds since the last uplink: 0 to 75 m/s, 10 bits
    if wind_gust_deci is None:
        wind_gust_deci = 1023
    elif wind_gust_deci == FAULT:
        wind_gust_deci = 1022
    elif wind_gust_deci < 0:
        wind_gust_deci = 0
    elif wind_gust_deci > 750:
        wind_gust_deci = 1021
    # Where the wind comes from, clockwise from north: 0 to 359 °, 9 bits
    if wind_direction is None:
        wind_direction = 511
    elif wind_direction < 0:
        wind_direction = 0
    elif wind_direction > 359:
        wind_direction = 359
    # Air pressure at the station: 300 to 1100 hPa, 13 bits
    if pressure_pa is None:
        pressure_pa = 8191
    elif pressure_pa < 30000:
        pressure_pa = 0
    elif pressure_pa > 110000:
        pressure_pa = 8000
    else:
        pressure_pa = (pressure_pa - 29995) // 10
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
    # Rain since installation; starts again at 0 after 1638 mm: 0 to 1638 mm, 13 bits
    if tips is None:
        tips = 8191
    elif tips < 0:
        tips = 0
    elif tips > 8190:
        tips = 8190
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | _has_sun << 4 | wind_speed_deci >> 6
    buf[1] = (wind_speed_deci & 63) << 2 | wind_gust_deci >> 8
    buf[2] = wind_gust_deci & 255
    buf[3] = wind_direction >> 1
    buf[4] = (wind_direction & 1) << 7 | pressure_pa >> 6
    buf[5] = (pressure_pa & 63) << 2 | temperature_deci >> 9
    buf[6] = temperature_deci >> 1 & 255
    buf[7] = (temperature_deci & 1) << 7 | humidity_permille >> 1
    buf[8] = (humidity_permille & 1) << 7 | tips >> 6
    buf[9] = (tips & 63) << 2 | battery_mv >> 6
    buf[10] = (battery_mv & 63) << 2
    if _has_sun == 1:
        # Global irradiance: 0 to 2000 W/m², 10 bits
        if solar_irradiance_w_m2 is None:
            solar_irradiance_w_m2 = 1023
        elif solar_irradiance_w_m2 < 0:
            solar_irradiance_w_m2 = 0
        elif solar_irradiance_w_m2 > 2000:
            solar_irradiance_w_m2 = 1000
        else:
            solar_irradiance_w_m2 = (solar_irradiance_w_m2 + 1) // 2
        buf[10] |= solar_irradiance_w_m2 >> 8
        buf[11] = solar_irradiance_w_m2 & 255
        at = 96
    else:
        at = 86
    return at + 7 >> 3
