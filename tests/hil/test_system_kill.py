"""kill -9 of the daemon inside the world: nothing heard is lost, nothing changes its name, no number is used twice."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from siel_codecs.lorawan import DataFrame, parse_phy
from siel_gateway.journal import Journal
from siel_gateway.records import RxFrame
from siel_hil.gateway_site import GatewaySite
from siel_hil.testbed import Testbed

Make = Callable[..., Any]


def kill_after(testbed: Testbed, site: GatewaySite, number: int, delay_us: int) -> asyncio.Event:
    """Kill the daemon ``delay_us`` after the end of the data frame with this number on air, counted from 0."""
    done = asyncio.Event()

    def cut() -> None:
        site.inside.cut()
        done.set()

    def follow(event: str, info: dict[str, Any]) -> None:
        this_one = event == "uplink" and info["kind"] == "data" and len(testbed.sent(kind="data")) == number + 1
        if this_one and not done.is_set():
            testbed.world.after(delay_us, cut)

    testbed.medium.on_event.append(follow)
    return done


async def frames_in_journal(site: GatewaySite) -> list[RxFrame]:
    journal = site.inside.daemon._journal
    assert journal is not None
    return [frame for _, frame in await journal.frames_after(0, 10_000)]


async def killed_again_and_again(testbed: Testbed, site: GatewaySite, delays_us: tuple[int, ...]) -> list[RxFrame]:
    """Run, kill the daemon at each delay after an uplink's end, start it again; return what is journalled at last."""
    await testbed.start()
    await testbed.until(lambda: len(testbed.observations) >= 1)
    for delay_us in delays_us:
        done = kill_after(testbed, site, len(testbed.sent(kind="data")), delay_us)
        await done.wait()
        await site.inside.kill()
        await asyncio.sleep(1.5)
        await site.inside.start()
        count = len(testbed.sent(kind="data"))
        await testbed.until(lambda count=count: len(testbed.sent(kind="data")) >= count + 2)  # type: ignore[misc]
    for pond in testbed.nodes:
        pond.silence()
    await asyncio.sleep(20)
    return await frames_in_journal(site)


def check(testbed: Testbed, frames: list[RxFrame]) -> None:
    """Demand that what the heads heard is in the journal, once, and was published under one name."""
    heard = [tx.payload for tx in testbed.air if tx.kind != "downlink" and tx.verdict == "received"]
    journalled = [frame.phy_payload for frame in frames]
    lost = [parse_phy(payload) for payload in heard if payload not in journalled]
    assert not lost, f"heard and not journalled: {lost}"
    assert sorted(journalled) == sorted(heard)
    names: dict[int, set[str]] = {}
    for observation in testbed.observations:
        names.setdefault(observation.f_cnt, set()).add(observation.id)
    assert all(len(ids) == 1 for ids in names.values())
    data = [frame for payload in heard if isinstance(frame := parse_phy(payload), DataFrame)]
    assert sorted(names) == sorted({frame.f_cnt for frame in data})


AROUND_A_COMMIT_US = (500, 4_000, 9_000, 16_000, 24_000, 28_000, 40_000, 1_010_000)
"""On the serial line, before, in and after the group commit of 20 ms, while the answer is on air."""


def test_no_frame_is_lost_no_observation_renamed_and_no_downlink_number_used_twice(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node(confirmed=1, interval_s=5)
    site = gateway()
    frames = testbed.run(lambda: killed_again_and_again(testbed, site, AROUND_A_COMMIT_US))
    check(testbed, frames)
    down = [parse_phy(tx.payload) for tx in testbed.sent(kind="downlink")]
    numbers = [frame.f_cnt for frame in down if isinstance(frame, DataFrame)]
    assert len(numbers) > len(AROUND_A_COMMIT_US)
    assert len(numbers) == len(set(numbers))
    assert len(testbed.sent(kind="join")) == 1


def test_a_frame_committed_and_not_yet_acknowledged_comes_again_and_counts_once(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node("climate", interval_s=5)
    site = gateway()

    async def story() -> list[RxFrame]:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)
        for head in site.heads:  # what the daemon says to its heads from here on is lost on the way
            head.line.send = lambda data: None
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) > count)
        await asyncio.sleep(0.5)
        await site.inside.kill()
        for head in site.heads:
            head.line.send = functools.partial(head.board.uart_receive, head.line_number)
        await site.inside.start()
        await asyncio.sleep(3)
        assert site.inside.daemon.counters["frames_seen_again"] >= 1
        await testbed.until(lambda: len(testbed.observations) >= count + 3)
        return await frames_in_journal(site)

    check(testbed, testbed.run(story))


