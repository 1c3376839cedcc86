from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from siel_gateway import gwmp
from siel_gateway.config_models import SemtechUdpUpstream as Config
from siel_gateway.counters import NorthCounter
from siel_gateway.gwmp import Kind
from siel_gateway.records import RxFrame, TxOutcome, TxRequest, TxWindow
from siel_gateway.upstreams import semtech_udp
from siel_gateway.upstreams.semtech_udp import SemtechUdpUpstream

HEADS = "0016c001f1500812"
MAST = "aabbccddeeff0011"
SERVER = ("127.0.0.1", 1700)
S = 1_000_000
TXPK = {
    "freq": 868.1,
    "rfch": 0,
    "powe": 14,
    "modu": "LORA",
    "datr": "SF7BW125",
    "codr": "4/5",
    "ipol": True,
    "ncrc": True,
    "size": 3,
    "data": "AQID",
}


class StillRadio:
    """As much of a radio as an upstream looks at."""

    def __init__(self, name: str, eui: str, *, concentrator: bool, alone: bool = False) -> None:
        self.name, self.gateway_eui, self.concentrator = name, eui, concentrator
        self.radio_session: int | None = 77
        self.counters: Counter[str] = Counter()
        self.channels: tuple[Any, ...] = ()
        self.connected = True
        self.lead_us = self.guard_us = 0
        self.north = NorthCounter(alone=alone)

    def gateway_us(self, counter_us: int) -> int | None:
        raise NotImplementedError

    async def run(self) -> None:
        raise NotImplementedError

    async def transmit(self, request: TxRequest, window: TxWindow) -> TxOutcome:
        raise NotImplementedError


class StillJournal:
    last_row = 0

    def __init__(self) -> None:
        self.cursors: list[int] = []

    def set_cursor(self, consumer: str, row: int) -> None:
        assert consumer == "upstream:state"
        self.cursors.append(row)


class Site:
    """The upstream under test, its network server, and an arbiter in the test's hands."""

    def __init__(self, bench: Any, make_frame: Callable[..., RxFrame], radios: list[StillRadio], **config: Any) -> None:
        self.bench, self.make_frame = bench, make_frame
        self.radios = {radio.name: radio for radio in radios}
        self.journal = StillJournal()
        self.submitted: list[TxRequest] = []
        self.outcome: asyncio.Future[TxOutcome] | None = None
        self.got: list[tuple[gwmp.Datagram, Any]] = []
        self.silent = False
        self.row = 0
        fields = {"kind": "semtech-udp", "name": "state", "url": "udp://127.0.0.1:1700", "forward_heads": True}
        self.upstream = SemtechUdpUpstream(
            Config.model_validate({**fields, **config}),
            services=bench,
            journal=self.journal,  # type: ignore[arg-type]  # it only sets cursors
            radios=self.radios,
            submit=self.submit,
        )

    async def submit(self, request: TxRequest) -> TxOutcome:
        self.submitted.append(request)
        if self.outcome is None:
            return TxOutcome(id=request.id, outcome="on_air")
        return await self.outcome

    def serve(self, data: bytes, source: Any) -> None:
        datagram = gwmp.parse(data)
        self.got.append((datagram, source))
        answers = {Kind.PUSH_DATA: Kind.PUSH_ACK, Kind.PULL_DATA: Kind.PULL_ACK}
        if not self.silent and datagram.kind in answers:
            self.server.send(gwmp.build(answers[datagram.kind], datagram.token), source)

    async def start(self, server: Any = SERVER) -> None:
        self.server = await self.bench.open_datagrams(server, self.serve)
        await asyncio.sleep(0.01)

    def offer(self, **changes: Any) -> int:
        self.row += 1
        self.upstream.offer(self.row, self.make_frame(gateway_us=self.bench.monotonic_us(), **changes))
        return self.row

    def frames(self, eui: str | None = None) -> list[gwmp.RxPk]:
        return [
            packet
            for datagram, _ in self.got
            if datagram.kind == Kind.PUSH_DATA and eui in (None, datagram.eui)
            for packet in gwmp.parse_push_data(datagram.body).rxpks
        ]

    async def pull_resp(self, eui: str, token: bytes = b"\x12\x34", **changes: Any) -> None:
        address = next(source for datagram, source in reversed(self.got) if datagram.eui == eui)
        body = json.dumps({"txpk": {**TXPK, **changes}}).encode()
        self.server.send(gwmp.build(Kind.PULL_RESP, token, body=body), address)
        await asyncio.sleep(0.002)

    def words(self) -> list[str]:
        return [gwmp.parse_tx_ack(datagram.body) for datagram, _ in self.got if datagram.kind == Kind.TX_ACK]


