"""A journal killed at any point: what was promised is there, and the rest whole or not at all."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway.journal import Journal
from siel_gateway.records import Observation, RxFrame

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

    def __init__(
        self,
        bench: Any,
        root: Path,
        make_frame: Callable[..., RxFrame],
        make_observation: Callable[[int], Observation],
        copy_of: Callable[[Path, Path], Path],
    ) -> None:
        self.bench = bench
        self.root = root
        self.make_frame = make_frame
        self.make_observation = make_observation
        self.copy_of = copy_of
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
                self.journal.add_observation(self.make_observation(self.sequence), row)
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
        self.bench.disk_fault = self.bench.disk_full if full else (lambda: None)

    async def cursor(self, row: int, _: bool) -> None:
        self.journal.set_cursor("mqtt", min(row, len(self.added)))

    async def reserve(self, block: int, _: bool) -> None:
        if self.bench.disk_fault is not self.bench.disk_full:
            (first,) = await self.journal.reserve(["f_cnt_down"], block)
            assert first >= self.numbers_used
            self.numbers_used = first + block

    async def kill(self, _: int, __: bool) -> None:
        self.bench.disk_fault = lambda: None
        self.runner.cancel()
        self.life += 1
        self.path = self.copy_of(self.path, self.root / str(self.life))
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
    tmp_path_factory: Any,
    new_bench: Any,
    make_frame: Any,
    make_observation: Any,
    copy_of: Any,
    steps: list[tuple[str, int, bool]],
) -> None:
    bench = new_bench()
    model = Model(bench, tmp_path_factory.mktemp("journal"), make_frame, make_observation, copy_of)

    async def main() -> None:
        await model.start()
        for step, value, flag in steps:
            await getattr(model, step)(value, flag)
        await model.close(0, False)
        await model.journal.close()

    bench.run(main())


def test_a_commit_cut_in_the_middle_leaves_all_or_nothing(
    bench: Any,
    tmp_path: Path,
    make_frame: Callable[..., RxFrame],
    make_observation: Callable[[int], Observation],
    copy_of: Callable[[Path, Path], Path],
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "a" / "j.db", bench)
        wal = tmp_path / "a" / "j.db-wal"
        async with bench.running(journal.run()):
            for number in (1, 2, 3):
                journal.add_observation(make_observation(number), journal.add_frame(make_frame(sequence=number)))
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
