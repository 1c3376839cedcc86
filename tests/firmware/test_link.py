"""The serial link's table and frames: round trips, any split of the stream, and whatever noise a line can carry."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_head import link

BOUNDS = {code: struct.calcsize("<" + code) for code in "BHIbhi"}


def fields_of(row: tuple[Any, ...]) -> st.SearchStrategy[dict[str, int]]:
    strategies = {}
    for code, name in zip(row[2], row[3], strict=True):
        bits = 8 * BOUNDS[code]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if code.islower() else (0, (1 << bits) - 1)
        strategies[name] = st.integers(low, high)
    return st.fixed_dictionaries(strategies)


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, dict[str, int], bytes]:
    row = draw(st.sampled_from(link.MESSAGES))
    payload = draw(st.binary(max_size=link.MAX_PAYLOAD_BYTES)) if row[4] else b""
    return row[0], draw(fields_of(row)), payload


def encode(message: tuple[str, dict[str, int], bytes]) -> bytes:
    return link.encode(message[0], message[2], **message[1])


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(at)]


def test_crc_check_value() -> None:
    assert link.crc16(b"123456789") == 0x29B1


def test_names_and_kinds_are_unique_and_say_their_direction() -> None:
    assert len({row[0] for row in link.MESSAGES}) == len({row[1] for row in link.MESSAGES}) == len(link.MESSAGES)
    to_host = {"hello", "rx", "tx_outcome", "stats", "time", "configured"}
    assert {row[0] for row in link.MESSAGES if row[1] < 0x80} == to_host


@given(st.binary(max_size=600))
def test_cobs_round_trip(data: bytes) -> None:
    encoded = link.cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + 1 + len(data) // 254
    decoded = link.cobs_decode(encoded)
    assert decoded is not None
    assert bytes(decoded) == data


@given(st.binary(max_size=600))
def test_cobs_decode_takes_anything(data: bytes) -> None:
    decoded = link.cobs_decode(data)
    assert decoded is None or len(decoded) <= len(data)


@given(st.lists(messages(), max_size=5), st.lists(st.integers(min_value=0), max_size=20))
def test_any_split_of_the_stream(sent: list[Any], cuts: list[int]) -> None:
    deframer = link.Deframer()
    received = []
    for part in split(b"".join(encode(message) for message in sent), cuts):
        received += [link.decode(body) for body in deframer.receive_data(part)]
    assert received == sent
    assert deframer.junk == 0


@given(st.lists(st.binary(max_size=700), max_size=5), messages())
def test_noise_costs_nothing_after_the_next_delimiter(noise: list[bytes], message: Any) -> None:
    deframer = link.Deframer()
    for part in noise:
        for body in deframer.receive_data(part):
            link.decode(body)
    received = deframer.receive_data(b"\0" + encode(message))
    assert link.decode(received[-1]) == message


@given(messages(), st.integers(min_value=0), st.integers(1, 255))
def test_a_wrong_byte_is_junk(message: Any, position: int, difference: int) -> None:
    frame = bytearray(encode(message))
    position %= len(frame) - 1
    frame[position] ^= difference
    deframer = link.Deframer()
    received = [link.decode(body) for body in deframer.receive_data(bytes(frame) + b"\0")]
    assert message not in received
    assert deframer.junk >= 1 or received == []


def test_the_longest_frame_is_512_bytes() -> None:
    longest = max(
        struct.calcsize("<" + row[2]) + 2 + (link.MAX_PAYLOAD_BYTES if row[4] else 0) for row in link.MESSAGES
    )
    assert longest <= link.MAX_BODY_BYTES
    body = bytes([1]) * link.MAX_BODY_BYTES
    frame = bytes(link.cobs_encode(body + struct.pack("<H", link.crc16(body)))) + b"\0"
    assert len(frame) == link.MAX_FRAME_BYTES
    deframer = link.Deframer()
    assert deframer.receive_data(frame) == [body]
    body += b"\1"
    frame = bytes(link.cobs_encode(body + struct.pack("<H", link.crc16(body)))) + b"\0"
    assert deframer.receive_data(frame) == []
    assert deframer.junk == 1


def test_an_endless_frame_is_not_kept() -> None:
    deframer = link.Deframer()
    for _ in range(1000):
        deframer.receive_data(b"\1" * 100)
    assert len(deframer._buffer) <= link.MAX_FRAME_BYTES
    assert deframer.receive_data(b"\0") == []
    assert deframer.junk == 1


def test_payload_bound() -> None:
    fields = dict.fromkeys(next(row for row in link.MESSAGES if row[0] == "tx")[3], 1)
    message = ("tx", fields, bytes(link.MAX_PAYLOAD_BYTES))
    assert link.decode(link.Deframer().receive_data(encode(message))[0]) == message
    with pytest.raises(ValueError, match="payload"):
        link.encode("tx", bytes(link.MAX_PAYLOAD_BYTES + 1), **fields)
    with pytest.raises(ValueError, match="payload"):
        link.encode("ack", b"x", boot_id=1, sequence=1)


def test_a_message_may_grow_and_an_unknown_one_is_skipped() -> None:
    body = link.Deframer().receive_data(link.encode("ack", boot_id=1, sequence=2))[0]
    assert link.decode(body + b"new") == ("ack", {"boot_id": 1, "sequence": 2}, b"")
    assert link.decode(body[:-1]) is None
    assert link.decode(b"\x7f" + body[1:]) is None
    assert link.decode(b"") is None


def test_a_payload_shorter_than_it_says_is_skipped() -> None:
    row = next(row for row in link.MESSAGES if row[0] == "rx")
    body = link.Deframer().receive_data(link.encode("rx", b"abc", **dict.fromkeys(row[3], 1)))[0]
    assert link.decode(body[:-1]) is None
    decoded = link.decode(body + b"later")
    assert decoded is not None
    assert decoded[2] == b"abc"
