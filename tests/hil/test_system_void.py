"""A participant that dies, hangs or fails voids the run, and the message names it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from siel_gateway.arbiter import Arbiter
from siel_gateway.edge import EdgeServer
from siel_gateway.sinks.console import Console
from siel_hil.daemon_site import final_report
from siel_hil.errors import HilError, ParticipantError
from siel_hil.plan import HEAD_BOARD, NODE_BOARD
from siel_hil.testbed import NotReachedError, Testbed

Make = Callable[..., Any]


def voided(testbed: Testbed) -> ParticipantError:
    with pytest.raises(ParticipantError) as caught:
        testbed.play(lambda: len(testbed.observations) >= 3)
    return caught.value


def test_node_firmware_that_raises_is_told_with_its_traceback(testbed: Testbed, node: Make, gateway: Make) -> None:
    testbed.stage.patch(
        NODE_BOARD,
        "siel_node/codec/siel_climate.py",
        lambda source: source.replace("def encode(", "def encode(*_):\n    return 1 // 0\n\n\ndef was("),
    )
    node("climate")
    gateway()
    error = voided(testbed)
    assert error.participant == "climate-1"
    assert "ZeroDivisionError" in str(error)
    assert "siel_climate.py" in str(error)


def test_head_firmware_that_raises_is_told(testbed: Testbed, node: Make, gateway: Make) -> None:
    testbed.stage.patch(
        HEAD_BOARD,
        "siel_head/head.py",
        lambda source: source.replace("self.heard += 1", "self.heard += unheard_of"),
    )
    node("climate")
    gateway()
    error = voided(testbed)
    assert error.participant.startswith("head-")
    assert "NameError" in str(error)


def test_firmware_that_spins_is_told_as_hung(
    testbed: Testbed, node: Make, gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siel_hil.child_line.HANG_LIMIT_S", 1)
    testbed.stage.patch(
        NODE_BOARD,
        "siel_node/codec/siel_climate.py",
        lambda source: source.replace("def encode(", "def encode(*_):\n    while True:\n        pass\n\n\ndef was("),
    )
    node("climate")
    gateway()
    error = voided(testbed)
    assert error.participant == "climate-1"
    assert "hung" in str(error)


def test_a_process_that_dies_is_told(testbed: Testbed, node: Make, gateway: Make) -> None:
    site = node("climate")
    gateway()

    def kill() -> None:
        site.board._process.kill()

    testbed.world.at(12_000_000, kill)
    error = voided(testbed)
    assert error.participant == "climate-1"
    assert "died" in str(error)


FAULTS: dict[str, tuple[type, str, str]] = {
    "sink": (Console, "run", "sink[console]"),
    "edge": (EdgeServer, "handle", "edge_failed"),
    "arbiter": (Arbiter, "submit", "tx["),
}


@pytest.mark.parametrize("part", FAULTS)
def test_a_part_of_the_daemon_that_fails_is_told_by_name(
    testbed: Testbed, node: Make, gateway: Make, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    owner, method, name = FAULTS[part]

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(owner, method, fail)
    node("climate")
    gateway()
    error = voided(testbed)
    assert error.participant == "gateway"
    assert name in str(error)
    assert "planted" in str(error)


def test_a_daemon_of_its_own_process_is_read_for_faults_in_its_log() -> None:
    last = b'{"event":"gateway_stopped","report":{"observations":3}}\n'
    assert final_report(b"Traceback, not JSON\n[]\n" + last) == {"observations": 3}
    failed = b'{"event":"task_failed","task":"sink[mqtt]","exception":"ZeroDivisionError: planted"}\n'
    with pytest.raises(ParticipantError, match=r"gateway: sink\[mqtt\]: ZeroDivisionError"):
        final_report(failed + last)
    with pytest.raises(ParticipantError, match="no final report"):
        final_report(b'{"event":"gateway_started"}\n')


def test_a_daemon_that_ends_by_itself_is_told(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("climate")
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await asyncio.sleep(5)
        site.inside.daemon.stop()
        await asyncio.sleep(60)

    with pytest.raises(ParticipantError, match="gateway: the daemon ended"):
        testbed.run(story)


def test_a_daemon_that_never_waits_is_told_as_stuck(
    testbed: Testbed, gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siel_hil.loop.STUCK_TURNS", 2000)

    async def spin(_: object) -> None:
        while True:  # noqa: ASYNC110 - spinning is the fault
            await asyncio.sleep(0)

    monkeypatch.setattr(Console, "run", spin)
    gateway()
    with pytest.raises(HilError, match="never waits"):
        testbed.play(lambda: False)


def test_what_does_not_happen_in_time_is_told_with_what_did(testbed: Testbed, node: Make, gateway: Make) -> None:
    node("climate")
    gateway()
    with pytest.raises(NotReachedError, match=r"(?s)not within 20 s.*climate-1: asks to join"):
        testbed.play(lambda: len(testbed.observations) >= 100, 20)
