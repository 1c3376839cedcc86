"""MAC commands of LoRaWAN 1.0.4, both directions, as tables: CID -> (name in the specification, layout).

Source: TS001-1.0.4, section 5 (MAC commands) and sections 10 to 13 (class B). "Any unknown MAC command terminates the
processing of the MAC command sequence": the good prefix is kept, the rest is located and dropped.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import construct as c
import msgspec

from siel_codecs.errors import BuildError, MacCommandError
from siel_codecs.lorawan.layout import DL_SETTINGS, FREQUENCY, MAX_PHY_PAYLOAD_BYTES


class MacCommand(msgspec.Struct, frozen=True):
    """One MAC command, taken apart."""

    name: str
    """As the specification spells it."""
    cid: int
    fields: dict[str, int | bool]


EMPTY: Final = c.Struct()
_SNR: Final[Any] = c.BitsInteger(6, signed=True)
"""SNR of the last DevStatusReq, -32 to 31 dB."""

UPLINK: Final[dict[int, tuple[str, Any]]] = {
    0x02: ("LinkCheckReq", EMPTY),
    0x03: (
        "LinkADRAns",
        c.BitStruct(c.Padding(5), "power_ack" / c.Flag, "data_rate_ack" / c.Flag, "channel_mask_ack" / c.Flag),
    ),
    0x04: ("DutyCycleAns", EMPTY),
    0x05: (
        "RXParamSetupAns",
        c.BitStruct(c.Padding(5), "rx1_dr_offset_ack" / c.Flag, "rx2_data_rate_ack" / c.Flag, "channel_ack" / c.Flag),
    ),
    0x06: ("DevStatusAns", c.Struct("battery" / c.Int8ub, "radio" / c.BitStruct(c.Padding(2), "snr_db" / _SNR))),
    0x07: ("NewChannelAns", c.BitStruct(c.Padding(6), "data_rate_range_ok" / c.Flag, "channel_frequency_ok" / c.Flag)),
    0x08: ("RXTimingSetupAns", EMPTY),
    0x09: ("TXParamSetupAns", EMPTY),
    0x0A: (
        "DlChannelAns",
        c.BitStruct(c.Padding(6), "uplink_frequency_exists" / c.Flag, "channel_frequency_ok" / c.Flag),
    ),
    0x0D: ("DeviceTimeReq", EMPTY),
    0x10: ("PingSlotInfoReq", c.BitStruct(c.Padding(5), "periodicity" / c.BitsInteger(3))),
    0x11: ("PingSlotChannelAns", c.BitStruct(c.Padding(6), "data_rate_ok" / c.Flag, "channel_frequency_ok" / c.Flag)),
    0x12: ("BeaconTimingReq", EMPTY),
    0x13: ("BeaconFreqAns", c.BitStruct(c.Padding(7), "beacon_frequency_ok" / c.Flag)),
}

DOWNLINK: Final[dict[int, tuple[str, Any]]] = {
    0x02: ("LinkCheckAns", c.Struct("margin_db" / c.Int8ub, "gw_cnt" / c.Int8ub)),
    0x03: (
        "LinkADRReq",
        c.Struct(
            "data_rate_tx_power" / c.BitStruct("data_rate" / c.Nibble, "tx_power" / c.Nibble),
            "ch_mask" / c.Int16ul,
            "redundancy" / c.BitStruct(c.Padding(1), "ch_mask_cntl" / c.BitsInteger(3), "nb_trans" / c.Nibble),
        ),
    ),
    0x04: ("DutyCycleReq", c.BitStruct(c.Padding(4), "max_duty_cycle" / c.Nibble)),
    0x05: ("RXParamSetupReq", c.Struct("dl_settings" / DL_SETTINGS, "frequency_hz" / FREQUENCY)),
    0x06: ("DevStatusReq", EMPTY),
    0x07: (
        "NewChannelReq",
        c.Struct(
            "ch_index" / c.Int8ub,
            "frequency_hz" / FREQUENCY,
            "dr_range" / c.BitStruct("max_dr" / c.Nibble, "min_dr" / c.Nibble),
        ),
    ),
    0x08: ("RXTimingSetupReq", c.BitStruct(c.Padding(4), "delay_s" / c.Nibble)),
    0x09: (
        "TXParamSetupReq",
        c.BitStruct(c.Padding(2), "downlink_dwell_time" / c.Flag, "uplink_dwell_time" / c.Flag, "max_eirp" / c.Nibble),
    ),
    0x0A: ("DlChannelReq", c.Struct("ch_index" / c.Int8ub, "frequency_hz" / FREQUENCY)),
    0x0D: ("DeviceTimeAns", c.Struct("gps_s" / c.Int32ul, "fraction_256" / c.Int8ub)),
    0x10: ("PingSlotInfoAns", EMPTY),
    0x11: (
        "PingSlotChannelReq",
        c.Struct("frequency_hz" / FREQUENCY, "dr" / c.BitStruct(c.Padding(4), "data_rate" / c.Nibble)),
    ),
    0x12: ("BeaconTimingAns", c.Struct("delay_30ms" / c.Int16ul, "channel" / c.Int8ub)),
    0x13: ("BeaconFreqReq", c.Struct("frequency_hz" / FREQUENCY)),
}

_BY_NAME: Final = {name: (cid, layout) for table in (UPLINK, DOWNLINK) for cid, (name, layout) in table.items()}


def parse_mac_commands(data: bytes, uplink: bool) -> tuple[list[MacCommand], MacCommandError | None]:
    """Split FOpts or the decrypted payload of FPort 0; the error, if any, says where the rest was dropped.

    Args:
        data: The commands as on air, at most one frame's worth.
        uplink: Which table names them.
    """
    table = UPLINK if uplink else DOWNLINK
    stream, commands = BytesIO(data[:MAX_PHY_PAYLOAD_BYTES]), list[MacCommand]()
    while head := stream.read(1):
        cid, offset = head[0], stream.tell() - 1
        if cid not in table:
            return commands, MacCommandError("unknown MAC command", cid=cid, offset=offset)
        name, layout = table[cid]
        try:
            fields = layout.parse_stream(stream)
        except c.ConstructError:
            return commands, MacCommandError(f"{name} is cut short", cid=cid, offset=offset)
        commands.append(MacCommand(name, cid, dict(_flat(fields))))
    return commands, None


def encode_mac_command(name: str, **fields: int | bool) -> bytes:
    """Return one MAC command as on air.

    Args:
        name: As the specification spells it, such as ``LinkADRReq``; it tells the direction too.
        fields: Every field of the command by the name in the tables, none more.

    Raises:
        BuildError: The name, a field or a value does not exist.
    """
    if name not in _BY_NAME:
        raise BuildError("name", f"{name!r} is no MAC command of LoRaWAN 1.0.4")
    cid, layout = _BY_NAME[name]
    rest = dict(fields)
    tree = _tree(layout, rest, name)
    if rest:
        raise BuildError(next(iter(rest)), f"{name} has no such field")
    try:
        return bytes((cid, *layout.build(tree)))
    except c.ConstructError as error:
        raise BuildError(name, str(error).splitlines()[-1]) from None


def _flat(container: Any) -> list[tuple[str, int | bool]]:
    # Names are unique within a command, so the bytes that group them need no names for people
    pairs = list[tuple[str, int | bool]]()
    for key, value in container.items():
        if isinstance(value, dict):
            pairs += _flat(value)
        elif key != "_io":
            pairs.append((key, value))
    return pairs


def _tree(layout: Any, rest: dict[str, int | bool], command: str) -> dict[str, Any]:
    tree = dict[str, Any]()
    for part in _parts(layout):
        if part.name is None:
            continue
        if _parts(part.subcon):
            tree[part.name] = _tree(part.subcon, rest, command)
        elif part.name in rest:
            tree[part.name] = rest.pop(part.name)
        else:
            raise BuildError(part.name, f"{command} needs it")
    return tree


def _parts(layout: Any) -> list[Any]:
    # A Struct lists its parts; a BitStruct wraps one
    while not hasattr(layout, "subcons") and hasattr(layout, "subcon"):
        layout = layout.subcon
    return list(getattr(layout, "subcons", ()))
