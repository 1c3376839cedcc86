from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway import gwmp
from siel_gateway.errors import GwmpError
from siel_gateway.gwmp_frames import (
    OUTCOMES,
    format_coding_rate,
    format_data_rate,
    parse_coding_rate,
    parse_data_rate,
    rx_frame,
    rx_packet,
    tx_ack_word,
    tx_packet,
    tx_window,
)
from siel_gateway.records import Outcome, RxFrame, TxOutcome, TxRequest, TxWindow

ARRIVAL: dict[str, Any] = {
    "radio": "mast",
    "gateway_eui": "0016c001f1500812",
    "radio_session": 5,
    "gateway_us": 10,
    "received_ms": 20,
    "clock": "ntp",
}


def rx_pk(**changes: Any) -> gwmp.RxPk:
    fields: dict[str, Any] = {"tmst": 7, "freq": 868.1, "datr": "SF7BW125", "rssi": -60, "size": 3, "data": "AQID"}
    return gwmp.RxPk(**{**fields, **changes})


@pytest.mark.parametrize(
    ("datr", "expected"),
    [
        ("SF7BW125", (7, 125_000)),
        ("SF12BW125", (12, 125_000)),
        ("SF7BW250", (7, 250_000)),
        ("SF8BW500", (8, 500_000)),
        ("SF5BW125", (5, 125_000)),
    ],
)
def test_data_rates_both_ways(datr: str, expected: tuple[int, int]) -> None:
    assert parse_data_rate(datr) == expected
    assert format_data_rate(*expected) == datr


@pytest.mark.parametrize("datr", ["SF4BW125", "SF13BW125", "SF7BW62", "SF7", "", "sf7bw125x", 50000])
def test_what_is_no_lora_data_rate_is_a_fault(datr: str | int) -> None:
    with pytest.raises(GwmpError) as caught:
        parse_data_rate(datr)
    assert caught.value.reason == "datr"


@pytest.mark.parametrize(
    ("codr", "rate"),
    [
        ("4/5", 5),
        ("4/6", 6),
        ("4/7", 7),
        ("4/8", 8),
        ("2/3", 6),
        ("1/2", 8),
        ("2/4", 8),
        ("OFF", 4),
        ("4/5LI", 5),
        ("4/8LI", 8),
    ],
)
def test_every_spelling_of_a_coding_rate(codr: str, rate: int) -> None:
    assert parse_coding_rate(codr) == rate
    assert parse_coding_rate(format_coding_rate(rate)) == rate


@pytest.mark.parametrize("codr", ["", "4/9", "5/4", "LI"])
def test_what_is_no_coding_rate_is_a_fault(codr: str) -> None:
    with pytest.raises(GwmpError):
        parse_coding_rate(codr)


FRAMES = st.builds(
    RxFrame,
    radio=st.just("mast"),
    gateway_eui=st.just("0016c001f1500812"),
    radio_session=st.just(5),
    chip=st.integers(0, 9),
    counter_us=st.integers(0, 2**32 - 1),
    gateway_us=st.just(10),
    received_ms=st.just(20),
    clock=st.sampled_from(["ntp", "gnss"]),
    frequency_hz=st.integers(863_000_000, 870_000_000),
    spreading_factor=st.integers(7, 12),
    bandwidth_hz=st.sampled_from([125_000, 250_000, 500_000]),
    coding_rate=st.integers(5, 8),
    rssi_dbm=st.integers(-140, 0),
    snr_db=st.integers(-250, 150).map(lambda tenths: tenths / 10),
    crc=st.sampled_from(["ok", "bad", "none"]),
    phy_payload=st.binary(max_size=255),
    concentrator=st.just(True),
)


@given(FRAMES)
def test_a_frame_comes_out_of_the_wire_as_it_went_in(frame: RxFrame) -> None:
    body = gwmp.push_body((rx_packet(frame, frame.counter_us),))
    (packet,) = gwmp.parse_push_data(body).rxpks
    assert rx_frame(packet, **{**ARRIVAL, "clock": frame.clock}) == frame
    assert ("time" in json.loads(body)["rxpk"][0]) is (frame.clock == "gnss")


