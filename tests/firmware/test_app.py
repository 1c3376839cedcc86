"""The table that joins identities, encoders and readings, and the clock."""

from __future__ import annotations

import importlib
import inspect

import pytest

from siel_codecs import registry
from siel_node import app


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
