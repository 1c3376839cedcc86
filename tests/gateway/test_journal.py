from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway import journal_memory
from siel_gateway.config_models import JournalConfig
from siel_gateway.errors import CountersLostError, JournalFullError, JournalInUseError, JournalNewerError
from siel_gateway.journal import Journal
from siel_gateway.journal_counters import JUMP
from siel_gateway.journal_schema import (
    FRAME_FIELDS,
    OBSERVATION_FIELDS,
    RADIO_KEYS,
    decode_frame,
    decode_observation,
    encode_frame,
    encode_observation,
)
from siel_gateway.journal_store import Sync
from siel_gateway.records import Observation, RxFrame
from siel_gateway.transport import SystemServices

HOUR_MS = 3_600_000


def observation(number: int) -> Observation:
    return Observation(
        id=f"{number:032x}",
        time="2026-01-01T00:00:00.000Z",
        received="2026-01-01T00:00:00.100Z",
        clock="ntp",
        late_s=0.0,
        dev_eui="0011223344556677",
        device="pond",
        codec="siel/water_level",
        f_port=2,
        f_cnt=number,
        data={"level_mm": number},
        units={"level_mm": "mm"},
        warnings=[],
        radio={"gateway": "0016c001f1500812", "rssi_dbm": -60},
    )


def disk_full() -> None:
    raise sqlite3.OperationalError("database or disk is full")


