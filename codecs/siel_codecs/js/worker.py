"""The worker process: ``python -m siel_codecs.js.worker``, requests on standard input, answers on standard output.

It ends when its input ends, which is when its host has gone; while a codec is busy, the kernel ends it after
``WATCHDOG_S`` at the latest.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Final

import msgspec

from siel_codecs.js.confine import confine
from siel_codecs.js.engine import Engine
from siel_codecs.js.limits import WATCHDOG_S
from siel_codecs.js.protocol import Answer, Call, Frames, Load, ProtocolError, decode_request, framed

_STDIN: Final = 0
_STDOUT: Final = 1
_READ_BYTES: Final = 1 << 16


def main() -> int:
    """Serve until the host closes the pipe; return the exit code."""
    # What a parent ignores or blocks, its children do too
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    _rehearse()
    confine()
    engine = Engine()
    _write(framed(Answer("ready", cpu_s=time.process_time())))
    frames = Frames()
    message = None
    while True:
        while message is None:
            data = os.read(_STDIN, _READ_BYTES)
            if not data:
                return 0
            message = frames.feed(data)
        request = decode_request(message)
        signal.setitimer(signal.ITIMER_REAL, WATCHDOG_S)
        answer = engine.handle(request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(framed(msgspec.structs.replace(answer, cpu_s=time.process_time())))
        message = frames.feed(b"")


def _rehearse() -> None:
    """Use everything once: what Python imports at the first use cannot be imported later."""
    engine = Engine()
    for source in (b"function decodeUplink(input) { return { data: input.none.none } }", b"nonsense(", b"export let a"):
        engine.handle(Load(b"", source))
        framed(engine.handle(Call(b"", "decodeUplink", b"{}")))


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(_STDOUT, rest) :]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, MemoryError, ProtocolError, msgspec.MsgspecError):
        os._exit(1)  # the host has gone or is none, or a codec has used up what there is; the host starts another
