"""Physics against numbers from outside: datasheet airtimes, sensitivities, published path-loss laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_hil.medium_physics import (
    DORTMUND,
    LORASIM,
    NS3,
    OULU,
    SNR_FLOOR_DB,
    airtime_us,
    needs_ldro,
    noise_dbm,
    total_dbm,
)
from siel_node.lora import airtime_us as firmware_airtime_us

# (SF, bandwidth, coding rate, bytes, CRC) -> ms. Source: Semtech's formula, as LoRaSim and ns-3 give it too.
AIRTIMES = [
    (7, 125_000, 5, 13, True, 46.336),
    (7, 125_000, 5, 20, True, 56.576),
    (7, 125_000, 5, 23, True, 61.696),
    (7, 125_000, 5, 222, True, 348.416),
    (9, 125_000, 5, 23, True, 205.824),
    (10, 125_000, 5, 23, True, 370.688),
    (11, 125_000, 5, 23, True, 823.296),
    (12, 125_000, 5, 12, True, 1155.072),
    (12, 125_000, 5, 20, True, 1318.912),
    (12, 125_000, 5, 23, True, 1482.752),
    (12, 125_000, 5, 51, True, 2465.792),
    (12, 125_000, 8, 20, True, 1712.128),
    (7, 250_000, 5, 20, True, 28.288),
    (8, 500_000, 5, 33, False, 33.408),
    (5, 125_000, 5, 20, True, 17.216),
    (6, 125_000, 5, 20, True, 31.872),
]


@pytest.mark.parametrize(("sf", "bandwidth_hz", "cr", "length", "crc", "ms"), AIRTIMES)
def test_airtime_as_published(sf: int, bandwidth_hz: int, cr: int, length: int, crc: bool, ms: float) -> None:
    assert airtime_us(sf, bandwidth_hz, length, crc=crc, coding_rate=cr) == round(ms * 1000)


def test_an_implicit_header_saves_its_bits() -> None:
    assert airtime_us(7, 500_000, 20, implicit=True) < airtime_us(7, 500_000, 20)


@given(
    st.integers(5, 12),
    st.sampled_from([125_000, 250_000, 500_000]),
    st.integers(0, 255),
    st.booleans(),
    st.integers(5, 8),
    st.integers(6, 20),
    st.booleans(),
)
def test_the_harness_and_the_firmware_count_the_same(
    sf: int, bandwidth_hz: int, length: int, crc: bool, cr: int, preamble: int, implicit: bool
) -> None:
    ours = airtime_us(sf, bandwidth_hz, length, crc=crc, coding_rate=cr, preamble=preamble, implicit=implicit)
    theirs = firmware_airtime_us(sf, bandwidth_hz, length, crc, cr, preamble, implicit)
    assert ours == theirs


def test_ldro_belongs_to_sf11_and_sf12_at_125_khz_and_sf12_at_250() -> None:
    wanted = {(sf, hz) for sf in range(5, 13) for hz in (125_000, 250_000, 500_000) if needs_ldro(sf, hz)}
    assert wanted == {(11, 125_000), (12, 125_000), (12, 250_000)}


def test_ldro_set_against_the_rule_changes_the_airtime() -> None:
    assert airtime_us(12, 125_000, 51, ldro=False) < airtime_us(12, 125_000, 51)


@pytest.mark.parametrize(("sf", "dbm"), [(7, -124), (8, -127), (9, -130), (10, -133), (11, -135), (12, -137)])
def test_noise_and_floor_give_the_sensitivity_of_the_datasheet(sf: int, dbm: int) -> None:
    # Source: SX1261/2 datasheet table 3-8, 125 kHz
    assert noise_dbm(125_000) + SNR_FLOOR_DB[sf] == pytest.approx(dbm, abs=1.1)


def test_path_loss_laws_at_their_references() -> None:
    assert OULU.at(1000) == pytest.approx(128.95)
    assert OULU.at(10_000) == pytest.approx(128.95 + 23.2)
    assert LORASIM.at(40) == pytest.approx(127.41)
    assert NS3.at(10) == pytest.approx(7.7 + 37.6)
    assert DORTMUND.at(2000) == pytest.approx(132.25 + 26.5 * 0.30103, abs=1e-3)


def test_path_loss_is_clamped_near_the_antenna() -> None:
    assert OULU.at(0.0) == OULU.at(OULU.clamp_m)
    assert OULU.at(OULU.clamp_m * 1.01) > OULU.at(OULU.clamp_m)


def test_two_equal_powers_make_three_db_more() -> None:
    assert total_dbm(-100, -100) == pytest.approx(-96.99, abs=0.01)
