"""LoRaWAN 1.0.4 frames as construct tables: the readable definition.

The hot path (``frames.py``) is written by hand and held equal to these tables by property tests.

Source: LoRa Alliance TS001-1.0.4, sections 4 (data frames) and 6.2 (join procedure); frequencies count 100 Hz.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import construct as c
from construct import this

from siel_codecs.errors import BuildError

MAX_PHY_PAYLOAD_BYTES: Final = 255
"""What a LoRa packet's length byte can count. Source: SX1261/2 datasheet 6.1.2."""
MIC_BYTES: Final = 4
MIN_DATA_FRAME_BYTES: Final = 1 + 7 + MIC_BYTES
"""MHDR, the shortest FHDR, MIC."""
MAX_F_OPTS_BYTES: Final = 15
MAX_FRM_PAYLOAD_BYTES: Final = 242
"""N of the fastest EU868 data rates. Source: RP002-1.0.4, table "EU863-870 maximum payload size"."""
JOIN_REQUEST_BYTES: Final = 23
JOIN_ACCEPT_BYTES: Final = (17, 33)
"""Without and with CFList."""
FREQUENCY_STEP_HZ: Final = 100
MAX_FREQUENCY_HZ: Final = 0xFFFFFF * FREQUENCY_STEP_HZ
MAC_PORT: Final = 0
MAX_F_PORT: Final = 255
"""224 to 255 are reserved for the tests and extensions of the specification, not refused."""


class MType(IntEnum):
    """Frame type, the first three bits of every frame. Source: TS001-1.0.4, table "MAC frame types"."""

    JOIN_REQUEST = 0
    JOIN_ACCEPT = 1
    UNCONFIRMED_DATA_UP = 2
    UNCONFIRMED_DATA_DOWN = 3
    CONFIRMED_DATA_UP = 4
    CONFIRMED_DATA_DOWN = 5
    RFU = 6
    PROPRIETARY = 7

    @property
    def label(self) -> str:
        """The name in JSON and for people, such as ``unconfirmed_data_up``."""
        return self.name.lower()


def _to_steps(hz: int, _context: object) -> int:
    if hz % FREQUENCY_STEP_HZ:
        raise BuildError("frequency_hz", f"{hz} is not a multiple of {FREQUENCY_STEP_HZ} Hz")
    return hz // FREQUENCY_STEP_HZ


FREQUENCY: Final[Any] = c.ExprAdapter(c.Int24ul, lambda steps, _context: steps * FREQUENCY_STEP_HZ, _to_steps)
"""A channel frequency in hertz."""

EUI: Final[Any] = c.ExprAdapter(
    c.Bytes(8), lambda wire, _context: wire[::-1].hex(), lambda text, _context: bytes.fromhex(text)[::-1]
)
"""An EUI-64: little-endian on air, 16 hex digits in big-endian order for us."""

MHDR: Final = c.BitStruct("mtype" / c.BitsInteger(3), c.Padding(3), "major" / c.BitsInteger(2))

F_CTRL_UP: Final = c.BitStruct(
    "adr" / c.Flag, "adr_ack_req" / c.Flag, "ack" / c.Flag, "class_b" / c.Flag, "f_opts_len" / c.Nibble
)
F_CTRL_DOWN: Final = c.BitStruct(
    "adr" / c.Flag, c.Padding(1), "ack" / c.Flag, "f_pending" / c.Flag, "f_opts_len" / c.Nibble
)


def _mac_payload(f_ctrl: Any) -> Any:
    return c.Struct(
        "dev_addr" / c.Int32ul,
        "f_ctrl" / f_ctrl,
        "f_cnt" / c.Int16ul,
        "f_opts" / c.Bytes(this.f_ctrl.f_opts_len),
        "f_port" / c.Optional(c.Int8ub),
        "frm_payload" / c.GreedyBytes,
    )


MAC_PAYLOAD_UP: Final = _mac_payload(F_CTRL_UP)
MAC_PAYLOAD_DOWN: Final = _mac_payload(F_CTRL_DOWN)

JOIN_REQUEST: Final = c.Struct("join_eui" / EUI, "dev_eui" / EUI, "dev_nonce" / c.Int16ul)

_BODY: Final[Any] = c.Switch(
    this.mhdr.mtype,
    {
        MType.JOIN_REQUEST.value: JOIN_REQUEST,
        MType.UNCONFIRMED_DATA_UP.value: MAC_PAYLOAD_UP,
        MType.UNCONFIRMED_DATA_DOWN.value: MAC_PAYLOAD_DOWN,
        MType.CONFIRMED_DATA_UP.value: MAC_PAYLOAD_UP,
        MType.CONFIRMED_DATA_DOWN.value: MAC_PAYLOAD_DOWN,
    },
    default=c.GreedyBytes,
)


def _before_mic(context: Any) -> int:
    stream = context._io  # noqa: SLF001 - construct's name for the stream in its expressions
    return int(c.stream_size(stream)) - int(c.stream_tell(stream, "")) - MIC_BYTES


def _parsing(context: Any) -> bool:
    return bool(context["_parsing"])


PHY_PAYLOAD: Final = c.Struct(
    "mhdr" / MHDR,
    # While building, the body's own length is the limit; construct would pad it otherwise
    "body" / c.IfThenElse(_parsing, c.FixedSized(_before_mic, _BODY), _BODY),
    "mic" / c.Bytes(MIC_BYTES),
)
"""Any frame but a join-accept, whose body and MIC are encrypted together."""

CF_LIST_BYTES: Final = 16
CF_LIST_FREQUENCIES: Final = 5
CF_LIST_TYPES: Final[dict[int, Any]] = {
    0: c.Struct("frequencies_hz" / FREQUENCY[CF_LIST_FREQUENCIES], c.Const(b"\x00")),
    1: c.Struct("channel_masks" / c.Int16ul[7], c.Padding(1), c.Const(b"\x01")),
}
"""CFListType, the last byte -> layout. Source: TS001-1.0.4, 6.2.6; RP002-1.0.4, 2.4.4 (EU868 takes type 0)."""

DL_SETTINGS: Final = c.BitStruct(c.Padding(1), "rx1_dr_offset" / c.BitsInteger(3), "rx2_data_rate" / c.Nibble)

JOIN_ACCEPT: Final = c.Struct(
    "join_nonce" / c.Int24ul,
    "net_id" / c.Int24ul,
    "dev_addr" / c.Int32ul,
    "dl_settings" / DL_SETTINGS,
    "rx_delay" / c.BitStruct(c.Padding(4), "del" / c.Nibble),
    "cf_list" / c.Optional(c.Bytes(CF_LIST_BYTES)),
)
"""The decrypted body, MHDR before it and MIC after it left out."""
