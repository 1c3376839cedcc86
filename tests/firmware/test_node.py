"""The shipped node image on real MicroPython, with its chip, its sensors and a network that answers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siel_codecs import lorawan, registry
from siel_hil.errors import ParticipantError
from siel_hil.medium import Medium, Reception, Station, Transmission
from siel_hil.models.sx1262 import SX1262
from siel_hil.pins import Wiring
from siel_hil.process import MicroPythonBoard
from siel_hil.stage import Stage, spi_pins
from siel_hil.world import World
from siel_node import identity

APP_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
DEV_ADDR = 0x02000001
VALUES = {
    "dev_eui": "0004a30b001c0530",
    "join_eui": "70b3d57ed0000001",
    "app_key": APP_KEY.hex(),
    "join_dr": 5,
    "interval_s": 60,
    "codec": "siel/water_level",
}


class Network:
    """A gateway that hears everything, and the server behind it."""

    def __init__(self, world: World, medium: Medium) -> None:
        self.world = world
        self.medium = medium
        self.station = Station("gateway", "gateway", (0.0, 0.0))
        self.name = "gateway"
        self.receiving_since_us: int | None = 0
        self.searching_since_us = 0
        self.transmitted_us = (-1, -1)
        self.heard: list[Transmission] = []
        self.dev_nonces: list[int] = []
        self.uplinks: list[lorawan.DataFrame] = []
        self.answer: Callable[[lorawan.DataFrame], bytes | None] = lambda frame: None
        self.f_cnt_down = 0
        self.window = 1
        self.deaf = False
        self.nwk_s_key = self.app_s_key = b""
        medium.attach(self)

    def mismatch(self, tx: Transmission) -> str:
        return "not_listening" if self.deaf else ""

    def preamble(self, reception: Reception) -> bool:
        return True

    def header(self, reception: Reception, intact: bool) -> bool:
        return True

    def finish(self, reception: Reception, intact: bool) -> bool:
        if intact and not reception.tx.invert_iq:
            self.heard.append(reception.tx)
            self._handle(reception.tx)
        return intact

    def _handle(self, tx: Transmission) -> None:
        frame = lorawan.parse_phy(tx.payload)
        if isinstance(frame, lorawan.JoinRequest):
            assert lorawan.join_request_mic(APP_KEY, tx.payload[:-4]) == tx.payload[-4:]
            self.dev_nonces.append(frame.dev_nonce)
            join_nonce = len(self.dev_nonces)
            self.nwk_s_key, self.app_s_key = lorawan.derive_session_keys(APP_KEY, join_nonce, 1, frame.dev_nonce)
            accept = lorawan.encode_join_accept(APP_KEY, join_nonce=join_nonce, net_id=1, dev_addr=DEV_ADDR)
            self._send(tx, accept, 5 if self.window == 1 else 6)
        elif isinstance(frame, lorawan.DataFrame):
            assert lorawan.data_mic(self.nwk_s_key, tx.payload[:-4], DEV_ADDR, frame.f_cnt, True) == tx.payload[-4:]
            self.uplinks.append(frame)
            answer = self.answer(frame)
            if answer is not None:
                self._send(tx, answer, self.window)

    def down(self, f_opts: bytes = b"", f_port: int = -1, payload: bytes = b"", ack: bool = False) -> bytes:
        f_cnt, self.f_cnt_down = self.f_cnt_down, self.f_cnt_down + 1
        phy = struct.pack("<BIBH", 0x60, DEV_ADDR, (0x20 if ack else 0) | len(f_opts), f_cnt) + f_opts
        if f_port >= 0:
            phy += bytes((f_port,)) + lorawan.crypt_payload(self.app_s_key, DEV_ADDR, f_cnt, False, payload)
        return phy + lorawan.data_mic(self.nwk_s_key, phy, DEV_ADDR, f_cnt, False)

    def _send(self, tx: Transmission, phy: bytes, delay_s: int) -> None:
        down = Transmission(
            self.station,
            tx.frequency_hz if self.window == 1 else 869525000,
            tx.spreading_factor if self.window == 1 else 12,
            125000,
            phy,
            invert_iq=True,
            crc=False,
            ldro=self.window == 2 or tx.spreading_factor > 10,
        )
        self.world.at(tx.end_us + delay_s * 1_000_000, self.medium.transmit, down)


class Ultrasonic:
    """An A02YYUW that talks while its power pin is high."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.send: Callable[[bytes], None] = lambda data: None
        self.distance_mm = 1953
        self.on = 0
        self.broken = False

    def receive(self, t_us: int, data: bytes) -> None:
        pass

    def level(self, t_us: int, value: int) -> None:
        if value and not self.on:
            self.world.at(t_us + 400_000, self._talk)
        self.on = value

    def _talk(self) -> None:
        if self.on and not self.broken:
            frame = bytes((0xFF, self.distance_mm >> 8, self.distance_mm & 0xFF))
            self.send(frame + bytes((sum(frame) & 0xFF,)))
            self.world.at(self.world.now_us + 150_000, self._talk)


