"""An asyncio event loop whose clock is the world's: the daemon and the models run on it unchanged."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from siel_hil.errors import WorldStuckError
from siel_hil.world import World

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

OUTSIDE_LIMIT_S = 30.0
"""How long an answer from outside (a broker, an executor) may take before the run counts as hung."""
STUCK_TURNS = 1_000_000
"""Turns of the loop without a step of the clock that count as a hang; the busiest real moment takes hundreds."""
LOOK_EVERY_TURNS = 16
"""Turns between two looks at the loop's own wake-up call, as long as no other file is watched."""
_FOREVER_US = 1 << 62
T = TypeVar("T")


class _WorldSelector(selectors.DefaultSelector):
    """A selector that lets the world happen where asyncio would sleep.

    With ``speed`` None the clock jumps; else it is held back to ``speed`` times wall time and real file
    descriptors are served meanwhile. While ``outside`` is above zero, somebody awaits an answer from outside and
    the clock stands still.
    """

    def __init__(self, world: World, speed: float | None) -> None:
        super().__init__()
        self.world = world
        self.speed = speed
        self.outside = 0
        self._turns = 0
        self._watched = 0
        self._look_in = 0
        self._wall_origin = time.monotonic()
        self._origin_us = world.now_us

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        self._watched += 1
        return super().register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        self._watched -= 1
        return super().unregister(fileobj)

    def _look(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Return which files are ready. Without sockets only threads and signals call, which need no answer at once."""
        self._look_in -= 1
        if self._look_in > 0 and self._watched <= 1 and self.speed is None:
            return []
        self._look_in = LOOK_EVERY_TURNS
        return super().select(0)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        world = self.world
        ready = self._look()
        if ready or (timeout is not None and timeout <= 0):
            self._count_turn()
            return ready
        if self.outside:
            return self._wait_outside()
        until = _FOREVER_US if timeout is None else world.now_us + max(1, round(timeout * 1e6))
        if self.speed is None:
            return self._jump(until)
        return self._pace(until, self.speed)

    def _jump(self, until: int) -> list[tuple[selectors.SelectorKey, int]]:
        world = self.world
        before = world.now_us
        if until == _FOREVER_US and world.next_us() is None:
            if ready := super().select(0):
                return ready
            raise WorldStuckError("nothing is left to happen, and a task still waits")
        if until == _FOREVER_US:
            until = world.next_us() or world.now_us
        world.run(until)
        if world.now_us != before:
            self._turns = 0
        else:
            self._count_turn()
        return []

    def _pace(self, until: int, speed: float) -> list[tuple[selectors.SelectorKey, int]]:
        world = self.world
        due = min(until, world.next_us() or _FOREVER_US)
        wall_due = self._wall_origin + (due - self._origin_us) / 1e6 / speed
        ready = super().select(None if due == _FOREVER_US else max(0.0, wall_due - time.monotonic()))
        paced = self._origin_us + int((time.monotonic() - self._wall_origin) * 1e6 * speed)
        if ready:  # what came from outside came now, not when the world was last looked at
            world.run(max(world.now_us, min(paced, due - 1)))
        else:
            world.run(min(until, max(due, min(paced, until))))
        return ready

    def _wait_outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        asked = time.monotonic()
        ready = super().select(OUTSIDE_LIMIT_S)
        if not ready:
            raise WorldStuckError(f"no answer from outside within {OUTSIDE_LIMIT_S:.0f} s")
        if self.speed is not None:  # waiting for others is not simulated time
            self._wall_origin += time.monotonic() - asked
        return ready

    def forget_turns(self) -> None:
        """Start counting again, for the last turns of a loop that was found stuck."""
        self._turns = 0

    def _count_turn(self) -> None:
        self._turns += 1
        if self._turns > STUCK_TURNS:
            raise WorldStuckError(f"the clock stands at {self.world.now_us} us: a task never waits")


class WorldLoop(asyncio.SelectorEventLoop):
    """asyncio on the world's clock.

    Args:
        world: Whose time it is.
        speed: None lets time jump; K holds the world back to K times wall time.
    """

    def __init__(self, world: World, speed: float | None = None) -> None:
        self._world = world
        self._selector_of_world = _WorldSelector(world, speed)
        super().__init__(self._selector_of_world)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return virtual seconds."""
        return self._world.now_us / 1e6

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """Schedule for this very moment: the world stops until it has been seen."""
        world = self._world
        world.interrupted = True  # as ``World.interrupt`` does: this is called ten times for an uplink
        world.changes += 1
        return super().call_soon(callback, *args, context=context)

    def abandon(self) -> None:
        """Cancel what is left; a task that does not end without time passing is dropped."""

        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.shutdown_asyncgens()

        self._selector_of_world.forget_turns()
        with suppress(WorldStuckError):
            self.run_until_complete(end())

    def hurry(self) -> None:
        """Hold the world back no longer: what is left to happen happens at once."""
        self._selector_of_world.speed = None

    @contextmanager
    def outside_work(self) -> Iterator[None]:
        """Hold the clock while an answer from outside is awaited."""
        self._selector_of_world.outside += 1
        try:
            yield
        finally:
            self._selector_of_world.outside -= 1


def run_in_world(world: World, main: Callable[[], Coroutine[Any, Any, T]], speed: float | None = None) -> T:
    """Run ``main()`` to its end on the world's clock and return its result.

    Args:
        world: Whose time it is.
        main: The coroutine function to run.
        speed: None lets time jump; K holds the world back to K times wall time.

    Raises:
        HilError: A participant failed, or nothing can happen any more.
    """
    loop = WorldLoop(world, speed)
    try:
        return loop.run_until_complete(main())
    finally:
        world.drop_all()
        loop.abandon()
        loop.close()
