from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway import gwmp
from siel_gateway.errors import GwmpError
from siel_gateway.gwmp import Kind

EUI = "0016c001f1500812"
RXPK = {
    "tmst": 3512348611,
    "chan": 2,
    "rfch": 0,
    "freq": 866.349812,
    "stat": 1,
    "modu": "LORA",
    "datr": "SF7BW125",
    "codr": "4/6",
    "rssi": -35,
    "lsnr": 5.1,
    "size": 4,
    "data": "AQIDBA==",
}
TXPK = {
    "tmst": 5000000,
    "freq": 868.1,
    "rfch": 0,
    "powe": 14,
    "modu": "LORA",
    "datr": "SF9BW125",
    "codr": "4/5",
    "ipol": True,
    "size": 4,
    "data": "AQIDBA==",
}

DATAGRAMS: list[tuple[str, gwmp.Datagram]] = [
    ("02 ab cd 00 0016c001f1500812 7b7d", gwmp.Datagram(Kind.PUSH_DATA, b"\xab\xcd", EUI, b"{}")),
    ("02 ab cd 01", gwmp.Datagram(Kind.PUSH_ACK, b"\xab\xcd")),
    ("02 00 00 02 0016c001f1500812", gwmp.Datagram(Kind.PULL_DATA, b"\0\0", EUI)),
    ("02 ff fe 03 7b7d", gwmp.Datagram(Kind.PULL_RESP, b"\xff\xfe", None, b"{}")),
    ("02 ff fe 04", gwmp.Datagram(Kind.PULL_ACK, b"\xff\xfe")),
    ("02 12 34 05 0016c001f1500812", gwmp.Datagram(Kind.TX_ACK, b"\x12\x34", EUI)),
]


@pytest.mark.parametrize(("wire", "datagram"), DATAGRAMS)
def test_each_datagram_both_ways(wire: str, datagram: gwmp.Datagram) -> None:
    data = bytes.fromhex(wire)
    assert gwmp.parse(data) == datagram
    assert gwmp.build(datagram.kind, datagram.token, datagram.eui, datagram.body) == data


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("", "length"),
        ("02abcd", "length"),
        ("01abcd01", "version"),
        ("03abcd01", "version"),
        ("02abcd06", "kind"),
        ("02abcdff", "kind"),
        ("02abcd00 0016c001f15008", "length"),
        ("02abcd02 0016c001f15008", "length"),
        ("02abcd05", "length"),
    ],
)
def test_what_is_no_datagram_says_why(wire: str, reason: str) -> None:
    with pytest.raises(GwmpError) as caught:
        gwmp.parse(bytes.fromhex(wire))
    assert caught.value.reason == reason


def test_a_datagram_is_bounded() -> None:
    head = bytes.fromhex("02abcd03")
    assert len(gwmp.parse(head.ljust(gwmp.MAX_DATAGRAM_BYTES, b" ")).body) == gwmp.MAX_DATAGRAM_BYTES - 4
    with pytest.raises(GwmpError):
        gwmp.parse(head.ljust(gwmp.MAX_DATAGRAM_BYTES + 1, b" "))


# -- PUSH_DATA --------------------------------------------------------------------------------------------------------


def push(**members: Any) -> gwmp.PushData:
    return gwmp.parse_push_data(json.dumps(members).encode())


def test_lora_and_fsk_stand_side_by_side() -> None:
    text = """{"rxpk":[
        {"time":"2026-03-31T16:21:17.528002Z","tmst":3512348611,"chan":2,"rfch":0,"freq":866.349812,"stat":1,
         "modu":"LORA","datr":"SF7BW125","codr":"4/6","rssi":-35,"lsnr":5.1,"size":3,"data":"AQID"},
        {"time":"2026-03-31T16:21:17.530974Z","tmst":3512348514,"chan":9,"rfch":1,"freq":869.1,"stat":1,"modu":"FSK",
         "datr":50000,"rssi":-75,"size":3,"data":"AQID"}]}"""
    push_data = gwmp.parse_push_data(text.encode())
    assert [packet.datr for packet in push_data.rxpks] == ["SF7BW125", 50000]
    assert [packet.tmst for packet in push_data.rxpks] == [3512348611, 3512348514]
    assert push_data.faults == 0


