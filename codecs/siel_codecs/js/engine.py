"""The worker's inside: one kept QuickJS context per codec, requests in, answers out; no I/O."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, Protocol, cast

import msgspec
import quickjs

from siel_codecs.js.limits import (
    CONTEXT_BYTES,
    ENGINE_CALL_S,
    ENGINE_LOAD_S,
    MAX_CONTEXTS,
    MAX_INPUT_BYTES,
    MAX_RESULT_BYTES,
    STACK_BYTES,
)
from siel_codecs.js.protocol import FUNCTIONS, Answer, Call, Load, Request
from siel_codecs.js.source import Form, forms

_MAX_LINES: Final = 100_000
_PRELUDE: Final = "\n" * _MAX_LINES + Path(__file__).with_name("prelude.js").read_text("utf-8")
"""QuickJS calls every text the same: so its lines are told from a codec's."""
_MODULE_NAME: Final = "<input>"
"""What QuickJS calls a module that came as text: another one imports it by this name."""
_NAMESPACE: Final = f"import * as n from '{_MODULE_NAME}'; globalThis.__namespace = n"
_NO_VALUE: Final = "\n;void 0"
"""What a script ends with: its last value may be one that Python cannot hold."""
_LINE: Final = re.compile(r"<input>:(\d{1,7})")
_LIMITS: Final = {
    "InternalError: interrupted": "it took too long and was interrupted",
    "InternalError: out of memory": f"it took more than {CONTEXT_BYTES >> 20} MiB of memory",
}
_FULL: Final = (_LIMITS["InternalError: out of memory"], "it threw null")
_OTHER_FILES: Final = re.compile("(?:find|load) module '")
_ONE_FILE: Final = "; a codec must be one file: take the bundled one if its maker has it"
_MAX_JOBS: Final = 1000
_MAX_FAULT_CHARS: Final = 600


class _Drive(Protocol):
    def __call__(self, what: str, a: object = None, b: object = None) -> Any: ...


class LoadError(Exception):
    """A source does not run; the text says why."""


class _Context:
    """A codec's context, the function that drives it, and the names of what it can do."""

    def __init__(self, form: Form, *, with_require: bool) -> None:
        self.calls = 0
        """Answered well."""
        self._context = context = quickjs.Context()
        context.set_memory_limit(CONTEXT_BYTES)
        context.set_max_stack_size(STACK_BYTES)
        context.set_time_limit(ENGINE_LOAD_S)
        drive = self.drive = cast("_Drive", context.eval(_PRELUDE))
        if with_require:
            drive("require")
        namespace: object = None
        if form.module:
            namespace = self._run_module(form.text)
        else:
            context.eval(form.text + _NO_VALUE)
        self.names = cast("str", drive("collect", namespace)).split()
        context.set_time_limit(ENGINE_CALL_S)

    def _run_module(self, text: str) -> object:
        context = self._context
        self.drive("watch", context.module(text))
        for _ in range(_MAX_JOBS):
            if not context.execute_pending_job():
                break
        state = self.drive("settled")
        if state:
            raise LoadError("its top level does not end at once" if state == "pending" else str(state))
        context.module(_NAMESPACE)
        return context.get("__namespace")


class Engine:
    """Loads codecs and calls them. One answer comes back, or none ever: its host sees to that."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[bytes, _Context] = OrderedDict()

    def handle(self, request: Request) -> Answer:
        """Do what ``request`` asks for."""
        if isinstance(request, Load):
            return self._load(request)
        context = self._contexts.get(request.digest)
        if context is None:
            return Answer("unknown")
        self._contexts.move_to_end(request.digest)
        return self._call(context, request)

    def _load(self, request: Load) -> Answer:
        while len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.popitem(last=False)
        try:
            context = _first_that_runs(forms(request.source.decode()))
        except LoadError as fault:
            return _fault(str(fault))
        except Exception as fault:  # noqa: BLE001 - the binding raises many kinds, the codec's own among them
            return _fault(shown(fault))
        if not context.names:
            known = ", ".join(name for names in FUNCTIONS.values() for name in names)
            return _fault(f"it has none of the functions {known}")
        self._contexts[request.digest] = context
        return Answer("ok", " ".join(context.names).encode())

    def _call(self, context: _Context, request: Call) -> Answer:
        name = next((name for name in FUNCTIONS[request.operation] if name in context.names), None)
        if name is None:
            return _fault(f"it has no {request.operation}")
        if len(request.input) > MAX_INPUT_BYTES:
            return _fault("its input is too long")
        try:
            text = context.drive("call", name, request.input.decode())
            body = text.encode() if isinstance(text, str) else b""
            result = msgspec.json.decode(body, type=_Outcome)
        except Exception as fault:  # noqa: BLE001 - interrupted, out of memory, or a context that is not itself any more
            del self._contexts[request.digest]
            return self._failed(context, shown(fault))
        if result.engine:
            del self._contexts[request.digest]
            return self._failed(context, _with_line(result.fault, result.stack))
        if result.fault:
            return _fault(_with_line(result.fault, result.stack))
        context.calls += 1
        return Answer("ok", body) if len(body) <= MAX_RESULT_BYTES else _fault("it returned too much")

    def _failed(self, context: _Context, text: str) -> Answer:
        # Memory that earlier calls have kept is no fault of this one: it shall have a new context
        return Answer("unknown") if context.calls and text.startswith(_FULL) else _fault(text)


class _Outcome(msgspec.Struct):
    fault: str = ""
    stack: str = ""
    engine: bool = False
    """The context may be damaged or full: the next call gets a new one."""


def _first_that_runs(tried: list[Form]) -> _Context:
    for form in tried[:-1]:
        try:
            return _with_require_if_needed(form)
        except quickjs.JSException as fault:
            if not str(fault).startswith("SyntaxError"):
                raise
    return _with_require_if_needed(tried[-1])


def _with_require_if_needed(form: Form) -> _Context:
    # A file that asks whether there is a require shall find none, as on the network servers; one that does not ask
    # would not load without.
    try:
        return _Context(form, with_require=False)
    except (quickjs.JSException, LoadError) as fault:
        if "require is not defined" not in str(fault):
            raise
    return _Context(form, with_require=True)


def shown(fault: BaseException) -> str:
    """Return an exception of the binding as one line with the line of the codec, in printable characters."""
    try:
        text = str(fault)
    except UnicodeDecodeError:
        text = "an exception that cannot be shown"
    message, _, stack = text.partition("\n")
    return _with_line(message or type(fault).__name__, stack)


def _with_line(message: str, stack: str) -> str:
    message = _LIMITS.get(message, message[:_MAX_FAULT_CHARS])
    if _OTHER_FILES.search(message):
        message += _ONE_FILE
    line = next((line for line in map(int, _LINE.findall(stack)) if line <= _MAX_LINES), None)
    return message if line is None else f"{message} (line {line})"


def _fault(text: str) -> Answer:
    return Answer("fault", text.encode(errors="replace"))
