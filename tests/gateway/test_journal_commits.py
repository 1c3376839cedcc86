"""The journal's records and groups: what is on disk when something is acknowledged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from siel_gateway import journal_memory
from siel_gateway.errors import JournalFullError
from siel_gateway.journal import Journal
from siel_gateway.journal_schema import (
    FRAME_FIELDS,
    OBSERVATION_FIELDS,
    RADIO_KEYS,
    decode_frame,
    decode_observation,
    encode_frame,
    encode_observation,
)
from siel_gateway.records import Observation, RxFrame
from siel_gateway.transport import SystemServices


def test_the_disk_knows_every_field_of_the_records() -> None:
    assert set(FRAME_FIELDS) == set(RxFrame.__struct_fields__)
    assert set(OBSERVATION_FIELDS) == set(Observation.__struct_fields__)


def test_records_come_back_as_they_went(
    make_frame: Callable[..., RxFrame], make_observation: Callable[[int], Observation]
) -> None:
    for frame in (make_frame(), make_frame(sequence=2**32 - 1, phy_payload=bytes(255), concentrator=True, crc="bad")):
        assert decode_frame(encode_frame(frame)) == frame
    plain = make_observation(7)
    complete = msgspec.structs.replace(plain, radio=dict.fromkeys(RADIO_KEYS, 7))
    assert decode_observation(encode_observation(complete)) == complete
    assert b"rssi" not in encode_observation(complete)
    placed = Observation(**{**{name: getattr(plain, name) for name in OBSERVATION_FIELDS}, "position": {"lat": 53.1}})
    assert decode_observation(encode_observation(plain)) == plain
    assert decode_observation(encode_observation(placed)) == placed


def test_a_frame_of_an_older_version_is_read_with_defaults(make_frame: Callable[..., RxFrame]) -> None:
    values = [getattr(make_frame(), field) for field in FRAME_FIELDS[:-1]]
    assert decode_frame(msgspec.msgpack.encode(values)) == make_frame()


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
            bench.disk_fault = bench.disk_full
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
