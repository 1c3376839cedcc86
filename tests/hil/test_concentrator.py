"""The concentrator and its packet forwarder, on the air and on the wire."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_hil.medium import Medium, Station, Transmission
from siel_hil.medium_physics import airtime_us
from siel_hil.models.concentrator import CHANNELS_HZ, Concentrator
from siel_hil.models.conformance import Probe
from siel_hil.world import World

EUI = "0102030405060708"
SERVER = ("127.0.0.1", 1700)
SECOND_US = 1_000_000
PAYLOAD = bytes.fromhex("40010203040000000102030405060708")


class Wire:
    """The server's end of a wire without delay."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[tuple[int, bytes]] = []

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        assert to == SERVER
        self.sent.append((self.world.now_us, data))

    def of(self, kind: int) -> list[bytes]:
        return [data for _t, data in self.sent if data[3] == kind]


class Site:
    """A concentrator at the origin, its wire and nodes around it."""

    def __init__(self, **options: Any) -> None:
        self.world = World(5)
        self.medium = Medium(self.world)
        self.box = Concentrator(self.world, self.medium, Station("gw", "gateway"), EUI, **options)
        self.wire = Wire(self.world)
        self.box.start(self.wire, SERVER)
        self.verdicts: list[str] = []
        self.medium.on_event.append(
            lambda event, info: self.verdicts.append(info["verdict"]) if event == "uplink" else None
        )

    def uplink(self, frequency_hz: int = 868_100_000, sf: int = 7, **options: Any) -> Transmission:
        tx = Transmission(
            Station("n", "node", (500.0, 0.0)), frequency_hz, sf, 125_000, PAYLOAD, ldro=sf >= 11, **options
        )
        self.medium.transmit(tx)
        return tx

    def rxpk(self) -> list[dict[str, Any]]:
        frames: list[dict[str, Any]] = []
        for data in self.wire.of(0):
            frames += json.loads(data[12:]).get("rxpk", [])
        return frames

    def wait(self, us: int) -> None:
        self.world.run(self.world.now_us + us)

    def downlink(self, token: bytes = b"ab", **fields: Any) -> None:
        txpk: dict[str, Any] = {
            "imme": False,
            "tmst": (self.box.counter_us(self.world.now_us) + SECOND_US) & 0xFFFFFFFF,
            "freq": 868.1,
            "rfch": 0,
            "powe": 14,
            "modu": "LORA",
            "datr": "SF7BW125",
            "codr": "4/5",
            "ipol": True,
            "ncrc": True,
            "size": len(PAYLOAD),
            "data": base64.b64encode(PAYLOAD).decode(),
        } | fields
        txpk = {name: value for name, value in txpk.items() if value is not None}
        self.box.receive(b"\x02" + token + b"\x03" + json.dumps({"txpk": txpk}).encode(), SERVER)

    def acks(self) -> list[tuple[bytes, dict[str, Any] | None]]:
        return [(data[1:3], json.loads(data[12:])["txpk_ack"] if len(data) > 12 else None) for data in self.wire.of(5)]


# --- north ----------------------------------------------------------------------------------------------------


def test_a_frame_goes_north_as_the_forwarder_writes_it() -> None:
    site = Site(counter_start_us=4_294_000_000)
    tx = site.uplink(867_300_000, 9)
    site.wait(SECOND_US)
    data = site.wire.of(0)[0]
    assert data[0] == 2
    assert data[4:12] == bytes.fromhex(EUI)
    assert b'{"rxpk":[{"jver":1,"tmst":' in data
    (rxpk,) = site.rxpk()
    assert rxpk["tmst"] == (tx.t1_us + 4_294_000_000) % (1 << 32)
    assert (rxpk["freq"], rxpk["datr"], rxpk["codr"], rxpk["stat"], rxpk["size"]) == (867.3, "SF9BW125", "4/5", 1, 16)
    assert (rxpk["chan"], rxpk["rfch"], rxpk["modu"]) == (4, 0, "LORA")
    assert base64.b64decode(rxpk["data"]) == PAYLOAD
    # 14 dBm less 121.97 dB for the signal; the channel holds -117 dBm of noise besides
    assert (rxpk["rssis"], rxpk["rssi"], rxpk["lsnr"]) == (-108, -107, 9.1)
    # the receive loop turns every 10 ms
    sent_us = next(t_us for t_us, sent in site.wire.sent if sent[3] == 0)
    assert 0 < sent_us - tx.t1_us <= 10_000


