"""Real MicroPython on the world's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from siel_hil import child_line
from siel_hil import process as process_module
from siel_hil.errors import ParticipantError
from siel_hil.flash import format_flash
from siel_hil.parts import find_micropython
from siel_hil.pins import Wiring
from siel_hil.process import MicroPythonBoard
from siel_hil.world import World

Boot = Callable[..., MicroPythonBoard]


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Boot]:
    """Start a board whose main.py is the text given; its lines go to ``board.lines``."""
    program = find_micropython()
    boards: list[MicroPythonBoard] = []

    def start(world: World, main: str, *, name: str = "board", wiring: Wiring | None = None) -> MicroPythonBoard:
        image = tmp_path / name
        image.mkdir(exist_ok=True)
        (image / "main.py").write_text(main)
        flash = tmp_path / f"{name}.flash"
        if not flash.exists():
            format_flash(program.argv, program.env, flash, {"/identity.json": b"{}"})
        lines: list[tuple[int, str]] = []
        board = MicroPythonBoard(
            world,
            name,
            argv=program.argv,
            env=program.env,
            image=image,
            flash=flash,
            wiring=wiring or Wiring(),
            on_line=lambda text: lines.append((world.now_us, text)),
        )
        board.lines = lines  # type: ignore[attr-defined]
        boards.append(board)
        board.power_on()
        return board

    yield start
    for board in boards:
        board.power_off()


def lines_of(board: MicroPythonBoard) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = board.lines  # type: ignore[attr-defined]
    return lines


class Peer:
    """The other side of a UART: keeps what comes with its time."""

    def __init__(self) -> None:
        self.send: Callable[[bytes], None] = lambda data: None
        self.heard: list[tuple[int, bytes]] = []

    def receive(self, t_us: int, data: bytes) -> None:
        self.heard.append((t_us, data))


def test_sleep_takes_virtual_time_and_a_thousand_hours_pass_at_once(boot: Boot) -> None:
    world = World(1)
    board = boot(world, "import time\nfor _ in range(1000):\n    time.sleep(3600)\nprint('done')\ntime.sleep(10)\n")
    world.run(3_600_000_000 * 1000 + 1_000_000)
    assert [text for _, text in lines_of(board)] == ["done"]
    assert lines_of(board)[0][0] == pytest.approx(3_600_000_000 * 1000, abs=1000)


def test_ticks_wrap_as_on_a_board_and_ticks_diff_spans_the_wrap(boot: Boot) -> None:
    world = World(1)
    board = boot(
        world,
        "import time\n"
        "time.sleep_ms((1 << 30) - 500)\n"
        "a = time.ticks_ms()\ntime.sleep_ms(1000)\nb = time.ticks_ms()\n"
        "print(a > b, time.ticks_diff(b, a), time.ticks_diff(a, b))\ntime.sleep(9)\n",
    )
    world.run(((1 << 30) + 2000) * 1000)
    assert [text for _, text in lines_of(board)] == ["True 1000 -1000"]


def test_uart_bytes_take_the_time_of_the_line_both_ways_and_wake_a_poll(boot: Boot) -> None:
    world, peer = World(1), Peer()
    boot(
        world,
        "import machine, select\n"
        "uart = machine.UART(0, 9600)\npoll = select.poll()\npoll.register(uart, select.POLLIN)\n"
        "while True:\n    poll.poll(60000)\n    data = uart.read()\n    if data:\n        uart.write(data)\n",
        wiring=Wiring(uarts={0: peer}),
    )
    world.at(1_000_000, lambda: peer.send(b"0123456789"))
    world.run(2_000_000)
    ((t_us, data),) = peer.heard
    assert data == b"0123456789"
    assert t_us == pytest.approx(1_000_000 + 2 * 10 * 10 * 1_000_000 // 9600, abs=500)


def test_bytes_that_nobody_polls_neither_hold_time_nor_end_a_wait(boot: Boot) -> None:
    world, talker, asker = World(1), Peer(), Peer()
    board = boot(
        world,
        "import machine, select, time\n"
        "talker = machine.UART(1, 9600)\nasker = machine.UART(0, 9600)\n"
        "poll = select.poll()\npoll.register(asker, select.POLLIN)\n"
        "start = time.ticks_ms()\n"
        "print(len(poll.poll(5000)), time.ticks_diff(time.ticks_ms(), start) >= 5000)\n"
        "print(len(poll.poll(5000)), asker.read(), talker.any())\ntime.sleep(9)\n",
        wiring=Wiring(uarts={0: asker, 1: talker}),
    )
    for number in range(60):
        world.at(100_000 * number, lambda: talker.send(b"tick"))
    world.at(6_000_000, lambda: asker.send(b"?"))
    world.run(10_000_000)
    assert [text for _, text in lines_of(board)] == ["0 True", "1 b'?' 240"]
    assert lines_of(board)[1][0] == pytest.approx(6_000_000 + 1042, abs=500)


def test_what_a_full_uart_buffer_does_not_take_is_lost_and_counted(boot: Boot) -> None:
    world, peer = World(1), Peer()
    board = boot(
        world,
        "import machine, time\nuart = machine.UART(0, 115200, rxbuf=64)\n"
        "time.sleep(1)\nprint(uart.any())\ntime.sleep(9)\n",
        wiring=Wiring(uarts={0: peer}),
    )
    world.at(100_000, lambda: peer.send(bytes(100)))
    world.run(2_000_000)
    assert [text for _, text in lines_of(board)] == ["64"]
    assert board.uarts[0].overflow_bytes == 36


def test_flash_survives_a_power_cut(boot: Boot) -> None:
    main = (
        "import time\n"
        "try:\n    print('kept', open('/note').read())\n"
        "except OSError:\n    with open('/note', 'w') as f:\n        f.write('alive')\n    print('new')\n"
        "while True:\n    time.sleep(1)\n"
    )
    world = World(7)
    board = boot(world, main)
    world.run(1_000_000)
    board.power_off()
    board.power_on()
    world.run(3_000_000)
    assert [text for _, text in lines_of(board)] == ["new", "kept alive"]
    assert board.flash_writes > 0


def test_randomness_comes_from_the_seed(boot: Boot) -> None:
    def drawn(seed: int, name: str) -> str:
        world = World(seed)
        board = boot(
            world, "import os, random, time\nprint(os.urandom(9), random.random())\ntime.sleep(9)\n", name=name
        )
        world.run(1_000)
        board.power_off()
        return lines_of(board)[0][1]

    assert drawn(1, "a") == drawn(1, "a")
    assert len({drawn(1, "a"), drawn(2, "a"), drawn(1, "b")}) == 3


def test_an_unfed_watchdog_resets_the_board_and_the_firmware_learns_the_cause(boot: Boot) -> None:
    world = World(1)
    board = boot(
        world,
        "import machine, time\nprint(machine.reset_cause())\n"
        "machine.WDT(timeout=2000)\nwhile True:\n    time.sleep(60)\n",
    )
    world.run(3_000_000)
    assert [text for _, text in lines_of(board)] == ["1", "3"]
    assert board.resets == 1


def test_firmware_that_raises_voids_the_run_with_its_traceback(boot: Boot) -> None:
    world = World(1)
    boot(world, "import time\ntime.sleep(1)\n1 // 0\n")
    with pytest.raises(ParticipantError, match="ZeroDivisionError"):
        world.run(5_000_000)


def test_firmware_that_ends_voids_the_run(boot: Boot) -> None:
    world = World(1)
    boot(world, "pass\n")
    with pytest.raises(ParticipantError, match="its program ended"):
        world.run(5_000_000)


def test_a_killed_process_voids_the_run(boot: Boot) -> None:
    world = World(1)
    board = boot(world, "import time\nwhile True:\n    time.sleep(1)\n")
    world.run(1_500_000)
    assert board._process is not None
    board._process.kill()
    board._process.wait()
    with pytest.raises(ParticipantError, match=r"died|lost"):
        world.run(5_000_000)


def test_a_process_that_spins_without_a_word_voids_the_run(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_line, "HANG_LIMIT_S", 1)
    world = World(1)
    boot(world, "while True:\n    pass\n")
    with pytest.raises(ParticipantError, match="hung"):
        world.run(5_000_000)


def test_two_boards_never_see_effects_before_causes(boot: Boot) -> None:
    """Board a sends at 10 ms steps; board b, spinning on its clock, sees each byte after it was sent."""
    world = World(1)
    left, right = Peer(), Peer()
    boot(
        world,
        "import machine, time\nuart = machine.UART(0, 115200)\n"
        "for n in range(50):\n    time.sleep_ms(10)\n    uart.write(bytes([n]))\ntime.sleep(60)\n",
        name="a",
        wiring=Wiring(uarts={0: left}),
    )
    b = boot(
        world,
        "import machine, time\nuart = machine.UART(0, 115200)\n"
        "while True:\n    d = uart.read()\n    if d:\n        print(d[0], time.ticks_us())\n    time.sleep_us(700)\n",
        name="b",
        wiring=Wiring(uarts={0: right}),
    )
    left.receive = lambda t_us, data: right.send(data)  # type: ignore[method-assign]
    world.run(1_000_000)
    seen = [tuple(map(int, text.split())) for _, text in lines_of(b)]
    assert [n for n, _ in seen] == list(range(50))
    for n, ticks in seen:
        assert (n + 1) * 10_000 < ticks < (n + 1) * 10_000 + 3000


class Lamp:
    """An output pin's watcher."""

    def __init__(self, seen: list[tuple[int, object]]) -> None:
        self._seen = seen

    def level(self, t_us: int, value: int) -> None:
        self._seen.append((t_us, value))


