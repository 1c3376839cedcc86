"""pytest fixtures for simulated tests: ``testbed``, ``world``, ``node`` and ``gateway`` share one clock and one air."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # pytest loads this in every project that shares the environment: the harness itself comes when it is asked for
    from siel_hil.gateway_site import GatewaySite
    from siel_hil.node_site import NodeSite
    from siel_hil.testbed import Testbed
    from siel_hil.world import World


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    """One world with its air and network."""
    from siel_hil.testbed import Testbed  # noqa: PLC0415 - as above

    bed = Testbed(tmp_path)
    yield bed
    bed.close()


@pytest.fixture
def world(testbed: Testbed) -> World:
    """The clock of a test."""
    return testbed.world


@pytest.fixture
def node(testbed: Testbed) -> Callable[..., NodeSite]:
    """Make a node: ``node("climate", distance_m=800)``."""
    return testbed.node


@pytest.fixture
def gateway(testbed: Testbed) -> Callable[..., GatewaySite]:
    """Make the gateway: ``gateway()`` with heads, ``gateway("concentrator")``."""
    return testbed.gateway
