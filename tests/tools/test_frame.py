"""``siel frame``: public vectors through the command line, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from siel_tools.commands.frame import CONTRACT_KEYS
from siel_tools.main import main

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "lorawan.json").read_text())["vectors"]
DATA = [vector for vector in VECTORS if vector["kind"] == "data"]
BY_ID = {vector["id"]: vector for vector in VECTORS}
KEY = "00" * 16


def siel(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["frame", *arguments], catch_exceptions=False)


def decode(*arguments: str) -> tuple[int, Any]:
    result = siel("decode", *arguments, "--json")
    document = json.loads(result.stdout)
    assert set(CONTRACT_KEYS) <= set(document)
    return result.exit_code, document


@pytest.mark.parametrize("vector", DATA, ids=[vector["id"] for vector in DATA])
@pytest.mark.parametrize("with_f_cnt", [True, False])
def test_data_frames_of_the_vectors(vector: dict[str, Any], with_f_cnt: bool) -> None:
    keys = ["--nwkskey", vector["nwkskey"], "--appskey", vector["appskey"] or KEY]
    exit_code, found = decode(vector["phy"], *keys, *(["--fcnt", str(vector["fcnt32"])] if with_f_cnt else []))
    assert exit_code == 0
    assert (found["f_cnt"], found["dev_addr"]) == (vector["fcnt32"], vector["devaddr"])
    assert (found["f_port"], found["payload"]) == (vector["fport"], vector["plain"])
    assert (found["mic"], found["mic_ok"]) == (vector["mic"], True)


def test_mac_commands_are_named_wherever_they_stand() -> None:
    in_f_opts = BY_ID["data-up-fopts"]
    _, found = decode(in_f_opts["phy"])
    assert [each["name"] for each in found["mac_commands"]] == ["LinkCheckReq", "LinkADRAns"]
    on_port_0 = BY_ID["data-up-port0-mac"]
    _, found = decode(on_port_0["phy"], "--nwkskey", on_port_0["nwkskey"])
    assert found["mac_commands"] == [
        {"name": "LinkCheckReq", "cid": 2},
        {"name": "LinkADRAns", "cid": 3, "power_ack": True, "data_rate_ack": False, "channel_mask_ack": True},
    ]
    _, found = decode(on_port_0["phy"])
    assert (found["mac_commands"], found["payload"]) == ([], None)


def test_without_keys_nothing_is_claimed() -> None:
    exit_code, found = decode(BY_ID["data-up-test"]["phy"])
    assert (exit_code, found["mic_ok"], found["payload"]) == (0, None, None)


def test_the_application_key_alone_decrypts_with_the_counter_on_air() -> None:
    vector = BY_ID["data-up-test"]
    exit_code, found = decode(vector["phy"], "--appskey", vector["appskey"])
    assert (exit_code, found["mic_ok"], found["payload"]) == (0, None, vector["plain"])


def test_a_mic_that_does_not_fit_ends_with_1_and_decrypts_nothing() -> None:
    vector = BY_ID["data-up-test"]
    for extra in ([], ["--fcnt", "2"], ["--fcnt", "3"]):
        arguments = [vector["phy"], "--nwkskey", KEY, "--appskey", vector["appskey"], *extra]
        exit_code, found = decode(*arguments)
        assert (exit_code, found["mic_ok"], found["payload"]) == (1, False, None)
        assert "MIC" in siel("decode", *arguments).stderr
    # The right key under a counter whose lower half is not the frame's
    exit_code, found = decode(vector["phy"], "--nwkskey", vector["nwkskey"], "--fcnt", "3")
    assert (exit_code, found["mic_ok"]) == (1, False)


@pytest.mark.parametrize("vector_id", ["join-request-lp", "join-request-lr"])
def test_join_requests(vector_id: str) -> None:
    vector = BY_ID[vector_id]
    exit_code, found = decode(vector["phy"], "--appkey", vector["appkey"])
    assert (exit_code, found["mtype"], found["mic_ok"]) == (0, "join_request", True)
    assert (found["join_eui"], found["dev_eui"], found["dev_nonce"]) == (
        vector["joineui"],
        vector["deveui"],
        vector["devnonce"],
    )
    exit_code, found = decode(vector["phy"], "--appkey", KEY)
    assert (exit_code, found["mic_ok"]) == (1, False)


def test_join_accepts() -> None:
    vector = BY_ID["join-accept-short"]
    exit_code, found = decode(vector["phy"], "--appkey", vector["appkey"], "--devnonce", "0xddcc")
    assert (exit_code, found["mtype"], found["mic_ok"]) == (0, "join_accept", True)
    assert (found["dev_addr"], found["nwk_s_key"], found["app_s_key"]) == (
        "02031980",
        vector["nwkskey"],
        vector["appskey"],
    )
    vector = BY_ID["join-accept-cflist"]
    exit_code, found = decode(vector["phy"], "--appkey", vector["appkey"])
    assert found["cf_list_hz"] == vector["fields"]["cflist_hz"]
    assert "nwk_s_key" not in found
    exit_code, found = decode(vector["phy"], "--appkey", KEY)
    assert (exit_code, found["mic_ok"], found["dev_addr"]) == (1, False, None)
    exit_code, found = decode(vector["phy"])
    assert (exit_code, found["mic_ok"], found["mic"]) == (0, None, None)


@pytest.mark.parametrize("phy", ["", "40", "40" + "00" * 10, "ff" * 256, "2000", "0011"])
def test_what_is_no_frame_ends_with_1_and_says_where(phy: str) -> None:
    exit_code, found = decode(phy)
    assert (exit_code, found["mtype"]) == (1, None)
    assert "byte" in found["error"]
    result = siel("decode", phy)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "this is no LoRaWAN frame" in result.stderr


def test_a_proprietary_frame_is_left_alone() -> None:
    exit_code, found = decode("e0cafe")
    assert (exit_code, found["mtype"], found["payload"]) == (0, "proprietary", "cafe")


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode", "zz"],
        ["decode", "40", "--nwkskey", "00"],
        ["decode", "40", "--nwkskey", KEY, "--fcnt", "-1"],
        ["decode", "40", "--nwkskey", KEY, "--fcnt", str(1 << 32)],
        ["decode", "40", "--fcnt", "1"],
        ["decode", "40", "--devnonce", "1"],
        ["decode"],
        [
            "encode",
            "data-up",
            "--nwkskey",
            KEY,
            "--appskey",
            KEY,
            "--devaddr",
            "01020304",
            "--fcnt",
            "1",
            "--payload",
            "00",
        ],
        ["encode", "data-up", "--nwkskey", KEY, "--appskey", KEY, "--devaddr", "0102", "--fcnt", "1"],
        ["encode", "join-request", "--appkey", KEY, "--joineui", "00", "--deveui", "00" * 8, "--devnonce", "1"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    result = siel(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_a_wrong_key_is_not_repeated() -> None:
    secret = "5ec2e7" * 5
    assert secret not in siel("decode", "40", "--nwkskey", secret).output


@pytest.mark.parametrize("vector_id", ["data-up-hello", "data-up-fopts", "data-up-port0-mac", "data-down-ack"])
def test_encode_makes_the_frames_of_the_vectors(vector_id: str) -> None:
    vector = BY_ID[vector_id]
    head = bytes.fromhex(vector["phy"])
    arguments = ["data-up" if vector["dir"] == 0 else "data-down", "--nwkskey", vector["nwkskey"]]
    arguments += [
        "--appskey",
        vector["appskey"] or KEY,
        "--devaddr",
        vector["devaddr"],
        "--fcnt",
        str(vector["fcnt32"]),
    ]
    arguments += [] if vector["fport"] is None else ["--fport", str(vector["fport"])]
    arguments += ["--payload", vector["plain"], "--fopts", vector.get("fopts", "")]
    arguments += ["--adr"] if head[5] & 0x80 else []
    arguments += ["--ack"] if head[5] & 0x20 else []
    result = siel("encode", *arguments)
    assert (result.exit_code, result.stdout.strip()) == (0, vector["phy"])


def test_encode_makes_the_join_request_of_the_vector() -> None:
    vector = BY_ID["join-request-lr"]
    euis = ["--joineui", "01-02-03-04-01-02-03-04", "--deveui", vector["deveui"].upper()]
    result = siel("encode", "join-request", "--appkey", vector["appkey"], *euis, "--devnonce", "4141", "--json")
    assert json.loads(result.stdout) == {"phy_payload": vector["phy"]}
