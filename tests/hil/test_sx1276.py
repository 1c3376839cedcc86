"""The SX1276 model: register traces of a real driver, modes and times, interrupts, sleep, errata, and rubbish."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_hil.medium import Medium, Station
from siel_hil.medium_physics import airtime_us, noise_dbm
from siel_hil.models import sx1276_tables as tab
from siel_hil.models.conformance import Beacon, Probe
from siel_hil.models.sx1276 import SX1276
from siel_hil.world import World

START_TX_US = tab.SYNTHESIZER_US + tab.TX_RAMP_US
START_RX_US = tab.SYNTHESIZER_US + tab.RX_START_US
PAYLOAD = bytes(range(12))
# micropython-lib's lora-sx127x, byte by byte: an R is a read and its answer, a W a write
CONSTRUCT = "R42=12 R01=09 W01=80 W01=89"
CONFIGURE = (
    "W06=D90666 W4D=84 R09=4F W09=8C W12=FF W11=00 W36=03 R1D=72 W37=0A R31=C3 W31=43 R1E=70 W1E=94 R33=27 W33=67 "
    "W20=0008 R26=00 W39=34"
)
SEND = "R01=89 R40=00 W40=40 W0D=00 W0E=00 W22=0C W00=000102030405060708090A0B W12=08 R01=89 W01=8B"
RECEIVE = "R01=89 W3B=19 R40=40 W40=00 R1E=94 W1F=7B W0D=00 W0F=00 R01=89 W01=8E"
ERRATUM_2_3 = "W2F=40 W30=00"


class Board:
    """A chip driven by register accesses, written as above."""

    def __init__(
        self, world: World | None = None, medium: Medium | None = None, station: Station | None = None
    ) -> None:
        self.world = world or World(1)
        self.medium = medium or Medium(self.world)
        self.chip = SX1276(self.world, self.medium, station or Station("board", "node"))
        self.dio0: list[int] = []
        self.dio1: list[int] = []
        self.chip.on_dio0 = lambda: self.dio0.append(self.world.now_us)
        self.chip.on_dio1 = lambda: self.dio1.append(self.world.now_us)

    def transaction(self, mosi: bytes) -> bytes:
        self.chip.select(self.world.now_us)
        answer = self.chip.transfer(self.world.now_us, mosi[:1]) + self.chip.transfer(self.world.now_us, mosi[1:])
        self.chip.deselect(self.world.now_us)
        return answer[1:]

    def read(self, address: int, n: int = 1) -> bytes:
        # what a driver clocks out while it reads is stale
        return self.transaction(bytes([address]) + b"\xab" * n)

    def drive(self, trace: str) -> None:
        for access in trace.split():
            address, data = int(access[1:3], 16), bytes.fromhex(access[4:])
            if access[0] == "R":
                assert self.read(address, len(data)) == data, access
            else:
                self.transaction(bytes([address | 0x80]) + data)

    def wait(self, us: int) -> None:
        self.world.run(self.world.now_us + us)

    def ready(self) -> Board:
        self.drive(f"{CONSTRUCT} {CONFIGURE} {ERRATUM_2_3}")
        self.wait(1000)
        return self

    def rules(self) -> list[tuple[str, str]]:
        return [(violation.kind, violation.rule) for violation in self.chip.violations]


# --- what a real driver sends -------------------------------------------------------------------------------------


def test_what_a_real_driver_configures_is_what_goes_on_air() -> None:
    board = Board()
    sent: list[dict[str, object]] = []
    board.medium.on_event.append(lambda event, info: sent.append(info) if event == "transmit" else None)
    board.drive(f"{CONSTRUCT} {CONFIGURE}")
    board.wait(1000)
    board.drive(SEND)
    start_us = board.world.now_us + START_TX_US
    board.wait(200_000)
    assert board.dio0 == [start_us + airtime_us(9, 125_000, 12)]
    board.drive("R12=08 W12=FF R12=00 R01=89")
    assert sent[0]["payload"] == PAYLOAD
    assert (sent[0]["spreading_factor"], sent[0]["bandwidth_hz"]) == (9, 125_000)
    assert sent[0]["frequency_hz"] == pytest.approx(868_100_000, abs=31)
    assert sent[0]["t0_us"] == start_us
    assert board.rules() == []


def test_a_reception_of_a_real_driver() -> None:
    board = Board()
    board.drive(f"{CONSTRUCT} {CONFIGURE} W40=40 {RECEIVE}")
    board.wait(START_RX_US)
    Beacon(board, 8.0).send(9, b"hello", invert_iq=True, crc=False)
    board.wait(250_000)
    assert len(board.dio0) == 1
    board.drive("R12=50 W12=50 R13=05 R10=00 W0D=00")
    assert board.read(tab.FIFO, 5) == b"hello"
    board.drive("R19=20 R01=89 R12=00")
    assert board.dio1 == []
    # the driver leaves the intermediate frequency as it comes out of reset
    assert board.rules() == [("errata", "2.3")]


def test_a_window_of_a_real_driver_ends_when_nothing_comes() -> None:
    board = Board()
    board.drive(f"{CONSTRUCT} {CONFIGURE} W40=40 {RECEIVE}")
    start_us = max(board.world.now_us, tab.CRYSTAL_US) + START_RX_US
    board.wait(505_000)
    assert board.dio1 == [start_us + 123 * 4096]
    assert board.dio0 == []
    board.drive("R12=80 W12=80 R01=89")


def test_two_models_of_chip_understand_each_other() -> None:
    board = Board(station=Station("board", "node", (500.0, 0.0)))
    board.ready()
    head = Probe(world=board.world, medium=board.medium, station=Station("head", "gateway"))
    head.configure(spreading_factor=9)
    head.listen()
    board.drive(SEND)
    board.wait(200_000)
    assert head.frame() == PAYLOAD
    board.drive("W12=FF W40=40 " + RECEIVE)
    board.wait(1000)
    head.configure(spreading_factor=9, invert_iq=True, length=5, crc=False)
    head.send(b"hello")
    board.wait(200_000)
    board.drive("R12=50 R13=05 W0D=00 R00=68656C6C6F")
    assert board.rules() == []


# --- modes and times ----------------------------------------------------------------------------------------------


def test_a_mode_takes_its_time_from_where_it_starts() -> None:
    for before, late_us in (("", START_TX_US), ("W01=8A", tab.TX_RAMP_US), ("W01=88", tab.CRYSTAL_US + START_TX_US)):
        board = Board().ready()
        board.drive(before)
        board.wait(1000)
        board.drive("W01=8B")
        now_us = board.world.now_us
        board.wait(500_000)
        assert board.chip.transmitted_us[0] - now_us == late_us


def test_leaving_a_mode_ends_what_is_under_way() -> None:
    board = Board().ready()
    board.drive(SEND)
    board.wait(10_000)
    board.drive("W01=89")
    end_us = board.world.now_us
    board.wait(500_000)
    assert board.chip.transmitted_us[1] == end_us
    board.drive("R12=00")
    board.drive("W01=8E")
    board.wait(10_000)
    board.drive("W01=89")
    board.wait(2_000_000)
    board.drive("R12=00")
    assert (board.dio0, board.dio1) == ([], [])


def test_a_start_that_is_taken_back_at_once_never_happens() -> None:
    board = Board().ready()
    board.drive(f"{SEND} W01=89")
    board.wait(500_000)
    assert board.chip.stats["tx"] == 0


@pytest.mark.parametrize(("value", "mode"), [("09", "89"), ("0B", "8B"), ("08", "08")])
def test_the_modem_changes_in_sleep_only(value: str, mode: str) -> None:
    board = Board().ready()
    board.drive(f"W01={value} R01={mode}")
    assert (("protocol", "long_range") in board.rules()) == (value != "08")


def test_nothing_goes_on_air_before_the_modem_is_lora() -> None:
    board = Board()
    board.drive("W01=0B R01=09")
    board.wait(1_000_000)
    assert board.rules() == [("protocol", "packet_type")]
    assert board.chip.stats["tx"] == 0


@pytest.mark.parametrize("trace", ["W1D=A2", "W1D=70", "W1D=7A", "W1E=60", "W1E=D0"])
def test_modulation_that_does_not_exist_is_refused(trace: str) -> None:
    board = Board().ready()
    board.drive(f"{trace} W01=8B R01=89")
    board.wait(1_000_000)
    assert board.rules() == [("protocol", "modem_config")]
    assert board.chip.stats["tx"] == 0


def test_cad_is_refused() -> None:
    board = Board().ready()
    board.drive("W01=8F R01=89")
    assert board.rules() == [("protocol", "mode")]


# --- receive windows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late_symbols", "irq"), [(0.9, "50"), (1.1, "80")])
def test_five_symbols_must_fit_into_the_window(late_symbols: float, irq: str) -> None:
    board = Board().ready()
    board.drive("W3B=19 W1F=06 W01=8E")
    board.wait(START_RX_US + round(late_symbols * 4096))
    Beacon(board).send(9, invert_iq=True)
    board.wait(500_000)
    board.drive(f"R12={irq} R01=89")


def test_the_symbol_count_has_ten_bits() -> None:
    board = Board().ready()
    board.drive("W3B=19 W1E=97 W1F=FF W01=8E")
    start_us = board.world.now_us + START_RX_US
    board.wait(5_000_000)
    assert board.dio1 == [start_us + 1023 * 4096]


def test_continuous_reception_goes_on_and_stores_one_frame_after_the_other() -> None:
    board = Board().ready()
    board.drive("W3B=19 W0F=FC W01=8D")
    board.wait(1000)
    for payload, start in ((b"first", "FC"), (b"second", "01")):
        Beacon(board).send(9, payload, invert_iq=True)
        board.wait(500_000)
        board.drive(f"R12=50 W12=FF R01=8D R10={start} W0D={start}")
        assert board.read(tab.FIFO, len(payload)) == payload
    board.drive("R14=0002 R16=0002")
    assert len(board.dio0) == 2


@pytest.mark.parametrize(("crc", "irq"), [(True, "70"), (False, "50")])
def test_a_damaged_frame_shows_only_if_it_has_a_crc(crc: bool, irq: str) -> None:
    board = Board().ready()
    board.drive("W3B=19 W01=8D")
    board.wait(1000)
    payload = bytes(range(30))
    Beacon(board, 0.0, "wanted").send(9, payload, invert_iq=True, crc=crc)
    board.wait(150_000)
    Beacon(board, 0.0, "other").send(9, invert_iq=True)
    board.wait(500_000)
    board.drive(f"R12={irq} W0D=00")
    assert board.read(tab.FIFO, 30) != payload


def test_a_frame_longer_than_allowed_has_a_bad_header() -> None:
    board = Board().ready()
    board.drive("W3B=19 W23=04 W01=8D")
    board.wait(1000)
    Beacon(board).send(9, b"12345", invert_iq=True)
    board.wait(500_000)
    board.drive("R12=00")
    assert board.chip.stats["header_errors"] == 1


def test_an_ldro_mismatch_cannot_be_decoded() -> None:
    board = Board().ready()
    board.drive("W3B=19 W1E=B4 W26=00 W01=8D")
    board.wait(1000)
    Beacon(board).send(11, invert_iq=True)
    board.wait(2_000_000)
    board.drive("R12=70")
    assert board.rules() == [("protocol", "ldro")]


@pytest.mark.parametrize("snr_db", [-7.0, -3.3, 5.6, 11.9, 30.0])
def test_rssi_and_snr_are_coded_as_the_datasheet_says(snr_db: float) -> None:
    board = Board().ready()
    board.drive("W3B=19 W01=8E")
    board.wait(START_RX_US)
    Beacon(board, snr_db).send(9, invert_iq=True)
    board.wait(500_000)
    snr = int.from_bytes(board.read(tab.PKT_SNR), "big", signed=True) / 4
    rssi = board.read(tab.PKT_RSSI)[0]
    assert snr == pytest.approx(min(snr_db, 12.0), abs=0.126)
    signal_dbm = -157 + (rssi * 16 / 15 if snr >= 0 else rssi + snr)
    # the whole power in the channel; at 5 dB noise is 1.2 dB of it
    assert signal_dbm == pytest.approx(noise_dbm(125_000) + snr_db, abs=2.2)


def test_instantaneous_rssi_is_the_noise_and_what_is_on_air() -> None:
    board = Board().ready()
    board.drive("R1B=00 W3B=19 W01=8D")
    board.wait(1000)
    quiet_dbm = board.read(tab.RSSI)[0] - 157
    assert quiet_dbm == pytest.approx(noise_dbm(125_000), abs=0.51)
    Beacon(board, 20.0).send(9)
    assert board.read(tab.RSSI)[0] - 157 == pytest.approx(quiet_dbm + 20, abs=1.1)


def test_the_modem_status_follows_a_reception() -> None:
    board = Board().ready()
    board.drive("R18=10 W3B=19 W01=8D")
    board.wait(1000)
    board.drive("R18=04")
    Beacon(board).send(9, invert_iq=True, coding_rate=6)
    board.wait(8 * 4096)
    board.drive("R18=07")
    board.wait(14 * 4096)
    board.drive("R18=4F R1C=40")


# --- interrupts ---------------------------------------------------------------------------------------------------


def test_masked_flags_are_never_set() -> None:
    board = Board().ready()
    board.drive("W11=F7 W3B=19 W1F=06 W01=8E")
    board.wait(500_000)
    board.drive("R12=00 R01=89")
    assert board.dio1 == []


def test_a_pin_stays_high_until_its_flag_is_cleared_or_mapped_away() -> None:
    board = Board().ready()
    board.drive(SEND)
    board.wait(500_000)
    assert board.chip.dio0_level == 1
    board.drive("W40=00")
    assert board.chip.dio0_level == 0
    board.drive("W40=40")
    assert len(board.dio0) == 2
    board.drive("W12=08")
    assert board.chip.dio0_level == 0


# --- registers, sleep and reset -----------------------------------------------------------------------------------


def test_a_burst_runs_through_the_registers_but_stays_at_the_fifo() -> None:
    board = Board().ready()
    board.drive("W06=6C8012 R07=8012 W0D=FE W00=01020304 R0D=02 W0D=FE R00=01020304")


def test_sleep_keeps_registers_and_loses_the_fifo() -> None:
    board = Board().ready()
    board.drive("W0D=00 W00=6162 W01=88 R06=D90666 R1E=94 W01=89 R0D=02 W0D=00 R00=0000")
    board.drive("W01=88 R00=00")
    assert board.rules() == [("protocol", "fifo")]


def test_the_fsk_page_is_a_page_of_its_own() -> None:
    board = Board().ready()
    board.drive("W01=C9 R1E=00 W1E=55 W01=89 R1E=94 W01=C9 R1E=55")


def test_reset_ends_what_is_under_way_and_takes_five_milliseconds() -> None:
    board = Board().ready()
    board.drive(SEND)
    board.wait(10_000)
    board.chip.reset(board.world.now_us)
    board.wait(4999)
    assert board.read(tab.VERSION) == b"\0"
    assert board.rules() == [("protocol", "reset")]
    board.wait(500_000)
    board.drive("R42=12 R01=09 R06=6C80")
    assert board.dio0 == []


def test_what_the_chip_writes_itself_is_not_written_to() -> None:
    board = Board().ready()
    board.drive("W13=07 R13=00")
    assert board.rules() == [("protocol", "read_only")]


def test_the_modem_is_not_configured_while_it_works() -> None:
    board = Board().ready()
    board.drive(f"{SEND} W06=D9")
    assert board.rules() == [("protocol", "mode")]


# --- errata and law -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trace", "rules"),
    [
        ("", []),
        ("W31=45", [("protocol", "detection")]),
        ("W37=0C", [("protocol", "detection")]),
        ("W3B=19", [("protocol", "invert_iq_2")]),
        ("W33=66", [("protocol", "invert_iq_2")]),
        ("W33=66 W3B=19", []),
        ("W1E=C4", [("protocol", "ldro")]),
        ("W1E=C4 W26=08", []),
        ("W09=7C", [("protocol", "pa_select")]),
        ("W4D=85", [("protocol", "pa_dac")]),
        ("W4D=87", [("protocol", "ocp"), ("law", "power")]),
        ("W4D=87 W0B=31", [("law", "power")]),
        ("W4D=87 W0B=31 W06=D9619A", []),
        ("W09=8F", [("law", "power")]),
        ("W06=D90000", []),
        ("W06=D92A00", [("law", "frequency")]),
    ],
)
def test_what_is_wrong_at_transmission_is_noted(trace: str, rules: list[tuple[str, str]]) -> None:
    board = Board(station=Station("board", "node", antenna_gain_db=2.15)).ready()
    board.drive(trace)
    board.drive("W01=8B")
    assert board.rules() == rules


@pytest.mark.parametrize(
    ("trace", "rules"),
    [
        ("W3B=19", []),
        ("", [("protocol", "invert_iq_2")]),
        ("W33=27", []),
        ("W3B=19 W1F=03", [("protocol", "symb_timeout")]),
        ("W3B=19 W31=C3", [("errata", "2.3")]),
        ("W3B=19 W2F=44", [("errata", "2.3")]),
        ("W3B=19 W1D=22 W1E=74 W26=08 W2F=44", []),
        ("W3B=19 W1D=92 W31=C3", [("errata", "2.1")]),
        ("W3B=19 W1D=92 W31=C3 W36=02 W3A=64", []),
        ("W3B=19 W1D=92 W36=02 W3A=64", [("errata", "2.3")]),
        ("W3B=19 W36=02", [("errata", "2.1")]),
    ],
)
def test_what_is_wrong_at_reception_is_noted(trace: str, rules: list[tuple[str, str]]) -> None:
    board = Board().ready()
    board.drive(f"{trace} W01=8E")
    assert board.rules() == rules
    assert board.chip.errata_violations == sum(kind == "errata" for kind, _rule in rules)


@pytest.mark.parametrize(
    ("registers", "dbm"),
    [("W09=8C", 14.0), ("W09=80", 2.0), ("W09=7E", 14.0), ("W09=40", -1.8), ("W09=8F W4D=87", 20.0)],
)
def test_power_is_what_the_registers_give(registers: str, dbm: float) -> None:
    board = Board().ready()
    sent: list[float] = []
    transmit = board.medium.transmit
    board.medium.transmit = lambda tx: (sent.append(tx.power_dbm), transmit(tx))[1]  # type: ignore[method-assign,func-returns-value]
    board.drive(f"{registers} W01=8B")
    board.wait(1_000_000)
    assert sent == [pytest.approx(dbm)]


# --- rubbish ------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.builds(lambda mode: bytes((0x81, mode)), st.sampled_from((*range(0x80, 0x90), 0x00, 0x09))),
            st.builds(
                lambda at, value: bytes((at | 0x80, value)), st.sampled_from(sorted(tab.RESET)), st.integers(0, 255)
            ),
        ),
        max_size=30,
    ),
    st.integers(0, 5000),
)
def test_no_bytes_break_it(transactions: list[bytes], pause_us: int) -> None:
    board = Board()
    board.drive(CONSTRUCT)
    for mosi in transactions:
        board.chip.select(board.world.now_us)
        assert len(board.chip.transfer(board.world.now_us, mosi)) == len(mosi)
        board.chip.deselect(board.world.now_us)
        Beacon(board).send()
        board.wait(pause_us)
    board.chip.reset(board.world.now_us)
    board.wait(5000)
    board.drive(CONSTRUCT)


@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(0, 10), min_size=1, max_size=5))
def test_any_split_of_a_transaction_gives_the_same_answer(payload: bytes, sizes: list[int]) -> None:
    board = Board()
    board.drive(f"{CONSTRUCT} W0D=FA W00={payload.hex()} W0D=FA")
    rest, answer = bytes(1 + len(payload)), b""
    board.chip.select(board.world.now_us)
    for size in [*sizes, len(rest)]:
        answer += board.chip.transfer(board.world.now_us, rest[:size])
        rest = rest[size:]
    board.chip.deselect(board.world.now_us)
    assert answer == b"\0" + payload
