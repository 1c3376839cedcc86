# Airtime budget per sub-band over a sliding hour: the rule itself, no silence beyond it.
#
# Memory stays bounded by adding up airtime per minute, and the ledger never undercounts: a transmission is booked in
# the minute in which it starts and counts whole until all of that minute is an hour old, up to 60 s too long. (While it
# leaves the window bit by bit, a new one cannot have used more than what has left.)
from .region_eu868 import SUB_BANDS, sub_band

# Source: ETSI EN 300 220-1 V3.1.1, 5.4: duty cycle is observed over an hour.
WINDOW_S = 3600
_STEP_S = 60


class DutyCycle:
    # bands: (first Hz, last Hz, permille, ...). Times are whole seconds of any clock that never goes backwards.
    def __init__(self, bands: tuple[tuple[int, int, int, int], ...] = SUB_BANDS) -> None:
        self._bands = bands
        # Per band: minute, airtime in us, minute, airtime in us, ... oldest first; and the sum of the airtimes
        self._spent: list[list[int]] = [[] for _ in bands]
        self._sums_us = [0] * len(bands)

    def wait_s(self, now_s: int, frequency_hz: int, airtime_us: int) -> int:
        # 0: may be sent now. Otherwise the seconds to wait; -1: never (outside every band or over the whole budget).
        index = sub_band(frequency_hz, self._bands)
        if index < 0:
            return -1
        # permille of an hour in us, a small int on 32-bit ports too
        room_us = self._bands[index][2] * WINDOW_S * 1000 - airtime_us
        if room_us < 0:
            return -1
        spent = self._spent[index]
        while spent and _end_s(spent[0]) <= now_s:
            self._sums_us[index] -= spent[1]
            del spent[:2]
        room_us -= self._sums_us[index]
        wait_s = position = 0
        while room_us < 0:
            room_us += spent[position + 1]
            wait_s = _end_s(spent[position]) - now_s
            position += 2
        return wait_s

    def spend(self, now_s: int, frequency_hz: int, airtime_us: int) -> None:
        # Books a transmission that starts in the second now_s or has just ended, whether or not wait_s was asked.
        index = sub_band(frequency_hz, self._bands)
        if index < 0:
            return
        self._sums_us[index] += airtime_us
        spent = self._spent[index]
        step = now_s // _STEP_S
        if spent and spent[-2] >= step:
            spent[-1] += airtime_us
        else:
            spent.append(step)
            spent.append(airtime_us)


def _end_s(step: int) -> int:
    # When the last moment of that minute is an hour old
    return (step + 1) * _STEP_S + WINDOW_S
