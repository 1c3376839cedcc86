"""JavaScript codecs for a program that must not be harmed by them: a worker process, killed and started as needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from siel_codecs.codec import Decoded, Downlink, failed
from siel_codecs.errors import PayloadError
from siel_codecs.js import results
from siel_codecs.js.limits import CALL_LIMIT_S, LOAD_LIMIT_S, MAX_FILES, MAX_INPUT_BYTES
from siel_codecs.js.process import WorkerEndedError, WorkerProcess
from siel_codecs.js.protocol import FUNCTIONS, Answer, Call, Load, Operation
from siel_codecs.js.source import JsSource, JsSourceError, js_source, read_js

Codec = JsSource | bytes | Path


class JsCodecError(Exception):
    """The codec did wrong; the text says what."""


class JsHost:
    """Runs JavaScript codecs, one call at a time, from any thread; use it as a context manager.

    A codec is given as the bytes of its file or as its path. The worker starts at the first call. A call that takes
    more than 250 ms of processor time costs the worker its life, and the caller one error.

    Attributes:
        kills: How many workers ended during a call.
    """

    def __init__(self) -> None:
        self.kills = 0
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._files: dict[Path, tuple[tuple[int, int, int], JsSource]] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker."""
        self.close()

    def close(self) -> None:
        """End the worker; a later call starts another."""
        with self._lock:
            if self._worker is not None:
                self._worker.leave()
                self._worker = None

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when there is none."""
        worker = self._worker
        return worker.pid if worker is not None else None

    def load(self, codec: Codec) -> tuple[str, ...]:
        """Run the top level of a codec; return the names of its functions that can be called.

        Raises:
            JsSourceError: The file cannot be read, does not run, or has none of the functions.
            JsWorkerError: There is no worker.
        """
        source = self._source(codec)
        try:
            with self._lock:
                answer = self._load(source)
        except JsCodecError as fault:
            raise JsSourceError(f"JavaScript: {fault}") from None
        return tuple(answer.body.decode(errors="replace").split())

    def check(self, codec: Codec) -> None:
        """Run the top level of a codec that is to decode uplinks.

        Raises:
            JsSourceError: As :meth:`load`, or it decodes none.
            JsWorkerError: There is no worker.
        """
        names, wanted = self.load(codec), FUNCTIONS["decodeUplink"]
        if not set(names) & set(wanted):
            has, lacks = ", ".join(names), ", ".join(wanted)
            raise JsSourceError(f"JavaScript: it decodes no uplinks: it has {has} and none of {lacks}")

    def decode_uplink(self, codec: Codec, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        """Return what the codec says of an uplink; never raises for what the codec or the device did.

        Args:
            codec: With ``decodeUplink``, ``Decoder`` or ``Decode``.
            f_port: The port it came on.
            payload: In clear.
            recv_ms: When it was received, UTC in milliseconds since 1970; without it there is no ``recvTime``.

        Raises:
            JsSourceError: The file cannot be read.
            JsWorkerError: There is no worker.
        """
        return self._decode(codec, "decodeUplink", f_port, payload, recv_ms)

    def decode_downlink(self, codec: Codec, f_port: int, payload: bytes) -> Decoded:
        """Return what the codec says of a downlink, by ``decodeDownlink``; else as :meth:`decode_uplink`."""
        return self._decode(codec, "decodeDownlink", f_port, payload, None)

    def encode_downlink(
        self, codec: Codec, data: Mapping[str, Any], f_port: int | None = None, *, name: str = "JavaScript"
    ) -> Downlink:
        """Return the downlink that carries ``data``.

        Args:
            codec: With ``encodeDownlink``, ``Encoder`` or ``Encode``.
            data: What the codec expects.
            f_port: The encoder may ask for it, and it holds when the encoder names none.
            name: Of the codec, for the error.

        Raises:
            PayloadError: The codec says so, fails, or returns no payload.
            JsSourceError: The file cannot be read.
            JsWorkerError: There is no worker.
        """
        try:
            value = msgspec.json.encode({"data": dict(data)} | ({} if f_port is None else {"fPort": f_port}))
            body = self._call(self._source(codec), "encodeDownlink", value)
        except JsCodecError as fault:
            raise PayloadError(name, f"JavaScript: {fault}") from None
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as fault:
            raise PayloadError(name, f"these values are no JSON: {fault}") from None
        return results.downlink(name, body, f_port)

    def _decode(self, codec: Codec, operation: Operation, f_port: int, payload: bytes, recv_ms: int | None) -> Decoded:
        value = {"bytes": list(payload), "fPort": f_port} | ({} if recv_ms is None else {"recvTime": recv_ms})
        try:
            body = self._call(self._source(codec), operation, msgspec.json.encode(value))
        except JsCodecError as fault:
            return failed(f"JavaScript: {fault}")
        return results.decoded(body, recv_ms)

    def _source(self, codec: Codec) -> JsSource:
        if isinstance(codec, JsSource):
            return codec
        if isinstance(codec, bytes):
            return js_source(codec)
        try:
            stat = os.stat(codec)
        except (OSError, ValueError):
            return read_js(codec)  # which tells why
        signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._files.get(codec)
        if known is None or known[0] != signature:
            known = (signature, read_js(codec))
            while len(self._files) >= MAX_FILES:
                del self._files[next(iter(self._files))]
            self._files[codec] = known
        return known[1]

    def _call(self, source: JsSource, operation: Operation, value: bytes) -> bytes:
        if len(value) > MAX_INPUT_BYTES:
            raise JsCodecError(f"more than {MAX_INPUT_BYTES} bytes of input")
        request = Call(source.digest, operation, value)
        with self._lock:
            answer = self._ask(request, CALL_LIMIT_S)
            if answer.status == "unknown":
                self._load(source)
                answer = self._ask(request, CALL_LIMIT_S)
        return _checked(answer).body

    def _load(self, source: JsSource) -> Answer:
        return _checked(self._ask(Load(source.digest, source.text), LOAD_LIMIT_S))

    def _ask(self, request: Load | Call, limit_s: float) -> Answer:
        # Somebody may have ended an idle worker a moment ago: only the second one that ends is the codec's work
        for last in (False, True):
            if self._worker is None or not self._worker.alive:
                self._forget_worker()
                self._worker = WorkerProcess()
            try:
                return self._worker.ask(request, limit_s)
            except WorkerEndedError as fault:
                self.kills += 1
                self._worker = None
                if fault.late or last:
                    raise JsCodecError(str(fault)) from None
        raise AssertionError  # the second one has returned or raised

    def _forget_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


def _checked(answer: Answer) -> Answer:
    if answer.status != "ok":
        raise JsCodecError(answer.body.decode(errors="replace") or "its process said what makes no sense")
    return answer
