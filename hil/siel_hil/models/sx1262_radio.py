"""The SX1262's radio: modes, clock, transmission, reception and interrupts, as the medium and DIO1 see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from siel_hil.medium import Medium
from siel_hil.medium_air import Reception, Station, Transmission
from siel_hil.medium_physics import noise_dbm, total_dbm
from siel_hil.models import sx1262_checks as checks
from siel_hil.models import sx1262_tables as tab
from siel_hil.models.lora_radio import LoraRadio, nobody, snr_x4
from siel_hil.models.sx1262_tables import FS, LORA, RX, STBY_RC, STBY_XOSC, TX
from siel_hil.world import World

BUFFER_BYTES: Final = 256


class Sx1262Radio(LoraRadio):
    """What one chip does between commands (the medium's ``Receiver``); ``SX1262`` adds the command set.

    Args:
        world: Where it lives.
        medium: Where it sends and hears.
        station: The board it is soldered to.
        name: For logs; the station's name if not given.
        tcxo_start_us: How long the board's TCXO needs after power from DIO3; None for a board with a crystal.
        needs_dio2: Whether DIO2 drives the board's antenna switch.
    """

    settings: checks.Settings

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
        super().__init__(world, medium, station, "sx1262", name)
        self.tcxo_start_us = tcxo_start_us
        self.needs_dio2 = needs_dio2
        self.on_dio1: Callable[[], None] = nobody
        self.busy_until_us = 0
        self.dio1_level = 0
        self._timer_runs = False
        self._rx_pointer = 0
        self._power_up()
        medium.attach(self)

    def _power_up(self) -> None:
        """Bring everything to the state after power-on or a cold start."""
        self.settings = checks.Settings(registers=dict(tab.RESET_REGISTERS), image_band_mhz=tab.RESET_IMAGE_BAND_MHZ)
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

    # --- modes ------------------------------------------------------------------------------------------------

    def _refuse(self, why: str) -> None:
        self._command_status = tab.STATUS_FAILED
        self.violate("protocol", "mode", why)

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
        payload = bytes((self._buffer + self._buffer)[base : base + length])
        self._transmit(payload, self._sync_word(), checks.output_dbm(settings))
        if steps:
            self.world.at(self.world.now_us + steps * tab.TIMER_STEP_NS // 1000, self._tx_timeout, epoch)

    def _tx_over(self) -> None:
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
        self._rx_pointer = self.settings.rx_base
        self._timer_runs = 0 < steps < tab.CONTINUOUS
        if self._timer_runs:
            self.world.at(self.world.now_us + steps * tab.TIMER_STEP_NS // 1000, self._rx_timer, epoch)
        self._listen(self._sync_word(), continuous=steps == tab.CONTINUOUS)

    def _rx_timer(self, epoch: int) -> None:
        # by default only a header stops the timer, not a preamble (13.4.9, StopTimerOnPreamble)
        if epoch == self._epoch and self._timer_runs:
            self._rx_timeout()

    def _rx_timeout(self) -> None:
        self._leave(self.world.now_us)
        self._mode = STBY_RC
        self._raise_irq(tab.IRQ_TIMEOUT)

    def _preamble_found(self) -> None:
        if self.settings.stop_timer_on_preamble:
            self._timer_runs = False
        self._raise_irq(tab.IRQ_PREAMBLE)

    def _header_found(self, tx: Transmission) -> None:
        self._timer_runs = False
        self.settings.registers[tab.REG_HEADER_CR] = (tx.coding_rate - 4) << 4
        self.settings.registers[tab.REG_HEADER_CRC] = 0x10 if tx.crc else 0
        self._raise_irq(tab.IRQ_HEADER_VALID)

    def _header_lost(self) -> None:
        self._raise_irq(tab.IRQ_HEADER_ERR)

    def _store(self, reception: Reception, payload: bytes) -> None:
        start = self._rx_pointer
        for offset, byte in enumerate(payload, start):
            self._buffer[offset & 0xFF] = byte
        self._rx_status = (len(payload), start)
        # in continuous mode frames are stored one after the other
        self._rx_pointer = (start + len(payload)) & 0xFF
        in_channel_dbm = total_dbm(reception.rssi_dbm, noise_dbm(reception.tx.bandwidth_hz))
        self._packet_status = (half_db(in_channel_dbm), snr_x4(reception.snr_db), half_db(reception.rssi_dbm))
        self._command_status = tab.STATUS_DATA

    def _rx_over(self, crc_error: bool) -> None:
        # a damaged frame with CRC raises both (13.3.1)
        if not self._continuous:
            self._mode = self.settings.fallback_mode
        self._raise_irq(tab.IRQ_RX_DONE | (tab.IRQ_CRC_ERR if crc_error else 0))

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


def half_db(dbm: float) -> int:
    """Return a power as the chip codes it: -2 * dBm in a byte."""
    return min(max(round(-2 * dbm), 0), 255)
