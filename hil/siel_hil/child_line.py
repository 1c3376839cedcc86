"""Two pipes to a process that answers, and a watch that ends a process which does not.

Pipes, not a socket pair: half the time of an exchange, and an exchange is what a run does most.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import Final

from siel_hil.errors import ParticipantError

HANG_LIMIT_S = 20
"""Wall time without a request after which a process counts as hung; a long step takes milliseconds."""
_LOOK_S: Final = 0.25


class _HangWatch:
    """Looks now and then whether the process that is waited for has spoken, and kills one that hangs.

    A read with a time limit would cost each exchange; this costs nothing while all is well. One for all worlds of this
    process, since it waits for one child at a time.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.waiting_for: subprocess.Popen[bytes] | None = None
        self.hung: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, if nobody does yet."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="hang-watch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        asked, since = self.asked, time.monotonic()
        while True:
            time.sleep(_LOOK_S)
            process, now = self.waiting_for, time.monotonic()
            if process is None or self.asked != asked:
                asked, since = self.asked, now
            elif now - since > HANG_LIMIT_S and process is not self.hung:
                self.hung = process
                process.kill()


_WATCH: Final = _HangWatch()


class ChildLine:
    """The line to one process; :meth:`started` comes after the process has its ends.

    Args:
        name: Whose it is, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._in, theirs_out = os.pipe()
        theirs_in, self._out = os.pipe()
        self.theirs = (theirs_in, theirs_out)
        """What the process reads from and writes to."""
        for descriptor in self.theirs:
            os.set_inheritable(descriptor, True)
        self._process: subprocess.Popen[bytes] | None = None
        _WATCH.start()

    def started(self, process: subprocess.Popen[bytes]) -> None:
        """Let go of the ends that are the process's now."""
        self._process = process
        for descriptor in self.theirs:
            os.close(descriptor)

    def send(self, message: bytes) -> None:
        """Send a message, shorter than what a pipe holds.

        Raises:
            ParticipantError: The process is gone.
        """
        try:
            os.write(self._out, message)
        except BrokenPipeError:
            raise ParticipantError(self._name, "died: its line is closed") from None

    def receive(self, n: int) -> bytes:
        """Return what the process says next, at most ``n`` bytes.

        Raises:
            ParticipantError: It is gone or hangs.
        """
        _WATCH.asked += 1
        _WATCH.waiting_for = self._process
        data = os.read(self._in, n)
        _WATCH.waiting_for = None
        if data:
            return data
        if self._process is None:
            raise ParticipantError(self._name, "died before it was started")
        code = self._process.wait()
        if _WATCH.hung is self._process:
            raise ParticipantError(self._name, f"hung: no request for {HANG_LIMIT_S} s of wall time")
        raise ParticipantError(self._name, f"died without a word, exit code {code}")

    def close(self) -> None:
        """Close our ends."""
        os.close(self._in)
        os.close(self._out)
