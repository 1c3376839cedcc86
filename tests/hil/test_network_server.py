"""The network server model against the concentrator model, over the virtual network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_hil.medium import Medium, Station, Transmission
from siel_hil.models import semtech_udp as udp
from siel_hil.models.concentrator import Concentrator
from siel_hil.models.conformance import Probe
from siel_hil.models.network_server import HeardFrame, NetworkServer, answer_to
from siel_hil.net import VirtualNet
from siel_hil.world import World

EUI = "0102030405060708"
SECOND_US = 1_000_000
UP = bytes.fromhex("40010203040000000102030405060708")
DOWN = bytes.fromhex("60010203040000000102030405060708")


class House:
    """A server, a concentrator and a node with a radio, all on one network and one air."""

    def __init__(self, **options: Any) -> None:
        self.world = World(9)
        self.net = VirtualNet(self.world)
        self.medium = Medium(self.world)
        self.server = NetworkServer(self.world, **options)
        endpoint = self.net.bind(("127.0.0.1", 1700), self.server.receive)
        self.server.start(endpoint)
        self.box = Concentrator(self.world, self.medium, Station("gw", "gateway"), EUI)
        self.box.start(self.net.bind(("127.0.0.1", 0), self.box.receive), endpoint.local_address)
        self.wait(SECOND_US)

    def wait(self, us: int) -> None:
        self.world.run(self.world.now_us + us)

    def uplink(self) -> None:
        node = Station("n", "node", (500.0, 0.0))
        self.medium.transmit(Transmission(node, 868_300_000, 7, 125_000, UP))
        self.wait(200_000)


def test_everything_is_acknowledged_and_kept() -> None:
    house = House()
    house.uplink()
    house.wait(31 * SECOND_US)
    assert [(frame.gateway_eui, frame.payload) for frame in house.server.frames] == [(EUI, UP)]
    assert [eui for eui, _stat in house.server.stats] == [EUI]
    counters = house.box.counters
    assert counters["push_acked"] == counters["push_sent"] == 2
    assert counters["pull_acked"] == counters["pull_sent"] == 4


def test_an_answer_reaches_the_node_in_rx1() -> None:
    house = House(answer=lambda frame: answer_to(frame, DOWN))
    node = Probe(world=house.world, medium=house.medium, station=Station("n", "node", (500.0, 0.0)))
    node.configure(frequency_hz=868_300_000, length=len(UP))
    node.send(UP)
    node.wait(100_000)
    done_us = node.edges[0]
    node.take_irq()
    node.configure(frequency_hz=868_300_000, invert_iq=True)
    node.command(0xA0, 8)
    node.wait(done_us + SECOND_US - 2000 - node.world.now_us)
    node.command(0x82, b"\0\0\0")
    node.wait(SECOND_US)
    assert node.frame() == DOWN
    assert list(house.server.acks.values()) == [{}]
    assert house.medium.report()["downlinks_received"] == 1


def test_a_refusal_comes_back_with_its_token() -> None:
    house = House(answer=lambda frame: answer_to(frame, DOWN, delay_s=0))
    house.uplink()
    house.wait(SECOND_US)
    assert list(house.server.acks.values()) == [{"error": "TOO_EARLY"}]
    assert list(house.server.acks) == list(house.server.requests)


def test_switched_off_it_neither_hears_nor_speaks() -> None:
    house = House()
    house.server.on = False
    house.uplink()
    house.wait(25 * SECOND_US)
    assert house.server.frames == []
    assert house.box.counters["push_acked"] == 0
    house.server.send_downlink(EUI, {})
    assert house.server.counters["unroutable"] == 1
    house.server.on = True
    house.uplink()
    assert len(house.server.frames) == 1


def test_a_gateway_that_never_asked_cannot_be_reached() -> None:
    house = House()
    house.server.send_downlink("ff" * 8, {})
    assert house.server.counters["unroutable"] == 1
    assert house.server.counters["pull_resp"] == 0


def test_error_none_is_success() -> None:
    house = House()
    body = {"txpk_ack": {"error": "NONE"}}
    house.server.receive(udp.encode(udp.TX_ACK, b"xy", EUI, body) + b"\0", ("127.0.0.1", 5))
    assert house.server.acks == {b"xy": {}}


@given(st.binary(max_size=80).flatmap(lambda tail: st.sampled_from([tail, b"\x02ab\x00" + tail, b"\x02ab\x05" + tail])))
def test_no_datagram_breaks_it(data: bytes) -> None:
    server = NetworkServer(World(1))
    sent: list[bytes] = []

    class Endpoint:
        def send(self, data: bytes, to: udp.Address) -> None:
            sent.append(data)

    server.start(Endpoint())
    server.receive(data, ("127.0.0.1", 5))
    assert all(answer[3] in {udp.PUSH_ACK, udp.PULL_ACK} for answer in sent)


def test_a_frame_without_valid_data_has_an_empty_payload() -> None:
    for rxpk in ({}, {"data": 5}, {"data": "?"}):
        assert HeardFrame(0, EUI, rxpk).payload == b""


# --- the wire format ------------------------------------------------------------------------------------------


@given(
    st.sampled_from(range(6)), st.binary(min_size=2, max_size=2), st.dictionaries(st.text(max_size=5), st.integers())
)
def test_encoded_is_parsed_again(kind: int, token: bytes, body: dict[str, int]) -> None:
    eui = EUI if kind in {0, 2, 5} else ""
    assert udp.parse(udp.encode(kind, token, eui, body)) == (kind, token, eui, body)


def test_heads_are_those_of_the_protocol() -> None:
    # Source: PROTOCOL.md v1.6, sections 3 and 5
    assert udp.encode(udp.PULL_DATA, b"\x12\x34", EUI) == bytes.fromhex("02123402" + EUI)
    assert udp.encode(udp.PUSH_ACK, b"\x12\x34") == bytes.fromhex("02123401")
    assert udp.encode(udp.PULL_RESP, b"\x12\x34", body={"a": 1}) == b'\x02\x12\x34\x03{"a":1}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02ab",
        b"\x01ab\x01",
        b"\x02ab\x06",
        b"\x02ab\x00short",
        b"\x02ab\x03[]",
        b"\x02ab\x03{",
        b"\x02ab\x03\xff",
    ],
)
def test_what_is_no_datagram_is_none(data: bytes) -> None:
    assert udp.parse(data) is None


def test_a_body_at_its_bound_is_parsed_and_one_byte_more_is_not() -> None:
    body = json.dumps({"x": ""}).encode()
    padding = udp.MAX_BODY_BYTES - len(body)
    for extra, parsed in ((0, True), (1, False)):
        text = body.replace(b'""', b'"' + b"x" * (padding + extra) + b'"')
        assert (udp.parse(b"\x02ab\x03" + text) is not None) is parsed


def test_base64_may_lack_its_padding() -> None:
    for text in ("QQ==", "QQ", "QQ="):
        assert udp.decode_payload(text.rstrip("=")) == b"A"
    with pytest.raises(ValueError, match=r".+"):
        udp.decode_payload("?")
