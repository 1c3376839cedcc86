# What the certification cases of a LoRaWAN 1.0.4 class A device pin of uplinks and downlinks.
from tests.firmware.dual.cases import case, equal, run
from tests.firmware.dual.network import joined, pairs
from tests.firmware.dual.peers import CF_LIST, answering, saying

from siel_node import mac, state


@case
def uplinks_count_from_zero_and_carry_no_adr_bit() -> None:
    shell, server = joined()
    for f_cnt in range(40):
        shell.exchange()
        confirmed, f_ctrl, _, _, _, _ = server.uplink(shell.frames[-1][4], f_cnt)
        equal((confirmed, f_ctrl), (False, 0))


@case
def f_cnt_up_is_reserved_before_it_is_used() -> None:
    shell, _ = joined()
    for f_cnt in range(100):
        shell.exchange()
        restarted = state.State(shell.state.tag)
        restarted.unpack(shell.stored)
        equal(restarted.f_cnt_up > f_cnt, True)
    equal(shell.log.count("persist"), 4)


@case
def f_cnt_up_goes_on_beyond_16_bits() -> None:
    shell, server = joined()
    shell.state.f_cnt_up = 65535
    for f_cnt in (65535, 65536, 65537):
        shell.exchange()
        equal(server.uplink(shell.frames[-1][4], f_cnt)[5], b"\x01\x02")


@case
def a_spent_f_cnt_up_leads_to_a_new_join() -> None:
    shell, server = joined()
    shell.state.f_cnt_up = 0xFFFF0000
    shell.air = lambda phy, window: server.join_accept(phy)
    shell.until_idle()
    equal((shell.state.f_cnt_up, len(server.dev_nonces)), (0, 2))


@case
def no_flash_write_between_transmission_and_rx2() -> None:
    shell, server = joined()
    answering(shell, server, f_opts=b"\x06", confirmed=True)
    for _ in range(70):
        shell.exchange()
    for before, after in pairs(shell.log):
        if before == "transmit" or (before, after) == ("listen", "listen"):
            equal(after, "listen")


@case
def an_uplink_without_port_carries_nothing() -> None:
    shell, server = joined()
    shell.exchange(b"", f_port=-1)
    equal(server.uplink(shell.frames[0][4])[4:], (-1, b""))


@case
def a_payload_that_is_too_long_for_the_data_rate_is_refused() -> None:
    shell, _ = joined(join_dr=0)
    equal(shell.mac.room(), 51)
    equal(shell.mac.send(1, bytes(52)), False)
    equal(shell.mac.send(1, bytes(51)), True)
    equal(shell.mac.send(1, b""), False, "busy")


@case
def unconfirmed_uplink_is_repeated_nb_trans_times_with_the_same_bytes() -> None:
    shell, _ = joined()
    shell.state.nb_trans = 3
    shell.exchange()
    equal(len(shell.frames), 3)
    equal(len({frame[4] for frame in shell.frames}), 1)
    for earlier, later in pairs(shell.frames):
        equal(earlier[1] != later[1], True, "channel")
        equal(later[0] - earlier[0] > 2000, True)
    equal(len(shell.windows), 6)


@case
def any_downlink_ends_the_repeats() -> None:
    shell, server = joined()
    shell.state.nb_trans = 5
    answering(shell, server)
    shell.exchange()
    equal((len(shell.frames), len(shell.windows)), (1, 1))


@case
def confirmed_uplink_is_acknowledged() -> None:
    shell, server = joined()
    answering(shell, server, ack=True)
    shell.exchange(confirmed=True)
    equal((server.uplink(shell.frames[0][4])[0], shell.mac.acknowledged), (True, True))


@case
def an_ack_for_an_unconfirmed_uplink_means_nothing() -> None:
    shell, server = joined()
    answering(shell, server, ack=True)
    shell.exchange()
    equal(shell.mac.acknowledged, None)


@case
def confirmed_uplink_without_ack_is_repeated_and_reported() -> None:
    shell, server = joined()
    shell.state.nb_trans = 2
    shell.exchange(confirmed=True)
    equal((len(shell.frames), shell.mac.acknowledged), (2, False))
    answering(shell, server)
    shell.exchange(confirmed=True)
    equal((len(shell.frames), shell.mac.acknowledged), (3, False))
    shell.exchange()
    equal(shell.mac.acknowledged, None)


@case
def every_channel_has_its_turn_before_one_has_another_and_none_comes_twice_in_a_row() -> None:
    shell, _ = joined(cf_list=CF_LIST)
    for _ in range(40):
        shell.exchange()
    used = [frame[1] for frame in shell.frames]
    # the join-request took a turn of the first round
    for turns in [used[:7]] + [used[start : start + 8] for start in range(7, 39, 8)]:
        equal(len(set(turns)), len(turns))
    for earlier, later in pairs(used):
        equal(earlier != later, True)


@case
def duty_cycle_holds_an_uplink_back_and_no_longer_than_needed() -> None:
    shell, _ = joined(join_dr=0)
    for _ in range(30):
        shell.exchange(bytes(51))
    times = [frame[0] for frame in shell.frames]
    for start in times:
        spent = [frame for frame in shell.frames if start - 3600000 < frame[0] <= start]
        equal(len(spent) * 2793 <= 36000, True)
    equal(times[11] - times[0] < 60000, True, "the first twelve fit in one budget")