def heads() -> list[StillRadio]:
    roof, shed = StillRadio("roof", HEADS, concentrator=False), StillRadio("shed", HEADS, concentrator=False)
    roof.north.start_session(100, 5000)
    shed.north.start_session(9_000_000, 5000)
    return [roof, shed, StillRadio("mast", MAST, concentrator=True, alone=True)]


def site_test(
    bench: Any, make_frame: Any, test: Callable[[Site], Any], radios: list[StillRadio] | None = None, **config: Any
) -> Site:
    site = Site(bench, make_frame, heads() if radios is None else radios, **config)

    async def main() -> None:
        async with bench.running(site.upstream.run()):
            await test(site)

    bench.run(main())
    return site


# -- north ------------------------------------------------------------------------------------------------------------


def test_frames_go_north_raw_with_their_euis_counter(bench: Any, make_frame: Any) -> None:
    payload = bytes(range(23))

    async def test(site: Site) -> None:
        await site.start()
        site.offer(radio="roof", counter_us=200, phy_payload=payload)
        site.offer(radio="shed", counter_us=9_000_400, phy_payload=payload)
        site.offer(radio="mast", gateway_eui=MAST, counter_us=4_000_000_000, concentrator=True)
        await asyncio.sleep(0.01)
        assert [packet.tmst for packet in site.frames(HEADS)] == [5100, 5400]
        assert [packet.tmst for packet in site.frames(MAST)] == [4_000_000_000]
        assert [gwmp.decode_data(packet.data) for packet in site.frames(HEADS)] == [payload, payload]
        assert site.upstream.counters["forwarded"] == 3
        assert site.journal.cursors[-1] == 3

    site_test(bench, make_frame, test)


def test_each_eui_has_a_socket_of_its_own(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        await asyncio.sleep(3)
        ports = {datagram.eui: source for datagram, source in site.got}
        assert len(ports) == len(set(ports.values())) == 2

    site_test(bench, make_frame, test)


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, False),
        ({"radio": "mast", "gateway_eui": MAST, "concentrator": True}, True),
        ({"radio": "mast", "gateway_eui": MAST, "concentrator": True, "crc": "bad"}, False),
        ({"radio": "mast", "gateway_eui": MAST, "concentrator": True, "crc": "none"}, False),
    ],
)
def test_single_channel_heads_and_broken_frames_stay_here(
    bench: Any, make_frame: Any, changes: dict[str, Any], taken: bool
) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.offer(**changes)
        await asyncio.sleep(0.01)
        assert len(site.frames()) == int(taken)
        assert site.upstream.counters["forwarded"] == int(taken)
        assert site.upstream.counters["not_forwarded"] == 0
        assert site.journal.cursors[-1] == 1

    site_test(bench, make_frame, test, forward_heads=False)


