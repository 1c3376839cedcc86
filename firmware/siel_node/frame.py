# PHYPayloads of a LoRaWAN 1.0.4 end-device: what it sends is written into a caller's buffer, what it hears is
# checked and decrypted in place. Wire order is little-endian; EUIs are given in wire order too.
import struct

from ._compat import const
from .crypto import DOWNLINK, UPLINK, Cipher

# The longest PHYPayload LoRa carries
MAX_FRAME_BYTES = const(255)
MAX_F_OPTS_BYTES = const(15)

# MHDR: frame type and Major R1; the bits between are reserved, a receiver ignores them. Source: TS001-1.0.4 1.1, 4.2
_TYPE_AND_MAJOR = const(0xE3)
_JOIN_REQUEST = const(0x00)
_JOIN_ACCEPT = const(0x20)
_UNCONFIRMED_UP = const(0x40)
_UNCONFIRMED_DOWN = const(0x60)
_CONFIRMED_UP = const(0x80)
_CONFIRMED_DOWN = const(0xA0)

# FCtrl, the one bit of it that both sides set. Source: TS001-1.0.4 4.3.1
ACK = const(0x20)

# FPort of a frame without one
NO_PORT = const(-1)


def encode_join_request(buf: bytearray, join_eui: bytes, dev_eui: bytes, dev_nonce: int, app: Cipher) -> int:
    # Its length, 23. Source: TS001-1.0.4 6.2.5
    struct.pack_into("<B8s8sH", buf, 0, _JOIN_REQUEST, join_eui, dev_eui, dev_nonce)
    buf[19:23] = app.cmac(buf, 19)[:4]
    return 23


def open_join_accept(phy: bytearray, app: Cipher) -> bool:
    # True when it is a join-accept of this AppKey; phy is then plain, except for its MIC undefined otherwise.
    # Source: TS001-1.0.4 6.2.6: the server decrypts, so that the device needs encryption only.
    length = len(phy)
    if length not in (17, 33) or phy[0] & _TYPE_AND_MAJOR != _JOIN_ACCEPT:
        return False
    app.encrypt(phy, 1, length)
    return app.cmac(phy, length - 4)[:4] == phy[length - 4 :]


def encode_uplink(
    buf: bytearray,
    confirmed: bool,
    dev_addr: int,
    f_ctrl: int,
    f_cnt: int,
    f_opts: bytes | bytearray,
    f_port: int,
    payload: bytes | bytearray | memoryview,
    nwk: Cipher,
    app: Cipher,
) -> int:
    # Its length. f_ctrl: flags without FOptsLen; f_cnt: 32 bits; payload is ignored with NO_PORT.
    end = 8 + len(f_opts)
    mhdr = _CONFIRMED_UP if confirmed else _UNCONFIRMED_UP
    struct.pack_into("<BIBH", buf, 0, mhdr, dev_addr, f_ctrl | len(f_opts), f_cnt & 0xFFFF)
    buf[8:end] = f_opts
    if f_port != NO_PORT:
        buf[end] = f_port
        start = end + 1
        end = start + len(payload)
        buf[start:end] = payload
        (app if f_port else nwk).crypt(buf, start, end, dev_addr, f_cnt, UPLINK)
    buf[end : end + 4] = nwk.mic(buf, end, dev_addr, f_cnt, UPLINK)[:4]
    return end + 4


def full_f_cnt(expected: int, wire: int) -> int:
    # The 32-bit FCnt of a frame that carries its low half; -1 for a repeat of the last frame (expected - 1).
    # expected: lowest FCnt not used yet, 0 when none was heard. A smaller wire value is a wrap; the MIC decides.
    if expected and wire == (expected - 1) & 0xFFFF:
        return -1
    full = (expected >> 16 << 16) + wire
    return full if full >= expected else full + 0x10000


class Downlink:
    # What a data frame of the network said. Payload and FOpts are copies, so the frame's buffer is free again.
    def __init__(self, confirmed: bool, f_ctrl: int, f_cnt: int, f_opts: bytes, f_port: int, payload: bytes) -> None:
        self.confirmed = confirmed
        self.f_ctrl = f_ctrl
        self.f_cnt = f_cnt
        self.f_opts = f_opts
        self.f_port = f_port
        self.payload = payload


def open_downlink(phy: bytearray, dev_addr: int, expected_f_cnt: int, nwk: Cipher, app: Cipher) -> Downlink | None:
    # None for whatever is not a new, whole frame for this session; phy is undefined afterwards.
    length = len(phy)
    if length < 12:
        return None
    mhdr = phy[0] & _TYPE_AND_MAJOR
    if mhdr not in (_UNCONFIRMED_DOWN, _CONFIRMED_DOWN):
        return None
    _, address, f_ctrl, wire = struct.unpack_from("<BIBH", phy, 0)
    if address != dev_addr:
        return None
    f_cnt = full_f_cnt(expected_f_cnt, wire)
    # The last value of the counter is never used: what follows it could not be told from the first.
    if f_cnt < 0 or f_cnt >= 0xFFFFFFFF:
        return None
    end = length - 4
    if nwk.mic(phy, end, dev_addr, f_cnt, DOWNLINK)[:4] != phy[end:]:
        return None
    start = 8 + (f_ctrl & 0x0F)
    if start > end:
        return None
    f_opts = bytes(phy[8:start])
    f_port = NO_PORT
    if start < end:
        f_port = phy[start]
        start += 1
        # Source: TS001-1.0.4 4.3.1.6: MAC commands in both places make the frame invalid.
        if f_port == 0 and f_opts:
            return None
        (app if f_port else nwk).crypt(phy, start, end, dev_addr, f_cnt, DOWNLINK)
    return Downlink(mhdr == _CONFIRMED_DOWN, f_ctrl & 0xF0, f_cnt, f_opts, f_port, bytes(phy[start:end]))
