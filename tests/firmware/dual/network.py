# The other side of the air for scripts under dual/: a small network server, and a shell that does what the MAC says.
import struct

from siel_node import mac
from siel_node._compat import aes
from siel_node.crypto import DOWNLINK, UPLINK, Cipher
from siel_node.identity import Identity, seal
from siel_node.lora import airtime_us
from siel_node.region_eu868 import DATA_RATES
from siel_node.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

DEV_ADDR = 0x02345678
VALUES = seal(
    {
        "dev_eui": "0004a30b001c0530",
        "join_eui": "70b3d57ed0000001",
        "app_key": "2b7e151628aed2a6abf7158809cf4f3c",
        "join_dr": 5,
        "interval_s": 60,
        "codec": "siel/climate",
    }
)


def identity(**changes: "Any") -> Identity:
    values = dict(VALUES)
    values.update(changes)
    return Identity(values)


class Server:
    # Keeps one session and makes whatever downlink a case asks for.
    def __init__(self) -> None:
        self.app_key = Cipher(Identity(VALUES).app_key)
        self.join_nonce = 0
        self.f_cnt_down = 0
        self.dev_nonces: list[int] = []

    def join_accept(
        self,
        request: bytes,
        settings: int = 0,
        rx_delay: int = 1,
        cf_list: bytes = b"",
        join_nonce: int | None = None,
        reserved: int = 0,
    ) -> bytes:
        # reserved: bits of the MHDR that a later specification may give a meaning
        assert len(request) == 23
        assert request[0] == 0
        assert self.app_key.cmac(request, 19)[:4] == request[19:]
        dev_nonce = request[17] | request[18] << 8
        self.dev_nonces.append(dev_nonce)
        if join_nonce is None:
            self.join_nonce += 1
            join_nonce = self.join_nonce
        plain = struct.pack("<BI", 0x20 | reserved, join_nonce)[:4] + b"\x01\x00\x00"
        plain += struct.pack("<IBB", DEV_ADDR, settings, rx_delay) + cf_list
        nonces = plain[1:7]
        self.nwk = Cipher(self.app_key.session_key(1, nonces, dev_nonce))
        self.app = Cipher(self.app_key.session_key(2, nonces, dev_nonce))
        self.f_cnt_down = 0
        plain += bytes(self.app_key.cmac(plain, len(plain))[:4])
        return plain[:1] + aes(Identity(VALUES).app_key, 1).decrypt(plain[1:])

    def down(
        self,
        f_opts: bytes = b"",
        f_port: int = -1,
        payload: bytes = b"",
        ack: bool = False,
        confirmed: bool = False,
        f_cnt: int | None = None,
        reserved: int = 0,
    ) -> bytes:
        if f_cnt is None:
            f_cnt = self.f_cnt_down
            self.f_cnt_down += 1
        mhdr = (0xA0 if confirmed else 0x60) | reserved
        head = struct.pack("<BIBH", mhdr, DEV_ADDR, (0x20 if ack else 0) | len(f_opts), f_cnt & 0xFFFF)
        buf = bytearray(head + f_opts)
        if f_port >= 0:
            buf.append(f_port)
            start = len(buf)
            buf.extend(payload)
            (self.app if f_port else self.nwk).crypt(buf, start, len(buf), DEV_ADDR, f_cnt, DOWNLINK)
        return bytes(buf) + bytes(self.nwk.mic(buf, len(buf), DEV_ADDR, f_cnt, DOWNLINK)[:4])

    def uplink(self, phy: bytes, f_cnt: int | None = None) -> tuple[bool, int, int, bytes, int, bytes]:
        # Checks and opens an uplink: (confirmed, f_ctrl, f_cnt, f_opts, f_port, payload)
        mhdr, dev_addr, f_ctrl, wire = struct.unpack_from("<BIBH", phy, 0)
        f_cnt = wire if f_cnt is None else f_cnt
        assert dev_addr == DEV_ADDR
        assert mhdr in (0x40, 0x80)
        end = len(phy) - 4
        assert self.nwk.mic(phy, end, dev_addr, f_cnt, UPLINK)[:4] == phy[end:]
        start = 8 + (f_ctrl & 15)
        data = bytearray(phy)
        f_port = -1
        if start < end:
            f_port = data[start]
            (self.app if f_port else self.nwk).crypt(data, start + 1, end, dev_addr, f_cnt, UPLINK)
        return mhdr == 0x80, f_ctrl & 0xF0, f_cnt, bytes(phy[8:start]), f_port, bytes(data[start + 1 : end])