def test_frames_heard_while_the_server_is_away_are_counted_and_never_sent(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        assert not site.upstream.connected
        site.offer()
        await asyncio.sleep(20)
        site.offer()
        await site.start()
        await asyncio.sleep(10)
        assert site.upstream.connected
        site.offer()
        await asyncio.sleep(0.01)
        assert len(site.frames()) == 1
        assert (site.upstream.counters["not_forwarded"], site.upstream.counters["forwarded"]) == (2, 1)
        assert site.journal.cursors[-1] == 3

    site_test(bench, make_frame, test)


def test_the_cursor_waits_for_the_oldest_frame_that_is_not_settled(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.offer()
        await asyncio.sleep(0.01)
        site.silent = True
        site.offer()
        await asyncio.sleep(0.01)
        site.silent = False
        site.offer()
        await asyncio.sleep(0.01)
        assert site.upstream.counters["forwarded"] == 2
        assert site.journal.cursors[-1] == 1
        assert site.upstream.pending == 1
        await asyncio.sleep(3)
        assert site.journal.cursors[-1] == 3
        assert site.upstream.counters["not_forwarded"] == 1
        assert site.upstream.pending == 0

    site_test(bench, make_frame, test)


def test_a_frame_of_an_earlier_session_of_its_head_goes_north_on_the_gateways_clock(
    bench: Any, make_frame: Any
) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.offer(radio="roof", radio_session=76, counter_us=5)
        await asyncio.sleep(0.01)
        assert [packet.tmst for packet in site.frames()] == [10_000]

    site_test(bench, make_frame, test)


def test_a_server_that_moved_is_found_again(bench: Any, make_frame: Any) -> None:
    bench.names["ns.example"] = "10.0.0.1"

    async def test(site: Site) -> None:
        await asyncio.sleep(25)
        bench.names["ns.example"] = "10.0.0.2"
        await site.start(("10.0.0.2", 1700))
        await asyncio.sleep(15)
        assert site.upstream.connected

    site_test(bench, make_frame, test, url="udp://ns.example:1700")


def test_an_unknown_server_is_looked_up_until_it_is_known(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.offer()
        await asyncio.sleep(300)
        assert site.upstream.counters["resolve_failures"] > 6
        assert site.upstream.counters["not_forwarded"] == 1

    site_test(bench, make_frame, test, url="udp://nowhere:1700")


# -- south ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [1, 2, 5, 15])
def test_a_downlink_goes_to_the_head_that_heard_the_uplink(bench: Any, make_frame: Any, delay_s: int) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.offer(radio="roof", counter_us=200)
        site.offer(radio="shed", counter_us=9_000_400, chip=2)
        await asyncio.sleep(0.01)
        await site.pull_resp(HEADS, tmst=5400 + delay_s * S)
        (request,) = site.submitted
        assert request.origin == "upstream:state"
        assert (request.radio, request.radio_session, request.chip) == ("shed", 77, 2)
        (window,) = request.windows
        assert window.counter_us == 9_000_400 + delay_s * S
        assert (window.frequency_hz, window.spreading_factor, window.power_dbm) == (868_100_000, 7, 14)
        assert (request.invert_iq, request.crc, request.preamble) == (True, False, 8)
        assert request.phy_payload == b"\1\2\3"

    site_test(bench, make_frame, test)


def test_without_ncrc_the_frame_carries_a_crc_and_iq_is_as_asked(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.offer(radio="mast", gateway_eui=MAST, counter_us=0, chip=5, concentrator=True)
        await asyncio.sleep(0.01)
        await site.pull_resp(MAST, tmst=S, ncrc=False, ipol=False, prea=10)
        (request,) = site.submitted
        assert request.chip is None, "a concentrator's channel only listens"
        assert (request.invert_iq, request.crc, request.preamble) == (False, True, 10)

    site_test(bench, make_frame, test)


def test_an_unknown_time_is_mapped_where_the_eui_has_one_counter_and_refused_where_it_has_several(
    bench: Any, make_frame: Any
) -> None:
    async def test(site: Site) -> None:
        await site.start()
        await site.pull_resp(MAST, tmst=123_456)
        assert [(request.radio, request.windows[0].counter_us) for request in site.submitted] == [("mast", 123_456)]
        assert site.words() == ["NONE"]
        await site.pull_resp(HEADS, tmst=123_456)
        assert len(site.submitted) == 1
        assert site.words() == ["NONE", "UNKNOWN"]
        assert site.upstream.counters["downlinks_refused"] == 1

    site_test(bench, make_frame, test)


def test_an_immediate_downlink_needs_an_eui_with_one_radio(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        await site.pull_resp(MAST, imme=True, tmst=5)
        assert [(request.radio, request.windows[0].counter_us) for request in site.submitted] == [("mast", None)]
        await site.pull_resp(HEADS, imme=True)
        assert len(site.submitted) == 1
        assert site.words() == ["NONE", "UNKNOWN"]

    site_test(bench, make_frame, test)


def test_a_head_that_has_restarted_since_does_not_answer(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.offer(radio="roof", counter_us=200)
        await asyncio.sleep(0.01)
        site.radios["roof"].radio_session = 78
        await site.pull_resp(HEADS, tmst=5100 + S)
        assert site.submitted == []
        assert site.words() == ["UNKNOWN"]

    site_test(bench, make_frame, test)


def test_tx_ack_waits_for_the_outcome_and_carries_the_token_and_the_truth(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        site.outcome = asyncio.get_running_loop().create_future()
        await site.pull_resp(MAST, token=b"\xca\xfe", tmst=S)
        await asyncio.sleep(2)
        assert site.words() == []
        site.outcome.set_result(TxOutcome(id="x", outcome="too_late", reason="TOO_LATE", slack_us=-5))
        await asyncio.sleep(0.01)
        ((ack, _),) = [item for item in site.got if item[0].kind == Kind.TX_ACK]
        assert (ack.token, ack.eui, gwmp.parse_tx_ack(ack.body)) == (b"\xca\xfe", MAST, "TOO_LATE")

    site_test(bench, make_frame, test)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"tmst": 2**32}, "UNKNOWN"),
        ({"tmst": S, "modu": "FSK", "datr": 50000}, "UNKNOWN"),
        ({"tmst": S, "data": "*"}, "UNKNOWN"),
        ({"tmst": S, "powe": 128}, "UNKNOWN"),
        ({"tmst": S, "powe": -129}, "UNKNOWN"),
        ({"tmms": 1_400_000_000_000}, "GPS_UNLOCKED"),
        ({}, "UNKNOWN"),
    ],
)
def test_a_downlink_that_cannot_be_sent_is_refused_at_once(
    bench: Any, make_frame: Any, changes: dict[str, Any], word: str
) -> None:
    async def test(site: Site) -> None:
        await site.start()
        await site.pull_resp(MAST, **changes)
        assert site.submitted == []
        assert site.words() == [word]

    site_test(bench, make_frame, test)


@pytest.mark.parametrize(
    ("config", "server", "allowed"),
    [
        ({}, SERVER, True),
        ({"uplink_only": True}, SERVER, False),
        ({"url": "udp://10.0.0.9:1700"}, ("10.0.0.9", 1700), False),
        ({"url": "udp://10.0.0.9:1700", "allow_unauthenticated_downlink": True}, ("10.0.0.9", 1700), True),
        (
            {"url": "udp://10.0.0.9:1700", "allow_unauthenticated_downlink": True, "uplink_only": True},
            ("10.0.0.9", 1700),
            False,
        ),
    ],
)
def test_a_server_that_anyone_could_play_cannot_transmit(
    bench: Any, make_frame: Any, config: dict[str, Any], server: Any, allowed: bool
) -> None:
    async def test(site: Site) -> None:
        await site.start(server)
        await asyncio.sleep(2)
        await site.pull_resp(MAST, tmst=S)
        assert len(site.submitted) == int(allowed)
        assert site.words() == ["NONE" if allowed else "UNKNOWN"]

    site_test(bench, make_frame, test, **config)


def test_nobody_but_the_server_is_listened_to(bench: Any, make_frame: Any) -> None:
    async def test(site: Site) -> None:
        await site.start()
        stranger = await bench.open_datagrams(("127.0.0.1", 6666), lambda data, source: None)
        for _, source in site.got:
            body = json.dumps({"txpk": {**TXPK, "tmst": S}}).encode()
            stranger.send(gwmp.build(Kind.PULL_RESP, b"xx", body=body), source)
        await asyncio.sleep(0.01)
        assert site.submitted == []
        assert site.upstream.counters["foreign_source"] == len(site.got)

    site_test(bench, make_frame, test)


@pytest.mark.parametrize("extra", [0, 1])
def test_downlinks_under_way_are_bounded(bench: Any, make_frame: Any, monkeypatch: Any, extra: int) -> None:
    monkeypatch.setattr(semtech_udp, "MAX_ANSWERS", 3)

    async def test(site: Site) -> None:
        await site.start()
        site.outcome = asyncio.get_running_loop().create_future()
        for number in range(3 + extra):
            await site.pull_resp(MAST, token=bytes((7, number)), tmst=S)
        assert len(site.submitted) == 3
        assert site.words() == ["COLLISION_PACKET"] * extra
        site.outcome.set_result(TxOutcome(id="x", outcome="on_air"))
        await asyncio.sleep(0.01)
        assert site.words() == ["COLLISION_PACKET"] * extra + ["NONE"] * 3

    site_test(bench, make_frame, test)


@pytest.mark.parametrize(
    ("server", "own"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("::1", "::1"),
        ("10.1.2.3", "0.0.0.0"),
        ("2001:db8::1", "::"),
        ("ns.example", "0.0.0.0"),
    ],
)
def test_sockets_are_as_private_as_their_server(server: str, own: str) -> None:
    assert semtech_udp._own_host(server) == own