def test_what_a_gateway_builds_a_server_reads() -> None:
    packets = gwmp.parse_push_data(json.dumps({"rxpk": [RXPK]}).encode()).rxpks
    stat = gwmp.Stat(time="2014-01-12 08:59:28 GMT", rxnb=2, rxok=2, rxfw=2, ackr=100.0, dwnb=1, txnb=1)
    body = gwmp.push_body(packets, stat)
    assert gwmp.parse_push_data(body) == gwmp.PushData(packets, stat)
    assert json.loads(body)["rxpk"] == [RXPK]


def test_whole_decibels_stay_whole_for_servers_that_want_integers() -> None:
    packets = push(rxpk=[RXPK]).rxpks
    assert b'"rssi":-35,' in gwmp.push_body(packets)


def test_a_wrong_member_costs_only_itself() -> None:
    wrong = [{**RXPK, "tmst": -1}, {**RXPK, "tmst": 2**32}, {**RXPK, "freq": "868.1"}, 7, {"tmst": 1}, None]
    push_data = push(rxpk=[wrong[0], RXPK, *wrong[1:]], stat={"time": "2014-01-12 08:59:28 GMT"})
    assert [packet.tmst for packet in push_data.rxpks] == [RXPK["tmst"]]
    assert push_data.faults == len(wrong)
    assert push_data.stat is not None


@pytest.mark.parametrize(
    ("members", "faults"),
    [
        ({"rxpk": [RXPK], "stat": {"rxnb": 1}}, 1),
        ({"rxpk": [RXPK], "stat": 5}, 1),
        ({"rxpk": RXPK}, 0),
        ({"rxpk": [RXPK], "unknown": {"a": [1, 2]}}, 0),
        ({"rxpk": [{**RXPK, "brd": 0, "ant": 1, "rsig": [], "meta": {}, "jver": 2, "mid": 8}]}, 0),
    ],
)
def test_the_frames_are_read_whatever_stands_beside_them(members: dict[str, Any], faults: int) -> None:
    push_data = push(**members)
    assert [packet.tmst for packet in push_data.rxpks] == [RXPK["tmst"]]
    assert push_data.faults == faults


@pytest.mark.parametrize("tail", [b"\0", b" ", b"\r\n", b"\0\0 "])
def test_a_trailing_nul_or_space_is_no_fault(tail: bytes) -> None:
    assert len(gwmp.parse_push_data(json.dumps({"rxpk": [RXPK]}).encode() + tail).rxpks) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"{", b"\xff\xfe", b'{"a":' * 50_000, b'"x"'])
def test_what_is_no_json_object_is_a_fault(body: bytes) -> None:
    for parse in (gwmp.parse_push_data, gwmp.parse_pull_resp):
        with pytest.raises(GwmpError) as caught:
            parse(body)
        assert caught.value.reason == "json"


@pytest.mark.parametrize("loosely", [False, True])
def test_frames_per_datagram_are_bounded(loosely: bool) -> None:
    extra: list[Any] = [{"bad": 1}] if loosely else []
    most = push(rxpk=extra + [RXPK] * (gwmp.MAX_RXPKS - len(extra)))
    assert len(most.rxpks) + most.faults == gwmp.MAX_RXPKS
    more = push(rxpk=extra + [RXPK] * (gwmp.MAX_RXPKS + 1 - len(extra)))
    assert len(more.rxpks) == len(most.rxpks)
    assert more.faults == most.faults + 1


# -- PULL_RESP and TX_ACK ---------------------------------------------------------------------------------------------