def test_behind_a_forwarder_only_what_was_not_acknowledged_may_die(testbed: Testbed, node: Make, gateway: Make) -> None:
    """A forwarder keeps nothing: it counts what was not acknowledged, and the gateway has all the rest."""
    node("climate", confirmed=1, interval_s=5)
    site = gateway("concentrator")
    frames = testbed.run(lambda: killed_again_and_again(testbed, site, (500, 9_000, 16_000, 28_000, 40_000)))
    assert site.concentrator is not None
    counters = site.concentrator.counters
    heard = {tx.payload for tx in testbed.air if tx.kind != "downlink" and tx.verdict == "received"}
    journalled = {frame.phy_payload for frame in frames}
    assert journalled <= heard
    assert 1 <= len(heard - journalled) <= counters["push_sent"] - counters["push_acked"]
    # sinks are told live, so what died in the commit window may have been published before
    published = {observation.f_cnt for observation in testbed.observations}
    kept = {frame.f_cnt for payload in journalled if isinstance(frame := parse_phy(payload), DataFrame)}
    assert kept <= published
    assert len(published - kept) <= len(heard - journalled)
    assert len(testbed.sent(kind="join")) == 1


def test_sessions_survive_a_kill_between_join_and_first_uplink(testbed: Testbed, node: Make, gateway: Make) -> None:
    pond = node()
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: any(" joined " in line for line in pond.lines))
        await site.inside.kill()
        await site.inside.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)

    testbed.run(story)
    assert len(testbed.sent(kind="join")) == 1


def test_a_kill_before_the_join_accept_costs_one_more_join(testbed: Testbed, node: Make, gateway: Make) -> None:
    node()
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.sent(kind="join"))
        await asyncio.sleep(0.2)
        await site.inside.kill()
        testbed.air.clear()
        await asyncio.sleep(3)
        await site.inside.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)

    testbed.run(story)
    assert len({tx.payload for tx in testbed.sent(kind="downlink")}) == len(testbed.sent(kind="downlink"))


def acknowledge_early(journal: Journal) -> asyncio.Future[None]:
    """The planted fault: say that all is on disk, whatever is."""
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def test_a_daemon_that_acknowledges_before_the_commit_is_caught(
    testbed: Testbed, node: Make, gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "committed", acknowledge_early)
    node(confirmed=1, interval_s=5)
    site = gateway()
    frames = testbed.run(lambda: killed_again_and_again(testbed, site, AROUND_A_COMMIT_US))
    with pytest.raises(AssertionError, match="heard and not journalled"):
        check(testbed, frames)


def test_a_daemon_that_ends_in_order_gives_back_what_it_did_not_use(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    node(confirmed=1, interval_s=10)
    site = gateway()

    async def story() -> list[RxFrame]:
        await testbed.start()
        await testbed.until(lambda: len(testbed.observations) >= 2)
        await asyncio.sleep(3)
        await site.inside.stop()
        await site.inside.start()
        await testbed.until(lambda: len(testbed.observations) >= 4)
        await asyncio.sleep(3)
        return await frames_in_journal(site)

    check(testbed, testbed.run(story))
    down = [parse_phy(tx.payload) for tx in testbed.sent(kind="downlink")]
    numbers = [frame.f_cnt for frame in down if isinstance(frame, DataFrame)]
    assert numbers == list(range(len(numbers)))
