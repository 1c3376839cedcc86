"""The shipped daemon between a packet forwarder and a network server, both on real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siel_codecs.lorawan import JoinAcceptBody
from siel_hil.models.semtech_udp import decode_payload, encode_payload
from siel_hil.outside import Device, Forwarder, Gateway, NetworkServer, new_key

GATEWAY_ID = "0016c001f1500812"
CONCENTRATOR = "aa555a0000000102"
DEV_EUI = "70b3d57ed0001a2b"
PAYLOAD = bytes.fromhex("24d2b4")
"""siel/water_level: version 1 in 3 bits, 1234 mm in 13, (3.60 V - 1.80 V) / 10 mV in 8."""
DATA = {"distance": 1234, "battery": 3.6}
SECOND_US = 1_000_000
SLOT_US = 300_000
COUNTER_US = 1 << 32


class Bench:
    """One gateway, what is south and what is north of it, and one device that has joined."""

    def __init__(
        self, folder: Path, gateway: Gateway, forwarder: Forwarder, server: NetworkServer, device: Device
    ) -> None:
        self.folder = folder
        self.gateway = gateway
        self.forwarder = forwarder
        self.server = server
        self.device = device
        self.journalled: list[bytes] = []
        self.request = forwarder.rxpk(device.join_request(), chan=1, freq=868.1, datr="SF9BW125", rssi=-91, lsnr=-2.5)
        forwarder.deliver(self.request)
        self.answer = forwarder.order()
        self.accept: JoinAcceptBody = device.accept(decode_payload(self.answer["data"]))
        # Well behind the join-accept: on a loaded machine the gateway knows the concentrator's counter to a few tenths
        self._slot_us: int = self.answer["tmst"] + SECOND_US

    def bodies(self) -> list[bytes]:
        """Return every frame's body in the journal, as another process sees it now."""
        uri = f"file:{self.folder / 'data' / 'journal.sqlite'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as journal:
            rows = journal.execute("SELECT body FROM frame UNION ALL SELECT body FROM stranger").fetchall()
        return [body for (body,) in rows]

    def uplink(self, *, confirmed: bool = False, **changes: Any) -> dict[str, Any]:
        """Let the device send one, deliver it, and return its rxpk."""
        rxpk = self.forwarder.rxpk(self.device.uplink(PAYLOAD, 10, confirmed=confirmed), **changes)
        self.forwarder.deliver(rxpk)
        return rxpk

    def free_slot_us(self) -> int:
        """Return a time on the concentrator's counter at which nothing else is transmitted."""
        self._slot_us = (self._slot_us + SLOT_US) % COUNTER_US
        return self._slot_us

    def ask(self, payload: bytes, start_us: int, **changes: Any) -> bytes:
        """Deliver an uplink some whole seconds before ``start_us``, let the server answer it, and return the token."""
        ahead_us = (start_us - self.forwarder.counter_us()) % COUNTER_US
        seconds = ahead_us // SECOND_US + 1
        self.uplink(tmst=(start_us - seconds * SECOND_US) % COUNTER_US)
        txpk = {
            "imme": False,
            "tmst": start_us,
            "freq": 868.3,
            "rfch": 0,
            "powe": 14,
            "modu": "LORA",
            "datr": "SF7BW125",
            "codr": "4/5",
            "ipol": True,
            "ncrc": True,
            "size": len(payload),
            "data": encode_payload(payload),
            **changes,
        }
        return self.server.ask(CONCENTRATOR, **txpk)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("udp")
    config = folder / "siel.toml"
    with NetworkServer() as server:
        config.write_text(
            f"""
[gateway]
id = "{GATEWAY_ID}"
[[radio]]
kind = "semtech-udp"
bind = "127.0.0.1:0"
gateway_id = "{CONCENTRATOR}"
[[upstream]]
kind = "semtech-udp"
url = "{server.url}"
[[sink]]
kind = "console"
format = "json"
[[device]]
dev_eui = "{DEV_EUI}"
name = "Pond 3"
codec = "siel/water_level"
"""
        )
        device = Device(DEV_EUI, new_key(config, DEV_EUI))
        gateway = Gateway(config)
        try:
            gateway.start()
            with Forwarder(gateway.udp_address(), CONCENTRATOR) as forwarder:
                gateway.wait_for("server_answers")
                forwarder.pull()
                yield Bench(folder, gateway, forwarder, server, device)
            assert gateway.stop() == 0
        finally:
            gateway.kill()


