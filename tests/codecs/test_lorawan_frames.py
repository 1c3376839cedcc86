"""The fast parse against the construct tables, round trips, bounds and noise."""

from __future__ import annotations

from typing import Any

import construct
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.errors import BuildError, FrameError, MicError
from siel_codecs.lorawan import (
    MAX_PHY_PAYLOAD_BYTES,
    DataFrame,
    JoinAccept,
    JoinRequest,
    MType,
    OpaqueFrame,
    SessionKeys,
    crypt_payload,
    data_mic,
    decode_join_accept,
    encode_data_down,
    encode_data_up,
    encode_join_accept,
    encode_join_request,
    full_f_cnt,
    join_accept_mic,
    parse_phy,
)
from siel_codecs.lorawan.crypto import crypt_join_accept
from siel_codecs.lorawan.layout import PHY_PAYLOAD

KEYS = st.binary(min_size=16, max_size=16)
EUIS = st.binary(min_size=8, max_size=8).map(bytes.hex)
DEV_ADDRS = F_CNTS = st.integers(0, 0xFFFFFFFF)
DATA_MTYPES = (2, 3, 4, 5)
F_OPTS_OR_PORT = st.one_of(
    st.tuples(st.binary(max_size=15), st.none(), st.just(b"")),
    st.tuples(st.binary(max_size=15), st.integers(1, 255), st.binary(max_size=227)),
    st.tuples(st.just(b""), st.integers(0, 255), st.binary(max_size=242)),
)


def by_construct(phy: bytes) -> dict[str, Any]:
    """Everything the tables find, with the names of the records."""
    tree = PHY_PAYLOAD.parse(phy)
    found = {"mtype": tree.mhdr.mtype, "major": tree.mhdr.major, "mic": tree.mic}
    if isinstance(tree.body, bytes):
        return found
    body = dict(tree.body)
    body.pop("_io")
    found |= body.pop("f_ctrl", {}) | body
    return {name: value for name, value in found.items() if name not in {"_io", "f_opts_len"}}


LIKE_FRAMES = st.tuples(st.integers(0, 63), st.binary(min_size=11, max_size=40)).map(
    lambda parts: bytes([parts[0] << 2]) + parts[1]
)


def tables_refuse(phy: bytes) -> bool:
    """Whether the specification forbids ``phy``, told from the tables and the few rules that are no layout."""
    if not 0 < len(phy) <= MAX_PHY_PAYLOAD_BYTES:
        return True
    mtype = phy[0] >> 5
    if mtype >= MType.RFU or phy[0] & 3:
        return mtype < MType.RFU
    if mtype in {MType.JOIN_ACCEPT, MType.JOIN_REQUEST}:
        return len(phy) not in ({17, 33} if mtype == MType.JOIN_ACCEPT else {23})
    try:
        found = by_construct(phy)
    except construct.ConstructError:
        return True
    return bool(found["f_port"] == 0 and found["f_opts"])


@given(st.one_of(st.binary(max_size=60), st.binary(min_size=254, max_size=257), LIKE_FRAMES))
def test_any_bytes_parse_as_the_tables_say_or_are_refused(phy: bytes) -> None:
    if tables_refuse(phy):
        with pytest.raises(FrameError) as caught:
            parse_phy(phy)
        assert 0 <= caught.value.offset <= len(phy)
        return
    frame = parse_phy(phy)
    if isinstance(frame, OpaqueFrame):
        assert (frame.mtype >= MType.RFU, frame.payload) == (True, phy[1:])
    elif isinstance(frame, JoinAccept):
        assert frame.encrypted == phy[1:]
    else:
        found = by_construct(phy)
        assert found.pop("major") == 0
        for name, value in found.items():
            assert getattr(frame, name) == value, name
        if isinstance(frame, DataFrame):
            assert frame.uplink == (frame.mtype in {2, 4})
            assert frame.confirmed == (frame.mtype in {4, 5})
            assert (frame.f_pending if frame.uplink else frame.adr_ack_req or frame.class_b) is False