def copy_of(path: Path, to: Path) -> Path:
    """What a kill leaves behind: the files as they are now, nothing closed."""
    to.mkdir()
    for suffix in ("", "-wal", ".counters", ".counters-journal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy(source, to / source.name)
    return to / path.name


# -- records ----------------------------------------------------------------------------------------------------------


def test_the_disk_knows_every_field_of_the_records() -> None:
    assert set(FRAME_FIELDS) == set(RxFrame.__struct_fields__)
    assert set(OBSERVATION_FIELDS) == set(Observation.__struct_fields__)


def test_records_come_back_as_they_went(make_frame: Callable[..., RxFrame]) -> None:
    for frame in (make_frame(), make_frame(sequence=2**32 - 1, phy_payload=bytes(255), concentrator=True, crc="bad")):
        assert decode_frame(encode_frame(frame)) == frame
    plain = observation(7)
    complete = msgspec.structs.replace(plain, radio=dict.fromkeys(RADIO_KEYS, 7))
    assert decode_observation(encode_observation(complete)) == complete
    assert b"rssi" not in encode_observation(complete)
    placed = Observation(**{**{name: getattr(plain, name) for name in OBSERVATION_FIELDS}, "position": {"lat": 53.1}})
    assert decode_observation(encode_observation(plain)) == plain
    assert decode_observation(encode_observation(placed)) == placed


def test_a_frame_of_an_older_version_is_read_with_defaults(make_frame: Callable[..., RxFrame]) -> None:
    values = [getattr(make_frame(), field) for field in FRAME_FIELDS[:-1]]
    assert decode_frame(msgspec.msgpack.encode(values)) == make_frame()


# -- acknowledgements and groups --------------------------------------------------------------------------------------


def test_nothing_is_committed_before_its_group_is_on_disk(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            row = journal.add_frame(make_frame())
            done = journal.committed()
            await asyncio.sleep(0.019)
            assert not done.done()
            assert await journal.frames_after(0) == []
            await asyncio.sleep(0.002)
            assert done.done()
            assert await journal.frames_after(0) == [(row, make_frame())]
            assert journal.committed().done()
        await journal.close()

    bench.run(main())


def test_frames_of_one_group_share_one_transaction(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            for _ in range(50):
                journal.add_frame(make_frame())
            await journal.committed()
            assert journal.counters["commits"] == 1
        await journal.close()

    bench.run(main())


def test_while_commits_fail_nothing_is_acknowledged_and_nothing_is_lost(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            bench.disk_fault = disk_full
            journal.add_frame(make_frame(sequence=1))
            first = journal.committed()
            await asyncio.sleep(60)
            journal.add_frame(make_frame(sequence=2))
            second = journal.committed()
            await asyncio.sleep(60)
            assert not first.done()
            assert not second.done()
            assert journal.counters["commit_failures"] > 10
            bench.disk_fault = lambda: None
            await asyncio.sleep(6)
            assert first.done()
            assert second.done()
            assert [frame.sequence for _, frame in await journal.frames_after(0)] == [1, 2]
        await journal.close()

    bench.run(main())


def test_a_repeated_frame_waits_for_the_commit_of_the_first(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        frame = make_frame(sequence=5)
        assert not journal.seen(frame)
        journal.add_frame(frame)
        assert journal.seen(frame)
        assert not journal.committed().done()
        async with bench.running(journal.run()):
            await journal.committed()
        assert journal.seen(frame)
        assert not journal.seen(make_frame(sequence=5, radio_session=78))
        assert not journal.seen(make_frame(sequence=5, radio="mast"))
        assert not journal.seen(make_frame(sequence=None))
        await journal.close()

    bench.run(main())


@pytest.mark.parametrize(("waiting", "fits"), [(3, True), (4, False)])
def test_frames_in_memory_are_bounded(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], monkeypatch: Any, waiting: int, fits: bool
) -> None:
    monkeypatch.setattr(journal_memory, "MAX_UNCOMMITTED_FRAMES", 4)

    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        for number in range(waiting):
            journal.add_frame(make_frame(sequence=number + 1))
        one_more = make_frame(sequence=99)
        if fits:
            journal.add_frame(one_more)
        else:
            with pytest.raises(JournalFullError):
                journal.add_frame(one_more)
        assert journal.seen(one_more) is fits
        await journal.close()

    bench.run(main())


def test_a_cursor_alone_is_written_a_second_later(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            journal.set_cursor("sink:mqtt", 12)
            assert journal.cursor("sink:mqtt") == 12
            await asyncio.sleep(0.9)
            assert journal.counters["commits"] == 0
            await asyncio.sleep(0.2)
            assert journal.counters["commits"] == 1
            journal.set_cursor("sink:mqtt", 12)
            await asyncio.sleep(2)
            assert journal.counters["commits"] == 1
        await journal.close()

    bench.run(main())


# -- a kill at any point ----------------------------------------------------------------------------------------------

STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 15, 25, 1500]), st.just(False)),
    st.tuples(st.just("disk"), st.booleans(), st.just(False)),
    st.tuples(st.just("cursor"), st.integers(0, 30), st.just(False)),
    st.tuples(st.just("reserve"), st.integers(1, 5), st.just(False)),
    st.tuples(st.just("kill"), st.just(0), st.just(False)),
    st.tuples(st.just("close"), st.just(0), st.just(False)),
)


class Model:
    """What a journal must hold: ``added`` is (sequence, verified) in order, ``acked`` of them are promised."""

    def __init__(self, bench: Any, root: Path, make_frame: Callable[..., RxFrame]) -> None:
        self.bench = bench
        self.root = root
        self.make_frame = make_frame
        self.path = root / "0" / "j.db"
        self.added: list[tuple[int, bool]] = []
        self.acked = 0
        self.numbers_used = 0
        self.sequence = 0
        self.life = 0

    async def start(self) -> None:
        self.journal = await Journal.open(self.path, self.bench)
        self.runner = asyncio.ensure_future(self.journal.run())

    async def add(self, count: int, verified: bool) -> None:
        for _ in range(count):
            self.sequence += 1
            row = self.journal.add_frame(self.make_frame(sequence=self.sequence))
            if verified:
                self.journal.add_observation(observation(self.sequence), row)
            self.journal.put("edge", "last", str(self.sequence).encode())
            self.added.append((self.sequence, verified))
        promised, life = len(self.added), self.life

        def note(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and life == self.life:
                self.acked = max(self.acked, promised)

        self.journal.committed().add_done_callback(note)

    async def wait(self, ms: int, _: bool) -> None:
        await asyncio.sleep(ms / 1000)

    async def disk(self, full: int, _: bool) -> None:
        self.bench.disk_fault = disk_full if full else (lambda: None)

    async def cursor(self, row: int, _: bool) -> None:
        self.journal.set_cursor("mqtt", min(row, len(self.added)))

    async def reserve(self, block: int, _: bool) -> None:
        if self.bench.disk_fault is not disk_full:
            (first,) = await self.journal.reserve(["f_cnt_down"], block)
            assert first >= self.numbers_used
            self.numbers_used = first + block

    async def kill(self, _: int, __: bool) -> None:
        self.bench.disk_fault = lambda: None
        self.runner.cancel()
        self.life += 1
        self.path = copy_of(self.path, self.root / str(self.life))
        await self.journal._services.run_blocking(self.journal._store.close)
        await self.start()
        await self.check()

    async def close(self, _: int, __: bool) -> None:
        self.bench.disk_fault = lambda: None
        self.runner.cancel()
        self.journal.give_back("f_cnt_down", self.numbers_used)
        await self.journal.close()
        self.acked = len(self.added)
        await self.start()
        await self.check()

    async def check(self) -> None:
        journal = self.journal
        found = [frame.sequence for _, frame in await journal.frames_after(0, 1000)]
        assert found == [number for number, _ in self.added][: len(found)]
        assert self.acked <= len(found)
        del self.added[len(found) :]
        published = [item.f_cnt for _, item in await journal.observations_after(0, 1000)]
        assert published == [number for number, verified in self.added if verified]
        assert journal.items("edge") == ({"last": str(found[-1]).encode()} if found else {})
        sequences = range(1, self.sequence + 1)
        assert [number for number in sequences if journal.seen(self.make_frame(sequence=number))] == found
        assert journal.cursor("mqtt") <= len(found) == journal.last_row


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=30))
def test_a_kill_loses_whole_turns_that_nobody_acknowledged_and_nothing_else(
    tmp_path_factory: Any, new_bench: Any, make_frame: Any, steps: list[tuple[str, int, bool]]
) -> None:
    bench = new_bench()
    model = Model(bench, tmp_path_factory.mktemp("journal"), make_frame)

    async def main() -> None:
        await model.start()
        for step, value, flag in steps:
            await getattr(model, step)(value, flag)
        await model.close(0, False)
        await model.journal.close()

    bench.run(main())


