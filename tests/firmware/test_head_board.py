"""The head's shipped image on real MicroPython: the harness's chip, air and serial line, HeadLink as its host."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from siel_gateway.head_events import (
    ChipChannel,
    ChipConfigured,
    FrameHeard,
    HeadReady,
    HeadStats,
    TxResult,
    TxScheduled,
)
from siel_gateway.head_link import HeadLink
from siel_hil.medium import Medium, Station, Transmission
from siel_hil.medium_physics import noise_dbm
from siel_hil.models.sx1262 import SX1262
from siel_hil.pins import Wiring
from siel_hil.process import MicroPythonBoard
from siel_hil.stage import Stage, spi_pins
from siel_hil.world import World

SECOND = 1_000_000


class Host:
    """HeadLink on the other end of the UART, with the world's clock; acknowledges what ``safe`` says."""

    def __init__(self, world: World, safe: bool = True) -> None:
        self.world = world
        self.safe = safe
        self.link = HeadLink(first_tag=7)
        self.send: Callable[[bytes], None] = lambda data: None
        self.events: list[tuple[int, Any]] = []
        self._timer: Any = None

    def connect(self, *channels: ChipChannel) -> None:
        self.link.configure(channels)
        self.link.connected(self.world.now_us)
        self._turn([])

    def receive(self, t_us: int, data: bytes) -> None:
        self._turn(self.link.receive_data(data, t_us))

    def transmit(self, **request: Any) -> int:
        tag = self.link.transmit(now_us=self.world.now_us, **request)
        assert tag is not None
        self._turn([])
        return tag

    def of(self, kind: type) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def _turn(self, events: list[Any]) -> None:
        for event in events:
            self.events.append((self.world.now_us, event))
            if self.safe and isinstance(event, FrameHeard):
                self.link.ack(event.boot_id, event.sequence)
        data = self.link.data_to_send()
        if data:
            self.send(data)
        if self._timer is not None:
            self._timer.cancel()
        due = self.link.next_tick_us()
        if due is not None:
            self._timer = self.world.at(due, self._tick)

    def _tick(self) -> None:
        self._turn(self.link.tick(self.world.now_us))


