"""A real MicroPython process as a participant: its shim's requests become events of the world.

The exchange (shim/_link.py is the other side, and has the formats): a message is any number of posted requests, which
need no answer, and one that does. Only one participant runs at a time; each request carries the process's own time and
is carried out when nobody else is due before, so cause never follows effect. An answer says how long nobody else is
due: so far the process may go on by itself.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from siel_hil.child_line import ChildLine
from siel_hil.errors import ParticipantError
from siel_hil.pins import Pins, Uart, Wiring
from siel_hil.world import Event, World

_HEAD: Final = struct.Struct("<BBHQ")
_HEAD_BYTES: Final = 12
_INLINE: Final = 24
_ANSWER: Final = struct.Struct(f"<BBHIQ{_INLINE}s")
_TIME: Final = struct.Struct("<Q")
_POSTED: Final = 0x80
_GRANT: Final = ord("G")
_GRANT_IDLE: Final = ord("I")
_WAIT_FOR_LINE: Final = ord("W")
_SLEEP: Final = ord("Z")
_RESET: Final = ord("E")
_ENDED: Final = ord("Y")
_PUSHED: Final = 0x40
_ASK_BUSY: Final = 0x80
_UARTS: Final = 2
_MOST_PUSHED: Final = 255
_FREE_MAX_US: Final = (1 << 29) - 1
"""Longer would make a big integer of an answer's first eight bytes there."""
_MESSAGE_BYTES: Final = 3300
"""As much as the shim sends at once."""
SHIM: Final = Path(__file__).parent / "shim"
Request = tuple[int, int, int, bytes]
"""Operation, argument, time, data."""


