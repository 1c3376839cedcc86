"""How much faster than real time the harness is: one virtual hour, everything on one core. Prints; asserts no time.

Goals: x500 for 50 nodes at one uplink a minute and for 200 at one in 5 minutes, with real MicroPython in nodes and
heads and the daemon inside. What it is measured against is wall time of the same machine; the bare exchange beside it,
two processes on the same core passing a message to and fro, tells how busy that machine was.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from siel_hil import scenario
from siel_hil.daemon_log import daemon_log
from siel_hil.feed import Feed
from siel_hil.loop import run_in_world
from siel_hil.simulation import RunSettings, Simulation
from siel_hil.stage import scratch_dir
from siel_hil.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_S: Final = 3600
GOAL: Final = 500
SCENARIO: Final = """
[scenario]
duration_s = {duration_s}
[[gateway]]
kind = "{kind}"
[[node]]
template = "water_level"
count = {half}
place = {{ ring_m = [200, 2200] }}
interval_s = {interval_s}
[[node]]
template = "climate"
count = {half}
place = {{ ring_m = [200, 2200] }}
interval_s = {interval_s}
"""
ROUND_TRIPS: Final = 20_000


@pytest.fixture
def one_core() -> Iterator[None]:
    """Keep this process and what it starts on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder where a run of the command line has its own."""
    parent = scratch_dir()
    if parent is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="siel-bench-", dir=parent) as name:
        yield Path(name)


def bare_exchange_us() -> float:
    """Return what a message and its answer take between two processes that do nothing else."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    echo = f"import os\nwhile os.read({theirs_in}, 64):\n    os.write({theirs_out}, b'answer')"
    with subprocess.Popen([sys.executable, "-c", echo], pass_fds=(theirs_in, theirs_out)):
        os.close(theirs_in)
        os.close(theirs_out)
        os.write(ours_out, b"message")
        os.read(ours_in, 64)
        began = time.perf_counter()
        for _ in range(ROUND_TRIPS):
            os.write(ours_out, b"message")
            os.read(ours_in, 64)
        took_s = time.perf_counter() - began
        os.close(ours_out)
    os.close(ours_in)
    return took_s / ROUND_TRIPS * 1e6


def cpu_s() -> tuple[float, float]:
    """Return the seconds of CPU that this process and its children, those that have ended, have had."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("kind", ["heads", "concentrator"])
@pytest.mark.parametrize(("nodes", "interval_s"), [(10, 60), (50, 60), (200, 300)])
def test_one_hour(nodes: int, interval_s: int, kind: str, folder: Path) -> None:
    text = SCENARIO.format(duration_s=HOUR_S, kind=kind, half=nodes // 2, interval_s=interval_s)
    bare_us = bare_exchange_us()
    world = World(1)
    with daemon_log(world, lambda line: None):
        simulation = Simulation(
            scenario.parse(text, "bench"), RunSettings(seed=1, duration_s=HOUR_S), Feed(), folder, world
        )
        own_s, children_s = cpu_s()
        began = time.perf_counter()
        report = run_in_world(world, simulation.run)
        wall_s = time.perf_counter() - began
    own_s, children_s = (after - before for after, before in zip(cpu_s(), (own_s, children_s), strict=True))
    assert report.joined == nodes
    assert report.metric("unaccounted") == 0
    used_s = own_s + children_s
    print(
        f"\n{nodes} nodes, {kind}, an uplink each {interval_s} s: x{HOUR_S / wall_s:.0f} real time"
        f" (goal x{GOAL}; by CPU time x{HOUR_S / used_s:.0f})\n"
        f"  {wall_s:.2f} s wall, {used_s:.2f} s CPU (coordinator {own_s:.2f}, MicroPython {children_s:.2f});"
        f" {report.uplinks_sent} uplinks, {1e3 * used_s / report.uplinks_sent:.2f} ms each\n"
        f"  {world.exchanges} exchanges, {world.exchanges / wall_s:.0f}/s,"
        f" {world.exchanges / report.uplinks_sent:.1f} an uplink;"
        f" a bare one on this machine now: {bare_us:.1f} us; event hash {report.event_hash[:16]}"
    )
