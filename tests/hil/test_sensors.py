"""The sensor models on their wires."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_hil.models.sensors import A02YYUW, Sht4x, air_humidity, air_temperature, crc8, tide, waves
from siel_hil.world import World


def _wired(distance_mm: float = 1953.0) -> tuple[World, A02YYUW, list[tuple[int, bytes]]]:
    world = World(1)
    sensor = A02YYUW(world, lambda t_us: distance_mm)
    frames: list[tuple[int, bytes]] = []
    sensor.send = lambda data: frames.append((world.now_us, data))
    return world, sensor, frames


# --- A02YYUW --------------------------------------------------------------------------------------------------


def test_a_frame_is_the_one_of_the_manufacturer() -> None:
    # Source: DFRobot wiki SEN0311: FF 07 A1 A7 is 1953 mm
    world, sensor, frames = _wired(1953.4)
    sensor.level(0, 1)
    world.run(300_000)
    assert frames == [(300_000, bytes.fromhex("ff07a1a7"))]
    assert sensor.last == (300_000, 1953)


def test_it_speaks_each_100_ms_and_only_with_power() -> None:
    world, sensor, frames = _wired()
    world.run(1_000_000)
    assert frames == []
    sensor.level(world.now_us, 1)
    sensor.level(world.now_us, 1)
    world.run(1_555_000)
    assert [t_us for t_us, _frame in frames] == [1_300_000, 1_400_000, 1_500_000]
    sensor.level(world.now_us, 0)
    world.run(3_000_000)
    assert len(frames) == 3
    sensor.level(world.now_us, 1)
    world.run(3_300_000)
    assert frames[-1][0] == 3_300_000


def test_power_from_the_start() -> None:
    world = World(1)
    sensor = A02YYUW(world, lambda t_us: 100.0, power=True)
    world.run(1_000_000)
    assert sensor.frames_sent == 8


@given(st.floats(-1e5, 1e5))
def test_any_distance_stays_within_the_range_and_the_sum_is_right(distance_mm: float) -> None:
    world, sensor, frames = _wired(distance_mm)
    sensor.level(0, 1)
    world.run(300_000)
    frame = frames[0][1]
    assert 30 <= frame[1] << 8 | frame[2] <= 4500
    assert frame[3] == sum(frame[:3]) & 0xFF


def test_a_planted_fault_reaches_the_wire_and_the_truth_stays_known() -> None:
    world, sensor, frames = _wired()
    sensor.spoil = lambda frame: frame[:2]
    sensor.level(0, 1)
    world.run(300_000)
    sensor.spoil = lambda frame: b""
    world.run(400_000)
    assert [frame for _t, frame in frames] == [b"\xff\x07"]
    assert sensor.last == (400_000, 1953)


# --- SHT4x ----------------------------------------------------------------------------------------------------


def _sht(temperature_c: float = 21.5, humidity: float = 48.0) -> tuple[World, Sht4x]:
    world = World(1)
    return world, Sht4x(world, lambda t_us: temperature_c, lambda t_us: humidity)


def test_the_checksum_is_the_one_of_the_datasheet() -> None:
    # Source: SHT4x datasheet 4.4: CRC(0xBEEF) = 0x92
    assert crc8(b"\xbe\xef") == 0x92


@pytest.mark.parametrize(("command", "duration_us"), [(0xFD, 8300), (0xF6, 4500), (0xE0, 1600)])
def test_reading_before_the_measurement_is_done_is_refused(command: int, duration_us: int) -> None:
    _world, sensor = _sht()
    assert sensor.write(0, bytes((command,)))
    assert sensor.read(duration_us - 1, 6) is None
    assert not sensor.write(duration_us - 1, b"\x89")
    answer = sensor.read(duration_us, 6)
    assert answer is not None
    assert (crc8(answer[:2]), crc8(answer[3:5])) == (answer[2], answer[5])
    assert -45 + 175 * int.from_bytes(answer[:2], "big") / 65535 == pytest.approx(21.5, abs=0.002)
    assert -6 + 125 * int.from_bytes(answer[3:5], "big") / 65535 == pytest.approx(48.0, abs=0.002)
    assert sensor.last is not None
    assert sensor.last.temperature_c == pytest.approx(21.5, abs=0.002)
    assert sensor.last.humidity_percent == pytest.approx(48.0, abs=0.002)


def test_an_answer_is_given_once() -> None:
    _world, sensor = _sht()
    sensor.write(0, b"\xfd")
    assert sensor.read(10_000, 6) is not None
    assert sensor.read(10_001, 6) is None


def test_the_serial_number_comes_at_once() -> None:
    _world, sensor = _sht()
    sensor.write(0, b"\x89")
    answer = sensor.read(1, 6)
    assert answer is not None
    assert answer[:2] + answer[3:5] == sensor.serial.to_bytes(4, "big")


def test_a_reset_takes_a_millisecond_and_forgets_the_measurement() -> None:
    _world, sensor = _sht()
    sensor.write(0, b"\xfd")
    sensor.write(10_000, b"\x94")
    assert not sensor.write(10_999, b"\xfd")
    assert sensor.read(11_000, 6) is None
    assert sensor.write(11_000, b"\xfd")


def test_what_it_does_not_know_it_refuses_and_it_answers_a_bare_address() -> None:
    _world, sensor = _sht()
    assert not sensor.write(0, b"\x00")
    assert sensor.write(0, b"")
    assert sensor.read(0, 6) is None


@given(st.floats(-200, 300), st.floats(-50, 200))
def test_values_beyond_its_range_saturate(temperature_c: float, humidity: float) -> None:
    _world, sensor = _sht(temperature_c, humidity)
    sensor.write(0, b"\xfd")
    assert sensor.read(10_000, 6) is not None
    assert sensor.last is not None
    assert -45 <= sensor.last.temperature_c <= 130
    assert -0.01 <= sensor.last.humidity_percent <= 100.01


def test_a_planted_fault_on_the_bus() -> None:
    _world, sensor = _sht()
    sensor.spoil = lambda answer: answer[:-1] + b"\0"
    sensor.write(0, b"\xfd")
    answer = sensor.read(10_000, 6)
    assert answer is not None
    assert answer[5] != crc8(answer[3:5])


@given(st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=3), st.integers(0, 8))))
def test_no_traffic_breaks_it(traffic: list[tuple[int, bytes, int]]) -> None:
    _world, sensor = _sht()
    t_us = 0
    for pause_us, data, n in traffic:
        t_us += pause_us
        sensor.write(t_us, data)
        answer = sensor.read(t_us + pause_us, n)
        assert answer is None or len(answer) == n


# --- what they measure ----------------------------------------------------------------------------------------


def test_a_process_is_a_function_of_time_and_of_the_seed() -> None:
    for make in (tide, air_temperature, air_humidity):
        one, same, other = (make(random.Random(seed)) for seed in (1, 1, 2))
        times = [7_000_000, 0, 90_000_000, 7_000_000]
        assert [one(t) for t in times] == [same(t) for t in times]
        assert one(0) != other(0)


def test_the_tide_moves_metres_in_six_hours_and_fits_the_sensor() -> None:
    process = tide(random.Random(3))
    heights = [process(hour * 3_600_000_000) for hour in range(100)]
    assert max(heights) - min(heights) > 1000
    assert 30 < min(heights) < max(heights) < 4500


def test_waves_without_parts_are_flat() -> None:
    assert waves(random.Random(1), 5.0)(123) == 5.0
