"""What the edge server says to a device unasked by people: acknowledgements and MAC commands."""

from __future__ import annotations

from siel_codecs.lorawan import encode_mac_command
from siel_hil.rigs.edge_site import CONCENTRATOR, HEADS, ONE_HEAD, Site, commands_of, only_request


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
