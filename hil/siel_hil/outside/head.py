"""A radio head as far as its host can tell, on a pseudo-terminal that can be pulled out and put back."""

from __future__ import annotations

import contextlib
import os
import random
import select
import threading
import time
import tty
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from siel_head import link
from siel_hil.outside.inbox import Inbox

Message = tuple[str, dict[str, int], bytes]
_POLL_S: Final = 0.05
_CHUNK_BYTES: Final = 4096
_STORE: Final = 32
_U32: Final = 1 << 32


class PtyHead:
    """Answers what every head answers and keeps what it was told; it keeps its boot while it is unplugged.

    Args:
        port: Where the port appears while it is plugged in; siel.toml names this.
        boot_id: 32 bits.

    Attributes:
        told: What the host said: name, fields, payload.
    """

    def __init__(self, port: Path, boot_id: int = 0xB007_0001) -> None:
        self.port = port
        self.told: Inbox[Message] = Inbox("head")
        self._boot_id = boot_id
        self._counter_start_us = random.randrange(_U32)
        self._sequence = 0
        self._kept: dict[int, tuple[bytes, dict[str, int]]] = {}
        self._master = -1
        self._slave = -1
        self._write = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Leave it unplugged."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unplug it."""
        self.unplug()

    def plug(self) -> None:
        """Let the port appear."""
        self._master, self._slave = os.openpty()
        # nothing is echoed or translated before the host has set the line up
        tty.setraw(self._slave)
        self._thread = threading.Thread(target=self._serve, args=(self._master,), daemon=True)
        self._thread.start()
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Let the port vanish, as a pulled USB plug does; harmless when it is unplugged."""
        if self._thread is None:
            return
        self.port.unlink(missing_ok=True)
        with self._write:
            master, self._master = self._master, -1
        self._thread.join()
        self._thread = None
        os.close(master)
        os.close(self._slave)

    def restart(self, boot_id: int) -> None:
        """Lose everything, as without power; unplugged only."""
        self._boot_id = boot_id
        self._counter_start_us = random.randrange(_U32)
        self._sequence = 0
        self._kept.clear()

    def counter_us(self) -> int:
        """Return the head's counter."""
        return (time.monotonic_ns() // 1000 + self._counter_start_us) % _U32

    def hear(self, payload: bytes, *, frequency_hz: int = 868_100_000, spreading_factor: int = 7) -> int:
        """Receive a frame from the air, keep it until the host has acknowledged it, and return its sequence."""
        self._sequence += 1
        self._kept[self._sequence] = (
            payload,
            {
                "boot_id": self._boot_id,
                "sequence": self._sequence,
                "chip": 0,
                "counter_us": self.counter_us(),
                "age_s": 0,
                "frequency_hz": frequency_hz,
                "spreading_factor": spreading_factor,
                "bandwidth_hz": 125_000,
                "coding_rate": 5,
                "rssi_dbm": -80,
                "snr_x4": 30,
                "crc": 1,
            },
        )
        self._tell_kept(self._sequence)
        return self._sequence

    def _tell_kept(self, first: int) -> None:
        for sequence, (payload, fields) in sorted(self._kept.items()):
            if sequence >= first:
                self._say("rx", payload, **fields)

    def say_junk(self, junk: bytes) -> None:
        """Put bytes on the line that are no message."""
        self._put(junk)

    def wait_told(self, name: str) -> Message:
        """Return the next message of this name, waiting for it."""
        return self.told.take(lambda message: message[0] == name)

    def wait_acked(self, sequence: int) -> None:
        """Wait until the host has taken responsibility for this frame and all before it."""
        self.told.take(lambda message: message[0] == "ack" and message[1]["sequence"] >= sequence)

    def _serve(self, master: int) -> None:
        deframer = link.Deframer()
        while self._master == master:
            if not select.select([master], [], [], _POLL_S)[0]:
                continue
            try:
                data = os.read(master, _CHUNK_BYTES)
            except OSError:  # the host has closed the port; it may open it again
                time.sleep(_POLL_S)
                continue
            for body in deframer.receive_data(data):
                message = link.decode(body)
                if message is not None:
                    self._answer(*message[:2])
                    self.told.put(message)

    def _answer(self, name: str, fields: dict[str, int]) -> None:
        now_us = self.counter_us()
        if name == "hello_request":
            self._say(
                "hello",
                version=link.VERSION,
                query=fields["query"],
                boot_id=self._boot_id,
                reset_cause=1,
                chips=1,
                store_size=_STORE,
                stamp_error_us=10,
                first_sequence=min(self._kept, default=self._sequence + 1),
                counter_us=now_us,
            )
            self._tell_kept(0)
        elif name == "resend":
            self._tell_kept(fields["sequence"])
        elif name == "time_query":
            self._say("time", query=fields["query"], boot_id=self._boot_id, received_us=now_us, sent_us=now_us)
        elif name == "configure":
            listens = {key: fields[key] for key in ("chip", "frequency_hz", "spreading_factor", "bandwidth_hz")}
            self._say("configured", boot_id=self._boot_id, ok=1, **listens)
        elif name == "ack":
            for sequence in [sequence for sequence in self._kept if sequence <= fields["sequence"]]:
                del self._kept[sequence]
        elif name == "tx":
            slack_us = (fields["counter_us"] - now_us + _U32 // 2) % _U32 - _U32 // 2
            for outcome in ("scheduled", "on_air"):
                self._say(
                    "tx_outcome",
                    boot_id=self._boot_id,
                    tag=fields["tag"],
                    chip=fields["chip"],
                    outcome=link.OUTCOMES.index(outcome),
                    reason=0,
                    slack_us=slack_us,
                    counter_us=fields["counter_us"],
                )

    def _say(self, name: str, payload: bytes = b"", /, **fields: int) -> None:
        self._put(link.encode(name, payload, **fields))

    def _put(self, data: bytes) -> None:
        with self._write, contextlib.suppress(OSError):
            if self._master >= 0:
                os.write(self._master, data)
