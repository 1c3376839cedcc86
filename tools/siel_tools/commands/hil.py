"""``siel hil``: run scenarios in the simulated world."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from siel_tools.commands._run import run_scenario


class TimeMode(click.ParamType):
    """virtual, paced:K or wall."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        """Return "virtual", "wall" or the factor of paced time."""
        text = str(value)
        if text in {"virtual", "wall"}:
            return text
        kind, _, factor = text.partition(":")
        try:
            speed = float(factor)
        except ValueError:
            speed = 0.0
        if kind != "paced" or not 0.01 <= speed <= 10_000:  # noqa: PLR2004 - slower or faster than anybody can watch
            self.fail(f"{text!r}: write virtual, wall, or paced:K with K from 0.01 to 10000", param, ctx)
        return speed


@click.group()
def command() -> None:
    """Run nodes, heads and the gateway in a simulated world."""


@command.command()
@click.argument("scenario")
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the scenario's own seed.")
@click.option(
    "--time", "time_mode", type=TimeMode(), default="virtual", show_default=True, help="virtual, paced:K or wall."
)
@click.option(
    "--report", type=click.Path(file_okay=False, path_type=Path), help="Folder for report.json and events.jsonl."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def run(scenario: str, seed: int | None, time_mode: str | float, report: Path | None, as_json: bool) -> None:
    """Run SCENARIO, a .toml file or the name of one that ships, and check what it expects."""
    sys.exit(run_scenario(scenario, seed=seed, time_mode=time_mode, report_dir=report, as_json=as_json))
