from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway import gwmp
from siel_gateway.config_models import SemtechUdpRadio
from siel_gateway.errors import JournalFullError
from siel_gateway.gwmp import Kind
from siel_gateway.radios import semtech_udp
from siel_gateway.radios.semtech_udp import SemtechUdp
from siel_gateway.records import RxFrame, TxOutcome, TxRequest, TxWindow

EUI = "aabbccddeeff0011"
BIND = ("127.0.0.1", 1700)
WINDOW = TxWindow(counter_us=2_000_000, frequency_hz=868_100_000, spreading_factor=7, bandwidth_hz=125_000)
REQUEST = TxRequest(id="r1", origin="edge", radio="mast", windows=(WINDOW,), phy_payload=b"\x60\1\2\3")


def rx_pk(tmst: int, **changes: Any) -> dict[str, Any]:
    fields = {"tmst": tmst, "freq": 868.1, "stat": 1, "modu": "LORA", "datr": "SF7BW125", "codr": "4/5"}
    return {**fields, "rssi": -60, "lsnr": 7.5, "size": 3, "data": "AQID", **changes}


class Site:
    """The radio under test, a packet forwarder beside it, and a daemon whose commits the test makes."""

    def __init__(self, bench: Any, *, alone: bool = True) -> None:
        self.bench = bench
        self.frames: list[RxFrame] = []
        self.commit: asyncio.Future[None] | None = None
        self.full = False
        self.got: list[gwmp.Datagram] = []
        config = SemtechUdpRadio(kind="semtech-udp", name="mast", bind=BIND, gateway_id=EUI)
        self.radio = SemtechUdp(config, services=bench, receive=self.receive, alone=alone)

    def receive(self, frame: RxFrame) -> asyncio.Future[None]:
        if self.full:
            raise JournalFullError("full")
        self.frames.append(frame)
        if self.commit is None:
            self.commit = asyncio.get_running_loop().create_future()
        return self.commit

    def committed(self) -> None:
        assert self.commit is not None
        self.commit.set_result(None)
        self.commit = None

    async def start(self) -> None:
        self.socket = await self.bench.open_datagrams(("127.0.0.1", 40_000), lambda data, _: self.hear(data))
        await asyncio.sleep(0.001)

    def hear(self, data: bytes) -> None:
        self.got.append(gwmp.parse(data))

    async def send(self, kind: Kind, token: bytes, body: bytes = b"", eui: str = EUI) -> None:
        self.socket.send(gwmp.build(kind, token, eui, body), BIND)
        await asyncio.sleep(0.002)

    async def push(self, *packets: dict[str, Any], token: bytes = b"t1") -> None:
        await self.send(Kind.PUSH_DATA, token, json.dumps({"rxpk": packets}).encode())

    def answers(self, kind: Kind) -> list[bytes]:
        return [datagram.token for datagram in self.got if datagram.kind == kind]


def site_test(test: Callable[[Site], Any], **options: Any) -> Callable[[Any], None]:
    def run(bench: Any) -> None:
        site = Site(bench, **options)

        async def main() -> None:
            async with bench.running(site.radio.run()):
                await site.start()
                await test(site)

        bench.run(main())

    run.__name__ = test.__name__
    return run


# -- up ---------------------------------------------------------------------------------------------------------------


@site_test
async def test_push_data_is_acknowledged_after_the_commit_and_not_before(site: Site) -> None:
    await site.push(rx_pk(1_000_000), token=b"ab")
    assert [frame.counter_us for frame in site.frames] == [1_000_000]
    await asyncio.sleep(10)
    assert site.got == []
    site.committed()
    await asyncio.sleep(0.01)
    assert site.answers(Kind.PUSH_ACK) == [b"ab"]


@site_test
async def test_a_frame_is_recorded_as_it_was_heard(site: Site) -> None:
    await site.push(rx_pk(1_000_000, chan=3, data=gwmp.encode_data(bytes(255)), size=255))
    (frame,) = site.frames
    assert frame.radio == "mast"
    assert frame.gateway_eui == EUI
    assert frame.concentrator
    assert frame.sequence is None
    assert frame.radio_session == site.radio.radio_session
    assert (frame.chip, frame.rssi_dbm, frame.snr_db, frame.phy_payload) == (3, -60, 7.5, bytes(255))


