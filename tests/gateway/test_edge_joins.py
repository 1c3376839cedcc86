"""The edge server's joins: who gets in, what the accept says, and which DevNonce is spent."""

from __future__ import annotations

from siel_codecs.lorawan import encode_join_request
from siel_gateway.edge import EdgeDevice
from siel_gateway.edge.uplinks import COPY_US
from siel_hil.rigs.edge_site import CONCENTRATOR, JOIN_EUI, Echo, Site, only_request


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
