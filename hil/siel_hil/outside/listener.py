"""``mosquitto_sub`` and ``mosquitto_pub``: what an operator's own tools see and say."""

from __future__ import annotations

import json
import subprocess
import threading
from types import TracebackType
from typing import Any, Final, Self

from siel_hil.outside.inbox import Inbox
from siel_hil.parts import find_mosquitto_clients

HOST: Final = "127.0.0.1"
EVERYTHING: Final = "siel/v1/#"
_PUBLISH_LIMIT_S: Final = 20.0


class Listener:
    """A ``mosquitto_sub -t 'siel/v1/#' -v`` while it is entered.

    Args:
        port: Of the broker on loopback.

    Attributes:
        heard: (topic, JSON object) per message; what is none is told as ``{"text": ...}``.
    """

    def __init__(self, port: int) -> None:
        self.heard: Inbox[tuple[str, dict[str, Any]]] = Inbox("mosquitto_sub")
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start it; when a message arrives, it has subscribed."""
        program = find_mosquitto_clients().sub
        self._process = subprocess.Popen(
            program.command("-h", HOST, "-p", str(self._port), "-q", "1", "-t", EVERYTHING, "-v"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=program.environ(),
            process_group=0,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End that process."""
        if self._process is not None and self._thread is not None:
            self._process.terminate()
            self._process.wait()
            self._thread.join()

    def _read(self) -> None:
        assert self._process is not None  # noqa: S101 - started before this thread
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        with self._process.stdout as stream:
            for line in stream:
                topic, _, message = line.decode().rstrip("\n").partition(" ")
                self.heard.put((topic, _document(message)))
        self.heard.close()

    def next(self, topic: str) -> dict[str, Any]:
        """Return the next message on ``topic``, waiting for it."""
        return self.heard.take(lambda heard: heard[0] == topic)[1]

    def publish(self, topic: str, message: str, *, retain: bool = False) -> None:
        """Publish with ``mosquitto_pub``; done when the broker has it."""
        program = find_mosquitto_clients().pub
        options = ["-h", HOST, "-p", str(self._port), "-q", "1", "-t", topic, "-m", message]
        subprocess.run(
            program.command(*options, *(["-r"] if retain else [])),
            env=program.environ(),
            stdin=subprocess.DEVNULL,
            timeout=_PUBLISH_LIMIT_S,
            check=True,
        )


def _document(message: str) -> dict[str, Any]:
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {"text": message}