@site_test
async def test_all_frames_of_a_datagram_are_committed_before_its_acknowledgement(site: Site) -> None:
    await site.push(rx_pk(1_000_000), token=b"t1")
    first, site.commit = site.commit, None
    await site.push(rx_pk(1_100_000), rx_pk(1_200_000), token=b"t2")
    site.committed()
    await asyncio.sleep(0.01)
    assert site.answers(Kind.PUSH_ACK) == [b"t2"]
    assert first is not None
    first.set_result(None)
    await asyncio.sleep(0.01)
    assert site.answers(Kind.PUSH_ACK) == [b"t2", b"t1"]


@pytest.mark.parametrize("how", ["full", "failed"])
def test_what_cannot_be_journalled_is_not_acknowledged(bench: Any, how: str) -> None:
    async def test(site: Site) -> None:
        site.full = how == "full"
        await site.push(rx_pk(1_000_000))
        if site.commit is not None:
            site.commit.set_exception(OSError("disk"))
        await asyncio.sleep(1)
        assert site.got == []
        assert site.radio.counters["not_journalled"] == 1

    site_test(test)(bench)


@site_test
async def test_what_is_no_lora_frame_is_counted_and_the_rest_is_taken(site: Site) -> None:
    await site.push(rx_pk(1, modu="FSK", datr=50000), {"tmst": "?"}, rx_pk(1_000_000))
    assert len(site.frames) == 1
    assert site.radio.counters["rxpk_modu"] == 1
    assert site.radio.counters["rxpk_faults"] == 1
    site.committed()
    await asyncio.sleep(0.01)
    assert site.answers(Kind.PUSH_ACK) == [b"t1"]


@site_test
async def test_statistics_alone_are_acknowledged_at_once(site: Site) -> None:
    await site.send(Kind.PUSH_DATA, b"st", b'{"stat":{"time":"2026-01-01 00:00:00 GMT","rxnb":3}}')
    assert site.answers(Kind.PUSH_ACK) == [b"st"]


@site_test
async def test_another_gateways_datagrams_are_counted_and_not_answered(site: Site) -> None:
    await site.send(Kind.PULL_DATA, b"t1", eui="ff" * 8)
    await site.send(Kind.PUSH_DATA, b"t2", json.dumps({"rxpk": [rx_pk(1)]}).encode(), eui="ff" * 8)
    assert site.got == []
    assert site.frames == []
    assert site.radio.counters["junk_eui"] == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.binary(max_size=20).map(lambda x: b"\2ab\0" + bytes.fromhex(EUI) + x)))
def test_noise_on_the_port_hurts_nobody(new_bench: Any, noise: list[bytes]) -> None:
    async def test(site: Site) -> None:
        for data in noise:
            site.socket.send(data, BIND)
        await asyncio.sleep(0.01)
        await site.send(Kind.PULL_DATA, b"ok")
        assert b"ok" in site.answers(Kind.PULL_ACK)

    site_test(test)(new_bench())


# -- counters ---------------------------------------------------------------------------------------------------------


def test_a_counter_that_starts_anew_is_a_new_session_with_a_new_offset(bench: Any) -> None:
    async def test(site: Site) -> None:
        await site.push(rx_pk(4_000_000_000))
        await asyncio.sleep(1)
        await site.push(rx_pk(4_001_002_000))
        await asyncio.sleep(1)
        before = site.radio.north.offset_us
        await site.push(rx_pk(500_000))
        sessions = [frame.radio_session for frame in site.frames]
        assert sessions[0] == sessions[1] != sessions[2]
        assert site.radio.north.offset_us != before
        assert site.radio.north.to_north(500_000) == site.frames[2].gateway_us % 2**32

    site_test(test, alone=False)(bench)


@site_test
async def test_the_only_radio_of_an_eui_keeps_its_counter(site: Site) -> None:
    await site.push(rx_pk(4_000_000_000))
    assert site.radio.north.offset_us == 0


@site_test
async def test_a_frame_that_came_late_was_heard_earlier(site: Site) -> None:
    await site.push(rx_pk(1_000_000))
    await asyncio.sleep(0.998)
    late = 0.4
    await asyncio.sleep(late)
    await site.push(rx_pk(2_000_000))
    first, second = site.frames
    assert second.gateway_us - first.gateway_us == pytest.approx(1_000_000, abs=2000)
    assert second.received_ms - first.received_ms == pytest.approx(1000, abs=2)


# -- down -------------------------------------------------------------------------------------------------------------


@site_test
async def test_without_a_forwarder_nothing_can_be_sent(site: Site) -> None:
    assert not site.radio.connected
    outcome = await site.radio.transmit(REQUEST, WINDOW)
    assert (outcome.outcome, outcome.reason) == ("refused", "NO_RADIO")


