"""The two sensors of the first nodes at the level of their wires, and the slow processes that they measure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final, NamedTuple

from siel_hil.world import Event, World

Process = Callable[[int], float]
"""A quantity as a function of virtual microseconds: the same at a time, whoever asked before."""
_TURN: Final = 2.0 * math.pi


def waves(rng: random.Random, mean: float, *parts: tuple[float, float]) -> Process:
    """Return ``mean`` plus a sine for each (amplitude, period in seconds), its phase drawn from ``rng``."""
    sines = [(amplitude, period_s * 1e6, rng.random() * _TURN) for amplitude, period_s in parts]
    return lambda t_us: mean + sum(a * math.sin(_TURN * t_us / period_us + phase) for a, period_us, phase in sines)


def tide(rng: random.Random) -> Process:
    """Return the distance in mm from a sensor on a pile down to tidal water with small waves."""
    return waves(rng, 2300.0, (1200.0, 44_714.0), (250.0, 43_200.0), (60.0, 6.1), (25.0, 3.7))


def air_temperature(rng: random.Random) -> Process:
    """Return an outdoor temperature in degC: weather, day, gusts."""
    return waves(rng, 9.0, (4.0, 371_000.0), (4.5, 86_400.0), (0.2, 431.0))


def air_humidity(rng: random.Random) -> Process:
    """Return an outdoor relative humidity in %."""
    return waves(rng, 74.0, (9.0, 290_000.0), (12.0, 86_400.0), (0.8, 523.0))


class Distance(NamedTuple):
    """What an ultrasonic sensor said last."""

    t_us: int
    distance_mm: int


class A02YYUW:
    """The ultrasonic distance sensor on a UART (``UartDevice``), itself the ``PinDevice`` of its supply.

    It sends a frame each 100 ms while it has power: FF, distance in mm high and low, sum of the three.

    Args:
        world: Where it lives.
        distance: True distance in mm over time.
        power: Whether it has power from the start.

    Source: DFRobot SEN0311 wiki: 9600 baud, 100 ms, 30 to 4500 mm. The time to the first frame is not given there.
    """

    PERIOD_US: Final = 100_000
    START_US: Final = 300_000
    RANGE_MM: Final = (30, 4500)

    def __init__(self, world: World, distance: Process, *, power: bool = False) -> None:
        self.world = world
        self.distance = distance
        self.send: Callable[[bytes], None] = lambda data: None
        self.spoil: Callable[[bytes], bytes] | None = None
        """A planted fault: turns a frame into what is sent, perhaps nothing."""
        self.last: Distance | None = None
        """What was sent last, before ``spoil``."""
        self.frames_sent = 0
        self._next: Event | None = None
        if power:
            self.level(world.now_us, 1)

    def level(self, t_us: int, value: int) -> None:
        """The supply is switched."""
        if value and self._next is None:
            self._next = self.world.at(t_us + self.START_US, self._emit)
        elif not value and self._next is not None:
            self._next.cancel()
            self._next = None

    def receive(self, t_us: int, data: bytes) -> None:
        """Its RX pin only chooses between quick and smoothed values; bytes mean nothing to it."""

    def _emit(self) -> None:
        now_us = self.world.now_us
        low, high = self.RANGE_MM
        distance_mm = min(max(round(self.distance(now_us)), low), high)
        frame = bytes((0xFF, distance_mm >> 8, distance_mm & 0xFF))
        frame += bytes((sum(frame) & 0xFF,))
        self.last = Distance(now_us, distance_mm)
        self.frames_sent += 1
        self._next = self.world.at(now_us + self.PERIOD_US, self._emit)
        if self.spoil is not None:
            frame = self.spoil(frame)
        if frame:
            self.send(frame)


class Climate(NamedTuple):
    """What a humidity sensor said last, as its ticks mean it."""

    t_us: int
    temperature_c: float
    humidity_percent: float


def crc8(data: bytes) -> int:
    """Return the checksum of a word. Source: Sensirion SHT4x datasheet 4.4: polynomial 0x31, start 0xFF."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31) & 0xFF if crc & 0x80 else crc << 1
    return crc


class Sht4x:
    """The temperature and humidity sensor on I2C (``I2cDevice``).

    Args:
        world: Where it lives.
        temperature: True temperature in degC over time.
        humidity: True relative humidity in % over time.
        serial: Its serial number, 32 bits.

    Source: Sensirion SHT4x datasheet, table 5 (maximum durations) and table 8 (commands).
    """

    ADDRESS: Final = 0x44
    MEASURE_US: Final = {0xFD: 8300, 0xF6: 4500, 0xE0: 1600}
    RESET_US: Final = 1000
    _RESET: Final = 0x94
    _SERIAL: Final = 0x89
    _TOP: Final = 0xFFFF

    def __init__(self, world: World, temperature: Process, humidity: Process, serial: int = 0x0F00BA12) -> None:
        self.world = world
        self.temperature = temperature
        self.humidity = humidity
        self.serial = serial
        self.spoil: Callable[[bytes], bytes | None] | None = None
        """A planted fault: turns an answer into what is read, None for a NACK."""
        self.last: Climate | None = None
        """What was read last, before ``spoil``."""
        self.measurements = 0
        self._busy_until_us = 0
        self._answer = b""
        self._measured: Climate | None = None

    def write(self, t_us: int, data: bytes) -> bool:
        """Take a command; NACK while it measures, and for what it does not know."""
        if t_us < self._busy_until_us:
            return False
        if not data:
            return True
        command = data[0]
        self._answer, self._measured = b"", None
        if command in self.MEASURE_US:
            self._measure(t_us)
            self._busy_until_us = t_us + self.MEASURE_US[command]
        elif command == self._SERIAL:
            self._answer = self._words(self.serial >> 16, self.serial & self._TOP)
        elif command == self._RESET:
            self._busy_until_us = t_us + self.RESET_US
        else:
            return False
        return True

    def read(self, t_us: int, n: int) -> bytes | None:
        """Answer once; NACK while it measures and when there is nothing to say."""
        if t_us < self._busy_until_us or not self._answer:
            return None
        answer, self._answer = self._answer, b""
        if self._measured is not None:
            self.last = self._measured
        return self.spoil(answer[:n]) if self.spoil is not None else answer[:n].ljust(n, b"\xff")

    def _measure(self, t_us: int) -> None:
        # datasheet 4.6: T = -45 + 175 * ticks / 65535 degC, RH = -6 + 125 * ticks / 65535 %
        top = self._TOP
        temperature = min(max(round((self.temperature(t_us) + 45) * top / 175), 0), top)
        humidity = min(max(round((min(max(self.humidity(t_us), 0.0), 100.0) + 6) * top / 125), 0), top)
        self._answer = self._words(temperature, humidity)
        self._measured = Climate(t_us, -45 + 175 * temperature / top, -6 + 125 * humidity / top)
        self.measurements += 1

    @staticmethod
    def _words(*words: int) -> bytes:
        parts = (word.to_bytes(2, "big") for word in words)
        return b"".join(part + bytes((crc8(part),)) for part in parts)
