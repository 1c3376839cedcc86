"""``siel gateway run`` as an operator starts it, with everything it says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from siel_hil.errors import HilError
from siel_hil.models.semtech_udp import Address
from siel_hil.outside.inbox import Inbox

STOP_LIMIT_S: Final = 20.0
"""10 s of drain, and some air."""
COMMAND_LIMIT_S: Final = 60.0
_SIEL: Final = (sys.executable, "-m", "siel_tools")

Line = dict[str, Any]


def run_siel(*args: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a ``siel`` command to its end; its exit code, output and errors are the caller's."""
    return subprocess.run(
        [*_SIEL, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def new_key(config: Path, dev_eui: str) -> bytes:
    """Let ``siel keys new`` make an AppKey in a gateway's key store, and return it.

    Raises:
        HilError: It did not; the text says why.
    """
    done = run_siel("keys", "new", "--config", str(config), "--dev-eui", dev_eui, "--show", "--json")
    if done.returncode:
        raise HilError(done.stderr)
    return bytes.fromhex(json.loads(done.stdout)["app_key"])


class Gateway:
    """The daemon as a process of its own; it may be started again after its end.

    Args:
        config: Its siel.toml.

    Attributes:
        log: Lines of its log in this life, as JSON objects.
        console: Lines on its standard output in this life, as JSON objects.
        said: All bytes of both, of all lives.
        reading: Cleared, nobody reads what it says, until it is set again.
    """

    def __init__(self, config: Path) -> None:
        self.log: Inbox[Line] = Inbox("log")
        self.console: Inbox[Line] = Inbox("console")
        self.said = bytearray()
        self.reading = threading.Event()
        self.reading.set()
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._readers: list[threading.Thread] = []

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it, and by default wait until it serves."""
        self.log, self.console = Inbox("log"), Inbox("console")
        process = subprocess.Popen(
            [*_SIEL, "gateway", "run", "--config", str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101 - both are pipes
        assert process.stderr is not None  # noqa: S101
        self._readers = [self._read(process.stdout, self.console), self._read(process.stderr, self.log)]
        if wait:
            self.wait_for("gateway_started")

    def _read(self, stream: IO[bytes], inbox: Inbox[Line]) -> threading.Thread:
        def work() -> None:
            with stream:
                for line in stream:
                    self.reading.wait()
                    self.said += line
                    try:
                        document = json.loads(line)
                    except ValueError:
                        document = line.decode(errors="replace").rstrip()
                    inbox.put(document if isinstance(document, dict) else {"text": document})
            inbox.close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def udp_address(self, radio: str = "semtech-udp") -> Address:
        """Return where a ``semtech-udp`` radio listens, waiting until it does; asked once in a life."""
        host, port = self.wait_for("listening", radio=radio)["address"]
        return host, port

    def wait_for(self, event: str, **fields: object) -> Line:
        """Return the next line of the log that tells of ``event`` with these fields."""
        wanted = {"event": event, **fields}
        return self.log.take(lambda line: wanted.items() <= line.items())

    def lines(self, event: str) -> list[Line]:
        """Return all lines of this life's log that tell of ``event``."""
        return [line for line in self.log.all if line.get("event") == event]

    def ended(self) -> int:
        """Wait for its end and return its exit code; all it said has been read then."""
        assert self._process is not None  # noqa: S101 - start came first
        try:
            code = self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        for reader in self._readers:
            reader.join()
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        assert self._process is not None  # noqa: S101 - start came first
        self._process.send_signal(number)
        return self.ended()

    def kill(self) -> None:
        """End it as a power cut does; harmless when it has ended."""
        self.reading.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self.ended()
