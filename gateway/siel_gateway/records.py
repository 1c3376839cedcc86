"""The records that travel through the gateway: frozen, typed, defined once."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Crc = Literal["ok", "bad", "none"]
Clock = Literal["gnss", "ntp", "rtc", "none"]
Outcome = Literal["on_air", "queued", "refused", "too_late", "busy", "unknown"]


class RxFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame as a radio heard it, whatever it turns out to be."""

    radio: str
    """The radio's name in siel.toml."""
    gateway_eui: str
    """Identity of this radio to the north, 16 hex digits."""
    radio_session: int
    """The head's boot id, or a number chosen at each start of a forwarder's session."""
    sequence: int | None = None
    """The head's own number of the frame, per session from 1; None for forwarders, which have none."""
    chip: int = 0
    """Which LoRa chip of the head, or the concentrator's IF channel."""
    counter_us: int
    """The radio's 32-bit microsecond counter at the end of the frame."""
    gateway_us: int
    """The gateway's monotonic clock at the end of the frame."""
    received_ms: int
    """UTC at the end of the frame, milliseconds since 1970."""
    clock: Clock
    frequency_hz: int
    spreading_factor: int
    bandwidth_hz: int
    coding_rate: int = 5
    """5 to 8 for 4/5 to 4/8."""
    rssi_dbm: int
    snr_db: float
    crc: Crc
    phy_payload: bytes
    concentrator: bool = False
    """Heard by an SX130x behind a packet forwarder; False for a head."""

    @property
    def answering_chip(self) -> int | None:
        """The head's chip that answers this frame; None for a concentrator, whose channels only listen."""
        return None if self.concentrator else self.chip


class TxWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One opportunity to transmit: where, how and when."""

    counter_us: int | None
    """Start of the preamble on the radio's own 32-bit counter; None means now."""
    frequency_hz: int
    spreading_factor: int
    bandwidth_hz: int
    coding_rate: int = 5
    power_dbm: int = 14
    """EIRP."""
    name: str = ""
    """"RX1", "RX2" or empty: for people and logs."""


class TxRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants a frame on air: the windows in order of preference, at most one is used."""

    id: str
    origin: str
    """Who asked and hears the outcome: "edge", "upstream:<name>" or "operator"."""
    radio: str
    radio_session: int | None = None
    """The session whose counter the windows name: after a restart of the radio they mean nothing. None: any."""
    chip: int | None = None
    """Which chip of a head transmits: the one that heard what is answered. None: the radio chooses."""
    windows: tuple[TxWindow, ...]
    phy_payload: bytes
    invert_iq: bool = True
    crc: bool = False
    preamble: int = 8
    dev_eui: str | None = None


class TxOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What truly happened to a TxRequest."""

    id: str
    outcome: Outcome
    reason: str = ""
    """The cause when refused, one of TOO_LATE TOO_EARLY COLLISION BUSY TX_FREQ AIRTIME DUTY_CYCLE NO_RADIO OTHER."""
    window: TxWindow | None = None
    slack_us: int | None = None
    """Time left when the radio took the request; negative when it came too late."""


class Uplink(msgspec.Struct, frozen=True, kw_only=True):
    """A data frame whose MIC a session of ours has proven, decrypted."""

    frame: RxFrame
    dev_eui: str
    dev_addr: int
    f_cnt: int
    """The full 32 bits."""
    f_port: int | None
    payload: bytes
    confirmed: bool


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One decoded sample, as DESIGN's MQTT contract publishes it."""

    id: str
    time: str
    received: str
    clock: Clock
    late_s: float
    dev_eui: str
    device: str
    codec: str
    f_port: int
    f_cnt: int
    data: dict[str, Any]
    units: dict[str, str]
    warnings: list[str]
    radio: dict[str, Any]
    position: dict[str, float] | msgspec.UnsetType = msgspec.UNSET