def test_a_commit_cut_in_the_middle_leaves_all_or_nothing(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "a" / "j.db", bench)
        wal = tmp_path / "a" / "j.db-wal"
        async with bench.running(journal.run()):
            for number in (1, 2, 3):
                journal.add_observation(observation(number), journal.add_frame(make_frame(sequence=number)))
                await journal.committed()
                if number == 2:
                    before = wal.stat().st_size
            after = wal.stat().st_size
        assert after > before
        for cut in sorted({*range(before, after, 97), after - 1, after}):
            copy = copy_of(journal._store.path, tmp_path / f"cut{cut}")
            with (copy.parent / "j.db-wal").open("r+b") as file:
                file.truncate(cut)
            reopened = await Journal.open(copy, bench)
            frames = [frame.sequence for _, frame in await reopened.frames_after(0)]
            assert frames == ([1, 2, 3] if cut == after else [1, 2])
            assert [item.f_cnt for _, item in await reopened.observations_after(0)] == frames
            await reopened.close()
        await journal.close()

    bench.run(main())


# -- files that are not as they should be -----------------------------------------------------------------------------


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
            journal.add_observation(observation(1), journal.add_frame(make_frame()))
            await journal.committed()
            bench.disk_fault = corrupt
            with pytest.raises(sqlite3.DatabaseError):
                await journal.observations_after(0)
            await asyncio.sleep(1)
            assert journal.counters["set_aside"] == 1
            assert await journal.observations_after(0) == []
            row = journal.add_observation(observation(2), journal.add_frame(make_frame()))
            await journal.committed()
            assert await journal.observations_after(0) == [(row, observation(2))]
        await journal.close()

    bench.run(main())


