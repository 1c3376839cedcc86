"""What every LoRa chip model has: how it sends and hears in the medium, and the list of what its driver did wrong.

A chip's own module adds its modes, its interrupts and what its SPI bus reaches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from siel_hil.medium import Medium
from siel_hil.medium_air import (
    ABORTED,
    COLLISION,
    NOT_LISTENING,
    WRONG_IQ,
    WRONG_SYNC_WORD,
    Cause,
    Reception,
    Station,
    Transmission,
)
from siel_hil.medium_physics import FREQUENCY_TOLERANCE, symbols_x4_us
from siel_hil.medium_report import DIPOLE_DB
from siel_hil.world import World
from siel_node.region_eu868 import SUB_BANDS, sub_band

MAX_VIOLATIONS: Final = 1000
"""Longest list kept; ``violation_counts`` goes on."""
SNR_CEILING_DB: Final = 12.0
"""A strong signal's reported SNR saturates about here; from logs of real chips, the datasheets are silent."""
_ROUNDING_DB: Final = 0.01

Finding = tuple[str, str, str]
"""Kind, rule and detail of a violation."""


class Violation(NamedTuple):
    """A rule that the driver broke.

    Attributes:
        kind: ``errata``, ``protocol`` (the chip's interface), ``calibration`` or ``law``.
        rule: Which one, one word or the datasheet's section.
    """

    t_us: int
    kind: str
    rule: str
    detail: str


@dataclass(slots=True)
class LoraSettings:
    """The modulation and packet a chip is set to."""

    frequency_hz: int = 0
    spreading_factor: int = 7
    bandwidth_hz: int = 125_000
    coding_rate: int = 5
    ldro: bool = False
    preamble: int = 12
    implicit: bool = False
    payload_length: int = 0
    crc: bool = False
    invert_iq: bool = False
    symbol_timeout: int = 0


