# Made by `siel codec generate siel/contact --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 19
SIZE = 6
FAULT = "fault"
REASON_CHANGE = 0
REASON_HEARTBEAT = 1
REASON_START = 2


def encode(
    buf: bytearray,
    reason: int | None,
    contact_open: int | None,
    leak,
    tamper: int | None,
    opened: int | None,
    since_min: int | None,
    battery_mv: int | None,
) -> int:
    # Why this uplink was sent: 0 change, 1 heartbeat, 2 start, 2 bits
    if reason is None or not 0 <= reason <= 2:
        raise ValueError("reason")
    # The contact is open: True or False, 2 bits
    if contact_open is None:
        contact_open = 3
    elif contact_open:
        contact_open = 1
    else:
        contact_open = 0
    # The probe is wet: True or False, 2 bits
    if leak is None:
        leak = 3
    elif leak == FAULT:
        leak = 2
    elif leak:
        leak = 1
    else:
        leak = 0
    # The housing was opened: True or False, 1 bit
    if tamper is None:
        raise ValueError("tamper")
    tamper = 1 if tamper else 0
    # How often the contact was opened; starts again at 0 after 4095: 0 to 4095 count, 12 bits
    if opened is None:
        raise ValueError("opened")
    if opened < 0:
        opened = 0
    elif opened > 4095:
        opened = 4095
    # Time since the last change: 0 to 4090 min, 12 bits
    if since_min is None:
        since_min = 4095
    elif since_min < 0:
        since_min = 0
    elif since_min > 4090:
        since_min = 4094
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    buf[0] = 32 | reason << 3 | contact_open << 1 | leak >> 1
    buf[1] = (leak & 1) << 7 | tamper << 6 | opened >> 6
    buf[2] = (opened & 63) << 2 | since_min >> 10
    buf[3] = since_min >> 2 & 255
    buf[4] = (since_min & 3) << 6 | battery_mv >> 2
    buf[5] = (battery_mv & 3) << 6
    return 6