def test_frames_of_one_turn_share_a_datagram() -> None:
    site = Site()
    for frequency_hz in CHANNELS_HZ[:3]:
        site.uplink(frequency_hz)
    site.wait(SECOND_US)
    assert len(site.wire.of(0)) == 1
    assert len(site.rxpk()) == 3


def test_it_keeps_its_path_open_and_reports_each_30_s() -> None:
    site = Site()
    site.uplink()
    site.wait(200_000)
    site.box.receive(b"\x02" + site.wire.of(0)[0][1:3] + b"\x01", SERVER)
    site.wait(65 * SECOND_US)
    assert len(site.wire.of(2)) == 7
    stats = [json.loads(data[12:])["stat"] for data in site.wire.of(0) if b'"stat":{' in data]
    assert [stat["time"] for stat in stats] == ["2026-01-01 00:00:30 GMT", "2026-01-01 00:01:00 GMT"]
    assert [(stat["rxnb"], stat["rxok"], stat["rxfw"], stat["ackr"]) for stat in stats] == [
        (1, 1, 1, 100.0),
        (0, 0, 0, 0.0),
    ]


def test_stopped_it_says_nothing() -> None:
    site = Site()
    site.box.stop()
    count = len(site.wire.sent)
    site.uplink()
    site.wait(100 * SECOND_US)
    assert len(site.wire.sent) == count


# --- hearing --------------------------------------------------------------------------------------------------


def test_it_hears_eight_channels_at_six_spreading_factors() -> None:
    site = Site()
    for frequency_hz in (*CHANNELS_HZ, 868_700_000, 869_525_000):
        for sf in range(5, 13):
            site.uplink(frequency_hz, sf)
            site.wait(3 * SECOND_US)
    assert site.verdicts.count("received") == 48
    assert site.verdicts.count("not_listening") == 80 - 48


