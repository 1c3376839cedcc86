"""asyncio on the world's clock."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from siel_hil.errors import WorldStuckError
from siel_hil.loop import WorldLoop, run_in_world
from siel_hil.world import World


def test_sleeping_a_virtual_day_takes_no_time_and_ends_exactly() -> None:
    world = World(1)

    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_in_world(world, main) == pytest.approx(86_400, abs=1e-5)
    assert world.now_us == pytest.approx(86_400_000_000, abs=2)
    assert time.monotonic() - began < 60


def test_a_world_event_that_wakes_a_task_is_seen_at_its_own_moment() -> None:
    world, seen = World(1), list[tuple[str, int]]()

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        world.at(1000, future.set_result, None)
        world.at(1001, lambda: seen.append(("later event", world.now_us)))
        await future
        seen.append(("task", world.now_us))
        await asyncio.sleep(1)

    run_in_world(world, main)
    assert seen == [("task", 1000), ("later event", 1001)]


def test_timers_and_events_interleave_in_time_order() -> None:
    world, seen = World(1), list[int]()

    async def tick() -> None:
        for _ in range(5):
            await asyncio.sleep(0.002)
            seen.append(world.now_us)

    async def main() -> None:
        for t_us in (1000, 3000, 5000, 7000, 9000):
            world.at(t_us, lambda: seen.append(world.now_us))
        await tick()

    run_in_world(world, main)
    assert seen == sorted(seen)
    assert len(seen) == 10


def test_waiting_for_nothing_is_reported_not_endless() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(WorldStuckError, match="nothing is left"):
        run_in_world(World(1), main)


def test_a_task_that_never_waits_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siel_hil.loop.STUCK_TURNS", 1000)

    async def main() -> None:
        while True:  # noqa: ASYNC110 - the fault under test
            await asyncio.sleep(0)

    with pytest.raises(WorldStuckError, match="never waits"):
        run_in_world(World(1), main)


def test_no_virtual_time_passes_while_an_answer_from_outside_is_awaited() -> None:
    world = World(1)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    world.at(500, lambda: None)

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WorldLoop)
        with loop.outside_work():
            loop.run_in_executor(None, theirs.send, b"answer")
            data = await loop.sock_recv(ours, 100)
        assert world.now_us == 0
        return data

    assert run_in_world(world, main) == b"answer"
    ours.close()
    theirs.close()


def test_an_exception_of_an_event_ends_the_run() -> None:
    world = World(1)

    def burst() -> None:
        raise RuntimeError("model fault")

    async def main() -> None:
        world.at(10, burst)
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="model fault"):
        run_in_world(world, main)


def test_paced_time_is_held_back_to_its_multiple_of_wall_time() -> None:
    world = World(1)

    async def main() -> None:
        await asyncio.sleep(5)

    began = time.monotonic()
    run_in_world(world, main, speed=50)
    assert time.monotonic() - began >= 0.1
    assert world.now_us >= 5_000_000


def test_a_paced_world_can_be_told_to_hurry() -> None:
    world = World(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WorldLoop)
        loop.hurry()
        await asyncio.sleep(3600)

    began = time.monotonic()
    run_in_world(world, main, speed=1)
    assert world.now_us >= 3_600_000_000
    assert time.monotonic() - began < 600