# -- north -------------------------------------------------------------------------------------------------------------


def test_a_frame_is_in_the_journal_when_its_acknowledgement_arrives(bench: Bench) -> None:
    at_ack: list[list[bytes]] = []
    bench.forwarder.on_push_ack = lambda: at_ack.append(bench.bodies())
    try:
        for number in range(10):
            payload = b"\x40" + random.Random(number).randbytes(20)
            bench.forwarder.deliver(bench.forwarder.rxpk(payload))
            assert any(payload in body for body in at_ack[-1]), "acknowledged and not on disk"
    finally:
        bench.forwarder.on_push_ack = None


def test_the_network_server_gets_a_frame_as_the_concentrator_heard_it(bench: Bench) -> None:
    eui, forwarded = bench.server.frame(decode_payload(bench.request["data"]))
    assert eui == CONCENTRATOR
    for name in ("tmst", "chan", "freq", "stat", "modu", "datr", "codr", "rssi", "lsnr", "size", "data"):
        assert forwarded[name] == bench.request[name], name


def test_every_frame_of_a_datagram_goes_north(bench: Bench) -> None:
    payloads = [b"\x40" + bytes([number]) * 20 for number in range(8)]
    bench.forwarder.deliver(*map(bench.forwarder.rxpk, payloads))
    for payload in payloads:
        assert bench.server.frame(payload)[0] == CONCENTRATOR


def test_an_uplink_becomes_an_observation_on_standard_output(bench: Bench) -> None:
    rxpk = bench.uplink(rssi=-103, lsnr=-4.8)
    phy_payload = decode_payload(rxpk["data"])
    expected = hashlib.sha256(bytes.fromhex(DEV_EUI) + phy_payload + b"\0").hexdigest()[:32]
    observation = bench.gateway.console.take(lambda line: line.get("id") == expected)
    assert observation["data"] == DATA
    assert observation["units"] == {"distance": "mm", "battery": "V"}
    assert (observation["device"], observation["codec"]) == ("Pond 3", "siel/water_level")
    assert (observation["f_port"], observation["f_cnt"]) == (10, bench.device.f_cnt_up - 1)
    assert observation["radio"] == {
        "gateway": GATEWAY_ID,
        "radio": "semtech-udp",
        "rssi_dbm": -103,
        "snr_db": -4.8,
        "frequency_hz": 868_300_000,
        "spreading_factor": 7,
        "bandwidth_hz": 125_000,
    }


# -- the gateway's own downlinks ---------------------------------------------------------------------------------------


def test_the_join_accept_comes_south_for_rx1(bench: Bench) -> None:
    answer, request = bench.answer, bench.request
    assert answer["tmst"] == (request["tmst"] + 5 * SECOND_US) % 2**32
    assert not answer.get("imme", False)
    assert (answer["freq"], answer["datr"], answer["codr"]) == (868.1, "SF9BW125", "4/5")
    assert (answer["ipol"], answer["ncrc"]) == (True, True)
    assert answer["powe"] <= 16
    assert answer["size"] == len(decode_payload(answer["data"])) == 33
    assert bench.accept.rx_delay == 1
    assert sorted(bench.accept.cf_list_hz) == [867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000]


def test_the_devices_address_is_in_the_block_for_edge_devices(bench: Bench) -> None:
    assert bench.accept.net_id == 0x000001
    assert 0x02000000 <= bench.accept.dev_addr <= 0x03FFFFFF


def test_the_forwarders_word_on_the_join_accept_is_taken(bench: Bench) -> None:
    line = bench.gateway.wait_for("downlink", id=f"join-{DEV_EUI}-1")
    assert (line["outcome"], line["window"]) == ("queued", "RX1"), "a forwarder cannot know that it was on air"