@pytest.mark.parametrize("then", ["killed", "disk full"])
def test_the_state_is_in_the_new_file_from_its_first_moment(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], then: str
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
                disk_full()

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


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_h", "clock", "verified", "kept"),
    [
        (23, "ntp", False, True),
        (25, "ntp", False, False),
        (25, "none", False, True),
        (25, "ntp", True, True),
        (47, "ntp", True, True),
        (49, "ntp", True, False),
    ],
)
def test_age_is_bounded_where_it_is_known(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], age_h: int, clock: str, verified: bool, kept: bool
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench, JournalConfig(max_age_days=2))
        old = make_frame(received_ms=bench.utc_ms() - age_h * HOUR_MS, clock=clock, sequence=1)
        row = journal.add_frame(old)
        if verified:
            journal.add_observation(observation(1), row)
        last = journal.add_frame(make_frame(sequence=2))
        async with bench.running(journal.run()):
            await journal.committed()
            await asyncio.sleep(11)
            journal.add_frame(make_frame(sequence=3))
            await journal.committed()
        frames = [frame.sequence for _, frame in await journal.frames_after(0)]
        assert frames == ([1, 2, 3] if kept else [2, 3])
        assert len(await journal.observations_after(0)) == int(verified and kept)
        assert journal.counters["evicted_frames"] + journal.counters["evicted_strangers"] == int(not kept)
        assert journal.last_row == last + 1
        await journal.close()

    bench.run(main())


def test_strangers_make_room_first_and_our_frames_stay(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    bound = 400_000

    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench, JournalConfig.model_construct(max_bytes=bound))
        async with bench.running(journal.run()):
            for number in range(400):
                journal.add_observation(observation(number), journal.add_frame(make_frame()))
            for _ in range(40):
                for _ in range(200):
                    journal.add_frame(make_frame(phy_payload=bytes(100)))
                await asyncio.sleep(11)
        assert journal._store.used_bytes() < 1.2 * bound
        assert journal.counters["evicted_strangers"] > 4000
        assert journal.counters["evicted_frames"] == 0
        assert len(await journal.observations_after(0, 1000)) == 400
        await journal.close()

    bench.run(main())


def test_our_frames_leave_oldest_first_with_their_observations(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench, JournalConfig.model_construct(max_bytes=200_000))
        async with bench.running(journal.run()):
            for number in range(2000):
                journal.add_observation(observation(number), journal.add_frame(make_frame()))
                if number % 100 == 0:
                    await asyncio.sleep(11)
            await asyncio.sleep(11)
        frames = await journal.frames_after(0, 5000)
        observations = await journal.observations_after(0, 5000)
        assert frames[0][0] == observations[0][1].f_cnt + 1
        assert frames[-1][0] == 2000
        assert journal.counters["evicted_frames"] == journal.counters["evicted_observations"] == 2000 - len(frames)
        await journal.close()

    bench.run(main())


