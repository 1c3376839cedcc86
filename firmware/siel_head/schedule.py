# Which transmissions a head takes: air rules, deadlines, collisions, and an hourly ceiling no host can lift.
from siel_node.duty_cycle import DutyCycle
from siel_node.lora import airtime_us
from siel_node.region_eu868 import SUB_BANDS, sub_band

MAX_WAITING = 8
# Join answers are asked for 5 s ahead, the slowest legal RX1 15 s; anything later is a mistake.
MAX_AHEAD_US = 20000000
MAX_AIRTIME_US = 4000000
# From the last moment a request is taken to the preamble: the chip's settings and payload go over SPI.
PREPARE_US = 15000
# Around a transmission: one processor prepares one chip at a time and re-arms it within 5 ms.
GUARD_US = 20000
# Bands are limited in ERP, requests are EIRP: 2.15 dB between them. Source: ETSI EN 300 220-1, 3.1.
_EIRP_OVER_ERP_DB = 2


class Transmission:
    # One accepted request; fields as in the link's tx message.
    def __init__(self, fields, payload, start_us, airtime, slack_us):
        self.fields = fields
        self.tag = fields["tag"]
        self.chip = fields["chip"]
        self.frequency_hz = fields["frequency_hz"]
        self.payload = payload
        self.start_us = start_us
        self.airtime_us = airtime
        self.slack_us = slack_us
        self.power_dbm = min(fields["power_dbm"], SUB_BANDS[sub_band(self.frequency_hz)][3] + _EIRP_OVER_ERP_DB)


class Schedule:
    def __init__(self):
        self._duty_cycle = DutyCycle()
        self.waiting = []  # Transmissions, the earliest first

    def admit(self, fields, payload, now_us, start_us, on_air):
        # start_us: None for now. on_air: the Transmissions that chips are sending.
        # Returns (outcome, reason, slack_us, Transmission or None) in the link's words; scheduled is the good one.
        slack_us = 0 if start_us is None else start_us - now_us
        frequency_hz = fields["frequency_hz"]
        bandwidth_hz = fields["bandwidth_hz"]
        if not _known(fields, payload):
            return "refused", "OTHER", slack_us, None
        if not _inside_band(frequency_hz, bandwidth_hz):
            return "refused", "TX_FREQ", slack_us, None
        airtime = airtime_us(
            fields["spreading_factor"],
            bandwidth_hz,
            len(payload),
            bool(fields["crc"]),
            fields["coding_rate"],
            fields["preamble"],
        )
        if airtime > MAX_AIRTIME_US:
            return "refused", "AIRTIME", slack_us, None
        if start_us is None:
            begin_us = now_us + PREPARE_US
        elif slack_us < PREPARE_US:
            return "too_late", "TOO_LATE", slack_us, None
        elif slack_us > MAX_AHEAD_US:
            return "refused", "TOO_EARLY", slack_us, None
        else:
            begin_us = start_us
        if len(self.waiting) >= MAX_WAITING:
            return "busy", "BUSY", slack_us, None
        for other in self.waiting + on_air:
            if _collide(fields["chip"], begin_us, airtime, other):
                if start_us is None:
                    return "busy", "BUSY", slack_us, None
                return "refused", "COLLISION", slack_us, None
        band = sub_band(frequency_hz)
        planned_us = airtime
        for other in self.waiting:
            if sub_band(other.frequency_hz) == band:
                planned_us += other.airtime_us
        if self._duty_cycle.wait_s(now_us // 1000000, frequency_hz, planned_us):
            return "refused", "DUTY_CYCLE", slack_us, None
        transmission = Transmission(fields, payload, begin_us, airtime, slack_us)
        self.waiting.append(transmission)
        self.waiting.sort(key=_start_us)
        return "scheduled", "", slack_us, transmission

    def next_us(self):
        # When the next transmission wants its chip, None without any.
        return self.waiting[0].start_us - PREPARE_US if self.waiting else None

    def take(self, now_us):
        # The transmission whose time to be prepared has come, None otherwise; it is booked as sent.
        if not self.waiting or now_us < self.waiting[0].start_us - PREPARE_US:
            return None
        transmission = self.waiting.pop(0)
        self._duty_cycle.spend(transmission.start_us // 1000000, transmission.frequency_hz, transmission.airtime_us)
        return transmission

    def cancel(self, tag):
        # The waiting transmission of that tag, which is gone now; None when there is none.
        for index, transmission in enumerate(self.waiting):
            if transmission.tag == tag:
                return self.waiting.pop(index)
        return None


def _start_us(transmission):
    return transmission.start_us


def _known(fields, payload):
    return (
        7 <= fields["spreading_factor"] <= 12
        and fields["bandwidth_hz"] in (125000, 250000, 500000)
        and 5 <= fields["coding_rate"] <= 8
        and fields["preamble"] >= 6
        and len(payload) > 0
    )


def _inside_band(frequency_hz, bandwidth_hz):
    # The whole channel, not its middle only.
    index = sub_band(frequency_hz)
    if index < 0:
        return False
    band = SUB_BANDS[index]
    half = bandwidth_hz // 2
    return band[0] <= frequency_hz - half and frequency_hz + half <= band[1]


def _collide(chip, start_us, airtime, other):
    if chip == other.chip:
        return (
            start_us < other.start_us + other.airtime_us + GUARD_US and other.start_us < start_us + airtime + GUARD_US
        )
    return abs(start_us - other.start_us) < GUARD_US
