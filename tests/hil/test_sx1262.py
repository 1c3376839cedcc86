"""The SX1262 model: command traces of real drivers, times, interrupts, sleep, errata, and what rubbish does to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_hil.medium import Medium, Station
from siel_hil.medium_physics import airtime_us, noise_dbm, total_dbm
from siel_hil.models import sx1262_tables as tab
from siel_hil.models.conformance import Beacon, Probe
from siel_hil.models.lora_radio import MAX_VIOLATIONS
from siel_hil.models.sx1262 import SX1262
from siel_hil.world import World

FREQUENCY_HZ = 868_100_000
TCXO_US = 3000


def _rules(probe: Probe) -> list[tuple[str, str]]:
    return [(violation.kind, violation.rule) for violation in probe.chip.violations]


# --- what real drivers send ---------------------------------------------------------------------------------------
# Commands and answers of micropython-lib's lora-sx126x on a chip; the bytes after a read's opcode are stale there.


def test_the_cold_start_of_a_real_driver() -> None:
    probe = Probe(cold=True, tcxo_start_us=800)
    assert probe.command(0xC0, read=1) == b"\x22"
    assert probe.command(0x17, read=3)[1:] == b"\x00\x20"
    probe.command(0x07, b"\0\0")
    assert probe.command(0x17, read=3)[1:] == b"\0\0"
    assert probe.command(0x12, b"\xab\xcd", read=1) == b"\0"
    probe.command(0x9D, 1)
    probe.command(0x97, b"\x01\x00\x00\x40")
    probe.command(0x08, b"\x02\x43\x02\x03\x00\x00\x00\x00")
    probe.command(0x02, b"\xff\xff")
    probe.command(0x8A, 1)
    assert probe.command(0x1D, b"\x08\xd8", read=2)[1:] == b"\xc8"
    probe.command(0x0D, b"\x08\xd8\xde")
    assert probe.command(0x1D, b"\x08\xd8", read=2)[1:] == b"\xde"
    assert _rules(probe) == []


def test_what_a_real_driver_configures_is_what_goes_on_air() -> None:
    probe = Probe()
    sent = []
    probe.medium.on_event.append(lambda event, info: sent.append(info) if event == "transmit" else None)
    for command in ("8636419999", "0d07403444", "9502020001", "8e1602", "8b09040100", "0d08ac96"):
        probe.command(bytes.fromhex(command))
    probe.command(0x80, 1)
    assert probe.command(0xC0, read=1) == b"\x32"
    for command in ("02ffff", "8c0008000c0100", "8f00ff", "0e00" + bytes(range(12)).hex(), "0d088905", "83000000"):
        probe.command(bytes.fromhex(command))
    assert probe.chip.mode == tab.TX
    assert probe.command(0xC0, read=1) == b"\x62"
    probe.wait(200_000)
    assert probe.take_irq() == tab.IRQ_TX_DONE
    assert sent[0]["payload"] == bytes(range(12))
    assert sent[0]["spreading_factor"] == 9
    assert sent[0]["frequency_hz"] == pytest.approx(868_100_000, abs=1)
    assert sent[0]["t1_us"] - sent[0]["t0_us"] == 144_384
    assert _rules(probe) == []


def test_a_receive_cycle_of_a_real_driver() -> None:
    probe = Probe()
    probe.configure(spreading_factor=9)
    for command in ("8fff00", "8c000800ff0101"):
        probe.command(bytes.fromhex(command))
    probe.command(0x0D, b"\x07\x36\x09")
    probe.command(bytes.fromhex("82007d00"))
    probe.wait(200)
    assert probe.command(0xC0, read=1) == b"\x52"
    Beacon(probe, 8.0).send(9, b"hello", invert_iq=True, crc=False)
    probe.wait(250_000)
    assert probe.take_irq() == tab.IRQ_RX_DONE
    assert probe.command(0x13, read=3)[1:] == b"\x05\x00"
    assert probe.frame() == b"hello"
    assert probe.chip.mode == tab.STBY_RC


def test_stale_bytes_after_a_read_opcode_do_not_matter() -> None:
    probe = Probe()
    probe.command(0x0E, 3, b"abc")
    for stale in (0x00, 0xDE, 0xFF):
        assert probe.command(0x1E, 3, stale, read=3) == b"abc"


@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(0, 10), min_size=1, max_size=5))
def test_any_split_of_a_transaction_gives_the_same_answer(payload: bytes, sizes: list[int]) -> None:
    probe = Probe()
    probe.command(0x0E, 250, payload)
    probe.wait(1000)
    rest, answer = b"\x1e\xfa" + bytes(1 + len(payload)), b""
    probe.chip.select(probe.world.now_us)
    for size in [*sizes, len(rest)]:
        answer += probe.chip.transfer(probe.world.now_us, rest[:size])
        rest = rest[size:]
    probe.chip.deselect(probe.world.now_us)
    assert answer == b"\x32" * 3 + payload


# --- times --------------------------------------------------------------------------------------------------------


def test_busy_lasts_as_the_datasheet_says() -> None:
    probe = Probe()
    probe.configure(length=4)
    for from_mode, command, busy_us in (
        (b"\x80\x01", b"\x82\x00\x00\x00", 62),
        (b"\x80\x00", b"\x82\x00\x00\x00", 83),
        (b"\x80\x00", b"\x80\x01", 31),
        (b"\x80\x01", b"\xc1", 40),
        (b"\xc1", b"\x82\x00\x00\x00", 41),
        (b"\x80\x01", b"\x83\x00\x00\x00", 105),
    ):
        probe.command(from_mode)
        probe.command(command)
        assert probe.chip.busy_until_us - probe.world.now_us == busy_us
        probe.wait(50_000)


def test_a_frame_starts_when_busy_falls_and_ends_after_its_airtime() -> None:
    probe = Probe()
    probe.configure(spreading_factor=8, length=20)
    probe.command(0x0E, 0, bytes(20))
    probe.command(0x83, b"\0\0\0")
    start_us = probe.world.now_us
    probe.wait(1_000_000)
    assert probe.edges == [start_us + 105 + airtime_us(8, 125_000, 20)]
    assert probe.chip.transmitted_us == (start_us + 105, start_us + 105 + airtime_us(8, 125_000, 20))


def test_a_tcxo_is_waited_for_each_time_the_clock_starts() -> None:
    probe = Probe(cold=True, tcxo_start_us=TCXO_US)
    probe.command(0x97, b"\x01", (TCXO_US * 64 // 1000).to_bytes(3, "big"))
    probe.command(0x80, 1)
    assert probe.chip.busy_until_us - probe.world.now_us == TCXO_US + 31
    assert probe.chip.mode == tab.STBY_XOSC
    probe.command(0xC1)
    assert probe.chip.busy_until_us - probe.world.now_us == 40


@pytest.mark.parametrize("delay_us", [None, TCXO_US - 16])
def test_a_tcxo_without_power_or_time_fails_the_start(delay_us: int | None) -> None:
    probe = Probe(cold=True, tcxo_start_us=TCXO_US)
    if delay_us is not None:
        probe.command(0x97, b"\x01", (delay_us * 64 // 1000).to_bytes(3, "big"))
    probe.command(0x07, b"\0\0")
    probe.command(0x8A, 1)
    probe.command(0x82, b"\0\0\0")
    assert probe.command(0xC0, read=1)[0] >> 1 & 7 == tab.STATUS_FAILED
    assert probe.command(0x17, read=3)[1:] == b"\x00\x20"
    assert probe.chip.mode == tab.STBY_RC


# --- receive windows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spreading_factor", [7, 12])
def test_a_symbol_timeout_ends_an_empty_window(spreading_factor: int) -> None:
    probe = Probe()
    probe.configure(spreading_factor=spreading_factor)
    probe.command(0xA0, 6)
    probe.command(0x82, b"\0\0\0")
    start_us = probe.world.now_us + 62
    probe.wait(1_000_000)
    assert probe.edges == [start_us + 6 * (1 << spreading_factor) * 8]
    assert probe.take_irq() == tab.IRQ_TIMEOUT
    assert probe.chip.mode == tab.STBY_RC


@pytest.mark.parametrize(("asked", "kept"), [(1, 2), (6, 6), (7, 8), (62, 62), (63, 64), (200, 200), (255, 248)])
def test_a_symbol_count_is_rounded_up_as_the_chip_keeps_it(asked: int, kept: int) -> None:
    probe = Probe()
    probe.command(0xA0, asked)
    assert probe.chip.settings.symbol_timeout == kept


@pytest.mark.parametrize(("late_symbols", "irq"), [(0.9, tab.IRQ_RX_DONE), (1.1, tab.IRQ_TIMEOUT)])
def test_five_symbols_must_fit_into_the_window(late_symbols: float, irq: int) -> None:
    # the frame comes late into a window of six symbols
    probe = Probe()
    probe.configure()
    probe.command(0xA0, 6)
    probe.command(0x82, b"\0\0\0")
    probe.wait(62 + round(late_symbols * 1024))
    Beacon(probe).send()
    probe.wait(500_000)
    assert probe.take_irq() == irq


@pytest.mark.parametrize(("stop_on_preamble", "symbols", "irq"), [
    (0, 20.0, tab.IRQ_TIMEOUT), (0, 20.5, tab.IRQ_RX_DONE), (1, 5.5, tab.IRQ_RX_DONE), (1, 4.5, tab.IRQ_TIMEOUT),
])  # fmt: skip
def test_the_rx_timer_stops_at_the_header_unless_told_otherwise(
    stop_on_preamble: int, symbols: float, irq: int
) -> None:
    probe = Probe()
    probe.configure()
    probe.command(0x9F, stop_on_preamble)
    probe.command(0x82, round(symbols * 1024 * 1000 / 15625).to_bytes(3, "big"))
    probe.wait(62)
    Beacon(probe).send()
    probe.wait(500_000)
    assert probe.take_irq() == irq


def test_continuous_reception_goes_on_and_stores_one_frame_after_the_other() -> None:
    probe = Probe()
    probe.configure()
    probe.command(0x8F, 0, 10)
    probe.listen()
    for payload, start in ((b"first", 10), (b"second", 15)):
        Beacon(probe).send(payload=payload)
        probe.wait(500_000)
        assert probe.command(0x13, read=3)[1:] == bytes((len(payload), start))
        assert probe.frame() == payload
        assert probe.chip.mode == tab.RX


@pytest.mark.parametrize(("fallback", "mode"), [(0x20, tab.STBY_RC), (0x30, tab.STBY_XOSC), (0x40, tab.FS)])
def test_the_fallback_mode_follows_a_frame(fallback: int, mode: int) -> None:
    probe = Probe()
    probe.configure(length=4)
    probe.command(0x93, fallback)
    probe.send(b"four")
    probe.wait(500_000)
    assert probe.chip.mode == mode
    probe.listen(0)
    Beacon(probe).send()
    probe.wait(500_000)
    assert probe.chip.mode == mode


# --- frames -------------------------------------------------------------------------------------------------------


def test_two_chips_understand_each_other() -> None:
    node = Probe(station=Station("node", "node", (500.0, 0.0)))
    head = Probe(world=node.world, medium=node.medium, station=Station("head", "gateway"))
    head.configure(spreading_factor=10)
    head.listen()
    node.configure(spreading_factor=10, length=5, coding_rate=8)
    node.send(b"hello")
    node.wait(1_000_000)
    assert head.take_irq() == tab.IRQ_RX_DONE
    assert head.frame() == b"hello"
    # the header tells coding rate and CRC
    assert head.command(0x1D, b"\x07\x49", read=2)[1:] == b"\x40"
    assert head.command(0x1D, b"\x07\x6b", read=2)[1:] == b"\x10"


@pytest.mark.parametrize(("crc", "irq"), [(True, tab.IRQ_RX_DONE | tab.IRQ_CRC_ERR), (False, tab.IRQ_RX_DONE)])
def test_a_damaged_frame_shows_only_if_it_has_a_crc(crc: bool, irq: int) -> None:
    probe = Probe()
    probe.configure()
    probe.listen()
    payload = bytes(range(30))
    Beacon(probe, 0.0, "wanted").send(payload=payload, crc=crc)
    probe.wait(40_000)
    Beacon(probe, 0.0, "other").send()
    probe.wait(500_000)
    assert probe.take_irq() == irq
    assert probe.frame() != payload


def test_a_broken_header_is_told_and_the_search_goes_on() -> None:
    probe = Probe()
    probe.configure()
    probe.command(0x82, b"\0\0\0")
    probe.wait(100)
    Beacon(probe, 0.0, "wanted").send()
    probe.wait(15_000)
    Beacon(probe, 0.0, "other").send()
    probe.wait(10_000)
    assert probe.take_irq() == tab.IRQ_HEADER_ERR
    assert probe.chip.mode == tab.RX


def test_an_ldro_mismatch_cannot_be_decoded() -> None:
    probe = Probe()
    probe.configure(spreading_factor=11, ldro=False)
    probe.listen()
    Beacon(probe).send(11)
    probe.wait(2_000_000)
    assert probe.take_irq() == tab.IRQ_RX_DONE | tab.IRQ_CRC_ERR


@pytest.mark.parametrize("snr_db", [-7.0, -3.3, 0.1, 5.6, 11.9, 30.0])
def test_rssi_and_snr_are_rounded_as_the_chip_codes_them(snr_db: float) -> None:
    probe = Probe()
    probe.configure()
    probe.listen()
    Beacon(probe, snr_db).send()
    probe.wait(500_000)
    rssi, snr, signal = probe.packet_status()
    noise = noise_dbm(125_000)
    assert signal == pytest.approx(noise + snr_db, abs=0.251)
    assert rssi == pytest.approx(total_dbm(noise + snr_db, noise), abs=0.251)
    assert snr == pytest.approx(min(snr_db, 12.0), abs=0.126)


def test_instantaneous_rssi_is_the_noise_and_what_is_on_air() -> None:
    probe = Probe()
    probe.configure()
    probe.listen()
    quiet = -probe.command(0x15, read=2)[1] / 2
    assert quiet == pytest.approx(noise_dbm(125_000), abs=0.251)
    Beacon(probe, 10.0).send()
    assert -probe.command(0x15, read=2)[1] / 2 == pytest.approx(quiet + 10.4, abs=0.6)


@pytest.mark.parametrize(
    ("pa", "param", "dbm"),
    [
        ((4, 7), 14, 14.0),
        ((4, 7), 22, 22.0),
        ((2, 2), 22, 14.0),
        ((2, 3), 22, 17.0),
        ((3, 5), 20, 18.0),
        ((4, 7), 247, -9.0),
    ],
)
def test_power_is_the_parameter_within_what_the_pa_gives(pa: tuple[int, int], param: int, dbm: float) -> None:
    probe = Probe()
    sent = []
    transmit = probe.medium.transmit
    probe.medium.transmit = lambda tx: (sent.append(tx.power_dbm), transmit(tx))[1]  # type: ignore[method-assign,func-returns-value]
    probe.configure(length=4)
    probe.command(0x95, *pa, 0, 1)
    probe.command(0x8E, param, 4)
    probe.send(b"four")
    probe.wait(500_000)
    assert sent == [dbm]


def test_leaving_tx_cuts_the_frame_and_a_tx_timeout_does_too() -> None:
    for timer, irq in ((0, 0), (640, tab.IRQ_TIMEOUT)):
        node = Probe(station=Station("node", "node", (500.0, 0.0)))
        head = Probe(world=node.world, medium=node.medium, station=Station("head", "gateway"))
        head.configure()
        head.listen()
        node.configure(length=40)
        node.command(0x0E, 0, bytes(40))
        node.command(0x83, timer.to_bytes(3, "big"))
        node.wait(30_000)
        if not timer:
            node.command(0x80, 1)
        node.wait(500_000)
        assert node.take_irq() == irq
        assert head.chip.stats["rx"] == head.chip.stats["crc_errors"]


# --- interrupts ---------------------------------------------------------------------------------------------------


def test_bits_outside_the_mask_are_never_set_and_dio1_rises_once() -> None:
    probe = Probe()
    probe.command(0x08, b"\x00\x02\x00\x02\x00\x00\x00\x00")
    probe.configure()
    probe.listen()
    Beacon(probe).send()
    probe.wait(500_000)
    assert probe.chip.dio1_level == 1
    Beacon(probe).send()
    probe.wait(500_000)
    assert len(probe.edges) == 1
    assert probe.command(0x12, read=3)[1:] == b"\x00\x02"
    probe.command(0x02, b"\x00\x02")
    assert probe.chip.dio1_level == 0
    Beacon(probe).send()
    probe.wait(500_000)
    assert len(probe.edges) == 2


def test_an_interrupt_not_routed_to_dio1_is_only_readable() -> None:
    probe = Probe()
    probe.command(0x08, b"\x00\x02\x00\x00\x00\x00\x00\x00")
    probe.configure()
    probe.listen()
    Beacon(probe).send()
    probe.wait(500_000)
    assert (probe.chip.dio1_level, probe.edges, probe.take_irq()) == (0, [], tab.IRQ_RX_DONE)


# --- sleep and reset ----------------------------------------------------------------------------------------------


def test_cold_sleep_loses_everything_and_takes_longer_to_wake() -> None:
    probe = Probe()
    probe.configure(spreading_factor=9)
    probe.command(0x84, 0)
    assert probe.chip.asleep
    probe.wait(10_000)
    probe.raw(b"")
    assert not probe.chip.asleep
    assert probe.chip.busy_until_us - probe.world.now_us == 3500
    assert probe.chip.settings.spreading_factor == 7
    assert probe.chip.settings.packet_type == 0
    assert probe.command(0x1D, b"\x07\x40", read=3)[1:] == b"\x14\x24"


def test_warm_sleep_keeps_the_settings_and_the_clamp() -> None:
    probe = Probe()
    probe.configure(spreading_factor=9)
    probe.command(0x84, 4)
    probe.wait(10_000)
    probe.raw(b"")
    assert probe.chip.busy_until_us - probe.world.now_us == 340
    assert probe.chip.settings.spreading_factor == 9
    assert probe.command(0x1D, b"\x08\xd8", read=2)[1:] == b"\xde"
    assert probe.command(0x1D, b"\x08\x89", read=2)[1:] == b"\x01"


def test_getstatus_may_wake_it_anything_else_may_not() -> None:
    for command, violations in ((b"\xc0\x00", []), (b"\x80\x00", [("protocol", "busy")])):
        probe = Probe()
        probe.command(0x84, 4)
        probe.wait(10_000)
        probe.raw(command)
        assert _rules(probe) == violations
        assert not probe.chip.asleep


def test_it_may_not_be_woken_while_it_falls_asleep() -> None:
    probe = Probe()
    probe.command(0x84, 4)
    probe.wait(499)
    probe.raw(b"")
    assert _rules(probe) == [("protocol", "sleep")]


def test_sleep_is_entered_from_standby_only() -> None:
    probe = Probe()
    probe.configure()
    probe.listen()
    probe.command(0x84, 4)
    assert _rules(probe) == [("protocol", "mode")]
    assert probe.chip.mode == tab.RX


def test_reset_ends_what_is_under_way() -> None:
    probe = Probe()
    probe.configure(length=16)
    probe.send()
    probe.wait(10_000)
    probe.chip.reset(probe.world.now_us)
    assert probe.chip.busy_until_us - probe.world.now_us == 3500
    probe.wait(500_000)
    assert probe.edges == []
    assert probe.command(0xC0, read=1) == b"\x22"
    assert probe.command(0x1D, b"\x08\xd8", read=2)[1:] == b"\xc8"


# --- errata and law -----------------------------------------------------------------------------------------------


def test_the_wrong_iq_bit_is_noted_at_each_transmission_and_each_reception() -> None:
    # micropython-lib's driver sets the bit for inverted and clears it for standard: just the other way
    probe = Probe()
    probe.configure(length=4, iq_register=0x09)
    probe.send(b"four")
    probe.wait(500_000)
    probe.configure(invert_iq=True, iq_register=0x0D)
    probe.listen(0)
    assert _rules(probe) == [("errata", "15.4"), ("errata", "15.4")]
    assert probe.chip.errata_violations == 2
    assert probe.chip.stats["tx"] == 1


def test_right_bits_are_not_noted() -> None:
    probe = Probe()
    for invert_iq in (False, True):
        for bandwidth_hz in (125_000, 250_000, 500_000):
            probe.configure(length=4, invert_iq=invert_iq, bandwidth_hz=bandwidth_hz)
            probe.send(b"four")
            probe.wait(500_000)
            probe.listen(0)
    assert _rules(probe) == []


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("0d088901", ("errata", "15.1")),
        ("0d08d8c8", ("errata", "15.2")),
        ("9d00", ("protocol", "rf_switch")),
        ("9504070101", ("protocol", "pa_config")),
        ("8e1704", ("protocol", "tx_params")),
        ("98e1e9", ("calibration", "image")),
    ],
)
def test_what_is_wrong_at_settx_is_noted(command: str, rule: tuple[str, str]) -> None:
    probe = Probe()
    probe.configure(length=4)
    probe.command(bytes.fromhex(command))
    probe.send(b"four")
    assert rule in _rules(probe)


def test_500_khz_wants_the_modulation_bit_clear() -> None:
    probe = Probe()
    probe.configure(length=4, bandwidth_hz=500_000)
    probe.command(0x0D, b"\x08\x89\x05")
    probe.send(b"four")
    assert _rules(probe) == [("errata", "15.1")]


@pytest.mark.parametrize(
    ("frequency_hz", "param", "gain_db", "rules"),
    [
        (868_100_000, 14, 2.15, []),
        (868_100_000, 15, 2.15, [("law", "power")]),
        (868_100_000, 14, 3.0, [("law", "power")]),
        (869_525_000, 22, 2.15, []),
        (868_650_000, 14, 0.0, [("law", "frequency")]),
    ],
)
def test_illegal_power_and_frequency_are_noted(
    frequency_hz: int, param: int, gain_db: float, rules: list[tuple[str, str]]
) -> None:
    probe = Probe(station=Station("probe", "node", antenna_gain_db=gain_db))
    probe.configure(frequency_hz=frequency_hz, length=4)
    probe.command(0x8E, param, 4)
    probe.send(b"four")
    assert _rules(probe) == rules


def test_nothing_goes_on_air_before_the_packet_type_is_lora() -> None:
    probe = Probe(cold=True)
    probe.command(0x83, b"\0\0\0")
    probe.wait(1_000_000)
    assert ("protocol", "packet_type") in _rules(probe)
    assert probe.chip.stats["tx"] == 0


@pytest.mark.parametrize("command", ["8b0404", "8b04040100", "8b07070100", "8b07040500"])
def test_modulation_that_does_not_exist_is_refused(command: str) -> None:
    probe = Probe()
    probe.command(bytes.fromhex(command))
    assert probe.chip.violation_counts["protocol"] == 1
    assert probe.chip.settings.spreading_factor == 7


def test_an_unknown_opcode_is_noted_and_answered_as_a_bad_command() -> None:
    probe = Probe()
    probe.command(0xC5)
    assert _rules(probe) == [("protocol", "opcode")]
    assert probe.command(0xC0, read=1)[0] >> 1 & 7 == tab.STATUS_BAD_COMMAND


def test_the_list_of_violations_is_bounded_their_count_is_not() -> None:
    probe = Probe()
    for _ in range(MAX_VIOLATIONS + 1):
        probe.command(0xC5)
    assert len(probe.chip.violations) == MAX_VIOLATIONS
    assert probe.chip.violation_counts["protocol"] == MAX_VIOLATIONS + 1


# --- rubbish ------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.builds(
                lambda op, rest: bytes((op,)) + rest, st.sampled_from(sorted(tab.COMMANDS)), st.binary(max_size=9)
            ),
        ),
        max_size=30,
    ),
    st.integers(0, 5000),
)
def test_no_bytes_break_it(transactions: list[bytes], pause_us: int) -> None:
    world = World(1)
    chip = SX1262(world, Medium(world), Station("n", "node"))
    for mosi in transactions:
        chip.select(world.now_us)
        answer = chip.transfer(world.now_us, mosi) if mosi else b""
        assert len(answer) == len(mosi)
        chip.deselect(world.now_us)
        world.run(world.now_us + pause_us)
    chip.reset(world.now_us)
    world.run(world.now_us + 4000)
    chip.select(world.now_us)
    assert chip.transfer(world.now_us, b"\xc0\x00")[1] == 0x22
