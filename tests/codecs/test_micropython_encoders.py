"""The committed encoders on a real MicroPython, under a locked heap, against the construct object."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import siel_node.codec
from siel_codecs.codec import SchemaCodec
from siel_codecs.registry import Registry
from siel_codecs.schema.to_micropython import emit_encoder, module_name
from siel_hil.parts.program import Program

CODEC_FOLDER = Path(siel_node.codec.__file__).parent
NAMES = Registry().names()
READINGS_EACH = 10_000
BATCH = 100

WORKER = """
import sys, micropython
buf = bytearray(64)
def grows(buf, size):
    bytearray(size)
def ask_grows(v):
    return grows(buf, v[0])
{calls}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    name, *values = line.split()
    call = globals()["ask_" + name]
    values = [None if value == "None" else int(value) for value in values]
    try:
        micropython.heap_lock()
        size = call(values)
        micropython.heap_unlock()
        print(bytes(buf[:size]).hex())
    except Exception as error:
        while micropython.heap_unlock():
            pass
        print(type(error).__name__)
"""
CALL = """
from siel_node.codec import {module}
def ask_{module}(v):
    return {module}.encode(buf, {values})
"""


def call_of(codec: SchemaCodec) -> str:
    # Written out argument by argument: a starred call would itself allocate
    values = ", ".join(f"v[{index}]" for index in range(len(codec.device.frames[0].fields)))
    return CALL.format(module=module_name(codec.device), values=values)


class Node:
    """One MicroPython process that encodes what it is told."""

    def __init__(self, program: Program) -> None:
        calls = "".join(call_of(Registry().load(name)) for name in NAMES)
        self.process = subprocess.Popen(
            program.command("-c", WORKER.format(calls=calls)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**program.environ(), "MICROPYPATH": str(CODEC_FOLDER.parents[1])},
            text=True,
        )

    def ask(self, lines: list[str]) -> list[str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()
        return [self.process.stdout.readline().strip() for _ in lines]


@pytest.fixture(scope="module")
def node(micropython: Program) -> Iterator[Node]:
    node = Node(micropython)
    yield node
    node.process.communicate(timeout=20)


def readings(codec: SchemaCodec) -> st.SearchStrategy[tuple[int | None, ...]]:
    strategies = []
    for field in codec.device.frames[0].fields:
        low, high = ((code + field.offset) * field.node.den for code in (field.code_min, field.code_max))
        usual = st.integers(low - 50, high + 50)
        strategies.append(st.one_of(st.none(), st.integers(-(1 << 30), (1 << 30) - 1), usual, usual, usual))
    return st.tuples(*strategies)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_encoder_is_what_the_schema_makes(name: str) -> None:
    device = Registry().load(name).device
    committed = (CODEC_FOLDER / f"{module_name(device)}.py").read_text()
    assert committed == emit_encoder(device), f"run: siel codec generate {name} --target micropython"


def test_no_encoder_is_committed_without_a_schema() -> None:
    made = {f"{module_name(Registry().load(name).device)}.py" for name in NAMES}
    assert {file.name for file in CODEC_FOLDER.glob("*.py")} - {"__init__.py"} == made


def test_a_locked_heap_catches_what_allocates(node: Node) -> None:
    assert node.ask(["grows 100"]) == ["MemoryError"]


@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_readings_agree_with_the_construct_object_and_allocate_nothing(name: str, node: Node) -> None:
    codec = Registry().load(name)
    frame, module = codec.device.frames[0], module_name(codec.device)
    compared = 0

    def expected(reading: tuple[int | None, ...]) -> str:
        values: dict[str, Any] = {}
        for field, each in zip(frame.fields, reading, strict=True):
            steps = None if each is None else Fraction(each * field.node.num, field.node.den)
            values[field.name] = None if steps is None else steps * field.num / field.den
        payload = codec.reference[frame.f_port].build(values)
        assert isinstance(payload, bytes)
        return payload.hex()

    @settings(max_examples=READINGS_EACH // BATCH, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(readings(codec), min_size=BATCH, max_size=BATCH))
    def compare(batch: list[tuple[int | None, ...]]) -> None:
        nonlocal compared
        answers = node.ask([" ".join([module, *map(str, reading)]) for reading in batch])
        assert answers == [expected(reading) for reading in batch]
        compared += len(batch)

    compare()
    assert compared >= READINGS_EACH


@pytest.mark.parametrize("name", NAMES)
def test_the_gateway_decodes_what_the_node_encodes(name: str, node: Node) -> None:
    codec = Registry().load(name)
    frame, module = codec.device.frames[0], module_name(codec.device)
    for pick in ("code_min", "code_max"):
        wanted = {field.name: field.value(getattr(field, pick)) for field in frame.fields}
        inputs = [(getattr(field, pick) + field.offset) * field.node.den for field in frame.fields]
        payload = bytes.fromhex(node.ask([" ".join([module, *map(str, inputs)])])[0])
        assert codec.decode(frame.f_port, payload).data == wanted
