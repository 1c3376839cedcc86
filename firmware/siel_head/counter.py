# The head's microsecond clock: raw ticks, whose period is the port's own, made into a counter that never wraps here.
# The link carries its low 32 bits. now() must be called once per half period (9 minutes where it is 2**30 us).
from siel_node._compat import ticks_add, ticks_diff, ticks_us

MASK = 0xFFFFFFFF


def signed_32(difference: int) -> int:
    # The difference of two 32-bit counters as the nearest signed number.
    return ((difference + 0x80000000) & MASK) - 0x80000000


class Counter:
    def __init__(self) -> None:
        self._last_ticks = ticks_us()
        self._us = 0

    def now(self) -> int:
        ticks = ticks_us()
        self._us += ticks_diff(ticks, self._last_ticks)
        self._last_ticks = ticks
        return self._us

    def at(self, ticks: int) -> int:
        # When a raw stamp was taken, by an interrupt handler for example.
        return self._us + ticks_diff(ticks, self._last_ticks)

    def ticks(self, us: int) -> int:
        # The raw ticks at that time, to spin for. us: within half a period of now.
        return ticks_add(self._last_ticks, us - self._us)

    def wide(self, counter_us: int) -> int:
        # What 32 bits from the link stand for, within 35 minutes of now.
        return self._us + signed_32(counter_us - self._us)
