# What a node must still know after a power cut: counters that may never repeat, the session, what the network set.
import struct

from . import region_eu868 as region
from ._compat import const

# FCntUp is reserved this far ahead: one flash write for that many uplinks, and that many numbers lost by a power cut.
F_CNT_BLOCK = const(32)
# A 16-bit counter; when it is spent the device cannot join any more. Source: TS001-1.0.4 6.2.5
DEV_NONCES = const(0x10000)

# Never reorder: DevNonce and JoinNonce stay where they are, so that every later version can read them from any record.
_VERSION = const(2)
_NONCES = "<IIiI"
_SESSION = "<16s16sIIIIIHBBBBBBBB"
_SESSION_FIELDS = (
    "nwk_s_key",
    "app_s_key",
    "dev_addr",
    "f_cnt_up_reserved",
    "f_cnt_down",
    "adr_ack_cnt",
    "rx2_frequency_hz",
    "channel_mask",
    "joined",
    "rx_delay_s",
    "rx1_dr_offset",
    "rx2_dr",
    "dr",
    "tx_power",
    "nb_trans",
    "max_duty_cycle",
)
_NONCES_SIZE = struct.calcsize(_NONCES)
_CHANNELS_AT = _NONCES_SIZE + struct.calcsize(_SESSION)
# Per channel: frequency of uplinks, frequency of RX1, data rates
_CHANNEL = "<IIB"
_CHANNEL_SIZE = const(9)
_ANSWERS_AT = _CHANNELS_AT + _CHANNEL_SIZE * region.MAX_CHANNELS
# What FOpts can hold
_ANSWERS_BYTES = const(15)
_SIZE = _ANSWERS_AT + _ANSWERS_BYTES
# Behind the answers in a record: no command has this identifier, no status this value
_FILL = b"\xff"


class State:
    # tag: tells identities apart (see identity.py); another identity keeps DevNonce and nothing else.
    def __init__(self, tag: int = 0) -> None:
        self.tag = tag
        # The next DevNonce to use, and the last JoinNonce accepted (-1: none)
        self.dev_nonce = 0
        self.join_nonce = -1
        # Set by whoever changes something that must not be lost; cleared by whoever stored it
        self.dirty = False
        self.forget_session()

    def forget_session(self) -> None:
        self.joined = False
        self.nwk_s_key = self.app_s_key = bytes(16)
        self.dev_addr = 0
        # Next FCntUp to use (in RAM), first one not reserved (stored), lowest FCntDown not used yet (0: none heard)
        self.f_cnt_up = 0
        self.f_cnt_up_reserved = 0
        self.f_cnt_down = 0
        self.rx_delay_s = region.RECEIVE_DELAY1_S
        self.rx1_dr_offset = 0
        self.rx2_frequency_hz = region.RX2_FREQUENCY_HZ
        self.rx2_dr = region.RX2_DR
        self.dr = 0
        self.tx_power = 0
        self.nb_trans = 1
        # Uplinks since the network was last heard
        self.adr_ack_cnt = 0
        # n of DutyCycleReq: not more than 1 / 2**n of the time over all bands
        self.max_duty_cycle = 0
        # Answers to be repeated until the next downlink
        self.sticky = b""
        # Per channel: 0 where there is none; RX1 of a DlChannelReq, 0 for the uplink's; highest and lowest data rate
        self.channels_hz = [0] * region.MAX_CHANNELS
        self.downlinks_hz = [0] * region.MAX_CHANNELS
        self.dr_ranges = bytearray([region.MAX_CHANNEL_DR << 4] * region.MAX_CHANNELS)
        for index, frequency_hz in enumerate(region.DEFAULT_CHANNELS_HZ):
            self.channels_hz[index] = frequency_hz
        self.channel_mask = self.defined_channels()

    def defined_channels(self) -> int:
        mask = 0
        for index, frequency_hz in enumerate(self.channels_hz):
            if frequency_hz:
                mask |= 1 << index
        return mask

    def channels_for(self, dr: int, mask: int) -> int:
        # Those of mask that may carry dr.
        for index, dr_range in enumerate(self.dr_ranges):
            if not dr_range & 15 <= dr <= dr_range >> 4:
                mask &= ~(1 << index)
        return mask

    def settle(self) -> None:
        # A device without a channel for its data rate would be lost: it takes the default ones too.
        if not self.channels_for(self.dr, self.channel_mask):
            self.channel_mask |= region.DEFAULT_CHANNELS
            self.dr = min(self.dr, region.MAX_CHANNEL_DR)

    def next_f_cnt_up(self) -> int:
        # Takes the next FCntUp; when it lies beyond what is reserved, the state is dirty and must be stored before use.
        f_cnt = self.f_cnt_up
        if f_cnt >= self.f_cnt_up_reserved:
            self.f_cnt_up_reserved = f_cnt + F_CNT_BLOCK
            self.dirty = True
        self.f_cnt_up = f_cnt + 1
        return f_cnt

    def pack(self) -> bytearray:
        data = bytearray(_SIZE)
        struct.pack_into(_NONCES, data, 0, _VERSION, self.dev_nonce, self.join_nonce, self.tag)
        struct.pack_into(_SESSION, data, _NONCES_SIZE, *[getattr(self, name) for name in _SESSION_FIELDS])
        at = _CHANNELS_AT
        for channel in zip(self.channels_hz, self.downlinks_hz, self.dr_ranges):
            struct.pack_into(_CHANNEL, data, at, *channel)
            at += _CHANNEL_SIZE
        data[at:] = self.sticky + _FILL * (_ANSWERS_BYTES - len(self.sticky))
        return data

    def unpack(self, data: bytes | bytearray) -> None:
        # Takes over a stored record. One of another identity gives its DevNonce, which may never go back; of another
        # version its JoinNonce too.
        if len(data) < _NONCES_SIZE:
            return
        version, self.dev_nonce, join_nonce, tag = struct.unpack_from(_NONCES, data, 0)
        if tag != self.tag:
            return
        self.join_nonce = join_nonce
        if version != _VERSION or len(data) != _SIZE:
            return
        for name, value in zip(_SESSION_FIELDS, struct.unpack_from(_SESSION, data, _NONCES_SIZE)):
            setattr(self, name, value)
        self.joined = bool(self.joined)
        # What was reserved may have been sent
        self.f_cnt_up = self.f_cnt_up_reserved
        at = _CHANNELS_AT
        for i in range(region.MAX_CHANNELS):
            self.channels_hz[i], self.downlinks_hz[i], self.dr_ranges[i] = struct.unpack_from(_CHANNEL, data, at)
            at += _CHANNEL_SIZE
        self.sticky = bytes(data[at:]).rstrip(_FILL)
