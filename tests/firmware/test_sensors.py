"""Wire protocols of the sensors."""

from __future__ import annotations

import statistics
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_node.sensors import a02yyuw, sht4x
from siel_node.sensors.battery import Battery


def frame(distance_mm: int) -> bytes:
    head = bytes((0xFF, distance_mm >> 8, distance_mm & 0xFF))
    return head + bytes((sum(head) & 0xFF,))


def parsed(data: bytes) -> list[int]:
    parser = a02yyuw.Parser()
    return [found for found in map(parser.feed, data) if found >= 0]


in_range = st.integers(a02yyuw.MIN_MM, a02yyuw.MAX_MM)


def test_the_example_of_the_data_sheet() -> None:
    assert frame(1953) == bytes.fromhex("ff07a1a7")
    assert parsed(bytes.fromhex("ff07a1a7")) == [1953]


@given(st.lists(in_range, max_size=20))
def test_a_clean_stream_gives_every_frame(values: list[int]) -> None:
    assert parsed(b"".join(map(frame, values))) == values


@given(st.integers(0, 3), in_range, st.integers(2, 6))
def test_a_stream_that_starts_anywhere_in_a_frame_gives_every_whole_one(start: int, value: int, count: int) -> None:
    found = parsed((frame(value) * count)[start:])
    assert found == [value] * (count if start == 0 else count - 1)


@given(st.binary(max_size=40), in_range)
def test_after_any_garbage_the_parser_is_back_within_two_frames(garbage: bytes, value: int) -> None:
    found = parsed(garbage + frame(value) * 4)
    assert found[-2:] == [value, value]


@given(st.lists(in_range, min_size=6, max_size=6), st.integers(0, 23), st.sampled_from(["lost", "gained", "changed"]))
def test_one_byte_lost_gained_or_changed_costs_a_frame_or_two(values: list[int], at: int, fault: str) -> None:
    stream = bytearray(b"".join(map(frame, values)))
    if fault == "lost":
        del stream[at]
    elif fault == "gained":
        stream.insert(at, 0xFF)
    else:
        stream[at] ^= 0x55
    found = parsed(bytes(stream))
    assert len([value for value in values if value in found]) >= 4


@given(st.binary(max_size=200))
def test_no_bytes_give_a_distance_out_of_range(data: bytes) -> None:
    assert all(a02yyuw.MIN_MM <= found <= a02yyuw.MAX_MM for found in parsed(data))


@pytest.mark.parametrize(
    ("value", "accepted"), [(29, False), (30, True), (4500, True), (4501, False), (0, False), (0xFFFF, False)]
)
def test_the_range_of_the_sensor(value: int, accepted: bool) -> None:
    assert bool(parsed(frame(value))) is accepted


