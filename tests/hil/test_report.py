"""The report's figures and what is expected of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from siel_hil.errors import ScenarioError
from siel_hil.report import Report
from siel_hil.scenario import Expect

CONTRACT = (
    "seed",
    "event_hash",
    "virtual_s",
    "wall_s",
    "nodes",
    "joined",
    "uplinks_sent",
    "uplinks_received",
    "uplinks_on_air_lost",
    "in_flight_at_end",
    "frames_received",
    "frames_forwarded",
    "observations",
    "observations_published",
    "downlinks_requested",
    "downlinks_on_air",
    "downlinks_received",
    "duty_cycle_violations",
    "errata_violations",
    "per_node",
)


def a_report() -> Report:
    return Report(
        seed=1,
        event_hash="00",
        virtual_s=60.0,
        wall_s=1.0,
        nodes=2,
        joined=2,
        uplinks_sent=100,
        uplinks_received=90,
        uplinks_on_air_lost={"collision": 6, "below_floor": 2},
        in_flight_at_end=1,
        frames_received=92,
        frames_forwarded=91,
        observations=90,
        observations_published=88,
        downlinks_requested=2,
        downlinks_on_air=2,
        downlinks_received=2,
        duty_cycle_violations=0,
        errata_violations=0,
    )


def test_every_name_of_the_contract_is_in_the_document() -> None:
    document = json.loads(a_report().to_json())
    assert set(CONTRACT) <= set(document)


@pytest.mark.parametrize(
    ("metric", "value"),
    [("joined", 2), ("lost", 8), ("lost_share", 0.08), ("unaccounted", 1), ("unpublished", 2), ("unforwarded", 1)],
)
def test_a_figure_is_found_by_its_name_or_follows_from_others(metric: str, value: float) -> None:
    assert a_report().metric(metric) == value


@pytest.mark.parametrize("metric", ["per_node", "happiness", "to_json", "event_hash"])
def test_what_is_no_figure_cannot_be_expected(metric: str) -> None:
    with pytest.raises(ScenarioError, match=metric):
        a_report().metric(metric)


def test_what_is_not_as_expected_becomes_a_fault_and_nothing_else_does() -> None:
    report = a_report()
    report.check(
        [
            Expect(metric="joined", equals=2),
            Expect(metric="lost_share", at_most=0.1),
            Expect(metric="unaccounted", equals=0),
            Expect(metric="observations", at_least=91),
            Expect(metric="uplinks_sent", at_most=99),
        ]
    )
    assert report.faults == [
        "unaccounted is 1, expected 0",
        "observations is 90, expected at least 91",
        "uplinks_sent is 100, expected at most 99",
    ]


def test_a_report_is_written_into_a_folder_that_need_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    a_report().write(path)
    assert json.loads(path.read_bytes())["uplinks_sent"] == 100
