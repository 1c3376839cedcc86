# SX1262 driver made for LoRaWAN: everything is prepared ahead, at the deadline one SPI command starts it.
# Source of commands, registers and times: Semtech DS.SX1261-2 rev. 2.1 (sections in brackets); the retention list and
# the symbol count's format: Semtech's own driver (SWL2001).
from siel_node._compat import const, sleep_ms, sleep_us, ticks_diff, ticks_us
from siel_node.lora import low_data_rate_optimize
from siel_node.port.wait import Flag

# What poll() says
NONE = 0
TX_DONE = 1
RX_DONE = 2
RX_TIMEOUT = 3
RX_ERROR = 4

# From the end of the SetTx command, given in STDBY_XOSC, to the start of the preamble [table 8-2]
TX_START_US = 105

_IRQ_TX_DONE = const(0x0001)
_IRQ_RX_DONE = const(0x0002)
_IRQ_HEADER_ERROR = const(0x0020)
_IRQ_CRC_ERROR = const(0x0040)
_IRQ_TIMEOUT = const(0x0200)

_REG_IQ_POLARITY = const(0x0736)
_REG_TX_MODULATION = const(0x0889)

_STBY_RC = const(2)
_MODE_RX = const(5)

_BANDWIDTHS = {125000: 4, 250000: 5, 500000: 6}
# DIO3 voltages in mV [13.3.6]
_TCXO_MV = (1600, 1700, 1800, 2200, 2400, 2700, 3000, 3300)

_SET_TX = b"\x83\x00\x00\x00"
_SET_RX_SINGLE = b"\x82\x00\x00\x00"
_SET_RX_CONTINUOUS = b"\x82\xff\xff\xff"
# 16-bit answers come after a status byte: opcode, status, high, low
_GET_IRQ = b"\x12\x00\x00\x00"
_GET_ERRORS = b"\x17\x00\x00\x00"
_GET_RX_BUFFER = b"\x13\x00\x00\x00"
_GET_PACKET = b"\x14\x00\x00\x00\x00"
_GET_STATUS = b"\xc0\x00"

# Longer than a calibration (3.5 ms) or any switch of mode
_BUSY_LIMIT_US = const(20000)
_MIN_DBM = const(-9)


class RadioError(Exception):
    # The chip does not do what it is told; init() is the only way on.
    pass


