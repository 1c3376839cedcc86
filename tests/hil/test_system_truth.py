"""From the sensor's wire to the Observation: what was measured is what is published, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from siel_codecs.lorawan import DataFrame, parse_phy
from siel_hil.models.sensors import A02YYUW, Climate, Sht4x
from siel_hil.testbed import Testbed

Make = Callable[..., Any]


def f_cnt(payload: bytes) -> int:
    frame = parse_phy(payload)
    assert isinstance(frame, DataFrame)
    return frame.f_cnt


def at_each_uplink(testbed: Testbed, look: Callable[[], Any]) -> dict[int, Any]:
    """FCnt -> what ``look`` saw when that uplink began."""
    seen: dict[int, Any] = {}

    def follow(event: str, info: dict[str, Any]) -> None:
        if event == "transmit" and info["kind"] == "data":
            seen[f_cnt(info["payload"])] = look()

    testbed.medium.on_event.append(follow)
    return seen


def test_the_distance_is_the_median_of_the_last_three_frames_of_the_sensor(testbed: Testbed, node: Make) -> None:
    sensor = node("water_level").sensor
    assert isinstance(sensor, A02YYUW)
    sent: list[int] = []

    def tap(frame: bytes) -> bytes:
        sent.append(frame[1] << 8 | frame[2])
        return frame

    sensor.spoil = tap
    measured = at_each_uplink(testbed, lambda: sorted(sent[-3:])[1])
    testbed.gateway()
    testbed.play(lambda: len(testbed.observations) >= 5)
    published = {observation.f_cnt: observation.data["distance"] for observation in testbed.observations}
    assert published == {number: measured[number] for number in published}
    assert len(set(published.values())) > 1  # the water moves: these are not one reading told five times


def test_temperature_and_humidity_are_what_the_sensor_said_within_its_digits(testbed: Testbed, node: Make) -> None:
    sensor = node("climate").sensor
    assert isinstance(sensor, Sht4x)
    said = at_each_uplink(testbed, lambda: sensor.last)
    testbed.gateway()
    testbed.play(lambda: len(testbed.observations) >= 5)
    for observation in testbed.observations:
        last: Climate = said[observation.f_cnt]
        assert observation.data["temperature"] == pytest.approx(last.temperature_c, abs=0.005001)
        assert observation.data["humidity"] == pytest.approx(last.humidity_percent, abs=0.005001)
        assert observation.units == {"temperature": "°C", "humidity": "%"}
    assert len({observation.data["temperature"] for observation in testbed.observations}) > 1


def test_each_reading_is_published_once_and_names_its_device(testbed: Testbed, node: Make) -> None:
    nodes = [node("water_level"), node("climate"), node("water_level", distance_m=900.0)]
    testbed.gateway()
    testbed.play(lambda: len(testbed.observations) >= 12)
    on_air = {(tx.station, f_cnt(tx.payload)) for tx in testbed.sent(kind="data") if tx.verdict == "received"}
    published = [(observation.device, observation.f_cnt) for observation in testbed.observations]
    assert len(published) == len(set(published))
    assert set(published) <= on_air
    assert {observation.dev_eui for observation in testbed.observations} == {site.plan.dev_eui for site in nodes}
    assert len({observation.id for observation in testbed.observations}) == len(published)


SPOILT: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "bad checksum on UART": ("water_level", lambda frame: frame[:3] + bytes((frame[3] ^ 1,))),
    "half frames on UART": ("water_level", lambda frame: frame[:3]),
    "silence on UART": ("water_level", lambda frame: b""),
    "no echo": ("water_level", lambda frame: bytes((0xFF, 0, 0, 0xFF))),
    "NACK on I2C": ("climate", lambda answer: None),
    "bad CRC of the temperature": ("climate", lambda answer: answer[:2] + bytes((answer[2] ^ 1,)) + answer[3:]),
    "bad CRC of the humidity": ("climate", lambda answer: answer[:5] + bytes((answer[5] ^ 1,))),
}
FIELDS = {"water_level": ["distance"], "climate": ["temperature", "humidity"]}


def all_absent(testbed: Testbed, template: str) -> None:
    for observation in testbed.observations:
        assert observation.data == {}
        assert observation.warnings == [f"{name}: not available" for name in (*FIELDS[template], "battery")]


@pytest.mark.parametrize("fault", SPOILT)
def test_what_the_sensor_does_not_say_properly_is_absent_with_a_warning(
    testbed: Testbed, node: Make, fault: str
) -> None:
    template, spoil = SPOILT[fault]
    node(template).sensor.spoil = spoil
    testbed.gateway()
    testbed.play(lambda: len(testbed.observations) >= 2)
    all_absent(testbed, template)


@pytest.mark.parametrize("template", FIELDS)
def test_a_sensor_that_is_not_fitted_is_absent_with_a_warning(testbed: Testbed, node: Make, template: str) -> None:
    node(template, fitted=False)
    testbed.gateway()
    testbed.play(lambda: len(testbed.observations) >= 2)
    all_absent(testbed, template)


def test_a_sensor_that_recovers_is_there_again(testbed: Testbed, node: Make) -> None:
    site = node("climate")
    site.sensor.spoil = lambda answer: None
    testbed.gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) == 1)
        site.sensor.spoil = None
        await testbed.until(lambda: len(testbed.observations) == 2)

    testbed.run(story)
    assert [set(observation.data) for observation in testbed.observations] == [set(), {"temperature", "humidity"}]


def test_a_sensor_that_never_stops_talking_disturbs_nothing(testbed: Testbed, node: Make) -> None:
    """Its supply cannot be switched: stale bytes wait in the UART whenever the node wakes."""
    site = node("water_level", confirmed=1)
    switch = site.sensor.level
    site.sensor.level = lambda t_us, value: switch(t_us, 1)
    testbed.gateway()
    testbed.play(lambda: len(testbed.observations) >= 4)
    assert all("distance" in observation.data for observation in testbed.observations)
    said = [line for line in site.lines if "acknowledged=True" in line]
    assert len(said) >= 3
