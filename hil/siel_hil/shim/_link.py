# The line to the coordinator: one request, one answer, each with this process's virtual time.
# Request and answer: <op u8> <argument u8> <length u16> <time_us u64>, then payload. See siel_hil/process.py.
# The argument of an answer is a mask: bits 0-3 interrupt lines that fired, bits 4-5 UARTs with bytes waiting.
import struct
import sys

_HEAD = "<BBHQ"
_file = open(int(sys.argv[1]), "r+b")
_request = bytearray(12)
_answer = bytearray(12)
_payload = bytearray(1024)
payload = memoryview(_payload)

CALL_US = 10  # what a call of MicroPython costs on a 133 MHz RP2040, about: no loop on the clock is free
now_us = 0
uart_waiting = 0
wdt_deadline_us = None
_last_exchange_us = 0
_handlers = [None] * 4
_pins = [None] * 4


def on_line(line, pin, handler):
    _pins[line] = pin
    _handlers[line] = handler


def exchange(op, argument=0, data=None):
    # Returns the answer's payload length; the bytes are in `payload`.
    global now_us, uart_waiting, _last_exchange_us
    if data:
        n = len(data)
        message = bytearray(12 + n)
        struct.pack_into(_HEAD, message, 0, ord(op), argument, n, now_us)
        message[12:] = data
        _file.write(message)
    else:
        struct.pack_into(_HEAD, _request, 0, ord(op), argument, 0, now_us)
        _file.write(_request)
    if _file.readinto(_answer) != 12:
        raise SystemExit  # the coordinator is gone
    kind, mask, length, now_us = struct.unpack_from(_HEAD, _answer, 0)
    _last_exchange_us = now_us
    if length:
        _file.readinto(payload[:length])
    if kind == 88:  # 'X': power cut or end of the run
        raise SystemExit
    uart_waiting = mask >> 4
    mask &= 15
    if mask:
        for line in range(4):
            if mask >> line & 1 and _handlers[line]:
                _handlers[line](_pins[line])
    return length


def wait_until(t_us, wake):
    # wake: return early on an interrupt or a UART byte; else serve interrupts and go on sleeping.
    global now_us
    while now_us < t_us:
        before = now_us
        limit = t_us if wdt_deadline_us is None or t_us < wdt_deadline_us else wdt_deadline_us
        _request_wait(limit, wake)
        if wdt_deadline_us is not None and now_us >= wdt_deadline_us:
            reset(3)
        if wake and (now_us < limit or now_us == before):
            return


def _request_wait(t_us, wake):
    # The time to wake at travels in the header, so the present one is told in the payload.
    global now_us
    present = now_us
    now_us = t_us
    exchange("W" if wake else "Z", 0, struct.pack("<Q", present))


def spend(us):
    # Local time only: nobody can act on this process before its next exchange.
    global now_us
    now_us += us
    if wdt_deadline_us is not None and now_us >= wdt_deadline_us:
        reset(3)


def refresh():
    # For loops that look at a UART without waiting: an exchange now and then keeps them honest.
    if now_us - _last_exchange_us >= 1000:
        _request_wait(now_us, True)


def reset(cause):
    exchange("E", cause)
    raise SystemExit