class Air(Medium):
    """A medium that keeps what was sent, in order."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.sent: list[Transmission] = []

    def transmit(self, tx: Transmission) -> None:
        super().transmit(tx)
        self.sent.append(tx)


class Scene:
    """A head with its host, and one more station that sends as an end device does and hears as one."""

    def __init__(self, stage: Stage) -> None:
        self.world = World(1)
        self.medium = Air(self.world)
        self.host = Host(self.world)
        self.station = Station("head", "gateway")
        radio = stage.board_data("pico_sx1262_head")["radio"][0]
        self.chip = SX1262(self.world, self.medium, self.station, tcxo_start_us=3000)
        wiring = Wiring(spi=[(self.chip, spi_pins(radio))], uarts={0: self.host})
        self.lines: list[str] = []
        self.board = stage.build(self.world, "head", "pico_sx1262_head", wiring, {}, on_line=self.lines.append)
        self.on_air = self.medium.sent

    def start(self) -> None:
        self.board.power_on()
        self.world.at(
            200_000, self.host.connect, ChipChannel(frequency_hz=868100000, spreading_factor=7, bandwidth_hz=125000)
        )
        self.world.run(SECOND)

    def uplink(self, payload: bytes, **options: Any) -> None:
        station = Station("node", "node", (500.0, 0.0))
        settings = {"frequency_hz": 868100000, "spreading_factor": 7, "bandwidth_hz": 125000} | options
        self.medium.transmit(Transmission(station=station, payload=payload, **settings))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("stage"))


@pytest.fixture
def scene(stage: Stage) -> Iterator[Scene]:
    scene = Scene(stage)
    yield scene
    scene.board.power_off()


def test_first_exchange(scene: Scene) -> None:
    scene.start()
    (ready,) = scene.host.of(HeadReady)
    assert (ready.new_session, ready.chips, ready.reset_cause) == (True, 1, "power_on")
    assert ready.store_size >= 32
    assert scene.host.of(ChipConfigured) == [ChipConfigured(chip=0, ok=True)]
    assert scene.chip.violations == []
    assert scene.lines == []


def test_a_frame_from_the_air_with_its_stamp(scene: Scene) -> None:
    scene.start()
    scene.uplink(b"\x40hello")
    scene.world.run(2 * SECOND)
    ended_us = scene.on_air[0].end_us
    (frame,) = scene.host.of(FrameHeard)
    assert (frame.sequence, frame.chip, frame.phy_payload, frame.crc) == (1, 0, b"\x40hello", "ok")
    assert (frame.frequency_hz, frame.spreading_factor, frame.bandwidth_hz, frame.coding_rate) == (
        868100000,
        7,
        125000,
        5,
    )
    assert abs(frame.gateway_us - ended_us) < 1500
    rssi_dbm = scene.medium.rssi_dbm(scene.on_air[0], scene.station)
    assert abs(frame.rssi_dbm - rssi_dbm) < 2
    assert abs(frame.snr_db - (rssi_dbm - noise_dbm(125000))) < 1
    scene.uplink(b"\x40later")
    scene.world.run(3 * SECOND)
    assert [frame.sequence for frame in scene.host.of(FrameHeard)] == [1, 2]
    assert scene.chip.violations == []


@pytest.mark.parametrize(
    ("options", "crc", "coding_rate"), [({"crc": False}, "none", 5), ({"coding_rate": 8}, "ok", 8)]
)
def test_what_the_header_said(scene: Scene, options: dict[str, Any], crc: str, coding_rate: int) -> None:
    scene.start()
    scene.uplink(b"\x40hello", **options)
    scene.world.run(2 * SECOND)
    (frame,) = scene.host.of(FrameHeard)
    assert (frame.crc, frame.coding_rate) == (crc, coding_rate)


def test_what_end_devices_hear_is_not_heard(scene: Scene) -> None:
    scene.start()
    scene.uplink(b"\x60down", invert_iq=True)
    scene.uplink(b"\x40other", spreading_factor=8)
    scene.world.run(2 * SECOND)
    assert scene.host.of(FrameHeard) == []


def test_an_answer_goes_on_air_on_its_microsecond_and_the_head_listens_again(scene: Scene) -> None:
    scene.start()
    for number in range(5):
        scene.uplink(b"\x40up%d" % number)
        scene.world.run(scene.world.now_us + 200_000)
        frame = scene.host.of(FrameHeard)[-1]
        tag = scene.host.transmit(
            chip=0,
            counter_us=(frame.counter_us + SECOND) % 2**32,
            frequency_hz=868100000 if number % 2 else 869525000,
            spreading_factor=7 if number % 2 else 9,
            bandwidth_hz=125000,
            payload=b"\x60down",
            power_dbm=14,
        )
        scene.world.run(scene.world.now_us + 2 * SECOND)
        result = scene.host.of(TxResult)[-1]
        assert (result.tag, result.outcome, result.reason) == (tag, "on_air", "")
        assert scene.host.of(TxScheduled)[-1].tag == tag
        up, down = scene.on_air[-2:]
        assert abs(down.t0_us - (up.end_us + SECOND)) <= 100
        assert abs(scene.host.link.gateway_us(result.counter_us, scene.world.now_us) - down.t0_us) < 1500
        assert (down.invert_iq, down.crc, down.preamble, down.power_dbm) == (True, False, 8, 14)
        assert scene.chip.receiving_since_us is not None
        assert scene.chip.receiving_since_us - down.end_us < 5000
    assert scene.chip.violations == []


def test_now_means_at_once(scene: Scene) -> None:
    scene.start()
    scene.host.transmit(
        chip=0, counter_us=None, frequency_hz=868300000, spreading_factor=7, bandwidth_hz=125000, payload=b"\xe0"
    )
    scene.world.run(2 * SECOND)
    assert scene.host.of(TxResult)[0].outcome == "on_air"
    assert scene.on_air[0].t0_us < SECOND + 30_000


@pytest.mark.parametrize(
    ("ahead_us", "options", "outcome", "reason"),
    [
        (-1000, {}, "too_late", "TOO_LATE"),
        (30 * SECOND, {}, "refused", "TOO_EARLY"),
        (SECOND, {"frequency_hz": 868650000}, "refused", "TX_FREQ"),
        (SECOND, {"chip": 1}, "refused", "NO_RADIO"),
        (SECOND, {"spreading_factor": 12, "payload": bytes(150)}, "refused", "AIRTIME"),
    ],
)
def test_what_is_not_sent(scene: Scene, ahead_us: int, options: dict[str, Any], outcome: str, reason: str) -> None:
    scene.start()
    request = {
        "chip": 0,
        "counter_us": scene.host.link.counter_us(scene.world.now_us + ahead_us),
        "frequency_hz": 868100000,
        "spreading_factor": 7,
        "bandwidth_hz": 125000,
        "payload": b"\x60",
    }
    scene.host.transmit(**request | options)
    scene.world.run(scene.world.now_us + 2 * SECOND)
    (result,) = scene.host.of(TxResult)
    assert (result.outcome, result.reason) == (outcome, reason)
    assert scene.on_air == []


def test_a_bad_frame_does_not_cost_the_next_one_its_preamble(scene: Scene) -> None:
    scene.start()
    scene.uplink(b"\x40first")
    scene.world.run(scene.world.now_us + 34_000)
    scene.uplink(b"\x40second")
    scene.world.run(2 * SECOND)
    assert [frame.phy_payload for frame in scene.host.of(FrameHeard)] == [b"\x40second"]


def test_frames_wait_for_a_host_that_is_away(scene: Scene) -> None:
    scene.start()
    scene.host.link.disconnected()
    scene.board._wiring.uarts[0].receive = lambda t_us, data: None  # type: ignore[method-assign]
    for number in range(70):
        scene.uplink(b"\x40%d" % number)
        scene.world.run(scene.world.now_us + 100_000)
    scene.world.run(30 * SECOND)
    host = Host(scene.world)
    uart = scene.board.uarts[0]
    uart.device = host
    host.send = lambda data: scene.board.uart_receive(0, data)
    host.connect(ChipChannel(frequency_hz=868100000, spreading_factor=7, bandwidth_hz=125000))
    scene.world.run(50 * SECOND)
    frames = host.of(FrameHeard)
    assert [frame.sequence for frame in frames] == list(range(1, 65))
    assert [frame.phy_payload for frame in frames] == [b"\x40%d" % number for number in range(64)]
    assert [abs(frame.gateway_us - tx.end_us) < 1500 for frame, tx in zip(frames, scene.on_air, strict=False)] == [
        True
    ] * 64
    assert host.of(HeadStats)[-1].overflow == 6
    assert host.of(HeadStats)[-1].stored == 0


def test_a_chip_that_hangs_is_started_again(scene: Scene) -> None:
    scene.start()
    scene.chip.busy_until_us = 1 << 60
    scene.world.run(40 * SECOND)
    assert scene.host.of(HeadStats)[-1].radio_errors >= 1
    assert scene.host.of(HeadStats)[-1].deaf == ()
    scene.uplink(b"\x40again")
    scene.world.run(41 * SECOND)
    assert scene.host.of(FrameHeard)[-1].phy_payload == b"\x40again"


def test_a_lost_interrupt_costs_a_frame_and_not_the_ear(scene: Scene) -> None:
    scene.start()
    edge = scene.chip.on_dio1
    scene.chip.on_dio1 = lambda: None
    scene.uplink(b"\x40lost")
    scene.world.run(2 * SECOND)
    scene.chip.on_dio1 = edge
    scene.world.run(20 * SECOND)
    scene.uplink(b"\x40again")
    scene.world.run(21 * SECOND)
    assert [frame.phy_payload for frame in scene.host.of(FrameHeard)] == [b"\x40again"]


def test_a_head_that_restarts_is_a_new_session(scene: Scene) -> None:
    scene.start()
    scene.uplink(b"\x40one")
    scene.world.run(2 * SECOND)
    scene.board.power_off()
    scene.world.run(4 * SECOND)
    scene.board.power_on()
    scene.world.run(20 * SECOND)
    first, second = scene.host.of(HeadReady)
    assert second.new_session
    assert first.boot_id != second.boot_id
    scene.uplink(b"\x40two")
    scene.world.run(21 * SECOND)
    assert [(frame.sequence, frame.phy_payload) for frame in scene.host.of(FrameHeard)] == [
        (1, b"\x40one"),
        (1, b"\x40two"),
    ]


def test_the_counter_goes_on_when_ticks_and_32_bits_wrap(scene: Scene) -> None:
    scene.start()
    for minutes in (10, 20, 40, 70, 73):
        scene.world.run(minutes * 60 * SECOND)
        scene.uplink(b"\x40up")
        scene.world.run(scene.world.now_us + SECOND)
        assert abs(scene.host.of(FrameHeard)[-1].gateway_us - scene.on_air[-1].end_us) < 1500
    assert len(scene.host.of(HeadReady)) == 1


def test_three_chips_on_one_bus(scene: Scene, stage: Stage, tmp_path: Path) -> None:
    world, medium = scene.world, scene.medium
    data = stage.board_data("pico_sx1262_head")
    first = data["radio"][0]
    data["radio"] = [first | {name: first[name] + 21 * n for name in ("cs", "busy", "dio1", "reset")} for n in range(3)]
    image = tmp_path / "image"
    shutil.copytree(scene.board._image, image)
    (image / "board.py").write_text(f"BOARD = {data!r}\n")
    chips = [scene.chip]
    chips += [SX1262(world, medium, scene.station, f"chip-{n}", tcxo_start_us=3000) for n in (1, 2)]
    host = Host(world)
    board = MicroPythonBoard(
        world,
        "three",
        argv=stage.program.argv,
        env=stage.program.env,
        image=image,
        flash=scene.board._flash,
        wiring=Wiring(
            spi=[(chip, spi_pins(radio)) for chip, radio in zip(chips, data["radio"], strict=True)], uarts={0: host}
        ),
    )
    board.power_on()
    frequencies_hz = (868100000, 868300000, 868500000)
    channels = [
        ChipChannel(frequency_hz=frequency_hz, spreading_factor=7, bandwidth_hz=125000)
        for frequency_hz in frequencies_hz
    ]
    world.at(200_000, host.connect, *channels)
    world.run(SECOND)
    for frequency_hz in frequencies_hz:
        scene.uplink(b"\x40", frequency_hz=frequency_hz)
    world.run(2 * SECOND)
    frames = host.of(FrameHeard)
    assert [(frame.chip, frame.frequency_hz) for frame in frames] == list(enumerate(frequencies_hz))
    for frame in frames:
        host.transmit(
            chip=frame.chip,
            counter_us=(frame.counter_us + SECOND + 30_000 * frame.chip) % 2**32,
            frequency_hz=frame.frequency_hz,
            spreading_factor=7,
            bandwidth_hz=125000,
            payload=b"\x60%d" % frame.chip,
        )
    world.run(4 * SECOND)
    board.power_off()
    assert [result.outcome for result in host.of(TxResult)] == ["on_air"] * 3
    assert [tx.payload for tx in scene.on_air[3:]] == [b"\x600", b"\x601", b"\x602"]
    assert [chip.violations for chip in chips] == [[], [], []]
