# Made by `siel codec generate siel/relay --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 25
SIZE = 4
CMD_SWITCH = 0
CMD_FAIL_SAFE = 1
OUT_SIZE = 4
CAUSE_START = 0
CAUSE_COMMAND = 1
CAUSE_BY_HAND = 2
CAUSE_FAIL_SAFE = 3
ACTION_STAY = 0
ACTION_ALL_OFF = 1
ACTION_ALL_ON = 2


def encode(
    buf: bytearray,
    cause: int | None,
    relay_4: int | None,
    relay_3: int | None,
    relay_2: int | None,
    relay_1: int | None,
    request: int | None,
    supply_mv: int | None,
) -> int:
    # What brought the relays there: 0 start, 1 command, 2 by_hand, 3 fail_safe, 2 bits
    if cause is None or not 0 <= cause <= 3:
        raise ValueError("cause")
    # Relay 4 is on: True or False, 1 bit
    if relay_4 is None:
        raise ValueError("relay_4")
    relay_4 = 1 if relay_4 else 0
    # Relay 3 is on: True or False, 1 bit
    if relay_3 is None:
        raise ValueError("relay_3")
    relay_3 = 1 if relay_3 else 0
    # Relay 2 is on: True or False, 1 bit
    if relay_2 is None:
        raise ValueError("relay_2")
    relay_2 = 1 if relay_2 else 0
    # Relay 1 is on: True or False, 1 bit
    if relay_1 is None:
        raise ValueError("relay_1")
    relay_1 = 1 if relay_1 else 0
    # Request number of the last command carried out; 0: none since the start: 0 to 255, 8 bits
    if request is None:
        raise ValueError("request")
    if request < 0:
        request = 0
    elif request > 255:
        request = 255
    # Supply voltage: 0 to 25.4 V, 8 bits
    if supply_mv is None:
        supply_mv = 255
    elif supply_mv < 0:
        supply_mv = 0
    elif supply_mv > 25400:
        supply_mv = 254
    else:
        supply_mv = (supply_mv + 50) // 100
    buf[0] = 32 | cause << 3 | relay_4 << 2 | relay_3 << 1 | relay_2
    buf[1] = relay_1 << 7 | request >> 1
    buf[2] = (request & 1) << 7 | supply_mv >> 1
    buf[3] = (supply_mv & 1) << 7
    return 4


def decode_downlink(f_port: int, buf: bytes | bytearray | memoryview, n: int, out: list[int | None]) -> int:
    if f_port == 25:
        if n < 1:
            return -1
        kind = buf[0]
        if kind == 1:
            # Switch one relay: out is 0 request, 1 relay, 2 on, 3 seconds
            if n != 5:
                return -1
            code = buf[1]
            if code < 1:
                return -1
            out[0] = code
            code = buf[2] >> 1
            if not 1 <= code <= 4:
                return -1
            out[1] = code
            code = buf[2] & 1
            out[2] = code == 1
            code = buf[3] << 8 | buf[4]
            if code == 0:
                out[3] = None
            else:
                out[3] = code
            return 0
        if kind == 2:
            # What the relays do by themselves when they hear nothing for a while: out is 0 request, 1 action, 2 silence
            if n != 5:
                return -1
            code = buf[1]
            if code < 1:
                return -1
            out[0] = code
            code = buf[2]
            if not 0 <= code <= 2:
                return -1
            out[1] = code
            code = buf[3] << 8 | buf[4]
            if not 10 <= code <= 10080:
                return -1
            out[2] = code
            return 1
        return -1
    return -1
