"""Frames that no device sends, and what must hold for whatever a codec makes of them."""

from __future__ import annotations

import math
import random
from typing import Any

from siel_codecs.codec import Decoded, SchemaCodec
from siel_codecs.schema.below import leaves, static_bytes
from siel_codecs.schema.model import CHANNEL, Choice, Constant, Device, Number


def seeds(device: Device) -> list[tuple[str, int, bytes]]:
    """Direction, port and bytes of frames to begin with: the examples, and one of each message."""
    found: list[tuple[str, int, bytes]] = [(each.direction, each.f_port, each.payload) for each in device.examples]
    for port in device.ports:
        for message in port.messages:
            first = message.items[0]
            head = b""
            if isinstance(first, Constant):
                head = (first.code << -first.bits % 8).to_bytes((first.bits + 7) // 8, "big")
            whole = head.ljust(static_bytes(message) or 24, b"\x55")
            found.append((port.direction, port.f_ports[0] if port.f_ports else 1, whole))
    return found


def frame(rnd: random.Random, sound: bytes) -> bytes:
    """Noise of 0 to 255 bytes, or a frame that is cut, lengthened or changed."""
    how = rnd.randrange(8)
    if how == 0:
        return rnd.randbytes(rnd.randrange(256))
    if how == 1:
        return sound[: rnd.randrange(len(sound) + 1)]
    if how == 2:
        return sound + rnd.randbytes(rnd.randrange(32))
    if how == 3:
        return sound[: rnd.randrange(len(sound) + 1)] + rnd.randbytes(rnd.randrange(32))
    changed = bytearray(sound)
    for _ in range(rnd.randrange(1, 4)):
        if changed:
            changed[rnd.randrange(len(changed))] = rnd.choice((0, 0xFF, 0x80, 0x7F, rnd.randrange(256)))
    return bytes(changed)


class Ranges:
    """What the values of a device may be, by the names in its schema."""

    def __init__(self, device: Device) -> None:
        self.numbers: dict[str, tuple[float, float]] = {}
        self.meanings: dict[str, set[Any]] = {}
        for port in device.ports:
            for message in port.messages:
                for leaf in leaves(message.items):
                    if isinstance(leaf, Number):
                        low, high = leaf.value(leaf.code_min), leaf.value(leaf.code_max)
                        before = self.numbers.get(leaf.name, (low, high))
                        self.numbers[leaf.name] = min(low, before[0]), max(high, before[1])
                    elif isinstance(leaf, Choice):
                        self.meanings.setdefault(leaf.name, set()).update(value for _, value in leaf.meanings)
        self.channels = [name.partition(CHANNEL) for name in {*self.numbers, *self.meanings} if CHANNEL in name]

    def check(self, decoded: Decoded) -> None:
        """Assert that it has the shape of a result and holds no impossible value."""
        if decoded.errors:
            assert len(decoded.errors) == 1
            assert (decoded.data, decoded.warnings, decoded.samples) == ({}, [], [])
            return
        assert decoded.samples
        self.check_data(decoded.data)
        for sample in decoded.samples:
            if sample.data is not decoded.data:
                self.check_data(sample.data)

    def check_data(self, data: dict[str, Any]) -> None:
        for name, value in data.items():
            for each in value if isinstance(value, list) else (value,):
                if each is not None:
                    self.check_value(self.template(name), each)

    def check_value(self, name: str, value: Any) -> None:
        if isinstance(value, bool | str):
            assert name not in self.numbers or name in self.meanings, name
            assert name not in self.meanings or value in self.meanings[name], (name, value)
            return
        assert isinstance(value, int) or math.isfinite(value)
        low, high = self.numbers[name]
        assert low <= value <= high, (name, value)

    def template(self, name: str) -> str:
        if name not in self.numbers and name not in self.meanings:
            for before, channel, after in self.channels:
                if name.startswith(before) and name.endswith(after):
                    middle = name[len(before) : len(name) - len(after)]
                    if middle.isdigit():
                        return before + channel + after
        return name


def fuzz(codec: SchemaCodec, frames: int, seed: int) -> int:
    """Decode so many frames, half of them on the device's own ports; return how many said something.

    Nothing may be raised, and no value may be impossible.
    """
    rnd = random.Random(seed)
    begin = seeds(codec.device)
    ranges = Ranges(codec.device)
    said = 0
    for _ in range(frames):
        direction, f_port, sound = begin[int(rnd.random() * len(begin))]
        payload = frame(rnd, sound)
        if rnd.random() < 1 / 64:
            f_port = rnd.randrange(256)
        decoded = codec.decode(f_port, payload, 0) if direction == "up" else codec.decode_downlink(f_port, payload)
        ranges.check(decoded)
        said += not decoded.errors
    return said
