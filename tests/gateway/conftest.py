"""A gateway's surroundings on a clock that jumps instead of waiting, for tests of one shell at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
import shutil
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import pytest

from siel_gateway.journal import Journal
from siel_gateway.records import Clock, Observation, RxFrame
from siel_gateway.services import Address
from siel_gateway.sinks import mqtt
from siel_gateway.transport import SystemServices
from siel_hil.broker import PrivateBroker
from siel_hil.rigs.daemon_bench import DaemonBench
from siel_hil.rigs.head_wire import Wire
from siel_hil.rigs.mqtt_rig import Body, Rig, Run

T = TypeVar("T")
UTC_MS = 1_767_225_600_000


class JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: where another would sleep, this one moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits for something that cannot come")
            self.now_us += round(timeout * 1e6)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now_us / 1e6


class FakeDatagrams:
    """One bound socket of the bench's network."""

    def __init__(self, bench: Bench, address: Address, receiver: Callable[[bytes, Address], None]) -> None:
        self.bench = bench
        self.local_address = address
        self.receiver = receiver
        self.sent: list[tuple[bytes, Address]] = []

    def send(self, data: bytes, to: Address) -> None:
        self.sent.append((data, to))
        self.bench.carry(self.local_address, to, data)

    def close(self) -> None:
        self.bench.sockets.pop(self.local_address, None)


class FakeSerial:
    """One serial port, host's side; the test reads ``written`` and calls ``feed``."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.gone = False
        self._fed = bytearray()
        self._event = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._fed += data
        self._event.set()

    def unplug(self) -> None:
        self.gone = True
        self._event.set()

    async def read(self) -> bytes:
        while not self._fed:
            if self.gone:
                raise OSError(5, "gone")
            self._event.clear()
            await self._event.wait()
        data = bytes(self._fed)
        self._fed.clear()
        return data

    def write(self, data: bytes) -> None:
        if self.gone:
            raise OSError(5, "gone")
        self.written += data

    def close(self) -> None:
        self.unplug()


class Bench:
    """``Services`` with a clock, a network and a disk that a test holds in its hands."""

    def __init__(self) -> None:
        self.loop = JumpingLoop()
        self.trust: Clock = "ntp"
        self.sockets: dict[Address, FakeDatagrams] = {}
        self.ports: dict[str, FakeSerial] = {}
        self.names: dict[str, str] = {}
        self.disk_fault: Callable[[], None] = lambda: None
        self.console: TextIO = sys.stdout
        self._random = random.Random(1)
        self._next_port = 40_000

    # -- for tests ----------------------------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run ``main`` to its end on the jumping clock; what it left running is cancelled."""

        async def sweep() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        try:
            return self.loop.run_until_complete(main)
        finally:
            self.loop.run_until_complete(sweep())
            self.loop.close()

    @contextlib.asynccontextmanager
    async def running(self, *mains: Coroutine[Any, Any, Any]) -> Any:
        """Run ``mains`` beside the body."""
        tasks = [asyncio.ensure_future(main) for main in mains]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def plug(self, port: str) -> None:
        """Put something behind a serial port, whose other end the test holds as ``ports[port]``."""
        self.ports[port] = FakeSerial()

    def carry(self, source: Address, to: Address, data: bytes) -> None:
        if (socket := self.sockets.get(to)) is not None:
            self.loop.call_later(0.0005, socket.receiver, data, source)

    @staticmethod
    def disk_full() -> None:
        """Be a ``disk_fault``."""
        raise sqlite3.OperationalError("database or disk is full")

    # -- Services -----------------------------------------------------------------------------------------------------

    async def write_console(self, text: str) -> None:
        self.console.write(text)

    def monotonic_us(self) -> int:
        return self.loop.jumping.now_us

    def utc_ms(self) -> int:
        return UTC_MS + self.loop.jumping.now_us // 1000

    def clock_trust(self) -> Clock:
        return self.trust

    def random_bytes(self, n: int) -> bytes:
        return self._random.randbytes(n)

    async def open_serial(self, port: str, baud: int) -> FakeSerial:
        if port not in self.ports or self.ports[port].gone:
            raise FileNotFoundError(2, port)
        return self.ports[port]

    async def open_datagrams(self, bind: Address, receiver: Callable[[bytes, Address], None]) -> FakeDatagrams:
        host, port = bind
        if port == 0:
            port = self._next_port
            self._next_port += 1
        if (host, port) in self.sockets:
            raise OSError(98, "in use")
        self.sockets[host, port] = FakeDatagrams(self, (host, port), receiver)
        return self.sockets[host, port]

    async def resolve(self, host: str, port: int) -> Address:
        if host == "nowhere":
            raise OSError(-2, "unknown host")
        return self.names.get(host, host), port

    async def run_blocking(self, job: Callable[[], T]) -> T:
        self.disk_fault()
        return job()

    async def run_aside(self, job: Callable[[], T]) -> T:
        return job()

    def outside_work(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


@pytest.fixture(scope="session")
def new_bench() -> Callable[[], Bench]:
    """Makes a fresh bench, as often as hypothesis wants one."""
    return Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def site(bench: Bench, tmp_path: Path) -> DaemonBench:
    return DaemonBench(bench, tmp_path / "gateway")


@pytest.fixture
def wire() -> Wire:
    wire = Wire()
    wire.hello()
    wire.sent()
    return wire


@pytest.fixture
def broker() -> Iterator[PrivateBroker]:
    with PrivateBroker() as started:
        yield started


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An mqtt sink that waits only a moment before it tries again."""
    monkeypatch.setattr(mqtt, "RETRY_FIRST_S", 0.02)
    monkeypatch.setattr(mqtt, "RETRY_LAST_S", 0.1)


@pytest.fixture
def run(tmp_path: Path, make_frame: Callable[..., RxFrame]) -> Run[Any]:
    """Runs a test's body with a rig whose journal commits."""

    async def main(body: Body[T]) -> T:
        with SystemServices() as services:
            journal = await Journal.open(tmp_path / "journal.sqlite", services)
            committing = asyncio.create_task(journal.run())
            try:
                rig = Rig(services, journal, make_frame)
                return await body(rig)
            finally:
                await rig.runner.close()
                committing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await committing
                await journal.close()

    return lambda body: asyncio.run(main(body))


def _frame(**changes: Any) -> RxFrame:
    fields: dict[str, Any] = {
        "radio": "roof",
        "gateway_eui": "0016c001f1500812",
        "radio_session": 77,
        "counter_us": 1_000_000,
        "gateway_us": 5_000_000,
        "received_ms": UTC_MS,
        "clock": "ntp",
        "frequency_hz": 868_100_000,
        "spreading_factor": 7,
        "bandwidth_hz": 125_000,
        "rssi_dbm": -60,
        "snr_db": 7.5,
        "crc": "ok",
        "phy_payload": bytes.fromhex("40010203020003000101020304"),
    }
    return RxFrame(**{**fields, **changes})


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., RxFrame]:
    """Makes an RxFrame, everything that is not given being usual."""
    return _frame


def _observation(number: int) -> Observation:
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


@pytest.fixture(scope="session")
def make_observation() -> Callable[[int], Observation]:
    """Makes an Observation, told from others by its number."""
    return _observation


def _copy_of(path: Path, to: Path) -> Path:
    """What a kill leaves behind: the files as they are now, nothing closed."""
    to.mkdir()
    for suffix in ("", "-wal", ".counters", ".counters-journal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy(source, to / source.name)
    return to / path.name


@pytest.fixture(scope="session")
def copy_of() -> Callable[[Path, Path], Path]:
    """Copies a journal as it lies there."""
    return _copy_of
