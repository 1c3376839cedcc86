"""The table that joins identities, encoders and readings, and the clock."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

from siel_codecs import registry
from siel_node import app, fault
from siel_node.identity import Identity, seal
from siel_node.record import Record


@pytest.mark.parametrize("name", sorted(app.CODECS))
def test_each_codec_gets_its_readings_in_the_order_of_its_arguments(name: str) -> None:
    module, fields = app.CODECS[name]
    encoder = importlib.import_module(f"siel_node.codec.{module}")
    assert tuple(inspect.signature(encoder.encode).parameters)[1:] == fields
    assert name in registry.names()


def test_the_clock_goes_on_over_the_wrap_of_the_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr(app, "ticks_ms", lambda: now[0] % (1 << 30))
    clock = app.Clock()
    for _ in range(40):
        now[0] += (1 << 29) - 1
        assert clock.now_ms() == now[0]


def test_random_numbers_stay_below_their_bound() -> None:
    assert {app.random_below(3) for _ in range(200)} == {0, 1, 2}


def test_the_next_slot_obeys_law_and_network_and_the_channels_data_rates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(app, "ticks_ms", lambda: 0)
    who = Identity(
        seal(
            {
                "dev_eui": "0004a30b001c0530",
                "join_eui": "70b3d57ed0000001",
                "app_key": "2b7e151628aed2a6abf7158809cf4f3c",
                "join_dr": 5,
                "interval_s": 60,
                "codec": "siel/climate",
            }
        )
    )
    node = app.Node(who, Record(str(tmp_path / "state")), Record(str(tmp_path / "ledger")), None, None, [])
    assert node.next_slot(10)[0] == 0
    node.mac.off_until_ms = 5_000_001
    assert node.next_slot(10)[0] == 5001, "DutyCycleReq"
    node.mac.off_until_ms = 1000
    node.mac.duty_cycle.spend(0, 868100000, 36000000)
    assert node.next_slot(10)[0] == 3660, "the sub-band"
    node.state.channels_hz[3], node.state.dr_ranges[3], node.state.channel_mask = 867100000, 0x66, 15
    assert node.next_slot(10)[0] == 3660, "a channel that does not carry the data rate is none"
    node.state.dr_ranges[3] = 0x50
    assert node.next_slot(10)[0] == 1


@pytest.mark.parametrize(("error", "resets"), [(ValueError("a broken sensor"), True), (KeyboardInterrupt(), False)])
def test_a_fault_ends_in_a_reset_and_ctrl_c_at_the_prompt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, resets: bool
) -> None:
    def load(path: str) -> None:
        raise error

    armed: list[bool] = []
    parts = ModuleType("siel_node.port.parts")
    parts.watchdog = lambda: armed.append(True)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "siel_node.port.parts", parts)
    monkeypatch.setitem(sys.modules, "siel_node.port.board", ModuleType("siel_node.port.board"))
    monkeypatch.setattr(fault, "PATH", str(tmp_path / "fault"))
    monkeypatch.setattr(fault, "TOLD", str(tmp_path / "told"))
    monkeypatch.setattr(app, "load", load)
    monkeypatch.setattr(app, "Waiter", object)
    with pytest.raises(type(error)):
        app.run({})
    assert bool(armed) is resets
    assert fault.take() == ("ValueError: a broken sensor" if resets else "")
    assert fault.take() == "", "told once"


def test_a_flash_that_takes_no_note_does_not_hide_the_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fault, "PATH", str(tmp_path))
    fault.note(ValueError("a broken sensor"))
