from __future__ import annotations

import asyncio
import functools
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway.config_models import SerialHeadRadio
from siel_gateway.errors import JournalFullError
from siel_gateway.radios.serial_head import SerialHead
from siel_gateway.records import RxFrame, TxOutcome, TxRequest, TxWindow
from siel_head import link

EUI = "0016c001f1500812"
PORT = "/dev/head"
CHANNELS = [{"frequency_hz": 868_100_000, "spreading_factor": 7}, {"frequency_hz": 868_300_000, "spreading_factor": 9}]
WINDOW = TxWindow(counter_us=9_000_000, frequency_hz=868_300_000, spreading_factor=9, bandwidth_hz=125_000)
REQUEST = TxRequest(id="r1", origin="edge", radio="roof", windows=(WINDOW,), phy_payload=b"\x60\1\2\3")
HEARD = {
    "chip": 0,
    "age_s": 0,
    "frequency_hz": 868_100_000,
    "spreading_factor": 7,
    "bandwidth_hz": 125_000,
    "coding_rate": 5,
    "rssi_dbm": -77,
    "snr_x4": -5,
    "crc": 1,
}


class Head:
    """The other end of the line: answers what every head answers, keeps what was said to it."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.boot_id = 0xB001
        self.start_us = 3_000_000
        self.first_sequence = 1
        self.heard: list[tuple[str, dict[str, int], bytes]] = []
        self.mute = False
        self._deframer = link.Deframer()
        self._seen = 0

    def counter_us(self) -> int:
        return int(self.bench.monotonic_us() + self.start_us) % 2**32

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.004)
            port = self.bench.ports.get(PORT)
            if port is None or port.gone:
                continue
            data = bytes(port.written)
            port.written.clear()
            for body in self._deframer.receive_data(data):
                message = link.decode(body)
                if message is not None:
                    self.heard.append(message)
                    if not self.mute:
                        self.answer(*message)

    def answer(self, name: str, fields: dict[str, int], payload: bytes) -> None:
        now = self.counter_us()
        if name == "hello_request":
            self.hello(fields["query"])
        elif name == "time_query":
            self.say("time", query=fields["query"], boot_id=self.boot_id, received_us=now, sent_us=now)
        elif name == "configure":
            listens = {key: fields[key] for key in ("chip", "frequency_hz", "spreading_factor", "bandwidth_hz")}
            self.say("configured", boot_id=self.boot_id, ok=1, **listens)

    def hello(self, query: int = 0) -> None:
        self.say(
            "hello",
            version=link.VERSION,
            query=query,
            boot_id=self.boot_id,
            reset_cause=1,
            chips=2,
            store_size=32,
            stamp_error_us=10,
            first_sequence=self.first_sequence,
            counter_us=self.counter_us(),
        )

    def say(self, name: str, payload: bytes = b"", /, **fields: int) -> None:
        self.bench.ports[PORT].feed(link.encode(name, payload, **fields))

    def rx(self, sequence: int, payload: bytes = b"\x40abcdefghijkl", **changes: int) -> None:
        fields = {**HEARD, "boot_id": self.boot_id, "sequence": sequence, "counter_us": self.counter_us(), **changes}
        self.say("rx", payload, **fields)

    def told(self, name: str) -> list[dict[str, int]]:
        return [fields for kind, fields, _ in self.heard if kind == name]


class Site:
    """The radio under test, a head, and a daemon whose commits the test makes."""

    def __init__(self, bench: Any, *, alone: bool = True) -> None:
        self.bench = bench
        self.head = Head(bench)
        self.frames: list[RxFrame] = []
        self.commit: asyncio.Future[None] | None = None
        self.fault: Exception | None = None
        config = SerialHeadRadio.model_validate(
            {"kind": "serial-head", "name": "roof", "port": PORT, "channels": CHANNELS, "antenna_gain_db": 2.15}
        )
        self.radio = SerialHead(config, gateway_eui=EUI, services=bench, receive=self.receive, alone=alone)

    def plug(self) -> None:
        self.bench.plug(PORT)

    def receive(self, frame: RxFrame) -> asyncio.Future[None]:
        if self.fault is not None:
            raise self.fault
        self.frames.append(frame)
        if self.commit is None:
            self.commit = asyncio.get_running_loop().create_future()
        return self.commit

    async def committed(self) -> None:
        commit, self.commit = self.commit, None
        assert commit is not None
        commit.set_result(None)
        await asyncio.sleep(0.01)

    def acks(self) -> list[int]:
        return [fields["sequence"] for fields in self.head.told("ack")]


def run_site(bench: Any, test: Callable[[Site], Any], *, plugged: bool = True, alone: bool = True) -> None:
    site = Site(bench, alone=alone)

    async def main() -> None:
        if plugged:
            site.plug()
        async with bench.running(site.head.run(), site.radio.run()):
            await asyncio.sleep(0.1)
            await test(site)

    bench.run(main())


@pytest.fixture
def site_test(bench: Any) -> Callable[..., None]:
    return functools.partial(run_site, bench)


# -- frames -----------------------------------------------------------------------------------------------------------


def test_a_frame_is_acknowledged_after_the_commit_and_not_before(site_test: Any) -> None:
    async def test(site: Site) -> None:
        site.head.rx(1)
        await asyncio.sleep(10)
        assert len(site.frames) == 1
        assert 1 not in site.acks()
        await site.committed()
        assert site.acks()[-1] == 1

    site_test(test)


def test_one_acknowledgement_covers_a_commit(site_test: Any) -> None:
    async def test(site: Site) -> None:
        for sequence in (1, 2, 3):
            site.head.rx(sequence)
        await asyncio.sleep(0.01)
        before = len(site.acks())
        await site.committed()
        assert site.acks()[before:] == [3]

    site_test(test)


def test_a_frame_is_recorded_as_the_head_heard_it(site_test: Any) -> None:
    async def test(site: Site) -> None:
        site.head.rx(1, b"\x40" + bytes(254), chip=1, frequency_hz=868_300_000, spreading_factor=9)
        await asyncio.sleep(0.01)
        (frame,) = site.frames
        assert (frame.radio, frame.gateway_eui, frame.radio_session, frame.sequence) == ("roof", EUI, 0xB001, 1)
        assert (frame.chip, frame.frequency_hz, frame.spreading_factor) == (1, 868_300_000, 9)
        assert (frame.rssi_dbm, frame.snr_db, frame.crc, frame.clock) == (-77, -1.25, "ok", "ntp")
        assert frame.gateway_us == pytest.approx(frame.counter_us - site.head.start_us, abs=2000)
        assert not frame.concentrator
        assert frame.phy_payload == b"\x40" + bytes(254)

    site_test(test)


def test_a_frame_that_waited_in_the_head_keeps_its_time(site_test: Any) -> None:
    async def test(site: Site) -> None:
        heard_us, now_ms = site.head.counter_us(), site.bench.utc_ms()
        await asyncio.sleep(30)
        site.head.rx(1, counter_us=heard_us)
        await asyncio.sleep(0.01)
        assert site.frames[0].received_ms == pytest.approx(now_ms, abs=10)

    site_test(test)


@pytest.mark.parametrize("fault", [JournalFullError("full"), ValueError("our fault"), None])
def test_what_cannot_be_journalled_is_delivered_again_until_it_can(site_test: Any, fault: Exception | None) -> None:
    async def test(site: Site) -> None:
        site.fault = fault
        site.head.rx(1)
        site.head.rx(2)
        await asyncio.sleep(0.01)
        if fault is None:
            assert site.commit is not None
            commit, site.commit = site.commit, None
            commit.set_exception(OSError("disk"))
        await asyncio.sleep(5)
        assert site.acks() == [0]
        site.fault = None
        await asyncio.sleep(2)
        await site.committed()
        assert site.acks()[-1] == 2
        assert {frame.sequence for frame in site.frames} == {1, 2}
        assert site.radio.counters["not_journalled"] >= 1

    site_test(test)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=600), max_size=6))
def test_noise_on_the_line_costs_no_frame(new_bench: Any, noise: list[bytes]) -> None:
    bench = new_bench()

    async def test(site: Site) -> None:
        for number, junk in enumerate(noise, 1):
            site.bench.ports[PORT].feed(junk + b"\0")
            site.head.rx(number)
            await asyncio.sleep(0.01)
        assert [frame.sequence for frame in site.frames] == list(range(1, len(noise) + 1))

    run_site(bench, test)


# -- the link ---------------------------------------------------------------------------------------------------------


def test_the_chips_are_told_what_to_listen_to_and_the_gain_is_rounded_up(site_test: Any) -> None:
    async def test(site: Site) -> None:
        assert site.radio.connected
        told = site.head.told("configure")
        assert [(fields["chip"], fields["frequency_hz"], fields["spreading_factor"]) for fields in told] == [
            (0, 868_100_000, 7),
            (1, 868_300_000, 9),
        ]
        assert {fields["antenna_gain_db"] for fields in told} == {3}

    site_test(test)


def test_a_missing_port_is_tried_until_it_is_there(site_test: Any) -> None:
    async def test(site: Site) -> None:
        await asyncio.sleep(60)
        assert not site.radio.connected
        assert 8 <= site.radio.counters["open_failures"] <= 12
        site.plug()
        await asyncio.sleep(11)
        assert site.radio.connected

    site_test(test, plugged=False)


def test_a_head_that_is_unplugged_comes_back_in_its_session(site_test: Any) -> None:
    async def test(site: Site) -> None:
        site.head.rx(1)
        await asyncio.sleep(0.01)
        await site.committed()
        offset = site.radio.north.offset_us
        site.bench.ports[PORT].unplug()
        await asyncio.sleep(20)
        assert not site.radio.connected
        site.plug()
        await asyncio.sleep(11)
        assert site.radio.connected
        assert site.radio.north.offset_us == offset
        site.head.rx(1)
        site.head.rx(2)
        await asyncio.sleep(0.01)
        assert [frame.sequence for frame in site.frames] == [1, 2]

    site_test(test, alone=False)


def test_a_restarted_head_is_a_new_session(site_test: Any) -> None:
    async def test(site: Site) -> None:
        assert site.radio.north.to_north(site.head.counter_us()) == pytest.approx(site.bench.monotonic_us(), abs=2000)
        site.head.boot_id = 0xB002
        site.head.start_us = 77_000_000
        site.head.hello()
        await asyncio.sleep(0.1)
        assert site.radio.radio_session == 0xB002
        assert site.radio.north.to_north(site.head.counter_us()) == pytest.approx(site.bench.monotonic_us(), abs=2000)
        site.head.rx(1)
        await asyncio.sleep(0.01)
        assert site.frames[-1].radio_session == 0xB002

    site_test(test, alone=False)


def test_a_silent_head_is_lost_and_found(site_test: Any) -> None:
    async def test(site: Site) -> None:
        site.head.mute = True
        await asyncio.sleep(15)
        assert not site.radio.connected
        assert site.radio.gateway_us(5) is None
        site.head.mute = False
        await asyncio.sleep(2)
        assert site.radio.connected

    site_test(test)


def test_the_heads_own_counts_are_shown(site_test: Any) -> None:
    async def test(site: Site) -> None:
        counts = {"stored": 3, "heard": 9, "overflow": 2, "crc_errors": 4, "tx_on_air": 5, "tx_failed": 1}
        site.head.say(
            "stats", boot_id=0xB001, radio_errors=0, junk=0, deaf=0b10, counter_us=site.head.counter_us(), **counts
        )
        await asyncio.sleep(0.01)
        assert {name: site.radio.counters[f"head_{name}"] for name in counts} == counts
        assert site.radio.counters["head_deaf_chips"] == 1
        assert 0 <= site.radio.counters["head_clock_error_us"] < 5000

    site_test(test)


# -- transmissions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "reason", "slack_us", "expected"),
    [
        ("on_air", "", 4_000_000, ("on_air", "")),
        ("too_late", "TOO_LATE", -300, ("too_late", "TOO_LATE")),
        ("busy", "BUSY", 900, ("busy", "BUSY")),
        ("refused", "DUTY_CYCLE", 900, ("refused", "DUTY_CYCLE")),
    ],
)
def test_the_outcome_is_what_the_head_says(
    site_test: Any, outcome: str, reason: str, slack_us: int, expected: tuple[str, str]
) -> None:
    async def test(site: Site) -> None:
        transmission = asyncio.ensure_future(site.radio.transmit(REQUEST, WINDOW))
        await asyncio.sleep(0.01)
        (fields,) = site.head.told("tx")
        assert fields["chip"] == 1
        assert (fields["timed"], fields["counter_us"], fields["frequency_hz"]) == (1, 9_000_000, 868_300_000)
        assert (fields["invert_iq"], fields["crc"], fields["power_dbm"], fields["preamble"]) == (1, 0, 14, 8)
        site.head.say(
            "tx_outcome",
            boot_id=0xB001,
            tag=fields["tag"],
            chip=1,
            outcome=link.OUTCOMES.index(outcome),
            reason=link.REASONS.index(reason),
            slack_us=slack_us,
            counter_us=9_000_000,
        )
        result = await transmission
        assert result == TxOutcome(
            id="r1", outcome=result.outcome, reason=result.reason, window=WINDOW, slack_us=slack_us
        )
        assert (result.outcome, result.reason) == expected

    site_test(test)


@pytest.mark.parametrize(
    ("chip", "frequency_hz", "used"),
    [(1, 869_525_000, 1), (0, 868_300_000, 0), (None, 868_300_000, 1), (None, 869_525_000, 0)],
)
def test_the_chip_that_heard_the_uplink_answers_wherever_the_window_is(
    site_test: Any, chip: int | None, frequency_hz: int, used: int
) -> None:
    async def test(site: Site) -> None:
        request = msgspec.structs.replace(REQUEST, chip=chip)
        transmission = asyncio.ensure_future(
            site.radio.transmit(request, msgspec.structs.replace(WINDOW, frequency_hz=frequency_hz))
        )
        await asyncio.sleep(0.01)
        assert [fields["chip"] for fields in site.head.told("tx")] == [used]
        transmission.cancel()

    site_test(test)


def test_without_a_head_nothing_can_be_sent(site_test: Any) -> None:
    async def test(site: Site) -> None:
        outcome = await site.radio.transmit(REQUEST, WINDOW)
        assert (outcome.outcome, outcome.reason) == ("refused", "NO_RADIO")

    site_test(test, plugged=False)


def test_a_head_that_goes_away_in_the_middle_leaves_an_unknown_outcome(site_test: Any) -> None:
    async def test(site: Site) -> None:
        transmission = asyncio.ensure_future(site.radio.transmit(REQUEST, WINDOW))
        await asyncio.sleep(0.01)
        site.bench.ports[PORT].unplug()
        assert (await transmission).outcome == "unknown"

    site_test(test)


def test_a_request_that_the_link_cannot_carry_costs_only_itself(site_test: Any) -> None:
    async def test(site: Site) -> None:
        with pytest.raises(struct.error):
            await site.radio.transmit(REQUEST, msgspec.structs.replace(WINDOW, power_dbm=128))
        await asyncio.sleep(20)
        assert site.radio.connected
        assert len(site.head.told("time_query")) > 3
        assert site.head.told("tx") == []

    site_test(test)


def test_a_request_that_nobody_waits_for_any_more_is_taken_back(site_test: Any) -> None:
    async def test(site: Site) -> None:
        transmission = asyncio.ensure_future(site.radio.transmit(REQUEST, WINDOW))
        await asyncio.sleep(0.01)
        transmission.cancel()
        await asyncio.sleep(0.01)
        assert [fields["tag"] for fields in site.head.told("cancel")] == [site.head.told("tx")[0]["tag"]]

    site_test(test)