class Hygrometer:
    """An SHT4x that always measures the datasheet's midpoints."""

    def write(self, t_us: int, data: bytes) -> bool:
        return True

    def read(self, t_us: int, n: int) -> bytes | None:
        return bytes.fromhex("666693666693")


class Bench:
    """One node beside one gateway."""

    def __init__(
        self,
        folder: Path,
        damage: str = "",
        ballast_bytes: int = 0,
        plant: tuple[str, str, str] | None = None,
        **changes: object,
    ) -> None:
        self.world = World(1)
        self.medium = Medium(self.world)
        self.network = Network(self.world, self.medium)
        stage = Stage(folder)
        if plant is not None:
            module, good, bad = plant
            stage.patch("pico_sx1262", module, lambda source: source.replace(good, bad))
        data = stage.board_data("pico_sx1262")
        self.chip = SX1262(self.world, self.medium, Station("node", "node", (300.0, 0.0)), tcxo_start_us=3000)
        self.level = Ultrasonic(self.world)
        sensors = {sensor["kind"]: sensor for sensor in data["sensor"]}
        wiring = Wiring(
            spi=[(self.chip, spi_pins(data["radio"][0]))],
            uarts={sensors["a02yyuw"]["uart"]: self.level},
            i2c={(sensors["sht4x"]["i2c"], sensors["sht4x"]["address"]): Hygrometer()},
            outputs=[(sensors["a02yyuw"]["power"], self.level)],
        )
        self.lines: list[str] = []
        values = identity.seal({**VALUES, **changes})
        if damage == "crc":
            values["crc"] = "00000000"
        elif damage == "codec":
            values = identity.seal({**VALUES, "codec": "siel/none"})
        files = {} if damage == "missing" else {"/identity.json": json.dumps(values).encode()}
        if ballast_bytes:
            files["/ballast"] = bytes(ballast_bytes)
        self.board: MicroPythonBoard = stage.build(self.world, "node", "pico_sx1262", wiring, files, self.lines.append)
        self.commands: list[tuple[int, bytes]] = []
        self.flash_writes: list[int] = []
        self._cut_after = -1
        self._spy()

    def _spy(self) -> None:
        """Note when each SPI command ended and when flash was written."""
        sent = bytearray()
        chip_transfer, chip_deselect = self.chip.transfer, self.chip.deselect
        flash = self.board._do[ord("K")]

        def transfer(t_us: int, mosi: bytes) -> bytes:
            sent.extend(mosi)
            return chip_transfer(t_us, mosi)

        def deselect(t_us: int) -> None:
            if sent:
                self.commands.append((t_us, bytes(sent)))
                sent.clear()
            chip_deselect(t_us)

        def flash_operation(argument: int, data: bytes) -> bytes:
            before = self.board.flash_writes
            answer = flash(argument, data)
            if self.board.flash_writes > before:
                self.flash_writes.append(self.world.now_us)
                if self._cut_after == 0:
                    self.world.at(self.world.now_us, self.board.power_off)
                self._cut_after -= 1
            return answer

        self.chip.transfer, self.chip.deselect = transfer, deselect  # type: ignore[method-assign]
        self.board._do[ord("K")] = flash_operation

    def cut_after_writes(self, count: int) -> None:
        """Cut the power when flash was written ``count`` times more."""
        self._cut_after = count

    def run_s(self, seconds: float) -> None:
        self.world.run(self.world.now_us + int(seconds * 1e6))

    def payload(self, frame: lorawan.DataFrame) -> bytes:
        return lorawan.crypt_payload(self.network.app_s_key, DEV_ADDR, frame.f_cnt, True, frame.frm_payload)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**options: object) -> Bench:
        folder = tmp_path / str(len(benches))
        folder.mkdir()
        made = Bench(folder, **options)  # type: ignore[arg-type]
        benches.append(made)
        made.board.power_on()
        return made

    yield make
    for made in benches:
        made.board.power_off()


