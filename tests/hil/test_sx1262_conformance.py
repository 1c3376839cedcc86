"""Planted faults in chip models: each check passes for the SX1262 model and catches a model wrong in its way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from siel_hil.medium_air import Reception, Transmission
from siel_hil.medium_physics import SNR_FLOOR_DB
from siel_hil.models import conformance
from siel_hil.models.conformance import CHECKS, ChipClass, ConformanceError
from siel_hil.models.sx1262 import SX1262


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_model_conforms(check: Callable[[ChipClass], None]) -> None:
    check(SX1262)


class HearsTwoSpreadingFactors(SX1262):
    """A single-channel radio as it cannot be: it hears the neighbouring spreading factor too, both at once."""

    def mismatch(self, tx: Transmission) -> str:
        cause = super().mismatch(tx)
        if cause and self._listening is not None and tx.spreading_factor == self._listening[1] + 1:
            return ""
        return cause

    def preamble(self, reception: Reception) -> bool:
        self._locked = None
        return super().preamble(reception)


class HearsTheChannelBeside(SX1262):
    """Hears 200 kHz away."""

    def mismatch(self, tx: Transmission) -> str:
        listening = self._listening
        return "" if listening and listening[1:3] == (tx.spreading_factor, tx.bandwidth_hz) else "not_listening"


class HearsBothPolarities(SX1262):
    """Ignores IQ."""

    def mismatch(self, tx: Transmission) -> str:
        cause = super().mismatch(tx)
        return "" if cause == "wrong_iq" else cause


class HearsEveryNetwork(SX1262):
    """Ignores the sync word."""

    def mismatch(self, tx: Transmission) -> str:
        cause = super().mismatch(tx)
        return "" if cause == "wrong_sync_word" else cause


class SwapsToTheStronger(SX1262):
    """Drops a frame in its middle for a stronger one."""

    def preamble(self, reception: Reception) -> bool:
        self._locked = None
        return super().preamble(reception)


class FullDuplex(SX1262):
    """Goes on hearing while it sends."""

    def _begin_tx(self, epoch: int, steps: int) -> None:
        super()._begin_tx(epoch, steps)
        self.receiving_since_us = self.searching_since_us


class NeverBusy(SX1262):
    """Carries out what comes during BUSY."""

    def select(self, t_us: int) -> None:
        super().select(t_us)
        self.busy_until_us = t_us


class SleepsWithoutLoss(SX1262):
    """Keeps in warm sleep what no chip keeps."""

    def _wake(self, t_us: int) -> None:
        kept = dict(self.settings.registers)
        super()._wake(t_us)
        self.settings.registers.update(kept)


@pytest.mark.parametrize(
    ("planted", "check"),
    [
        (HearsTwoSpreadingFactors, conformance.check_receives_only_its_own_sf),
        (HearsTheChannelBeside, conformance.check_receives_only_its_own_channel),
        (HearsBothPolarities, conformance.check_receives_only_its_own_iq),
        (HearsEveryNetwork, conformance.check_receives_only_its_own_network),
        (SwapsToTheStronger, conformance.check_follows_one_frame),
        (FullDuplex, conformance.check_is_deaf_while_sending),
        (NeverBusy, conformance.check_ignores_commands_while_busy),
        (SleepsWithoutLoss, conformance.check_warm_sleep_loses_what_is_not_on_the_list),
    ],
    ids=lambda value: value.__name__,
)
def test_a_planted_fault_is_caught(planted: ChipClass, check: Callable[[ChipClass], None]) -> None:
    with pytest.raises(ConformanceError):
        check(planted)


def test_a_medium_that_hears_below_the_floor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SNR_FLOOR_DB, 9, SNR_FLOOR_DB[9] - 1)
    with pytest.raises(ConformanceError, match="SF9"):
        conformance.check_hears_no_weaker_than_the_floor(SX1262)
