"""An SX1276 at the level of SPI register accesses, attached to the medium.

It answers as the chip does and keeps a list of what its driver did wrong. Written from the datasheet, apart from any
driver. Not modelled: (G)FSK and OOK, SF6, CAD, frequency hopping, frequency error, currents, temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from siel_hil.medium import Medium
from siel_hil.medium_air import Reception, Station, Transmission
from siel_hil.medium_physics import noise_dbm, total_dbm
from siel_hil.models import sx1276_checks as checks
from siel_hil.models import sx1276_tables as tab
from siel_hil.models.lora_radio import LoraRadio, LoraSettings, nobody, snr_x4
from siel_hil.models.sx1276_tables import CAD, FSRX, FSTX, RECEPTION, RX_CONTINUOUS, SLEEP, STDBY, TX
from siel_hil.world import World

_WRITE: Final = 0x80


class SX1276(LoraRadio):
    """One chip: its SPI bus, DIO0 and DIO1, and the radio behind them.

    Args:
        world: Where it lives.
        medium: Where it sends and hears.
        station: The board it is soldered to.
        name: For logs; the station's name if not given.
        boost: Whether the board's antenna is at PA_BOOST; else at RFO.
    """

    busy_until_us = 0
    """It has no BUSY."""
    asleep = False
    """Chip select never wakes it."""
    steady_busy_us: Mapping[int, int] = MappingProxyType({})

    def __init__(self, world: World, medium: Medium, station: Station, name: str = "", *, boost: bool = True) -> None:
        super().__init__(world, medium, station, "sx1276", name)
        self.boost = boost
        self.on_dio0: Callable[[], None] = nobody
        self.on_dio1: Callable[[], None] = nobody
        self._ready_us = 0
        self._power_up()
        medium.attach(self)

    def _power_up(self) -> None:
        self.settings = LoraSettings()
        self._registers = bytearray(tab.REGISTERS)
        for address, value in tab.RESET.items():
            self._registers[address] = value
        self._fsk_page = bytearray(tab.REGISTERS)
        self._fifo = bytearray(tab.FIFO_BYTES)
        self._rx_pointer = 0
        self._address: int | None = None
        self._ignored = False
        self._clock_us = 0
        self._followed: Transmission | None = None
        self.dio0_level = self.dio1_level = 0

    @property
    def mode(self) -> int:
        """The mode as RegOpMode codes it."""
        return self._registers[tab.OP_MODE] & 7

    @property
    def registers(self) -> bytes:
        """What is in the registers of the LoRa page."""
        return bytes(self._registers)

    # --- pins -----------------------------------------------------------------------------------------------------

    def reset(self, t_us: int) -> None:
        """NRST falls: everything is lost."""
        self._leave(t_us)
        self._power_up()
        self._ready_us = t_us + tab.RESET_US

    def select(self, t_us: int) -> None:
        """Chip select falls."""
        self._address = None
        self._ignored = t_us < self._ready_us
        if self._ignored:
            self.violate("protocol", "reset", f"accessed {self._ready_us - t_us} us before it is ready")

    def transfer(self, t_us: int, mosi: bytes) -> bytes:
        """Take bytes while selected and return as many: an address, then what is read or written from there on."""
        if self._ignored:
            return bytes(len(mosi))
        answer = bytearray(len(mosi))
        for i, byte in enumerate(mosi):
            if self._address is None:
                self._address = byte
                continue
            address = self._address & 0x7F
            if self._address & _WRITE:
                self._write(t_us, address, byte)
            else:
                answer[i] = self._read(address)
            if address != tab.FIFO:  # which a burst stays at
                self._address = self._address & _WRITE | (address + 1 & 0x7F)
        return bytes(answer)

    def deselect(self, t_us: int) -> None:
        """Chip select rises; every byte had its effect when it was clocked."""
        self._address = None

    # --- registers ------------------------------------------------------------------------------------------------

    def _on_fsk_page(self, address: int) -> bool:
        op_mode = self._registers[tab.OP_MODE]
        return address in tab.PAGED and (not op_mode & tab.LONG_RANGE or bool(op_mode & tab.SHARED))

    def _fifo_step(self) -> int:
        pointer = self._registers[tab.FIFO_ADDR_PTR]
        self._registers[tab.FIFO_ADDR_PTR] = pointer + 1 & 0xFF
        if self.mode == SLEEP:
            self.violate("protocol", "fifo", "the FIFO is not accessible in sleep")
        return pointer

    def _read(self, address: int) -> int:
        if self._on_fsk_page(address):
            return self._fsk_page[address]
        if address == tab.FIFO:
            return self._fifo[self._fifo_step()]
        if address == tab.RSSI:
            return self._rssi()
        if address == tab.RSSI_WIDEBAND:
            return self._rng.randrange(256)
        if address == tab.MODEM_STAT:
            return self._modem_stat()
        return self._registers[address]

    def _write(self, t_us: int, address: int, value: int) -> None:
        if self._on_fsk_page(address):
            self._fsk_page[address] = value
        elif address == tab.FIFO:
            pointer = self._fifo_step()
            if self.mode != SLEEP:
                self._fifo[pointer] = value
        elif address == tab.OP_MODE:
            self._set_mode(t_us, value)
        elif address == tab.IRQ_FLAGS:
            self._registers[address] &= ~value & 0xFF
            self._drive()
        elif address in tab.READ_ONLY:
            self.violate("protocol", "read_only", f"0x{value:02x} written to 0x{address:02x}")
        else:
            if address in tab.STANDBY_ONLY and self.mode in (TX, *RECEPTION):
                self.violate("protocol", "mode", f"0x{address:02x} written in mode {self.mode}")
            self._registers[address] = value
            if address == tab.DIO_MAPPING_1:
                self._drive()

    def _put(self, address: int, value: int) -> None:
        """Write a register of two bytes."""
        self._registers[address : address + 2] = (value & 0xFFFF).to_bytes(2, "big")

    def _rssi(self) -> int:
        settings = checks.decode(self._registers, sending=False)
        if self.mode not in RECEPTION or settings is None:
            return 0
        return self._coded(self.medium.power_dbm(self.station, settings.frequency_hz, settings.bandwidth_hz))

    def _coded(self, dbm: float) -> int:
        """Return a power as the chip codes it: dB above the port's offset."""
        offset_dbm = tab.RSSI_OFFSET_DBM[self.settings.frequency_hz < tab.LOW_PORT_BELOW_HZ]
        return min(max(round(dbm - offset_dbm), 0), 255)

    def _modem_stat(self) -> int:
        coding = (self._followed.coding_rate - 4) << 5 if self._followed is not None else 0
        if self._locked is not None:
            return coding | (0x0F if self._locked.tx is self._followed else 0x07)
        return coding | (0x04 if self.receiving_since_us is not None else 0x10)

    # --- modes ----------------------------------------------------------------------------------------------------

    def _set_mode(self, t_us: int, value: int) -> None:
        before = self._registers[tab.OP_MODE]
        old, new = before & 7, value & 7
        if (before ^ value) & tab.LONG_RANGE and SLEEP not in {old, new}:
            # into sleep is taken, as drivers do it in one write; out of another mode the bit stays
            self.violate("protocol", "long_range", "LongRangeMode changes in sleep only")
            value ^= tab.LONG_RANGE
        if new == CAD:
            self.violate("protocol", "mode", "CAD is not modelled")
            new = STDBY
        if new in (TX, *RECEPTION) and not value & tab.LONG_RANGE:
            self.violate("protocol", "packet_type", "not set to LoRa")
            new = STDBY
        self._registers[tab.OP_MODE] = value & 0xF8 | new
        if new == old and new in (TX, *RECEPTION):
            return
        self._leave(t_us)
        if old == SLEEP and new != SLEEP:
            self._clock_us = t_us + tab.CRYSTAL_US
        if new == SLEEP:
            self._fifo = bytearray(tab.FIFO_BYTES)
            self._put(tab.RX_HEADER_COUNT, 0)
            self._put(tab.RX_PACKET_COUNT, 0)
        elif new in (TX, *RECEPTION):
            self._start(t_us, old, new)

    def _start(self, t_us: int, old: int, new: int) -> None:
        settings = checks.decode(self._registers, sending=new == TX)
        if settings is None:
            self._registers[tab.OP_MODE] = self._registers[tab.OP_MODE] & 0xF8 | STDBY
            config = self._registers[tab.MODEM_CONFIG_1 : tab.MODEM_CONFIG_2 + 1]
            self.violate("protocol", "modem_config", f"{config.hex()} is reserved or not modelled")
            return
        self.settings = settings
        start_us = max(t_us, self._clock_us) + (0 if old == (FSTX if new == TX else FSRX) else tab.SYNTHESIZER_US)
        if new == TX:
            gain_db = self.station.antenna_gain_db
            self._check(checks.before_tx(self._registers, settings, gain_db, boost=self.boost))
            self.world.at(start_us + tab.TX_RAMP_US, self._begin_tx, self._epoch)
        else:
            self._check(checks.before_rx(self._registers, settings, single=new != RX_CONTINUOUS))
            self.world.at(start_us + tab.RX_START_US, self._begin_rx, self._epoch, new == RX_CONTINUOUS)

    def _to_standby(self) -> None:
        self._registers[tab.OP_MODE] = self._registers[tab.OP_MODE] & 0xF8 | STDBY

    # --- transmission ---------------------------------------------------------------------------------------------

    def _begin_tx(self, epoch: int) -> None:
        if epoch != self._epoch:
            return
        base = self._registers[tab.FIFO_TX_BASE]
        payload = bytes((self._fifo + self._fifo)[base : base + self.settings.payload_length])
        self._transmit(payload, self._sync_word(), checks.output_dbm(self._registers))

    def _tx_over(self) -> None:
        self._to_standby()
        self._raise(tab.IRQ_TX_DONE)

    def _sync_word(self) -> int:
        return checks.air_sync_word(self._registers[tab.SYNC_WORD])

    # --- reception ------------------------------------------------------------------------------------------------

    def _begin_rx(self, epoch: int, continuous: bool) -> None:
        if epoch == self._epoch:
            self._rx_pointer = self._registers[tab.FIFO_RX_BASE]
            self._listen(self._sync_word(), continuous=continuous)

    def _rx_timeout(self) -> None:
        self._leave(self.world.now_us)
        self._to_standby()
        self._raise(tab.IRQ_RX_TIMEOUT)

    def _accepts(self, tx: Transmission) -> bool:
        # the header of a longer frame counts as damaged
        return super()._accepts(tx) and len(tx.payload) <= self._registers[tab.MAX_PAYLOAD_LENGTH]

    def _header_found(self, tx: Transmission) -> None:
        self._followed = tx
        self._count(tab.RX_HEADER_COUNT)
        self._registers[tab.HOP_CHANNEL] = 0x40 if tx.crc else 0
        self._raise(tab.IRQ_VALID_HEADER)

    def _store(self, reception: Reception, payload: bytes) -> None:
        registers, start = self._registers, self._rx_pointer
        for offset, byte in enumerate(payload, start):
            self._fifo[offset & 0xFF] = byte
        # in continuous mode frames are stored one after the other
        self._rx_pointer = start + len(payload) & 0xFF
        registers[tab.FIFO_RX_CURRENT] = start
        registers[tab.RX_BYTE_ADDR] = self._rx_pointer
        registers[tab.RX_NB_BYTES] = len(payload)
        registers[tab.PKT_SNR] = snr_x4(reception.snr_db)
        # section 5.5.5: a driver reads offset + 16/15 of it, or below 0 dB offset + it + SNR
        if reception.snr_db >= 0:
            in_channel_dbm = total_dbm(reception.rssi_dbm, noise_dbm(reception.tx.bandwidth_hz))
            registers[tab.PKT_RSSI] = (self._coded(in_channel_dbm) * 15 + 8) >> 4
        else:
            registers[tab.PKT_RSSI] = self._coded(reception.rssi_dbm - reception.snr_db)

    def _rx_over(self, crc_error: bool) -> None:
        if not self._continuous:
            self._to_standby()
        if not crc_error:
            self._count(tab.RX_PACKET_COUNT)
        self._raise(tab.IRQ_RX_DONE | (tab.IRQ_CRC_ERROR if crc_error else 0))

    def _count(self, address: int) -> None:
        self._put(address, int.from_bytes(self._registers[address : address + 2], "big") + 1)

    # --- interrupts -----------------------------------------------------------------------------------------------

    def _raise(self, bits: int) -> None:
        self._registers[tab.IRQ_FLAGS] |= bits & ~self._registers[tab.IRQ_MASK]
        self._drive()

    def _drive(self) -> None:
        flags, mapping = self._registers[tab.IRQ_FLAGS], self._registers[tab.DIO_MAPPING_1]
        dio0 = 1 if flags & tab.DIO0_FLAGS[mapping >> 6] else 0
        dio1 = 1 if flags & tab.DIO1_FLAGS[mapping >> 4 & 3] else 0
        rises = (dio0 > self.dio0_level, dio1 > self.dio1_level)
        self.dio0_level, self.dio1_level = dio0, dio1
        if rises[0]:
            self.on_dio0()
        if rises[1]:
            self.on_dio1()
