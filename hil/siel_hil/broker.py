"""A real mosquitto of our own on a free loopback port, for the demo and for tests."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from siel_hil.errors import HilError
from siel_hil.parts import find_mosquitto

START_LIMIT_S: Final = 20.0
"""mosquitto listens within 50 ms; a loaded two-core machine has been seen to need seconds."""
STOP_LIMIT_S: Final = 5.0
PORT_ATTEMPTS: Final = 5
_POLL_S: Final = 0.02
_LOG_TAIL_CHARS: Final = 400
HOST: Final = "127.0.0.1"
RUNNING: Final = re.compile(r"^\d+: mosquitto version \S+ running$", re.MULTILINE)
"""Logged once all listeners are open."""


class BrokerError(HilError):
    """The private broker did not start."""


class PrivateBroker:
    """Starts mosquitto when entered and ends that process, by its own id, when left.

    It keeps nothing on disk and listens on loopback only.

    Args:
        port: 0 takes a free one; a test that restarts a broker names the one it had.
        options: Further lines of mosquitto.conf.
    """

    def __init__(self, port: int = 0, options: Sequence[str] = ()) -> None:
        self.port = port
        self._options = tuple(options)
        self._fixed = port != 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What siel.toml calls it."""
        return f"mqtt://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        """Start and wait until it accepts connections.

        Raises:
            BrokerError: It does not start.
            PartError: There is no mosquitto and none can be had.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="siel-broker-")
        try:
            attempts = 1 if self._fixed else PORT_ATTEMPTS
            if not any(self._start() for _ in range(attempts)):
                raise BrokerError(f"mosquitto did not start: {self._log()[-_LOG_TAIL_CHARS:].strip()}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.stop()

    def stop(self) -> None:
        """End the process and remove its folder; twice does nothing."""
        self._end_process()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _start(self) -> bool:
        """Start it; False when it ended at once, as it does when somebody took the port."""
        self._end_process()
        program = find_mosquitto()
        folder = self._path()
        if not self._fixed:
            self.port = _free_port()
        lines = [f"listener {self.port} {HOST}", "allow_anonymous true", "persistence false", "log_dest stderr"]
        lines += self._options
        if os.geteuid() == 0:
            lines.append("user root")  # the user it would change to may not exist here
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                program.command("-c", str(folder / "mosquitto.conf")),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=program.environ(),
                process_group=0,  # Ctrl-C is for us; what is still to be published needs it a moment longer
            )
        return self._listens()

    def _listens(self) -> bool:
        assert self._process is not None  # noqa: S101 - called right after the start
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until and self._process.poll() is None:
            # Its own word, because another program may answer on a port that was taken meanwhile
            if RUNNING.search(self._log()):
                return True
            time.sleep(_POLL_S)
        return False

    def _path(self) -> Path:
        assert self._folder is not None  # noqa: S101 - exists between enter and exit
        return Path(self._folder.name)

    def _log(self) -> str:
        return (self._path() / "log").read_text("utf-8", "replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
