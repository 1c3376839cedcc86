"""The air: who hears what and why not, against closed forms and thresholds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from siel_hil.medium import Medium, Reception, Station, Transmission
from siel_hil.medium_physics import CAPTURE_DB, SNR_FLOOR_DB, airtime_us, noise_dbm
from siel_hil.models.concentrator import Concentrator
from siel_hil.models.conformance import Beacon, Probe
from siel_hil.world import World

CHANNEL_HZ = 868_100_000
SF7_SYMBOL_US = 1024
DATA = bytes.fromhex("40010203040000000102030405060708")
JOIN = bytes(23)


class Ear:
    """A gateway radio without limits: hears everything that the medium lets through."""

    def __init__(self, medium: Medium, station: Station) -> None:
        self.station = station
        self.name = station.name
        self.receiving_since_us: int | None = 0
        self.searching_since_us = 0
        self.transmitted_us = (-1, -1)
        self.heard: list[bytes] = []
        medium.attach(self)

    def mismatch(self, tx: Transmission) -> str:
        return ""

    def preamble(self, reception: Reception) -> bool:
        return True

    def header(self, reception: Reception, intact: bool) -> bool:
        return True

    def finish(self, reception: Reception, intact: bool) -> bool:
        if intact:
            self.heard.append(reception.tx.payload)
        return intact


class Air:
    """A world with a medium, an ear at the origin and senders 1 km around it."""

    def __init__(self, **options: Any) -> None:
        self.world = World(3)
        self.medium = Medium(self.world, **options)
        self.ear = Ear(self.medium, Station("ear", "gateway"))
        self.verdicts: list[tuple[str, str]] = []
        self.medium.on_event.append(self._note)

    def _note(self, event: str, info: dict[str, Any]) -> None:
        if event in {"uplink", "downlink"}:
            self.verdicts.append((info["station"], info["verdict"]))

    def send(
        self,
        name: str,
        snr_db: float,
        at_us: int = 0,
        *,
        spreading_factor: int = 7,
        frequency_hz: int = CHANNEL_HZ,
        payload: bytes = DATA,
        role: Any = "node",
        invert_iq: bool = False,
    ) -> Transmission:
        power_dbm = noise_dbm(125_000) + snr_db + self.medium.path_loss.at(1000.0)
        tx = Transmission(
            Station(name, role, (1000.0, 0.0)),
            frequency_hz,
            spreading_factor,
            125_000,
            payload,
            power_dbm=power_dbm,
            ldro=spreading_factor >= 11,
            invert_iq=invert_iq,
        )
        self.world.at(at_us, self.medium.transmit, tx)
        return tx

    def run(self, us: int = 20_000_000) -> dict[str, str]:
        self.world.run(self.world.now_us + us)
        return dict(self.verdicts)


# --- thresholds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spreading_factor", range(7, 13))
def test_a_frame_is_heard_down_to_its_snr_floor(spreading_factor: int) -> None:
    floor_db = SNR_FLOOR_DB[spreading_factor]
    for margin_db, verdict in ((0.05, "received"), (-0.05, "below_floor")):
        air = Air()
        air.send("n", floor_db + margin_db, spreading_factor=spreading_factor)
        assert air.run() == {"n": verdict}


@pytest.mark.parametrize("capture_db", [CAPTURE_DB, 1.0])
def test_capture_at_nine_and_eleven_tenths_of_the_threshold(capture_db: float) -> None:
    for part, verdict in ((0.9, "collision"), (1.1, "received")):
        air = Air(capture_db=capture_db)
        air.send("strong", 10.0 + part * capture_db)
        air.send("weak", 10.0)
        verdicts = air.run()
        assert verdicts == {"strong": verdict, "weak": "collision"}


def test_interference_adds_up_at_its_worst_instant() -> None:
    # each alone is 8 dB below, two at once 5 dB: too much; the same two one after the other are not
    for second_us, verdict in ((0, "collision"), (60_000, "received")):
        air = Air()
        air.send("wanted", 20.0, payload=DATA * 8)
        air.send("one", 12.0, 60_000)
        air.send("two", 12.0, 60_000 + second_us)
        assert air.run()["wanted"] == verdict


def test_the_first_three_symbols_of_a_preamble_may_be_hit() -> None:
    # the earlier frame ends 2.9 or 3.1 symbols after the later one has begun
    length_us = airtime_us(7, 125_000, len(DATA))
    for symbols, verdict in ((2.9, "received"), (3.1, "collision")):
        air = Air()
        air.send("early", 10.0)
        air.send("late", 10.0, length_us - round(symbols * SF7_SYMBOL_US))
        assert air.run()["late"] == verdict


@pytest.mark.parametrize(
    "other",
    [{"spreading_factor": 8}, {"frequency_hz": CHANNEL_HZ + 200_000}, {"role": "gateway", "invert_iq": True}],
    ids=["spreading factor", "channel", "polarity"],
)
def test_what_differs_does_not_disturb(other: dict[str, Any]) -> None:
    air = Air()
    air.send("wanted", 0.0)
    air.send("other", 20.0, **other)
    assert air.run()["wanted"] == "received"


# --- ALOHA --------------------------------------------------------------------------------------------------------


def test_without_capture_the_medium_is_pure_aloha() -> None:
    """N renewal sources with mean gap P and airtime T: exp(-2 (N-1) T / (P+T)) of the frames arrive."""
    sources, gap_us, frames = 100, 100_000_000, 12_000
    # a receiver that needs the whole preamble has no forgiving start: the vulnerable time is two airtimes
    air = Air(preamble_symbols_needed=8)
    air.medium.on_event.clear()
    rng = air.world.rng("aloha")
    airtime = airtime_us(12, 125_000, 20)
    payload = b"\x40" + bytes(19)
    stations = [Station(f"n{i}", "node", (1000.0, 0.0)) for i in range(sources)]
    sent = 0

    def send(station: Station) -> None:
        nonlocal sent
        sent += 1
        air.medium.transmit(Transmission(station, CHANNEL_HZ, 12, 125_000, payload, ldro=True))
        air.world.after(airtime + round(rng.expovariate(1) * gap_us), send, station)

    for station in stations:
        air.world.after(round(rng.expovariate(1) * gap_us), send, station)
    air.world.run(frames // sources * (gap_us + airtime))
    report = air.medium.report()
    share = report["uplinks_received"] / (report["uplinks_sent"] - report["in_flight_at_end"])
    expected = math.exp(-2 * (sources - 1) * airtime / (gap_us + airtime))
    assert sent > 0.9 * frames
    # four standard deviations, collisions come in pairs
    assert share == pytest.approx(expected, abs=4 * math.sqrt(2 * expected * (1 - expected) / sent))
    assert report["uplinks_on_air_lost"] == {
        "collision": report["uplinks_sent"] - report["in_flight_at_end"] - len(air.ear.heard)
    }


# --- causes -------------------------------------------------------------------------------------------------------


def _two_chips() -> tuple[Probe, Beacon, list[dict[str, Any]]]:
    probe = Probe()
    infos: list[dict[str, Any]] = []
    probe.medium.on_event.append(lambda event, info: infos.append(info) if event == "uplink" else None)
    probe.configure()
    return probe, Beacon(probe), infos


def _verdict(probe: Probe, infos: list[dict[str, Any]]) -> str:
    probe.wait(5_000_000)
    return str(infos[-1]["verdict"])


def test_without_any_gateway_nobody_listens() -> None:
    world = World(1)
    medium = Medium(world)
    medium.transmit(Transmission(Station("n", "node"), CHANNEL_HZ, 7, 125_000, DATA))
    world.run(1_000_000)
    assert medium.report()["uplinks_on_air_lost"] == {"not_listening": 1}


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        ({"spreading_factor": 8}, "not_listening"),
        ({"frequency_hz": CHANNEL_HZ + 200_000}, "not_listening"),
        ({"bandwidth_hz": 250_000}, "not_listening"),
        ({"invert_iq": True}, "wrong_iq"),
        ({"sync_word": 0x1424}, "wrong_sync_word"),
        ({"ldro": True}, "crc_error"),
        ({}, "received"),
    ],
)
def test_a_frame_that_does_not_fit_the_gateway_radio(sent: dict[str, Any], cause: str) -> None:
    probe, beacon, infos = _two_chips()
    probe.listen()
    beacon.send(**sent)
    assert _verdict(probe, infos) == cause


def test_a_gateway_radio_in_standby_is_idle() -> None:
    probe, beacon, infos = _two_chips()
    probe.listen()
    probe.command(0x80, 0)
    beacon.send()
    assert _verdict(probe, infos) == "radio_idle"


@pytest.mark.parametrize(("symbols", "cause"), [(2.8, "received"), (3.2, "radio_idle")])
def test_a_receiver_may_come_three_symbols_late(symbols: float, cause: str) -> None:
    probe, beacon, infos = _two_chips()
    probe.listen()
    probe.command(0x80, 1)
    probe.wait(1000)
    beacon.send()
    probe.wait(round(symbols * SF7_SYMBOL_US) - 62)
    probe.command(0x82, b"\xff\xff\xff")
    assert _verdict(probe, infos) == cause


def test_a_gateway_that_sends_is_deaf_and_said_to_be_transmitting() -> None:
    probe, beacon, infos = _two_chips()
    probe.configure(length=16)
    probe.listen()
    probe.send()
    probe.wait(2000)
    beacon.send()
    assert _verdict(probe, infos) == "gateway_transmitting"


def test_a_transmission_kills_a_reception_under_way() -> None:
    probe, beacon, infos = _two_chips()
    probe.configure(length=16)
    probe.listen()
    beacon.send()
    probe.wait(30_000)
    probe.send()
    assert _verdict(probe, infos) == "gateway_transmitting"


def test_a_reception_given_up_without_sending_is_idle() -> None:
    probe, beacon, infos = _two_chips()
    probe.listen()
    beacon.send()
    probe.wait(30_000)
    probe.command(0x80, 1)
    assert _verdict(probe, infos) == "radio_idle"


def test_a_stronger_frame_finds_a_locked_radio_busy_and_destroys_what_it_follows() -> None:
    probe, _beacon, infos = _two_chips()
    probe.listen()
    Beacon(probe, 0.0, "weak").send()
    probe.wait(30_000)
    Beacon(probe, 20.0, "strong").send()
    probe.wait(5_000_000)
    assert [(info["station"], info["verdict"]) for info in infos] == [("weak", "collision"), ("strong", "gateway_busy")]


def test_a_stronger_frame_within_the_preamble_takes_the_radio_over() -> None:
    probe, _beacon, infos = _two_chips()
    probe.listen()
    Beacon(probe, 0.0, "weak").send()
    probe.wait(2 * SF7_SYMBOL_US)
    Beacon(probe, 20.0, "strong").send()
    probe.wait(5_000_000)
    assert [(info["station"], info["verdict"]) for info in infos] == [("weak", "collision"), ("strong", "received")]


def test_a_radio_just_freed_was_busy_not_idle() -> None:
    probe, _beacon, infos = _two_chips()
    probe.listen()
    Beacon(probe, 0.0, "first").send()
    probe.wait(airtime_us(7, 125_000, 16) - 4 * SF7_SYMBOL_US)
    Beacon(probe, 20.0, "second").send()
    probe.wait(5_000_000)
    assert infos[-1]["verdict"] == "gateway_busy"


def test_a_frame_cut_short_is_a_crc_error() -> None:
    air = Air()
    tx = air.send("n", 10.0)
    air.world.at(40_000, air.medium.cut, tx)
    assert air.run() == {"n": "crc_error"}


def test_of_several_gateways_the_one_nearest_to_success_names_the_cause() -> None:
    world = World(1)
    medium = Medium(world)
    far = Concentrator(world, medium, Station("far", "gateway", (90_000.0, 0.0)), "00" * 8)
    other = Probe(world=world, medium=medium, station=Station("other", "gateway"))
    other.configure(spreading_factor=9)
    other.listen()
    infos: list[dict[str, Any]] = []
    medium.on_event.append(lambda event, info: infos.append(info) if event == "uplink" else None)
    node = Station("n", "node", (500.0, 0.0))
    medium.transmit(Transmission(node, CHANNEL_HZ, 7, 125_000, DATA))
    world.run(world.now_us + 1_000_000)
    assert infos[0]["gateways"] == {"far": "below_floor", "other": "not_listening"}
    assert infos[0]["verdict"] == "below_floor"
    far.station.position = (600.0, 0.0)
    medium.transmit(Transmission(node, CHANNEL_HZ, 7, 125_000, DATA))
    world.run(world.now_us + 1_000_000)
    assert infos[1]["verdict"] == "received"
    assert infos[1]["at"] == "far"


# --- downlinks ----------------------------------------------------------------------------------------------------


def _downlink(probe: Probe, payload: bytes) -> str:
    seen: list[str] = []
    probe.medium.on_event.append(lambda event, info: seen.append(info["verdict"]) if event == "downlink" else None)
    gateway = Station("gw", "gateway", (1000.0, 0.0))
    probe.medium.transmit(Transmission(gateway, CHANNEL_HZ, 7, 125_000, payload, invert_iq=True, crc=False))
    probe.wait(1_000_000)
    return seen[0]


def test_a_downlink_needs_its_own_node_to_listen() -> None:
    down = b"\x60" + DATA[1:]
    for address_sender, verdict in (("probe", "received"), ("another", "node_not_listening")):
        probe = Probe(station=Station("probe", "node"))
        Beacon(probe, name=address_sender).send(payload=DATA)
        probe.wait(1_000_000)
        probe.configure(invert_iq=True)
        probe.listen()
        assert _downlink(probe, down) == verdict
        assert probe.medium.report()["downlinks_received"] == (1 if verdict == "received" else 0)


def test_a_join_accept_counts_for_whoever_hears_it() -> None:
    probe = Probe(station=Station("probe", "node"))
    assert _downlink(probe, b"\x20" + bytes(32)) == "node_not_listening"
    probe.configure(invert_iq=True)
    probe.listen()
    probe.medium.on_event.clear()
    assert _downlink(probe, b"\x20" + bytes(32)) == "received"
    assert probe.medium.report()["per_node"]["probe"]["downlinks_received"] == 1


# --- identity of a run ---------------------------------------------------------------------------------------------


def test_a_metre_further_is_another_run_and_the_same_is_the_same() -> None:
    def run(distance_m: float) -> str:
        world = World(1)
        medium = Medium(world)
        Concentrator(world, medium, Station("gw", "gateway"), "00" * 8)
        medium.transmit(Transmission(Station("n", "node", (distance_m, 0.0)), CHANNEL_HZ, 7, 125_000, DATA))
        world.run(1_000_000)
        return world.event_hash()

    assert run(500.0) == run(500.0)
    assert run(500.0) != run(501.0)


def test_a_link_shorter_than_the_law_is_told_once() -> None:
    world = World(1)
    logged: list[str] = []
    world.log = lambda source, kind, **fields: logged.append(kind)  # type: ignore[method-assign]
    medium = Medium(world)
    Ear(medium, Station("gw", "gateway"))
    for _ in range(2):
        medium.transmit(Transmission(Station("n", "node", (1.0, 0.0)), CHANNEL_HZ, 7, 125_000, DATA))
        world.run(world.now_us + 1_000_000)
    assert logged.count("path_loss_clamped") == 1
