"""One worker process as its host sees it: started, asked with a deadline, killed."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

import siel_codecs
from siel_codecs.errors import CodecError
from siel_codecs.js.limits import STALL_LIMIT_S, START_LIMIT_S
from siel_codecs.js.protocol import MAX_ANSWER_BYTES, Answer, Frames, ProtocolError, Request, decode_answer, framed

_READ_BYTES: Final = 1 << 16
_ROOT: Final = Path(siel_codecs.__file__).parent.parent
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_UTIME: Final = 11
"""Of /proc/<pid>/stat, counted from behind the name; the next one is the kernel's part. Source: proc(5)."""
_LEAVE_S: Final = 1.0


class JsWorkerError(CodecError):
    """There is no worker, and it is not the codec's fault: the machine could not start one."""


class WorkerEndedError(Exception):
    """The worker has ended during a request; the text says why.

    Args:
        late: Whether it was killed because it took too long.
    """

    def __init__(self, text: str, *, late: bool = False) -> None:
        super().__init__(text)
        self.late = late


class WorkerProcess:
    """A running worker.

    Its environment holds nothing of ours but where this package is, its working directory is the root, and no file of
    ours is open in it beside the two pipes.

    Raises:
        JsWorkerError: It could not be started.
    """

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "siel_codecs.js.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                close_fds=True,
                cwd="/",
                env={"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C at the terminal is for the host, which then ends this one
            )
        except OSError as fault:
            raise JsWorkerError(f"cannot start a process for JavaScript codecs ({fault})") from fault
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._poll.register(self._in, 0)
        self._frames = Frames(MAX_ANSWER_BYTES)
        self._cpu_before_s = 0.0
        try:
            self._exchange(b"", cpu_s=START_LIMIT_S, wall_s=START_LIMIT_S)
        except WorkerEndedError as fault:
            raise JsWorkerError(f"the process for JavaScript codecs does not start: {fault}") from fault

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def ask(self, request: Request, cpu_s: float) -> Answer:
        """Return the answer to ``request``.

        Args:
            request: What to do.
            cpu_s: So much processor time it may take; ``STALL_LIMIT_S`` of wall time in any case.

        Raises:
            WorkerEndedError: It has ended, or took too long and was killed.
        """
        return self._exchange(framed(request), cpu_s=cpu_s, wall_s=max(STALL_LIMIT_S, cpu_s))

    def _exchange(self, data: bytes, *, cpu_s: float, wall_s: float) -> Answer:
        began_s, wait_s = time.monotonic(), cpu_s
        rest = memoryview(data)
        try:
            while True:
                if rest:
                    rest = rest[self._write(rest) :]
                self._wait(wait_s, writing=bool(rest))
                if (answer := self._read()) is not None:
                    self._cpu_before_s = answer.cpu_s
                    return answer
                elapsed_s = time.monotonic() - began_s
                wait_s = cpu_s - elapsed_s
                if wait_s <= 0:
                    # Others may have had the processor; that is no reason to kill it
                    used_s = self._cpu_s() - self._cpu_before_s
                    wait_s = min(cpu_s - used_s, wall_s - elapsed_s)
                    if used_s < cpu_s and elapsed_s >= wall_s:
                        # It had no processor, or somebody stopped it: another one may answer
                        raise WorkerEndedError(f"it did not answer within {wall_s:.0f} s")
                    if wait_s <= 0:
                        raise WorkerEndedError(f"it took more than {cpu_s * 1000:.0f} ms and was stopped", late=True)
        except (OSError, EOFError):
            self.kill()
            raise WorkerEndedError(f"its process ended ({self._process.returncode})") from None
        except (ProtocolError, msgspec.MsgspecError):
            self.kill()
            raise WorkerEndedError("its process said what makes no sense") from None
        except BaseException:  # a request without its answer would give it to the next one
            self.kill()
            raise

    def _wait(self, wait_s: float, *, writing: bool) -> None:
        self._poll.modify(self._in, select.POLLOUT if writing else 0)
        self._poll.poll(wait_s * 1000)

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._in, data)
        except BlockingIOError:
            return 0

    def _read(self) -> Answer | None:
        try:
            data = os.read(self._out, _READ_BYTES)
        except BlockingIOError:
            return None
        if not data:
            raise EOFError
        message = self._frames.feed(data)
        return None if message is None else decode_answer(message)

    def _cpu_s(self) -> float:
        """Return the processor time it has used in its life; 0 when it has ended."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_bytes()
        except OSError:
            return 0.0
        fields = stat.rpartition(b")")[2].split()
        return (int(fields[_UTIME]) + int(fields[_UTIME + 1])) * _TICK_S

    def kill(self) -> None:
        """End it now; harmless when it has ended."""
        self._process.kill()
        self._process.wait()
        self._close()

    def leave(self) -> None:
        """Let it end by itself, and kill it when it does not."""
        self._close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        self.kill()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
