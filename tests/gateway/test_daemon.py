from __future__ import annotations

import asyncio
import contextlib
import io
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from siel_codecs import registry
from siel_codecs.lorawan import (
    DataFrame,
    SessionKeys,
    decode_join_accept,
    derive_session_keys,
    encode_data_up,
    encode_join_request,
    parse_phy,
)
from siel_gateway import config as configuration
from siel_gateway import gwmp
from siel_gateway.daemon import JOURNAL_FILE, Daemon
from siel_gateway.edge import Downlink
from siel_gateway.errors import JournalFullError, JournalInUseError
from siel_gateway.gwmp import Kind
from siel_gateway.journal import Journal
from siel_gateway.journal_store import JournalStore
from siel_gateway.keystore import KeyStore
from siel_gateway.log_limit import MAX_LINES, WINDOW_US, LogLimit
from siel_gateway.records import Observation, RxFrame
from siel_gateway.supervisor import keep_running

EUI = "0016c001f1500812"
DEV_EUI = "70b3d57ed0000101"
JOIN_EUI = "70b3d57ed0000001"
APP_KEY = bytes(range(16))
FORWARDER_PORT = 1700
SERVER = ("127.0.0.1", 1710)
CODEC = registry.load("siel/climate")
F_PORT = CODEC.device.frames[0].f_port  # type: ignore[attr-defined]
READING = CODEC.encode(F_PORT, {})

TOML = f"""
[gateway]
id = "{EUI}"

[[radio]]
name = "roof"
kind = "semtech-udp"
bind = "127.0.0.1:{FORWARDER_PORT}"
gateway_id = "{EUI}"

[[upstream]]
name = "state"
kind = "semtech-udp"
url = "udp://127.0.0.1:{SERVER[1]}"

[[sink]]
name = "screen"
kind = "console"
format = "json"

[[device]]
dev_eui = "{DEV_EUI}"
join_eui = "{JOIN_EUI}"
name = "pond"
codec = "siel/climate"
home = "edge"
"""


class Node:
    """A device behind the concentrator."""

    def __init__(self) -> None:
        self.dev_nonce = 0
        self.f_cnt = -1
        self.dev_addr = 0
        self.keys: SessionKeys | None = None

    def join_request(self) -> bytes:
        self.dev_nonce += 1
        return encode_join_request(APP_KEY, JOIN_EUI, DEV_EUI, self.dev_nonce)

    def hear_accept(self, phy: bytes) -> None:
        accept = decode_join_accept(APP_KEY, phy)
        self.dev_addr, self.f_cnt = accept.dev_addr, -1
        self.keys = derive_session_keys(APP_KEY, accept.join_nonce, accept.net_id, self.dev_nonce)

    def uplink(self, **fields: Any) -> bytes:
        assert self.keys is not None
        self.f_cnt += 1
        return encode_data_up(*self.keys, self.dev_addr, self.f_cnt, f_port=F_PORT, payload=READING, **fields)


class Forwarder:
    """A packet forwarder on the same box."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.acknowledged: list[bytes] = []
        self.downlinks: list[tuple[int, gwmp.TxPk]] = []
        self.answers = ""
        self.token = 0

    async def start(self) -> None:
        self.socket = await self.bench.open_datagrams(("127.0.0.1", 0), self._receive)
        self._send(Kind.PULL_DATA)
        await asyncio.sleep(0.01)

    def _send(self, kind: Kind, body: bytes = b"", token: bytes | None = None) -> bytes:
        self.token += 1
        token = token or self.token.to_bytes(2)
        self.socket.send(gwmp.build(kind, token, EUI, body), ("127.0.0.1", FORWARDER_PORT))
        return token

    def _receive(self, data: bytes, source: Any) -> None:
        datagram = gwmp.parse(data)
        if datagram.kind is Kind.PUSH_ACK:
            self.acknowledged.append(datagram.token)
        elif datagram.kind is Kind.PULL_RESP:
            self.downlinks.append((self.bench.monotonic_us(), gwmp.parse_pull_resp(datagram.body)))
            self._send(Kind.TX_ACK, gwmp.tx_ack_body(self.answers) if self.answers else b"", datagram.token)

    def push(self, phy: bytes, *, stat: int = 1) -> bytes:
        packet = {
            "tmst": self.bench.monotonic_us() & 0xFFFFFFFF,
            "chan": 0,
            "rfch": 0,
            "freq": 868.1,
            "stat": stat,
            "modu": "LORA",
            "datr": "SF7BW125",
            "codr": "4/5",
            "rssi": -90,
            "lsnr": 6.5,
            "size": len(phy),
            "data": gwmp.encode_data(phy),
        }
        return self._send(Kind.PUSH_DATA, json.dumps({"rxpk": [packet]}).encode())


class Server:
    """A network server that acknowledges everything it gets."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.frames: list[bytes] = []
        self.acks = list[bytes]()
        self.gateway: Any = None

    async def start(self) -> None:
        self.socket = await self.bench.open_datagrams(SERVER, self._receive)

    def _receive(self, data: bytes, source: Any) -> None:
        datagram = gwmp.parse(data)
        if datagram.kind is Kind.PUSH_DATA:
            push = gwmp.parse_push_data(datagram.body)
            self.frames += [gwmp.decode_data(packet.data) for packet in push.rxpks]
            self.socket.send(gwmp.build(Kind.PUSH_ACK, datagram.token), source)
        elif datagram.kind is Kind.PULL_DATA:
            self.gateway = source
            self.socket.send(gwmp.build(Kind.PULL_ACK, datagram.token), source)
        elif datagram.kind is Kind.TX_ACK:
            self.acks.append(datagram.body)


