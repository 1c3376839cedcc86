# Made by `siel codec generate siel/people_counter --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 17
SIZE = 6
FAULT = "fault"


def encode(
    buf: bytearray,
    period_min: int | None,
    people_in,
    people_out,
    covered: int | None,
    battery_mv: int | None,
) -> int:
    # Length of the period: 5 to 1275 min, 8 bits
    if period_min is None:
        raise ValueError("period_min")
    if period_min < 5:
        period_min = 1
    elif period_min > 1275:
        period_min = 255
    else:
        period_min = (period_min + 2) // 5
    # Passed inwards (or to the left): 0 to 4090 count, 12 bits
    if people_in is None:
        people_in = 4095
    elif people_in == FAULT:
        people_in = 4094
    elif people_in < 0:
        people_in = 0
    elif people_in > 4090:
        people_in = 4093
    # Passed outwards (or to the right): 0 to 4090 count, 12 bits
    if people_out is None:
        people_out = 4095
    elif people_out == FAULT:
        people_out = 4094
    elif people_out < 0:
        people_out = 0
    elif people_out > 4090:
        people_out = 4093
    # The sensor's view is covered: True or False, 1 bit
    if covered is None:
        raise ValueError("covered")
    covered = 1 if covered else 0
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | period_min >> 3
    buf[1] = (period_min & 7) << 5 | people_in >> 7
    buf[2] = (people_in & 127) << 1 | people_out >> 11
    buf[3] = people_out >> 3 & 255
    buf[4] = (people_out & 7) << 5 | covered << 4 | battery_mv >> 4
    buf[5] = (battery_mv & 15) << 4
    return 6
