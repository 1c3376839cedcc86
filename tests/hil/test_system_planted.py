"""Planted faults in chips and firmware are caught by what a run says, without looking inside the culprit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siel_hil.errors import ImageError
from siel_hil.feed import Feed
from siel_hil.loop import run_in_world
from siel_hil.medium_air import Reception, Transmission
from siel_hil.models.sx1262 import SX1262
from siel_hil.plan import HEAD_BOARD, NODE_BOARD
from siel_hil.report import Report
from siel_hil.scenario import parse
from siel_hil.simulation import RunSettings, Simulation
from siel_hil.testbed import Testbed
from siel_hil.world import World

Make = Callable[..., Any]
DATA_UP = bytes.fromhex("40785634120001000a0102030405060708")


class HearsTwoSpreadingFactors(SX1262):
    """A single-channel radio as it cannot be: it hears the next spreading factor too, even both at once."""

    def mismatch(self, tx: Transmission) -> str:
        cause = super().mismatch(tx)
        if cause and self._listening is not None and tx.spreading_factor == self._listening[1] + 1:
            return ""
        return cause

    def preamble(self, reception: Reception) -> bool:
        self._locked = None
        return super().preamble(reception)


def hears_only_what_it_is_set_to(testbed: Testbed, chip_class: type[SX1262]) -> None:
    """Demand that heads at SF7 hear SF7 alone, and that what they say of a frame is how it was on air."""
    site = testbed.gateway(chip_class=chip_class)
    slow, quick = testbed.stranger("slow"), testbed.stranger("quick", distance_m=400.0)

    async def story() -> None:
        await testbed.start()
        for number, spreading_factor in enumerate((7, 8, 9, 12, 7)):
            slow.send(DATA_UP + bytes((number,)), spreading_factor=spreading_factor)
            await asyncio.sleep(3)
        slow.send(DATA_UP + b"\x10", spreading_factor=8)
        quick.send(DATA_UP + b"\x11", spreading_factor=7)
        await asyncio.sleep(3)

    testbed.run(story)
    on_air = {(tx.payload, f"SF{tx.spreading_factor}BW125") for tx in testbed.air if tx.spreading_factor == 7}
    told = [(frame.payload, frame.rxpk["datr"]) for frame in site.server.frames]
    lies = [frame for frame in told if frame not in on_air]
    assert not lies, f"told and never on air like that: {lies}"
    assert sorted(told) == sorted(on_air)
    assert {tx.verdict for tx in testbed.air if tx.spreading_factor != 7} == {"not_listening"}


def test_a_head_hears_the_one_spreading_factor_it_is_set_to(testbed: Testbed) -> None:
    hears_only_what_it_is_set_to(testbed, SX1262)


def test_a_head_that_hears_two_spreading_factors_is_caught(testbed: Testbed) -> None:
    with pytest.raises(AssertionError, match="never on air like that"):
        hears_only_what_it_is_set_to(testbed, HearsTwoSpreadingFactors)


SMALL = """
[scenario]
duration_s = 40
[[gateway]]
[[node]]
template = "climate"
place = { x_m = 400, y_m = 0 }
interval_s = 10
[[expect]]
metric = "errata_violations"
equals = 0
[[expect]]
metric = "observations"
at_least = 2
"""
DRIVER = "siel_node/radio/sx126x.py"


def run_with(tmp_path: Path, board: str = "", change: Callable[[str], str] | None = None) -> Report:
    scenario, world = parse(SMALL, "test"), World(1)
    simulation = Simulation(scenario, RunSettings(seed=1, duration_s=40), Feed(), tmp_path, world)
    if change is not None:
        simulation.stage.patch(board, DRIVER, change)
    report = run_in_world(world, simulation.run)
    report.check(scenario.expect)
    return report


@pytest.mark.parametrize("board", [NODE_BOARD, HEAD_BOARD])
def test_a_driver_with_the_iq_erratum_the_wrong_way_round_fails_the_run(tmp_path: Path, board: str) -> None:
    assert run_with(tmp_path / "right").faults == []
    report = run_with(tmp_path / "wrong", board, lambda source: source.replace("not invert_iq", "invert_iq"))
    assert report.errata_violations > 0
    assert any("errata_violations" in fault for fault in report.faults)
    per_node = [line for node in report.per_node.values() for line in node["violations"]]
    assert any("errata 15.4" in line for line in per_node) == (board == NODE_BOARD)


def test_a_driver_with_the_wrong_polarity_itself_joins_nobody(tmp_path: Path) -> None:
    report = run_with(tmp_path, NODE_BOARD, lambda source: source.replace("invert_iq=True", "invert_iq=False"))
    assert report.joined == 0
    assert report.faults == ["observations is 0, expected at least 2"]


def test_a_fault_that_changes_nothing_or_stands_nowhere_is_an_error(testbed: Testbed, node: Make) -> None:
    testbed.stage.patch(NODE_BOARD, DRIVER, lambda source: source)
    with pytest.raises(ImageError, match="changes nothing"):
        node()
    testbed.stage.patch(NODE_BOARD, DRIVER, lambda source: source + "\n# another\n")
    testbed.stage.patch(NODE_BOARD, "siel_node/nowhere.py", lambda source: source)
    with pytest.raises(ImageError, match=r"siel_node/nowhere\.py"):
        node()
