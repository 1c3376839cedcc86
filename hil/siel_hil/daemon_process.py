"""The shipped gateway daemon as a process of its own: started, killed and started again."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from siel_hil.errors import ParticipantError

STOP_LIMIT_S: Final = 15.0
"""A daemon that was asked to stop has ended by then: 10 s of drain and some air."""


class DaemonProcess:
    """``siel gateway run`` on a configuration file.

    Args:
        config: The siel.toml.
        log: Where its log and console lines go, appended over restarts.
    """

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start it; what it says goes to the log."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "siel_tools",
                "gateway",
                "run",
                "--config",
                str(self._config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def check(self) -> None:
        """Raise ``ParticipantError`` when it ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            tail = self._log.read_bytes()[-2000:].decode(errors="replace")
            raise ParticipantError("gateway", f"ended with exit code {self._process.returncode}:\n{tail}")

    async def kill(self) -> None:
        """End it as a power cut or the out-of-memory killer does: no clean-up of its own."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def stop(self) -> int:
        """Ask it to stop (SIGTERM) and return its exit code.

        Raises:
            ParticipantError: It does not end in time.
        """
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                code = await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise ParticipantError("gateway", f"did not stop within {STOP_LIMIT_S:.0f} s") from None
        self._process = None
        return code
