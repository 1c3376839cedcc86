"""An SX1262 at the level of SPI commands, attached to the medium.

It answers as the chip does and keeps a list of what its driver did wrong. Written from the datasheet, apart from the
driver. Not modelled: (G)FSK, CAD, RX duty cycle, test transmissions, currents, temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from siel_hil.models import sx1262_tables as tab
from siel_hil.models.sx1262_radio import BUFFER_BYTES, Sx1262Radio, half_db
from siel_hil.models.sx1262_tables import LORA, SLEEP, STBY_RC, STBY_XOSC

_NEVER: Final = 1 << 62
_GET_STATUS: Final = 0xC0
_SAME: Final = tuple(bytes((value,)) for value in range(256))


class SX1262(Sx1262Radio):
    """One chip: the pins of an emulated board (``SpiDevice``) and the command set on top of the radio."""

    steady_busy_us: Mapping[int, int] = tab.STEADY_BUSY_US

    def _power_up(self) -> None:
        super()._power_up()
        self._stream = bytearray()
        self._ignored = False
        self._warm = False
        self._waking = False
        self._slept_us = -tab.SLEEP_SETTLE_US
        self._run = {op: (getattr(self, "_" + c.method), c.length, c.busy_us) for op, c in tab.COMMANDS.items()}

    @property
    def asleep(self) -> bool:
        """Whether the next falling edge of chip select wakes it."""
        return self._mode == SLEEP

    # --- pins -------------------------------------------------------------------------------------------------

    def reset(self, t_us: int) -> None:
        """NRST falls: everything is lost."""
        self._leave(t_us)
        self._power_up()
        self.busy_until_us = t_us + tab.COLD_START_US

    def select(self, t_us: int) -> None:
        """Chip select falls; wakes it from sleep."""
        self._stream.clear()
        self._ignored = self._waking = False
        if self._mode == SLEEP:
            self._wake(t_us)

    def transfer(self, t_us: int, mosi: bytes) -> bytes:
        """Take bytes while selected and return as many; what follows a read opcode is not looked at."""
        if not mosi:
            return b""
        stream, at = self._stream, len(self._stream)
        stream += mosi
        op = stream[0]
        if t_us < self.busy_until_us and not self._ignored:
            self._ignored = True
            # drivers wake it with GetStatus, whose answer nobody expects yet
            if not (self._waking and op == _GET_STATUS):
                self.violate("protocol", "busy", f"command 0x{op:02x} while BUSY is high")
        n = len(mosi)
        if self._ignored:
            return bytes(n)
        status = self._mode << 4 | self._command_status << 1
        reply = _REPLIES.get(op)
        if reply is None:
            return _SAME[status] * n
        prefix, answer = reply
        if at + n <= prefix:
            return bytes((status,)) * n
        data = answer(self, at + n - prefix)
        return bytes((status,)) * (prefix - at) + data if at < prefix else data[at - prefix :]

    def deselect(self, t_us: int) -> None:
        """Chip select rises: the command is carried out."""
        stream = self._stream
        if not stream or self._ignored:
            return
        command = self._run.get(stream[0])
        if command is None:
            self._command_status = tab.STATUS_BAD_COMMAND
            self.violate("protocol", "opcode", f"0x{stream[0]:02x} is unknown or not modelled")
            return
        run, length, busy_us = command
        if len(stream) <= length:
            self._command_status = tab.STATUS_BAD_COMMAND
            self.violate("protocol", "length", f"command 0x{stream[0]:02x} with {len(stream) - 1} bytes")
            return
        if busy_us:
            self._command_status = tab.STATUS_QUIET
            self.busy_until_us = t_us + busy_us
        run(t_us, stream)

    # --- sleep -----------------------------------------------------------------------------------------------

    def _set_sleep(self, t_us: int, s: bytearray) -> None:
        if self._mode not in {STBY_RC, STBY_XOSC}:
            self._refuse("SetSleep outside standby")
            return
        self._leave(t_us)
        self._mode = SLEEP
        self._warm = bool(s[1] & 4)
        self._slept_us = t_us
        # the data buffer has no supply in sleep, warm or cold
        self._buffer = bytearray(BUFFER_BYTES)
        self.busy_until_us = _NEVER

    def _wake(self, t_us: int) -> None:
        if t_us < self._slept_us + tab.SLEEP_SETTLE_US:
            self.violate("protocol", "sleep", f"woken {t_us - self._slept_us} us after SetSleep")
        if self._warm:
            registers = self.settings.registers
            base = tab.REG_RETENTION
            count = min(registers.get(base, 0), tab.RETENTION_SLOTS)
            kept = [registers.get(base + 1 + 2 * i, 0) << 8 | registers.get(base + 2 + 2 * i, 0) for i in range(count)]
            for address in tab.LOST_IN_WARM_SLEEP:
                if address not in kept:
                    registers[address] = tab.RESET_REGISTERS[address]
            self._mode = STBY_RC
        else:
            self._power_up()
        self._waking = True
        self.busy_until_us = t_us + (tab.WARM_START_US if self._warm else tab.COLD_START_US)

    # --- settings ---------------------------------------------------------------------------------------------

    def _nothing(self, t_us: int, s: bytearray) -> None:
        """A read: answered while the bytes were clocked."""

    def _reset_stats(self, t_us: int, s: bytearray) -> None:
        self.stats.clear()

    def _clear_device_errors(self, t_us: int, s: bytearray) -> None:
        self._device_errors = 0

    def _write_register(self, t_us: int, s: bytearray) -> None:
        self.settings.registers.update(enumerate(s[3:], s[1] << 8 | s[2]))

    def _write_buffer(self, t_us: int, s: bytearray) -> None:
        for offset, byte in enumerate(s[2:], s[1]):
            self._buffer[offset & 0xFF] = byte

    def _set_rf_frequency(self, t_us: int, s: bytearray) -> None:
        # 32 MHz / 2**25 = 15625 / 2**14 Hz per step (13.4.1)
        self.settings.frequency_hz = (int.from_bytes(s[1:5], "big") * 15625 + (1 << 13)) >> 14

    def _set_packet_type(self, t_us: int, s: bytearray) -> None:
        self.settings.packet_type = s[1]

    def _set_modulation_params(self, t_us: int, s: bytearray) -> None:
        settings = self.settings
        bandwidth_hz = tab.BANDWIDTHS_HZ.get(s[2])
        if settings.packet_type != LORA or not 5 <= s[1] <= 12 or bandwidth_hz is None or not 1 <= s[3] <= 4:  # noqa: PLR2004 - tables 13-47 to 13-49
            self._command_status = tab.STATUS_FAILED
            self.violate("protocol", "modulation_params", f"packet type {settings.packet_type}, {s[1:5].hex()}")
            return
        settings.spreading_factor = s[1]
        settings.bandwidth_hz = bandwidth_hz
        settings.coding_rate = s[3] + 4
        settings.ldro = bool(s[4])

    def _set_packet_params(self, t_us: int, s: bytearray) -> None:
        settings = self.settings
        if settings.packet_type != LORA:
            self._command_status = tab.STATUS_FAILED
            self.violate("protocol", "packet_params", f"packet type {settings.packet_type}")
            return
        settings.preamble = s[1] << 8 | s[2]
        settings.implicit = bool(s[3])
        settings.payload_length = s[4]
        settings.crc = bool(s[5])
        settings.invert_iq = bool(s[6])

    def _set_tx_params(self, t_us: int, s: bytearray) -> None:
        self.settings.tx_param_dbm = s[1] - 256 if s[1] > 127 else s[1]  # noqa: PLR2004 - a signed byte

    def _set_pa_config(self, t_us: int, s: bytearray) -> None:
        self.settings.pa = (s[1], s[2], s[3])

    def _set_buffer_base_address(self, t_us: int, s: bytearray) -> None:
        self.settings.tx_base, self.settings.rx_base = s[1], s[2]

    def _set_fallback_mode(self, t_us: int, s: bytearray) -> None:
        self.settings.fallback_mode = tab.FALLBACK_MODES.get(s[1], STBY_RC)

    def _set_regulator_mode(self, t_us: int, s: bytearray) -> None:
        self.settings.dcdc = bool(s[1])

    def _set_dio2_as_rf_switch(self, t_us: int, s: bytearray) -> None:
        self.settings.dio2_switch = bool(s[1])

    def _set_dio3_as_tcxo(self, t_us: int, s: bytearray) -> None:
        self.settings.tcxo_delay_us = int.from_bytes(s[2:5], "big") * tab.TIMER_STEP_NS // 1000

    def _stop_timer_on_preamble(self, t_us: int, s: bytearray) -> None:
        self.settings.stop_timer_on_preamble = bool(s[1])

    def _set_symbol_timeout(self, t_us: int, s: bytearray) -> None:
        # the chip keeps it as mantissa * 2**(2 * exponent + 1), rounded up (LoRaMac-node, SX126xSetLoRaSymbNumTimeout)
        mantissa, exponent = (min(s[1], 248) + 1) >> 1, 0
        while mantissa > 31:  # noqa: PLR2004 - five bits
            mantissa, exponent = (mantissa + 3) >> 2, exponent + 1
        self.settings.symbol_timeout = mantissa << (2 * exponent + 1)

    def _calibrate(self, t_us: int, s: bytearray) -> None:
        if self._mode != STBY_RC:
            self._refuse("Calibrate outside STDBY_RC")
            return
        delay_us = self.settings.tcxo_delay_us
        self.busy_until_us += delay_us or 0
        if self.tcxo_start_us is not None and (delay_us is None or delay_us < self.tcxo_start_us):
            self._device_errors |= tab.XOSC_START_ERR

    def _calibrate_image(self, t_us: int, s: bytearray) -> None:
        if self._mode not in {STBY_RC, STBY_XOSC}:
            self._refuse("CalibrateImage outside standby")
            return
        self.settings.image_band_mhz = (4 * s[1], 4 * s[2])

    def _set_dio_irq_params(self, t_us: int, s: bytearray) -> None:
        self.settings.irq_mask = s[1] << 8 | s[2]
        self.settings.dio1_mask = s[3] << 8 | s[4]
        self._drive_dio1()

    def _clear_irq(self, t_us: int, s: bytearray) -> None:
        self._irq &= ~(s[1] << 8 | s[2])
        self._drive_dio1()

    # --- answers ----------------------------------------------------------------------------------------------

    def _read_register(self, n: int) -> bytes:
        registers, first = self.settings.registers, self._stream[1] << 8 | self._stream[2]
        return bytes(
            self._rng.randrange(256) if address in tab.REG_RANDOM else registers.get(address, 0)
            for address in range(first, first + n)
        )

    def _read_buffer(self, n: int) -> bytes:
        first = self._stream[1]
        return bytes(self._buffer[(first + i) & 0xFF] for i in range(n))

    def _rssi_inst(self, n: int) -> bytes:
        settings = self.settings
        power_dbm = self.medium.power_dbm(self.station, settings.frequency_hz, settings.bandwidth_hz)
        return bytes((half_db(power_dbm),)).ljust(n, b"\0")

    def _get_stats(self, n: int) -> bytes:
        counts = (self.stats["rx"], self.stats["crc_errors"], self.stats["header_errors"])
        return b"".join((count & 0xFFFF).to_bytes(2, "big") for count in counts)[:n].ljust(n, b"\0")

    def _irq_status(self, n: int) -> bytes:
        return self._irq.to_bytes(2, "big")[:n].ljust(n, b"\0")

    def _errors(self, n: int) -> bytes:
        return self._device_errors.to_bytes(2, "big")[:n].ljust(n, b"\0")


def _fixed(attribute: str) -> Callable[[SX1262, int], bytes]:
    return lambda chip, n: bytes(getattr(chip, attribute))[:n].ljust(n, b"\0")


_REPLIES: Final[dict[int, tuple[int, Callable[[Any, int], bytes]]]] = {
    0x10: (2, SX1262._get_stats),  # noqa: SLF001 - the table belongs to the class
    0x11: (2, lambda chip, n: bytes((chip.settings.packet_type,)).ljust(n, b"\0")),
    0x12: (2, SX1262._irq_status),  # noqa: SLF001 - the table belongs to the class
    0x13: (2, _fixed("_rx_status")),
    0x14: (2, _fixed("_packet_status")),
    0x15: (2, SX1262._rssi_inst),  # noqa: SLF001 - the table belongs to the class
    0x17: (2, SX1262._errors),  # noqa: SLF001 - the table belongs to the class
    0x1D: (4, SX1262._read_register),  # noqa: SLF001 - the table belongs to the class
    0x1E: (3, SX1262._read_buffer),  # noqa: SLF001 - the table belongs to the class
}
"""Opcode -> bytes before the answer (the opcode itself, addresses, status) and how the answer is made."""
