"""``siel hil``: run scenarios in the simulated world."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from siel_tools.commands._params import time_mode
from siel_tools.commands._run import run_scenario


@click.group()
def command() -> None:
    """Run nodes, heads and the gateway in a simulated world."""


@command.command()
@click.argument("scenario")
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the scenario's own seed.")
@click.option(
    "--time",
    "time_mode",
    type=time_mode,
    metavar="MODE",
    default="virtual",
    show_default=True,
    help="virtual, paced:K, wall.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.json, events.jsonl and gateway.jsonl.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def run(scenario: str, seed: int | None, time_mode: str | float, report: Path | None, as_json: bool) -> None:
    """Run SCENARIO, a .toml file or the name of one that ships, and check what it expects."""
    sys.exit(run_scenario(scenario, seed=seed, time_mode=time_mode, report_dir=report, as_json=as_json))
