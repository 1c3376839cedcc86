from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from siel_codecs.codec import Decoded, Sample, failed
from siel_codecs.lorawan import (
    DataFrame,
    JoinRequest,
    SessionKeys,
    crypt_payload,
    data_mic,
    decode_join_accept,
    derive_session_keys,
    encode_data_up,
    encode_join_request,
    encode_mac_command,
    parse_mac_commands,
    parse_phy,
)
from siel_gateway.edge import BLOCK, Downlink, EdgeDevice, EdgeServer, Effects, Now, Reservation
from siel_gateway.edge.queue import MAX_QUEUED
from siel_gateway.edge.uplinks import COPY_US, LATE_FRAMES, MAX_REPEAT_ANSWERS, REPEAT_US
from siel_gateway.keystore import KeyStore
from siel_gateway.records import RxFrame, TxOutcome, TxRequest

GATEWAY = "0016c001f1500812"
JOIN_EUI = "70b3d57ed0000001"
HEADS = [(hz, 7, 125_000) for hz in (868_100_000, 868_300_000, 868_500_000)]
ONE_HEAD = HEADS[:1]
CONCENTRATOR = [
    (hz, factor, 125_000)
    for hz in (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000, 868_100_000, 868_300_000, 868_500_000)
    for factor in range(7, 13)
]
START_US = 1_000_000_000
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class Echo:
    """A codec whose reading is the payload's length; 0xff as first byte is what it cannot decode."""

    name = "test/echo"

    def decode(self, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        if payload[0] == 0xFF:
            return failed("no reading")
        data = {"length": len(payload), "port": f_port}
        return Decoded(data, {"length": "B"}, [], [], [Sample(data, recv_ms)])

    def encode(self, f_port: int, data: Mapping[str, Any]) -> bytes:
        raise NotImplementedError


class Store:
    """A journal in memory: what was not committed is lost in a kill, reservations never are."""

    def __init__(self) -> None:
        self.committed: dict[tuple[str, str], bytes] = {}
        self.batch: dict[tuple[str, str], bytes] = {}
        self.reserved: dict[str, int] = {}

    def commit(self) -> None:
        self.committed |= self.batch
        self.batch = {}

    def kill(self) -> None:
        self.batch = {}

    def items(self, table: str) -> Iterable[tuple[str, bytes]]:
        return [(key, value) for (name, key), value in self.committed.items() if name == table]

    def reserve(self, reservation: Reservation) -> int:
        first = self.reserved.get(reservation.counter, 0)
        self.reserved[reservation.counter] = first + BLOCK
        return first


class Node:
    """The device's side, as far as the server can tell."""

    def __init__(self, number: int) -> None:
        self.dev_eui = f"70b3d57ed00001{number:02x}"
        self.app_key = bytes([number] * 16)
        self.dev_nonce = 0
        self.f_cnt = -1
        self.dev_addr = 0
        self.keys: SessionKeys | None = None
        self.accept: Any = None

    def join_request(self) -> bytes:
        self.dev_nonce += 1
        self.keys = None
        return encode_join_request(self.app_key, JOIN_EUI, self.dev_eui, self.dev_nonce)

    def hear_accept(self, phy: bytes) -> SessionKeys:
        self.accept = decode_join_accept(self.app_key, phy)
        self.dev_addr, self.f_cnt = self.accept.dev_addr, -1
        self.keys = keys = derive_session_keys(self.app_key, self.accept.join_nonce, self.accept.net_id, self.dev_nonce)
        return keys

    def uplink(self, payload: bytes = b"level", step: int = 1, f_port: int | None = 2, **fields: Any) -> bytes:
        self.f_cnt += step
        return self.frame(payload, self.f_cnt, f_port=f_port, **fields)

    def frame(self, payload: bytes, f_cnt: int, **fields: Any) -> bytes:
        assert self.keys is not None
        return encode_data_up(*self.keys, self.dev_addr, f_cnt, payload=payload, **fields)

    def hear(self, phy: bytes, session: tuple[int, SessionKeys] | None = None) -> tuple[int, DataFrame, bytes]:
        """Return FCntDown, the frame and its decrypted payload."""
        if session is None:
            assert self.keys is not None
            session = (self.dev_addr, self.keys)
        dev_addr, keys = session
        frame = parse_phy(phy)
        assert isinstance(frame, DataFrame)
        assert not frame.uplink
        assert frame.dev_addr == dev_addr
        assert data_mic(keys.nwk_s_key, phy[:-4], dev_addr, frame.f_cnt, False) == frame.mic
        key = keys.app_s_key if frame.f_port else keys.nwk_s_key
        return frame.f_cnt, frame, crypt_payload(key, dev_addr, frame.f_cnt, False, frame.frm_payload)


class Site:
    """An edge server with its journal and a clock."""

    def __init__(self, heard: list[tuple[int, int, int]] = HEADS, nodes: int = 2, **settings: Any) -> None:
        self.nodes = [Node(number) for number in range(1, nodes + 1)]
        self.key_store = KeyStore.in_memory({node.dev_eui: node.app_key for node in self.nodes})
        self.heard = heard
        self.settings = settings
        self.store = Store()
        self.now_us = START_US
        self.edge = self.started()

    def started(self) -> EdgeServer:
        devices = [
            EdgeDevice(dev_eui=node.dev_eui, join_eui=JOIN_EUI, name=f"node {number}", codec=Echo())
            for number, node in enumerate(self.nodes)
        ]
        edge = EdgeServer(
            devices,
            self.key_store.get,
            heard=self.heard,
            gateway_id=GATEWAY,
            sealer=self.key_store.sealer(),
            random_bytes=Random(len(self.store.committed)).randbytes,
            **self.settings,
        )
        effects = edge.load(self.store.items, self.now_us)
        assert effects.events == []
        self.store.batch |= {(table, key): value for table, key, value in effects.puts}
        for reservation in edge.initial_reservations():
            edge.grant(reservation, self.store.reserve(reservation))
        return edge

    def restart(self) -> None:
        self.store.kill()
        self.edge = self.started()

    @property
    def now(self) -> Now:
        return Now(self.now_us, START_MS + (self.now_us - START_US) // 1000)

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)

    def carry_out(self, effects: Effects) -> Effects:
        self.store.batch |= {(table, key): value for table, key, value in effects.puts}
        for reservation in effects.reservations:
            self.edge.grant(reservation, self.store.reserve(reservation))
        return effects

    def frame(self, phy: bytes, *, radio: str = "one", at_us: int | None = None, **fields: Any) -> RxFrame:
        at_us = self.now_us if at_us is None else at_us
        values = {
            "frequency_hz": 868_100_000,
            "spreading_factor": 7,
            "bandwidth_hz": 125_000,
            "rssi_dbm": -101,
            "snr_db": 4.5,
        }
        return RxFrame(
            radio=radio,
            gateway_eui=GATEWAY,
            radio_session=1,
            counter_us=at_us & 0xFFFFFFFF,
            gateway_us=at_us,
            received_ms=START_MS + (at_us - START_US) // 1000,
            clock="ntp",
            crc="ok",
            phy_payload=phy,
            **(values | fields),
        )

    def hear(self, phy: bytes, **fields: Any) -> Effects:
        return self.carry_out(self.edge.handle(self.frame(phy, **fields), self.now))

    def join(self, number: int = 0, **fields: Any) -> Node:
        node = self.nodes[number]
        effects = self.hear(node.join_request(), **fields)
        node.hear_accept(effects.transmissions[0].request.phy_payload)
        self.wait(10)
        return node

    def enqueue(self, node: Node, id_: str, payload: bytes = b"on", **fields: Any) -> list[tuple[str, str]]:
        expires_ms = fields.pop("expires_ms", self.now.utc_ms + 3_600_000)
        downlink = Downlink(id=id_, f_port=fields.pop("f_port", 3), payload=payload, expires_ms=expires_ms, **fields)
        return deliveries(self.carry_out(self.edge.enqueue(node.dev_eui, downlink, self.now.utc_ms)))

    def outcome(self, request: TxRequest, word: Any, reason: str = "", slack_us: int | None = None) -> list[Any]:
        outcome = TxOutcome(id=request.id, outcome=word, reason=reason, slack_us=slack_us)
        return self.carry_out(self.edge.tx_outcome(outcome)).deliveries


def deliveries(effects: Effects) -> list[tuple[str, str]]:
    return [(delivery.outcome, delivery.reason) for delivery in effects.deliveries]


def only_request(effects: Effects) -> TxRequest:
    (transmission,) = effects.transmissions
    return transmission.request


def commands_of(frame: DataFrame) -> dict[str, dict[str, Any]]:
    commands, error = parse_mac_commands(frame.f_opts, False)
    assert error is None
    return {command.name: command.fields for command in commands}


# -- joins ----------------------------------------------------------------------------------------------------------


def test_join_is_answered_five_seconds_later_on_the_same_channel_or_six_on_rx2() -> None:
    site = Site()
    site.now_us = 0xFFFF_FFFF - 2_000_000  # the radio's counter wraps before the windows
    effects = site.hear(site.nodes[0].join_request(), frequency_hz=868_300_000, radio="two")
    (transmission,) = effects.transmissions
    rx1, rx2 = transmission.request.windows
    assert transmission.after_commit
    assert transmission.request.radio == "two"
    assert (transmission.request.invert_iq, transmission.request.crc) == (True, False)
    assert (rx1.counter_us, rx1.frequency_hz, rx1.spreading_factor) == (2_999_999, 868_300_000, 7)
    assert (rx2.counter_us, rx2.frequency_hz, rx2.spreading_factor) == (3_999_999, 869_525_000, 12)
    assert site.edge.counters["joins"] == 1
    assert effects.joins[0].dev_eui == site.nodes[0].dev_eui
    assert effects.verified


def test_join_accept_offers_net_id_1_an_address_of_it_and_no_cf_list_with_heads() -> None:
    node = Site(rx1_delay_s=3).join()
    assert node.accept.net_id == 1
    assert 0x0200_0000 <= node.dev_addr <= 0x03FF_FFFF
    assert node.accept.cf_list_hz == ()
    assert (node.accept.rx_delay, node.accept.rx1_dr_offset, node.accept.rx2_data_rate) == (3, 0, 0)


def test_join_accept_announces_the_five_further_channels_of_a_concentrator() -> None:
    node = Site(CONCENTRATOR).join()
    assert node.accept.cf_list_hz == (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)


def test_dev_addr_block_survives_a_restart() -> None:
    site = Site()
    first = site.join().dev_addr
    site.store.commit()
    site.restart()
    assert site.join(1).dev_addr >> 16 == first >> 16


def test_dev_nonce_must_grow() -> None:
    site = Site()
    node = site.join()
    old = encode_join_request(node.app_key, JOIN_EUI, node.dev_eui, node.dev_nonce)
    assert site.hear(old).transmissions == []
    assert site.edge.counters["replays"] == 1
    node.dev_nonce = 41
    assert site.hear(node.join_request()).transmissions
    older = encode_join_request(node.app_key, JOIN_EUI, node.dev_eui, 40)
    assert site.hear(older).transmissions == []


def test_used_dev_nonce_survives_a_restart() -> None:
    site = Site()
    node = site.join()
    site.store.commit()
    site.restart()
    assert site.hear(encode_join_request(node.app_key, JOIN_EUI, node.dev_eui, node.dev_nonce)).transmissions == []


def test_random_dev_nonces_of_older_devices_may_fall_but_not_repeat() -> None:
    site = Site()
    node = site.nodes[0]
    device = site.edge._sessions.devices[node.dev_eui]
    device.config = EdgeDevice(
        dev_eui=node.dev_eui, join_eui=JOIN_EUI, name="old", codec=Echo(), counted_dev_nonce=False
    )
    requests = [encode_join_request(node.app_key, JOIN_EUI, node.dev_eui, nonce) for nonce in (0x0102, 0x0001, 0x0201)]
    assert [len(site.hear(phy).transmissions) for phy in requests] == [1, 1, 1]
    site.wait(1)
    assert [len(site.hear(phy).transmissions) for phy in requests] == [0, 0, 0]


def test_copy_of_a_join_over_another_radio_gets_no_second_answer() -> None:
    site = Site()
    phy = site.nodes[0].join_request()
    site.hear(phy)
    at_us = site.now_us + COPY_US
    site.wait(0.5)
    assert site.hear(phy, radio="two", at_us=at_us).transmissions == []
    assert (site.edge.counters["copies"], site.edge.counters["replays"]) == (1, 0)
    site.hear(phy, radio="two", at_us=at_us + 1)
    assert (site.edge.counters["copies"], site.edge.counters["replays"]) == (1, 1)


def test_join_with_wrong_mic_unknown_device_or_other_join_eui_gets_no_answer() -> None:
    site = Site()
    node = site.nodes[0]
    assert site.hear(encode_join_request(bytes(16), JOIN_EUI, node.dev_eui, 1)).transmissions == []
    assert site.hear(encode_join_request(node.app_key, JOIN_EUI, "0011223344556677", 1)).transmissions == []
    assert site.hear(encode_join_request(node.app_key, "1" * 16, node.dev_eui, 1)).transmissions == []
    counters = site.edge.counters
    assert (counters["mic_failures"], counters["unknown_devices"], counters["joins_refused"]) == (1, 1, 1)
    assert site.hear(node.join_request()).transmissions  # none of them has used up the DevNonce


def test_late_join_is_not_answered() -> None:
    site = Site()
    at_us = site.now_us
    site.wait(6)
    assert site.hear(site.nodes[0].join_request(), at_us=at_us).transmissions == []
    assert site.edge.counters["answers_too_late"] == 1
    site.wait(-0.5)
    assert [window.name for window in only_request(site.hear(site.nodes[0].join_request(), at_us=at_us)).windows] == [
        "RX2"
    ]


def test_old_session_lives_until_the_first_frame_of_the_new_one() -> None:
    site = Site()
    node = site.join()
    site.hear(node.uplink())
    old = node.frame(b"old", 7, f_port=2)
    older = node.frame(b"old", 8, f_port=2)
    site.join()
    assert site.hear(old).observations
    assert site.hear(node.uplink()).observations
    assert site.hear(older).observations == []


def test_join_without_reserved_numbers_is_refused_and_counted() -> None:
    site = Site()
    site.edge._join_nonces._ranges.clear()
    assert site.hear(site.nodes[0].join_request()).transmissions == []
    assert site.edge.counters["joins_refused"] == 1


# -- uplinks ----------------------------------------------------------------------------------------------------------


def test_uplink_becomes_one_observation() -> None:
    site = Site()
    node = site.join()
    effects = site.hear(node.uplink(b"level"))
    (observation,) = effects.observations
    assert observation.data == {"length": 5, "port": 2}
    assert (observation.f_cnt, observation.dev_eui) == (0, node.dev_eui)
    assert effects.transmissions == []
    assert effects.verified


def test_frames_without_application_payload_and_port_0_make_no_observation() -> None:
    site = Site()
    node = site.join()
    assert site.hear(node.uplink(b"", f_port=None)).observations == []
    assert site.hear(node.uplink(b"", f_port=2)).observations == []
    assert site.hear(node.uplink(encode_mac_command("DutyCycleAns"), f_port=0)).observations == []
    assert site.edge.counters["uplinks"] == 3


def test_payload_the_codec_refuses_is_counted() -> None:
    site = Site()
    assert site.hear(site.join().uplink(b"\xff")).observations == []
    assert site.edge.counters["decode_errors"] == 1


def test_wrong_mic_is_counted_and_changes_nothing() -> None:
    site = Site()
    node = site.join()
    phy = node.uplink()
    effects = site.hear(phy[:-1] + bytes([phy[-1] ^ 1]))
    assert effects.observations == []
    assert effects.puts == []
    assert not effects.verified
    assert [event.name for event in effects.events] == ["mic_failure"]
    assert site.edge.counters["mic_failures"] == 1
    assert site.hear(phy).observations


def test_unknown_dev_addr_is_counted() -> None:
    site = Site()
    site.hear(encode_data_up(bytes(16), bytes(16), 0x26011234, 1, f_port=1, payload=b"x"))
    assert site.edge.counters["unknown_devices"] == 1


def test_two_devices_may_share_a_dev_addr(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    monkeypatch.setattr("siel_gateway.edge.server.dev_addr.draw", lambda block, random_bytes: 0x02001234)
    first, second = site.join(0), site.join(1)
    assert first.dev_addr == second.dev_addr
    assert site.hear(first.uplink()).observations[0].dev_eui == first.dev_eui
    assert site.hear(second.uplink()).observations[0].dev_eui == second.dev_eui


def test_copy_within_200_ms_makes_no_second_observation_and_no_second_answer() -> None:
    site = Site()
    phy = site.join().uplink(confirmed=True)
    assert site.hear(phy).transmissions
    at_us = site.now_us
    site.wait(0.01)
    for moment in (at_us + COPY_US, at_us - COPY_US):
        effects = site.hear(phy, radio="two", at_us=moment)
        assert (effects.observations, effects.transmissions) == ([], [])
    assert site.edge.counters["copies"] == 2


def test_repeat_is_acknowledged_again_but_observed_once() -> None:
    site = Site()
    node = site.join()
    phy = node.uplink(confirmed=True)
    first = only_request(site.hear(phy))
    site.wait(REPEAT_US / 1e6)
    effects = site.hear(phy)
    second = only_request(effects)
    assert effects.observations == []
    assert site.edge.counters["repeats"] == 1
    assert node.hear(second.phy_payload)[1].ack
    assert node.hear(second.phy_payload)[0] > node.hear(first.phy_payload)[0]


def test_repeat_of_an_unconfirmed_uplink_gets_no_answer() -> None:
    site = Site()
    phy = site.join().uplink()
    site.hear(phy)
    site.wait(5)
    assert site.hear(phy).transmissions == []


def test_repeat_is_acknowledged_at_most_15_times() -> None:
    site = Site()
    node = site.join()
    phy = node.uplink(confirmed=True)
    site.hear(phy)
    answered = 0
    for _ in range(MAX_REPEAT_ANSWERS + 1):
        site.wait(3)
        answered += len(site.hear(phy).transmissions)
    assert answered == MAX_REPEAT_ANSWERS
    assert site.edge.counters["answers_exhausted"] == 1
    assert site.hear(node.uplink(confirmed=True)).transmissions  # the next frame starts anew


def test_same_frame_after_120_s_is_a_replay() -> None:
    site = Site()
    phy = site.join().uplink(confirmed=True)
    site.hear(phy)
    site.now_us += REPEAT_US + 1
    effects = site.hear(phy)
    assert (effects.observations, effects.transmissions) == ([], [])
    assert site.edge.counters["replays"] == 1
    assert not effects.verified, "anybody can send it again and again, and would flush the journal"


def test_join_request_sent_again_later_is_kept_like_a_strangers_frame() -> None:
    site = Site()
    phy = site.nodes[0].join_request()
    assert site.hear(phy).verified
    site.wait(60)
    effects = site.hear(phy)
    assert [event.name for event in effects.events] == ["dev_nonce_used"]
    assert not effects.verified


def test_lower_counter_on_air_later_is_a_replay() -> None:
    site = Site()
    node = site.join()
    lost = node.uplink(b"jammed and kept", confirmed=True)
    site.hear(node.uplink())
    site.wait(1)
    effects = site.hear(lost)
    assert (effects.observations, effects.transmissions) == ([], [])
    assert site.edge.counters["replays"] == 1
    assert [event.name for event in effects.events] == ["replay"]


def test_lower_counter_heard_earlier_but_delivered_late_is_observed_once_and_not_answered() -> None:
    site = Site()
    node = site.join()
    in_store = [(node.uplink(bytes([n]), confirmed=True), site.now_us + n * 15_000_000) for n in range(1, 5)]
    site.wait(80)
    site.hear(node.uplink())
    for _ in range(2):
        site.store.commit()
        site.restart()
        for phy, at_us in in_store:
            assert site.hear(phy, radio="two", at_us=at_us).transmissions == []
    assert site.edge.counters["replays"] == 0
    assert site.edge.counters["copies"] == 4


@pytest.mark.parametrize(("concentrator", "answers"), [(False, 3), (True, None)])
def test_the_chip_that_heard_it_answers_and_a_concentrators_channel_does_not(
    concentrator: bool, answers: int | None
) -> None:
    site = Site()
    node = site.nodes[0]
    accept = only_request(site.hear(node.join_request(), chip=3, concentrator=concentrator))
    node.hear_accept(accept.phy_payload)
    site.wait(10)
    answer = only_request(site.hear(node.uplink(confirmed=True), chip=3, concentrator=concentrator))
    assert (accept.chip, answer.chip) == (answers, answers)


def test_frames_delivered_late_are_all_observed() -> None:
    site = Site()
    node = site.join()
    frames = [(node.uplink(bytes([n])), site.now_us + n * 15_000_000) for n in range(LATE_FRAMES + 2)]
    site.wait(15 * (LATE_FRAMES + 2))
    newest, *rest = reversed(frames)
    assert site.hear(newest[0], at_us=newest[1]).observations
    seen = [bool(site.hear(phy, radio="two", at_us=at_us).observations) for phy, at_us in rest]
    assert seen == [True] * LATE_FRAMES + [False]  # one further back than the server remembers


def test_late_frames_are_observed_with_their_age_and_answered_only_in_time() -> None:
    site = Site()
    node = site.join()
    at_us = site.now_us
    site.wait(1.5)
    effects = site.hear(node.uplink(confirmed=True), at_us=at_us)
    assert effects.observations[0].late_s == 1.5
    assert [window.name for window in only_request(effects).windows] == ["RX2"]
    site.wait(0.5)
    effects = site.hear(node.uplink(confirmed=True), at_us=at_us)
    assert effects.observations[0].late_s == 2
    assert effects.transmissions == []
    assert site.edge.counters["answers_too_late"] == 1


@pytest.mark.parametrize("step", [1, 2, 0x7FFF, 0xFFFF, 0x10000 - 1])
def test_frame_counter_is_rebuilt_over_any_step_of_16_bits(step: int) -> None:
    site = Site()
    node = site.join()
    site.hear(node.uplink())
    for _ in range(3):
        site.wait(60)
        (observation,) = site.hear(node.uplink(step=step)).observations
        assert observation.f_cnt == node.f_cnt


def test_replay_from_before_the_16_bit_rollover_is_a_replay_not_a_wrong_mic() -> None:
    site = Site()
    node = site.join()
    old = node.uplink(step=0xFFF1)
    site.hear(old)
    site.wait(60)
    site.hear(node.uplink(step=0x20))
    site.wait(60)
    site.hear(old)
    assert (site.edge.counters["replays"], site.edge.counters["mic_failures"]) == (1, 0)


def test_session_survives_a_restart() -> None:
    site = Site()
    node = site.join()
    first = node.uplink()
    site.hear(first)
    site.store.commit()
    site.wait(10)
    site.restart()
    assert site.hear(first).observations == []
    assert site.hear(node.uplink()).observations[0].f_cnt == 1


def test_session_keys_do_not_lie_in_clear_in_the_journal() -> None:
    site = Site()
    node = site.join()
    site.hear(node.uplink())
    site.store.commit()
    assert node.keys is not None
    on_disk = b"".join(site.store.committed.values())
    assert len(on_disk) > 100
    for key in (*node.keys, node.app_key):
        assert key not in on_disk
        assert key.hex() not in repr(site.edge._sessions.__dict__)


def test_session_of_another_key_file_is_reported_and_the_device_may_join_again() -> None:
    site = Site()
    node = site.join()
    site.store.commit()
    site.key_store = KeyStore.in_memory({node.dev_eui: node.app_key for node in site.nodes})
    site.edge = EdgeServer(
        [EdgeDevice(dev_eui=node.dev_eui, join_eui=JOIN_EUI, name="", codec=Echo())],
        site.key_store.get,
        heard=HEADS,
        gateway_id=GATEWAY,
        sealer=site.key_store.sealer(),
        random_bytes=Random(1).randbytes,
    )
    effects = site.edge.load(site.store.items, site.now_us)
    assert [event.name for event in effects.events] == ["edge_state_unreadable"]
    for reservation in site.edge.initial_reservations():
        site.edge.grant(reservation, site.store.reserve(reservation))
    assert site.hear(encode_join_request(node.app_key, JOIN_EUI, node.dev_eui, 1)).transmissions == []
    assert site.hear(node.join_request()).transmissions


# -- answers ----------------------------------------------------------------------------------------------------------


def test_confirmed_uplink_is_acknowledged_by_the_radio_that_heard_it() -> None:
    site = Site(rx1_delay_s=2)
    node = site.join()
    effects = site.hear(node.uplink(confirmed=True), radio="two", frequency_hz=868_500_000)
    (transmission,) = effects.transmissions
    request = transmission.request
    assert not transmission.after_commit  # no answer waits for a disk
    assert request.radio == "two"
    rx1, rx2 = request.windows
    assert (rx1.counter_us, rx1.frequency_hz, rx1.spreading_factor) == (site.now_us + 2_000_000, 868_500_000, 7)
    assert (rx2.counter_us, rx2.frequency_hz, rx2.spreading_factor) == (site.now_us + 3_000_000, 869_525_000, 12)
    f_cnt, frame, payload = node.hear(request.phy_payload)
    assert (f_cnt, frame.ack, frame.f_port, payload, frame.f_opts) == (0, True, None, b"", b"")


def test_adr_ack_req_is_always_answered() -> None:
    site = Site()
    node = site.join()
    assert not node.hear(only_request(site.hear(node.uplink(adr=True, adr_ack_req=True))).phy_payload)[1].ack


def test_no_link_adr_req_when_the_radios_hear_what_the_device_uses() -> None:
    for heard in (HEADS, CONCENTRATOR):
        site = Site(heard)
        assert site.hear(site.join().uplink()).transmissions == []


def test_link_adr_req_until_the_device_answers() -> None:
    site = Site(ONE_HEAD)
    node = site.join()
    for _ in range(3):  # lost twice
        site.wait(60)
        _, frame, _ = node.hear(only_request(site.hear(node.uplink())).phy_payload)
        assert commands_of(frame) == {
            "LinkADRReq": {"data_rate": 5, "tx_power": 0, "ch_mask": 1, "ch_mask_cntl": 0, "nb_trans": 1}
        }
    site.store.commit()
    site.restart()  # the answer finds its request after a restart too
    answer = encode_mac_command("LinkADRAns", power_ack=True, data_rate_ack=True, channel_mask_ack=True)
    assert site.hear(node.uplink(f_opts=answer)).transmissions == []
    assert site.hear(node.uplink()).transmissions == []


def test_link_adr_ans_on_port_0_counts_too() -> None:
    site = Site(ONE_HEAD)
    node = site.join()
    site.hear(node.uplink())
    answer = encode_mac_command("LinkADRAns", power_ack=True, data_rate_ack=True, channel_mask_ack=True)
    assert site.hear(node.uplink(answer, f_port=0)).transmissions == []


def test_refused_link_adr_req_is_not_asked_again() -> None:
    site = Site(ONE_HEAD)
    node = site.join()
    site.hear(node.uplink())
    answer = encode_mac_command("LinkADRAns", power_ack=True, data_rate_ack=False, channel_mask_ack=True)
    effects = site.hear(node.uplink(f_opts=answer))
    assert effects.transmissions == []
    assert "link_adr_refused" in [event.name for event in effects.events]


def test_link_adr_req_uses_the_data_rate_of_the_head_that_heard() -> None:
    site = Site([(868_100_000, 7, 125_000), (868_300_000, 9, 125_000), (868_500_000, 9, 125_000)])
    node = site.join(spreading_factor=9, frequency_hz=868_300_000)
    _, frame, _ = node.hear(
        only_request(site.hear(node.uplink(), spreading_factor=9, frequency_hz=868_500_000)).phy_payload
    )
    assert commands_of(frame)["LinkADRReq"]["data_rate"] == 3
    assert commands_of(frame)["LinkADRReq"]["ch_mask"] == 0b110


def test_no_link_adr_req_on_the_word_of_another_bandwidth() -> None:
    site = Site(ONE_HEAD)
    node = site.join()
    assert site.hear(node.uplink(), bandwidth_hz=250_000).transmissions == []


def test_link_check_is_answered_with_the_margin() -> None:
    site = Site()
    node = site.join()
    request = only_request(site.hear(node.uplink(f_opts=encode_mac_command("LinkCheckReq") * 15), snr_db=2.5))
    assert commands_of(node.hear(request.phy_payload)[1]) == {"LinkCheckAns": {"margin_db": 10, "gw_cnt": 1}}


def test_unknown_mac_command_ends_the_list() -> None:
    site = Site()
    node = site.join()
    effects = site.hear(node.uplink(f_opts=b"\x80" + encode_mac_command("LinkCheckReq")))
    assert effects.transmissions == []
    assert effects.observations
    assert "mac_command_unknown" in [event.name for event in effects.events]


def test_without_a_reserved_counter_there_is_no_answer() -> None:
    site = Site()
    node = site.join()
    site.edge._f_cnt_down[node.dev_eui]._ranges.clear()
    effects = site.hear(node.uplink(confirmed=True))
    assert effects.transmissions == []
    assert effects.observations
    assert site.edge.counters["answers_refused"] == 1


def test_new_block_is_asked_for_before_the_old_one_ends() -> None:
    site = Site()
    node = site.join()
    left = []
    for _ in range(41):
        effects = site.hear(node.uplink(confirmed=True))
        assert effects.transmissions
        left.append(len(effects.reservations))
    assert sum(left) == 3


# -- operators' downlinks ---------------------------------------------------------------------------------------------


def test_downlink_waits_for_an_uplink_and_its_outcome_is_told() -> None:
    site = Site()
    node = site.join()
    assert site.enqueue(node, "a", b"open") == [("queued", "")]
    request = only_request(site.hear(node.uplink()))
    _, frame, payload = node.hear(request.phy_payload)
    assert (frame.f_port, payload, frame.confirmed, frame.f_pending) == (3, b"open", False, False)
    (delivery,) = site.outcome(request, "on_air", slack_us=800_000)
    assert (delivery.id, delivery.outcome, delivery.slack_us) == ("a", "on_air", 800_000)
    assert site.hear(node.uplink()).transmissions == []


def test_what_a_forwarder_has_queued_is_not_called_on_air() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a")
    (delivery,) = site.outcome(only_request(site.hear(node.uplink())), "queued")
    assert (delivery.outcome, delivery.reason) == ("queued", "FORWARDER")
    assert site.hear(node.uplink()).transmissions == []


def test_refused_transmission_is_tried_again_with_the_next_uplink() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", b"open")
    (delivery,) = site.outcome(only_request(site.hear(node.uplink())), "too_late", "TOO_LATE", -300)
    assert (delivery.outcome, delivery.reason, delivery.slack_us) == ("queued", "TOO_LATE", -300)
    assert node.hear(only_request(site.hear(node.uplink())).phy_payload)[2] == b"open"


def test_one_downlink_is_on_its_way_at_a_time_and_f_pending_tells_of_more() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a")
    site.enqueue(node, "b")
    request = only_request(site.hear(node.uplink()))
    assert node.hear(request.phy_payload)[1].f_pending
    assert site.hear(node.uplink()).transmissions == []  # the outcome of "a" is not known yet
    site.outcome(request, "on_air")
    assert not node.hear(only_request(site.hear(node.uplink())).phy_payload)[1].f_pending


def test_confirmed_downlink_is_repeated_until_acked() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", confirmed=True)
    for _ in range(2):
        request = only_request(site.hear(node.uplink()))
        assert node.hear(request.phy_payload)[1].confirmed
        assert [delivery.outcome for delivery in site.outcome(request, "on_air")] == ["on_air"]
        site.store.commit()
        site.restart()
    assert deliveries(site.hear(node.uplink(ack=True))) == [("acked", "")]
    assert site.hear(node.uplink()).transmissions == []


def test_confirmed_downlink_is_given_up_after_eight_times() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", confirmed=True)
    for _ in range(8):
        site.outcome(only_request(site.hear(node.uplink())), "on_air")
    effects = site.hear(node.uplink())
    assert (deliveries(effects), effects.transmissions) == ([("expired", "NO_ACK")], [])


def test_ack_finds_a_downlink_whose_outcome_stayed_unknown() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", confirmed=True)
    site.outcome(only_request(site.hear(node.uplink())), "unknown", "NO_RADIO")
    assert deliveries(site.hear(node.uplink(ack=True))) == [("acked", "")]


def test_expired_downlink_is_not_sent() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", expires_ms=site.now.utc_ms + 1000)
    site.wait(1)
    effects = site.hear(node.uplink())
    assert (deliveries(effects), effects.transmissions) == ([("expired", "")], [])
    site.enqueue(node, "b", expires_ms=site.now.utc_ms + 1000)
    assert deliveries(site.edge.expire(site.now.utc_ms + 999)) == []
    assert deliveries(site.edge.expire(site.now.utc_ms + 1000)) == [("expired", "")]


def test_downlinks_that_can_never_be_sent_are_refused_at_once() -> None:
    site = Site()
    node = site.join()
    assert site.enqueue(node, "a") == [("queued", "")]
    assert site.enqueue(node, "a") == [("queued", "")]  # a broker may deliver twice
    assert site.enqueue(node, "a", b"other") == [("refused", "DUPLICATE_ID")]
    assert site.enqueue(node, "") == [("refused", "ID")]
    assert site.enqueue(node, "x" * 129) == [("refused", "ID")]
    assert site.enqueue(node, "b", f_port=0) == [("refused", "F_PORT")]
    assert site.enqueue(node, "b", f_port=224) == [("refused", "F_PORT")]
    assert site.enqueue(node, "b", bytes(243)) == [("refused", "SIZE")]
    assert site.enqueue(node, "b", expires_ms=site.now.utc_ms) == [("expired", "")]
    assert site.enqueue(Node(99), "b") == [("refused", "UNKNOWN_DEVICE")]
    for number in range(MAX_QUEUED - 1):
        assert site.enqueue(node, f"more {number}", bytes(242)) == [("queued", "")]
    assert site.enqueue(node, "b") == [("refused", "QUEUE_FULL")]


def test_long_downlink_goes_out_in_rx1_only_and_never_at_a_slow_data_rate() -> None:
    site = Site(CONCENTRATOR)
    node = site.join()
    site.enqueue(node, "a", bytes(52))
    request = only_request(site.hear(node.uplink()))
    assert [window.name for window in request.windows] == ["RX1"]
    site.outcome(request, "too_late", "TOO_LATE")
    effects = site.hear(node.uplink(), spreading_factor=12)
    assert (deliveries(effects), effects.transmissions) == ([("refused", "SIZE")], [])


def test_mac_commands_come_before_a_downlink_that_has_no_room_beside_them() -> None:
    site = Site([(868_100_000, 12, 125_000)])
    node = site.join(spreading_factor=12)
    site.enqueue(node, "a", bytes(51))
    _, frame, payload = node.hear(only_request(site.hear(node.uplink(), spreading_factor=12)).phy_payload)
    assert (list(commands_of(frame)), payload, frame.f_pending) == (["LinkADRReq"], b"", True)


def test_queue_and_remembered_ids_survive_a_restart() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", b"open")
    site.store.commit()
    site.restart()
    assert site.enqueue(node, "a", b"open") == [("queued", "")]
    request = only_request(site.hear(node.uplink()))
    assert node.hear(request.phy_payload)[2] == b"open"
    site.outcome(request, "on_air")
    assert site.enqueue(node, "a", b"open") == [("refused", "DUPLICATE_ID")]
    assert site.hear(node.uplink()).transmissions == []


# -- whatever comes ---------------------------------------------------------------------------------------------------


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
