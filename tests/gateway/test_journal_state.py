"""State and reserved numbers in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siel_gateway.config_models import JournalConfig
from siel_gateway.errors import CountersLostError
from siel_gateway.journal import Journal
from siel_gateway.journal_counters import JUMP
from siel_gateway.journal_store import Sync
from siel_gateway.records import RxFrame


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


def test_a_clean_stop_keeps_the_exact_number_and_a_kill_skips_the_block(
    bench: Any, tmp_path: Path, copy_of: Callable[[Path, Path], Path]
) -> None:
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
            bench.disk_fault = bench.disk_full
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
