"""The one timer of a shell whose pure core says when it has work next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from siel_gateway.services import Services

MARGIN_S: Final = 1e-6
"""A timer that rounds down would find nothing due."""


class Alarm:
    """Calls ``ring`` when the gateway's clock has come to where it was set last.

    Args:
        services: Of the daemon; the clock.
        ring: Does what is due, and sets the alarm again.
    """

    def __init__(self, services: Services, ring: Callable[[], None]) -> None:
        self._services = services
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at_us: int | None) -> None:
        """Ring at ``at_us``, at once if that has passed, and at no other time; None for never."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at_us is not None:
            delay_s = max(0, at_us - self._services.monotonic_us()) / 1e6 + MARGIN_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)