class SX126x:
    # spi: mode 0, at most 16 MHz. cs, busy, dio1, reset: machine.Pin. power_dbm is EIRP: antenna_gain_db is taken off.
    def __init__(
        self,
        spi,
        cs,
        busy,
        dio1,
        reset,
        tcxo_mv=0,
        tcxo_us=5000,
        dio2_rf_switch=True,
        dcdc=True,
        max_dbm=22,
        antenna_gain_db=0,
    ):
        self._spi = spi
        self._cs = cs
        self._busy = busy
        self._dio1 = dio1
        self._reset = reset
        self._tcxo_mv = tcxo_mv
        self._tcxo_us = tcxo_us
        self._dio2_rf_switch = dio2_rf_switch
        self._dcdc = dcdc
        self._max_dbm = max_dbm
        self.antenna_gain_db = antenna_gain_db
        self.flag = Flag()
        self.irq_us = 0
        self._asleep = False
        self._continuous = False
        self._iq_polarity = 0
        self._tx_modulation = 0
        self._buffer = bytearray(5)
        self._view = memoryview(self._buffer)
        cs(1)

    def init(self) -> None:
        # Cold start into STDBY_XOSC. Raises RadioError when there is no chip, or it reports a fault.
        self._reset(0)
        sleep_ms(1)  # 100 us at least [8.1]
        self._reset(1)
        sleep_ms(5)
        self._asleep = False
        if self._read(_GET_STATUS)[1] >> 4 & 7 != _STBY_RC:
            raise RadioError("no chip")
        self._write(b"\x80\x00")
        if self._dcdc:
            self._write(b"\x96\x01")
        if self._dio2_rf_switch:
            self._write(b"\x9d\x01")
        self._start_tcxo()
        self._write(b"\x89\x7f")  # calibrate all blocks, now that the clock is there
        # After a frame the chip falls back to STDBY_XOSC: RC would stop a TCXO and cost its start before the next one
        self._write(b"\x93\x30")
        self._write(b"\x80\x01")
        self._write(b"\x8a\x01")  # LoRa
        self._write(b"\x98\xd7\xdb")  # image calibration for 863 to 870 MHz [9.2.1]
        self._write(b"\x0d\x07\x40\x34\x44")  # sync word of public networks
        # Errata 15.2: a mismatched antenna must not trip the PA clamp
        self._write_register(0x08D8, self._read_register(0x08D8) | 0x1E)
        # Errata 15.3 (a timer that goes on after a frame with implicit header) needs nothing: headers are explicit, and
        # no reception runs on the timer.
        self._write_register(0x08AC, 0x96)  # the receiver's full gain [9.6]
        # Warm sleep keeps these three only if they are on its list
        self._write(b"\x0d\x02\x9f\x03\x08\xac\x08\x89\x07\x36")
        self._write(b"\x95\x04\x07\x00\x01")  # SX1262 PA: SetTxParams then means dBm, up to 22 [13.1.14.1]
        self._write_register(0x08E7, 0x38)  # 140 mA; SetPaConfig has just changed it
        self._write(b"\x8f\x00\x00")
        self._write(b"\x9f\x00")
        # TxDone, RxDone, header error, CRC error, timeout; a CRC error comes with RxDone, so it needs no pin
        self._write(b"\x08\x02\x63\x02\x23\x00\x00\x00\x00")
        self._iq_polarity = self._read_register(_REG_IQ_POLARITY)
        self._tx_modulation = self._read_register(_REG_TX_MODULATION)
        self._clear_irq(0xFFFF)
        self.check()
        self._dio1.irq(self._on_dio1, self._dio1.IRQ_RISING)

    def check(self) -> None:
        # Raises RadioError when the chip reports a fault (clock, PLL, calibration, PA ramp).
        answer = self._read(_GET_ERRORS)
        if answer[2] or answer[3]:
            raise RadioError("device errors %02x%02x" % (answer[2], answer[3]))

    def prepare_tx(
        self, frequency_hz, sf, bw_hz, payload, power_dbm=14, cr=5, preamble=8, crc=True, invert_iq=False
    ) -> None:
        # Everything but start_tx(). payload: 1 to 255 bytes. cr: 5 to 8.
        self._prepare(frequency_hz, sf, bw_hz, cr)
        self._set_packet(preamble, len(payload), crc, invert_iq)
        # Errata 15.1
        self._set_bit_2(_REG_TX_MODULATION, self._tx_modulation, bw_hz != 500000)
        dbm = max(_MIN_DBM, min(power_dbm - self.antenna_gain_db, self._max_dbm))
        self._write(bytes((0x8E, dbm & 0xFF, 0x02)))  # ramp of 40 us
        self._write(b"\x0e\x00", payload)
        self.check()
        self._wait()

    def start_tx(self) -> None:
        self._continuous = False
        self._write(_SET_TX)

    def prepare_rx(self, frequency_hz, sf, bw_hz, cr=5, invert_iq=True, symbols=0, crc=True) -> None:
        # Everything but start_rx(). symbols: give up when no preamble is found in so many, 0 never.
        # crc: what a frame with explicit header carries, its header says; the chip ignores this.
        self._prepare(frequency_hz, sf, bw_hz, cr)
        self._set_packet(8, 255, crc, invert_iq)
        self._set_symbol_timeout(symbols)
        self._wait()

    def start_rx(self, continuous=False) -> None:
        # Without a timer: the symbol count ends a single reception, or a frame.
        self._continuous = continuous
        self._write(_SET_RX_CONTINUOUS if continuous else _SET_RX_SINGLE)

    def poll(self) -> int:
        # What has happened since the last call; clears it. Costs SPI: ask when the flag is raised or a deadline passed.
        self.flag.raised = False
        answer = self._read(_GET_IRQ)
        irq = answer[2] << 8 | answer[3]
        if not irq:
            return NONE
        self._clear_irq(irq)
        if self._dio1():
            # Something came between reading and clearing: there will be no new edge for it.
            self.flag.raised = True
        if irq & _IRQ_TX_DONE:
            return TX_DONE
        if irq & _IRQ_RX_DONE and not irq & _IRQ_CRC_ERROR:
            return RX_DONE
        if irq & (_IRQ_CRC_ERROR | _IRQ_HEADER_ERROR):
            if not self._continuous:
                # With neither timer nor preamble left to count, a broken header would leave the receiver on.
                self._write(b"\x80\x01")
            return RX_ERROR
        if irq & _IRQ_TIMEOUT:
            return RX_TIMEOUT
        return NONE

    def read(self):
        # (payload, RSSI in dBm, SNR in quarter dB) of the frame that made poll() say RX_DONE.
        answer = self._read(_GET_RX_BUFFER)
        frame = bytearray(answer[2])
        if frame:
            self._read(bytes((0x1E, answer[3], 0)), frame)
        answer = self._read(_GET_PACKET)
        snr_x4 = answer[3] - 256 if answer[3] > 127 else answer[3]
        return bytes(frame), -(answer[2] >> 1), snr_x4

    def header(self):
        # (coding rate 5 to 8, payload CRC present) as the header of that frame says.
        rate = self._read_register(0x0749) >> 4 & 7
        return rate + 4 if 1 <= rate <= 4 else 5, bool(self._read_register(0x076B) & 0x10)

    def listening(self):
        # Whether the chip is in RX now, and whatever it has to say was heard: while DIO1 is high no new edge can come,
        # so a line that is high without a flag means an interrupt that got lost.
        line = self._dio1()
        return self._read(_GET_STATUS)[1] >> 4 & 7 == _MODE_RX and (not line or self.flag.raised)

    def standby(self) -> None:
        self._wake()
        self._write(b"\x80\x01")
        self._clear_irq(0xFFFF)
        self.flag.raised = False

    def sleep(self) -> None:
        # Warm: settings stay, the frame buffer does not. The next prepare or standby wakes the chip.
        if not self._asleep:
            self._write(b"\x80\x00")
            self._clear_irq(0xFFFF)
            self.flag.raised = False
            self._write(b"\x84\x04")
            self._asleep = True
            sleep_us(500)  # it does not answer to a wake before [13.1.1]

    def _on_dio1(self, pin):
        self.irq_us = ticks_us()
        self.flag.raised = True

    def _prepare(self, frequency_hz, sf, bw_hz, cr):
        self._wake()
        self._write(b"\x80\x01")
        self._clear_irq(0xFFFF)
        self.flag.raised = False
        # Steps of 32 MHz / 2**25, that is 16384 steps for 15625 Hz: small integers on 32-bit ports
        whole = frequency_hz // 15625
        steps = whole * 16384 + ((frequency_hz - whole * 15625) * 16384 + 7812) // 15625
        self._write(bytes((0x86, steps >> 24, steps >> 16 & 0xFF, steps >> 8 & 0xFF, steps & 0xFF)))
        ldro = 1 if low_data_rate_optimize(sf, bw_hz) else 0
        self._write(bytes((0x8B, sf, _BANDWIDTHS[bw_hz], cr - 4, ldro)))

    def _set_packet(self, preamble, length, crc, invert_iq):
        self._write(bytes((0x8C, preamble >> 8, preamble & 0xFF, 0, length, 1 if crc else 0, 1 if invert_iq else 0)))
        # Errata 15.4: clear for inverted IQ, set for standard
        self._set_bit_2(_REG_IQ_POLARITY, self._iq_polarity, not invert_iq)

    def _set_symbol_timeout(self, symbols):
        # The register holds mantissa * 2**(2 * exponent + 1), 5 and 3 bits; the command alone would round down.
        mantissa = (min(symbols, 248) + 1) >> 1
        exponent = 0
        while mantissa > 31:
            mantissa = (mantissa + 3) >> 2
            exponent += 1
        self._write(bytes((0xA0, mantissa << (2 * exponent + 1))))
        if mantissa:
            self._write_register(0x0706, mantissa << 3 | exponent)

    def _start_tcxo(self):
        if self._tcxo_mv:
            delay = self._tcxo_us * 8 // 125  # steps of 15.625 us
            code = _TCXO_MV.index(self._tcxo_mv)
            self._write(bytes((0x97, code, delay >> 16 & 0xFF, delay >> 8 & 0xFF, delay & 0xFF)))
        # Without its TCXO the chip has seen no clock at power-on and says so [13.3.6]
        self._write(b"\x07\x00\x00")

    def _wake(self):
        if self._asleep:
            self._cs(0)
            sleep_us(150)  # t11, the longest time from NSS to an awake chip's answer [table 8-1]
            self._cs(1)
            self._asleep = False
            # Not every chip was seen to keep the TCXO through warm sleep
            self._start_tcxo()

    def _set_bit_2(self, register, base, on):
        self._write_register(register, base | 4 if on else base & ~4)

    def _clear_irq(self, irq):
        self._write(bytes((0x02, irq >> 8, irq & 0xFF)))

    def _write_register(self, register, value):
        self._write(bytes((0x0D, register >> 8, register & 0xFF, value)))

    def _read_register(self, register):
        return self._read(bytes((0x1D, register >> 8, register & 0xFF, 0, 0)))[4]

    def _write(self, command, data=None):
        self._wait()
        self._cs(0)
        self._spi.write(command)
        if data is not None:
            self._spi.write(data)
        self._cs(1)

    def _read(self, command, into=None):
        # With into: the bytes after command. Without: the bytes that came during it.
        self._wait()
        self._cs(0)
        if into is not None:
            self._spi.write(command)
            self._spi.readinto(into)
        else:
            into = self._view[: len(command)]
            self._spi.write_readinto(command, into)
        self._cs(1)
        return into

    def _wait(self):
        # Until BUSY is low: the chip ignores a command before.
        if not self._busy():
            return
        start_us = ticks_us()
        limit_us = _BUSY_LIMIT_US + self._tcxo_us
        pause_us = 50
        while self._busy():
            if ticks_diff(ticks_us(), start_us) > limit_us:
                raise RadioError("busy")
            sleep_us(pause_us)
            # Most commands take less; a TCXO takes milliseconds
            pause_us = min(2 * pause_us, 400)
