from __future__ import annotations

import asyncio
from typing import Any

from siel_gateway.alarm import Alarm


def test_an_alarm_rings_once_when_it_was_set_to_last(bench: Any) -> None:
    async def main() -> None:
        rung: list[int] = []
        alarm = Alarm(bench, lambda: rung.append(bench.monotonic_us()))
        await asyncio.sleep(1)
        alarm.set(3_000_000)
        alarm.set(2_500_000)
        await asyncio.sleep(5)
        assert len(rung) == 1
        assert 2_500_000 <= rung[0] <= 2_500_010, "never before there is work"
        alarm.set(1)
        await asyncio.sleep(0.001)
        assert len(rung) == 2
        alarm.set(9_000_000)
        alarm.set(None)
        await asyncio.sleep(10)
        assert len(rung) == 2

    bench.run(main())
