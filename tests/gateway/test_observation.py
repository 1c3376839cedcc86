from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.codec import Decoded, Sample, failed
from siel_gateway.observation import MAX_SAMPLES, has_payload, observation_id, observe, rfc3339
from siel_gateway.records import Observation, RxFrame, Uplink

MS = 1_767_225_600_123


def uplink(**fields: Any) -> Uplink:
    frame = RxFrame(
        radio="west",
        gateway_eui="0016c001f1500812",
        radio_session=1,
        counter_us=5,
        gateway_us=6,
        received_ms=MS,
        clock="ntp",
        frequency_hz=868_100_000,
        spreading_factor=7,
        bandwidth_hz=125_000,
        rssi_dbm=-110,
        snr_db=-3.25,
        crc="ok",
        phy_payload=b"@phy",
    )
    values: dict[str, Any] = {"f_port": 2, "payload": b"\x01", "confirmed": False} | fields
    return Uplink(frame=frame, dev_eui="70b3d57ed0000101", dev_addr=0x02000001, f_cnt=70_000, **values)


def observed(decoded: Decoded, received_ms: int = MS + 250, **fields: Any) -> list[Observation]:
    return observe(
        uplink(**fields),
        decoded,
        device="pond",
        codec="test/canned",
        gateway_id="0016c001f1500812",
        received_ms=received_ms,
    )


def one_sample(data: dict[str, Any], time_ms: int | None = None, warnings: list[str] | None = None) -> Decoded:
    return Decoded(data, {"level": "m", "battery": "V"}, warnings or [], [], [Sample(data, time_ms, 0, warnings or [])])


def test_observation_says_what_the_contract_wants() -> None:
    (observation,) = observed(one_sample({"level": 1.234}, warnings=["battery: not available"]))
    identity = hashlib.sha256(bytes.fromhex("70b3d57ed0000101") + b"@phy" + b"\0").hexdigest()[:32]
    assert observation == Observation(
        id=identity,
        time="2026-01-01T00:00:00.123Z",
        received="2026-01-01T00:00:00.373Z",
        clock="ntp",
        late_s=0.25,
        dev_eui="70b3d57ed0000101",
        device="pond",
        codec="test/canned",
        f_port=2,
        f_cnt=70_000,
        data={"level": 1.234},
        units={"level": "m"},
        warnings=["battery: not available"],
        radio={
            "gateway": "0016c001f1500812",
            "radio": "west",
            "rssi_dbm": -110,
            "snr_db": -3.25,
            "frequency_hz": 868_100_000,
            "spreading_factor": 7,
            "bandwidth_hz": 125_000,
        },
    )


def test_each_sample_is_an_observation_with_its_own_time_and_id() -> None:
    samples = [Sample({"level": 1}, MS), Sample({"level": 2}, MS - 60_000)]
    first, second = observed(Decoded({"level": 1}, {}, [], [], samples))
    assert (first.late_s, second.late_s) == (0.25, 60.25)
    assert second.time == "2025-12-31T23:59:00.123Z"
    assert first.id != second.id == observation_id("70b3d57ed0000101", b"@phy", 1)


def test_no_more_samples_than_the_id_can_number() -> None:
    samples = [Sample({"level": number}, None) for number in range(MAX_SAMPLES + 1)]
    assert len({observation.id for observation in observed(Decoded({}, {}, [], [], samples))}) == MAX_SAMPLES


def test_clock_that_stepped_back_makes_nothing_early() -> None:
    (observation,) = observed(one_sample({"level": 1}), received_ms=MS - 1)
    assert observation.late_s == 0


@pytest.mark.parametrize("fields", [{"f_port": None}, {"f_port": 0}, {"payload": b""}])
def test_a_frame_may_have_no_application_payload(fields: dict[str, Any]) -> None:
    assert not has_payload(uplink(**fields))
    assert has_payload(uplink())


def test_payload_the_codec_refuses_makes_none() -> None:
    assert observed(failed("too short")) == []


def test_each_sample_has_its_own_warnings() -> None:
    samples = [Sample({"level": 1}, MS, 0, ["battery: not available"]), Sample({}, MS, None, ["level: not available"])]
    warnings = ["battery: not available", "sample 1: level: not available"]
    first, second = observed(Decoded({"level": 1}, {}, warnings, [], samples))
    assert first.warnings == ["battery: not available"]
    assert second.warnings == ["level: not available"]


def test_null_is_absent_and_has_a_warning() -> None:
    (observation,) = observed(one_sample({"level": None, "battery": 3.6}, warnings=["w"]))
    assert observation.data == {"battery": 3.6}
    assert observation.units == {"battery": "V"}
    assert observation.warnings == ["w", "level: null"]


def test_reading_without_any_value_is_still_an_observation_with_its_warnings() -> None:
    (observation,) = observed(one_sample({}, warnings=["level: not available"]))
    assert (observation.data, observation.units) == ({}, {})


@given(st.integers(0, 4_102_444_799_999))
def test_rfc3339_is_utc_with_milliseconds(utc_ms: int) -> None:
    text = rfc3339(utc_ms)
    assert text.endswith("Z")
    assert len(text) == len("2026-01-01T00:00:00.000Z")
    parsed = datetime.fromisoformat(text)
    assert parsed.tzinfo == UTC
    assert round(parsed.timestamp() * 1000) == utc_ms