class Site:
    """A daemon with everything around it."""

    def __init__(self, bench: Any, folder: Path, toml: str = TOML, key_store: KeyStore | None = None) -> None:
        self.bench = bench
        self.folder = folder
        self.toml = toml
        self.key_store = key_store or KeyStore.in_memory({DEV_EUI: APP_KEY})
        self.forwarder = Forwarder(bench)
        self.server = Server(bench)
        self.node = Node()
        bench.console = io.StringIO()
        self.daemon = self.new_daemon(folder)

    def new_daemon(self, folder: Path) -> Daemon:
        folder.mkdir(exist_ok=True)
        return Daemon(configuration.parse(self.toml, folder / "siel.toml"), self.bench, self.key_store)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        if not hasattr(self.server, "socket"):
            await self.server.start()
        async with serving(self.daemon):
            await self.forwarder.start()
            await asyncio.sleep(0.1)
            yield self

    async def restart(self) -> None:
        self.daemon = self.new_daemon(self.folder)

    async def join(self) -> Node:
        self.forwarder.push(self.node.join_request())
        await asyncio.sleep(0.2)
        self.node.hear_accept(gwmp.decode_data(self.forwarder.downlinks[-1][1].data))
        await asyncio.sleep(6)
        return self.node

    async def heard(self, phy: bytes, **fields: Any) -> bytes:
        token = self.forwarder.push(phy, **fields)
        await asyncio.sleep(0.2)
        return token

    def observations(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.bench.console.getvalue().splitlines()]

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"


@contextlib.asynccontextmanager
async def serving(daemon: Daemon) -> AsyncIterator[None]:
    task = asyncio.create_task(daemon.run())
    ready = asyncio.create_task(daemon.ready.wait())
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield
    finally:
        ready.cancel()
        daemon.stop()
        await task


@pytest.fixture
def site(bench: Any, tmp_path: Path) -> Site:
    return Site(bench, tmp_path / "gateway")


def journalled(folder: Path) -> tuple[list[bytes], list[Observation]]:
    """Return what is on disk, in a copy, as it would be found after a power cut of the process."""
    copy = folder.with_name(folder.name + "-look")
    shutil.copytree(folder, copy)
    store = JournalStore(copy / JOURNAL_FILE, "normal")
    store.open()
    try:
        return (
            [frame.phy_payload for _, frame in store.frames_after(0, 1000)],
            [observation for _, observation in store.observations_after(0, 1000)],
        )
    finally:
        store.close()
        shutil.rmtree(copy)


def f_cnt_down(phy: bytes) -> int:
    frame = parse_phy(phy)
    assert isinstance(frame, DataFrame)
    return frame.f_cnt


def test_frame_of_any_udp_client_is_journalled_acknowledged_forwarded_and_decoded(site: Site) -> None:
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