def test_time_is_sent_as_the_protocol_writes_it(make_frame: Callable[..., RxFrame]) -> None:
    frame = make_frame(clock="gnss", received_ms=1_767_225_600_042)
    assert rx_packet(frame, 1).time == "2026-01-01T00:00:00.042000Z"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modu": "FSK", "datr": 50000}, "modu"),
        ({"modu": "LR-FHSS"}, "modu"),
        ({"datr": 50000}, "datr"),
        ({"codr": "9/9"}, "codr"),
        ({"data": "*"}, "data"),
    ],
)
def test_a_packet_that_is_no_lora_frame_says_why(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(GwmpError) as caught:
        rx_frame(rx_pk(**changes), **ARRIVAL)
    assert caught.value.reason == reason


def test_a_wrong_size_is_believed_less_than_the_data() -> None:
    assert rx_frame(rx_pk(size=99), **ARRIVAL).phy_payload == b"\1\2\3"


@pytest.mark.parametrize(("stat", "crc"), [(1, "ok"), (-1, "bad"), (0, "none"), (2, "bad")])
def test_only_stat_1_is_a_good_crc(stat: int, crc: str) -> None:
    assert rx_frame(rx_pk(stat=stat), **ARRIVAL).crc == crc


# -- downlinks --------------------------------------------------------------------------------------------------------


@given(
    st.builds(
        TxWindow,
        counter_us=st.none() | st.integers(0, 2**32 - 1),
        frequency_hz=st.integers(863_000_000, 870_000_000),
        spreading_factor=st.integers(7, 12),
        bandwidth_hz=st.sampled_from([125_000, 250_000]),
        coding_rate=st.integers(5, 8),
        power_dbm=st.integers(0, 27),
    ),
    st.booleans(),
    st.booleans(),
    st.integers(6, 65535),
    st.binary(max_size=255),
)
def test_a_window_comes_out_of_the_wire_as_it_went_in(
    window: TxWindow, invert_iq: bool, crc: bool, preamble: int, phy_payload: bytes
) -> None:
    request = TxRequest(
        id="1",
        origin="edge",
        radio="mast",
        windows=(window,),
        phy_payload=phy_payload,
        invert_iq=invert_iq,
        crc=crc,
        preamble=preamble,
    )
    packet = gwmp.parse_pull_resp(gwmp.pull_resp_body(tx_packet(request, window)))
    assert packet.imme is (window.counter_us is None)
    assert tx_window(packet, None if packet.tmst is msgspec.UNSET else packet.tmst) == window
    assert (packet.ipol, packet.ncrc, packet.prea) == (invert_iq, not crc, preamble)
    assert gwmp.decode_data(packet.data) == phy_payload


def test_power_is_rounded_down() -> None:
    packet = gwmp.TxPk(freq=868.1, datr="SF7BW125", powe=13.9, size=0, data="")
    assert tx_window(packet, 1).power_dbm == 13


@pytest.mark.parametrize("changes", [{"modu": "FSK", "datr": 50000}, {"nhdr": True}, {"codr": "?"}])
def test_a_downlink_that_a_head_cannot_send_is_a_fault(changes: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"freq": 868.1, "datr": "SF7BW125", "size": 0, "data": ""}
    with pytest.raises(GwmpError):
        tx_window(gwmp.TxPk(**{**fields, **changes}), 1)


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "reason", "word"),
    [
        ("on_air", "", "NONE"),
        ("queued", "", "NONE"),
        ("too_late", "TOO_LATE", "TOO_LATE"),
        ("too_late", "", "TOO_LATE"),
        ("refused", "TOO_EARLY", "TOO_EARLY"),
        ("refused", "COLLISION", "COLLISION_PACKET"),
        ("busy", "BUSY", "COLLISION_PACKET"),
        ("busy", "", "COLLISION_PACKET"),
        ("refused", "TX_FREQ", "TX_FREQ"),
        ("refused", "DUTY_CYCLE", "DUTY_CYCLE_OVERFLOW"),
        ("refused", "AIRTIME", "UNKNOWN"),
        ("refused", "NO_RADIO", "UNKNOWN"),
        ("unknown", "OTHER", "UNKNOWN"),
    ],
)
def test_a_server_hears_the_true_word(outcome: Outcome, reason: str, word: str) -> None:
    assert tx_ack_word(TxOutcome(id="1", outcome=outcome, reason=reason)) == word


def test_only_what_went_out_is_called_none() -> None:
    words = {outcome: tx_ack_word(TxOutcome(id="1", outcome=outcome)) for outcome in get_args(Outcome)}
    assert {outcome for outcome, word in words.items() if word == "NONE"} == {"on_air", "queued"}


def test_a_forwarders_acknowledgement_is_never_called_on_air() -> None:
    assert all(outcome != "on_air" for outcome, _ in OUTCOMES.values())


@settings(max_examples=200)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "modu": st.text(max_size=5) | st.just("LORA"),
            "datr": st.text(max_size=9) | st.integers(1, 10**6),
            "codr": st.text(max_size=5),
            "data": st.text(max_size=400),
            "freq": st.floats(0.1, 10_000),
            "chan": st.integers(-1, 255),
            "rssi": st.floats(-1000, 1000),
            "lsnr": st.floats(-1000, 1000),
        },
    )
)
def test_any_packet_is_a_frame_or_a_fault(changes: dict[str, Any]) -> None:
    try:
        frame = rx_frame(rx_pk(**changes), **ARRIVAL)
    except GwmpError:
        return
    assert len(frame.phy_payload) <= 255