@site_test
async def test_pull_data_is_answered_and_its_sender_gets_the_downlinks_for_a_minute(site: Site) -> None:
    await site.send(Kind.PULL_DATA, b"k1")
    assert site.answers(Kind.PULL_ACK) == [b"k1"]
    assert site.radio.connected
    await asyncio.sleep(59.9)
    assert site.radio.connected
    await asyncio.sleep(0.2)
    assert not site.radio.connected


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        (b"", "queued", ""),
        (b'{"txpk_ack":{"error":"NONE"}}\0', "queued", ""),
        (b'{"txpk_ack":{"warn":"TX_POWER","value":14}}', "queued", ""),
        (b'{"txpk_ack":{"error":"TOO_LATE"}}', "too_late", "TOO_LATE"),
        (b'{"txpk_ack":{"error":"TOO_EARLY"}}', "refused", "TOO_EARLY"),
        (b'{"txpk_ack":{"error":"COLLISION_PACKET"}}', "busy", "COLLISION"),
        (b'{"txpk_ack":{"error":"COLLISION_BEACON"}}', "busy", "COLLISION"),
        (b'{"txpk_ack":{"error":"TX_FREQ"}}', "refused", "TX_FREQ"),
        (b'{"txpk_ack":{"error":"GPS_UNLOCKED"}}', "refused", "OTHER"),
        (b'{"txpk_ack":{"error":"WHATEVER"}}', "refused", "OTHER"),
        (b"junk", "unknown", "OTHER"),
        (None, "unknown", "OTHER"),
    ],
)
def test_the_forwarders_word_is_the_outcome(bench: Any, body: bytes | None, outcome: str, reason: str) -> None:
    async def test(site: Site) -> None:
        await site.send(Kind.PULL_DATA, b"k1")
        await site.push(rx_pk(1_000_000))
        transmission = asyncio.ensure_future(site.radio.transmit(REQUEST, WINDOW))
        await asyncio.sleep(0.01)
        order = next(datagram for datagram in site.got if datagram.kind == Kind.PULL_RESP)
        assert not transmission.done()
        if body is not None:
            await site.send(Kind.TX_ACK, order.token, body)
        result = await transmission
        assert (result.id, result.outcome, result.reason) == ("r1", outcome, reason)
        assert result.window == WINDOW
        assert result.slack_us == pytest.approx(1_000_000, abs=5_000)
        packet = gwmp.parse_pull_resp(order.body)
        assert (packet.tmst, packet.freq, packet.ipol, packet.ncrc) == (2_000_000, 868.1, True, True)
        assert gwmp.decode_data(packet.data) == REQUEST.phy_payload

    site_test(test)(bench)


@site_test
async def test_an_acknowledgement_with_another_token_ends_nothing(site: Site) -> None:
    await site.send(Kind.PULL_DATA, b"k1")
    transmission = asyncio.ensure_future(site.radio.transmit(REQUEST, WINDOW))
    await asyncio.sleep(0.01)
    (token,) = site.answers(Kind.PULL_RESP)
    await site.send(Kind.TX_ACK, bytes((token[0] ^ 1, token[1])))
    assert not transmission.done()
    assert site.radio.counters["junk_token"] == 1
    assert (await transmission).outcome == "unknown"


@pytest.mark.parametrize("extra", [0, 1])
def test_downlinks_without_answer_are_bounded(bench: Any, monkeypatch: Any, extra: int) -> None:
    monkeypatch.setattr(semtech_udp, "MAX_PENDING", 3)

    async def test(site: Site) -> None:
        await site.send(Kind.PULL_DATA, b"k1")
        outcomes: list[TxOutcome] = await asyncio.gather(
            *(site.radio.transmit(REQUEST, WINDOW) for _ in range(3 + extra))
        )
        assert [outcome.outcome for outcome in outcomes] == ["unknown"] * 3 + ["busy"] * extra

    site_test(test)(bench)


def test_a_port_in_use_is_tried_again(bench: Any) -> None:
    async def main() -> None:
        squatter = await bench.open_datagrams(BIND, lambda data, source: None)
        site = Site(bench)
        async with bench.running(site.radio.run()):
            await asyncio.sleep(5)
            assert site.radio.local_address is None
            assert site.radio.counters["bind_failures"] >= 3
            squatter.close()
            await asyncio.sleep(10)
            assert site.radio.local_address == BIND
        assert site.radio.local_address is None

    bench.run(main())
