"""The journal's bounds in age and size, and who makes room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siel_gateway.config_models import JournalConfig
from siel_gateway.journal import Journal
from siel_gateway.records import Observation, RxFrame

HOUR_MS = 3_600_000


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
    bench: Any,
    tmp_path: Path,
    make_frame: Callable[..., RxFrame],
    age_h: int,
    clock: str,
    verified: bool,
    kept: bool,
    make_observation: Callable[[int], Observation],
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench, JournalConfig(max_age_days=2))
        old = make_frame(received_ms=bench.utc_ms() - age_h * HOUR_MS, clock=clock, sequence=1)
        row = journal.add_frame(old)
        if verified:
            journal.add_observation(make_observation(1), row)
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
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], make_observation: Callable[[int], Observation]
) -> None:
    bound = 400_000

    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench, JournalConfig.model_construct(max_bytes=bound))
        async with bench.running(journal.run()):
            for number in range(400):
                journal.add_observation(make_observation(number), journal.add_frame(make_frame()))
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
    bench: Any, tmp_path: Path, make_frame: Callable[..., RxFrame], make_observation: Callable[[int], Observation]
) -> None:
    async def main() -> None:
        journal = await Journal.open(tmp_path / "j.db", bench, JournalConfig.model_construct(max_bytes=200_000))
        async with bench.running(journal.run()):
            for number in range(2000):
                journal.add_observation(make_observation(number), journal.add_frame(make_frame()))
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
