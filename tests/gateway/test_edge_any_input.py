"""Whatever comes to the edge server, and whatever becomes of its process."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from siel_codecs.lorawan import JoinRequest, SessionKeys, decode_join_accept, parse_phy
from siel_gateway.edge import Effects
from siel_gateway.edge.uplinks import REPEAT_US
from siel_gateway.records import RxFrame, TxRequest
from siel_hil.rigs.edge_site import CONCENTRATOR, HEADS, ONE_HEAD, Node, Site


@given(st.lists(st.binary(max_size=60), max_size=8), st.data())
@settings(max_examples=150)
def test_noise_never_crashes_and_never_becomes_an_observation(noise: list[bytes], data: st.DataObject) -> None:
    site = Site()
    node = site.join()
    real = node.uplink(confirmed=True)
    for phy in noise:
        at = data.draw(st.integers(0, len(real)))
        for variant in (phy, real[:at] + phy, phy + real[at:], real[:8] + phy):
            if variant != real:
                assert site.hear(variant, spreading_factor=data.draw(st.integers(5, 13))).observations == []
    assert site.hear(real).observations


@given(st.binary(max_size=40), st.binary(max_size=15))
@settings(max_examples=100)
def test_any_mac_commands_of_a_device_never_crash(on_port_0: bytes, f_opts: bytes) -> None:
    site = Site(ONE_HEAD)
    node = site.join()
    site.hear(node.uplink(on_port_0, f_port=0))
    assert site.hear(node.uplink(f_opts=f_opts)).observations


class EdgeMachine(RuleBasedStateMachine):
    """Two devices, radios that lose, copy, keep and replay frames, and a daemon that is killed at any moment."""

    @initialize(heard=st.sampled_from([HEADS, ONE_HEAD, CONCENTRATOR]))
    def start(self, heard: list[tuple[int, int, int]]) -> None:
        self.site = Site(heard)
        self.sessions: dict[tuple[str, int], tuple[int, SessionKeys]] = {}
        self.session_of: dict[int, int] = {}
        self.unacknowledged: list[RxFrame] = []  # a head sends them again after a kill
        self.kept: list[RxFrame] = []  # in the store of a head that is away
        self.on_air: list[RxFrame] = []
        self.sent: set[tuple[Any, int]] = set()
        self.join_nonces: list[int] = []
        self.ids: dict[tuple[str, bytes], str] = {}
        self.committed: list[str] = []
        self.batch: list[str] = []
        self.waiting_accepts: list[tuple[Node, int, bytes]] = []
        self.requests: list[TxRequest] = []
        self.payloads = 0
        for number in range(len(self.site.nodes)):
            self.join(number, 1.0)
        self.commit(True)

    def _deliver(self, frame: RxFrame) -> Effects:
        effects = self.site.carry_out(self.site.edge.handle(frame, self.site.now))
        self.unacknowledged.append(frame)
        for observation in effects.observations:
            identity = (observation.dev_eui, frame.phy_payload)
            assert self.ids.setdefault(identity, observation.id) == observation.id
            assert observation.id not in self.committed + self.batch
            self.batch.append(observation.id)
        for transmission in effects.transmissions:
            self._check(transmission.request, frame)
        assert len(effects.transmissions) <= 1
        return effects

    def _check(self, request: TxRequest, frame: RxFrame) -> None:
        node = next(node for node in self.site.nodes if node.dev_eui == request.dev_eui)
        if request.phy_payload[0] == 0x20:
            join_nonce = decode_join_accept(node.app_key, request.phy_payload).join_nonce
            assert join_nonce not in self.join_nonces
            self.join_nonces.append(join_nonce)
            asked = parse_phy(frame.phy_payload)
            assert isinstance(asked, JoinRequest)
            self.waiting_accepts.append((node, asked.dev_nonce, request.phy_payload))
            return
        fits = []
        for key, session in self.sessions.items():
            try:
                fits.append((key, node.hear(request.phy_payload, session)[0]))
            except AssertionError:
                continue
        (used,) = fits
        assert used not in self.sent
        assert all(f_cnt < used[1] for key, f_cnt in self.sent if key == used[0])
        self.sent.add(used)
        self.requests.append(request)

    @rule(number=st.integers(0, 1), wait=st.floats(0.3, 40))
    def join(self, number: int, wait: float) -> None:
        self.site.wait(wait)
        frame = self.site.frame(self.site.nodes[number].join_request())
        self.on_air.append(frame)
        self._deliver(frame)

    @rule(heard=st.booleans())
    def commit(self, heard: bool) -> None:
        self._commit()
        for node, dev_nonce, phy in self.waiting_accepts:
            if heard and node.keys is None and node.dev_nonce == dev_nonce:
                keys = node.hear_accept(phy)
                self.sessions[node.dev_eui, node.accept.join_nonce] = (node.dev_addr, keys)
        self.waiting_accepts.clear()

    def _commit(self) -> None:
        self.site.store.commit()
        self.committed += self.batch
        self.batch.clear()
        self.unacknowledged.clear()

    @rule(redeliver_late=st.booleans())
    def kill(self, redeliver_late: bool) -> None:
        again = list(self.unacknowledged)
        self.unacknowledged.clear()
        self.batch.clear()
        self.waiting_accepts.clear()
        self.requests.clear()
        if redeliver_late:
            self.site.wait(3)
        self.site.restart()
        for frame in again:
            self._deliver(frame)

    @rule(
        number=st.integers(0, 1),
        step=st.sampled_from([1, 1, 1, 2, 70, 0x9000]),
        confirmed=st.booleans(),
        way=st.sampled_from(["heard", "copied", "repeated", "lost", "kept"]),
        wait=st.floats(2.5, 40),
    )
    def uplink(self, number: int, step: int, confirmed: bool, way: str, wait: float) -> None:
        node = self.site.nodes[number]
        if node.keys is None:
            return
        self.site.wait(wait)
        if way in ("kept", "lost"):
            step = 1  # what nobody hears for 2**16 frames cannot be rebuilt from 16 bits
        self.payloads += 1
        payload = self.payloads.to_bytes(4, "little")
        frame = self.site.frame(node.uplink(payload, step=step, confirmed=confirmed))
        self.on_air.append(frame)
        if way == "kept":
            self.kept.append(frame)
        if way in ("kept", "lost"):
            return
        effects = self._deliver(frame)
        assert len(effects.observations) == 1
        assert not confirmed or len(effects.transmissions) == 1
        if way == "copied":
            copy = self.site.frame(frame.phy_payload, radio="two", at_us=frame.gateway_us + 700)
            effects = self._deliver(copy)
            assert (effects.observations, effects.transmissions) == ([], [])
        if way == "repeated":
            self.site.wait(2.2)
            effects = self._deliver(self.site.frame(frame.phy_payload))
            assert effects.observations == []
            assert not confirmed or len(effects.transmissions) == 1

    @precondition(lambda self: self.kept)
    @rule()
    def head_returns(self) -> None:
        self.site.wait(5)
        for frame in self.kept:
            self._deliver(frame)  # never twice is checked there
        self.kept.clear()

    @precondition(lambda self: self.on_air)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.on_air))
        self.site.now_us = max(self.site.now_us, old.gateway_us + REPEAT_US + 1)
        self._deliver(self.site.frame(old.phy_payload))  # only what was never taken before can still be news

    @rule(number=st.integers(0, 1), confirmed=st.booleans())
    def enqueue(self, number: int, confirmed: bool) -> None:
        self.payloads += 1
        self.site.enqueue(self.site.nodes[number], str(self.payloads), confirmed=confirmed)

    @precondition(lambda self: self.requests)
    @rule(word=st.sampled_from(["on_air", "queued", "too_late", "refused", "unknown"]))
    def outcome(self, word: str) -> None:
        self.site.outcome(self.requests.pop(0), word, "X")


EdgeMachine.TestCase.settings = settings(max_examples=250, stateful_step_count=40)
TestEdgeMachine = EdgeMachine.TestCase