class LoraRadio(ABC):
    """One radio in the air (the medium's ``Receiver``); a chip's class says what its modes and interrupts do.

    Args:
        world: Where it lives.
        medium: Where it sends and hears.
        station: The board it is soldered to.
        model: Name of the chip's model, lower case.
        name: For logs; the station's name if not given.
    """

    settings: LoraSettings

    def __init__(self, world: World, medium: Medium, station: Station, model: str, name: str = "") -> None:
        self.world = world
        self.medium = medium
        self.station = station
        self.name = name or station.name
        self.violations: list[Violation] = []
        self.violation_counts: Counter[str] = Counter()
        self.stats: Counter[str] = Counter()
        self.receiving_since_us: int | None = None
        self.searching_since_us = 0
        self.transmitted_us = (-1, -1)
        self._rng = world.rng(f"{model}/{self.name}")
        self._epoch = 0
        self._tx: Transmission | None = None
        self._locked: Reception | None = None
        self._listening: tuple[int, int, int, bool, int] | None = None
        self._continuous = False

    # --- what the chip does at each event -----------------------------------------------------------------------

    @abstractmethod
    def _tx_over(self) -> None:
        """The frame has left the antenna."""

    @abstractmethod
    def _rx_timeout(self) -> None:
        """No preamble came within the symbols that were asked for."""

    def _preamble_found(self) -> None:  # noqa: B027 - a chip without an interrupt for it does nothing
        """It follows a frame."""

    @abstractmethod
    def _header_found(self, tx: Transmission) -> None:
        """The frame's header was readable."""

    def _header_lost(self) -> None:  # noqa: B027 - a chip without an interrupt for it does nothing
        """The header was not readable."""

    @abstractmethod
    def _store(self, reception: Reception, payload: bytes) -> None:
        """Keep a frame and what it was heard at."""

    @abstractmethod
    def _rx_over(self, crc_error: bool) -> None:
        """A frame is stored; the reception has ended unless it is continuous."""

    # --- violations -----------------------------------------------------------------------------------------------

    @property
    def errata_violations(self) -> int:
        """How often the driver used the radio against the datasheet's errata."""
        return self.violation_counts["errata"]

    def violate(self, kind: str, rule: str, detail: str) -> None:
        """Note that the driver broke a rule."""
        self.violation_counts[kind] += 1
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(Violation(self.world.now_us, kind, rule, detail))
        self.world.log(self.name, "violation", rule=f"{kind} {rule}", detail=detail)

    def _check(self, findings: Iterable[Finding]) -> None:
        for kind, rule, detail in findings:
            self.violate(kind, rule, detail)

    # --- on air ---------------------------------------------------------------------------------------------------

    def _leave(self, t_us: int) -> None:
        """End what is under way: a reception is abandoned, a transmission cut."""
        self._epoch += 1
        if self._locked is not None:
            self._locked.state = ABORTED
            self._locked = None
        self.receiving_since_us = None
        if self._tx is not None:
            self.medium.cut(self._tx)
            self.transmitted_us = (self._tx.t0_us, t_us)
            self._tx = None

    def _transmit(self, payload: bytes, sync_word: int, power_dbm: float) -> None:
        """Put a frame on air now, with the present settings."""
        settings = self.settings
        tx = self._tx = Transmission(
            station=self.station,
            frequency_hz=settings.frequency_hz,
            spreading_factor=settings.spreading_factor,
            bandwidth_hz=settings.bandwidth_hz,
            payload=payload,
            coding_rate=settings.coding_rate,
            preamble=settings.preamble,
            sync_word=sync_word,
            invert_iq=settings.invert_iq,
            crc=settings.crc,
            implicit=settings.implicit,
            ldro=settings.ldro,
            power_dbm=power_dbm,
        )
        self.medium.transmit(tx)
        self.transmitted_us = (tx.t0_us, tx.t1_us)
        self.stats["tx"] += 1
        self.world.at(tx.t1_us, self._tx_done, self._epoch)

    def _tx_done(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._tx = None
            self._epoch += 1
            self._tx_over()

    def _listen(self, sync_word: int, *, continuous: bool) -> None:
        """Search from now on, with the present settings; single reception ends at the symbol timeout."""
        settings, now_us = self.settings, self.world.now_us
        self.receiving_since_us = self.searching_since_us = now_us
        self._listening = (
            settings.frequency_hz,
            settings.spreading_factor,
            settings.bandwidth_hz,
            settings.invert_iq,
            sync_word,
        )
        self._continuous = continuous
        if settings.symbol_timeout and not continuous:
            symbols_us = symbols_x4_us(4 * settings.symbol_timeout, settings.spreading_factor, settings.bandwidth_hz)
            self.world.at(now_us + symbols_us, self._symbol_timeout, self._epoch)

    def _symbol_timeout(self, epoch: int) -> None:
        # a preamble found in time ends the count, whatever became of it
        if epoch == self._epoch and self._locked is None and self.searching_since_us == self.receiving_since_us:
            self._rx_timeout()

    # --- what the medium asks -------------------------------------------------------------------------------------

    def mismatch(self, tx: Transmission) -> Cause:
        """Say why ``tx`` cannot be heard with the present or last reception settings; empty when it can."""
        if self._listening is None:
            return NOT_LISTENING
        frequency_hz, spreading_factor, bandwidth_hz, invert_iq, sync_word = self._listening
        if (
            tx.spreading_factor != spreading_factor
            or tx.bandwidth_hz != bandwidth_hz
            or abs(tx.frequency_hz - frequency_hz) > FREQUENCY_TOLERANCE * bandwidth_hz
        ):
            return NOT_LISTENING
        if tx.invert_iq != invert_iq:
            return WRONG_IQ
        return "" if tx.sync_word == sync_word else WRONG_SYNC_WORD

    def preamble(self, reception: Reception) -> bool:
        """Lock on a preamble, unless a frame is followed whose own preamble is over."""
        followed = self._locked
        if followed is not None:
            if self.world.now_us >= followed.tx.after_symbols_us(4 * followed.tx.preamble):
                return False
            followed.state = COLLISION
        self._locked = reception
        self._preamble_found()
        return True

    def header(self, reception: Reception, intact: bool) -> bool:
        """Follow the frame when its header is readable; else go on searching, in single mode too.

        The datasheets do not say whether single mode ends with a broken header; staying on is the harder case.
        """
        if intact and self._accepts(reception.tx):
            self._header_found(reception.tx)
            return True
        self._locked = None
        self.searching_since_us = self.world.now_us
        self.stats["header_errors"] += 1
        self._header_lost()
        return False

    def _accepts(self, tx: Transmission) -> bool:
        """Say whether the header suits the settings."""
        return tx.implicit == self.settings.implicit

    def finish(self, reception: Reception, intact: bool) -> bool:
        """Store the frame, damaged or not, and tell of it."""
        tx = reception.tx
        good = intact and tx.ldro == self.settings.ldro
        self._store(reception, tx.payload if good else self._garble(tx.payload))
        self._locked = None
        crc_error = tx.crc and not good
        self.stats["rx"] += 1
        self.stats["crc_errors"] += crc_error
        if self._continuous:
            self.searching_since_us = self.world.now_us
        else:
            self._leave(self.world.now_us)
        self._rx_over(crc_error)
        return good

    def _garble(self, payload: bytes) -> bytes:
        garbled = bytearray(payload)
        for i in range(0, len(garbled), 3):
            garbled[i] ^= self._rng.randrange(1, 256)
        return bytes(garbled)


def snr_x4(snr_db: float) -> int:
    """Return an SNR as the chips code it: quarters of a dB, a signed byte."""
    return round(4 * min(snr_db, SNR_CEILING_DB)) & 0xFF


def unlawful(frequency_hz: int, eirp_dbm: float) -> Iterator[Finding]:
    """Yield what the law has against a transmission.

    Source: ETSI EN 300 220-2 V3.2.1 table B.1.
    """
    band = sub_band(frequency_hz)
    if band < 0:
        yield "law", "frequency", f"{frequency_hz} Hz is in no sub-band"
    elif eirp_dbm > SUB_BANDS[band][3] + DIPOLE_DB + _ROUNDING_DB:
        yield "law", "power", f"{eirp_dbm:.2f} dBm EIRP at {frequency_hz} Hz"


def nobody() -> None:
    """An interrupt line while nothing is connected."""
