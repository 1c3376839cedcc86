"""What several test files of this folder need."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from siel_hil.parts import find_micropython, find_micropython32
from siel_hil.parts.program import Program


@pytest.fixture(scope="session")
def micropython() -> Program:
    """A real MicroPython; its absence fails the test with the command that would fetch it."""
    return find_micropython(fetch=False)


@pytest.fixture(scope="session")
def micropython32() -> Program:
    """A real MicroPython with the 32-bit words of the boards; without one the test is skipped, with the reason."""
    program, reason = find_micropython32(fetch=False)
    if program is None:
        pytest.skip(f"no 32-bit MicroPython: {reason}")
    return program


WORKER = """
import gc, json, micropython, sys

def encoded(function, values, buf):
    micropython.heap_lock()
    size = function(values)
    micropython.heap_unlock()
    return bytes(buf[:size]).hex()

def decoded(function, values, out):
    f_port, payload = values[0], bytes.fromhex(values[1])
    size = len(payload)
    for i in range(len(out)):
        out[i] = -12345
    micropython.heap_lock()
    command = function(f_port, payload, size, out)
    micropython.heap_unlock()
    return [command, list(out)]

def grown(function, values):
    function(values)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    function(values)
    after = gc.mem_alloc()
    gc.enable()
    return after - before

def answer(ask, function, values, names):
    try:
        if ask == "encode":
            return encoded(function, values, names["buf"])
        if ask == "decode":
            return decoded(function, values, names["out"])
        return grown(function, values)
    except Exception as error:
        while micropython.heap_unlock():
            pass
        return type(error).__name__

names = {}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    ask, what, values = json.loads(line)
    if ask == "load":
        names.clear()
        names["buf"] = bytearray(242)
        names["out"] = [None] * values
        gc.collect()
        try:
            exec(what, names)
            print("null")
        except Exception as error:
            print(json.dumps(repr(error)))
    else:
        function = names[what]
        print(json.dumps([answer(ask, function, each, names) for each in values]))
"""


class Node:
    """One MicroPython process that runs generated code; every call is made under a locked heap."""

    def __init__(self, program: Program) -> None:
        self.every = 1
        """Of many readings take only each so many-th: the words of the boards are what counts."""
        self.process = subprocess.Popen(
            program.command("-X", "heapsize=8m", "-c", WORKER),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=program.environ(),
            text=True,
        )

    def load(self, source: str, out_size: int = 0) -> None:
        """Run a module's source; what was loaded before is gone."""
        assert self._ask("load", source, out_size) is None

    def encode(self, function: str, arguments: Sequence[Sequence[Any]]) -> list[str]:
        """Return per call the payload in hex, or the name of the exception."""
        found: list[str] = self._ask("encode", f"ask_{function}", arguments)
        return found

    def decode(self, downlinks: Sequence[tuple[int, bytes]]) -> list[tuple[int, list[Any]]]:
        """Return per downlink the command's number and ``out``; -12345 stands where nothing was written."""
        asked = [[f_port, payload.hex()] for f_port, payload in downlinks]
        return [(command, out) for command, out in self._ask("decode", "decode_downlink", asked)]

    def grown(self, function: str, arguments: Sequence[Sequence[Any]]) -> list[int]:
        """Return per call by how many bytes the heap has grown, without a lock."""
        found: list[int] = self._ask("grown", f"ask_{function}", arguments)
        return found

    def _ask(self, *question: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module", params=["micropython", "micropython32"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    """A long-lived MicroPython, once with 64-bit and once with the 32-bit words of the boards."""
    node = Node(request.getfixturevalue(request.param))
    if request.param == "micropython" and find_micropython32(fetch=False).program is not None:
        node.every = 4
    yield node
    node.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def nodes(micropython: Program) -> Iterator[list[Node]]:
    """What ``node`` is, both at once: for tests in which finding a question takes longer than its answers."""
    small = find_micropython32(fetch=False).program
    nodes = [Node(program) for program in (micropython, small) if program is not None]
    yield nodes
    for node in nodes:
        node.process.communicate(timeout=20)