class Chip:
    """An SPI device that says one thing about BUSY and, when told to, does another."""

    steady_busy_us: Mapping[int, int] = {1: 30}

    def __init__(self) -> None:
        self.on_dio1: Callable[[], None] = lambda: None
        self.busy_until_us = 0
        self.asleep = False
        self.dio1_level = 0
        self.busy_us = 30
        self.commands: list[tuple[int, bytes]] = []
        self._bytes = b""

    def select(self, t_us: int) -> None:
        self._bytes = b""

    def transfer(self, t_us: int, mosi: bytes) -> bytes:
        self._bytes += mosi
        return bytes(len(mosi))

    def deselect(self, t_us: int) -> None:
        self.commands.append((t_us, self._bytes))
        self.busy_until_us = t_us + self.busy_us

    def reset(self, t_us: int) -> None:
        pass


PINS = {"cs": 1, "busy": 2, "dio1": 3, "reset": 4}
CHIP = (
    "import machine, time\n"
    "spi = machine.SPI(0)\ncs = machine.Pin(1, 1, value=1)\nbusy = machine.Pin(2)\ndio1 = machine.Pin(3)\n"
    "def command(data):\n    cs(0)\n    spi.write(data)\n    cs(1)\n"
)


def count_messages(board: MicroPythonBoard) -> list[int]:
    """Count what the board asks for, each with the posted requests before it."""
    sizes, receive = list[int](), board._receive

    def counted() -> list[process_module.Request]:
        requests = receive()
        sizes.append(len(requests))
        return requests

    board._receive = counted  # type: ignore[method-assign]
    return sizes


