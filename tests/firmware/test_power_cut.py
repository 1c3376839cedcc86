"""A cut at every flash operation of the real node on a real littlefs; what is judged stands in dual/power_cut.py."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from siel_hil.parts import Program, find_micropython, find_micropython32

DUAL = Path(__file__).parent / "dual"
ROOT = Path(__file__).parents[2]


def live(program: Program, firmware: Path, uplinks: int, deeper: int, blocks: int) -> subprocess.CompletedProcess[str]:
    script = str(DUAL / "power_cut.py")
    return subprocess.run(
        program.command("-X", "heapsize=32m", script, str(uplinks), str(deeper), str(blocks)),
        env={**program.environ(), "MICROPYPATH": f"{ROOT}:{firmware}:{DUAL}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def micropython(bits: int) -> Program:
    if bits == 64:
        return find_micropython()
    program, reason = find_micropython32(fetch=False)
    if program is None:
        pytest.skip(reason)
    return program


@pytest.mark.parametrize("bits", [64, 32])
def test_a_cut_at_every_flash_operation_repeats_no_number_and_loses_no_session(bits: int) -> None:
    done = live(micropython(bits), ROOT / "firmware", uplinks=16, deeper=30, blocks=16)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.match(r"ok cuts=(\d+) twice=(\d+) state=(\d+) ledger=(\d+) programs=(\d+) erases=(\d+)", done.stdout)
    assert found, done.stdout
    cuts, twice, states, ledgers, programs, erases = map(int, found.groups())
    assert cuts == 3 * (programs + erases)
    assert twice > cuts // 2
    assert states >= 10
    assert ledgers >= 4


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ("if self._record.save(self.state.pack()):", "if True:", "DevNonce 0 twice"),
        ("if mac.duty_cycle.reserve(", "if False and (", "the ledger counts 0 us where"),
    ],
)
def test_what_is_not_stored_ahead_is_found(tmp_path: Path, good: str, bad: str, fault: str) -> None:
    shutil.copytree(ROOT / "firmware" / "siel_node", tmp_path / "siel_node")
    app = tmp_path / "siel_node" / "app.py"
    source = app.read_text(encoding="utf-8")
    assert good in source
    app.write_text(source.replace(good, bad), encoding="utf-8")
    done = live(find_micropython(), tmp_path, uplinks=4, deeper=0, blocks=16)
    assert fault in done.stdout + done.stderr
