"""The MAC against hostile downlinks and power cuts, and its frames against the other implementation in the house."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import IO

from hypothesis import given, settings
from hypothesis import strategies as st

from siel_codecs import lorawan
from siel_node import frame, mac, region_eu868
from siel_node._compat import aes
from siel_node.crypto import DOWNLINK, Cipher
from siel_node.identity import Identity, seal
from siel_node.record import Record
from siel_node.state import DEV_NONCES, F_CNT_BLOCK, State

APP_KEY = bytes(range(16))
WHO = Identity(
    seal(
        {
            "dev_eui": "0004a30b001c0530",
            "join_eui": "70b3d57ed0000001",
            "app_key": APP_KEY.hex(),
            "join_dr": 5,
            "interval_s": 60,
            "codec": "siel/climate",
        }
    )
)
DEV_ADDR = 0x02000001


class PowerCut(Exception):  # noqa: N818 - not an error: it is what the test does
    """The supply fails."""


class Flash:
    """Files in memory; the supply fails after a number of written bytes, and what was written until then stays."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.bytes_left: int | None = None

    def open(self, path: str, mode: str) -> IO[bytes]:
        if "r" in mode:
            if path not in self.files:
                raise OSError(2)
            return io.BytesIO(self.files[path])
        self.files[path] = b""
        flash = self

        class File(io.BytesIO):
            def write(self, data: bytes) -> int:  # type: ignore[override]
                kept = bytes(data)
                if flash.bytes_left is not None:
                    kept = kept[: flash.bytes_left]
                    flash.bytes_left -= len(kept)
                flash.files[path] += kept
                if flash.bytes_left == 0:
                    raise PowerCut
                return len(data)

        return File()


class Server:
    """Knows the device for ever: every nonce and counter that was ever on air."""

    def __init__(self) -> None:
        self.dev_nonces: list[int] = []
        self.counters: list[tuple[int, int]] = []
        self.session = 0
        self.f_cnt_down = 0
        self.nwk_s_key = self.app_s_key = b""
        self.mood = ""

    def answer(self, phy: bytes) -> bytes | None:
        if phy[0] == 0:
            self.dev_nonces.append(phy[17] | phy[18] << 8)
            return None if self.mood == "silent" else self.accept(phy)
        parsed = lorawan.parse_phy(phy)
        assert isinstance(parsed, lorawan.DataFrame)
        assert lorawan.data_mic(self.nwk_s_key, phy[:-4], DEV_ADDR, parsed.f_cnt, True) == phy[-4:]
        self.counters.append((self.session, parsed.f_cnt))
        if self.mood == "down":
            return self.down(payload=b"%d/%d" % (self.session, self.f_cnt_down))
        if self.mood == "adr":
            return self.down(f_opts=b"\x03\x50\x07\x00\x01", f_port=-1)
        return None

    def accept(self, phy: bytes) -> bytes:
        request = lorawan.parse_phy(phy)
        assert isinstance(request, lorawan.JoinRequest)
        assert lorawan.join_request_mic(APP_KEY, phy[:-4]) == phy[-4:]
        self.session += 1
        self.nwk_s_key, self.app_s_key = lorawan.derive_session_keys(APP_KEY, self.session, 1, request.dev_nonce)
        self.f_cnt_down = 0
        return lorawan.encode_join_accept(APP_KEY, join_nonce=self.session, net_id=1, dev_addr=DEV_ADDR)

    def down(self, f_opts: bytes = b"", f_port: int = 1, payload: bytes = b"") -> bytes:
        f_cnt, self.f_cnt_down = self.f_cnt_down, self.f_cnt_down + 1
        return signed(self.nwk_s_key, self.app_s_key, f_cnt, f_opts, f_port, payload)


def signed(nwk_s_key: bytes, app_s_key: bytes, f_cnt: int, f_opts: bytes, f_port: int, payload: bytes) -> bytes:
    buf = bytearray(b"\x60" + DEV_ADDR.to_bytes(4, "little") + bytes((len(f_opts),)))
    buf += (f_cnt & 0xFFFF).to_bytes(2, "little") + f_opts
    nwk = Cipher(nwk_s_key)
    if f_port >= 0:
        buf.append(f_port)
        start = len(buf)
        buf += payload
        (Cipher(app_s_key) if f_port else nwk).crypt(buf, start, len(buf), DEV_ADDR, f_cnt, DOWNLINK)
    return bytes(buf + nwk.mic(buf, len(buf), DEV_ADDR, f_cnt, DOWNLINK)[:4])


