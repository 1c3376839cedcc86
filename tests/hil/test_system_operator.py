"""An operator's downlink: it reaches the node, and what is said about it is what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from siel_codecs.lorawan import DataFrame, parse_phy
from siel_gateway.edge import Downlink
from siel_hil.services import EPOCH_MS
from siel_hil.testbed import OnAir, Testbed

Make = Callable[..., Any]
HOUR_MS = 3_600_000


def downlink(id_: str, **fields: Any) -> Downlink:
    given = {"f_port": 2, "payload": b"\x01\x02\x03", "expires_ms": EPOCH_MS + HOUR_MS, **fields}
    return Downlink(id=id_, **given)


def frames_down(testbed: Testbed) -> list[tuple[OnAir, DataFrame]]:
    found = []
    for tx in testbed.sent(kind="downlink"):
        frame = parse_phy(tx.payload)
        if isinstance(frame, DataFrame):
            found.append((tx, frame))
    return found


def test_it_arrives_in_rx1_of_the_next_uplink_and_is_told_as_on_air(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node()
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.observations)
        site.inside.daemon.enqueue(pond.plan.dev_eui, downlink("a"))
        assert testbed.deliveries == [], "not on disk yet"
        await testbed.until(lambda: any("delivered" in line for line in pond.lines))
        await asyncio.sleep(1)

    testbed.run(story)
    assert [line.split(" ", 1)[1] for line in pond.lines if "delivered" in line] == ["delivered f_port=2 bytes=3"]
    assert testbed.deliveries == [("a", "queued", ""), ("a", "on_air", "")]
    ((tx, frame),) = frames_down(testbed)
    before = [up for up in testbed.sent(kind="data") if up.t1_us < tx.t0_us][-1]
    assert abs(tx.t0_us - before.t1_us - 1_000_000) < 200
    assert (tx.verdict, tx.at, frame.f_port, frame.confirmed) == ("received", pond.plan.name, 2, False)
    assert not frame.ack  # nothing was confirmed


def test_a_confirmed_one_is_acked_when_the_node_has_said_so(testbed: Testbed, node: Make, gateway: Make) -> None:
    pond = node()
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.observations)
        site.inside.daemon.enqueue(pond.plan.dev_eui, downlink("a", confirmed=True))
        await testbed.until(lambda: len(testbed.deliveries) == 3)

    testbed.run(story)
    assert testbed.deliveries == [("a", "queued", ""), ("a", "on_air", ""), ("a", "acked", "")]
    acks = [tx for tx in testbed.sent(kind="data") if isinstance(f := parse_phy(tx.payload), DataFrame) and f.ack]
    assert [tx.verdict for tx in acks] == ["received"]


def test_several_wait_their_turn_one_for_each_uplink(testbed: Testbed, node: Make, gateway: Make) -> None:
    pond = node()
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.observations)
        for name in "abc":
            site.inside.daemon.enqueue(pond.plan.dev_eui, downlink(name, payload=name.encode()))
        await testbed.until(lambda: sum("delivered" in line for line in pond.lines) == 3)
        await asyncio.sleep(1)

    testbed.run(story)
    assert [delivery[0] for delivery in testbed.deliveries if delivery[1] == "on_air"] == ["a", "b", "c"]
    frames = frames_down(testbed)
    assert [frame.f_pending for _, frame in frames] == [True, True, False]
    numbers = [frame.f_cnt for _, frame in frames]
    assert numbers == sorted(set(numbers))


def test_one_that_nobody_can_get_in_time_expires_and_is_never_on_air(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node()
    site = gateway()

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.observations)
        pond.power_off()
        soon = EPOCH_MS + testbed.world.now_us // 1000 + 10_000
        site.inside.daemon.enqueue(pond.plan.dev_eui, downlink("a", expires_ms=soon))
        await testbed.until(lambda: len(testbed.deliveries) == 2)
        pond.power_on()
        count = len(testbed.observations)
        await testbed.until(lambda: len(testbed.observations) >= count + 2)

    testbed.run(story)
    assert testbed.deliveries == [("a", "queued", ""), ("a", "expired", "")]
    assert frames_down(testbed) == []


def test_behind_a_forwarder_it_is_queued_which_is_all_that_a_forwarder_tells(
    testbed: Testbed, node: Make, gateway: Make
) -> None:
    pond = node()
    site = gateway("concentrator")

    async def story() -> None:
        await testbed.start()
        await testbed.until(lambda: testbed.observations)
        site.inside.daemon.enqueue(pond.plan.dev_eui, downlink("a"))
        await testbed.until(lambda: any("delivered" in line for line in pond.lines))
        await asyncio.sleep(1)

    testbed.run(story)
    assert testbed.deliveries == [("a", "queued", ""), ("a", "queued", "FORWARDER")]


def test_one_for_a_device_of_somebody_else_is_refused(testbed: Testbed, node: Make, gateway: Make) -> None:
    node()
    site = gateway()

    async def story() -> None:
        await testbed.start()
        site.inside.daemon.enqueue("00" * 8, downlink("a"))
        await testbed.until(lambda: testbed.deliveries)

    testbed.run(story)
    assert testbed.deliveries == [("a", "refused", "UNKNOWN_DEVICE")]