def exchanges(commands: list[tuple[int, bytes]]) -> list[tuple[int, int]]:
    """From each SetTx to the outcome of the last window that was opened for it."""
    found: list[tuple[int, int]] = []
    start_us = listening = 0
    for t_us, data in commands:
        if data[0] == 0x83:
            found.append((start_us := t_us, t_us))
        elif data[0] == 0x82:
            listening = 1
        elif data[0] == 0x12 and listening:
            listening = 0
            found[-1] = (start_us, t_us)
    return found


def distances(node: Bench) -> list[object]:
    codec = registry.load("siel/water_level")
    return [codec.decode(frame.f_port or 0, node.payload(frame)).data.get("distance") for frame in node.network.uplinks]


def test_a_water_level_node_joins_and_reports(bench: Callable[..., Bench]) -> None:
    node = bench()
    node.run_s(140)
    assert node.network.dev_nonces == [0]
    assert node.network.heard[0].t0_us < 5_100_000
    assert [frame.f_cnt for frame in node.network.uplinks] == [0, 1, 2]
    assert distances(node) == [1953, 1953, 1953]
    assert node.level.on == 0, "the sensor has power only while it measures"
    assert node.chip.violations == []


def test_a_climate_node_reports(bench: Callable[..., Bench]) -> None:
    node = bench(codec="siel/climate", join_dr=3)
    node.run_s(60)
    frame = node.network.uplinks[0]
    decoded = registry.load("siel/climate").decode(frame.f_port or 0, node.payload(frame))
    assert (decoded.data["temperature"], decoded.data["humidity"]) == (25.0, 44.0)
    assert node.network.heard[-1].spreading_factor == 9


def test_a_sensor_that_does_not_answer_is_not_available(bench: Callable[..., Bench]) -> None:
    node = bench()
    node.level.broken = True
    node.run_s(60)
    assert distances(node) == [None]


@pytest.mark.parametrize("join_dr", [0, 5])
@pytest.mark.parametrize("window", [1, 2])
def test_join_and_downlink_in_either_window(bench: Callable[..., Bench], window: int, join_dr: int) -> None:
    node = bench(join_dr=join_dr)
    node.network.window = window
    node.network.answer = lambda frame: node.network.down(b"", 7, b"hello")
    node.run_s(150)
    assert node.network.dev_nonces == [0]
    assert [line.split(" ", 1)[1] for line in node.lines if "delivered" in line][:1] == ["delivered f_port=7 bytes=5"]
    assert node.chip.violations == []


def test_a_network_that_is_silent_is_asked_again_soon(bench: Callable[..., Bench]) -> None:
    node = bench()
    node.network.deaf = True
    node.run_s(60)
    node.network.deaf = False
    node.run_s(60)
    assert node.network.dev_nonces[0] >= 4
    assert node.network.uplinks


