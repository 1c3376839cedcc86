"""The host's side of the serial link joined to the head's own core over a line that loses bytes."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway.head_events import FrameHeard, TxResult
from siel_gateway.head_link import HeadLink
from siel_head.head import Head
from siel_hil.rigs.head_wire import BOOT_ID, CHANNEL, COUNTER_AHEAD_US, SECOND
from siel_node.radio.sx126x import NONE, RX_DONE, TX_DONE


class AirChip:
    """A chip that hears what the test puts into it and always transmits on time."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.sent: list[bytes] = []
        self.events: list[int] = []
        self.flag = SimpleNamespace(raised=False)

    def restart(self) -> None: ...

    def listen(self, *_channel: int) -> None: ...

    def listening(self) -> bool:
        return True

    def poll(self) -> int:
        return self.events.pop(0) if self.events else NONE

    def read(self) -> Any:
        return self.heard.pop(0)

    def transmit(self, transmission: Any) -> int:
        self.sent.append(transmission.payload)
        return int(transmission.start_us)


class Line:
    """Head and host on one line in virtual time. Faults: bytes lost, flipped, doubled; splits everywhere."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.faults = 0.0
        self.now_us = 0
        self.chip = AirChip()
        self.head = Head([self.chip], BOOT_ID, 1, 0, self.counter())
        self.link = HeadLink(first_tag=self.random.getrandbits(32))
        self.link.configure([CHANNEL])
        self.delivered: list[FrameHeard] = []
        self.results: list[TxResult] = []
        self.safe: set[int] = set()
        self.heap: list[Any] = []
        self.count = 0
        self.free_us = {"to head": 0, "to host": 0}
        self.link.connected(0)

    def counter(self) -> int:
        return self.now_us + COUNTER_AHEAD_US

    def at(self, t_us: int, what: str, value: Any = None) -> None:
        self.count += 1
        heappush(self.heap, (t_us, self.count, what, value))

    def carry(self, data: bytes, what: str) -> None:
        """Send bytes over the line: they arrive in order, in pieces, some of them damaged."""
        free_us = max(self.now_us + 300, self.free_us[what])
        while data:
            n = self.random.randrange(1, 40)
            part, data = data[:n], data[n:]
            free_us += 87 * len(part)
            if self.random.random() < self.faults:
                damage, at = self.random.randrange(4), self.random.randrange(len(part))
                if damage == 0:
                    part = part[:at] + part[at + 1 :]
                elif damage == 1:
                    part = part[:at] + bytes([part[at] ^ 1 << self.random.randrange(8)]) + part[at + 1 :]
                elif damage == 2:
                    part += part[at:]
                else:
                    part = b""
            self.at(free_us, what, part)
        self.free_us[what] = free_us

    def events(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, FrameHeard):
                self.delivered.append(event)
                self.at(self.now_us + self.random.randrange(5_000, 300_000), "commit", event)
            elif isinstance(event, TxResult):
                self.results.append(event)

    def write(self) -> None:
        """Let both sides write what they have; the head one frame at a time, as its main loop does."""
        data = self.link.data_to_send()
        if data:
            self.carry(data, "to head")
        while self.head.has_data() and self.free_us["to host"] <= self.now_us:
            self.carry(self.head.data_to_send(self.counter()), "to host")

    def run(self, until_us: int) -> None:
        self.write()
        while True:
            link_us = self.link.next_tick_us()
            head_us = self.head.next_us() - COUNTER_AHEAD_US
            free_us = self.free_us["to host"] if self.head.has_data() else until_us + 1
            due_us = min(head_us, free_us, until_us + 1 if link_us is None else link_us)
            if self.heap and self.heap[0][0] <= due_us:
                due_us, _, what, value = heappop(self.heap)
            else:
                what, value = "tick", None
            if due_us > until_us:
                if value is not None:
                    self.at(due_us, what, value)
                break
            self.now_us = max(self.now_us, due_us)
            if what == "to head":
                self.head.receive_data(value, self.counter())
            elif what == "to host":
                self.events(self.link.receive_data(value, self.now_us))
            elif what == "commit":
                self.safe.add(value.sequence)
                self.link.ack(value.boot_id, value.sequence)
            elif what == "air":
                self.chip.events.append(RX_DONE)
                self.chip.heard.append((value, -90, 12, 5, True, self.counter()))
                self.head.radio_event(0)
            else:
                self.head.tick(self.counter())
                self.events(self.link.tick(self.now_us))
            # What the head has forgotten, the host had made safe: every frame of it.
            assert set(range(1, self.head.store.first_sequence)) <= self.safe
            self.write()
        self.now_us = until_us


@settings(max_examples=100)
@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.02, 0.2]), st.integers(1, 60))
def test_every_frame_arrives_exactly_once_and_in_order(seed: int, faults: float, frames: int) -> None:
    line = Line(seed)
    line.run(SECOND)
    line.faults = faults
    for number in range(frames):
        line.at(SECOND + line.random.randrange(20 * SECOND), "air", b"frame %d" % number)
    order = [value for _, _, what, value in sorted(line.heap) if what == "air"]
    line.run(30 * SECOND)
    line.faults = 0.0
    line.run(60 * SECOND)
    assert [frame.phy_payload for frame in line.delivered] == order
    assert [frame.sequence for frame in line.delivered] == list(range(1, frames + 1))
    assert line.safe == set(range(1, frames + 1))
    assert len(line.head.store) == 0


@settings(max_examples=100)
@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.1, 0.3]))
def test_every_request_ends_once_and_is_sent_at_most_once(seed: int, faults: float) -> None:
    line = Line(seed)
    line.run(SECOND)
    line.faults = faults
    tags = []
    for number in range(5):
        if not line.link.ready:
            break
        tag = line.link.transmit(
            chip=0,
            counter_us=line.link.counter_us(line.now_us + 2 * SECOND),
            frequency_hz=869525000,
            spreading_factor=7,
            bandwidth_hz=125000,
            payload=b"down %d" % number,
            now_us=line.now_us,
        )
        assert tag is not None
        tags.append(tag)
        line.run(line.now_us + 2 * SECOND + 40_000)
        if line.head._ears[0].sending is not None:
            line.chip.events.append(TX_DONE)
            line.head.radio_event(0)
        line.run(line.now_us + SECOND)
    line.faults = 0.0
    line.run(line.now_us + 20 * SECOND)
    assert sorted(result.tag for result in line.results) == sorted(tags)
    assert len(line.chip.sent) == len(set(line.chip.sent))
    told_on_air = [result for result in line.results if result.outcome == "on_air"]
    assert len(told_on_air) <= len(line.chip.sent)
    if not faults:
        assert len(told_on_air) == len(tags) == 5


@settings(max_examples=50)
@given(st.integers(0, 1 << 32), st.sampled_from([0.0, 0.05]))
def test_a_killed_host_loses_nothing_that_it_had_not_made_safe(seed: int, faults: float) -> None:
    line = Line(seed)
    line.run(SECOND)
    line.faults = faults
    for number in range(30):
        line.at(SECOND + number * 300_000, "air", b"frame %d" % number)
    line.run(6 * SECOND)
    safe_before = set(line.safe)
    # The new process knows nothing; what the old one had on its way is gone.
    line.heap = [entry for entry in line.heap if entry[2] in {"air", "to host"}]
    line.heap.sort()
    line.link = HeadLink(first_tag=1)
    line.link.configure([CHANNEL])
    line.link.connected(line.now_us)
    line.delivered.clear()
    line.run(20 * SECOND)
    line.faults = 0.0
    line.run(50 * SECOND)
    sequences = [frame.sequence for frame in line.delivered]
    assert sequences == list(range(sequences[0], 31))
    assert set(range(1, 31)) <= safe_before | set(sequences)
    assert len(line.head.store) == 0
