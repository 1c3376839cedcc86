"""Scenario files: what ships loads, what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_hil.errors import ScenarioError
from siel_hil.scenario import load, parse, shipped

MINIMAL = """
[scenario]
duration_s = 60
[[gateway]]
[[node]]
template = "climate"
place = { x_m = 100, y_m = 0 }
"""


@pytest.mark.parametrize("name", shipped())
def test_every_scenario_that_ships_loads(name: str) -> None:
    assert load(name).expect


def test_smoke_is_ten_nodes_three_heads_one_hour() -> None:
    smoke = load("smoke")
    assert sum(node.count for node in smoke.node) == 10
    assert [head.frequency_hz for head in smoke.gateway[0].heads] == [868_100_000, 868_300_000, 868_500_000]
    assert smoke.scenario.duration_s == 3600


def test_defaults_make_a_small_file_enough(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(MINIMAL)
    scenario = load(str(path))
    assert (scenario.scenario.seed, scenario.node[0].count, scenario.node[0].join_dr) == (1, 1, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[scenario", "not TOML"),
        (MINIMAL + "\nspeed = 3", "node.0.speed"),
        (MINIMAL.replace("60", '"60"'), "scenario.duration_s"),
        (MINIMAL.replace("climate", "volcano"), "node.0.template"),
        (MINIMAL.replace("{ x_m = 100, y_m = 0 }", "{ ring_m = [200, 100] }"), "nearer distance"),
        (MINIMAL + "\n[[gateway]]\n", "gateway"),
        (MINIMAL + "\ncount = 2001", "node.0.count"),
        (MINIMAL + '\n[[expect]]\nmetric = "joined"\n', "equals, at_least or at_most"),
    ],
)
def test_a_broken_scenario_names_its_fault(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        parse(text, "test.toml")


def test_all_faults_are_told_at_once() -> None:
    broken = MINIMAL.replace("60", '"60"').replace("climate", "volcano")
    with pytest.raises(ScenarioError) as caught:
        parse(broken, "test.toml")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["nowhere", "nowhere.toml"])
def test_an_unknown_name_is_told_with_what_there_is(name: str) -> None:
    with pytest.raises(ScenarioError, match="nowhere"):
        load(name)


@given(st.text(max_size=200))
def test_no_text_crashes_the_loader(text: str) -> None:
    with pytest.raises(ScenarioError, match="noise"):
        parse(text, "noise.toml")