def test_what_is_posted_happens_at_its_own_time_among_what_others_do(boot: Boot) -> None:
    world, seen = World(1), list[tuple[int, object]]()
    board = boot(
        world,
        "import machine, time\npin = machine.Pin(7, 1)\n"
        "for _ in range(4):\n    pin(1)\n    time.sleep_us(500)\n    pin(0)\n    time.sleep_us(500)\ntime.sleep(9)\n",
        wiring=Wiring(outputs=[(7, Lamp(seen))]),
    )
    sizes = count_messages(board)
    for t_us in range(0, 6000, 100):
        world.at(t_us, lambda t_us=t_us: seen.append((t_us, "other")))
    world.run(10_000)
    assert [what for _, what in seen if what != "other"] == [1, 0] * 4
    times = [t_us for t_us, _ in seen]
    assert times == sorted(times)
    switched = [t_us for t_us, what in seen if what != "other"]
    assert [b - a for a, b in pairwise(switched)] == [510] * 7
    assert max(sizes) == 9, "eight switches travelled with the wait"


@pytest.mark.parametrize("length", [0, 1, 177, 178, 700])
def test_posted_lines_that_fill_the_queue_are_all_told_in_order(boot: Boot, length: int) -> None:
    world = World(1)
    board = boot(world, f"for n in range(300):\n    print('%03d' % n + 'x' * {length})\nimport time\ntime.sleep(9)\n")
    world.run(1000)
    assert [text for _, text in lines_of(board)] == [f"{n:03d}" + "x" * length for n in range(300)]


def test_an_interrupt_handler_reads_the_time_of_the_edge(boot: Boot) -> None:
    """The processor is busy with things that need no answer for 8 ms; the line rises in the middle of it."""
    world, chip = World(1), Chip()
    board = boot(
        world,
        CHIP + "stamps = []\ndio1.irq(lambda pin: stamps.append(time.ticks_us()), machine.Pin.IRQ_RISING)\n"
        "start = time.ticks_us()\n"
        "for _ in range(50):\n    command(b'\\x01')\n    time.sleep_us(150)\n"
        "time.sleep_ms(10)\nprint(start, stamps[0], len(stamps))\ntime.sleep(9)\n",
        wiring=Wiring(spi=[(chip, PINS)]),
    )
    world.at(4321, chip.on_dio1)
    world.run(100_000)
    start, stamp, count = map(int, lines_of(board)[0][1].split())
    assert (stamp, count) == (4321 + 10, 1)
    assert start < 100
    assert len(chip.commands) == 50


