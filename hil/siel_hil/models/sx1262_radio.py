"""The SX1262's radio: modes, clock, transmission, reception and interrupts, as the medium and DIO1 see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

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
from siel_hil.medium_physics import FREQUENCY_TOLERANCE, noise_dbm, symbols_x4_us, total_dbm
from siel_hil.models import sx1262_checks as checks
from siel_hil.models import sx1262_tables as tab
from siel_hil.models.sx1262_tables import FS, LORA, RX, STBY_RC, STBY_XOSC, TX, Violation
from siel_hil.world import World

MAX_VIOLATIONS: Final = 1000
"""Longest list kept; ``violation_counts`` goes on."""
SNR_CEILING_DB: Final = 12.0
"""A strong signal's reported SNR saturates about here; from logs of real chips, the datasheet is silent."""
BUFFER_BYTES: Final = 256


class Sx1262Radio:
    """What one chip does between commands (the medium's ``Receiver``); ``SX1262`` adds the command set.

    Args:
        world: Where it lives.
        medium: Where it sends and hears.
        station: The board it is soldered to.
        name: For logs; the station's name if not given.
        tcxo_start_us: How long the board's TCXO needs after power from DIO3; None for a board with a crystal.
        needs_dio2: Whether DIO2 drives the board's antenna switch.
    """

    def __init__(
        self,
        world: World,
        medium: Medium,
        station: Station,
        name: str = "",
        *,
        tcxo_start_us: int | None = None,
        needs_dio2: bool = True,
    ) -> None:
        self.world = world
        self.medium = medium
        self.station = station
        self.name = name or station.name
        self.tcxo_start_us = tcxo_start_us
        self.needs_dio2 = needs_dio2
        self.on_dio1: Callable[[], None] = _nobody
        self.busy_until_us = 0
        self.dio1_level = 0
        self.violations: list[Violation] = []
        self.violation_counts: Counter[str] = Counter()
        self.stats: Counter[str] = Counter()
        self.receiving_since_us: int | None = None
        self.searching_since_us = 0
        self.transmitted_us = (-1, -1)
        self._rng = world.rng(f"sx1262/{self.name}")
        self._epoch = 0
        self._tx: Transmission | None = None
        self._locked: Reception | None = None
        self._listening: tuple[int, int, int, bool, int] | None = None
        self._continuous = False
        self._timer_runs = False
        self._rx_pointer = 0
        self._power_up()
        medium.attach(self)

    def _power_up(self) -> None:
        """Bring everything to the state after power-on or a cold start."""
        self.settings = checks.Settings(dict(tab.RESET_REGISTERS), image_band_mhz=tab.RESET_IMAGE_BAND_MHZ)
        self._buffer = bytearray(BUFFER_BYTES)
        self._mode = STBY_RC
        self._command_status = tab.STATUS_QUIET
        self._irq = 0
        self.dio1_level = 0
        # the calibration at start needs the clock, which a TCXO without power does not give
        self._device_errors = 0 if self.tcxo_start_us is None else tab.XOSC_START_ERR
        self._rx_status = (0, 0)
        self._packet_status = (0, 0, 0)

    @property
    def mode(self) -> int:
        """The chip mode as GetStatus codes it, 0 asleep."""
        return self._mode

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

    # --- modes ------------------------------------------------------------------------------------------------

    def _refuse(self, why: str) -> None:
        self._command_status = tab.STATUS_FAILED
        self.violate("protocol", "mode", why)

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

    def _enter(self, t_us: int, mode: int) -> int | None:
        """Go to ``mode``; return when it is reached, None when the clock does not start."""
        busy_us = tab.SWITCH_US.get((self._mode, mode), tab.COMMAND_US)
        clock_runs = self._mode in tab.CRYSTAL_MODES
        self._leave(t_us)
        if mode in tab.CRYSTAL_MODES and not clock_runs:
            delay_us = self.settings.tcxo_delay_us
            busy_us += delay_us or 0
            if self.tcxo_start_us is not None and (delay_us is None or delay_us < self.tcxo_start_us):
                self._device_errors |= tab.XOSC_START_ERR
                self._command_status = tab.STATUS_FAILED
                self._mode = STBY_RC
                self.busy_until_us = t_us + busy_us
                return None
        self._mode = mode
        self.busy_until_us = t_us + busy_us
        return t_us + busy_us

    def _set_standby(self, t_us: int, s: bytearray) -> None:
        self._enter(t_us, STBY_XOSC if s[1] & 1 else STBY_RC)

    def _set_fs(self, t_us: int, s: bytearray) -> None:
        self._enter(t_us, FS)

    def _check(self, findings: Iterable[checks.Finding]) -> None:
        for kind, rule, detail in findings:
            self.violate(kind, rule, detail)

    # --- transmission -----------------------------------------------------------------------------------------

    def _set_tx(self, t_us: int, s: bytearray) -> None:
        settings = self.settings
        self._check(checks.before_tx(settings, self.station.antenna_gain_db, self.needs_dio2))
        if settings.packet_type != LORA:
            self._command_status = tab.STATUS_FAILED
            return
        begins_us = self._enter(t_us, TX)
        if begins_us is not None:
            self.world.at(begins_us, self._begin_tx, self._epoch, s[1] << 16 | s[2] << 8 | s[3])

    def _begin_tx(self, epoch: int, steps: int) -> None:
        if epoch != self._epoch:
            return
        settings = self.settings
        base, length = settings.tx_base, settings.payload_length
        tx = self._tx = Transmission(
            station=self.station,
            frequency_hz=settings.frequency_hz,
            spreading_factor=settings.spreading_factor,
            bandwidth_hz=settings.bandwidth_hz,
            payload=bytes((self._buffer + self._buffer)[base : base + length]),
            coding_rate=settings.coding_rate,
            preamble=settings.preamble,
            sync_word=self._sync_word(),
            invert_iq=settings.invert_iq,
            crc=settings.crc,
            implicit=settings.implicit,
            ldro=settings.ldro,
            power_dbm=checks.output_dbm(settings),
        )
        self.medium.transmit(tx)
        self.transmitted_us = (tx.t0_us, tx.t1_us)
        self.stats["tx"] += 1
        self.world.at(tx.t1_us, self._tx_done, epoch)
        if steps:
            self.world.at(self.world.now_us + steps * tab.TIMER_STEP_NS // 1000, self._tx_timeout, epoch)

    def _tx_done(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._tx = None
            self._epoch += 1
            self._mode = self.settings.fallback_mode
            self._command_status = tab.STATUS_TX_DONE
            self._raise_irq(tab.IRQ_TX_DONE)

    def _tx_timeout(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._leave(self.world.now_us)
            self._mode = STBY_RC
            self._raise_irq(tab.IRQ_TIMEOUT)

    # --- reception --------------------------------------------------------------------------------------------

    def _set_rx(self, t_us: int, s: bytearray) -> None:
        settings = self.settings
        self._check(checks.before_rx(settings))
        if settings.packet_type != LORA:
            self._command_status = tab.STATUS_FAILED
            return
        ready_us = self._enter(t_us, RX)
        if ready_us is not None:
            self.world.at(ready_us, self._begin_rx, self._epoch, s[1] << 16 | s[2] << 8 | s[3])

    def _begin_rx(self, epoch: int, steps: int) -> None:
        if epoch != self._epoch:
            return
        settings, now_us = self.settings, self.world.now_us
        self.receiving_since_us = self.searching_since_us = now_us
        self._listening = (
            settings.frequency_hz,
            settings.spreading_factor,
            settings.bandwidth_hz,
            settings.invert_iq,
            self._sync_word(),
        )
        self._continuous = steps == tab.CONTINUOUS
        self._rx_pointer = settings.rx_base
        self._timer_runs = 0 < steps < tab.CONTINUOUS
        if self._timer_runs:
            self.world.at(now_us + steps * tab.TIMER_STEP_NS // 1000, self._rx_timer, epoch)
        if settings.symbol_timeout and not self._continuous:
            symbols_us = symbols_x4_us(4 * settings.symbol_timeout, settings.spreading_factor, settings.bandwidth_hz)
            self.world.at(now_us + symbols_us, self._symbol_timeout, epoch)

    def _rx_timer(self, epoch: int) -> None:
        # by default only a header stops the timer, not a preamble (13.4.9, StopTimerOnPreamble)
        if epoch == self._epoch and self._timer_runs:
            self._rx_timeout()

    def _symbol_timeout(self, epoch: int) -> None:
        # a preamble found in time ends the count, whatever became of it
        if epoch == self._epoch and self._locked is None and self.searching_since_us == self.receiving_since_us:
            self._rx_timeout()

    def _rx_timeout(self) -> None:
        self._leave(self.world.now_us)
        self._mode = STBY_RC
        self._raise_irq(tab.IRQ_TIMEOUT)

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
        if self.settings.stop_timer_on_preamble:
            self._timer_runs = False
        self._raise_irq(tab.IRQ_PREAMBLE)
        return True

    def header(self, reception: Reception, intact: bool) -> bool:
        """Follow the frame when its header is readable; else go on searching, in single mode too.

        The datasheet does not say whether single mode ends with a broken header; staying on is the harder case.
        """
        tx = reception.tx
        if intact and tx.implicit == self.settings.implicit:
            self._timer_runs = False
            self.settings.registers[tab.REG_HEADER_CR] = (tx.coding_rate - 4) << 4
            self.settings.registers[tab.REG_HEADER_CRC] = 0x10 if tx.crc else 0
            self._raise_irq(tab.IRQ_HEADER_VALID)
            return True
        self._locked = None
        self.searching_since_us = self.world.now_us
        self.stats["header_errors"] += 1
        self._raise_irq(tab.IRQ_HEADER_ERR)
        return False

    def finish(self, reception: Reception, intact: bool) -> bool:
        """Store the frame and raise RxDone; a damaged one with CRC raises CrcErr too (13.3.1)."""
        tx = reception.tx
        good = intact and tx.ldro == self.settings.ldro
        payload = tx.payload if good else self._garble(tx.payload)
        start = self._rx_pointer
        for offset, byte in enumerate(payload, start):
            self._buffer[offset & 0xFF] = byte
        self._rx_status = (len(payload), start)
        # in continuous mode frames are stored one after the other
        self._rx_pointer = (start + len(payload)) & 0xFF
        in_channel_dbm = total_dbm(reception.rssi_dbm, noise_dbm(tx.bandwidth_hz))
        self._packet_status = (
            half_db(in_channel_dbm),
            round(4 * min(reception.snr_db, SNR_CEILING_DB)) & 0xFF,
            half_db(reception.rssi_dbm),
        )
        self._locked = None
        self._command_status = tab.STATUS_DATA
        crc_error = tx.crc and not good
        self.stats["rx"] += 1
        self.stats["crc_errors"] += crc_error
        if self._continuous:
            self.searching_since_us = self.world.now_us
        else:
            self._leave(self.world.now_us)
            self._mode = self.settings.fallback_mode
        self._raise_irq(tab.IRQ_RX_DONE | (tab.IRQ_CRC_ERR if crc_error else 0))
        return good

    def _garble(self, payload: bytes) -> bytes:
        garbled = bytearray(payload)
        for i in range(0, len(garbled), 3):
            garbled[i] ^= self._rng.randrange(1, 256)
        return bytes(garbled)

    # --- interrupts -------------------------------------------------------------------------------------------

    def _raise_irq(self, bits: int) -> None:
        self._irq |= bits & self.settings.irq_mask
        self._drive_dio1()

    def _drive_dio1(self) -> None:
        level = 1 if self._irq & self.settings.dio1_mask else 0
        rising = level > self.dio1_level
        self.dio1_level = level
        if rising:
            self.on_dio1()

    def _sync_word(self) -> int:
        registers = self.settings.registers
        return registers[tab.REG_SYNC_WORD] << 8 | registers[tab.REG_SYNC_WORD + 1]


def _nobody() -> None:
    """The DIO1 line while nothing is connected."""


def half_db(dbm: float) -> int:
    """Return a power as the chip codes it: -2 * dBm in a byte."""
    return min(max(round(-2 * dbm), 0), 255)
