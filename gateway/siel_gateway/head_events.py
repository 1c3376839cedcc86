"""What passes between a head's link and the shell that owns its port: one frozen record per event."""

from __future__ import annotations

import msgspec

from siel_gateway.records import Crc, Outcome


class ChipChannel(msgspec.Struct, frozen=True, kw_only=True):
    """What one chip of a head shall listen to."""

    frequency_hz: int
    spreading_factor: int
    bandwidth_hz: int
    antenna_gain_db: int = 0


class HeadReady(msgspec.Struct, frozen=True, kw_only=True):
    """A session is open."""

    boot_id: int
    new_session: bool
    """False when the same boot of the head was known before."""
    reset_cause: str
    chips: int
    store_size: int
    stamp_error_us: int


class WrongVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The head speaks another version of the link; it is asked again until it does not."""

    version: int


class ChipConfigured(msgspec.Struct, frozen=True, kw_only=True):
    """A chip listens to its channel, or (``ok`` false) the head refused that; a refusal is asked again."""

    chip: int
    ok: bool


class FrameHeard(msgspec.Struct, frozen=True, kw_only=True):
    """A frame from the air; per ``boot_id`` each ``sequence`` comes once and in order."""

    boot_id: int
    sequence: int
    chip: int
    counter_us: int
    gateway_us: int
    frequency_hz: int
    spreading_factor: int
    bandwidth_hz: int
    coding_rate: int
    rssi_dbm: int
    snr_db: float
    crc: Crc
    phy_payload: bytes


def frame_heard(fields: dict[str, int], payload: bytes, gateway_us: int) -> FrameHeard:
    """Return what an ``rx`` message of the link tells.

    Args:
        fields: Of the message.
        payload: PHYPayload.
        gateway_us: The end of the frame on the monotonic clock.
    """
    crc: Crc = "ok" if fields["crc"] == 1 else "none" if fields["crc"] == 0 else "bad"
    return FrameHeard(
        boot_id=fields["boot_id"],
        sequence=fields["sequence"],
        chip=fields["chip"],
        counter_us=fields["counter_us"],
        gateway_us=gateway_us,
        frequency_hz=fields["frequency_hz"],
        spreading_factor=fields["spreading_factor"],
        bandwidth_hz=fields["bandwidth_hz"],
        coding_rate=fields["coding_rate"],
        rssi_dbm=fields["rssi_dbm"],
        snr_db=fields["snr_x4"] / 4,
        crc=crc,
        phy_payload=payload,
    )


class TxScheduled(msgspec.Struct, frozen=True, kw_only=True):
    """The head has taken a request, ``slack_us`` before it must start."""

    tag: int
    slack_us: int


class TxResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request; the last word on it."""

    tag: int
    outcome: Outcome
    reason: str
    slack_us: int | None
    counter_us: int | None
    """The start of the preamble as measured, only when on air."""


class HeadStats(msgspec.Struct, frozen=True, kw_only=True):
    """A head's counts since its boot."""

    stored: int
    heard: int
    overflow: int
    crc_errors: int
    tx_on_air: int
    tx_failed: int
    radio_errors: int
    junk: int
    deaf: tuple[int, ...]
    """The chips that do not listen now."""


class JunkSkipped(msgspec.Struct, frozen=True, kw_only=True):
    """So many frames on the line were not to be understood."""

    frames: int


class LinkLost(msgspec.Struct, frozen=True, kw_only=True):
    """The session is interrupted: the head is silent, or the port is gone."""

    reason: str


Event = (
    HeadReady | WrongVersion | ChipConfigured | FrameHeard | TxScheduled | TxResult | HeadStats | JunkSkipped | LinkLost
)
