"""A daemon that stops, is killed and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from siel_codecs.lorawan import decode_join_accept
from siel_gateway import gwmp
from siel_gateway.daemon import JOURNAL_FILE
from siel_gateway.errors import JournalFullError, JournalInUseError
from siel_gateway.journal import Journal
from siel_gateway.journal_store import JournalStore
from siel_hil.rigs.daemon_bench import APP_KEY, DaemonBench, f_cnt_down, journalled


def test_kill_loses_nothing_acknowledged_publishes_again_with_the_same_id_and_repeats_no_counter(
    site: DaemonBench, tmp_path: Path
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


def test_clean_restart_goes_on_where_it_stopped_and_skips_no_counter(site: DaemonBench) -> None:
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


def test_server_that_is_away_does_not_hold_up_the_end_beyond_its_time(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            site.server.socket.close()
            await site.heard(b"\x40 anything")
            before_us = site.bench.monotonic_us()
        assert site.bench.monotonic_us() - before_us <= 10_100_000

    site.bench.run(main())


def test_disk_that_never_comes_back_does_not_keep_the_daemon_from_ending(
    site: DaemonBench, monkeypatch: pytest.MonkeyPatch
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


def test_second_daemon_on_the_same_journal_is_refused(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            with pytest.raises(JournalInUseError):
                await site.new_daemon(site.folder).run()

    site.bench.run(main())


def test_cancelling_the_daemon_closes_its_journal(site: DaemonBench) -> None:
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


def test_without_counters_nothing_is_transmitted_and_everything_is_published(site: DaemonBench) -> None:
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
    site: DaemonBench, monkeypatch: pytest.MonkeyPatch, make_frame: Any
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


def test_lost_counters_go_on_behind_what_the_journal_knows(site: DaemonBench) -> None:
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
