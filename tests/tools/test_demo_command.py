"""``siel demo``: what the first command of a newcomer shows, held to what its report says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from siel_tools.commands.demo import demo_scenario

DEMO = (sys.executable, "-m", "siel_tools", "demo", "--headless")


def run_demo(*options: str, report: Path) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [*DEMO, "--report", str(report), *options], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return json.loads(report.read_bytes()), done.stderr


@pytest.mark.parametrize("gateway", ["heads", "concentrator"])
def test_every_frame_of_the_demo_is_accounted_for(gateway: str, tmp_path: Path) -> None:
    report, lines = run_demo("--for", "120s", "--speed", "1000", "--gateway", gateway, report=tmp_path / "demo.json")
    assert report["nodes"] == report["joined"] == 5
    assert report["last_join_s"] <= 45
    lost = sum(report["uplinks_on_air_lost"].values())
    assert report["uplinks_sent"] == report["uplinks_received"] + lost + report["in_flight_at_end"]
    assert report["uplinks_sent"] > 0
    assert lost <= report["uplinks_sent"] / 10
    assert report["observations_published"] == report["observations"] == report["uplinks_received"]
    assert report["frames_forwarded"] == report["frames_received"] > report["uplinks_received"]
    assert report["duty_cycle_violations"] == report["errata_violations"] == 0
    assert report["faults"] == []
    assert "water-1: distance" in lines
    assert "climate-1: temperature" in lines


def test_a_private_broker_gets_the_readings_and_its_address_is_told(tmp_path: Path) -> None:
    report, lines = run_demo("--for", "30s", "--speed", "1000", "--mqtt", "private", report=tmp_path / "demo.json")
    assert report["observations_published"] == report["observations"] > 0
    assert "mosquitto_sub -h 127.0.0.1 -p" in lines


def test_ctrl_c_ends_the_demo_with_its_summary_and_no_fault() -> None:
    with subprocess.Popen(DEMO, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "asks to join" in line:
                demo.send_signal(signal.SIGINT)
                break
        rest = demo.stderr.read()
    assert demo.returncode == 0, rest
    assert "nodes joined" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("options", [["--for", "soon"], ["--nodes", "0"], ["--speed", "0"], ["--gateway", "balloon"]])
def test_wrong_usage_ends_with_2(options: list[str]) -> None:
    done = subprocess.run([*DEMO, *options], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert options[0] in done.stderr


def test_a_micropython_that_does_not_exist_is_told_with_a_remedy() -> None:
    done = subprocess.run(
        [*DEMO, "--for", "5s"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "", "MICROPYTHON": "/nowhere/micropython"},
    )
    assert done.returncode == 2
    assert "MICROPYTHON" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("nodes", "water"), [(1, 1), (2, 1), (5, 3)])
def test_nodes_of_both_kinds_stand_up_to_two_and_a_half_kilometres_away(nodes: int, water: int) -> None:
    scenario = demo_scenario(nodes, "heads", 60)
    counts = {node.template: node.count for node in scenario.node}
    assert counts.get("water_level") == water
    assert sum(counts.values()) == nodes
    assert all(node.interval_s == 15 for node in scenario.node)