def test_a_busy_that_is_not_as_foreseen_is_asked_for_at_the_next_occasion(boot: Boot) -> None:
    world, chip = World(1), Chip()
    chip.busy_us = 5000
    board = boot(
        world,
        CHIP + "time.sleep_ms(1)\ncommand(b'\\x01')\ndio1()\nstart = time.ticks_us()\n"
        "while busy():\n    time.sleep_us(50)\nprint(time.ticks_us() - start)\ntime.sleep(9)\n",
        wiring=Wiring(spi=[(chip, PINS)]),
    )
    world.run(100_000)
    assert int(lines_of(board)[0][1]) == pytest.approx(5000, abs=200)


def test_the_busy_of_other_commands_is_asked_for(boot: Boot) -> None:
    world, chip = World(1), Chip()
    chip.busy_us = 700
    board = boot(
        world,
        CHIP + "command(b'\\x02')\nstart = time.ticks_us()\n"
        "while busy():\n    time.sleep_us(50)\nprint(time.ticks_us() - start)\ntime.sleep(9)\n",
        wiring=Wiring(spi=[(chip, PINS)]),
    )
    world.run(100_000)
    assert int(lines_of(board)[0][1]) == pytest.approx(700, abs=100)


def test_a_busy_that_is_as_foreseen_needs_no_exchange(boot: Boot) -> None:
    world, chip = World(1), Chip()
    board = boot(
        world,
        CHIP + "time.sleep_ms(1)\n"
        "for _ in range(40):\n    while busy():\n        pass\n    command(b'\\x01ab')\ntime.sleep(9)\n",
        wiring=Wiring(spi=[(chip, PINS)]),
    )
    sizes = count_messages(board)
    world.run(100_000)
    assert [data for _, data in chip.commands] == [b"\x01ab"] * 40
    assert all(b - a > 30 for (a, _), (b, _) in pairwise(chip.commands))
    assert len(sizes) < 10


def test_a_wait_that_ends_before_anybody_is_due_needs_no_exchange(boot: Boot) -> None:
    world, others = World(1), list[int]()
    board = boot(
        world,
        "import time\nfor _ in range(1000):\n    time.sleep_ms(5)\nprint('done')\ntime.sleep(9)\n",
    )
    sizes = count_messages(board)
    for t_us in range(0, 6_000_000, 1_000_000):
        world.at(t_us, others.append, t_us)
    world.run(5_500_000)
    ((t_us, text),) = lines_of(board)
    assert (text, t_us) == ("done", 5_000_000)
    assert len(sizes) < 20
    assert others == list(range(0, 5_500_000, 1_000_000))


def test_a_poll_hears_a_byte_that_comes_in_the_middle_of_its_wait(boot: Boot) -> None:
    world, peer = World(1), Peer()
    board = boot(
        world,
        "import machine, select, time\nuart = machine.UART(0, 115200, rxbuf=512)\n"
        "poll = select.poll()\npoll.register(uart, select.POLLIN)\n"
        "got = b''\nwhile len(got) < 300:\n    poll.poll(60000)\n    got += uart.read() or b''\n"
        "print(got == bytes(n & 255 for n in range(300)), time.ticks_us() // 1000)\ntime.sleep(9)\n",
        wiring=Wiring(uarts={0: peer}),
    )
    world.at(1_000_000, lambda: peer.send(bytes(n & 255 for n in range(300))))
    world.run(2_000_000)
    right, at_ms = lines_of(board)[0][1].split()
    assert right == "True"
    assert int(at_ms) == pytest.approx(1000 + 300 * 10 * 1000 // 115200, abs=2)


def test_what_a_board_sets_off_itself_ends_its_time_alone(boot: Boot) -> None:
    world, peer = World(1), Peer()
    board = boot(
        world,
        "import machine, select, time\nuart = machine.UART(0, 115200)\n"
        "poll = select.poll()\npoll.register(uart, select.POLLIN)\n"
        "time.sleep(1)\nstart = time.ticks_us()\nuart.write(b'x')\npoll.poll(5000)\n"
        "print(uart.read(), time.ticks_us() - start)\ntime.sleep(9)\n",
        wiring=Wiring(uarts={0: peer}),
    )
    peer.receive = lambda t_us, data: peer.send(data)  # type: ignore[method-assign]
    world.run(10_000_000)
    echo, after_us = lines_of(board)[0][1].split()
    assert echo == "b'x'"
    assert int(after_us) < 1000
