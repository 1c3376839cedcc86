# Made by `siel codec generate siel/valve --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 20
SIZE = 4
CMD_OPEN = 0
CMD_CLOSE = 1
CMD_MOVE = 2
CMD_FAIL_SAFE = 3
OUT_SIZE = 3
STATE_CLOSED = 0
STATE_OPEN = 1
STATE_BETWEEN = 2
STATE_OPENING = 3
STATE_CLOSING = 4
STATE_BLOCKED = 5
CAUSE_START = 0
CAUSE_COMMAND = 1
CAUSE_BY_HAND = 2
CAUSE_FAIL_SAFE = 3
ACTION_STAY = 0
ACTION_OPEN = 1
ACTION_CLOSE = 2


def encode(
    buf: bytearray,
    state: int | None,
    cause: int | None,
    position: int | None,
    request: int | None,
    supply_mv: int | None,
) -> int:
    # What the valve does: 0 closed, 1 open, 2 between, 3 opening, 4 closing, 5 blocked, 3 bits
    if state is None or not 0 <= state <= 5:
        raise ValueError("state")
    # What brought it there: 0 start, 1 command, 2 by_hand, 3 fail_safe, 2 bits
    if cause is None or not 0 <= cause <= 3:
        raise ValueError("cause")
    # How far it is open: 0 to 100 %, 7 bits
    if position is None:
        position = 127
    elif position < 0:
        position = 0
    elif position > 100:
        position = 100
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
    buf[0] = 32 | state << 2 | cause
    buf[1] = position << 1 | request >> 7
    buf[2] = (request & 127) << 1 | supply_mv >> 7
    buf[3] = (supply_mv & 127) << 1
    return 4


def decode_downlink(f_port: int, buf: bytes | bytearray | memoryview, n: int, out: list[int | None]) -> int:
    if f_port == 20:
        if n < 1:
            return -1
        kind = buf[0]
        if kind == 1:
            # Open, and close again after a while: out is 0 request, 1 minutes
            if n != 4:
                return -1
            code = buf[1]
            if code < 1:
                return -1
            out[0] = code
            code = buf[2] << 8 | buf[3]
            if code == 0:
                out[1] = None
            elif not 1 <= code <= 1440:
                return -1
            else:
                out[1] = code
            return 0
        if kind == 2:
            # Close: out is 0 request
            if n != 2:
                return -1
            code = buf[1]
            if code < 1:
                return -1
            out[0] = code
            return 1
        if kind == 3:
            # Move to a position: out is 0 request, 1 position
            if n != 3:
                return -1
            code = buf[1]
            if code < 1:
                return -1
            out[0] = code
            code = buf[2]
            if code > 100:
                return -1
            out[1] = code
            return 2
        if kind == 4:
            # What the valve does by itself when it hears nothing for a while: out is 0 request, 1 action, 2 silence
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
            return 3
        return -1
    return -1
