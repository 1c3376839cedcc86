"""The real ports: ptys and loopback sockets, on the real clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import threading
import tty
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from siel_gateway import transport
from siel_gateway.transport import SystemServices

LOOPBACK = ("127.0.0.1", 0)


@pytest.fixture
def services() -> Iterator[SystemServices]:
    with SystemServices() as made:
        yield made


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """A pty: the head's end as a file descriptor, the host's end as a path."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for descriptor in (master, slave):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


def test_bytes_go_both_ways_over_a_serial_port(services: SystemServices, line: tuple[int, str]) -> None:
    head, path = line

    async def main() -> None:
        port = await services.open_serial(path, 115_200)
        os.write(head, b"\0up\xff")
        received = b""
        while len(received) < 4:
            received += await port.read()
        assert received == b"\0up\xff"
        port.write(b"\0down\r\n")
        sent = b""
        while len(sent) < 7:
            sent += await asyncio.to_thread(os.read, head, 100)
        assert sent == b"\0down\r\n"
        port.close()
        port.close()

    run(main())


def test_a_serial_port_is_ours_alone_and_free_again_when_closed(
    services: SystemServices, line: tuple[int, str]
) -> None:
    _, path = line

    async def main() -> None:
        port = await services.open_serial(path, 115_200)
        with pytest.raises(OSError, match="lock"):
            await services.open_serial(path, 115_200)
        port.close()
        # The system lets go of a port in a thread of its own, as soon as it can.
        while True:
            with contextlib.suppress(OSError):
                port = await services.open_serial(path, 115_200)
                break
            await asyncio.sleep(0.001)
        port.close()

    run(main())


def test_closing_a_serial_port_leaves_its_lines_alone(services: SystemServices, line: tuple[int, str]) -> None:
    _, path = line

    async def main() -> None:
        port = await services.open_serial(path, 115_200)
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        try:
            assert not termios.tcgetattr(descriptor)[2] & termios.HUPCL
        finally:
            os.close(descriptor)
            port.close()

    run(main())


@pytest.mark.parametrize("port", ["/dev/no-such-port", "/dev/null", "/", "nonsense://x"])
def test_what_is_no_serial_port_is_an_os_error(services: SystemServices, port: str) -> None:
    async def main() -> None:
        with pytest.raises(OSError):  # noqa: PT011 - the class is the promise, the words are the system's
            await services.open_serial(port, 115_200)

    run(main())


def test_a_read_ends_when_the_port_is_pulled_or_closed(services: SystemServices) -> None:
    async def main() -> None:
        for pulled in (True, False):
            master, slave = os.openpty()
            port = await services.open_serial(os.ttyname(slave), 115_200)
            os.close(slave)
            reading = asyncio.ensure_future(port.read())
            await asyncio.sleep(0)
            if pulled:
                os.close(master)
            else:
                port.close()
            with pytest.raises(OSError):  # noqa: PT011 - as above
                await reading
            with pytest.raises(OSError):  # noqa: PT011 - as above
                port.write(b"x")
            port.close()
            if not pulled:
                os.close(master)

    run(main())


@pytest.mark.parametrize("extra", [-1, 0])
def test_what_is_read_ahead_is_bounded(extra: int) -> None:
    class Transport:
        paused = False

        def pause_reading(self) -> None:
            self.paused = True

        def resume_reading(self) -> None:
            self.paused = False

    async def main() -> None:
        port, fake = transport.SerialPort(), Transport()
        port.connection_made(fake)  # type: ignore[arg-type]  # as much of one as it uses
        port.data_received(bytes(transport.READ_HIGH_BYTES + extra))
        assert fake.paused is (extra >= 0)
        assert len(await port.read()) == transport.READ_HIGH_BYTES + extra
        assert not fake.paused

    run(main())


