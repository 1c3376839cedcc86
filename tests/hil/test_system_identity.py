"""A run's identity: the same seed and scenario give the same events everywhere, anything else gives others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from siel_hil.feed import Feed
from siel_hil.scenario import parse
from siel_hil.simulation import RunSettings, simulate

SMALL = """
[scenario]
seed = 3
duration_s = 45

[[gateway]]

[[node]]
template = "water_level"
count = 2
place = { ring_m = [200, 900] }
interval_s = 10

[[node]]
template = "climate"
place = { x_m = 400, y_m = 0 }
interval_s = 10
"""


def hash_of(text: str, seed: int = 3) -> str:
    scenario = parse(text, "test")
    report = simulate(scenario, RunSettings(seed=seed, duration_s=scenario.scenario.duration_s), Feed())
    assert report.observations > 5
    return report.event_hash


def start(scenario: str, *options: str, hash_seed: str = "0") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "siel_tools", "hil", "run", scenario, "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONHASHSEED": hash_seed})


def report_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(out)
    return report


def test_a_scenario_has_one_identity_in_this_and_in_every_other_process(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    others = [start(str(path), hash_seed=hash_seed) for hash_seed in ("1", "2")]
    here = {hash_of(SMALL), hash_of(SMALL)}
    assert here | {report_of(process)["event_hash"] for process in others} == {hash_of(SMALL)}


@pytest.mark.parametrize(
    ("seed", "before", "after"),
    [
        (4, "", ""),
        (3, "count = 2", "count = 3"),
        (3, "x_m = 400", "x_m = 401"),
        (3, "ring_m = [200, 900]", "ring_m = [200, 901]"),
        (3, "interval_s = 10\n\n", "interval_s = 11\n\n"),
        (3, 'template = "climate"', 'template = "water_level"'),
    ],
    ids=["seed", "count", "distance", "ring", "interval", "template"],
)
def test_whatever_is_different_gives_another_identity(seed: int, before: str, after: str) -> None:
    assert before in SMALL
    assert hash_of(SMALL.replace(before, after) if before else SMALL, seed) != hash_of(SMALL)


def test_the_smoke_scenario_meets_its_own_expectations_whatever_the_seed() -> None:
    reports = [report_of(process) for process in [start("smoke", "--seed", "7"), start("smoke", "--seed", "8")]]
    assert [report["faults"] for report in reports] == [[], []]
    assert reports[0]["event_hash"] != reports[1]["event_hash"]
    assert all(report["observations"] > 500 for report in reports)
