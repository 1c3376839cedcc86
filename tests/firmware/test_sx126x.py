"""The driver's SPI transactions against the SX1262 data sheet, byte for byte, on a chip that only records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_node.radio import sx126x
from siel_node.radio.sx126x import RadioError, SX126x

REGISTERS = {0x08D8: 0xC8, 0x0736: 0x0D, 0x0889: 0x01, 0x0749: 0x10, 0x076B: 0x10}


class FakePin:
    """A pin that remembers; ``levels`` are handed out one per read."""

    IRQ_RISING = 8

    def __init__(self) -> None:
        self.level = 0
        self.handler: Any = None

    def __call__(self, value: int | None = None) -> int | None:
        if value is None:
            return self.level
        self.level = value
        return None

    def irq(self, handler: Any, trigger: int) -> None:
        assert trigger == self.IRQ_RISING
        self.handler = handler


class FakeChip:
    """Records every transaction as hex and answers reads from tables."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.registers = dict(REGISTERS)
        self.answers = {0x12: b"\0\0", 0x17: b"\0\0", 0x13: b"\0\0", 0x14: b"\0\0\0"}
        self.frame = b""
        self.mode = 2
        self.stream = bytearray()
        self.busy = FakePin()
        self.dio1 = FakePin()
        self.reset = FakePin()

    def chip_select(self, value: int) -> None:
        if value and self.stream:
            self.log.append(self.stream.hex())
            opcode = self.stream[0]
            if opcode == 0x0D:
                address = self.stream[1] << 8 | self.stream[2]
                for index, byte in enumerate(self.stream[3:]):
                    self.registers[address + index] = byte
        elif value:
            self.log.append("wake")
        self.stream = bytearray()

    def write(self, data: bytes) -> None:
        self.stream += data

    def write_readinto(self, data: bytes, into: bytearray) -> None:
        self.stream += data
        answer = bytearray(len(data))
        opcode = data[0]
        if opcode == 0xC0:
            answer[1] = self.mode << 4 | 2
        elif opcode == 0x1D:
            answer[4] = self.registers.get(data[1] << 8 | data[2], 0)
        else:
            body = self.answers[opcode]
            answer[2 : 2 + len(body)] = body
        into[:] = answer

    def readinto(self, into: bytearray) -> None:
        into[:] = self.frame


def make(**options: Any) -> tuple[SX126x, FakeChip]:
    chip = FakeChip()

    class Select(FakePin):
        def __call__(self, value: int | None = None) -> int | None:
            if value is not None:
                chip.chip_select(value)
            return super().__call__(value)

    radio = SX126x(chip, Select(), chip.busy, chip.dio1, chip.reset, **options)
    chip.log.clear()
    return radio, chip


def ready(**options: Any) -> tuple[SX126x, FakeChip]:
    radio, chip = make(**options)
    radio.init()
    chip.log.clear()
    return radio, chip


def test_cold_start_with_tcxo() -> None:
    radio, chip = make(tcxo_mv=1700, tcxo_us=5000)
    radio.init()
    assert chip.log == [
        "c000",
        "8000",
        "9601",  # DC-DC
        "9d01",  # DIO2 drives the RF switch
        "9701000140",  # DIO3: 1.7 V, 320 steps of 15.625 us
        "070000",
        "897f",
        "9330",  # fall back to STDBY_XOSC
        "8001",
        "8a01",
        "98d7db",
        "0d07403444",
        "1d08d80000",
        "0d08d8de",  # errata 15.2
        "0d08ac96",
        "0d029f0308ac08890736",  # retention list
        "9504070001",
        "0d08e738",
        "8f0000",
        "9f00",
        "080263022300000000",
        "1d07360000",
        "1d08890000",
        "02ffff",
        "17000000",
    ]


def test_cold_start_without_options() -> None:
    radio, chip = make(dio2_rf_switch=False, dcdc=False)
    radio.init()
    assert not [command for command in chip.log if command[:2] in {"96", "9d", "97"}]


@pytest.mark.parametrize("mode", [0, 7])
def test_no_chip(mode: int) -> None:
    radio, chip = make()
    chip.mode = mode
    with pytest.raises(RadioError, match="no chip"):
        radio.init()


def test_device_errors_are_raised() -> None:
    radio, chip = make()
    chip.answers[0x17] = b"\x00\x20"
    with pytest.raises(RadioError, match="0020"):
        radio.init()


def test_uplink() -> None:
    """868.1 MHz SF12: standard IQ sets bit 2 of 0x0736, 125 kHz sets bit 2 of 0x0889, LDRO on."""
    radio, chip = ready()
    radio.prepare_tx(868100000, 12, 125000, b"\x40\x01\x02", power_dbm=14)
    assert chip.log == [
        "8001",
        "02ffff",
        "863641999a",
        "8b0c040101",
        "8c000800030100",
        "0d07360d",
        "0d088905",
        "8e0e02",
        "0e00400102",
        "17000000",
    ]
    chip.log.clear()
    radio.start_tx()
    assert chip.log == ["83000000"]


def test_downlink_of_a_head() -> None:
    """869.525 MHz SF9, inverted, no CRC, with an antenna gain of 3 dB."""
    radio, chip = ready(antenna_gain_db=3)
    radio.prepare_tx(869525000, 9, 125000, b"\x60", power_dbm=29, crc=False, invert_iq=True)
    assert "8c000800010001" in chip.log
    assert "0d073609" in chip.log
    assert "8e1602" in chip.log  # 29 - 3 is above what the chip can do


@pytest.mark.parametrize(("dbm", "register"), [(-30, "f7"), (-9, "f7"), (0, "00"), (16, "10"), (22, "16"), (40, "16")])
def test_power(dbm: int, register: str) -> None:
    radio, chip = ready()
    radio.prepare_tx(868300000, 7, 125000, b"\x40", power_dbm=dbm)
    assert f"8e{register}02" in chip.log


