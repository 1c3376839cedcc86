from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_gateway.edge import dev_addr
from siel_gateway.edge.blocks import BLOCK, Blocks
from siel_gateway.edge.plan import Plan, device_channels
from siel_gateway.edge.windows import receive_windows, room_bytes
from siel_gateway.records import RxFrame

# The first and last address of a network. Source: TS002-1.1.0, table "DevAddr format".
NETWORKS = [
    (0x000000, 0x00000000, 0x01FFFFFF),
    (0x000001, 0x02000000, 0x03FFFFFF),
    (0x000013, 0x26000000, 0x27FFFFFF),
    (0x200001, 0x81000000, 0x81FFFFFF),
    (0x400001, 0xC0100000, 0xC01FFFFF),
    (0x600001, 0xE0020000, 0xE003FFFF),
    (0x800001, 0xF0008000, 0xF000FFFF),
    (0xA00001, 0xF8002000, 0xF8003FFF),
    (0xC00001, 0xFC000400, 0xFC0007FF),
    (0xE00001, 0xFE000080, 0xFE0000FF),
]


@pytest.mark.parametrize(("net_id", "first", "last"), NETWORKS)
@given(chosen=st.binary(min_size=4, max_size=4), drawn=st.binary(min_size=4, max_size=4))
def test_every_address_is_of_its_network(net_id: int, first: int, last: int, chosen: bytes, drawn: bytes) -> None:
    block = dev_addr.random_block(net_id, lambda n: chosen)
    assert first <= dev_addr.draw(block, lambda n: drawn) <= last
    assert dev_addr.in_network(block, net_id)
    assert [other for other, _, _ in NETWORKS if dev_addr.in_network(block, other)] == [net_id]


def test_broken_block_is_of_no_network() -> None:
    assert not dev_addr.in_network(b"", 1)
    assert not dev_addr.in_network(b"\x02\x00\x00\x00", 1)
    assert not dev_addr.in_network(b"\x02\x00\x00\x00\x20", 1)


def test_plan_knows_what_is_heard_at_which_spreading_factor() -> None:
    plan = Plan([(868_100_000, 7, 125_000), (868_300_000, 9, 125_000), (868_500_000, 7, 250_000)])
    assert plan.mask(device_channels(()), 7) == 0b001
    assert plan.mask(device_channels(()), 9) == 0b010
    assert plan.mask(device_channels(()), 12) == 0
    assert plan.cf_list_hz == ()


def test_cf_list_has_five_places_and_promises_only_what_is_heard_at_every_data_rate() -> None:
    channels_hz = tuple(865_100_000 + 200_000 * n for n in range(6))
    heard = [(frequency_hz, factor, 125_000) for frequency_hz in channels_hz for factor in range(7, 13)]
    assert Plan(heard).cf_list_hz == channels_hz[:5]
    assert Plan(heard[1:]).cf_list_hz == channels_hz[1:]


@given(st.lists(st.sampled_from(["take", "grant"]), max_size=100), st.integers(0, 1000))
def test_numbers_come_in_order_and_once(steps: list[str], first: int) -> None:
    blocks = Blocks("c")
    end, taken = first, list[int]()
    for step in steps:
        if step == "grant":
            blocks.grant(end, BLOCK)
            end += BLOCK
        else:
            expected = blocks.peek()
            number = blocks.take()
            assert number == expected
            if number is not None:
                taken.append(number)
    assert taken == list(range(first, first + len(taken)))


def test_block_is_asked_for_once_and_again_after_a_failure() -> None:
    blocks = Blocks("c")
    wanted = blocks.wanted()
    assert wanted is not None
    assert wanted.counter == "c"
    assert blocks.wanted() is None
    blocks.refused()
    assert blocks.wanted() is not None
    blocks.grant(0, BLOCK)
    assert blocks.wanted() is None


def test_numbers_granted_twice_are_refused() -> None:
    blocks = Blocks("c")
    blocks.grant(16, 16)
    for _ in range(16):
        blocks.take()
    with pytest.raises(ValueError, match="reserved before"):
        blocks.grant(31, 16)
    assert blocks.take() is None


@pytest.mark.parametrize(("spreading_factor", "room"), [(7, 242), (8, 242), (9, 115), (10, 51), (11, 51), (12, 51)])
def test_windows_and_what_fits_into_them(spreading_factor: int, room: int) -> None:
    frame = RxFrame(
        radio="one",
        gateway_eui="0016c001f1500812",
        radio_session=1,
        counter_us=0xFFFF_FFFF,
        gateway_us=50,
        received_ms=0,
        clock="ntp",
        frequency_hz=867_100_000,
        spreading_factor=spreading_factor,
        bandwidth_hz=125_000,
        rssi_dbm=-1,
        snr_db=1,
        crc="ok",
        phy_payload=b"",
    )
    rx1, rx2 = receive_windows(frame, 1, 1_000_049)
    assert (rx1.counter_us, rx1.frequency_hz, rx1.spreading_factor) == (999_999, 867_100_000, spreading_factor)
    assert (rx2.counter_us, rx2.frequency_hz, rx2.spreading_factor) == (1_999_999, 869_525_000, 12)
    assert (room_bytes(rx1), room_bytes(rx2)) == (room, 51)
    assert receive_windows(frame, 1, 1_000_050) == (rx2,)
    assert receive_windows(frame, 1, 2_000_050) == ()
