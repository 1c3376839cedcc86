"""The MAC commands the edge server understands and sends."""

from __future__ import annotations

from typing import Final

from siel_codecs.lorawan import MacCommand, encode_mac_command, parse_mac_commands
from siel_gateway.edge.plan import BANDWIDTH_HZ, Plan
from siel_gateway.edge.records import Effects
from siel_gateway.edge.sessions import Session
from siel_gateway.records import RxFrame
from siel_node.region_eu868 import data_rate

_FLOOR_DB_X2: Final = {7: -15, 8: -20, 9: -25, 10: -30, 11: -35, 12: -40}
"""SNR that demodulation needs, in half dB. Source: SX1261/2 datasheet table 6-1."""
_MAX_MARGIN_DB: Final = 254


def take_commands(session: Session, data: bytes, frame: RxFrame, effects: Effects) -> bytes:
    """Act on a device's MAC commands and return the answers to them.

    Commands that need no action are passed over; the first unknown one ends the list (TS001-1.0.4 section 5).
    """
    commands, error = parse_mac_commands(data, True)
    if error is not None:
        effects.event("mac_command_unknown", dev_eui=session.device.config.dev_eui, cid=error.cid, offset=error.offset)
    answers = b""
    for command in commands:
        if command.name == "LinkCheckReq":
            answers = _link_check(frame)  # once, however often it was asked: FOpts has room for 15 bytes
        elif command.name == "LinkADRAns":
            _link_adr_answered(session, command, effects)
    return answers


def _link_check(frame: RxFrame) -> bytes:
    floor_x2 = _FLOOR_DB_X2.get(frame.spreading_factor, 0)
    margin_db = min(max(int(frame.snr_db - floor_x2 / 2), 0), _MAX_MARGIN_DB)
    return encode_mac_command("LinkCheckAns", margin_db=margin_db, gw_cnt=1)


def _link_adr_answered(session: Session, command: MacCommand, effects: Effects) -> None:
    counters = session.counters
    if counters.asked_mask < 0:
        return
    if all(command.fields.values()):
        counters.mask, counters.refused_mask = counters.asked_mask, -1
    else:
        # The same request again would be refused again
        counters.refused_mask = counters.asked_mask
        effects.event("link_adr_refused", dev_eui=session.device.config.dev_eui, **command.fields)
    counters.asked_mask = -1


def link_adr(session: Session, frame: RxFrame, plan: Plan) -> bytes:
    """Return a LinkADRReq when the device uses channels that no radio hears at its data rate, else nothing.

    The data rate is the one the frame was heard with, so it is one our radios hear, and the only one of single-SF
    heads. It asks again with every uplink until a LinkADRAns comes.
    """
    counters = session.counters
    counters.asked_mask = -1
    if frame.bandwidth_hz != BANDWIDTH_HZ:
        return b""
    target = plan.mask(session.channels_hz, frame.spreading_factor)
    if target in (0, counters.mask, counters.refused_mask):
        return b""
    counters.asked_mask = target
    return encode_mac_command(
        "LinkADRReq",
        data_rate=data_rate(frame.spreading_factor, frame.bandwidth_hz),
        tx_power=0,
        ch_mask=target,
        ch_mask_cntl=0,
        nb_trans=1,
    )
