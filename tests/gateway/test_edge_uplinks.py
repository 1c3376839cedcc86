"""The edge server's uplinks: what becomes an observation, what is a copy, a repeat or a replay."""

from __future__ import annotations

from random import Random

import pytest

from siel_codecs.lorawan import encode_data_up, encode_join_request, encode_mac_command
from siel_gateway.edge import EdgeDevice, EdgeServer
from siel_gateway.edge.uplinks import COPY_US, LATE_FRAMES, MAX_REPEAT_ANSWERS, REPEAT_US
from siel_gateway.keystore import KeyStore
from siel_hil.rigs.edge_site import GATEWAY, HEADS, JOIN_EUI, Echo, Site, only_request


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
