"""The shipped daemon on a wire where anybody may say anything: it lives, takes what is good and tells of the rest."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siel_hil.models import semtech_udp as udp
from siel_hil.outside import Device, Forwarder, Gateway, NetworkServer, new_key

CONCENTRATOR = "aa555a0000000102"
DEV_EUI = "70b3d57ed0001a2b"
PAYLOAD = bytes.fromhex("24d2b4")
FLOOD = 3000
MAX_LINES = 20
"""Of one event in a minute."""


class Bench:
    """One gateway, both its neighbours, and one device that has joined."""

    def __init__(self, folder: Path, gateway: Gateway, forwarder: Forwarder, server: NetworkServer, key: bytes) -> None:
        self.folder = folder
        self.gateway = gateway
        self.forwarder = forwarder
        self.server = server
        self.device = Device(DEV_EUI, key)
        self.key = key
        forwarder.deliver(forwarder.rxpk(self.device.join_request()))
        self.device.accept(udp.decode_payload(forwarder.order()["data"]))

    def send(self, kind: int, body: bytes, *, eui: str = CONCENTRATOR) -> bytes:
        """Send a datagram with any body, and return its token."""
        token = self.forwarder.next_token()
        self.forwarder.send(udp.encode(kind, token, eui) + body, self.forwarder.gateway)
        return token

    def good_one_comes_through(self) -> int:
        """Deliver an uplink; return its FCnt, which is that of the next Observation."""
        self.forwarder.pull()  # until the gateway has read all that came before
        frame = self.device.uplink(PAYLOAD, 10)
        self.forwarder.deliver(self.forwarder.rxpk(frame))
        observation = self.gateway.console.take()
        assert observation["f_cnt"] == self.device.f_cnt_up - 1, "an Observation of something else"
        assert self.gateway.running
        return int(observation["f_cnt"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bad")
    config = folder / "siel.toml"
    with NetworkServer() as server:
        config.write_text(
            f"""