@given(KEYS, KEYS, st.tuples(DEV_ADDRS, F_CNTS), F_OPTS_OR_PORT, st.tuples(*[st.booleans()] * 6))
def test_data_frame_round_trip(
    nwk: bytes, app: bytes, numbers: tuple[int, int], content: Any, bits: tuple[bool, ...]
) -> None:
    (addr, f_cnt), (f_opts, f_port, payload), (uplink, *flags) = numbers, content, bits
    common: dict[str, Any] = {"f_port": f_port, "payload": payload, "f_opts": f_opts, "confirmed": flags[0]}
    common |= {"adr": flags[1], "ack": flags[2]}
    if uplink:
        phy = encode_data_up(nwk, app, addr, f_cnt, adr_ack_req=flags[3], class_b=flags[4], **common)
    else:
        phy = encode_data_down(nwk, app, addr, f_cnt, f_pending=flags[3], **common)
    assert len(phy) <= MAX_PHY_PAYLOAD_BYTES
    frame = parse_phy(phy)
    assert isinstance(frame, DataFrame)
    assert data_mic(nwk, phy[:-4], addr, f_cnt, uplink) == frame.mic
    assert (frame.uplink, frame.dev_addr, frame.f_cnt, frame.f_opts) == (uplink, addr, f_cnt & 0xFFFF, f_opts)
    assert (frame.f_port, frame.confirmed, frame.adr, frame.ack) == (f_port, *flags[:3])
    assert ([frame.adr_ack_req, frame.class_b] if uplink else [frame.f_pending]) == flags[3 : 5 if uplink else 4]
    key = nwk if f_port == 0 else app
    assert crypt_payload(key, addr, f_cnt, uplink, frame.frm_payload) == payload
    # The tables build the very same bytes
    assert PHY_PAYLOAD.build(PHY_PAYLOAD.parse(phy)) == phy


@given(KEYS, EUIS, EUIS, st.integers(0, 0xFFFF))
def test_join_request_round_trip(key: bytes, join_eui: str, dev_eui: str, dev_nonce: int) -> None:
    frame = parse_phy(encode_join_request(key, join_eui, dev_eui, dev_nonce))
    assert isinstance(frame, JoinRequest)
    assert (frame.join_eui, frame.dev_eui, frame.dev_nonce) == (join_eui, dev_eui, dev_nonce)


CF_LISTS = st.lists(st.integers(0, 0xFFFFFF).map(lambda steps: steps * 100), max_size=5)


@given(
    KEYS, KEYS, st.tuples(st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFFFF), DEV_ADDRS, st.integers(0, 15)), CF_LISTS
)
def test_join_accept_round_trip(
    key: bytes, other: bytes, numbers: tuple[int, int, int, int], cf_list: list[int]
) -> None:
    nonce, net_id, addr, nibble = numbers
    phy = encode_join_accept(
        key,
        join_nonce=nonce,
        net_id=net_id,
        dev_addr=addr,
        rx1_dr_offset=nibble & 7,
        rx2_data_rate=nibble,
        rx_delay=nibble,
        cf_list_hz=cf_list,
    )
    assert len(phy) == (33 if cf_list else 17)
    body = decode_join_accept(key, phy)
    assert (body.join_nonce, body.net_id, body.dev_addr) == (nonce, net_id, addr)
    assert (body.rx1_dr_offset, body.rx2_data_rate, body.rx_delay) == (nibble & 7, nibble, nibble)
    assert body.cf_list_hz == tuple(cf_list) + (0,) * (5 - len(cf_list) if cf_list else 0)
    if other != key:
        with pytest.raises(MicError):
            decode_join_accept(other, phy)


def test_reserved_bits_of_a_join_accept_are_ignored_but_proven() -> None:
    key, plain = bytes(16), b"\x24" + bytes(12)
    phy = plain[:1] + crypt_join_accept(key, plain[1:] + join_accept_mic(key, plain))
    assert decode_join_accept(key, phy).dev_addr == 0
    with pytest.raises(MicError):
        decode_join_accept(key, b"\x20" + phy[1:])
    with pytest.raises(FrameError):
        decode_join_accept(key, b"\x40" + phy[1:])


def test_an_unknown_cf_list_type_is_ignored() -> None:
    key, plain = bytes(16), b"\x20" + bytes(12) + bytes(15) + b"\x07"
    phy = plain[:1] + crypt_join_accept(key, plain[1:] + join_accept_mic(key, plain))
    body = decode_join_accept(key, phy)
    assert (body.cf_list_hz, body.cf_list_masks) == ((), ())


