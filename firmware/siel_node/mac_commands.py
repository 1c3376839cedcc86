# MAC commands of a class A device in EU868: one table for both directions, and what is done about each.
from . import region_eu868 as region
from ._compat import const
from .frame import MAX_F_OPTS_BYTES
from .state import State

# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from .mac import Mac

LINK_CHECK = const(0x02)
_LINK_ADR = const(0x03)
_DUTY_CYCLE = const(0x04)
_RX_PARAM_SETUP = const(0x05)
_DEV_STATUS = const(0x06)
_NEW_CHANNEL = const(0x07)
_RX_TIMING_SETUP = const(0x08)
_TX_PARAM_SETUP = const(0x09)
_DL_CHANNEL = const(0x0A)
DEVICE_TIME = const(0x0D)

# CID: bytes after it in what the network says, and in what the device says. What is not here ends a list, for its
# length is unknown. Source: TS001-1.0.4 chapter 5
COMMANDS = {
    LINK_CHECK: (2, 0),
    _LINK_ADR: (4, 1),
    _DUTY_CYCLE: (1, 0),
    _RX_PARAM_SETUP: (4, 1),
    _DEV_STATUS: (0, 2),
    _NEW_CHANNEL: (5, 1),
    _RX_TIMING_SETUP: (1, 0),
    # EU868 does not implement it and must not answer
    _TX_PARAM_SETUP: (1, 1),
    _DL_CHANNEL: (4, 1),
    DEVICE_TIME: (5, 0),
}
# Answers that go with every uplink until a downlink comes: the network may go by the new values only once it knows that
# the device does. Source: TS001-1.0.4 5.4, 5.7, 5.8
_STICKY = (_RX_PARAM_SETUP, _RX_TIMING_SETUP, _DL_CHANNEL)

BATTERY_UNKNOWN = const(255)


class Answers:
    # What goes north with the next uplink: in the order of the commands, cut off before the first that FOpts cannot
    # hold, since the network counts them off. What was cut is asked for again. Source: TS001-1.0.4 5
    def __init__(self) -> None:
        self.restart(b"")

    def restart(self, data: bytes) -> None:
        self.data = data
        self._cut = False

    def add(self, answer: bytes) -> None:
        if self._cut or len(self.data) + len(answer) > MAX_F_OPTS_BYTES:
            self._cut = True
        else:
            self.data += answer

    def sticky(self) -> bytes:
        # Those that are to be repeated.
        kept = b""
        at = 0
        while at < len(self.data):
            cid = self.data[at]
            end = at + 1 + COMMANDS[cid][1]
            if cid in _STICKY:
                kept += self.data[at:end]
            at = end
        return kept


def handle(mac: "Mac", commands: bytes, snr_db: int) -> None:
    # Carries out a list of commands on the device and its state, which is dirty then. snr_db: of the downlink.
    # Source: TS001-1.0.4 5: an unknown or cut command ends the list, what came before it stays valid.
    state = mac.state
    answers = mac.answers
    at = 0
    while at < len(commands):
        cid = commands[at]
        sizes = COMMANDS.get(cid)
        end = at + 1 + (sizes[0] if sizes else len(commands))
        if end > len(commands):
            return
        tail: tuple[int, ...] | None = None
        if cid == _LINK_ADR:
            end = _link_adr(state, commands, at, answers)
        elif cid == _RX_PARAM_SETUP:
            tail = (_rx_param_setup(state, commands, at),)
        elif cid == _NEW_CHANNEL:
            tail = (_new_channel(state, commands, at),)
        elif cid == _DL_CHANNEL:
            tail = (_dl_channel(state, commands, at),)
        elif cid == _DEV_STATUS:
            # Source: TS001-1.0.4 5.5: SNR as 6-bit two's complement
            tail = (mac.battery, max(-32, min(31, snr_db)) & 0x3F)
        elif cid == _DUTY_CYCLE:
            state.max_duty_cycle = commands[at + 1] & 15
            tail = ()
        elif cid == _RX_TIMING_SETUP:
            state.rx_delay_s = commands[at + 1] & 15 or 1
            tail = ()
        elif cid in mac.asked:
            _answered(mac, commands, at)
        if tail is not None:
            answers.add(bytes((cid,) + tail))
        at = end
    state.settle()