def test_500_khz_clears_the_modulation_bit() -> None:
    radio, chip = ready()
    radio.prepare_tx(868300000, 7, 500000, b"\x40")
    assert "0d088901" in chip.log
    radio.prepare_tx(868300000, 7, 250000, b"\x40")
    assert chip.registers[0x0889] == 0x05


def test_window_is_one_command_at_the_deadline() -> None:
    radio, chip = ready()
    radio.prepare_rx(868500000, 7, 125000, symbols=24)
    assert chip.log == ["8001", "02ffff", "8636480000", "8b07040100", "8c000800ff0101", "0d073609", "a018", "0d070660"]
    chip.log.clear()
    radio.start_rx()
    assert chip.log == ["82000000"]


def test_continuous_reception_has_no_symbol_count() -> None:
    radio, chip = ready()
    radio.prepare_rx(868100000, 7, 125000, invert_iq=False)
    assert chip.log[-1] == "a000"
    assert "0d07360d" in chip.log
    radio.start_rx(continuous=True)
    assert chip.log[-1] == "82ffffff"


@given(st.integers(min_value=1, max_value=248))
def test_symbol_count_is_never_less_than_asked(symbols: int) -> None:
    """The chip gives up after mantissa * 2**(2 * exponent + 1) symbols."""
    radio, chip = ready()
    radio.prepare_rx(868100000, 7, 125000, symbols=symbols)
    count = chip.registers[0x0706]
    given_up_after = (count >> 3) << (2 * (count & 7) + 1)
    assert symbols <= given_up_after <= symbols + 7
    assert f"a0{given_up_after:02x}" in chip.log


@given(st.integers(min_value=863_000_000, max_value=870_000_000))
def test_frequency_is_within_a_step(frequency_hz: int) -> None:
    radio, chip = ready()
    radio.prepare_rx(frequency_hz, 7, 125000)
    (command,) = (command for command in chip.log if command.startswith("86"))
    steps = int.from_bytes(bytes.fromhex(command)[1:], "big")
    assert abs(steps * 32_000_000 / 2**25 - frequency_hz) <= 0.5


@pytest.mark.parametrize(
    ("irq", "continuous", "event"),
    [
        (0x0000, False, sx126x.NONE),
        (0x0001, False, sx126x.TX_DONE),
        (0x0002, False, sx126x.RX_DONE),
        (0x0042, False, sx126x.RX_ERROR),
        (0x0042, True, sx126x.RX_ERROR),
        (0x0020, False, sx126x.RX_ERROR),
        (0x0200, False, sx126x.RX_TIMEOUT),
    ],
)
def test_poll(irq: int, continuous: bool, event: int) -> None:
    radio, chip = ready()
    radio.start_rx(continuous)
    chip.log.clear()
    chip.answers[0x12] = irq.to_bytes(2, "big")
    radio.flag.raised = True
    assert radio.poll() == event
    assert not radio.flag.raised
    expected = ["12000000"]
    if irq:
        expected.append(f"02{irq:04x}")
    if event == sx126x.RX_ERROR and not continuous:
        expected.append("8001")
    assert chip.log == expected


def test_interrupt_between_reading_and_clearing_is_not_lost() -> None:
    radio, chip = ready()
    chip.answers[0x12] = b"\x00\x01"
    chip.dio1.level = 1
    radio.poll()
    assert radio.flag.raised


def test_interrupt_handler_stamps() -> None:
    radio, chip = ready()
    assert chip.dio1.handler is not None
    chip.dio1.handler(chip.dio1)
    assert radio.flag.raised
    assert radio.irq_us > 0


@pytest.mark.parametrize(("snr", "snr_x4"), [(b"\x14", 20), (b"\xec", -20), (b"\x00", 0)])
def test_read(snr: bytes, snr_x4: int) -> None:
    radio, chip = ready()
    chip.answers[0x13] = b"\x05\x80"
    chip.answers[0x14] = b"\xd5" + snr + b"\x00"
    chip.frame = b"hello"
    assert radio.read() == (b"hello", -106, snr_x4)
    assert chip.log == ["13000000", "1e8000", "1400000000"]


def test_an_empty_frame() -> None:
    radio, _chip = ready()
    assert radio.read()[0] == b""


def test_header() -> None:
    radio, chip = ready()
    assert radio.header() == (5, True)
    chip.registers[0x0749] = 0x4F
    chip.registers[0x076B] = 0xEF
    assert radio.header() == (8, False)


def test_sleep_and_wake() -> None:
    """Wake is a pulse on NSS; the TCXO is named again, the rest is on the retention list."""
    radio, chip = ready(tcxo_mv=1800, tcxo_us=1000)
    radio.sleep()
    assert chip.log == ["8000", "02ffff", "8404"]
    radio.sleep()
    assert len(chip.log) == 3
    chip.log.clear()
    radio.standby()
    assert chip.log == ["wake", "9702000040", "070000", "8001", "02ffff"]


def test_a_stuck_chip_is_an_error() -> None:
    radio, chip = ready()
    chip.busy.level = 1
    with pytest.raises(RadioError, match="busy"):
        radio.standby()


def test_listening() -> None:
    radio, chip = ready()
    assert not radio.listening()
    chip.mode = 5
    assert radio.listening()


def test_a_line_that_is_high_without_a_flag_is_an_interrupt_that_got_lost() -> None:
    radio, chip = ready()
    chip.mode = 5
    chip.dio1.level = 1
    assert not radio.listening()
    radio.flag.raised = True
    assert radio.listening()