def test_the_ninth_frame_at_once_finds_no_demodulator() -> None:
    site = Site()
    for i in range(9):
        site.uplink(CHANNELS_HZ[i % 8], 7 + i // 8)
    site.wait(3 * SECOND_US)
    assert (site.verdicts.count("received"), site.verdicts.count("gateway_busy")) == (8, 1)


@pytest.mark.parametrize(
    ("options", "verdict"),
    [({"invert_iq": True}, "wrong_iq"), ({"sync_word": 0x1424}, "wrong_sync_word"), ({"crc": False}, "received")],
)
def test_what_is_not_an_uplink_of_a_public_network_is_not_forwarded(options: dict[str, Any], verdict: str) -> None:
    site = Site()
    site.uplink(**options)
    site.wait(SECOND_US)
    assert site.verdicts == [verdict]
    assert site.rxpk() == []


def test_sending_kills_what_it_hears() -> None:
    site = Site()
    site.downlink()
    site.wait(970_000)
    site.uplink(867_100_000)
    site.wait(40_000)
    site.uplink(867_500_000)
    site.wait(SECOND_US)
    site.uplink(867_500_000)
    site.wait(SECOND_US)
    assert site.verdicts == ["gateway_transmitting", "gateway_transmitting", "received"]


# --- south ----------------------------------------------------------------------------------------------------


def test_a_downlink_starts_at_its_tmst_and_is_heard_by_a_node() -> None:
    site = Site(counter_start_us=4_294_900_000)
    node = Probe(world=site.world, medium=site.medium, station=Station("n", "node", (500.0, 0.0)))
    node.configure(invert_iq=True)
    node.listen()
    started: list[dict[str, Any]] = []
    site.medium.on_event.append(lambda event, info: started.append(info) if event == "transmit" else None)
    asked_us = site.world.now_us
    site.downlink()
    assert site.acks() == [(b"ab", None)]
    site.wait(2 * SECOND_US)
    assert [info["t0_us"] for info in started] == [asked_us + SECOND_US]
    assert node.frame() == PAYLOAD
    assert site.medium.report()["downlinks_received"] == 1


@pytest.mark.parametrize(
    ("ahead_us", "error"),
    [(42_500, "TOO_LATE"), (0, "TOO_LATE"), (-1, "TOO_EARLY"), (-5_000_000, "TOO_EARLY"), (512_000_001, "TOO_EARLY")],
)
def test_a_wrong_time_is_refused_with_the_forwarders_word(ahead_us: int, error: str) -> None:
    site = Site()
    site.wait(10 * SECOND_US)
    site.downlink(tmst=(site.box.counter_us(site.world.now_us) + ahead_us) & 0xFFFFFFFF)
    assert site.acks() == [(b"ab", {"error": error})]


def test_the_latest_and_the_earliest_time_are_taken() -> None:
    for ahead_us in (42_501, 512_000_000):
        site = Site()
        site.downlink(tmst=ahead_us)
        assert site.acks() == [(b"ab", None)]


def test_overlapping_downlinks_collide_at_the_queue() -> None:
    site = Site()
    length_us = airtime_us(7, 125_000, len(PAYLOAD), crc=False)
    site.downlink(b"01", tmst=SECOND_US)
    for token, tmst in ((b"02", SECOND_US + length_us + 42_500), (b"03", SECOND_US + length_us + 42_501)):
        site.downlink(token, tmst=tmst)
    assert site.acks() == [(b"01", None), (b"02", {"error": "COLLISION_PACKET"}), (b"03", None)]


def test_the_queue_takes_32() -> None:
    site = Site()
    for i in range(33):
        site.downlink(tmst=SECOND_US * (i + 1))
    assert [ack for _token, ack in site.acks()] == [None] * 32 + [{"error": "COLLISION_PACKET"}]


def test_immediately_means_80_ms_or_the_first_free_slot() -> None:
    site = Site()
    started: list[int] = []
    site.medium.on_event.append(lambda event, info: started.append(info["t0_us"]) if event == "transmit" else None)
    site.downlink(b"01", imme=True, tmst=None)
    site.downlink(b"02", imme=True, tmst=None)
    site.wait(SECOND_US)
    assert started == [80_000, 80_000 + airtime_us(7, 125_000, len(PAYLOAD), crc=False) + 80_000]


def test_power_is_eirp_and_the_next_lower_step_is_told() -> None:
    world_powers = []
    for eirp_dbm, gain_db, ack in ((16, 2.0, None), (14, 0.0, None), (29, 0.0, {"warn": "TX_POWER", "value": 27})):
        site = Site()
        site.box.station.antenna_gain_db = gain_db
        transmit = site.medium.transmit
        site.medium.transmit = lambda tx: (world_powers.append(tx.power_dbm), transmit(tx))[1]  # type: ignore[method-assign,func-returns-value] # noqa: B023 - called within the turn
        site.downlink(powe=eirp_dbm)
        assert site.acks() == [(b"ab", ack)]
        site.wait(2 * SECOND_US)
    assert world_powers == [14.0, 14.0, 27.0]


def test_a_frequency_outside_the_band_is_refused() -> None:
    site = Site()
    site.downlink(freq=870.1)
    assert site.acks() == [(b"ab", {"error": "TX_FREQ"})]


@pytest.mark.parametrize(
    "fields",
    [
        {"datr": "SF7BW126"},
        {"datr": 50000},
        {"datr": None},
        {"codr": "4/9"},
        {"data": "!"},
        {"data": None},
        {"modu": "FSK"},
        {"freq": None},
        {"freq": float("nan")},
        {"tmst": None},
        {"tmst": True},
        {"tmst": 1 << 32},
        {"rfch": None},
        {"data": base64.b64encode(bytes(256)).decode()},
    ],
    ids=str,
)
def test_a_request_that_cannot_be_read_gets_no_answer(fields: dict[str, Any]) -> None:
    site = Site()
    site.downlink(**fields)
    site.wait(2 * SECOND_US)
    assert site.acks() == []
    assert site.box.counters["bad_request"] == 1
    assert site.box.counters["tx"] == 0


def test_the_longest_frame_is_taken() -> None:
    site = Site()
    site.downlink(data=base64.b64encode(bytes(255)).decode())
    site.wait(2 * SECOND_US)
    assert site.box.counters["tx"] == 1


@settings(max_examples=80)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: b"\x02ab\x03" + tail)))
def test_no_datagram_breaks_it(data: bytes) -> None:
    site = Site()
    site.box.receive(data, SERVER)
    site.wait(SECOND_US)
    assert site.acks() == []


@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
))  # fmt: skip
def test_no_value_in_any_field_breaks_it(value: Any) -> None:
    site = Site()
    for name in (
        "imme",
        "tmst",
        "freq",
        "rfch",
        "powe",
        "modu",
        "datr",
        "codr",
        "ipol",
        "ncrc",
        "prea",
        "data",
        "size",
    ):
        site.downlink(**{name: value})
    site.box.receive(b"\x02ab\x03" + json.dumps({"txpk": value}).encode(), SERVER)
    site.wait(3 * SECOND_US)