@case
def with_two_sub_bands_spent_the_first_to_be_free_decides() -> None:
    shell, _ = joined(cf_list=CF_LIST)
    duty_cycle = shell.mac.duty_cycle
    duty_cycle.spend(10, 867100000, 36000000)
    duty_cycle.spend(200, 868100000, 36000000)
    shell.exchange()
    equal((shell.frames[0][0] // 1000, shell.frames[0][1] // 1000000), (3660, 867))


@case
def a_repeat_does_not_wait_for_the_duty_cycle() -> None:
    shell, _ = joined(join_dr=0)
    shell.state.nb_trans = 15
    before_ms = shell.now_ms
    shell.exchange(bytes(51))
    equal(len(shell.frames), 12)
    equal(shell.now_ms - before_ms < 120000, True)


@case
def a_radio_that_fails_ends_the_exchange_and_uses_up_the_counter() -> None:
    shell, server = joined()
    shell.mac.send(1, b"a")
    while shell.mac.step(shell.now_ms) != mac.TRANSMIT:
        shell.step()
    shell.mac.failed(shell.now_ms)
    shell.exchange(b"b")
    equal(server.uplink(shell.frames[0][4], 1)[5], b"b")


@case
def downlink_reaches_the_application_after_its_counter_is_stored() -> None:
    shell, server = joined()
    shell.exchange()
    del shell.log[:]
    answering(shell, server, f_port=7, payload=b"open the gate")
    shell.exchange()
    equal(shell.log, ["transmit", "listen", "heard", "persist", "deliver"])
    equal(shell.delivered, [(7, b"open the gate")])
    restarted = state.State(shell.state.tag)
    restarted.unpack(shell.stored)
    equal(restarted.f_cnt_down, 1)


@case
def downlink_in_rx2_is_heard() -> None:
    shell, server = joined()
    shell.air = lambda phy, window: server.down(f_port=1, payload=b"x") if window else None
    shell.exchange()
    equal(shell.delivered, [(1, b"x")])


@case
def a_repeated_or_older_downlink_is_dropped() -> None:
    shell, server = joined()
    for f_cnt, delivered in ((5, 1), (5, 1), (4, 1), (0, 1), (6, 2), (40000, 3), (39999, 3)):
        shell.air = saying(server, f_cnt)
        shell.exchange()
        equal(len(shell.delivered), delivered, f"FCnt {f_cnt}")


@case
def f_cnt_down_goes_on_beyond_16_bits() -> None:
    shell, server = joined()
    for f_cnt in (65535, 65536, 130000):
        shell.air = saying(server, f_cnt)
        shell.exchange()
        equal(shell.state.f_cnt_down, f_cnt + 1)


@case
def a_downlink_with_a_wrong_mic_or_address_is_dropped_and_rx2_opens() -> None:
    shell, server = joined()
    for position in (1, 6, 8, -1):

        def air(phy: bytes, window: int, position: int = position) -> bytes:
            broken = bytearray(server.down(f_port=1, payload=b"x"))
            broken[position] ^= 0x10
            return bytes(broken)

        shell.air = air
        before = len(shell.windows)
        shell.exchange()
        equal((len(shell.windows) - before, shell.delivered), (2, []))


@case
def reserved_bits_of_a_downlink_s_header_are_ignored_and_another_major_version_is_dropped() -> None:
    shell, server = joined()
    for reserved, delivered in ((0x04, 1), (0x1C, 2), (0x01, 2), (0x02, 2)):
        answering(shell, server, f_port=7, payload=b"x", reserved=reserved)
        shell.exchange()
        equal(len(shell.delivered), delivered, f"bits {reserved}")


@case
def a_downlink_longer_than_its_data_rate_may_carry_is_dropped() -> None:
    for join_dr, longest in ((0, 51), (3, 115), (5, 242)):
        shell, server = joined(join_dr=join_dr)
        answering(shell, server, f_port=7, payload=bytes(longest))
        shell.exchange()
        answering(shell, server, f_port=7, payload=bytes(longest + 1))
        shell.exchange()
        equal([len(payload) for _, payload in shell.delivered], [longest])


@case
def confirmed_downlink_is_acknowledged_once_with_the_next_uplink() -> None:
    shell, server = joined()
    answering(shell, server, confirmed=True, f_port=1, payload=b"x")
    shell.exchange()
    shell.exchange()
    shell.exchange()
    equal([server.uplink(frame[4])[1] for frame in shell.frames], [0, 0x20, 0])


@case
def reserved_ports_are_dropped() -> None:
    shell, server = joined()
    for f_port in (224, 255):
        answering(shell, server, f_port=f_port, payload=b"x")
        shell.exchange()
    equal(shell.delivered, [])


@case
def commands_in_f_opts_and_on_port_0_at_once_make_the_frame_invalid() -> None:
    shell, server = joined()
    shell.air = lambda phy, window: server.down(f_opts=b"\x06", f_port=0, payload=b"\x06")
    shell.exchange()
    equal((shell.state.f_cnt_down, len(shell.windows)), (0, 2))


run()
