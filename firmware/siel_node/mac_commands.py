# MAC commands of the network to a class A device in EU868: one table, and what is done about each.
from . import region_eu868 as region
from ._compat import const
from .frame import MAX_F_OPTS_BYTES
from .state import State

LINK_ADR = const(0x03)
RX_PARAM_SETUP = const(0x05)
DEV_STATUS = const(0x06)
NEW_CHANNEL = const(0x07)
DL_CHANNEL = const(0x0A)

# CID: bytes after it in the network's command. What is not here ends the list, for its length is unknown.
# Source: TS001-1.0.4 chapter 5, and DeviceTimeAns 5.9
DOWN_BYTES = {
    0x02: 2,  # LinkCheckAns
    LINK_ADR: 4,
    0x04: 1,  # DutyCycleReq
    RX_PARAM_SETUP: 4,
    DEV_STATUS: 0,
    NEW_CHANNEL: 5,
    0x08: 1,  # RXTimingSetupReq
    0x09: 1,  # TXParamSetupReq; EU868 does not implement it and must not answer
    DL_CHANNEL: 4,
    0x0D: 5,  # DeviceTimeAns
}

# Refused with status 0, which changes nothing on either side. The commands that know no refusal and are not carried
# out stay unanswered: an answer would promise what is not done.
_REFUSED = (RX_PARAM_SETUP, NEW_CHANNEL, DL_CHANNEL)

BATTERY_UNKNOWN = const(255)


class Answers:
    # What goes north with the next uplink: in the order of the commands, cut off before the first that FOpts cannot
    # hold, since the network counts them off. What was cut is asked for again. Source: TS001-1.0.4 5
    def __init__(self) -> None:
        self.data = bytearray()
        self._cut = False

    def add(self, answer: bytes) -> None:
        if self._cut or len(self.data) + len(answer) > MAX_F_OPTS_BYTES:
            self._cut = True
        else:
            self.data.extend(answer)

    def clear(self) -> None:
        self.data = bytearray()
        self._cut = False


def handle(state: State, commands: bytes, answers: Answers, battery: int, snr_db: int) -> None:
    # Carries out a list of commands on state. battery: 0 external, 1 to 254 level, 255 unknown.
    # Source: TS001-1.0.4 5: an unknown or cut command ends the list, what came before it stays valid.
    at = 0
    end = len(commands)
    while at < end:
        cid = commands[at]
        length = DOWN_BYTES.get(cid)
        if length is None or at + 1 + length > end:
            return
        if cid == LINK_ADR:
            at = _link_adr(state, commands, at, answers)
            continue
        if cid == DEV_STATUS:
            # Source: TS001-1.0.4 5.5: SNR as 6-bit two's complement
            answers.add(bytes((cid, battery, max(-32, min(31, snr_db)) & 0x3F)))
        elif cid in _REFUSED:
            answers.add(bytes((cid, 0)))
        at += 1 + length


def _link_adr(state: State, commands: bytes, at: int, answers: Answers) -> int:
    # A block of LinkADRReq is one request: all of it or nothing, the last one's DR, power and NbTrans, one answer
    # for each. Returns where the block ends. Source: TS001-1.0.4 5.2, RP002-1.0.4 2.4.5
    mask = state.channel_mask
    known = state.defined_channels()
    status = 7
    count = 0
    dr_power = redundancy = 0
    while at + 5 <= len(commands) and commands[at] == LINK_ADR:
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
    elif dr > region.MAX_CHANNEL_DR:
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
        state.dirty = True
    for _ in range(count):
        answers.add(bytes((LINK_ADR, status)))
    return at
