from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway import gwmp, gwmp_client
from siel_gateway.gwmp import Kind
from siel_gateway.gwmp_client import Acknowledged, DownlinkAsked, Event, GwmpClient, Lost, WentDown, WentUp

EUI = "0016c001f1500812"
S = 1_000_000
UTC_MS = 1_767_225_600_000
PACKET = gwmp.RxPk(tmst=7, freq=868.1, datr="SF7BW125", rssi=-60, size=3, data="AQID")


class Server:
    """Holds a client's hand: its clock, and what it has sent."""

    def __init__(self, first_token: int = 0) -> None:
        self.now_us = 0
        self.client = GwmpClient(EUI, first_token=first_token, now_us=0)
        self.got: list[gwmp.Datagram] = []

    def collect(self) -> list[gwmp.Datagram]:
        new = [gwmp.parse(data) for data in self.client.data_to_send()]
        assert all(datagram.eui == EUI for datagram in new)
        self.got += new
        return new

    def until(self, now_us: int, answer: bool = False) -> list[Event]:
        """Let time pass, tick by tick; with ``answer``, acknowledge everything at once."""
        events: list[Event] = []
        while True:
            for datagram in self.collect():
                if answer:
                    events += self.ack(datagram)
            if self.client.next_tick_us() > now_us:
                self.now_us = now_us
                return events
            self.now_us = max(self.now_us, self.client.next_tick_us())
            events += self.client.tick(self.now_us, UTC_MS)

    def ack(self, datagram: gwmp.Datagram) -> list[Event]:
        kind = Kind.PUSH_ACK if datagram.kind == Kind.PUSH_DATA else Kind.PULL_ACK
        return self.client.receive_data(gwmp.build(kind, datagram.token), self.now_us)

    def push(self, row: int) -> bool:
        return self.client.push(row, PACKET, self.now_us)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def up() -> Server:
    server = Server()
    assert server.until(0, answer=True) == [WentUp()]
    server.got.clear()
    return server


def test_a_session_starts_down_and_asks_more_and_more_patiently(server: Server) -> None:
    times = []
    for second in range(20):
        server.until(second * S)
        times += [second] * len([d for d in server.got if d.kind == Kind.PULL_DATA])
        server.got.clear()
    assert times == [0, 1, 3, 7, 12, 17]


def test_while_down_frames_are_not_sent(server: Server) -> None:
    server.until(0)
    server.got.clear()
    assert not server.push(1)
    assert server.collect() == []


def test_a_frame_is_sent_raw_and_its_row_is_named_when_acknowledged(up: Server) -> None:
    assert up.push(41)
    (datagram,) = up.collect()
    assert datagram.kind == Kind.PUSH_DATA
    assert gwmp.parse_push_data(datagram.body).rxpks == (PACKET,)
    assert up.ack(datagram) == [Acknowledged(41)]
    assert up.ack(datagram) == []
    assert up.client.counters["junk_token"] == 1


def test_only_its_own_kind_of_acknowledgement_counts(up: Server) -> None:
    up.push(41)
    (datagram,) = up.collect()
    assert up.client.receive_data(gwmp.build(Kind.PULL_ACK, datagram.token), up.now_us) == []
    assert up.client.counters["junk_token"] == 1
    assert up.ack(datagram) == [Acknowledged(41)]


def test_acknowledgements_may_come_in_any_order(up: Server) -> None:
    for row in (1, 2, 3):
        up.push(row)
    first, second, third = up.collect()
    assert [event for datagram in (third, first, second) for event in up.ack(datagram)] == [
        Acknowledged(3),
        Acknowledged(1),
        Acknowledged(2),
    ]


@pytest.mark.parametrize(("after_us", "events"), [(3 * S - 1, []), (3 * S, [Lost(1), WentDown()])])
def test_three_seconds_of_silence_end_a_session(up: Server, after_us: int, events: list[Event]) -> None:
    up.push(1)
    assert up.until(after_us) == events
    assert up.client.up is not bool(events)


def test_everything_on_its_way_is_lost_when_the_session_ends(up: Server) -> None:
    up.push(1)
    up.until(S)
    up.push(2)
    assert up.until(3 * S) == [Lost(1), Lost(2), WentDown()]
    assert not up.push(3)


def test_one_lost_datagram_does_not_end_a_session(up: Server) -> None:
    up.push(1)
    up.collect()
    up.until(2 * S)
    up.push(2)
    (second,) = up.collect()
    assert up.ack(second) == [Acknowledged(2)]
    assert up.until(4 * S) == [Lost(1)]
    assert up.client.up


