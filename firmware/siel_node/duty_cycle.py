# Airtime budget per sub-band over a sliding hour: the rule itself, no silence beyond it.
#
# Memory stays bounded by adding up airtime per minute, and the ledger never undercounts: a transmission is booked in
# the minute in which it starts and counts whole until all of that minute is an hour old, up to 60 s too long. (While it
# leaves the window bit by bit, a new one cannot have used more than what has left.)
#
# It outlives a reset by what is stored: a transmission goes out only when the stored ledger covers it. reserve() takes
# ahead what may be spent until the next store, pack() stores that as if all of it were spent, and to unpack() no time
# has passed since but what is known. So whenever the power fails, what is counted is at least what was on air.
import struct

from ._compat import const
from .region_eu868 import SUB_BANDS, sub_band

# Source: ETSI EN 300 220-1 V3.1.1, 5.4: duty cycle is observed over an hour.
WINDOW_S = const(3600)
_STEP_S = const(60)
_LONGEST_S = const(3660)
# What is stored: band, minutes until it has left the window, airtime in us. At most 62 entries per band, 2232 bytes in
# all; a reading each 15 minutes makes 36.
_ENTRY = "<BBI"
_ENTRY_SIZE = const(6)
_RESERVED = const(62)
# Times permille: an eighth of an hour's budget, so that a band asks for no more than 8 stores per hour
_MOST_AHEAD_US = const(450000)


class DutyCycle:
    # bands: (first Hz, last Hz, permille, ...). Times are whole seconds of any clock that never goes backwards.
    def __init__(self, bands: tuple[tuple[int, int, int, int], ...] = SUB_BANDS) -> None:
        self._bands = bands
        # Per band: minute, airtime in us, minute, airtime in us, ... oldest first; and the sum of the airtimes
        self._spent: list[list[int]] = [[] for _ in bands]
        self._sums_us = [0] * len(bands)
        # Per band: what is stored as spent and is not; and how much the next reserve() takes. It doubles: a node that
        # is reset over and over loses next to nothing, one that lives long stores seldom.
        self._reserved_us = [0] * len(bands)
        self._ahead_us = 0

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
        if index >= 0:
            self._book(index, now_s // _STEP_S, airtime_us)
            self._reserved_us[index] = max(0, self._reserved_us[index] - airtime_us)

    def reserve(self, frequency_hz: int, airtime_us: int) -> bool:
        # To be asked before each transmission (of one of the bands): True when pack() must be stored first.
        index = sub_band(frequency_hz, self._bands)
        if self._reserved_us[index] >= airtime_us:
            return False
        most_us = self._bands[index][2] * _MOST_AHEAD_US
        self._reserved_us[index] = ahead_us = max(airtime_us, min(self._ahead_us, most_us))
        self._ahead_us = 2 * ahead_us
        return True

    def pack(self, now_s: int) -> bytearray:
        # What is spent and reserved; empty when nothing is.
        data = bytearray()
        for index, spent in enumerate(self._spent):
            for i in range(0, len(spent), 2):
                left = (_end_s(spent[i]) - now_s + _STEP_S - 1) // _STEP_S
                if left > 0:
                    data.extend(struct.pack(_ENTRY, index, left, spent[i + 1]))
            if self._reserved_us[index]:
                data.extend(struct.pack(_ENTRY, index, _RESERVED, self._reserved_us[index]))
        return data

    def unpack(self, data: bytes | bytearray, now_s: int, elapsed_s: int = 0) -> None:
        # Before the first spend. elapsed_s: what is known to have passed since pack; it makes no reserve older, for
        # that may have been spent at any time since. Whole minutes of now_s lose nothing; others up to a minute.
        for at in range(0, len(data) - _ENTRY_SIZE + 1, _ENTRY_SIZE):
            index, left, airtime_us = struct.unpack_from(_ENTRY, data, at)
            left_s = left * _STEP_S - elapsed_s if left < _RESERVED else _LONGEST_S
            if left_s > 0 and index < len(self._bands):
                self._book(index, (now_s + left_s - _LONGEST_S + _STEP_S - 1) // _STEP_S, airtime_us)

    def _book(self, index: int, step: int, airtime_us: int) -> None:
        self._sums_us[index] += airtime_us
        spent = self._spent[index]
        if spent and spent[-2] >= step:
            spent[-1] += airtime_us
        else:
            spent.append(step)
            spent.append(airtime_us)


def _end_s(step: int) -> int:
    # When the last moment of that minute is an hour old
    return step * _STEP_S + _LONGEST_S