class MicroPythonBoard:
    """One board: a MicroPython process with its flash, pins and virtual clock.

    Args:
        world: Where it lives.
        name: Its name in logs and reports.
        argv: Command that starts MicroPython.
        env: Its environment.
        image: Folder with main and its modules, as staged.
        flash: File of the block device; made by ``flash.format_flash``.
        wiring: What its pins reach.
        heap_bytes: Size of the MicroPython heap.
        on_line: Called with each line the firmware prints.
        shim: Folder of the shim's modules, perhaps compiled.
    """

    def __init__(
        self,
        world: World,
        name: str,
        *,
        argv: Sequence[str],
        env: dict[str, str],
        image: Path,
        flash: Path,
        wiring: Wiring,
        heap_bytes: int = 400_000,
        on_line: Callable[[str], None] | None = None,
        shim: Path = SHIM,
    ) -> None:
        self.world = world
        self.name = name
        self.flash_writes = 0
        self.flash_erases = 0
        self.resets = 0
        self._argv = list(argv)
        self._env = env
        self._image = image
        self._flash = flash
        self._wiring = wiring
        self._heap_bytes = heap_bytes
        self._on_line = on_line
        self._shim = shim
        self._rng = world.rng(f"board/{name}")
        self._pins = Pins(world, wiring, self._wake_up)
        self._process: subprocess.Popen[bytes] | None = None
        self._line_to: ChildLine | None = None
        self._wake: Event | None = None
        self._waits = False
        self._present_us = 0
        self._reset_cause = 1
        self._do: dict[int, Callable[[int, bytes], bytes]] = {
            **self._pins.operations,
            ord("Q"): lambda n, _data: self._rng.randbytes(n),
            ord("K"): self._flash_operation,
            ord("L"): self._line,
        }

    @property
    def uarts(self) -> dict[int, Uart]:
        """Its UARTs by number."""
        return self._pins.uarts

    def uart_receive(self, number: int, data: bytes) -> None:
        """Let the other side of UART ``number`` send ``data``."""
        self._pins.uart_receive(number, data)

    # --- life -------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start the process; its first instruction runs at the present time."""
        line = ChildLine(self.name)
        command = [
            *self._argv,
            "-X",
            f"heapsize={self._heap_bytes}",
            "-m",
            "boot",
            *map(str, line.theirs),
            str(self._image),
            str(self._flash),
        ]
        env = {**self._env, "MICROPYPATH": f"{self._shim}:.frozen"}
        # its own process group: Ctrl-C in the terminal is for the coordinator
        self._process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            close_fds=False,
            process_group=0,
        )
        line.started(self._process)
        self._line_to = line
        self._pins.power(True)
        self.world.log(self.name, "power_on", cause=self._reset_cause)
        op, _argument, _time, data = self._receive()[-1]
        if op != ord("B"):
            raise ParticipantError(self.name, f"did not start: {data.decode(errors='replace')}")
        self._wake = self.world.at(self.world.now_us, self._begin, self._rng.getrandbits(30))

    def _begin(self, seed: int) -> None:
        """Answer the first word of a process with what its pins reach."""
        wiring = self._pins.told() | {"reset_cause": self._reset_cause, "seed": seed}
        self._serve(self._exchange(_GRANT, 0, json.dumps(wiring, separators=(",", ":")).encode()))

    def power_off(self) -> None:
        """End the process as a power cut does; flash keeps what was written."""
        self._pins.power(False)
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._process is not None:
            # before its line is closed: it must not see its end and tidy up
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._line_to is not None:
            self._line_to.close()
            self._line_to = None

    @property
    def running(self) -> bool:
        """Whether the process is up."""
        return self._process is not None

    # --- the exchange -----------------------------------------------------------------------------------------

    def _receive(self) -> list[Request]:
        """Return the next message: posted requests and one that wants an answer."""
        assert self._line_to is not None  # noqa: S101 - only called while powered
        requests: list[Request] = []
        unpack, at = _HEAD.unpack_from, 0
        message = self._line_to.receive(_MESSAGE_BYTES)
        while True:
            have = len(message)
            if have >= at + _HEAD_BYTES:
                op, argument, length, t_us = unpack(message, at)
                if have >= at + _HEAD_BYTES + length:
                    at += _HEAD_BYTES + length
                    if op < _POSTED:
                        requests.append((op, argument, t_us, message[at - length : at]))
                        return requests
                    requests.append((op - _POSTED, argument, t_us, message[at - length : at]))
                    continue
            message += self._line_to.receive(_MESSAGE_BYTES)

    def _resume(self) -> None:
        """Grant the present time after a wait."""
        pins = self._pins
        kind, pushed, mask = _GRANT if pins.busy() else _GRANT_IDLE, b"", 0
        if pins.listens and self._bytes_wait():
            listens = pins.listens
            parts = [pins.take(number, _MOST_PUSHED) if listens >> number & 1 else b"" for number in range(_UARTS)]
            pushed, mask = b"".join((bytes(map(len, parts)), *parts)), _PUSHED
        self._serve(self._exchange(kind, mask, pushed))

    def _bytes_wait(self) -> bool:
        for uart in self._pins.uarts.values():  # noqa: SIM110 - a generator costs more than the question
            if uart.waiting:
                return True
        return False

    def _exchange(self, kind: int, mask: int, answer: bytes) -> list[Request]:
        """Answer and return what the process wants next."""
        assert self._line_to is not None  # noqa: S101 - only called while powered
        world, pins = self.world, self._pins
        world.exchanges += 1
        self._wake = None
        self._waits = False
        for number, uart in pins.uarts.items():
            if uart.waiting:
                mask |= 16 << number
        if pins.interrupts_us:
            for line, t_us in sorted(pins.interrupts_us.items()):
                mask |= 1 << line
                answer += _TIME.pack(t_us)
            pins.interrupts_us.clear()
        if pins.ask_busy:
            mask |= _ASK_BUSY
            pins.ask_busy = False
        free_us = min(max(0, world.free_until_us() - world.now_us), _FREE_MAX_US)
        message = _ANSWER.pack(kind, mask, len(answer), free_us, world.now_us, answer)
        self._line_to.send(message + answer[_INLINE:] if len(answer) > _INLINE else message)
        return self._receive()

    def _serve(self, requests: list[Request], at: int = 0) -> None:
        """Carry out ``requests`` from number ``at`` on, and those that follow, until the process waits."""
        world, do, line = self.world, self._do, self._line_to
        free_us, seen = world.free_until_us(), world.changes
        while True:
            while at < len(requests):
                op, argument, t_us, data = requests[at]
                if op in (_WAIT_FOR_LINE, _SLEEP):
                    self._wait(argument, t_us, _TIME.unpack(data)[0])
                    return
                if world.changes != seen:
                    free_us, seen = world.free_until_us(), world.changes
                if t_us > free_us:
                    self._wake = world.at(t_us, self._serve, requests, at)
                    return
                world.now_us = max(t_us, world.now_us)
                if op == _RESET:
                    self._restart(argument)
                    return
                if op == _ENDED:  # which no firmware does
                    raise ParticipantError(self.name, "its program ended: " + data.decode(errors="replace"))
                answer = do[op](argument, data)
                if self._line_to is not line:  # it has cut its own power
                    return
                at += 1
            requests, at = self._exchange(_GRANT, 0, answer), 0

    def _wait(self, room: int, present_us: int, t_us: int) -> None:
        """Sleep until ``t_us``, an interrupt, or a byte on a UART that has ``room``: one that the process has emptied.

        Bytes on another one are no news: whoever polls it does not wait at all, and whoever does not must not wake.
        """
        pins = self._pins
        news = any(uart.waiting and room >> number & 1 for number, uart in pins.uarts.items())
        self._waits = True
        pins.listens = room
        ready = pins.interrupts_us or news
        self._wake = self.world.at(present_us if ready else t_us, self._resume)
        self._present_us = present_us

    def _wake_up(self) -> None:
        if self._waits and self._wake is not None and self._wake.t_us > self.world.now_us:
            self._wake.cancel()
            self._wake = self.world.at(max(self.world.now_us, self._present_us), self._resume)

    def _restart(self, cause: int) -> None:
        self.resets += 1
        self._reset_cause = cause
        self.power_off()
        self.world.after(2000, self.power_on)

    def _flash_operation(self, kind: int, _data: bytes) -> bytes:
        if kind == 1:
            self.flash_writes += 1
        else:
            self.flash_erases += 1
        return b""

    def _line(self, _argument: int, data: bytes) -> bytes:
        text = data.decode(errors="replace")
        self.world.log(self.name, "print", text=text)
        if self._on_line is not None:
            self._on_line(text)
        return b""

    def facts(self) -> dict[str, Any]:
        """Return what the report says of this board."""
        return {"flash_writes": self.flash_writes, "flash_erases": self.flash_erases, "resets": self.resets}
