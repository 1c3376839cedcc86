"""Writing to a terminal or pipe that may take nothing for hours, while everything else goes on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import threading
from concurrent.futures import Future
from typing import Final, TextIO

MAX_PENDING_BYTES: Final = 1 << 20
"""Of the log; beyond it lines are lost, and counted."""


class BackgroundWriter:
    """Writes to one file descriptor in order, in a thread of its own.

    The thread ends with the process, also while it hangs in a pipe that nobody reads: an executor's would be waited
    for.

    Args:
        descriptor: Stays open and is used by nobody else.
        name: Of the thread.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._jobs: queue.SimpleQueue[tuple[bytes, Future[None]]] = queue.SimpleQueue()
        self._count_lock = threading.Lock()
        self._pending_bytes = 0
        threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def pending_bytes(self) -> int:
        """How much was given to :meth:`write` and is neither written nor given up."""
        return self._pending_bytes

    def write(self, data: bytes) -> Future[None]:
        """Return what is done when all of ``data`` is written; it fails with ``OSError``."""
        done: Future[None] = Future()
        self._count(len(data))
        self._jobs.put((data, done))
        return done

    def _count(self, change_bytes: int) -> None:
        with self._count_lock:
            self._pending_bytes += change_bytes

    def _work(self) -> None:
        while True:
            data, done = self._jobs.get()
            if done.set_running_or_notify_cancel():
                fault = self._write_all(data)
                self._count(-len(data))
                if fault is None:
                    done.set_result(None)
                else:
                    done.set_exception(fault)
            else:
                self._count(-len(data))

    def _write_all(self, data: bytes) -> OSError | None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as fault:
            return fault
        return None


class BackgroundStream(io.TextIOBase):
    """A log's stream that never holds its writer up: whole lines go out in the background, the oldest first.

    Args:
        stream: Where they go.
        max_bytes: Lines that find so much waiting are lost; the next one that finds room is preceded by their number.
    """

    def __init__(self, stream: TextIO, max_bytes: int = MAX_PENDING_BYTES) -> None:
        self._is_terminal = stream.isatty()
        self._writer = BackgroundWriter(stream.fileno(), "siel-log")
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._line = ""
        self._lost = 0

    def isatty(self) -> bool:
        """Say whether a person watches."""
        return self._is_terminal

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Take ``text``; what is no whole line yet waits for the rest of it."""
        with self._lock:
            *lines, self._line = (self._line + text).split("\n")
            for line in lines:
                self._put(line)
        return len(text)

    def _put(self, line: str) -> None:
        if self._writer.pending_bytes >= self._max_bytes:
            self._lost += 1
            return
        if self._lost:
            lost = json.dumps({"event": "log_lines_lost", "level": "warning", "count": self._lost})
            line = f"{lost}\n{line}"
            self._lost = 0
        self._writer.write(f"{line}\n".encode(errors="backslashreplace"))

    def finish(self, timeout_s: float) -> None:
        """Wait until everything is written, at most ``timeout_s``."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write(b"").result(timeout_s)
