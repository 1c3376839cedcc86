"""What travels through the medium, and what stands at both ends of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from siel_hil.medium_physics import Position, airtime_us, symbols_x4_us

Role = Literal["node", "gateway"]
Cause = str
"""Why a frame was not received; one of ``CAUSES``, or empty."""

NOT_LISTENING: Final = "not_listening"
WRONG_IQ: Final = "wrong_iq"
WRONG_SYNC_WORD: Final = "wrong_sync_word"
RADIO_IDLE: Final = "radio_idle"
BELOW_FLOOR: Final = "below_floor"
GATEWAY_BUSY: Final = "gateway_busy"
GATEWAY_TRANSMITTING: Final = "gateway_transmitting"
COLLISION: Final = "collision"
CRC_ERROR: Final = "crc_error"
NODE_NOT_LISTENING: Final = "node_not_listening"
NODE_BUSY: Final = "node_busy"
RECEIVED: Final = "received"

CAUSES: Final = (
    NOT_LISTENING,  # no receiver is set to this frequency, spreading factor and bandwidth
    WRONG_IQ,  # one is, but for the other polarity
    WRONG_SYNC_WORD,  # one is, but for another sync word
    RADIO_IDLE,  # one is set so, but was in standby, asleep or not back in reception in time
    BELOW_FLOOR,  # the signal there is below the SNR floor
    GATEWAY_TRANSMITTING,  # it was sending itself at some time of the frame
    GATEWAY_BUSY,  # it was locked on another frame, or had no free demodulator
    COLLISION,  # other frames on the same channel and spreading factor destroyed it
    CRC_ERROR,  # it arrived undisturbed and was decoded wrongly: sent with other settings, or cut short
)
"""From far away to nearly received: of several gateway radios, the nearest to success names the cause."""

SEARCHING: Final = "searching"
LOCKED: Final = "locked"
ABORTED: Final = "aborted"
BUSY: Final = "busy"


@dataclass(eq=False)
class Station:
    """A place with an antenna: a node, a radio head or a concentrator.

    Attributes:
        antenna_gain_db: Over an isotropic radiator, sending and receiving.
    """

    name: str
    role: Role
    position: Position = (0.0, 0.0)
    antenna_gain_db: float = 0.0


@dataclass(slots=True, eq=False)
class Transmission:
    """One frame on air, with its parameters as they really are; the medium fills in the times.

    Attributes:
        power_dbm: At the antenna connector.
        t1_us: When the last symbol has left the antenna.
        end_us: When a receiver that follows it has counted its symbols; later than ``t1_us`` if it was cut short.
        overlaps: The frames that may disturb it and that it may disturb.
    """

    station: Station
    frequency_hz: int
    spreading_factor: int
    bandwidth_hz: int
    payload: bytes
    coding_rate: int = 5
    preamble: int = 8
    sync_word: int = 0x3444
    invert_iq: bool = False
    crc: bool = True
    implicit: bool = False
    ldro: bool = False
    power_dbm: float = 14.0
    number: int = 0
    t0_us: int = 0
    t1_us: int = 0
    end_us: int = 0
    overlaps: list[Transmission] = field(default_factory=list)
    receptions: dict[Receiver, Reception] = field(default_factory=dict)

    def airtime_us(self) -> int:
        """Return how long it is on air when it is not cut short."""
        return airtime_us(
            self.spreading_factor,
            self.bandwidth_hz,
            len(self.payload),
            crc=self.crc,
            coding_rate=self.coding_rate,
            preamble=self.preamble,
            implicit=self.implicit,
            ldro=self.ldro,
        )

    def after_symbols_us(self, quarters: int) -> int:
        """Return the time ``quarters`` quarter symbols after its start."""
        return self.t0_us + symbols_x4_us(quarters, self.spreading_factor, self.bandwidth_hz)


@dataclass(slots=True, eq=False)
class Reception:
    """One transmission at one receiver.

    Attributes:
        rssi_dbm: Power of the signal alone.
        state: ``searching``, ``locked``, ``aborted``, ``busy``, ``received`` or a cause.
    """

    tx: Transmission
    receiver: Receiver
    rssi_dbm: float
    snr_db: float
    state: str = SEARCHING


class Receiver(Protocol):
    """What the medium needs of a radio that may hear.

    Attributes:
        receiving_since_us: Since when it has been in reception; None while it is not.
        searching_since_us: Since when it has had nothing else to follow: later than that after each frame.
        transmitted_us: Start and end of its own last transmission; the end lies ahead while it sends.
    """

    station: Station
    name: str
    receiving_since_us: int | None
    searching_since_us: int
    transmitted_us: tuple[int, int]

    def mismatch(self, tx: Transmission) -> Cause:
        """Say why ``tx`` cannot be heard with the present (or last) reception settings; empty when it can."""
        ...

    def preamble(self, reception: Reception) -> bool:
        """A preamble was detected: lock on it and return True, or stay with what it follows and return False.

        A frame that it gives up for this one gets the state ``collision``.
        """
        ...

    def header(self, reception: Reception, intact: bool) -> bool:
        """The header of the locked frame is over; return False to give the frame up."""
        ...

    def finish(self, reception: Reception, intact: bool) -> bool:
        """The locked frame is over; return whether its payload arrived as sent."""
        ...
