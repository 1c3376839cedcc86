"""Journal files that are not as they should be."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siel_gateway.errors import JournalInUseError, JournalNewerError
from siel_gateway.journal import Journal
from siel_gateway.records import Observation, RxFrame


def test_a_second_daemon_is_kept_out(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        with pytest.raises(JournalInUseError):
            await Journal.open(tmp_path / "j.db", bench)
        await journal.close()
        await (await Journal.open(tmp_path / "j.db", bench)).close()

    bench.run(main())


def test_a_newer_format_is_left_alone(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        await (await Journal.open(tmp_path / "j.db", bench)).close()
        with sqlite3.connect(tmp_path / "j.db") as db:
            db.execute("PRAGMA user_version = 99")
        with pytest.raises(JournalNewerError) as caught:
            await Journal.open(tmp_path / "j.db", bench)
        assert caught.value.version == 99

    bench.run(main())


@pytest.mark.parametrize("damage", ["header", "rows"])
def test_a_corrupt_file_is_set_aside_and_what_can_be_read_goes_on(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], damage: str
) -> None:
    path = tmp_path / "j.db"

    async def main() -> None:
        journal = await Journal.open(path, bench)
        journal.put("edge", "session", b"precious")
        journal.add_frame(make_frame(sequence=1))
        assert await journal.reserve(["join_nonce"], 10) == [0]
        await journal.close()
        content = bytearray(path.read_bytes())
        if damage == "header":
            content[:100] = b"\xff" * 100
        else:
            # The root page of the frames; the state has its own.
            with sqlite3.connect(path) as db:
                page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'frame'").fetchone()[0]
                stranger = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'stranger'").fetchone()[0]
            for number in (page, stranger):
                content[(number - 1) * 1024 : number * 1024] = b"\xff" * 1024
        path.write_bytes(content)

        journal = await Journal.open(path, bench)
        assert journal.counters["set_aside"] == 1
        assert "j.db.corrupt-1767225600" in os.listdir(tmp_path)
        assert journal.get("edge", "session") == (b"precious" if damage == "rows" else None)
        assert await journal.reserve(["join_nonce"], 10) == [10]
        async with bench.running(journal.run()):
            journal.add_frame(make_frame(sequence=2))
            await journal.committed()
        assert [frame.sequence for _, frame in await journal.frames_after(0)] == [2]
        await journal.close()

    bench.run(main())


def test_a_file_that_breaks_while_it_is_open_costs_nothing_that_was_not_acknowledged(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    def corrupt() -> None:
        bench.disk_fault = lambda: None
        fault = sqlite3.DatabaseError("database disk image is malformed")
        fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise fault

    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            journal.put("edge", "session", b"precious")
            journal.add_frame(make_frame(sequence=1))
            await journal.committed()
            bench.disk_fault = corrupt
            row = journal.add_frame(make_frame(sequence=2))
            await journal.committed()
            assert journal.counters["set_aside"] == 1
            assert await journal.frames_after(0) == [(row, make_frame(sequence=2))]
            assert row == 2
        await journal.close()
        journal = await Journal.open(tmp_path / "j.db", bench)
        assert journal.get("edge", "session") == b"precious"
        assert journal.seen(make_frame(sequence=1))
        await journal.close()

    bench.run(main())


def test_a_file_that_cannot_be_read_is_set_aside_and_its_readers_go_on(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], make_observation: Callable[[int], Observation]
) -> None:
    def corrupt() -> None:
        bench.disk_fault = lambda: None
        fault = sqlite3.DatabaseError("database disk image is malformed")
        fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise fault

    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            journal.add_observation(make_observation(1), journal.add_frame(make_frame()))
            await journal.committed()
            bench.disk_fault = corrupt
            with pytest.raises(sqlite3.DatabaseError):
                await journal.observations_after(0)
            await asyncio.sleep(1)
            assert journal.counters["set_aside"] == 1
            assert await journal.observations_after(0) == []
            row = journal.add_observation(make_observation(2), journal.add_frame(make_frame()))
            await journal.committed()
            assert await journal.observations_after(0) == [(row, make_observation(2))]
        await journal.close()

    bench.run(main())


@pytest.mark.parametrize("then", ["killed", "disk full"])
def test_the_state_is_in_the_new_file_from_its_first_moment(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], then: str, copy_of: Callable[[Path, Path], Path]
) -> None:
    path, killed = tmp_path / "j.db", tmp_path / "killed"

    def corrupt() -> None:
        fault = sqlite3.DatabaseError("database disk image is malformed")
        fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise fault

    jobs = iter([corrupt, lambda: None, lambda: None])  # the commit; renaming the old file; opening the new one

    def next_job() -> None:
        job = next(jobs, None)
        if job is not None:
            job()
        elif not killed.exists():
            copy_of(path, killed)
            if then == "disk full":
                bench.disk_full()

    async def main() -> None:
        journal = await Journal.open(path, bench)
        async with bench.running(journal.run()):
            journal.put("edge", "session", b"precious")
            await journal.committed()
            bench.disk_fault = next_job
            journal.add_frame(make_frame())
            await journal.committed()
        await journal.close()
        after = await Journal.open(path if then == "disk full" else killed / "j.db", bench)
        assert after.get("edge", "session") == b"precious"
        await after.close()

    bench.run(main())