class Device:
    """A node from its power-on: state from flash, a MAC on it, a shell that carries out what it says."""

    def __init__(self, flash: Flash, random: Callable[[int], int]) -> None:
        self.record = Record("/state", flash.open)
        self.state = State(WHO.tag)
        stored = self.record.load()
        if stored is not None:
            self.state.unpack(stored)
        self.mac = mac.Mac(WHO, self.state, random)
        self.now_ms = 0
        self.delivered: list[bytes] = []
        self.air: Callable[[bytes], bytes | None] = lambda phy: None

    def until_idle(self, steps: int = 60) -> None:
        for _ in range(steps):
            action = self.mac.step(self.now_ms)
            if action == mac.IDLE:
                return
            if action == mac.PERSIST:
                if self.record.save(self.state.pack()):
                    self.state.dirty = False
            elif action == mac.TRANSMIT:
                self.answer = self.air(bytes(self.mac.frame))
                self.mac.sent(self.now_ms)
            elif action == mac.LISTEN:
                self.now_ms += 3000
                answer, self.answer = self.answer, None
                if answer is None:
                    self.mac.silent(self.now_ms)
                else:
                    self.mac.heard(self.now_ms, answer, 20)
            elif action == mac.DELIVER:
                assert self.mac.downlink is not None
                self.delivered.append(self.mac.downlink.payload)
            else:
                self.now_ms = self.mac.wake_ms


@settings(max_examples=150, deadline=None)
@given(
    lives=st.lists(
        st.tuples(st.integers(0, 700), st.lists(st.sampled_from(["up", "down", "adr", "silent"]), max_size=45)),
        min_size=1,
        max_size=8,
    ),
    random=st.randoms(use_true_random=False),
)
def test_no_nonce_and_no_counter_is_used_twice_whatever_byte_the_power_fails_at(lives, random) -> None:  # type: ignore[no-untyped-def]
    """Each life ends after a number of bytes written to flash, or by a reset after its last uplink."""
    flash, server = Flash(), Server()
    delivered: list[bytes] = []
    for bytes_left, plan in lives:
        flash.bytes_left = None
        stored = Record("/state", flash.open).load()
        device = Device(flash, random.randrange)
        if stored is not None:
            assert bytes(device.state.pack()) == stored, "a life begins with what the one before it had stored"
        flash.bytes_left = bytes_left
        device.air = server.answer
        with contextlib.suppress(PowerCut):
            for server.mood in plan:
                device.until_idle()
                if device.state.joined:
                    device.mac.send(10, b"\x01\x02\x03")
                    device.until_idle()
        delivered += device.delivered
    assert server.dev_nonces == sorted(set(server.dev_nonces))
    assert len(set(server.counters)) == len(server.counters)
    assert len(set(delivered)) == len(delivered), "no downlink acts twice"