[gateway]
id = "0016c001f1500812"
[[radio]]
name = "roof"
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
codec = "siel/water_level"
"""
        )
        key = new_key(config, DEV_EUI)
        gateway = Gateway(config)
        try:
            gateway.start()
            with Forwarder(gateway.udp_address("roof"), CONCENTRATOR) as forwarder:
                gateway.wait_for("server_answers")
                forwarder.pull()
                yield Bench(folder, gateway, forwarder, server, key)
        finally:
            gateway.kill()


def forge(frame: bytes) -> bytes:
    """Return ``frame`` with a wrong MIC."""
    return frame[:-1] + bytes([frame[-1] ^ 1])


GARBAGE: list[bytes] = [
    b"",
    b"\x02",
    b"\x02\x00\x01",
    b"\x01\x00\x01\x00" + bytes(8),
    b"\x02\x00\x01\x09" + bytes(8),
    b"\x02\x00\x01\x00\xaa\x55",
    b"GET / HTTP/1.1\r\n\r\n",
    bytes(65_000),
    b"\xff" * 1500,
]


def test_what_is_no_datagram_of_the_protocol_is_skipped(bench: Bench) -> None:
    for garbage in GARBAGE:
        bench.forwarder.send(garbage, bench.forwarder.gateway)
    bench.good_one_comes_through()
    assert bench.gateway.lines("junk_skipped")


BODIES: list[bytes] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"rxpk":' + b"[" * 60_000,
    b'{"rxpk":[' + b"{}," * 20_000 + b"{}]}",
    b'{"rxpk":[{"tmst":1,"freq":868.1,"datr":"SF7BW125","size":9,"data":"' + b"A" * 60_000 + b'"}]}',
    b'{"rxpk":[{"tmst":1,"freq":1e999,"datr":"SF7BW125","size":9,"data":"QAAA"}]}',
    b'{"rxpk":[{"tmst":-1,"freq":868.1,"datr":"SF99BW125","size":9,"data":"QAAA"}]}',
    b'{"rxpk":[{"tmst":1,"freq":868.1,"datr":"SF7BW125","size":9,"data":"\xff\xfe"}]}',
    b'{"rxpk":[{"tmst":1,"freq":868.1,"datr":"\\ud800","size":9,"data":"QAAA"}]}',
    b'{"rxpk":{"tmst":[]},"stat":7}',
    b'{"stat":{"time":"yesterday","rxnb":-1}}',
    b"1" * 60_000,
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("kind", [udp.PUSH_DATA, udp.TX_ACK])
def test_json_that_means_nothing_costs_itself_only(bench: Bench, kind: int, body: bytes) -> None:
    bench.send(kind, body)
    bench.good_one_comes_through()


def test_a_faulty_frame_does_not_take_the_good_one_beside_it_along(bench: Bench) -> None:
    frame = bench.device.uplink(PAYLOAD, 10)
    faulty: dict[str, Any] = {"tmst": "now"}
    bench.forwarder.deliver(faulty, bench.forwarder.rxpk(frame), faulty)
    assert bench.gateway.console.take()["f_cnt"] == bench.device.f_cnt_up - 1


def test_a_flood_of_garbage_is_survived_and_the_log_stays_short(bench: Bench) -> None:
    dice = random.Random(1)
    for _ in range(FLOOD):
        bench.forwarder.send(dice.randbytes(dice.randrange(200)), bench.forwarder.gateway)
    bench.good_one_comes_through()
    assert len(bench.gateway.lines("junk_skipped")) <= MAX_LINES


def test_a_flood_of_strangers_frames_is_survived(bench: Bench) -> None:
    dice = random.Random(2)
    for _ in range(FLOOD // 4):
        strangers = (bench.forwarder.rxpk(b"\x40" + dice.randbytes(24)) for _ in range(4))
        bench.forwarder.push(*strangers)
    bench.good_one_comes_through()


def test_a_flood_of_forwarders_that_come_and_go_is_survived_and_the_log_stays_short(bench: Bench) -> None:
    with Forwarder(bench.forwarder.gateway, CONCENTRATOR) as other:
        for _ in range(100):
            other.pull()
            bench.forwarder.pull()
    bench.good_one_comes_through()
    assert len(bench.gateway.lines("forwarder_connected")) <= MAX_LINES


def test_a_counter_that_jumps_about_is_survived_and_the_log_stays_short(bench: Bench) -> None:
    dice = random.Random(3)
    for _ in range(100):
        bench.forwarder.deliver(bench.forwarder.rxpk(b"\x40" + dice.randbytes(24), tmst=dice.randrange(1 << 32)))
    bench.good_one_comes_through()
    assert len(bench.gateway.lines("concentrator_started")) <= MAX_LINES


def test_frames_of_an_unknown_gateway_are_not_taken_and_the_log_says_which_is_expected(bench: Bench) -> None:
    rxpk = bench.forwarder.rxpk(bench.device.uplink(PAYLOAD, 10))
    token = bench.send(udp.PUSH_DATA, json.dumps({"rxpk": [rxpk]}).encode(), eui="00800000a0001234")
    line = bench.gateway.wait_for("forwarder_unknown")
    assert (line["gateway_id"], line["expected"], line["radio"]) == ("00800000a0001234", CONCENTRATOR, "roof")
    bench.good_one_comes_through()
    assert token not in [answer.token for answer in bench.forwarder.answers.all]


def test_a_wrong_mic_makes_no_observation_a_log_line_and_still_goes_north(bench: Bench) -> None:
    forged = forge(bench.device.uplink(PAYLOAD, 10))
    bench.forwarder.deliver(bench.forwarder.rxpk(forged))
    assert bench.server.frame(forged)[0] == CONCENTRATOR
    line = bench.gateway.wait_for("mic_failure")
    assert (line["dev_addr"], line["f_cnt"]) == (f"{bench.device.dev_addr:08x}", bench.device.f_cnt_up - 1)
    bench.good_one_comes_through()


def test_an_older_counter_makes_no_observation_a_log_line_and_still_goes_north(bench: Bench) -> None:
    frames = [bench.device.uplink(bytes.fromhex(f"24d2{battery:02x}"), 10) for battery in (1, 2)]
    bench.forwarder.deliver(bench.forwarder.rxpk(frames[1]))
    assert bench.gateway.console.take()["f_cnt"] == bench.device.f_cnt_up - 1
    bench.forwarder.deliver(bench.forwarder.rxpk(frames[0]))
    assert bench.server.frame(frames[0])[0] == CONCENTRATOR
    line = bench.gateway.wait_for("replay")
    assert (line["dev_eui"], line["f_cnt"]) == (DEV_EUI, bench.device.f_cnt_up - 2)
    bench.good_one_comes_through()


def test_a_join_request_with_a_wrong_mic_or_a_used_nonce_is_not_answered_and_still_goes_north(bench: Bench) -> None:
    orders = len(bench.forwarder.orders.all)
    stranger = Device(DEV_EUI, bytes(16))
    forged = stranger.join_request()
    bench.forwarder.deliver(bench.forwarder.rxpk(forged))
    assert bench.gateway.wait_for("join_mic_failure")["dev_eui"] == DEV_EUI
    again = Device(DEV_EUI, bench.key).join_request()
    bench.forwarder.deliver(bench.forwarder.rxpk(again))
    assert bench.gateway.wait_for("dev_nonce_used")["dev_eui"] == DEV_EUI
    for request in (forged, again):
        assert bench.server.frame(request)[0] == CONCENTRATOR
    bench.good_one_comes_through()
    assert len(bench.forwarder.orders.all) == orders


def test_a_payload_that_the_codec_refuses_makes_no_observation_and_a_log_line(bench: Bench) -> None:
    bench.forwarder.deliver(bench.forwarder.rxpk(bench.device.uplink(b"\xff\xff\xff\xff\xff", 10)))
    assert bench.gateway.wait_for("decode_error")["errors"]
    bench.good_one_comes_through()


def test_at_the_end_everything_was_counted_and_no_key_was_told(bench: Bench) -> None:
    gateway = bench.gateway
    forged = forge(bench.device.uplink(PAYLOAD, 10))
    bench.forwarder.deliver({"tmst": "now"}, *map(bench.forwarder.rxpk, (forged, bench.device.uplink(b"\xff", 10))))
    bench.send(udp.PUSH_DATA, b"{")
    bench.send(udp.PUSH_DATA, b"{}", eui="00800000a0001234")
    bench.good_one_comes_through()
    assert gateway.stop() == 0
    last = gateway.log.all[-1]
    assert last["event"] == "gateway_stopped"
    counters, radio = last["counters"], last["parts"]["radio[roof]"]
    for count in (
        counters["mic_failures"],
        counters["decode_errors"],
        radio["rxpk_faults"],
        radio["junk_json"],
        radio["junk_eui"],
        last["report"]["frames_forwarded"],
    ):
        assert count > 0
    for fault in ("task_restarts", "task_faults", "edge_faults"):
        assert counters[fault] == 0
    master = (bench.folder / "keys.key").read_text().strip()
    keys = [bytes.fromhex(master), bench.key, *bench.device.keys]
    written = b"".join(file.read_bytes() for file in (bench.folder / "data").iterdir())
    for key in keys:
        for form in (key, key.hex().encode(), base64.b64encode(key), repr(key).encode()):
            assert form.lower() not in gateway.said.lower(), "a key in the log"
            assert form not in written, "a key in clear on the disk"