def test_strangers_frame_is_forwarded_raw_and_makes_no_observation(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            phy = encode_data_up(bytes(16), bytes(16), 0x26011234, 1, f_port=1, payload=b"x")
            assert await site.heard(phy) in site.forwarder.acknowledged
            assert site.server.frames == [phy]
            assert site.observations() == []
            assert site.daemon.counters["unknown_devices"] == 1

    site.bench.run(main())


def test_wrong_mic_and_replay_go_north_but_are_not_observed(site: Site) -> None:
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


def test_frame_with_bad_crc_is_counted_and_goes_nowhere(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            assert await site.heard(b"noise", stat=-1) in site.forwarder.acknowledged
            assert site.daemon.counters["frames_bad_crc"] == 1
            assert site.daemon.counters["frames_received"] == 0
            assert site.server.frames == []
            assert journalled(site.data_dir)[0] == []

    site.bench.run(main())


def test_acknowledgement_waits_for_the_commit_and_the_answer_does_not(site: Site) -> None:
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


def test_join_accept_waits_for_the_commit(site: Site) -> None:
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


def test_downlink_of_the_network_server_goes_south_and_its_outcome_north(site: Site) -> None:
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


def test_kill_loses_nothing_acknowledged_publishes_again_with_the_same_id_and_repeats_no_counter(
    site: Site, tmp_path: Path
) -> None:
    async def main() -> None:
        ids: dict[int, set[str]] = {}
        used: list[int] = []
        async with site.running():
            node = await site.join()
            for _ in range(20):
                await site.heard(node.uplink(confirmed=True))
            # As kill -9 leaves it: what is in memory is lost, what is on disk stays
            shutil.copytree(site.data_dir, tmp_path / "killed" / "data")
            before_kill = len(site.forwarder.downlinks)
            acknowledged = len(site.forwarder.acknowledged)
        frames, observations = journalled(tmp_path / "killed" / "data")
        assert len(frames) == acknowledged == 21
        used += [f_cnt_down(gwmp.decode_data(packet.data)) for _, packet in site.forwarder.downlinks[1:before_kill]]
        for observation in site.observations():
            ids.setdefault(observation["f_cnt"], set()).add(observation["id"])

        site.folder = tmp_path / "killed"
        await site.restart()
        async with site.running():
            for _ in range(20):
                await site.heard(node.uplink(confirmed=True))
        again = site.forwarder.downlinks[before_kill:]
        used += [f_cnt_down(gwmp.decode_data(packet.data)) for _, packet in again]
        assert len(used) == 40
        assert used == sorted(set(used))
        for observation in site.observations():
            ids.setdefault(observation["f_cnt"], set()).add(observation["id"])
        assert sorted(ids) == list(range(40))
        assert all(len(same) == 1 for same in ids.values())
        assert len(observations) == 20

    site.bench.run(main())


def test_clean_restart_goes_on_where_it_stopped_and_skips_no_counter(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            node = await site.join()
            await site.heard(node.uplink(confirmed=True))
        await site.restart()
        async with site.running():
            await site.heard(node.uplink(confirmed=True))
        counters = [f_cnt_down(gwmp.decode_data(packet.data)) for _, packet in site.forwarder.downlinks[1:]]
        assert counters == [0, 1]
        assert [observation["f_cnt"] for observation in site.observations()] == [0, 1]

    site.bench.run(main())


def test_operators_downlink_goes_out_after_the_next_uplink(site: Site) -> None:
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


def test_expired_downlink_is_told_while_its_device_is_silent(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            expires_ms = site.bench.utc_ms() + 1000
            with capture_logs() as logs:
                site.daemon.enqueue(DEV_EUI, Downlink(id="a", f_port=3, payload=b"open", expires_ms=expires_ms))
                await asyncio.sleep(7)
            deliveries = [line["outcome"] for line in logs if line["event"] == "downlink_delivery"]
            assert deliveries == ["queued", "expired"]

    site.bench.run(main())


def test_task_that_fails_is_logged_restarted_and_ends_no_other(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            failing = site.daemon._upstreams[0]
            run = failing.run
            calls = []

            async def broken() -> None:
                calls.append(site.bench.monotonic_us())
                if len(calls) < 3:
                    raise RuntimeError("planted")
                await run()

            with capture_logs() as logs:
                task = asyncio.create_task(keep_running("planted", broken, site.daemon._counts))
                await asyncio.sleep(10)
            assert [later - earlier for earlier, later in pairwise(calls)] == [1_000_000, 2_000_000]
            assert site.daemon.counters["task_restarts"] == 2
            assert [line["event"] for line in logs if line["log_level"] == "error"] == ["task_failed"] * 2
            node = await site.join()
            await site.heard(node.uplink())
            assert len(site.observations()) == 1
            task.cancel()

    site.bench.run(main())


def test_task_that_served_for_long_is_restarted_soon(bench: Any) -> None:
    async def main() -> None:
        ended: list[int] = []

        async def once_an_hour() -> None:
            await asyncio.sleep(3600)
            ended.append(bench.monotonic_us())
            raise RuntimeError("planted")

        with capture_logs():
            async with bench.running(keep_running("planted", once_an_hour, Counter())):
                await asyncio.sleep(10 * 3700)
        assert {later - earlier for earlier, later in pairwise(ended)} == {3_601_000_000}

    bench.run(main())


def test_fault_of_ours_in_one_frame_costs_neither_that_frame_nor_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with site.running():
            handle = site.daemon._edge.handle

            def broken(frame: RxFrame, now: Any) -> Any:
                raise RuntimeError("planted")

            monkeypatch.setattr(site.daemon._edge, "handle", broken)
            token = await site.heard(b"\x40 anything")
            monkeypatch.setattr(site.daemon._edge, "handle", handle)
            assert token in site.forwarder.acknowledged
            assert journalled(site.data_dir)[0] == [b"\x40 anything"]
            assert site.daemon.counters["edge_faults"] == 1
            await site.join()

    site.bench.run(main())


def test_noise_on_the_port_never_ends_the_daemon(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            for length in range(64):
                noise = site.bench.random_bytes(length)
                for data in (noise, b"\x02" + noise, gwmp.build(Kind.PUSH_DATA, b"ab", EUI, noise)):
                    site.forwarder.socket.send(data, ("127.0.0.1", FORWARDER_PORT))
                await site.heard(noise)
            assert site.daemon.counters["edge_faults"] == 0
            assert site.daemon.counters["task_restarts"] == 0
            await site.join()

    site.bench.run(main())


def test_server_that_is_away_does_not_hold_up_the_end_beyond_its_time(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            site.server.socket.close()
            await site.heard(b"\x40 anything")
            before_us = site.bench.monotonic_us()
        assert site.bench.monotonic_us() - before_us <= 10_100_000

    site.bench.run(main())


def test_disk_that_never_comes_back_does_not_keep_the_daemon_from_ending(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with site.running():

            def fault(*_: object) -> None:
                raise sqlite3.OperationalError("disk is full")

            monkeypatch.setattr(JournalStore, "write", fault)
            await site.heard(site.node.join_request())  # its answer waits for the commit
            before_us = site.bench.monotonic_us()
        assert site.bench.monotonic_us() - before_us <= 11_000_000
        assert site.forwarder.downlinks == []

    site.bench.run(main())


def test_second_daemon_on_the_same_journal_is_refused(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            with pytest.raises(JournalInUseError):
                await site.new_daemon(site.folder).run()

    site.bench.run(main())


def test_cancelling_the_daemon_closes_its_journal(site: Site) -> None:
    async def main() -> None:
        task = asyncio.create_task(site.daemon.run())
        await site.daemon.ready.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await site.restart()
        async with site.running():
            pass

    site.bench.run(main())


def test_without_counters_nothing_is_transmitted_and_everything_is_published(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            node = await site.join()
        (site.data_dir / f"{JOURNAL_FILE}.counters").write_bytes(b"not a database, " * 100)
        await site.restart()
        async with site.running():
            before = len(site.forwarder.downlinks)
            await site.heard(node.uplink(confirmed=True))
            assert len(site.forwarder.downlinks) == before
            assert len(site.observations()) == 1
            assert site.daemon.counters["answers_refused"] == 1

    site.bench.run(main())


def test_no_frame_is_taken_while_the_journal_closes(
    site: Site, monkeypatch: pytest.MonkeyPatch, make_frame: Any
) -> None:
    close, refused = Journal.close, []

    async def closing(journal: Journal) -> None:
        try:
            site.daemon.receive(make_frame())
        except JournalFullError as fault:
            refused.append(fault)
        await close(journal)

    async def main() -> None:
        monkeypatch.setattr(Journal, "close", closing)
        async with site.running():
            pass
        assert refused, "numbers had been given back already"

    site.bench.run(main())


def test_lost_counters_go_on_behind_what_the_journal_knows(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            node = await site.join()
            for _ in range(3):
                await site.heard(node.uplink(confirmed=True))
        (site.data_dir / f"{JOURNAL_FILE}.counters").unlink()
        await site.restart()
        async with site.running():
            await site.heard(node.uplink(confirmed=True))
            await site.join()
        accepts = [decode_join_accept(APP_KEY, gwmp.decode_data(site.forwarder.downlinks[n][1].data)) for n in (0, -1)]
        counters = [f_cnt_down(gwmp.decode_data(packet.data)) for _, packet in site.forwarder.downlinks[1:-1]]
        assert counters[:3] == [0, 1, 2]
        assert counters[3] > 2
        assert accepts[1].join_nonce > accepts[0].join_nonce

    site.bench.run(main())


def test_no_key_in_any_log_line(site: Site) -> None:
    async def main() -> None:
        with capture_logs() as logs:
            async with site.running():
                node = await site.join()
                await site.heard(node.uplink(confirmed=True))
        assert node.keys is not None
        text = repr(logs)
        for key in (APP_KEY, *node.keys):
            assert key.hex() not in text
            assert repr(key) not in text

    site.bench.run(main())


def test_flood_of_one_event_is_cut_and_told() -> None:
    limit = LogLimit()
    lines = [limit.allow("mic_failure", now_us) for now_us in range(MAX_LINES + 5)]
    assert lines == [(True, 0)] * MAX_LINES + [(False, 0)] * 5
    assert limit.allow("replay", 0) == (True, 0)
    assert limit.allow("mic_failure", WINDOW_US) == (True, 5)
    assert limit.allow("mic_failure", WINDOW_US + 1) == (True, 0)