class Line:
    """A UART, its waiter and the time that passes while one waits."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.now_ms = 0
        self.power: list[tuple[int, int]] = []

    def read(self) -> bytes | None:
        return self.chunks.pop(0) if self.chunks else None

    def wait(self, timeout_ms: int) -> bool:
        self.now_ms += 150 if self.chunks else timeout_ms
        return bool(self.chunks)

    def sleep_ms(self, ms: int) -> None:
        self.now_ms += ms

    def ticks_ms(self) -> int:
        return self.now_ms

    def set_power(self, value: int) -> None:
        self.power.append((self.now_ms, value))


def measure(monkeypatch: pytest.MonkeyPatch, chunks: list[bytes]) -> tuple[dict[str, int], Line]:
    line = Line(chunks)
    monkeypatch.setattr(a02yyuw, "sleep_ms", line.sleep_ms)
    monkeypatch.setattr(a02yyuw, "ticks_ms", line.ticks_ms)
    readings: dict[str, int] = {}
    a02yyuw.A02yyuw(line, line.set_power, line).read(readings)
    return readings, line


def test_distance_is_the_median_of_three_good_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [1200, 4400, 1210]
    chunks = [b"warm-up"] + [frame(value)[i : i + 2] for value in values for i in (0, 2)]
    readings, line = measure(monkeypatch, chunks)
    assert readings == {"distance_mm": statistics.median(values)}
    assert line.power == [(0, 1), (line.now_ms, 0)]


def test_what_comes_while_the_sensor_warms_up_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    readings, _ = measure(monkeypatch, [frame(31), frame(900), frame(900), frame(900)])
    assert readings == {"distance_mm": 900}


@pytest.mark.parametrize("chunks", [[], [b"", b"\xff" * 50], [b"", frame(100), frame(100)]])
def test_a_silent_or_mad_sensor_is_given_up_and_switched_off(
    monkeypatch: pytest.MonkeyPatch, chunks: list[bytes]
) -> None:
    readings, line = measure(monkeypatch, list(chunks))
    assert readings == {}
    assert line.power[-1][1] == 0
    assert line.now_ms <= 3000


# --- SHT4x --------------------------------------------------------------------------------------------------------


def word(value: int) -> bytes:
    data = value.to_bytes(2, "big")
    return data + bytes((sht4x.crc8(data),))


def test_the_checksum_example_of_the_data_sheet() -> None:
    assert sht4x.crc8(b"\xbe\xef") == 0x92


def rounded(value: Fraction) -> int:
    sign = -1 if value < 0 else 1
    return sign * int(abs(value) + Fraction(1, 2))


@given(st.integers(0, 0xFFFF))
def test_conversion_is_exact_and_rounds_half_away_from_zero(raw: int) -> None:
    assert sht4x.temperature_centi(raw) == rounded(100 * (-45 + Fraction(175 * raw, 65535)))
    assert sht4x.humidity_centi(raw) == min(10000, max(0, rounded(100 * (-6 + Fraction(125 * raw, 65535)))))


def checked(name: str) -> Any:
    def operation(self: int, other: int) -> int:
        result = getattr(int, name)(self, other)
        assert -(1 << 30) <= result < 1 << 30, f"a 32-bit MicroPython allocates {result}"
        return SmallInt(result)

    return operation


class SmallInt(int):
    __add__, __sub__, __rsub__, __rmul__ = map(checked, ("__add__", "__sub__", "__rsub__", "__rmul__"))


@pytest.mark.parametrize("raw", [0, 0x8000, 0xFFFF])
def test_conversion_stays_in_small_integers(raw: int) -> None:
    assert sht4x.temperature_centi(SmallInt(raw)) == sht4x.temperature_centi(raw)
    assert sht4x.humidity_centi(SmallInt(raw)) == sht4x.humidity_centi(raw)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 47))
def test_any_flipped_bit_is_seen(first: int, second: int, bit: int) -> None:
    data = bytearray(word(first) + word(second))
    assert sht4x.words(data) == (first, second)
    data[bit // 8] ^= 1 << bit % 8
    assert sht4x.words(data) is None


class Bus:
    """An I2C bus whose device answers what it is told to."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.written: list[tuple[int, bytes]] = []

    def writeto(self, address: int, data: bytes) -> None:
        self.written.append((address, data))
        if self.answers[0] is None:
            self.answers.pop(0)
            raise OSError(5)

    def readfrom_into(self, address: int, buf: bytearray) -> None:
        buf[:] = self.answers.pop(0) or b""


def test_a_measurement() -> None:
    bus = Bus(word(0x6666) + word(0x6666))
    readings: dict[str, int] = {}
    sht4x.Sht4x(bus).read(readings)
    assert readings == {"temperature_centi": 2500, "humidity_centi": 4400}
    assert bus.written == [(0x44, b"\xfd")]


def test_one_bad_answer_is_asked_again() -> None:
    bus = Bus(b"\x66\x66\x00\x66\x66\x93", word(0x6666) + word(0x6666))
    readings: dict[str, int] = {}
    sht4x.Sht4x(bus).read(readings)
    assert readings["temperature_centi"] == 2500


@pytest.mark.parametrize("answers", [(None, None), (bytes(6), bytes(6)), (None, bytes(6))])
def test_a_sensor_that_does_not_answer_properly_is_not_available(answers: tuple[bytes | None, ...]) -> None:
    readings: dict[str, int] = {}
    sht4x.Sht4x(Bus(*answers)).read(readings)
    assert readings == {}
    assert sht4x.Sht4x(Bus(*answers)).serial() == -1


def test_the_serial_number() -> None:
    bus = Bus(word(0x0F12) + word(0x3456))
    assert sht4x.Sht4x(bus, 0x45).serial() == 0x0F123456
    assert bus.written == [(0x45, b"\x89")]


class Converter:
    def __init__(self, value: int) -> None:
        self.value = value

    def read_u16(self) -> int:
        return self.value


@pytest.mark.parametrize(("value", "millivolt"), [(0, 0), (65535, 9900), (24000, 3626)])
def test_the_battery(value: int, millivolt: int) -> None:
    readings: dict[str, int] = {}
    Battery(Converter(value), 9900).read(readings)
    assert readings == {"battery_mv": millivolt}