def test_rows_of_deleted_frames_are_not_used_again(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        old = make_frame(received_ms=bench.utc_ms() - 25 * HOUR_MS)
        for _ in range(3):
            journal.add_frame(old)
        async with bench.running(journal.run()):
            await journal.committed()
            await asyncio.sleep(700)
        assert await journal.frames_after(0) == []
        await journal.close()
        journal = await Journal.open(tmp_path / "j.db", bench)
        assert journal.add_frame(make_frame()) == 4
        await journal.close()

    bench.run(main())


# -- state and numbers ------------------------------------------------------------------------------------------------


def test_state_is_read_through_what_is_not_committed_yet(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            journal.put("edge", "a", b"1")
            journal.put("edge", "b", b"2")
            await journal.committed()
            journal.put("edge", "a", b"3")
            journal.delete("edge", "b")
            assert journal.get("edge", "a") == b"3"
            assert journal.get("edge", "b") is None
            assert journal.items("edge") == {"a": b"3"}
        await journal.close()
        journal = await Journal.open(tmp_path / "j.db", bench)
        assert journal.items("edge") == {"a": b"3"}
        await journal.close()

    bench.run(main())


def test_a_clean_stop_keeps_the_exact_number_and_a_kill_skips_the_block(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "a" / "j.db", bench)
        assert await journal.reserve(["f_cnt_down/1"], 16) == [0]
        assert await journal.reserve(["f_cnt_down/2"], 16) == [0]
        killed = copy_of(tmp_path / "a" / "j.db", tmp_path / "b")
        journal.give_back("f_cnt_down/1", 3)
        await journal.close()
        clean, after_kill = await Journal.open(tmp_path / "a" / "j.db", bench), await Journal.open(killed, bench)
        assert await clean.reserve(["f_cnt_down/1"], 16) == [3]
        assert await after_kill.reserve(["f_cnt_down/1"], 16) == [16]
        assert await clean.reserve(["f_cnt_down/2"], 16) == [16]
        await clean.close()
        await after_kill.close()

    bench.run(main())


def test_a_number_taken_after_the_give_back_is_not_given_out_again(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        await journal.reserve(["n"], 16)
        journal.give_back("n", 3)
        assert await journal.reserve(["n"], 16) == [16]
        await journal.close()
        journal = await Journal.open(tmp_path / "j.db", bench)
        assert await journal.reserve(["n"], 1) == [32]
        await journal.close()

    bench.run(main())


def test_without_readable_counters_nothing_can_be_reserved_and_the_rest_works(
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    (tmp_path / "j.db.counters").write_bytes(b"not a database, and long enough to be taken for one" * 40)

    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        assert journal.counters["counters_lost"] == 1
        with pytest.raises(CountersLostError):
            await journal.reserve(["join_nonce"], 16)
        async with bench.running(journal.run()):
            journal.add_frame(make_frame())
            await journal.committed()
        await journal.close()

    bench.run(main())


def test_a_counter_that_is_below_what_was_used_jumps_beyond_it_and_others_do_not(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        assert await journal.reserve(["known", "older"], 16) == [0, 0]
        used = {"known": 16, "older": 17, "lost": 5, "new": 0}
        firsts = await journal.reserve(["known", "older", "lost", "new"], 16, used)
        assert firsts == [16, 17 + JUMP, 5 + JUMP, 0]
        assert await journal.reserve(["older", "lost"], 16, used) == [33 + JUMP, 21 + JUMP]
        await journal.close()

    bench.run(main())


@pytest.mark.parametrize(("block", "fine"), [(0, False), (1, True), (65_536, True), (65_537, False)])
def test_a_block_is_bounded(bench: Any, tmp_path: Path, block: int, fine: bool) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        if fine:
            assert await journal.reserve(["n"], block) == [0]
        else:
            with pytest.raises(ValueError, match="block"):
                await journal.reserve(["n"], block)
        await journal.close()

    bench.run(main())


def test_full_sync_asks_sqlite_for_it(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        modes: tuple[tuple[Sync, int], ...] = (("normal", 1), ("full", 2))
        for sync, value in modes:
            journal = await Journal.open(tmp_path / sync, bench, JournalConfig(sync=sync))
            assert journal._store._open_db.execute("PRAGMA synchronous").fetchone() == (value,)
            await journal.close()

    bench.run(main())


def test_state_is_read_newest_first_while_an_older_batch_waits_for_the_disk(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        async with bench.running(journal.run()):
            bench.disk_fault = disk_full
            journal.put("edge", "a", b"1")
            journal.put("edge", "b", b"1")
            await asyncio.sleep(1)
            journal.put("edge", "a", b"2")
            journal.delete("edge", "b")
            assert (journal.get("edge", "a"), journal.get("edge", "b")) == (b"2", None)
            assert journal.items("edge") == {"a": b"2"}
            bench.disk_fault = lambda: None
            await journal.committed()
        await journal.close()
        journal = await Journal.open(tmp_path / "j.db", bench)
        assert journal.items("edge") == {"a": b"2"}
        await journal.close()

    bench.run(main())


WRITER = """
import asyncio, pathlib, sys
from siel_gateway.journal import Journal
from siel_gateway.records import RxFrame
from siel_gateway.transport import SystemServices

async def main():
    services = SystemServices()
    journal = await Journal.open(pathlib.Path(sys.argv[1]), services)
    runner = asyncio.create_task(journal.run())
    sequence = 0
    while True:
        for _ in range(7):
            sequence += 1
            journal.add_frame(RxFrame(
                radio="roof", gateway_eui="0016c001f1500812", radio_session=1, sequence=sequence, counter_us=sequence,
                gateway_us=sequence, received_ms=1, clock="none", frequency_hz=868100000, spreading_factor=7,
                bandwidth_hz=125000, rssi_dbm=-60, snr_db=1.0, crc="ok", phy_payload=bytes(20)))
        (first,) = await journal.reserve(["f_cnt_down"], 2)
        await journal.committed()
        print(sequence, first + 1, flush=True)

asyncio.run(main())
"""


def test_a_killed_process_loses_nothing_that_it_has_promised(bench: Any, tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    promised = number = 0
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(12):
            promised, number = map(int, writer.stdout.readline().split())
        writer.kill()

    async def main() -> None:
        journal = await Journal.open(path, bench)
        frames = [frame.sequence for _, frame in await journal.frames_after(0, 10_000)]
        assert frames == list(range(1, len(frames) + 1))
        assert len(frames) >= promised >= 12 * 7
        (first,) = await journal.reserve(["f_cnt_down"], 1)
        assert first > number
        await journal.close()

    bench.run(main())


def test_many_counters_are_reserved_with_one_sync(bench: Any, tmp_path: Path) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench)
        jobs: list[None] = []
        bench.disk_fault = lambda: jobs.append(None)
        assert await journal.reserve(["a", "b"], 16) == [0, 0]
        assert await journal.reserve(["b", "c", "b"], 16) == [16, 0, 32]
        assert len(jobs) == 2
        assert await journal.reserve(["a"], 16) == [16]
        with pytest.raises(ValueError, match="block"):
            await journal.reserve(["a"], 0)
        await journal.close()

    bench.run(main())


def test_a_stop_in_the_middle_of_a_commit_keeps_every_frame_once(
    tmp_path: Path, make_frame: Callable[..., RxFrame]
) -> None:
    started, gate = threading.Event(), threading.Event()

    async def main(services: SystemServices) -> None:
        journal = await Journal.open(tmp_path / "j.db", services)
        write = journal._store.write

        def slow(batch: Any) -> None:
            started.set()
            assert gate.wait(10)
            write(batch)

        journal._store.write = slow  # type: ignore[method-assign]  # a disk that takes its time
        runner = asyncio.ensure_future(journal.run())
        journal.add_frame(make_frame(sequence=1))
        first = journal.committed()
        await asyncio.to_thread(started.wait, 10)
        journal.add_frame(make_frame(sequence=2))
        second = journal.committed()
        runner.cancel()
        gate.set()
        await journal.close()
        assert first.result() is None
        assert second.result() is None
        journal = await Journal.open(tmp_path / "j.db", services)
        assert [frame.sequence for _, frame in await journal.frames_after(0)] == [1, 2]
        await journal.close()

    with SystemServices() as services:
        asyncio.run(main(services))
