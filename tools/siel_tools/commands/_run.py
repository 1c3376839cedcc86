"""What ``siel hil run`` and ``siel demo`` share: programs, a view, the run, its report and its exit code."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

import click

from siel_hil.errors import HilError, ScenarioError
from siel_hil.feed import Feed
from siel_hil.parts import PartError
from siel_hil.report import Report
from siel_hil.scenario import Scenario, load
from siel_hil.simulation import RunSettings, simulate

OK, FAILED, USAGE = 0, 1, 2


class View(AbstractContextManager["View"], Protocol):
    """Shows a feed while a run goes on."""

    feed: Feed


def run_scenario(name: str, *, seed: int | None, time_mode: str | float, report_dir: Path | None, as_json: bool) -> int:
    """Run a scenario by name and return the exit code."""
    try:
        scenario = load(name)
    except ScenarioError as error:
        return fail(error, USAGE)
    settings = RunSettings(
        seed=scenario.scenario.seed if seed is None else seed,
        duration_s=scenario.scenario.duration_s,
        speed=time_mode if isinstance(time_mode, float) else None,
        wall=time_mode == "wall",
        keep=report_dir,
    )
    report, code = run(scenario, settings, None)
    if report is None:
        return code
    if report_dir is not None:
        report.write(report_dir / "report.json")
    show(report, as_json)
    return code


def run(scenario: Scenario, settings: RunSettings, view: View | None) -> tuple[Report | None, int]:
    """Run a scenario; what went wrong is said on stderr and is in the exit code."""
    try:
        with ExitStack() as stack:
            if view is not None:
                stack.enter_context(view)
            report = simulate(scenario, settings, view.feed if view is not None else Feed())
        report.check(scenario.expect)
    except ScenarioError as error:
        return None, fail(error, USAGE)
    except PartError as error:
        return None, fail(error, USAGE)
    except HilError as error:
        code = fail(error, FAILED)
        click.echo(f"siel: --seed {settings.seed} brings this run back", err=True)
        return None, code
    return report, FAILED if report.faults else OK


def show(report: Report, as_json: bool) -> None:
    """Print a report: one JSON document on stdout, or the summary for people."""
    from siel_tools.run_view import summary

    if as_json:
        sys.stdout.buffer.write(report.to_json())
        sys.stdout.flush()
    else:
        click.echo(summary(report))


def fail(error: Exception, code: int) -> int:
    """Say what went wrong and return the exit code."""
    click.echo(f"siel: {error}", err=True)
    return code
