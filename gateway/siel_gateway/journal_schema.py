"""How the journal looks on disk: tables, settings, and the compact form of the records in it; no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from siel_gateway.records import Observation, RxFrame

FORMAT_VERSION: Final = 1
"""In ``user_version``. A change that older versions cannot read raises it."""

PAGE_BYTES: Final = 1024
"""The write-ahead log repeats whole pages: small ones make a commit of a few frames cheap for an SD card."""

SETTINGS: Final = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA journal_mode = WAL",
    # Checkpoints sync; the journal makes them itself, where no acknowledgement waits.
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA journal_size_limit = 0",
    "PRAGMA cache_size = -2048",
    "PRAGMA temp_store = MEMORY",
)

SCHEMA: Final = (
    # aged_ms: UTC at the end of the frame, NULL when nobody vouched for the clock: such a frame has no known age.
    "CREATE TABLE frame (row INTEGER PRIMARY KEY, aged_ms INTEGER, body BLOB NOT NULL) STRICT",
    "CREATE TABLE stranger (row INTEGER PRIMARY KEY, aged_ms INTEGER, body BLOB NOT NULL) STRICT",
    "CREATE TABLE observation (row INTEGER PRIMARY KEY, frame_row INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
    "CREATE TABLE state (tbl TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (tbl, key)) STRICT, WITHOUT ROWID",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)

FRAME_FIELDS: Final = (
    "radio",
    "gateway_eui",
    "radio_session",
    "sequence",
    "chip",
    "counter_us",
    "gateway_us",
    "received_ms",
    "clock",
    "frequency_hz",
    "spreading_factor",
    "bandwidth_hz",
    "coding_rate",
    "rssi_dbm",
    "snr_db",
    "crc",
    "phy_payload",
    "concentrator",
)
"""The order on disk, whatever the order in the record. Only ever append."""

OBSERVATION_FIELDS: Final = (
    "id",
    "time",
    "received",
    "clock",
    "late_s",
    "dev_eui",
    "device",
    "codec",
    "f_port",
    "f_cnt",
    "data",
    "units",
    "warnings",
    "radio",
    "position",
)

RADIO_KEYS: Final = (
    "gateway",
    "radio",
    "rssi_dbm",
    "snr_db",
    "frequency_hz",
    "spreading_factor",
    "bandwidth_hz",
)
"""Of an observation's ``radio``; a dict with exactly these, in this order, is stored as its values. Never change it."""

_ID: Final = OBSERVATION_FIELDS.index("id")
_RADIO: Final = OBSERVATION_FIELDS.index("radio")
R = TypeVar("R", RxFrame, Observation)
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Any])


def encode_frame(frame: RxFrame) -> bytes:
    """Return ``frame`` in about 110 bytes."""
    return _ENCODER.encode([getattr(frame, field) for field in FRAME_FIELDS])


def decode_frame(body: bytes) -> RxFrame:
    """Return the frame of :func:`encode_frame`, also of an earlier version that knew fewer fields."""
    return _decode(RxFrame, FRAME_FIELDS, body)


def encode_observation(observation: Observation) -> bytes:
    """Return ``observation`` without names that are always the same; what is not set stays away, from the end."""
    values = [getattr(observation, field) for field in OBSERVATION_FIELDS]
    values[_ID] = bytes.fromhex(observation.id)
    if tuple(observation.radio) == RADIO_KEYS:
        values[_RADIO] = list(observation.radio.values())
    while values[-1] is msgspec.UNSET:
        values.pop()
    return _ENCODER.encode(values)


def decode_observation(body: bytes) -> Observation:
    """Return the observation of :func:`encode_observation`."""
    observation = _decode(Observation, OBSERVATION_FIELDS, body)
    radio: Any = observation.radio
    if isinstance(radio, list):
        radio = dict(zip(RADIO_KEYS, radio, strict=True))
    observation_id: Any = observation.id
    return msgspec.structs.replace(observation, id=observation_id.hex(), radio=radio)


def _decode(record: type[R], fields: Sequence[str], body: bytes) -> R:
    known: Mapping[str, Any] = dict(zip(fields, _DECODER.decode(body), strict=False))
    return record(**known)
