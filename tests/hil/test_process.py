"""Real MicroPython on the world's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siel_hil import child_line
from siel_hil.errors import ParticipantError
from siel_hil.flash import format_flash
from siel_hil.parts import find_micropython
from siel_hil.process import MicroPythonBoard, Wiring
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
