"""``siel hil run``: scenarios from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from siel_hil.errors import ParticipantError
from siel_tools.main import main

ONE_NODE = """
[scenario]
duration_s = 40
[[gateway]]
[[node]]
template = "climate"
place = { x_m = 300, y_m = 0 }
interval_s = 10
[[expect]]
metric = "joined"
equals = %d
"""


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["hil", "run", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_json_is_one_document_and_the_same_that_the_report_folder_gets(tmp_path: Path) -> None:
    scenario = tmp_path / "one.toml"
    scenario.write_text(ONE_NODE % 1)
    code, out, _ = run(str(scenario), "--json", "--seed", "3", "--report", str(tmp_path / "out"))
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert json.loads(out)["seed"] == 3
    events = (tmp_path / "out" / "events.jsonl").read_text().splitlines()
    assert all(json.loads(line) for line in events)
    assert (tmp_path / "out" / "gateway.jsonl").stat().st_size > 0


def test_what_is_not_as_expected_is_told_and_ends_with_1(tmp_path: Path) -> None:
    scenario = tmp_path / "one.toml"
    scenario.write_text(ONE_NODE % 2)
    code, out, _ = run(str(scenario))
    assert code == 1
    assert "not as expected: joined is 1, expected 2" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["atlantis"], "there is no scenario 'atlantis'"),
        (["smoke", "--time", "warp"], "write virtual, wall, or paced:K"),
        (["smoke", "--time", "paced:0"], "write virtual, wall, or paced:K"),
        (["smoke", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_would_be_right(arguments: list[str], said: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert said in err


def test_a_broken_scenario_tells_all_its_faults(tmp_path: Path) -> None:
    scenario = tmp_path / "broken.toml"
    scenario.write_text("[scenario]\nduration_s = 0\n[[gateway]]\nkind = 'kite'\n")
    code, _, err = run(str(scenario))
    assert code == 2
    assert "scenario.duration_s" in err
    assert "gateway.0.kind" in err
    assert "node" in err


def test_a_run_that_is_void_says_why_and_how_it_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise ParticipantError("climate-1", "hung")

    scenario = tmp_path / "one.toml"
    scenario.write_text(ONE_NODE % 1)
    monkeypatch.setattr("siel_tools.commands._run.simulate", dies)
    code, _, err = run(str(scenario), "--seed", "12")
    assert code == 1
    assert "climate-1: hung" in err
    assert "--seed 12 brings this run back" in err