def test_a_confirmed_uplink_is_acknowledged_or_told_lost(bench: Callable[..., Bench]) -> None:
    node = bench(confirmed=2, interval_s=30)
    node.network.answer = lambda frame: node.network.down(b"", -1, b"", ack=True) if frame.f_cnt == 0 else None
    node.run_s(115)
    assert [frame.confirmed for frame in node.network.uplinks] == [True, False, True, False]
    assert [line for line in node.lines if "acknowledged=True" in line]
    assert [line.split(" ", 1)[1] for line in node.lines if "not_ack" in line] == ["not_acknowledged f_cnt=2"]


def test_link_adr_req_moves_the_node_to_the_one_channel_that_is_heard(bench: Callable[..., Bench]) -> None:
    node = bench(interval_s=15)
    node.network.answer = lambda frame: node.network.down(b"\x03\x50\x02\x00\x01") if frame.f_cnt == 0 else None
    node.run_s(200)
    assert node.network.uplinks[1].f_opts == b"\x03\x07"
    assert {tx.frequency_hz for tx in node.network.heard[2:]} == {868_300_000}


def test_one_command_at_the_deadline_of_each_window(bench: Callable[..., Bench]) -> None:
    node = bench()
    node.network.answer = lambda frame: None
    node.run_s(100)
    starts = [(t_us, index) for index, (t_us, data) in enumerate(node.commands) if data[0] == 0x82]
    assert len(starts) == 5, "RX1 of the join, both of two uplinks"
    ends = [node.network.heard[0].end_us] + [tx.end_us for tx in node.network.heard[1:] for _ in (1, 2)]
    due = [4_990_808] + [990_808, 2_031_768] * 2
    for (t_us, index), end_us, due_us in zip(starts, ends, due, strict=True):
        assert abs(t_us - end_us - due_us) < 500
        assert t_us - node.commands[index - 1][0] > 100_000, "everything else was done long before"


def test_no_flash_write_from_the_start_of_a_transmission_to_the_end_of_rx2(bench: Callable[..., Bench]) -> None:
    node = bench(interval_s=10)
    node.network.answer = lambda frame: node.network.down(b"\x06") if frame.f_cnt % 5 == 0 else None
    node.run_s(450)
    assert len(node.network.uplinks) > 32
    assert len(node.flash_writes) > 10
    for start_us, end_us in exchanges(node.commands):
        assert not [t_us for t_us in node.flash_writes if start_us <= t_us <= end_us]


def test_power_cuts_cost_no_join_and_no_counter(bench: Callable[..., Bench]) -> None:
    node = bench(interval_s=10)
    node.network.answer = lambda frame: node.network.down(b"\x06") if frame.f_cnt % 3 == 0 else None
    node.run_s(40)
    for cut in range(12):
        node.cut_after_writes(cut % 6)
        node.run_s(25 + 7.3 * cut)
        node.board.power_off()
        node.board.power_on()
    node.run_s(60)
    counters = [frame.f_cnt for frame in node.network.uplinks]
    assert node.network.dev_nonces == [0]
    assert counters == sorted(set(counters))
    assert counters[-1] <= 14 * 32 + len(counters)


def test_a_node_that_is_reset_over_and_over_keeps_the_duty_cycle_and_goes_on(bench: Callable[..., Bench]) -> None:
    node = bench(join_dr=0, interval_s=10)
    node.network.deaf = True
    air_us: list[int] = []
    transmit = node.medium.transmit

    def noted(tx: Transmission) -> None:
        air_us.append(node.world.now_us)
        transmit(tx)

    node.medium.transmit = noted  # type: ignore[method-assign]
    for life_s in [30] * 40 + [150] * 90:
        node.run_s(life_s)
        node.board.power_off()
        node.board.power_on()
    assert node.medium.report()["duty_cycle_violations"] == 0
    assert len([t_us for t_us in air_us if t_us < 1_200_000_000]) == 24, "the whole budget, and no more"
    assert len([t_us for t_us in air_us if t_us > node.world.now_us - 3_600_000_000]) > 5, "time goes on"


