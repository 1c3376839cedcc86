"""The gateway daemon in a run: inside the world on its clock, or outside as the process that ships."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from siel_gateway import config as gateway_config
from siel_gateway.daemon import DRAIN_S, Daemon
from siel_gateway.keystore import open_configured
from siel_gateway.records import Observation
from siel_hil.daemon_log import fault_in
from siel_hil.daemon_process import DaemonProcess
from siel_hil.errors import ParticipantError
from siel_hil.feed import Feed
from siel_hil.net import VirtualNet
from siel_hil.serial_line import VirtualLine
from siel_hil.services import WorldServices
from siel_hil.world import World

_POLL_S: Final = 0.2


class DaemonSite(Protocol):
    """A daemon that can be watched, drained and asked what it counted."""

    async def start(self) -> None:
        """Start it and wait until it serves its radios."""
        ...

    async def watch(self, stopped: asyncio.Event) -> None:
        """Return when ``stopped`` is set; raise ``ParticipantError`` when the daemon ends by itself."""
        ...

    async def drain(self) -> None:
        """Let what was heard reach everybody."""
        ...

    def report(self) -> dict[str, int]:
        """Return the gateway's figures of the report."""
        ...

    async def stop(self) -> None:
        """End it in order; harmless when it has ended."""
        ...


class _Console(io.StringIO):
    """What the console sink writes to: each line is an Observation for the feed."""

    def __init__(self, world: World, feed: Feed) -> None:
        super().__init__()
        self._world = world
        self._feed = feed
        self._decoder = msgspec.json.Decoder(Observation)

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line:
                self._feed.observed(self._world.now_us, self._decoder.decode(line))
        return len(text)


class DaemonInside:
    """The daemon as a task on the world's clock.

    Args:
        world: Its clock.
        config: Its siel.toml.
        net: Its network.
        lines: Serial port -> the line of a head.
        feed: Hears what it decodes.
    """

    def __init__(
        self, world: World, config: Path, net: VirtualNet, lines: Mapping[str, VirtualLine], feed: Feed
    ) -> None:
        self._world = world
        self._config = config
        self._net = net
        self._lines = lines
        self._console = _Console(world, feed)
        self._starts = 0
        self._services: WorldServices
        self._task: asyncio.Task[None] | None = None
        self._disk: Path | None = None
        self._ending = False
        self.daemon: Daemon

    @property
    def data_dir(self) -> Path:
        """Where it keeps what must not be lost."""
        return gateway_config.load(self._config).gateway.data_dir

    async def start(self) -> None:
        """Start it, for the first time or again, and wait until it serves its radios."""
        loaded = gateway_config.load(self._config)
        self._starts += 1
        # no two processes draw the same random numbers
        self._services = WorldServices(self._world, f"gateway/{self._starts}", self._net, self._lines, self._console)
        self._ending = False
        self._disk = None
        self.daemon = Daemon(loaded, self._services, open_configured(loaded.keys, os.environ))
        self._task = asyncio.create_task(self.daemon.run(), name="daemon")
        self._task.add_done_callback(self._ended)
        ready = asyncio.create_task(self.daemon.ready.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        self._check()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Void the run when the daemon ends by itself, whoever watches it."""
        if not self._ending and not task.cancelled():
            self._world.fail(self._failure(task))

    @staticmethod
    def _failure(task: asyncio.Task[None]) -> ParticipantError:
        fault = task.exception()
        error = ParticipantError("gateway", f"the daemon ended: {fault!r}")
        error.__cause__ = fault
        return error

    def _check(self) -> None:
        if self._task is not None and self._task.done():
            raise self._failure(self._task)

    async def watch(self, stopped: asyncio.Event) -> None:
        """Return when ``stopped`` is set; raise ``ParticipantError`` when the daemon ends by itself."""
        assert self._task is not None  # noqa: S101 - start came first
        waiting = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        self._check()

    async def drain(self) -> None:
        """Let what was heard reach everybody."""
        await self.daemon.drain(DRAIN_S)

    def report(self) -> dict[str, int]:
        """Return the gateway's figures of the report."""
        return self.daemon.report()

    def cut(self) -> None:
        """End it at this very moment, as kill -9 does; ``kill`` and then ``start`` bring it back.

        What its files hold now is all that is left: its own clean-up reaches neither disk, line nor network.
        """
        if self._task is None or self._ending:
            return
        self._ending = True
        disk = self.data_dir
        self._disk = disk.with_name(disk.name + ".killed")
        shutil.copytree(disk, self._disk)
        self._services.cut()
        self._task.cancel()

    async def kill(self) -> None:
        """End it as kill -9 does, now or when ``cut`` was called."""
        self.cut()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._disk is not None:
            disk = self.data_dir
            shutil.rmtree(disk)
            self._disk.rename(disk)
            self._disk = None

    async def stop(self) -> None:
        """End it in order; harmless when it has ended."""
        if self._task is not None:
            self._ending = True
            self.daemon.stop()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None


class DaemonOutside:
    """The shipped daemon as a process of its own.

    Args:
        config: Its siel.toml.
        folder: Where its log goes.
    """

    def __init__(self, config: Path, folder: Path) -> None:
        self.log = folder / "gateway.log"
        self.process = DaemonProcess(config, self.log)

    async def start(self) -> None:
        """Start it; it finds its radios by itself."""
        await self.process.start()

    async def watch(self, stopped: asyncio.Event) -> None:
        """Return when ``stopped`` is set; raise ``ParticipantError`` when the daemon ends by itself."""
        while not stopped.is_set():
            self.process.check()
            await asyncio.sleep(_POLL_S)

    async def drain(self) -> None:
        """Ask it to stop: it drains by itself."""
        await self.process.stop()

    def report(self) -> dict[str, int]:
        """Return the figures that it logged at its end."""
        return final_report(self.log.read_bytes())

    async def stop(self) -> None:
        """End it."""
        await self.process.stop()


def final_report(log: bytes) -> dict[str, int]:
    """Return the figures of the last ``gateway_stopped`` line of a daemon's log.

    Raises:
        ParticipantError: There is none, or the log tells of a fault of the daemon's own.
    """
    report: dict[str, int] | None = None
    for line in log.splitlines():
        try:
            event = msgspec.json.decode(line)
        except msgspec.DecodeError:  # what the console sink or an interpreter says
            continue
        if not isinstance(event, dict):
            continue
        if (fault := fault_in(event)) is not None:
            raise fault
        if event.get("event") == "gateway_stopped":
            report = event["report"]
    if report is None:
        raise ParticipantError("gateway", "its log has no final report")
    return report
