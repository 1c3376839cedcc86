"""``siel frame``: LoRaWAN frames taken apart and put together by hand."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from siel_tools.commands._params import dev_addr, eui, hex_bytes, key, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from siel_codecs.errors import MacCommandError
    from siel_codecs.lorawan import DataFrame, JoinAccept, JoinRequest, MacCommand

CONTRACT_KEYS = ("mtype", "dev_addr", "f_cnt", "f_port", "payload", "mic", "mic_ok", "mac_commands")
"""Stand in every JSON document of ``frame decode``, null where the frame has no such thing."""


@click.group()
def command() -> None:
    """LoRaWAN frames: take them apart, check them, make them."""


@command.command()
@click.argument("phy", type=hex_bytes, metavar="HEX")
@click.option("--nwkskey", type=key, help="Network session key: checks the MIC of a data frame.")
@click.option("--appskey", type=key, help="Application session key: decrypts its payload.")
@click.option("--fcnt", type=unsigned(32), help="The whole frame counter; left out, its upper half is searched.")
@click.option("--appkey", type=key, help="Root key: checks a join-request, decrypts a join-accept.")
@click.option("--devnonce", type=unsigned(16), help="Of the join-request: shows the session keys of a join-accept.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def decode(phy: bytes, as_json: bool, **given: Any) -> None:
    """Take the PHYPayload HEX apart; with keys, check and decrypt it.

    Ends with 1 when it is no LoRaWAN frame or its MIC does not fit the key.
    """
    from siel_codecs.errors import FrameError
    from siel_codecs.lorawan import DataFrame, JoinAccept, JoinRequest, parse_phy

    if given["devnonce"] is not None and given["appkey"] is None:
        raise click.UsageError("--devnonce needs --appkey.")
    if given["fcnt"] is not None and given["nwkskey"] is None and given["appskey"] is None:
        raise click.UsageError("--fcnt needs --nwkskey or --appskey.")
    report: dict[str, Any] = dict.fromkeys(CONTRACT_KEYS)
    problem = ""
    try:
        frame = parse_phy(phy)
    except FrameError as error:
        report["error"] = str(error)
        problem = f"this is no LoRaWAN frame: {error}\nGive a whole PHYPayload: from MHDR to MIC, as on air."
    else:
        report["mtype"] = frame.mtype.label
        if isinstance(frame, DataFrame):
            problem = _data(report, frame, phy, given)
        elif isinstance(frame, JoinRequest):
            problem = _join_request(report, frame, phy, given)
        elif isinstance(frame, JoinAccept):
            problem = _join_accept(report, frame, phy, given)
        else:
            report["payload"] = frame.payload.hex()
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print_report(report)
    if problem:
        click.echo(f"siel: {problem}", err=True)
        sys.exit(1)


def _data(report: dict[str, Any], frame: DataFrame, phy: bytes, given: dict[str, Any]) -> str:
    from siel_codecs.lorawan import MAC_PORT, crypt_payload, data_mic, find_f_cnt, parse_mac_commands

    nwk_s_key, app_s_key, f_cnt = given["nwkskey"], given["appskey"], given["fcnt"]
    report |= {
        "dev_addr": f"{frame.dev_addr:08x}",
        "f_cnt": frame.f_cnt,
        "f_port": frame.f_port,
        "mic": frame.mic.hex(),
        "adr": frame.adr,
        "ack": frame.ack,
    }
    if frame.uplink:
        report |= {"adr_ack_req": frame.adr_ack_req, "class_b": frame.class_b}
    else:
        report["f_pending"] = frame.f_pending
    report |= {"f_opts": frame.f_opts.hex(), "frm_payload": frame.frm_payload.hex()}
    problem = ""
    if nwk_s_key is not None:
        if f_cnt is None:
            f_cnt = find_f_cnt(nwk_s_key, phy, frame.dev_addr, frame.f_cnt, frame.uplink)
            report["mic_ok"] = f_cnt is not None
        else:
            fits = data_mic(nwk_s_key, phy[:-4], frame.dev_addr, f_cnt, frame.uplink) == frame.mic
            report["mic_ok"] = fits and f_cnt & 0xFFFF == frame.f_cnt
        problem = "" if report["mic_ok"] else _mic_problem(frame, given["fcnt"])
    elif f_cnt is None:
        f_cnt = frame.f_cnt
    session_key = nwk_s_key if frame.f_port == MAC_PORT else app_s_key
    if not problem:
        report["f_cnt"] = f_cnt
        if session_key is not None and f_cnt is not None:
            report["payload"] = crypt_payload(session_key, frame.dev_addr, f_cnt, frame.uplink, frame.frm_payload).hex()
        elif not frame.frm_payload:
            report["payload"] = ""
    commands = frame.f_opts
    if frame.f_port == MAC_PORT:
        commands = bytes.fromhex(report["payload"] or "")
    _mac_commands(report, *parse_mac_commands(commands, frame.uplink))
    return problem


def _mic_problem(frame: DataFrame, f_cnt: int | None) -> str:
    if f_cnt is not None and f_cnt & 0xFFFF != frame.f_cnt:
        return (
            f"the MIC cannot fit: --fcnt {f_cnt} ends in {f_cnt & 0xFFFF}, the frame says {frame.f_cnt}\n"
            "Leave --fcnt out and the counter is searched."
        )
    tried = "under any frame counter" if f_cnt is None else f"under the frame counter {f_cnt}"
    return (
        f"the MIC {frame.mic.hex()} does not fit the key of --nwkskey {tried}\n"
        f"Either the key is not of this session of {frame.dev_addr:08x}, or the frame was changed on its way."
    )


def _mac_commands(report: dict[str, Any], commands: list[MacCommand], error: MacCommandError | None) -> None:
    report["mac_commands"] = [{"name": each.name, "cid": each.cid, **each.fields} for each in commands]
    if error is not None:
        report["mac_error"] = str(error)


def _join_request(report: dict[str, Any], frame: JoinRequest, phy: bytes, given: dict[str, Any]) -> str:
    from siel_codecs.lorawan import join_request_mic

    report |= {"join_eui": frame.join_eui, "dev_eui": frame.dev_eui, "dev_nonce": frame.dev_nonce}
    report["mic"] = frame.mic.hex()
    if given["appkey"] is None:
        return ""
    report["mic_ok"] = join_request_mic(given["appkey"], phy) == frame.mic
    if report["mic_ok"]:
        return ""
    return (
        f"the MIC {frame.mic.hex()} does not fit the key of --appkey\n"
        f"Either it is not the key of {frame.dev_eui}, or the frame was changed on its way."
    )


def _join_accept(report: dict[str, Any], frame: JoinAccept, phy: bytes, given: dict[str, Any]) -> str:
    from siel_codecs.errors import MicError
    from siel_codecs.lorawan import decode_join_accept, derive_session_keys

    report["encrypted"] = frame.encrypted.hex()
    app_key = given["appkey"]
    if app_key is None:
        return ""
    try:
        body = decode_join_accept(app_key, phy)
    except MicError as error:
        report |= {"mic": error.mic.hex(), "mic_ok": False}
        return "the MIC does not fit the key of --appkey\nA join-accept answers one device only; try that device's key."
    report |= {
        "dev_addr": f"{body.dev_addr:08x}",
        "mic": body.mic.hex(),
        "mic_ok": True,
        "join_nonce": body.join_nonce,
        "net_id": f"{body.net_id:06x}",
        "rx1_dr_offset": body.rx1_dr_offset,
        "rx2_data_rate": body.rx2_data_rate,
        "rx_delay": body.rx_delay,
        "cf_list_hz": list(body.cf_list_hz),
        "cf_list_masks": list(body.cf_list_masks),
    }
    if given["devnonce"] is not None:
        keys = derive_session_keys(app_key, body.join_nonce, body.net_id, given["devnonce"])
        report |= {"nwk_s_key": keys.nwk_s_key.hex(), "app_s_key": keys.app_s_key.hex()}
    return ""


def _print_report(report: dict[str, Any]) -> None:
    shown = {name: value for name, value in report.items() if value not in (None, "", []) and name != "error"}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        if name == "mac_commands":
            for each in value:
                rest = " ".join(f"{field}={entry}" for field, entry in each.items() if field not in {"name", "cid"})
                click.echo(f"{name:<{width}}  {each['name']} {rest}".rstrip())
        else:
            text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
            click.echo(f"{name:<{width}}  {text}".rstrip())


@command.group()
def encode() -> None:
    """Make a frame and print it as hex."""


def _data_options(function: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.option("--nwkskey", type=key, required=True, help="Network session key."),
        click.option("--appskey", type=key, required=True, help="Application session key."),
        click.option("--devaddr", type=dev_addr, required=True, help="8 hex digits, most significant first."),
        click.option("--fcnt", type=unsigned(32), required=True, help="The whole frame counter."),
        click.option("--fport", type=click.IntRange(0, 255), help="0 carries MAC commands; left out, no payload."),
        click.option("--payload", type=hex_bytes, default=b"", help="In clear, hex."),
        click.option("--fopts", type=hex_bytes, default=b"", help="MAC commands in the header, hex."),
        click.option("--confirmed", is_flag=True, help="Ask for an acknowledgement."),
        click.option("--adr", is_flag=True, help="Set the ADR bit."),
        click.option("--ack", is_flag=True, help="Acknowledge the last frame."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@encode.command()
@_data_options
@click.option("--adrackreq", "adr_ack_req", is_flag=True, help="Ask the network whether it still hears.")
def data_up(as_json: bool, **given: Any) -> None:
    """Make a data frame as a device sends it."""
    from siel_codecs.lorawan import encode_data_up

    _print_frame(as_json, encode_data_up, **_data_arguments(given))


@encode.command()
@_data_options
@click.option("--fpending", "f_pending", is_flag=True, help="More downlinks are waiting.")
def data_down(as_json: bool, **given: Any) -> None:
    """Make a data frame as a network sends it."""
    from siel_codecs.lorawan import encode_data_down

    _print_frame(as_json, encode_data_down, **_data_arguments(given))


@encode.command()
@click.option("--appkey", type=key, required=True, help="Root key.")
@click.option("--joineui", type=eui, required=True, help="16 hex digits, most significant first.")
@click.option("--deveui", type=eui, required=True, help="16 hex digits, most significant first.")
@click.option("--devnonce", type=unsigned(16), required=True, help="Never twice the same.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def join_request(as_json: bool, appkey: bytes, joineui: bytes, deveui: bytes, devnonce: int) -> None:
    """Make the frame with which a device asks to join."""
    from siel_codecs.lorawan import encode_join_request

    arguments = {"join_eui": joineui.hex(), "dev_eui": deveui.hex(), "dev_nonce": devnonce}
    _print_frame(as_json, encode_join_request, app_key=appkey, **arguments)


def _data_arguments(given: dict[str, Any]) -> dict[str, Any]:
    names = {"nwkskey": "nwk_s_key", "appskey": "app_s_key", "fcnt": "f_cnt32", "fport": "f_port", "fopts": "f_opts"}
    arguments = {names.get(name, name): value for name, value in given.items()}
    return arguments | {"dev_addr": int.from_bytes(arguments.pop("devaddr"), "big")}


def _print_frame(as_json: bool, build: Callable[..., bytes], **arguments: Any) -> None:
    from siel_codecs.errors import BuildError

    try:
        phy = build(**arguments)
    except BuildError as error:
        _wrong(f"no such frame can be: {error}")
    click.echo(json.dumps({"phy_payload": phy.hex()}) if as_json else phy.hex())


def _wrong(text: str) -> NoReturn:
    click.echo(f"siel: {text}", err=True)
    sys.exit(2)
