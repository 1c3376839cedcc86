"""What goes wrong inside the daemon ends no other part of it, and its log stays readable and without keys."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from siel_gateway import gwmp
from siel_gateway.gwmp import Kind
from siel_gateway.log_limit import MAX_LINES, WINDOW_US, LogLimit
from siel_gateway.records import RxFrame
from siel_gateway.supervisor import keep_running
from siel_hil.rigs.daemon_bench import APP_KEY, EUI, FORWARDER_PORT, DaemonBench, journalled


def test_task_that_fails_is_logged_restarted_and_ends_no_other(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            failing = site.daemon._upstreams[0]
            run = failing.run
            calls = []

            async def broken() -> None:
                calls.append(site.bench.monotonic_us())
                if len(calls) < 3:
                    raise RuntimeError("planted")
                await run()

            with capture_logs() as logs:
                task = asyncio.create_task(keep_running("planted", broken, site.daemon._counts))
                await asyncio.sleep(10)
            assert [later - earlier for earlier, later in pairwise(calls)] == [1_000_000, 2_000_000]
            assert site.daemon.counters["task_restarts"] == 2
            assert [line["event"] for line in logs if line["log_level"] == "error"] == ["task_failed"] * 2
            node = await site.join()
            await site.heard(node.uplink())
            assert len(site.observations()) == 1
            task.cancel()

    site.bench.run(main())


def test_task_that_served_for_long_is_restarted_soon(bench: Any) -> None:
    async def main() -> None:
        ended: list[int] = []

        async def once_an_hour() -> None:
            await asyncio.sleep(3600)
            ended.append(bench.monotonic_us())
            raise RuntimeError("planted")

        with capture_logs():
            async with bench.running(keep_running("planted", once_an_hour, Counter())):
                await asyncio.sleep(10 * 3700)
        assert {later - earlier for earlier, later in pairwise(ended)} == {3_601_000_000}

    bench.run(main())


def test_fault_of_ours_in_one_frame_costs_neither_that_frame_nor_the_next(
    site: DaemonBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with site.running():
            handle = site.daemon._edge.handle

            def broken(frame: RxFrame, now: Any) -> Any:
                raise RuntimeError("planted")

            monkeypatch.setattr(site.daemon._edge, "handle", broken)
            token = await site.heard(b"\x40 anything")
            monkeypatch.setattr(site.daemon._edge, "handle", handle)
            assert token in site.forwarder.acknowledged
            assert journalled(site.data_dir)[0] == [b"\x40 anything"]
            assert site.daemon.counters["edge_faults"] == 1
            await site.join()

    site.bench.run(main())


def test_noise_on_the_port_never_ends_the_daemon(site: DaemonBench) -> None:
    async def main() -> None:
        async with site.running():
            for length in range(64):
                noise = site.bench.random_bytes(length)
                for data in (noise, b"\x02" + noise, gwmp.build(Kind.PUSH_DATA, b"ab", EUI, noise)):
                    site.forwarder.socket.send(data, ("127.0.0.1", FORWARDER_PORT))
                await site.heard(noise)
            assert site.daemon.counters["edge_faults"] == 0
            assert site.daemon.counters["task_restarts"] == 0
            await site.join()

    site.bench.run(main())


def test_no_key_in_any_log_line(site: DaemonBench) -> None:
    async def main() -> None:
        with capture_logs() as logs:
            async with site.running():
                node = await site.join()
                await site.heard(node.uplink(confirmed=True))
        assert node.keys is not None
        text = repr(logs)
        for key in (APP_KEY, *node.keys):
            assert key.hex() not in text
            assert repr(key) not in text

    site.bench.run(main())


def test_flood_of_one_event_is_cut_and_told() -> None:
    limit = LogLimit()
    lines = [limit.allow("mic_failure", now_us) for now_us in range(MAX_LINES + 5)]
    assert lines == [(True, 0)] * MAX_LINES + [(False, 0)] * 5
    assert limit.allow("replay", 0) == (True, 0)
    assert limit.allow("mic_failure", WINDOW_US) == (True, 5)
    assert limit.allow("mic_failure", WINDOW_US + 1) == (True, 0)
