"""Public LoRaWAN vectors against siel_codecs.lorawan on CPython."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from siel_codecs.lorawan import (
    DataFrame,
    JoinRequest,
    cmac,
    crypt_payload,
    data_mic,
    decode_join_accept,
    derive_session_keys,
    encode_data_down,
    encode_data_up,
    encode_join_accept,
    encode_join_request,
    encode_mac_command,
    join_accept_mic,
    join_request_mic,
    parse_mac_commands,
    parse_phy,
)
from siel_codecs.lorawan.crypto import aes_ecb, crypt_join_accept, open_join_accept
from siel_node.lora import airtime_us

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "lorawan.json").read_text())["vectors"]
unhex = bytes.fromhex


def of_kind(kind: str) -> pytest.MarkDecorator:
    found = [vector for vector in VECTORS if vector["kind"] == kind]
    assert found, f"no vector of kind {kind}"
    return pytest.mark.parametrize("vector", found, ids=[vector["id"] for vector in found])


@of_kind("aes_ecb")
def test_aes_ecb(vector: dict[str, Any]) -> None:
    assert aes_ecb(unhex(vector["key"]), unhex(vector["plain"])) == unhex(vector["cipher"])


@of_kind("cmac")
def test_cmac(vector: dict[str, Any]) -> None:
    assert cmac(unhex(vector["key"]), unhex(vector["msg"])) == unhex(vector["tag"])


@of_kind("data")
def test_data_frame(vector: dict[str, Any]) -> None:
    phy, uplink, f_cnt = unhex(vector["phy"]), vector["dir"] == 0, vector["fcnt32"]
    nwk_s_key = unhex(vector["nwkskey"])
    frame = parse_phy(phy)
    assert isinstance(frame, DataFrame)
    assert (frame.uplink, f"{frame.dev_addr:08x}") == (uplink, vector["devaddr"])
    assert (frame.f_cnt, frame.f_port) == (f_cnt & 0xFFFF, vector["fport"])
    assert frame.f_opts == unhex(vector.get("fopts", ""))
    assert frame.mic == unhex(vector["mic"])
    assert data_mic(nwk_s_key, phy[:-4], frame.dev_addr, f_cnt, uplink) == frame.mic
    key = nwk_s_key if frame.f_port == 0 else unhex(vector["appskey"] or vector["nwkskey"])
    plain = crypt_payload(key, frame.dev_addr, f_cnt, uplink, frame.frm_payload)
    assert plain == unhex(vector["plain"])
    common: dict[str, Any] = {
        "f_port": frame.f_port,
        "payload": plain,
        "f_opts": frame.f_opts,
        "confirmed": frame.confirmed,
        "adr": frame.adr,
        "ack": frame.ack,
    }
    if uplink:
        again = encode_data_up(nwk_s_key, key, frame.dev_addr, f_cnt, adr_ack_req=frame.adr_ack_req, **common)
    else:
        again = encode_data_down(nwk_s_key, key, frame.dev_addr, f_cnt, f_pending=frame.f_pending, **common)
    assert again == phy


@of_kind("join_request")
def test_join_request(vector: dict[str, Any]) -> None:
    phy, app_key = unhex(vector["phy"]), unhex(vector["appkey"])
    frame = parse_phy(phy)
    assert isinstance(frame, JoinRequest)
    assert (frame.join_eui, frame.dev_eui, frame.dev_nonce) == (
        vector["joineui"],
        vector["deveui"],
        vector["devnonce"],
    )
    assert frame.mic == unhex(vector["mic"]) == join_request_mic(app_key, phy)
    assert encode_join_request(app_key, frame.join_eui, frame.dev_eui, frame.dev_nonce) == phy


@of_kind("join_accept")
def test_join_accept(vector: dict[str, Any]) -> None:
    phy, app_key = unhex(vector["phy"]), unhex(vector["appkey"])
    assert phy[:1] + open_join_accept(app_key, phy[1:]) == unhex(vector["decrypted"])
    body = decode_join_accept(app_key, phy)
    fields = vector.get("fields", {})
    if "dev_addr" in fields:
        assert f"{body.dev_addr:08x}" == fields["dev_addr"]
        assert body.join_nonce.to_bytes(3, "little").hex() == fields["join_nonce"].split()[0]
        assert body.net_id.to_bytes(3, "little").hex() == fields["net_id"].split()[0]
    assert body.rx_delay == fields.get("rx_delay", body.rx_delay)
    assert f"{body.rx1_dr_offset << 4 | body.rx2_data_rate:02x}" == fields.get("dl_settings", "00")
    assert list(body.cf_list_hz) == fields.get("cflist_hz", [])
    if "nwkskey" in vector:
        dev_nonce = int.from_bytes(unhex(vector["devnonce"]), "little")
        keys = derive_session_keys(app_key, body.join_nonce, body.net_id, dev_nonce)
        assert keys == (unhex(vector["nwkskey"]), unhex(vector["appskey"]))
    again = encode_join_accept(
        app_key,
        join_nonce=body.join_nonce,
        net_id=body.net_id,
        dev_addr=body.dev_addr,
        rx1_dr_offset=body.rx1_dr_offset,
        rx2_data_rate=body.rx2_data_rate,
        rx_delay=body.rx_delay,
        cf_list_hz=body.cf_list_hz,
    )
    assert again == phy


@of_kind("join_accept_plain")
def test_join_accept_in_clear(vector: dict[str, Any]) -> None:
    plain, app_key = unhex(vector["plain"]), unhex(vector["appkey"])
    assert join_accept_mic(app_key, plain[:-4]) == plain[-4:]
    encrypted = unhex(vector["encrypted"])
    assert plain[:1] + crypt_join_accept(app_key, plain[1:]) == encrypted
    body = decode_join_accept(app_key, encrypted)
    keys = derive_session_keys(
        app_key, body.join_nonce, body.net_id, int.from_bytes(unhex(vector["devnonce"]), "little")
    )
    assert keys == (unhex(vector["nwkskey"]), unhex(vector["appskey"]))


@of_kind("mac")
def test_mac_commands_parse_whole_and_encode_back(vector: dict[str, Any]) -> None:
    for text, uplink in ((vector["req"], False), (vector["ans"], True)):
        commands, error = parse_mac_commands(unhex(text), uplink)
        assert error is None
        assert b"".join(encode_mac_command(each.name, **each.fields) for each in commands) == unhex(text)


MAC_FIELDS = {
    "mac-1": [("RXTimingSetupReq", {"delay_s": 15})],
    "mac-2": [("DlChannelReq", {"ch_index": 0, "frequency_hz": 868300000})],
    "mac-5": [("NewChannelReq", {"ch_index": 15, "frequency_hz": 867700000, "max_dr": 5, "min_dr": 0})],
    "mac-7": [("LinkADRReq", {"data_rate": 5, "tx_power": 0, "ch_mask": 7, "ch_mask_cntl": 0, "nb_trans": 1})],
    "mac-8": [("RXParamSetupReq", {"rx1_dr_offset": 2, "rx2_data_rate": 2, "frequency_hz": 868525000})],
}


@pytest.mark.parametrize("vector_id", MAC_FIELDS)
def test_mac_commands_mean_what_the_vector_says(vector_id: str) -> None:
    vector = next(vector for vector in VECTORS if vector["id"] == vector_id)
    commands, error = parse_mac_commands(unhex(vector["req"]), False)
    assert error is None
    assert [(each.name, each.fields) for each in commands] == MAC_FIELDS[vector_id]


def test_dev_status_carries_a_signed_margin() -> None:
    commands, _ = parse_mac_commands(unhex("06ff31"), True)
    assert commands[0].fields == {"battery": 255, "snr_db": -15}


@of_kind("airtime")
def test_airtime(vector: dict[str, Any]) -> None:
    for row in vector["rows"]:
        us = airtime_us(row["sf"], vector["bw_hz"], row["phy_len"], crc=bool(row["crc"]), preamble=vector["preamble"])
        assert us == row["us"], row
