# Made by `siel codec generate siel/climate --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 11
SIZE = 5


def encode(buf: bytearray, temperature_centi: int | None, humidity_centi: int | None, battery_mv: int | None) -> int:
    # Air temperature: -40 to 125 °C, 15 bits
    if temperature_centi is None:
        temperature_centi = 16384
    elif temperature_centi < -4000:
        temperature_centi = 28768
    elif temperature_centi > 12500:
        temperature_centi = 12500
    else:
        temperature_centi &= 32767
    # Relative humidity: 0 to 100 %, 14 bits
    if humidity_centi is None:
        humidity_centi = 16383
    elif humidity_centi < 0:
        humidity_centi = 0
    elif humidity_centi > 10000:
        humidity_centi = 10000
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | temperature_centi >> 10
    buf[1] = temperature_centi >> 2 & 255
    buf[2] = (temperature_centi & 3) << 6 | humidity_centi >> 8
    buf[3] = humidity_centi & 255
    buf[4] = battery_mv
    return 5