def joined_device() -> tuple[Device, Server]:
    server = Server()
    device = Device(Flash(), lambda n: n // 2)
    device.air = server.accept
    device.until_idle()
    assert device.state.joined
    device.air = lambda phy: None
    return device, server


def exchange(device: Device, answer: bytes | None) -> None:
    device.air = lambda phy: answer
    assert device.mac.send(1, b"x")
    device.until_idle()


def check_sane(device: Device) -> None:
    state = device.state
    assert state.channel_mask
    assert state.channel_mask & ~state.defined_channels() == 0
    assert state.channels_for(state.dr, state.channel_mask)
    assert 0 <= state.dr < len(region_eu868.DATA_RATES)
    assert 0 <= state.tx_power <= region_eu868.MAX_TX_POWER_INDEX
    assert 1 <= state.nb_trans <= 15
    assert 1 <= state.rx_delay_s <= 15
    assert state.rx1_dr_offset <= 7
    assert state.rx2_dr < len(region_eu868.DATA_RATES)
    for frequency_hz in (state.rx2_frequency_hz, *state.downlinks_hz):
        assert frequency_hz == 0 or 863_000_000 <= frequency_hz <= 870_000_000
    for frequency_hz in state.channels_hz:
        assert frequency_hz == 0 or region_eu868.sub_band(frequency_hz) >= 0
    assert state.channels_hz[:3] == list(region_eu868.DEFAULT_CHANNELS_HZ)
    assert state.max_duty_cycle <= 15
    again = State(WHO.tag)
    again.unpack(bytes(state.pack()))
    assert again.joined
    assert all(getattr(again, name) == getattr(state, name) for name in ("sticky", "channels_hz", "downlinks_hz"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_as_downlink_change_nothing(answers: list[bytes]) -> None:
    device, _ = joined_device()
    before = device.state.pack()
    for answer in answers:
        exchange(device, answer)
    after = State(WHO.tag)
    after.unpack(bytes(device.state.pack()))
    after.f_cnt_up_reserved = F_CNT_BLOCK
    assert after.adr_ack_cnt <= len(answers)
    after.adr_ack_cnt = 0
    expected = State(WHO.tag)
    expected.unpack(bytes(before))
    expected.f_cnt_up_reserved = F_CNT_BLOCK
    assert after.pack() == expected.pack()
    assert device.delivered == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
def test_any_bytes_as_join_accept_do_not_join(answers: list[bytes], shaped: bool) -> None:
    device = Device(Flash(), lambda n: n // 2)
    queue = [b"\x20" + (answer * 40)[:16] if shaped and answer else answer for answer in answers]
    device.air = lambda phy: queue.pop() if queue else None
    device.until_idle(steps=80)
    assert not device.state.joined


commands = st.one_of(
    st.binary(max_size=15),
    st.lists(
        st.sampled_from([2, 3, 4, 5, 6, 7, 8, 9, 10, 13]).flatmap(
            lambda cid: st.binary(max_size=5).map(lambda data: bytes((cid,)) + data)
        ),
        max_size=4,
    ).map(lambda items: b"".join(items)[:15]),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(commands, st.integers(-1, 255), st.binary(max_size=242), st.integers(1, 70000)),
        min_size=1,
        max_size=5,
    )
)
def test_any_signed_downlink_leaves_a_device_that_works(downlinks: list[tuple[bytes, int, bytes, int]]) -> None:
    """Behind the MIC: any command with any argument, any port, any payload, any step of the counter."""
    device, server = joined_device()
    f_cnt = -1
    for f_opts, f_port, payload, gap in downlinks:
        f_cnt += min(gap, 65535)
        exchange(device, signed(server.nwk_s_key, server.app_s_key, f_cnt, f_opts, f_port, payload))
        check_sane(device)
    exchange(device, None)
    expected = max(device.state.f_cnt_down, 0)
    exchange(device, signed(server.nwk_s_key, server.app_s_key, expected, b"", 5, b"still here"))
    assert device.delivered[-1] == b"still here"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), st.binary(min_size=16, max_size=16), st.booleans())
def test_any_signed_join_accept_gives_a_device_that_works(
    settings_byte: int, delay: int, cf_list: bytes, with_list: bool
) -> None:
    device = Device(Flash(), lambda n: n // 2)
    plain = bytearray(b"\x20\x01\x00\x00\x01\x00\x00" + DEV_ADDR.to_bytes(4, "little") + bytes((settings_byte, delay)))
    plain += cf_list if with_list else b""
    app = Cipher(APP_KEY)
    plain += app.cmac(plain, len(plain))[:4]
    accept = bytes(plain[:1]) + aes(APP_KEY, 1).decrypt(bytes(plain[1:]))
    device.air = lambda phy: accept
    device.until_idle()
    assert device.state.joined
    assert 1 <= device.state.rx_delay_s <= 15
    check_sane(device)
    for _ in range(5):
        exchange(device, None)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["step", "sent", "failed", "silent", "heard", "send"]), st.integers(0, 10**6)))
)
def test_a_confused_shell_does_not_break_the_mac(calls: list[tuple[str, int]]) -> None:
    """Calls in any order: nothing raises, and a counter still goes up only."""
    device, _ = joined_device()
    highest = device.state.f_cnt_up
    for name, value in calls:
        device.now_ms += value
        if name == "send":
            device.mac.send(1, b"x")
        elif name == "heard":
            device.mac.heard(device.now_ms, b"\x60" + bytes(20), value % 100)
        elif name == "step":
            if device.mac.step(device.now_ms) == mac.PERSIST:
                device.state.dirty = False
        else:
            getattr(device.mac, name)(device.now_ms)
        assert device.state.f_cnt_up >= highest
        highest = device.state.f_cnt_up


@given(
    st.booleans(),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFE),
    st.binary(max_size=15),
    st.integers(1, 223),
    st.binary(max_size=200),
)
def test_uplinks_are_what_the_codecs_package_reads(
    confirmed: bool, dev_addr: int, f_cnt: int, f_opts: bytes, f_port: int, payload: bytes
) -> None:
    nwk_s_key, app_s_key = bytes(16), bytes(range(16))
    buf = bytearray(frame.MAX_FRAME_BYTES)
    length = frame.encode_uplink(
        buf, confirmed, dev_addr, frame.ACK, f_cnt, f_opts, f_port, payload, Cipher(nwk_s_key), Cipher(app_s_key)
    )
    phy = bytes(buf[:length])
    parsed = lorawan.parse_phy(phy)
    assert isinstance(parsed, lorawan.DataFrame)
    assert (parsed.dev_addr, parsed.f_cnt, parsed.f_opts, parsed.f_port) == (dev_addr, f_cnt & 0xFFFF, f_opts, f_port)
    assert lorawan.data_mic(nwk_s_key, phy[:-4], dev_addr, f_cnt, True) == phy[-4:]
    assert lorawan.crypt_payload(app_s_key, dev_addr, f_cnt, True, parsed.frm_payload) == payload


def test_the_last_dev_nonce_is_used_and_none_after_it() -> None:
    device = Device(Flash(), lambda n: n // 2)
    device.state.dev_nonce = DEV_NONCES - 1
    sent: list[bytes] = []
    device.air = sent.append
    device.until_idle(steps=40)
    assert [phy[17:19] for phy in sent] == [b"\xff\xff"]
    restarted = State(WHO.tag)
    restarted.unpack(bytes(device.state.pack()))
    assert restarted.dev_nonce == DEV_NONCES