@pytest.mark.parametrize(
    ("waiting", "fine"), [(transport.WRITE_HIGH_BYTES, True), (transport.WRITE_HIGH_BYTES + 1, False)]
)
def test_what_a_stuck_port_does_not_take_is_bounded(waiting: int, fine: bool) -> None:
    class Transport:
        def get_write_buffer_size(self) -> int:
            return waiting

        def is_closing(self) -> bool:
            return False

        def write(self, data: bytes) -> None:
            assert fine

    async def main() -> None:
        port = transport.SerialPort()
        port.connection_made(Transport())  # type: ignore[arg-type]  # as much of one as it uses
        with contextlib.nullcontext() if fine else pytest.raises(OSError, match="takes nothing"):
            port.write(b"x")

    run(main())


def test_datagrams_go_both_ways(services: SystemServices) -> None:
    async def main() -> None:
        arrived: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        one = await services.open_datagrams(LOOPBACK, lambda data, source: arrived.put_nowait((data, source)))
        two = await services.open_datagrams(LOOPBACK, lambda data, source: arrived.put_nowait((data, source)))
        one.send(b"there", two.local_address)
        assert await arrived.get() == (b"there", one.local_address)
        two.send(bytes(60_000), one.local_address)
        assert await arrived.get() == (bytes(60_000), two.local_address)
        with pytest.raises(OSError):  # noqa: PT011 - the class is the promise
            await services.open_datagrams(one.local_address, lambda data, source: None)
        one.send(b"nobody", ("127.0.0.1", 9))
        one.send(bytes(70_000), two.local_address)
        one.close()
        one.close()
        one.send(b"closed", two.local_address)
        two.close()

    run(main())


def test_names_are_looked_up(services: SystemServices) -> None:
    async def main() -> None:
        assert await services.resolve("127.0.0.1", 1700) == ("127.0.0.1", 1700)
        assert (await services.resolve("localhost", 1700))[0] in ("127.0.0.1", "::1")
        with pytest.raises(OSError):  # noqa: PT011 - the class is the promise
            await services.resolve("x" * 300, 1700)

    run(main())


def test_blocking_jobs_run_in_order_off_the_loop(services: SystemServices) -> None:
    async def main() -> None:
        order: list[int] = []
        loop_thread = threading.get_ident()

        def job(number: int) -> int:
            assert threading.get_ident() != loop_thread
            order.append(number)
            return number

        results = await asyncio.gather(*(services.run_blocking(lambda n=n: job(n)) for n in range(20)))  # type: ignore[misc]
        assert results == order == list(range(20))

    run(main())


def test_the_kernel_is_asked_whether_the_clock_is_right(services: SystemServices, monkeypatch: Any) -> None:
    assert services.clock_trust() in ("ntp", "none")

    def kernel(state: int, status: int) -> Any:
        def adjtimex(timex: Any) -> int:
            timex._obj.status = status
            return state

        return adjtimex

    for state, status, trust in ((0, 0x2001, "ntp"), (5, 0x2001, "none"), (0, 0x40, "none"), (-1, 0, "none")):
        monkeypatch.setattr(transport, "_ADJTIMEX", kernel(state, status))
        assert services.clock_trust() == trust
    monkeypatch.setattr(transport, "_ADJTIMEX", None)
    assert services.clock_trust() == "none"


def test_clocks_and_randomness(services: SystemServices) -> None:
    first = services.monotonic_us()
    assert services.monotonic_us() >= first
    assert services.utc_ms() > 1_700_000_000_000
    assert len(services.random_bytes(7)) == 7
    with services.outside_work():
        pass


def test_what_runs_aside_holds_up_no_job_of_the_disk() -> None:
    async def main() -> None:
        with SystemServices() as services:
            go_on = threading.Event()
            slow = asyncio.create_task(services.run_aside(lambda: go_on.wait(30)))
            names = [await services.run_blocking(lambda: threading.current_thread().name) for _ in range(2)]
            go_on.set()
            assert await slow
            names.append(await services.run_aside(lambda: threading.current_thread().name))
            assert names[0] == names[1] != names[2]
            assert threading.current_thread().name not in names

    asyncio.run(main())
