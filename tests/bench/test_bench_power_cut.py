"""The long run of the power cut: a join and 200 uplinks, and what flash wears. Prints; asserts no time.

Each flash operation is cut in three ways, and of every 20th life after a cut each operation again. Wear is the blocks
erased in the long life, for a node that sends each 15 minutes and a board whose file system has 62 blocks to spare:
littlefs takes them in turn. 100 000 erases per block are what makers of serial NOR flash promise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from siel_hil.parts import find_micropython

ROOT: Final = Path(__file__).parents[2]
DUAL: Final = ROOT / "tests" / "firmware" / "dual"
UPLINKS: Final = 200
BLOCKS: Final = 64
ERASES: Final = 100_000
UPLINKS_PER_YEAR: Final = 4 * 24 * 365


def test_two_hundred_uplinks_with_the_power_cut_at_every_flash_operation() -> None:
    program = find_micropython()
    script = str(DUAL / "power_cut.py")
    done = subprocess.run(
        program.command("-X", "heapsize=64m", script, str(UPLINKS), "20", str(BLOCKS)),
        env={**program.environ(), "MICROPYPATH": os.pathsep.join(map(str, (ROOT, ROOT / "firmware", DUAL)))},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {name: int(value) for name, _, value in (word.partition("=") for word in done.stdout.split()[1:])}
    years = (BLOCKS - 2) * ERASES / (found["erases"] / UPLINKS * UPLINKS_PER_YEAR)
    sys.stdout.write(f"\n{done.stdout}wear: {years:.0f} years at a downlink for two of three uplinks\n")
    assert years > 20