def test_an_idle_server_that_dies_is_noticed_by_its_missing_pull_ack(up: Server) -> None:
    assert up.until(8 * S - 1) == []
    assert up.until(8 * S) == [WentDown()]


def test_a_server_that_comes_back_is_used_again_at_once(up: Server) -> None:
    up.until(20 * S)
    assert up.until(30 * S, answer=True) == [WentUp()]
    assert up.push(9)


def test_keepalives_come_every_five_seconds_while_up(up: Server) -> None:
    up.until(60 * S, answer=True)
    assert len([datagram for datagram in up.got if datagram.kind == Kind.PULL_DATA]) == 12


def test_statistics_tell_each_interval_once(up: Server) -> None:
    up.push(1)
    up.push(2)
    first, _ = up.collect()
    up.ack(first)
    downlink = gwmp.build(Kind.PULL_RESP, b"ab", body=gwmp.pull_resp_body(TX))
    up.client.receive_data(downlink, up.now_us)
    up.client.tx_ack(b"ab", "NONE")
    up.until(65 * S, answer=True)
    stats = [gwmp.parse_push_data(d.body).stat for d in up.got if d.kind == Kind.PUSH_DATA]
    (one, two) = [stat for stat in stats if stat is not None]
    assert one == gwmp.Stat(time="2026-01-01 00:00:00 GMT", rxnb=2, rxok=2, rxfw=2, ackr=one.ackr, dwnb=1, txnb=1)
    assert one.ackr == 50.0
    assert (two.rxnb, two.dwnb, two.txnb) == (0, 0, 0)


TX = gwmp.TxPk(tmst=5, freq=868.1, datr="SF7BW125", size=3, data="AQID")


def test_a_downlink_is_passed_on_and_answered_with_its_own_token(up: Server) -> None:
    data = gwmp.build(Kind.PULL_RESP, b"\xbe\xef", body=gwmp.pull_resp_body(TX))
    assert up.client.receive_data(data, 0) == [DownlinkAsked(b"\xbe\xef", TX)]
    up.client.tx_ack(b"\xbe\xef", "TOO_LATE")
    (answer,) = up.collect()
    assert (answer.kind, answer.token) == (Kind.TX_ACK, b"\xbe\xef")
    assert json.loads(answer.body) == {"txpk_ack": {"error": "TOO_LATE"}}


def test_a_downlink_that_makes_no_sense_is_passed_on_as_such(up: Server) -> None:
    assert up.client.receive_data(gwmp.build(Kind.PULL_RESP, b"xy", body=b"{}"), 0) == [DownlinkAsked(b"xy", None)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "length"),
        (gwmp.build(Kind.PULL_ACK, b"zz"), "token"),
        (gwmp.build(Kind.PULL_DATA, b"zz", EUI), "kind"),
        (b"\x01abc", "version"),
    ],
)
def test_junk_is_counted_and_changes_nothing(server: Server, data: bytes, reason: str) -> None:
    assert server.client.receive_data(data, 0) == []
    assert server.client.counters[f"junk_{reason}"] == 1
    assert not server.client.up


@pytest.mark.parametrize("extra", [0, 1])
def test_datagrams_without_answer_are_bounded(monkeypatch: Any, up: Server, extra: int) -> None:
    monkeypatch.setattr(gwmp_client, "MAX_OUTSTANDING", 10)
    for row in range(10 + extra):
        up.push(row)
    assert up.client.receive_data(b"", 0) == [Lost(row) for row in range(extra)]


def test_a_token_is_not_used_again_while_it_waits() -> None:
    server = Server(first_token=0xFFFE)
    server.until(0, answer=True)
    tokens = []
    for row in range(4):
        server.push(row)
        tokens += [datagram.token for datagram in server.collect()]
    assert tokens == [b"\xff\xff", b"\0\0", b"\0\1", b"\0\2"]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["push", "ack", "drop", "wait"]), st.integers(0, 4 * S)), max_size=60))
def test_each_frame_taken_is_settled_exactly_once(steps: list[tuple[str, int]]) -> None:
    server = Server()
    events = server.until(0, answer=True)
    taken, row = list[int](), 0
    sent: list[gwmp.Datagram] = []
    for step, value in steps:
        sent += server.collect()
        if step == "push":
            row += 1
            taken += [row] if server.push(row) else []
        elif step == "wait":
            events += server.until(server.now_us + value)
            sent = list(server.got[-200:])
        elif sent:
            datagram = sent.pop(value % len(sent))
            events += server.ack(datagram) if step == "ack" else []
    server.collect()
    events += server.until(server.now_us + 10 * S)
    settled = [event.row for event in events if isinstance(event, Acknowledged | Lost)]
    assert sorted(settled) == taken
