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
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def write(self, data: bytes) -> Future[None]:
        """Return what is done when all of ``data`` is written; it fails with ``OSError``."""
        done: Future[None] = Future()
        self._jobs.put((data, done))
        return done

    def _work(self) -> None:
        while True:
            data, done = self._jobs.get()
            if not done.set_running_or_notify_cancel():
                continue
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as fault:
                done.set_exception(fault)
            else:
                done.set_result(None)


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
        self._pending_bytes = 0
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
        if self._pending_bytes >= self._max_bytes:
            self._lost += 1
            return
        if self._lost:
            lost = json.dumps({"event": "log_lines_lost", "level": "warning", "count": self._lost})
            line = f"{lost}\n{line}"
            self._lost = 0
        data = f"{line}\n".encode(errors="backslashreplace")
        self._pending_bytes += len(data)
        self._writer.write(data).add_done_callback(lambda _: self._written(len(data)))

    def _written(self, length: int) -> None:
        with self._lock:
            self._pending_bytes -= length

    def finish(self, timeout_s: float) -> None:
        """Wait until everything is written, at most ``timeout_s``."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write(b"").result(timeout_s)