class Random:
    # A small generator, the same under every interpreter
    def __init__(self) -> None:
        self._state = 1

    def __call__(self, n: int) -> int:
        self._state = (self._state * 75 + 74) % 65537
        return self._state * n // 65537


class Shell:
    # Carries out the MAC's actions in simulated time and writes down what it did.
    def __init__(
        self, state: State | None = None, random: "Callable[[int], int] | None" = None, **changes: "Any"
    ) -> None:
        who = identity(**changes)
        self.state = State(who.tag) if state is None else state
        self.stored = b""
        self.mac = mac.Mac(who, self.state, random or Random())
        self.now_ms = 1000
        self.log: list[str] = []
        self.frames: list[tuple[int, int, int, int, bytes]] = []
        self.windows: list[tuple[int, int, int, int]] = []
        self.delivered: list[tuple[int, bytes]] = []
        self.tx_end_ms = self.window = 0
        # What the air answers: window number (0 RX1, 1 RX2) -> PHYPayload, asked for each frame
        self.air: Callable[[bytes, int], bytes | None] = lambda phy, window: None

    def step(self) -> int:
        m = self.mac
        action = m.step(self.now_ms)
        if action == mac.PERSIST:
            self.log.append("persist")
            self.stored = bytes(self.state.pack())
            self.state.dirty = False
        elif action == mac.TRANSMIT:
            self.log.append("transmit")
            sf, bandwidth_hz = DATA_RATES[m.tx_dr]
            assert m.tx_airtime_us == airtime_us(sf, bandwidth_hz, len(m.frame))
            self.frames.append((self.now_ms, m.tx_frequency_hz, m.tx_dr, m.tx_power_dbm, bytes(m.frame)))
            self.now_ms += m.tx_airtime_us // 1000 + 1
            self.tx_end_ms = self.now_ms
            self.window = 0
            m.sent(self.now_ms)
        elif action == mac.LISTEN:
            self.log.append("listen")
            self.windows.append((m.rx_open_us, m.rx_frequency_hz, m.rx_dr, m.rx_symbols))
            self.now_ms = max(self.now_ms, self.tx_end_ms + m.rx_open_us // 1000 + 100)
            answer = self.air(self.frames[-1][4], self.window)
            self.window += 1
            if answer is None:
                m.silent(self.now_ms)
            else:
                self.log.append("heard" if m.heard(self.now_ms, answer, 20) else "noise")
        elif action == mac.DELIVER:
            self.log.append("deliver")
            assert m.downlink is not None
            self.delivered.append((m.downlink.f_port, m.downlink.payload))
        elif action == mac.WAIT:
            assert m.wake_ms > self.now_ms
            self.now_ms = m.wake_ms
        return action

    def until_idle(self, steps: int = 1000) -> None:
        for _ in range(steps):
            if self.step() == mac.IDLE:
                return
        raise AssertionError(f"not idle after {steps} steps")

    def exchange(self, payload: bytes = b"\x01\x02", f_port: int = 10, confirmed: bool = False) -> None:
        assert self.mac.send(f_port, payload, confirmed)
        self.until_idle()


def joined(settings: int = 0, rx_delay: int = 1, cf_list: bytes = b"", **changes: "Any") -> tuple[Shell, Server]:
    # A shell whose device has just joined, and its server.
    server = Server()
    shell = Shell(**changes)
    shell.air = lambda phy, window: server.join_accept(phy, settings, rx_delay, cf_list)
    shell.until_idle()
    shell.air = lambda phy, window: None
    del shell.log[:]
    del shell.frames[:]
    del shell.windows[:]
    return shell, server


def pairs(items: "Sequence[Any]") -> "list[tuple[Any, Any]]":
    return [(items[i], items[i + 1]) for i in range(len(items) - 1)]
