"""``siel demo``: the whole chain in one command, readings from emulated nodes to a broker."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click

from siel_hil.broker import PrivateBroker
from siel_hil.parts import PartError, find_mosquitto_clients
from siel_hil.scenario import Expect, Gateway, Node, Ring, Run, Scenario
from siel_hil.simulation import RunSettings
from siel_tools.commands._params import duration
from siel_tools.commands._run import FAILED, OK, USAGE, fail, run, show
from siel_tools.run_view import LinesView, TableView, summary

INTERVAL_S: Final = 15
RING_M: Final = [300.0, 2500.0]
MAX_NODES: Final = 50
UNTIL_STOPPED_S: Final = 400 * 86_400
MUST_BE_ZERO: Final = ("unaccounted", "unpublished", "unforwarded", "duty_cycle_violations", "errata_violations")


@click.command()
@click.option(
    "--nodes",
    type=click.IntRange(1, MAX_NODES),
    default=5,
    show_default=True,
    help="How many nodes, of both kinds in turn.",
)
@click.option(
    "--gateway",
    type=click.Choice(["heads", "concentrator"]),
    default="heads",
    show_default=True,
    help="What the gateway hears with.",
)
@click.option(
    "--for",
    "duration_s",
    type=duration,
    metavar="DURATION",
    default=None,
    help="Simulated time, such as 60s or 10m; without it until Ctrl-C.",
)
@click.option("--speed", type=click.FloatRange(0.1, 1000), default=1.0, show_default=True, help="Times wall time.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Decides places, keys and chance."
)
@click.option("--headless", is_flag=True, help="Lines instead of a live table.")
@click.option(
    "--mqtt", metavar="URL|private", default=None, help="Publish to a broker; 'private' starts one of its own."
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Write the report to this file."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def command(
    nodes: int,
    gateway: str,
    duration_s: int | None,
    speed: float,
    seed: int,
    headless: bool,
    mqtt: str | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Show readings travelling from node firmware over emulated radio and serial links through the gateway.

    Nodes and heads are real MicroPython running the shipped firmware; the air, the chips and the sensors are emulated.
    """
    scenario = demo_scenario(nodes, gateway, duration_s or UNTIL_STOPPED_S)
    with ExitStack() as stack:
        if mqtt == "private":
            try:
                broker = stack.enter_context(PrivateBroker())
            except PartError as error:
                sys.exit(fail(error, USAGE))
            mqtt = broker.url
            click.echo(f"broker: {mqtt}\nwatch it from another terminal:\n  {_subscribe(broker.port)}", err=True)
        settings = RunSettings(
            seed=seed, duration_s=scenario.scenario.duration_s, speed=speed, mqtt_url=mqtt, stop_on_signal=True
        )
        plain = headless or not sys.stderr.isatty()
        view = LinesView() if plain else TableView(f"Siel demo: {nodes} nodes, {gateway}, x{speed:g}, seed {seed}")
        result, code = run(scenario, settings, view)
    if result is None:
        sys.exit(code)
    if report is not None:
        result.write(report)
    if as_json:
        show(result, as_json=True)
    else:
        click.echo(summary(result), err=headless)
    sys.exit(OK if code == OK else FAILED)


def _subscribe(port: int) -> str:
    arguments = ("-h", "127.0.0.1", "-p", str(port), "-t", "siel/v1/#", "-v")
    return shlex.join(find_mosquitto_clients().sub.command(*arguments))


def demo_scenario(nodes: int, gateway: str, duration_s: int) -> Scenario:
    """Return the demo's scenario: nodes of both kinds up to 2.5 km away, one uplink each 15 s, SF7."""
    water = (nodes + 1) // 2
    groups = [Node(template="water_level", count=water, place=Ring(ring_m=RING_M), interval_s=INTERVAL_S)]
    if nodes > water:
        groups.append(Node(template="climate", count=nodes - water, place=Ring(ring_m=RING_M), interval_s=INTERVAL_S))
    return Scenario(
        scenario=Run(duration_s=duration_s),
        gateway=(Gateway(kind="heads" if gateway == "heads" else "concentrator"),),
        node=tuple(groups),
        expect=tuple(Expect(metric=metric, equals=0) for metric in MUST_BE_ZERO),
    )