@pytest.mark.parametrize(
    ("phy", "offset"),
    [
        (b"", 0),
        (b"\x40" + bytes(10), 11),  # one byte below the shortest data frame
        (b"\x41" + bytes(11), 0),  # major 1
        (b"\x40" + bytes(4) + b"\x01" + bytes(6), 5),  # FOptsLen 1, no byte for it
        (b"\x40" + bytes(4) + b"\x01" + bytes(2) + b"\x02\x00" + bytes(4), 9),  # FOpts and FPort 0
        (b"\x00" + bytes(21), 22),
        (b"\x00" + bytes(23), 24),
        (b"\x20" + bytes(15), 16),
        (b"\x20" + bytes(17), 18),
        (b"\xe0" + bytes(255), 256),
    ],
)
def test_refusals_say_where(phy: bytes, offset: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse_phy(phy)
    assert caught.value.offset == offset


def test_the_shortest_and_the_longest_frames_pass() -> None:
    shortest = parse_phy(b"\x40" + bytes(11))
    assert isinstance(shortest, DataFrame)
    assert (shortest.f_port, shortest.frm_payload) == (None, b"")
    longest = parse_phy(b"\x40" + bytes(7) + b"\x01" + bytes(246))
    assert isinstance(longest, DataFrame)
    assert len(longest.frm_payload) == 242
    assert isinstance(parse_phy(b"\xe0" + bytes(254)), OpaqueFrame)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("payload", {"f_port": 1, "payload": bytes(243)}),
        ("payload", {"f_port": 1, "payload": bytes(228), "f_opts": bytes(15)}),
        ("f_opts", {"f_opts": bytes(16)}),
        ("f_opts", {"f_port": 0, "payload": b"\x02", "f_opts": b"\x02"}),
        ("f_port", {"payload": b"x"}),
        ("f_port", {"f_port": 256}),
        ("f_cnt32", {"f_cnt32": 1 << 32}),
        ("dev_addr", {"dev_addr": -1}),
        ("nwk_s_key", {"nwk_s_key": bytes(15)}),
    ],
)
def test_a_frame_that_cannot_be_is_the_caller_s_fault(field: str, arguments: dict[str, Any]) -> None:
    values: dict[str, Any] = {"nwk_s_key": bytes(16), "app_s_key": bytes(16), "dev_addr": 1, "f_cnt32": 1}
    with pytest.raises(BuildError) as caught:
        encode_data_up(**values | arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("cf_list_hz", {"cf_list_hz": [868100000] * 6}),
        ("cf_list_hz", {"cf_list_hz": [868100050]}),
        ("cf_list_hz", {"cf_list_hz": [1 << 32]}),
        ("join_nonce", {"join_nonce": 1 << 24}),
        ("rx1_dr_offset", {"rx1_dr_offset": 8}),
        ("rx_delay", {"rx_delay": 16}),
        ("app_key", {"app_key": b"short"}),
    ],
)
def test_a_join_accept_that_cannot_be_is_the_caller_s_fault(field: str, arguments: dict[str, Any]) -> None:
    values: dict[str, Any] = {"app_key": bytes(16), "join_nonce": 1, "net_id": 1, "dev_addr": 1}
    with pytest.raises(BuildError) as caught:
        encode_join_accept(**values | arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("eui", ["", "0102030405060708ff", "010203040506070G", "01-02-03-04-05-06-07-08"])
def test_an_eui_has_one_form(eui: str) -> None:
    with pytest.raises(BuildError):
        encode_join_request(bytes(16), eui, "0102030405060708", 1)


def test_session_keys_do_not_show_themselves() -> None:
    keys = SessionKeys(b"\xab" * 16, b"\xcd" * 16)
    assert "ab" not in repr(keys).lower().replace("sessionkeys", "")
    assert "\\x" not in f"{keys!r}{keys}"


@given(st.one_of(st.none(), F_CNTS), st.integers(0, 0xFFFF))
def test_full_f_cnt_is_the_next_that_ends_so(last: int | None, f_cnt: int) -> None:
    full = full_f_cnt(last, f_cnt)
    assert full & 0xFFFF == f_cnt
    assert 0 <= full - (last or 0) <= 0xFFFF
