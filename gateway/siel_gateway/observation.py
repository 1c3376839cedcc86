"""From a decrypted uplink to what goes out: Observations."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from siel_codecs.codec import Decoded, Sample
from siel_gateway.records import Observation, RxFrame, Uplink

ID_BYTES: Final = 16
MAX_SAMPLES: Final = 256
"""The sample's index is one byte of its identity."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(utc_ms: int) -> str:
    """Return milliseconds since 1970 as ``2026-01-01T00:00:00.000Z``."""
    return (_EPOCH + timedelta(milliseconds=utc_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def observation_id(dev_eui: str, phy_payload: bytes, sample: int) -> str:
    """Return the identity of a sample, the same at every gateway that hears the frame.

    Args:
        dev_eui: 16 hex digits.
        phy_payload: The frame as on air.
        sample: Index of the sample in the frame, 0 to 255.
    """
    return hashlib.sha256(bytes.fromhex(dev_eui) + phy_payload + bytes((sample,))).digest()[:ID_BYTES].hex()


def has_payload(uplink: Uplink) -> bool:
    """Say whether there is an application payload to decode."""
    return bool(uplink.f_port and uplink.payload)


def observe(
    uplink: Uplink, decoded: Decoded, *, device: str, codec: str, gateway_id: str, received_ms: int
) -> list[Observation]:
    """Return one Observation per sample; none where the codec tells errors, the frame itself stays in the journal.

    Args:
        uplink: Proven and decrypted.
        decoded: What the codec says of it.
        device: The device's name.
        codec: The codec's name.
        gateway_id: EUI of this gateway.
        received_ms: UTC as the frame went into the journal.
    """
    frame = uplink.frame
    radio = _radio(frame, gateway_id)
    observations = []
    for index, sample in enumerate(() if decoded.errors else decoded.samples[:MAX_SAMPLES]):
        time_ms = frame.received_ms if sample.time_ms is None else sample.time_ms
        data, warnings = _without_nulls(sample)
        observation = Observation(
            id=observation_id(uplink.dev_eui, frame.phy_payload, index),
            time=rfc3339(time_ms),
            received=rfc3339(received_ms),
            clock=frame.clock,
            late_s=max(0, received_ms - time_ms) / 1000,
            dev_eui=uplink.dev_eui,
            device=device,
            codec=codec,
            f_port=uplink.f_port or 0,
            f_cnt=uplink.f_cnt,
            data=data,
            units={name: unit for name, unit in decoded.units.items() if name in data},
            warnings=warnings,
            radio=radio,
        )
        observations.append(observation)
    return observations


def _without_nulls(sample: Sample) -> tuple[dict[str, Any], list[str]]:
    # JavaScript often says null; here a value that is not available is absent and has a warning
    missing = [name for name, value in sample.data.items() if value is None]
    if not missing:
        return sample.data, sample.warnings
    data = {name: value for name, value in sample.data.items() if value is not None}
    return data, [*sample.warnings, *(f"{name}: null" for name in missing)]


def _radio(frame: RxFrame, gateway_id: str) -> dict[str, Any]:
    return {
        "gateway": gateway_id,
        "radio": frame.radio,
        "rssi_dbm": frame.rssi_dbm,
        "snr_db": frame.snr_db,
        "frequency_hz": frame.frequency_hz,
        "spreading_factor": frame.spreading_factor,
        "bandwidth_hz": frame.bandwidth_hz,
    }
