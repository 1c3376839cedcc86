"""The edge server and the node's own MAC, face to face: every frame of one is read by the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import pytest

from siel_codecs import codec
from siel_codecs.codec import Decoded, Sample
from siel_gateway.edge import BLOCK, Downlink, EdgeDevice, EdgeServer, Now
from siel_gateway.journal_counters import JUMP
from siel_gateway.keystore import KeyStore
from siel_gateway.records import RxFrame, TxOutcome, TxWindow
from siel_node import mac
from siel_node.identity import Identity, seal
from siel_node.lora import airtime_us
from siel_node.region_eu868 import DATA_RATES
from siel_node.state import State

DEV_EUI = "0004a30b001c0530"
APP_KEY = bytes(range(16))
IDENTITY = {
    "dev_eui": DEV_EUI,
    "join_eui": "70b3d57ed0000001",
    "app_key": APP_KEY.hex(),
    "join_dr": 5,
    "interval_s": 60,
    "codec": "siel/climate",
}
HEADS = [(hz, 7, 125_000) for hz in (868_100_000, 868_300_000, 868_500_000)]
CONCENTRATOR = [
    (hz, factor, 125_000)
    for hz in (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000, 868_100_000, 868_300_000, 868_500_000)
    for factor in range(7, 13)
]
EPOCH_MS = 1_767_225_600_000


class Raw:
    """Passes the payload on."""

    name = "test/raw"

    def decode(self, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        data = {"hex": payload.hex()}
        return Decoded(data, {}, [], [], [Sample(data, recv_ms)])

    def encode(self, f_port: int, data: Mapping[str, Any]) -> bytes:
        raise NotImplementedError

    def decode_downlink(self, f_port: int, payload: bytes) -> Decoded:
        raise NotImplementedError

    def encode_downlink(self, data: Mapping[str, Any], f_port: int | None = None) -> codec.Downlink:
        raise NotImplementedError


class Air:
    """One node and one gateway, and nothing between them but time."""

    def __init__(self, heard: list[tuple[int, int, int]]) -> None:
        self.heard = frozenset(heard)
        self.now_us = 1_000_000_000
        key_store = KeyStore.in_memory({DEV_EUI: APP_KEY})
        self.edge = EdgeServer(
            [EdgeDevice(dev_eui=DEV_EUI, join_eui=str(IDENTITY["join_eui"]), name="pond", codec=Raw())],
            key_store.get,
            heard=heard,
            gateway_id="0016c001f1500812",
            sealer=key_store.sealer(),
            random_bytes=Random(1).randbytes,
        )
        self.edge.load(lambda table: [], self.now_us)
        self.reserved: dict[str, int] = {}
        self._grant(self.edge.initial_reservations())
        random = Random(2)
        self.state = State()
        self.mac = mac.Mac(Identity(seal(IDENTITY)), self.state, random.randrange)
        self.readings: list[str] = []
        self.frequencies: list[int] = []
        self.lose_rx1 = False
        self.outcomes: list[str] = []

    def _grant(self, reservations: Any) -> None:
        for reservation in reservations:
            first = self.reserved.get(reservation.counter, 0)
            self.reserved[reservation.counter] = first + BLOCK
            self.edge.grant(reservation, first)

    def steps(self) -> Iterator[int]:
        """Do what the MAC says until it is idle; yield each action."""
        answers: list[tuple[TxWindow, bytes]] = []
        while True:
            action = self.mac.step(self.now_us // 1000)
            yield action
            if action == mac.PERSIST:
                self.state.dirty = False
            elif action == mac.TRANSMIT:
                answers = self._transmit()
            elif action == mac.LISTEN:
                self._listen(answers)
            elif action == mac.WAIT:
                self.now_us = max(self.now_us, self.mac.wake_ms * 1000)
            elif action == mac.IDLE:
                return

    def settle(self) -> list[int]:
        return list(self.steps())

    def _transmit(self) -> list[tuple[TxWindow, bytes]]:
        phy = bytes(self.mac.frame)
        spreading_factor, bandwidth_hz = DATA_RATES[self.mac.tx_dr]
        self.now_us += airtime_us(spreading_factor, bandwidth_hz, len(phy))
        self.frequencies.append(self.mac.tx_frequency_hz)
        answers: list[tuple[TxWindow, bytes]] = []
        if (self.mac.tx_frequency_hz, spreading_factor, bandwidth_hz) in self.heard:
            frame = RxFrame(
                radio="one",
                gateway_eui="0016c001f1500812",
                radio_session=1,
                counter_us=self.now_us & 0xFFFFFFFF,
                gateway_us=self.now_us,
                received_ms=EPOCH_MS + self.now_us // 1000,
                clock="ntp",
                frequency_hz=self.mac.tx_frequency_hz,
                spreading_factor=spreading_factor,
                bandwidth_hz=bandwidth_hz,
                rssi_dbm=-100,
                snr_db=5.0,
                crc="ok",
                phy_payload=phy,
            )
            effects = self.edge.handle(frame, Now(self.now_us + 20_000, frame.received_ms + 20))
            self._grant(effects.reservations)
            self.readings += [observation.data["hex"] for observation in effects.observations]
            for transmission in effects.transmissions:
                request = transmission.request
                answers += [(window, request.phy_payload) for window in request.windows]
                outcome = self.edge.tx_outcome(TxOutcome(id=request.id, outcome="on_air"))
                self.outcomes += [delivery.outcome for delivery in outcome.deliveries]
            self.outcomes += [delivery.outcome for delivery in effects.deliveries]
        self.ended_us = self.now_us
        self.mac.sent(self.now_us // 1000)
        return answers

    def _listen(self, answers: list[tuple[TxWindow, bytes]]) -> None:
        """What begins inside the window, where and how the node listens, is heard."""
        spreading_factor, bandwidth_hz = DATA_RATES[self.mac.rx_dr]
        opens_us = self.ended_us + self.mac.rx_open_us
        self.now_us = max(self.now_us, opens_us)
        for window, phy in answers:
            assert window.counter_us is not None
            if self.lose_rx1 and window.name == "RX1":
                continue
            begins_us = self.ended_us + (window.counter_us - self.ended_us) % (1 << 32)
            where = (window.frequency_hz, window.spreading_factor, window.bandwidth_hz)
            in_time = abs(begins_us - opens_us) < 100_000
            if in_time and where == (self.mac.rx_frequency_hz, spreading_factor, bandwidth_hz):
                self.now_us = begins_us + airtime_us(spreading_factor, bandwidth_hz, len(phy), crc=False)
                assert self.mac.heard(self.now_us // 1000, phy, 20)
                return
        self.mac.silent(self.now_us // 1000)

    def uplink(self, payload: bytes, *, confirmed: bool = False) -> None:
        self.now_us += 60_000_000
        assert self.mac.send(2, payload, confirmed)
        self.settle()


@pytest.mark.parametrize("heard", [HEADS, CONCENTRATOR], ids=["heads", "concentrator"])
@pytest.mark.parametrize("lose_rx1", [False, True], ids=["rx1", "rx2"])
def test_node_joins_and_both_sides_understand_each_other(heard: list[tuple[int, int, int]], lose_rx1: bool) -> None:
    air = Air(heard)
    air.lose_rx1 = lose_rx1
    assert mac.PERSIST in air.settle()
    assert air.state.joined
    assert 0x0200_0000 <= air.state.dev_addr <= 0x03FF_FFFF
    for number in range(40):
        air.uplink(bytes([number]), confirmed=number % 2 == 1)
        assert air.mac.acknowledged == (True if number % 2 else None)
    assert air.readings == [f"{number:02x}" for number in range(40)]
    assert set(air.frequencies) == {frequency_hz for frequency_hz, _, _ in heard}


def test_node_moves_to_the_one_channel_that_is_heard() -> None:
    air = Air(HEADS[1:2])
    air.settle()
    for number in range(12):
        air.uplink(bytes([number]))
    assert air.state.channel_mask == 0b010
    assert set(air.frequencies[-8:]) == {868_300_000}
    assert air.readings[-8:] == [f"{number:02x}" for number in range(4, 12)]


def test_operators_downlink_reaches_the_application() -> None:
    air = Air(HEADS)
    air.settle()
    expires_ms = EPOCH_MS + air.now_us // 1000 + 3_600_000
    downlink = Downlink(id="a", f_port=7, payload=b"interval 5", confirmed=True, expires_ms=expires_ms)
    air.edge.enqueue(DEV_EUI, downlink, 0)
    assert air.mac.send(2, b"up")
    delivered = [
        (air.mac.downlink.f_port, bytes(air.mac.downlink.payload))
        for action in air.steps()
        if action == mac.DELIVER and air.mac.downlink is not None
    ]
    assert delivered == [(7, b"interval 5")]
    air.uplink(b"up")
    assert air.outcomes == ["on_air", "acked"]


def test_node_without_its_session_joins_again_with_a_greater_nonce_and_is_heard() -> None:
    air = Air(HEADS)
    air.settle()
    air.uplink(b"\x01")
    air.state.forget_session()
    air.mac = mac.Mac(Identity(seal(IDENTITY)), air.state, Random(3).randrange)
    air.settle()
    air.uplink(b"\x02")
    assert air.readings == ["01", "02"]
    assert air.edge.counters["joins"] == 2


@pytest.mark.parametrize(("jump", "follows"), [(JUMP, True), (2 * JUMP, False)])
def test_node_follows_counters_that_were_lost(jump: int, follows: bool) -> None:
    air = Air(HEADS)
    air.settle()
    air.reserved[f"f_cnt_down/{DEV_EUI}"] += jump
    for number in range(BLOCK):
        air.uplink(bytes([number]), confirmed=True)
        assert air.mac.acknowledged
    assert air.state.f_cnt_down == BLOCK
    try:
        air.uplink(b"beyond", confirmed=True)
        heard = bool(air.mac.acknowledged)
    except AssertionError:  # the node did not take the answer
        heard = False
    assert heard is follows
