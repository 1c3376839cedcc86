# Shadows MicroPython's time module with the virtual clock.
import _link

_MASK = 0x3FFFFFFF
_EPOCH_S = 1609459200  # a Pico without a set clock starts at 2021-01-01
ticks_ms = _link.ticks_ms
ticks_us = _link.ticks_us
ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    return (ticks + delta) & _MASK


def ticks_diff(end, start):
    return ((end - start + 0x20000000) & _MASK) - 0x20000000


def sleep_ms(ms):
    if ms > 0:
        _link.wait_until(_link.now_us + ms * 1000, False)


def sleep(s):
    sleep_ms(int(s * 1000))


def sleep_us(us):
    if us < 1000:
        _link.spend(us + _link.CALL_US)
    else:
        _link.wait_until(_link.now_us + us, False)


def time_ns():
    return _EPOCH_S * 1_000_000_000 + _link.now_us * 1000


def time():
    return _EPOCH_S + _link.now_us // 1_000_000


from utime import gmtime, localtime, mktime  # noqa: E402
