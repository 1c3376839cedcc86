# Made by `siel codec generate siel/parking --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 16
SIZE = 5
FAULT = "fault"
REASON_CHANGE = 0
REASON_HEARTBEAT = 1
REASON_START = 2


def encode(
    buf: bytearray,
    reason: int | None,
    occupied,
    since_min: int | None,
    temperature_deg: int | None,
    battery_mv: int | None,
) -> int:
    # Why this uplink was sent: 0 change, 1 heartbeat, 2 start, 2 bits
    if reason is None or not 0 <= reason <= 2:
        raise ValueError("reason")
    # Taken: True or False, 2 bits
    if occupied is None:
        occupied = 3
    elif occupied == FAULT:
        occupied = 2
    elif occupied:
        occupied = 1
    else:
        occupied = 0
    # Time since the last change: 0 to 4090 min, 12 bits
    if since_min is None:
        since_min = 4095
    elif since_min < 0:
        since_min = 0
    elif since_min > 4090:
        since_min = 4094
    # Temperature of the housing: -50 to 100 °C, 8 bits
    if temperature_deg is None:
        temperature_deg = 128
    elif temperature_deg < -50:
        temperature_deg = 206
    elif temperature_deg > 100:
        temperature_deg = 100
    else:
        temperature_deg &= 255
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | reason << 3 | occupied << 1 | since_min >> 11
    buf[1] = since_min >> 3 & 255
    buf[2] = (since_min & 7) << 5 | temperature_deg >> 3
    buf[3] = (temperature_deg & 7) << 5 | battery_mv >> 3
    buf[4] = (battery_mv & 7) << 5
    return 5