def _answered(mac: "Mac", data: bytes, at: int) -> None:
    if data[at] == LINK_CHECK:
        mac.link_margin_db = data[at + 1]
        mac.gateways = data[at + 2]
    else:
        # The time when the request's transmission ended, its fraction in 1/256 s. Source: TS001-1.0.4 5.9
        seconds = data[at + 1] | data[at + 2] << 8 | data[at + 3] << 16 | data[at + 4] << 24
        mac.time = (seconds, mac.sent_ms - data[at + 5] * 1000 // 256)


def _rx_param_setup(state: State, data: bytes, at: int) -> int:
    # Status bits: frequency, data rate of RX2, offset of RX1 (0 to 5). Source: TS001-1.0.4 5.4, RP002-1.0.4 2.4.7
    offset = data[at + 1] >> 4 & 7
    dr = data[at + 1] & 15
    frequency_hz = region.frequency_hz(data, at + 2)
    status = region.receivable(frequency_hz) | (dr < len(region.DATA_RATES)) << 1 | (offset < 6) << 2
    if status == 7:
        state.rx1_dr_offset = offset
        state.rx2_dr = dr
        state.rx2_frequency_hz = frequency_hz
    return status


def _new_channel(state: State, data: bytes, at: int) -> int:
    # Status bits: frequency, range of data rates. Frequency 0 takes the channel away. The default channels stay as
    # they are. Source: TS001-1.0.4 5.6, RP002-1.0.4 2.4.2
    index = data[at + 1]
    if not len(region.DEFAULT_CHANNELS_HZ) <= index < region.MAX_CHANNELS:
        return 0
    frequency_hz = region.frequency_hz(data, at + 2)
    dr_range = data[at + 5]
    status = 3
    if frequency_hz:
        status = (region.sub_band(frequency_hz) >= 0) | (dr_range & 15 <= dr_range >> 4 < len(region.DATA_RATES)) << 1
    if status == 3:
        state.channels_hz[index] = frequency_hz
        state.downlinks_hz[index] = 0
        state.dr_ranges[index] = dr_range
        state.channel_mask |= 1 << index
        state.channel_mask &= state.defined_channels()
    return status


def _dl_channel(state: State, data: bytes, at: int) -> int:
    # Status bits: frequency, the channel exists. Source: TS001-1.0.4 5.7
    index = data[at + 1]
    frequency_hz = region.frequency_hz(data, at + 2)
    status = region.receivable(frequency_hz) | (index < region.MAX_CHANNELS and state.channels_hz[index] > 0) << 1
    if status == 3:
        state.downlinks_hz[index] = frequency_hz
    return status


def _link_adr(state: State, commands: bytes, at: int, answers: Answers) -> int:
    # A block of LinkADRReq is one request: all of it or nothing, the last one's DR, power and NbTrans, one answer
    # for each. Returns where the block ends. Source: TS001-1.0.4 5.2, RP002-1.0.4 2.4.5
    mask = state.channel_mask
    known = state.defined_channels()
    status = 7
    count = 0
    dr_power = redundancy = 0
    while at + 5 <= len(commands) and commands[at] == _LINK_ADR:
        dr_power = commands[at + 1]
        redundancy = commands[at + 4]
        control = redundancy >> 4 & 7
        if control == 0:
            mask = commands[at + 2] | commands[at + 3] << 8
        elif control == 6:
            mask = known
        else:
            status &= 6
        count += 1
        at += 5
    if mask == 0 or mask & ~known:
        status &= 6
    dr = dr_power >> 4
    if dr == 15:
        dr = state.dr
    # Some channel must carry it; a mask that is refused anyway is no reason to refuse the data rate too.
    if not state.channels_for(dr, mask if status & 1 else known):
        status &= 5
    power = dr_power & 15
    if power == 15:
        power = state.tx_power
    elif power > region.MAX_TX_POWER_INDEX:
        status &= 3
    if status == 7:
        state.channel_mask = mask
        state.dr = dr
        state.tx_power = power
        state.nb_trans = redundancy & 15 or 1
    for _ in range(count):
        answers.add(bytes((_LINK_ADR, status)))
    return at
