"""MAC commands: every command round trip, the good prefix, the located fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.errors import BuildError
from siel_codecs.lorawan import encode_mac_command, parse_mac_commands
from siel_codecs.lorawan.mac_commands import DOWNLINK, UPLINK

ALL = [(uplink, cid, *entry) for uplink, table in ((True, UPLINK), (False, DOWNLINK)) for cid, entry in table.items()]


@pytest.mark.parametrize(("uplink", "cid", "name", "layout"), ALL, ids=[each[2] for each in ALL])
@pytest.mark.parametrize("fill", [0x00, 0x01, 0x5A])
def test_every_command_round_trip(uplink: bool, cid: int, name: str, layout: Any, fill: int) -> None:
    body = layout.build(layout.parse(bytes([fill]) * 8))  # bits reserved for future use become zero
    commands, error = parse_mac_commands(bytes([cid]) + body, uplink)
    assert error is None
    assert [each.name for each in commands] == [name]
    assert encode_mac_command(name, **commands[0].fields) == bytes([cid]) + body


@pytest.mark.parametrize(("uplink", "cid", "name", "layout"), ALL, ids=[each[2] for each in ALL])
def test_a_command_cut_short_is_located_and_the_prefix_kept(uplink: bool, cid: int, name: str, layout: Any) -> None:
    size = layout.sizeof()
    good = b"\x02" if uplink else b"\x06"
    for cut in range(size):
        commands, error = parse_mac_commands(good + bytes([cid]) + bytes(cut), uplink)
        assert [each.cid for each in commands] == [good[0]]
        assert error is not None
        assert (error.cid, error.offset) == (cid, 1)
        assert name in str(error)


@given(st.binary(max_size=255), st.booleans())
def test_noise_gives_a_prefix_that_encodes_back(data: bytes, uplink: bool) -> None:
    commands, error = parse_mac_commands(data, uplink)
    table = UPLINK if uplink else DOWNLINK
    sizes = [1 + table[each.cid][1].sizeof() for each in commands]
    assert sum(sizes) == (len(data) if error is None else error.offset)
    again = b"".join(encode_mac_command(each.name, **each.fields) for each in commands)
    assert parse_mac_commands(again, uplink) == (commands, None)


def test_the_first_unknown_command_ends_the_list() -> None:
    commands, error = parse_mac_commands(bytes.fromhex("06800602"), False)
    assert [each.name for each in commands] == ["DevStatusReq"]
    assert error is not None
    assert (error.cid, error.offset) == (0x80, 1)


@pytest.mark.parametrize(
    ("name", "fields", "at_fault"),
    [
        ("NoSuchReq", {}, "name"),
        ("LinkCheckReq", {"margin_db": 1}, "margin_db"),
        ("LinkCheckAns", {"margin_db": 1}, "gw_cnt"),
        ("LinkCheckAns", {"margin_db": 256, "gw_cnt": 1}, "LinkCheckAns"),
        ("DlChannelReq", {"ch_index": 0, "frequency_hz": 868100001}, "frequency_hz"),
    ],
)
def test_a_command_that_cannot_be_names_the_fault(name: str, fields: dict[str, int], at_fault: str) -> None:
    with pytest.raises(BuildError) as caught:
        encode_mac_command(name, **fields)
    assert caught.value.field == at_fault
