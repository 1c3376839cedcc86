# The line to the coordinator; siel_hil/process.py is the other end and names the operations.
# Request: <op u8> <argument u8> <length u16> <time_us u64>, then data. Those with bit 7 in op are posted: they need no
# answer, so they wait here and travel with the next one that does, each with its own time.
# Answer: <kind u8> <mask u8> <length u16> <free_us u32> <time_us u64>, then the payload, at least INLINE bytes of it.
# kind: 'G' go on, 'I' go on and all chips are awake with BUSY low, 'X' the end.
# mask: bits 0-3 interrupt lines that fired (their times follow the payload, u64 each), bits 4-5 UARTs with bytes
# waiting, bit 6 the payload is bytes of UARTs 0 and 1 (two lengths, then the bytes), bit 7 a chip's BUSY was not as
# foreseen.
# free_us: for so long nobody else is due, so a wait that ends before needs no exchange.
# Every command of the radio comes through here, so: few locals (a large frame is allocated on the heap), no tuple of
# more than two (an allocation of several blocks searches the heap from its start).
import sys
from struct import pack_into, unpack_from

from micropython import const

_INLINE = const(24)
_LARGEST = const(1024)
_ENOUGH = const(1200)
_END = const(88)
_IDLE = const(73)
CALL_US = const(10)  # what a call of MicroPython costs on a 133 MHz RP2040, about: no loop on the clock is free
NEVER = const(1 << 60)
_TICKS_MASK = const(0x3FFFFFFF)  # the period of RP2040 and ESP32

_in = open(int(sys.argv[1]), "rb")
_out = open(int(sys.argv[2]), "wb")
_queue = bytearray(_ENOUGH + 2 * (12 + _LARGEST))
_queued = 0
_wait_until = bytearray(8)
_buffer = bytearray(16 + _LARGEST + 64)
_first = memoryview(_buffer)[: 16 + _INLINE]
_rest = memoryview(_buffer)[16 + _INLINE :]
payload = memoryview(_buffer)[16:]

now_us = 0
uart_waiting = 0
uart_bytes = [b"", b""]
chips = 0
busy_until = [None] * 4  # of each SPI device; None: to be asked for
wakes = [True] * 4  # the falling edge of its chip select matters: it wakes a sleeping chip
wdt_deadline_us = NEVER
_free_until_us = 0
_last_exchange_us = 0
_handlers = [None] * 4
_pins = [None] * 4


def on_line(line, pin, handler):
    _pins[line] = pin
    _handlers[line] = handler


def post(op, argument, data=b""):
    # A request without an answer: it goes out with the next exchange. There is always room for one more.
    global _queued, _free_until_us
    at = _queued
    n = len(data)
    pack_into("<BBHQ", _queue, at, op, argument, n, now_us)
    at += 12
    if n:
        _queue[at : at + n] = data
    _queued = at + n
    _free_until_us = 0
    if at > _ENOUGH and op & 0x80:
        _request_wait(now_us, False)


def exchange(op, argument=0, data=b""):
    # Returns the answer's payload length; the bytes are in `payload`.
    global now_us, _queued, _last_exchange_us, _free_until_us
    post(op, argument, data)
    _out.write(_queue, _queued)
    _queued = 0
    if _in.readinto(_first) != 16 + _INLINE:
        raise SystemExit  # the coordinator is gone
    now_us = _last_exchange_us = unpack_from("<Q", _buffer, 8)[0]
    answer = unpack_from("<Q", _buffer)[0]
    _free_until_us = now_us + (answer >> 32)
    return _take(answer & 0xFF, answer >> 8 & 0xFF, answer >> 16 & 0xFFFF)


def _take(kind, mask, length):
    global uart_waiting
    if length > _INLINE:
        _in.readinto(_rest[: length - _INLINE])
    if kind == _END:
        raise SystemExit
    if kind == _IDLE or mask > 127:
        for device in range(chips):
            busy_until[device] = 0 if kind == _IDLE else None
            wakes[device] = kind != _IDLE
    uart_waiting = mask >> 4 & 3
    if mask & 15:
        length -= _interrupts(mask, length)
    if mask & 64:
        uart_bytes[0] += bytes(payload[2 : 2 + payload[0]])
        uart_bytes[1] += bytes(payload[2 + payload[0] : length])
    return length


def _interrupts(mask, length):
    # A handler runs when its line rises, not when the coordinator is next spoken to. Returns the size of the times.
    global now_us
    present = now_us
    at = 16 + length
    for line in range(3, -1, -1):
        if mask >> line & 1:
            at -= 8
            if _handlers[line]:
                now_us = unpack_from("<Q", _buffer, at)[0]
                _handlers[line](_pins[line])
    now_us = present
    return 16 + length - at


def wait_until(t_us, wake):
    # wake: return early on an interrupt or a UART byte; else serve interrupts and go on sleeping.
    global now_us
    while now_us < t_us:
        before = now_us
        limit = min(t_us, wdt_deadline_us)
        if limit <= _free_until_us:
            now_us = limit
        else:
            _request_wait(limit, wake)
        if now_us >= wdt_deadline_us:
            reset(3)
        if wake and (now_us < limit or now_us == before):
            return


def _target(t_us):
    pack_into("<Q", _wait_until, 0, t_us)
    return _wait_until


def _request_wait(t_us, wake):
    # The argument says which UARTs have room here: what waits for them comes with the answer.
    if wake:
        exchange(0x57, (0 if uart_bytes[0] else 1) | (0 if uart_bytes[1] else 2), _target(t_us))
    else:
        exchange(0x5A, 0, _target(t_us))


def spend(us):
    # Local time only: nobody can act on this process before its next exchange.
    global now_us
    now_us += us
    if now_us >= wdt_deadline_us:
        reset(3)


def ticks_ms():
    spend(CALL_US)
    return now_us // 1000 & _TICKS_MASK


def ticks_us():
    spend(CALL_US)
    return now_us & _TICKS_MASK


def refresh():
    # For loops that look at a UART without waiting: an exchange now and then keeps them honest.
    if now_us - _last_exchange_us >= 1000 and now_us > _free_until_us:
        _request_wait(now_us, True)


def reset(cause):
    exchange(0x45, cause)
    raise SystemExit