def test_a_confirmed_uplink_is_acknowledged_in_rx1(bench: Bench) -> None:
    rxpk = bench.uplink(confirmed=True)
    answer = bench.forwarder.order()
    assert answer["tmst"] == (rxpk["tmst"] + SECOND_US) % 2**32
    assert (answer["freq"], answer["datr"], answer["ipol"], answer["ncrc"]) == (868.3, "SF7BW125", True, True)
    frame, _ = bench.device.downlink(decode_payload(answer["data"]))
    assert frame.ack


# -- the network server's downlinks ------------------------------------------------------------------------------------


def test_a_downlink_of_the_server_comes_south_at_its_time_and_its_outcome_goes_north(bench: Bench) -> None:
    start_us, payload = bench.free_slot_us(), b"\x60" + bytes(range(20))
    token = bench.ask(payload, start_us)
    order = bench.forwarder.order()
    assert order["tmst"] == start_us
    assert decode_payload(order["data"]) == payload
    assert (order["freq"], order["datr"], order["codr"], order["powe"]) == (868.3, "SF7BW125", "4/5", 14)
    assert (order["ipol"], order["ncrc"], order["prea"]) == (True, True, 8)
    assert bench.server.word(token) == "NONE"


def test_a_downlink_with_crc_and_without_inverted_polarity_stays_so(bench: Bench) -> None:
    start_us = bench.free_slot_us()
    token = bench.ask(b"\xe0", start_us, ipol=False, ncrc=False, freq=869.525, datr="SF9BW125")
    order = bench.forwarder.order()
    assert (order["tmst"], order["ipol"], order["ncrc"]) == (start_us, False, False)
    assert (order["freq"], order["datr"]) == (869.525, "SF9BW125")
    assert bench.server.word(token) == "NONE"


@pytest.mark.parametrize("word", ["TOO_LATE", "COLLISION_PACKET", "TX_FREQ"])
def test_what_the_forwarder_refuses_is_refused_to_the_server_in_the_same_word(bench: Bench, word: str) -> None:
    bench.forwarder.tx_ack = word
    try:
        token = bench.ask(b"\x60" + word.encode(), bench.free_slot_us())
        bench.forwarder.order()
        assert bench.server.word(token) == word
    finally:
        bench.forwarder.tx_ack = "NONE"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"freq": 915.2}, "TX_FREQ"),
    ({"freq": "loud"}, "UNKNOWN"),
    ({"data": "!"}, "UNKNOWN"),
    ({"datr": 50_000, "modu": "FSK"}, "UNKNOWN"),
    ({"tmst": None}, "UNKNOWN"),
]


@pytest.mark.parametrize(("changes", "word"), REFUSED)
def test_what_cannot_be_sent_is_refused_in_a_word(bench: Bench, changes: dict[str, Any], word: str) -> None:
    assert bench.server.word(bench.ask(b"\x60refused", bench.free_slot_us(), **changes)) == word
    nothing_but_the_next_comes_south(bench)


def test_what_comes_too_late_is_refused_with_that_word(bench: Bench) -> None:
    # RX1 of a frame that a slow forwarder delivers when it is over
    start_us = bench.forwarder.counter_us(ago_us=200_000)
    bench.uplink(tmst=(start_us - SECOND_US) % COUNTER_US)
    token = bench.server.ask(
        CONCENTRATOR, tmst=start_us, freq=868.3, datr="SF7BW125", codr="4/5", ipol=True, size=2, data="YAE="
    )
    assert bench.server.word(token) == "TOO_LATE"
    nothing_but_the_next_comes_south(bench)


def test_what_would_overlap_with_another_downlink_is_refused_with_that_word(bench: Bench) -> None:
    start_us = bench.free_slot_us()
    assert bench.server.word(bench.ask(b"\x60first", start_us)) == "NONE"
    assert bench.forwarder.order()["tmst"] == start_us
    assert bench.server.word(bench.ask(b"\x60second", (start_us + 10_000) % COUNTER_US)) == "COLLISION_PACKET"
    nothing_but_the_next_comes_south(bench)


def nothing_but_the_next_comes_south(bench: Bench) -> None:
    start_us = bench.free_slot_us()
    bench.ask(b"\x60next", start_us)
    order = bench.forwarder.order()
    assert (order["tmst"], decode_payload(order["data"])) == (start_us, b"\x60next")
