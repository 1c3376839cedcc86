"""The daemon's ways: frames to journal, server and sink, downlinks back to the radio."""

from __future__ import annotations

import asyncio
import json
import sqlite3

from structlog.testing import capture_logs

from siel_codecs.lorawan import DataFrame, encode_data_up, parse_phy
from siel_gateway import gwmp
from siel_gateway.edge import Downlink
from siel_gateway.gwmp import Kind
from siel_hil.rigs.daemon_bench import DEV_EUI, DaemonBench, journalled


def test_frame_of_any_udp_client_is_journalled_acknowledged_forwarded_and_decoded(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            node = await site.join()
            phy = node.uplink()
            token = await site.heard(phy)
            assert token in site.forwarder.acknowledged
            assert phy in site.server.frames
            (observation,) = site.observations()
            assert (observation["dev_eui"], observation["f_cnt"], observation["device"]) == (DEV_EUI, 0, "pond")
            assert phy in journalled(site.data_dir)[0]
            assert await site.daemon.drain(10)
            assert site.daemon.report() == {
                "frames_received": 2,
                "frames_forwarded": 2,
                "uplinks_received": 1,
                "observations": 1,
                "observations_published": 1,
                "downlinks_requested": 1,
                "downlinks_on_air": 0,  # a forwarder says no more than that it has queued it
                "downlinks_queued": 1,
            }

    site.bench.run(main())


def test_strangers_frame_is_forwarded_raw_and_makes_no_observation(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            phy = encode_data_up(bytes(16), bytes(16), 0x26011234, 1, f_port=1, payload=b"x")
            assert await site.heard(phy) in site.forwarder.acknowledged
            assert site.server.frames == [phy]
            assert site.observations() == []
            assert site.daemon.counters["unknown_devices"] == 1

    site.bench.run(main())


def test_wrong_mic_and_replay_go_north_but_are_not_observed(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            node = await site.join()
            old, new = node.uplink(), node.uplink()
            wrong = old[:-1] + bytes([old[-1] ^ 1])
            with capture_logs() as logs:
                for phy in (new, wrong, old):
                    await site.heard(phy)
            assert site.server.frames[1:] == [new, wrong, old]
            assert [observation["f_cnt"] for observation in site.observations()] == [1]
            counters = site.daemon.counters
            assert (counters["mic_failures"], counters["replays"]) == (1, 1)
            assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["mic_failure", "replay"]

    site.bench.run(main())


def test_frame_with_bad_crc_is_counted_and_goes_nowhere(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            assert await site.heard(b"noise", stat=-1) in site.forwarder.acknowledged
            assert site.daemon.counters["frames_bad_crc"] == 1
            assert site.daemon.counters["frames_received"] == 0
            assert site.server.frames == []
            assert journalled(site.data_dir)[0] == []

    site.bench.run(main())


def test_acknowledgement_waits_for_the_commit_and_the_answer_does_not(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            node = await site.join()

            def fault() -> None:
                raise sqlite3.OperationalError("disk is full")

            site.bench.disk_fault = fault
            token = await site.heard(node.uplink(confirmed=True))
            assert len(site.forwarder.downlinks) == 2  # the acknowledgement to the device is under way
            await asyncio.sleep(3)
            assert token not in site.forwarder.acknowledged
            site.bench.disk_fault = lambda: None
            await asyncio.sleep(6)
            assert token in site.forwarder.acknowledged

    site.bench.run(main())


def test_join_accept_waits_for_the_commit(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():

            def fault() -> None:
                raise sqlite3.OperationalError("disk is full")

            site.bench.disk_fault = fault
            await site.heard(site.node.join_request())
            assert site.forwarder.downlinks == []
            site.bench.disk_fault = lambda: None
            await asyncio.sleep(1)
            assert len(site.forwarder.downlinks) == 1

    site.bench.run(main())


def test_downlink_of_the_network_server_goes_south_and_its_outcome_north(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            await site.heard(encode_data_up(bytes(16), bytes(16), 0x26011234, 1, f_port=1, payload=b"x"))
            heard_us = site.bench.monotonic_us() - 200_000
            answer = {
                "imme": False,
                "tmst": heard_us + 1_000_000,
                "freq": 868.1,
                "rfch": 0,
                "powe": 14,
                "modu": "LORA",
                "datr": "SF7BW125",
                "codr": "4/5",
                "ipol": True,
                "ncrc": True,
                "size": 3,
                "data": gwmp.encode_data(b"abc"),
            }
            body = json.dumps({"txpk": answer}).encode()
            site.server.socket.send(gwmp.build(Kind.PULL_RESP, b"\x01\x02", None, body), site.server.gateway)
            await asyncio.sleep(0.1)
            ((_, packet),) = site.forwarder.downlinks
            assert (packet.tmst, gwmp.decode_data(packet.data)) == (heard_us + 1_000_000, b"abc")
            assert [gwmp.parse_tx_ack(ack) for ack in site.server.acks] == ["NONE"]

    site.bench.run(main())


def test_operators_downlink_goes_out_after_the_next_uplink(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            node = await site.join()
            expires_ms = site.bench.utc_ms() + 60_000
            with capture_logs() as logs:
                site.daemon.enqueue(DEV_EUI, Downlink(id="a", f_port=3, payload=b"open", expires_ms=expires_ms))
                await asyncio.sleep(0.015)
                assert logs == [], "a kill now would make it untrue that it is queued"
                await asyncio.sleep(0.015)
                assert [line["event"] for line in logs] == ["downlink_delivery"]
            with capture_logs() as logs:
                await site.heard(node.uplink())
            frame = parse_phy(gwmp.decode_data(site.forwarder.downlinks[-1][1].data))
            assert isinstance(frame, DataFrame)
            assert frame.f_port == 3
            deliveries = [line["outcome"] for line in logs if line["event"] == "downlink_delivery"]
            assert deliveries == ["queued"]
            assert b"open" not in repr(logs).encode()

    site.bench.run(main())


def test_expired_downlink_is_told_while_its_device_is_silent(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            expires_ms = site.bench.utc_ms() + 1000
            with capture_logs() as logs:
                site.daemon.enqueue(DEV_EUI, Downlink(id="a", f_port=3, payload=b"open", expires_ms=expires_ms))
                await asyncio.sleep(7)
            deliveries = [line["outcome"] for line in logs if line["event"] == "downlink_delivery"]
            assert deliveries == ["queued", "expired"]

    site.bench.run(main())