def test_a_downlink_both_ways() -> None:
    packet = gwmp.parse_pull_resp(json.dumps({"txpk": TXPK}).encode())
    assert (packet.tmst, packet.freq, packet.ipol, packet.ncrc, packet.prea) == (5_000_000, 868.1, True, False, 8)
    assert gwmp.parse_pull_resp(gwmp.pull_resp_body(packet)) == packet
    now = gwmp.parse_pull_resp(gwmp.pull_resp_body(gwmp.TxPk(imme=True, freq=868.1, datr="SF7BW125", size=0, data="")))
    assert now.imme
    assert b"tmst" not in gwmp.pull_resp_body(now)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("prea", [6, 65535], [5, 65536]),
        ("tmst", [0, 2**32 - 1], [-1, 2**32]),
        ("freq", [0.1, 10_000], [0, 10_000.1]),
        ("powe", [-128, 127], [-129, 128]),
        ("datr", [1, 1_000_000], [0, 1_000_001]),
    ],
)
def test_numbers_of_a_downlink_are_bounded(field: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert getattr(gwmp.parse_pull_resp(json.dumps({"txpk": {**TXPK, field: value}}).encode()), field) == value
    for value in bad:
        with pytest.raises(GwmpError):
            gwmp.parse_pull_resp(json.dumps({"txpk": {**TXPK, field: value}}).encode())


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "NONE"),
        (b"\0", "NONE"),
        (b" \0", "NONE"),
        (b"{}", "NONE"),
        (b'{"txpk_ack":{}}', "NONE"),
        (b'{"txpk_ack":{"error":"NONE"}}', "NONE"),
        (b'{"txpk_ack":{"error":"none"}}\0', "NONE"),
        (b'{"txpk_ack":{"error":""}}', "NONE"),
        (b'{"txpk_ack":{"error":null}}', "NONE"),
        (b'{"txpk_ack":{"warn":"TX_POWER","value":20}}', "NONE"),
        (b'{"txpk_ack":{"error":"TOO_LATE"}}', "TOO_LATE"),
        (b'{"txpk_ack":{"error":" COLLISION_PACKET "}}', "COLLISION_PACKET"),
    ],
)
def test_every_spelling_of_an_acknowledgement(body: bytes, word: str) -> None:
    assert gwmp.parse_tx_ack(body) == word


def test_an_acknowledgement_both_ways() -> None:
    assert gwmp.parse_tx_ack(gwmp.tx_ack_body("TX_FREQ")) == "TX_FREQ"
    with pytest.raises(GwmpError):
        gwmp.parse_tx_ack(b"junk")


# -- data -------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=gwmp.MAX_PHY_BYTES))
def test_payloads_survive_base64_padded_or_not(phy_payload: bytes) -> None:
    text = gwmp.encode_data(phy_payload)
    assert text == base64.b64encode(phy_payload).decode()
    for spelling in (text, text.rstrip("="), text + "\n"):
        assert gwmp.decode_data(spelling) == phy_payload


def test_a_payload_is_bounded() -> None:
    assert len(gwmp.decode_data(gwmp.encode_data(bytes(gwmp.MAX_PHY_BYTES)))) == gwmp.MAX_PHY_BYTES
    for text in (gwmp.encode_data(bytes(gwmp.MAX_PHY_BYTES + 1)), "A" * 100_000):
        with pytest.raises(GwmpError):
            gwmp.decode_data(text)


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA*A", "é===", "=A=="])
def test_what_is_no_base64_is_a_fault(text: str) -> None:
    with pytest.raises(GwmpError):
        gwmp.decode_data(text)


# -- never crash ------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PARSERS = (gwmp.parse_push_data, gwmp.parse_pull_resp, gwmp.parse_tx_ack)


@given(st.binary(max_size=64))
def test_noise_is_read_or_refused(data: bytes) -> None:
    for parse in (gwmp.parse, *PARSERS):
        with contextlib.suppress(GwmpError):
            parse(data)


@settings(max_examples=200)
@given(st.sampled_from([*RXPK, *TXPK, "extra"]), JSON, st.sampled_from(["rxpk", "txpk", "txpk_ack", "stat"]))
def test_mutated_fields_are_read_or_refused(field: str, value: Any, member: str) -> None:
    mutated = {**RXPK, **TXPK, field: value}
    for body in ({member: mutated}, {member: [mutated]}, {member: value}):
        for parse in PARSERS:
            with contextlib.suppress(GwmpError):
                parse(json.dumps(body).encode())