@pytest.mark.parametrize("damage", ["crc", "missing", "codec"])
def test_a_node_without_a_valid_identity_says_so_and_stays_silent(bench: Callable[..., Bench], damage: str) -> None:
    node = bench(damage=damage)
    node.run_s(200)
    assert node.network.heard == []
    assert len(node.lines) == 4
    assert all("identity_fault" in line and APP_KEY.hex() not in line for line in node.lines)


def test_a_chip_that_does_not_answer_is_told_and_tried_again(bench: Callable[..., Bench]) -> None:
    node = bench()
    alive, node.chip.transfer = node.chip.transfer, lambda t_us, mosi: bytes(len(mosi))  # type: ignore[method-assign]
    node.run_s(40)
    assert [line.split(" ", 1)[1] for line in node.lines[1:]] == ["radio_fault no chip"] * 4
    node.chip.transfer = alive  # type: ignore[method-assign]
    node.run_s(60)
    assert node.network.uplinks


# The interrupts of a node: the join-request sent, its join-accept; of each uplink the end and both silent windows
@pytest.mark.parametrize(("lost", "sending"), [(1, True), (2, False), (3, True), (4, False), (5, False), (6, True)])
def test_a_lost_interrupt_costs_one_exchange_and_in_a_window_nothing(
    bench: Callable[..., Bench], lost: int, sending: bool
) -> None:
    node = bench(interval_s=20)
    edge, count = node.chip.on_dio1, [0]

    def on_dio1() -> None:
        count[0] += 1
        if count[0] != lost:
            edge()

    node.chip.on_dio1 = on_dio1
    node.run_s(140)
    faults = [line.split(" ", 1)[1] for line in node.lines if "fault" in line]
    assert faults == (["radio_fault no end of transmission"] if sending else [])
    assert node.network.dev_nonces == ([0, 1] if lost == 1 else [0])
    counters = [frame.f_cnt for frame in node.network.uplinks]
    assert len(counters) >= 4
    assert counters == sorted(set(counters))


def test_a_receiver_held_by_noise_in_rx1_is_free_again_for_rx2(bench: Callable[..., Bench]) -> None:
    node = bench(interval_s=20)
    node.network.window = 2
    node.network.answer = lambda frame: node.network.down(b"", 7, b"hello") if frame.f_cnt < 2 else None
    ended, windows = node.chip._symbol_timeout, [0]

    def hold_every_rx1(epoch: int) -> None:
        windows[0] += 1
        if windows[0] % 2 == 0:
            ended(epoch)

    node.chip._symbol_timeout = hold_every_rx1  # type: ignore[method-assign]
    node.run_s(70)
    assert node.network.dev_nonces == [0]
    assert len([line for line in node.lines if "delivered" in line]) == 2
    assert not [line for line in node.lines if "fault" in line]


def test_nothing_goes_on_air_while_the_state_cannot_be_stored(bench: Callable[..., Bench]) -> None:
    node = bench(ballast_bytes=60 * 4096)  # of 64 blocks, two are the file system's own
    node.run_s(60)
    assert node.network.heard == []
    assert "store_fault" in node.lines[-1]


def test_a_fault_voids_the_run_and_the_next_life_tells_it(bench: Callable[..., Bench]) -> None:
    node = bench(plant=("siel_node/sensors/sht4x.py", "found = self._ask(_MEASURE)", "raise ValueError('planted')"))
    for life in range(2):
        with pytest.raises(ParticipantError, match=r"(?s)Traceback.*sht4x.*ValueError: planted"):
            node.run_s(600)
        told = [line.split(" ", 1)[1] for line in node.lines if "after_fault" in line]
        assert told == ["after_fault ValueError: planted"] * life
        node.board.power_off()
        node.board.power_on()
    assert node.network.dev_nonces == [0], "the second life has the session of the first"


def test_no_key_is_ever_printed(bench: Callable[..., Bench]) -> None:
    node = bench()
    node.run_s(100)
    text = "\n".join(node.lines).lower()
    for key in (APP_KEY, node.network.nwk_s_key, node.network.app_s_key):
        assert key.hex() not in text
