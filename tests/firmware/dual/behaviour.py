# What the certification cases of a LoRaWAN 1.0.4 class A device pin, as far as this version goes.
from tests.firmware.dual.cases import case, equal, run
from tests.firmware.dual.network import Server, Shell, identity, joined, pairs

from siel_node import mac, mac_commands, region_eu868, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CF_LIST = b"\x18\x4f\x84\xe8\x56\x84\xb8\x5e\x84\x88\x66\x84\x58\x6e\x84\x00"


def answering(shell: Shell, server: Server, **down: "Any") -> None:
    # The next frame gets one downlink in RX1, what follows gets silence.
    left = [1]

    def air(phy: bytes, window: int) -> bytes | None:
        if left and window == 0:
            left.pop()
            return server.down(**down)
        return None

    shell.air = air


def accepting(server: Server, join_nonce: int) -> "Callable[[bytes, int], bytes]":
    return lambda phy, window: server.join_accept(phy, join_nonce=join_nonce)


def admitting(server: Server) -> "Callable[[bytes, int], bytes | None]":
    return lambda phy, window: None if phy[0] else server.join_accept(phy)


def saying(server: Server, f_cnt: int) -> "Callable[[bytes, int], bytes]":
    return lambda phy, window: server.down(f_port=1, payload=b"x", f_cnt=f_cnt)


def f_opts_after(shell: Shell, server: Server, commands: bytes, port0: bool = False) -> bytes:
    # Sends the commands with one uplink's answer and returns the FOpts of the uplink after it.
    if port0:
        answering(shell, server, f_port=0, payload=commands)
    else:
        answering(shell, server, f_opts=commands)
    shell.exchange()
    shell.exchange()
    return server.uplink(shell.frames[-1][4])[3]


# --- activation ---------------------------------------------------------------------------------------------------


@case
def dev_nonce_is_stored_before_its_join_request_is_sent() -> None:
    shell = Shell()
    equal(shell.step(), mac.PERSIST)
    after_cut = state.State(shell.state.tag)
    after_cut.unpack(shell.stored)
    equal(shell.step(), mac.TRANSMIT)
    sent = shell.frames[0][4]
    equal(after_cut.dev_nonce > (sent[17] | sent[18] << 8), True)


@case
def dev_nonce_counts_up_from_zero() -> None:
    shell = Shell()
    while len(shell.frames) < 5:
        shell.step()
    equal([frame[4][17] | frame[4][18] << 8 for frame in shell.frames], [0, 1, 2, 3, 4])
    equal(shell.mac.nonces_left, 65536 - 5)


@case
def no_join_request_when_the_dev_nonces_are_spent() -> None:
    shell = Shell()
    shell.state.dev_nonce = 65535
    for _ in range(30):
        shell.step()
    equal(len(shell.frames), 1)
    equal(shell.mac.nonces_left, 0)


@case
def join_request_goes_out_on_all_default_channels_at_the_fixed_data_rate() -> None:
    shell = Shell(join_dr=3)
    while len(shell.frames) < 30:
        shell.step()
    equal(sorted({frame[1] for frame in shell.frames}), list(region_eu868.DEFAULT_CHANNELS_HZ))
    equal({frame[2] for frame in shell.frames}, {3})
    equal({frame[3] for frame in shell.frames}, {16})


@case
def join_windows_open_after_5_and_6_seconds() -> None:
    shell = Shell()
    while len(shell.windows) < 2:
        shell.step()
    (open1, frequency1, dr1, _), (open2, frequency2, dr2, _) = shell.windows
    equal((open1 // 1000, frequency1, dr1), (4990, shell.frames[0][1], 5))
    equal((open2 // 1000, frequency2, dr2), (6031, 869525000, 0))


@case
def join_accept_in_rx1_is_stored_before_the_first_uplink() -> None:
    shell, server = joined()
    restarted = state.State(shell.state.tag)
    restarted.unpack(shell.stored)
    equal((restarted.joined, restarted.dev_addr, restarted.join_nonce), (True, 0x02345678, 1))
    shell.exchange(b"hello")
    equal(server.uplink(shell.frames[0][4]), (False, 0, 0, b"", 10, b"hello"))


@case
def join_accept_in_rx2_joins() -> None:
    server = Server()
    shell = Shell()
    shell.air = lambda phy, window: server.join_accept(phy) if window == 1 else None
    shell.until_idle()
    equal(shell.state.joined, True)


@case
def join_accept_for_somebody_else_does_not_close_rx2() -> None:
    server = Server()
    shell = Shell()

    def air(phy: bytes, window: int) -> bytes | None:
        accept = bytearray(server.join_accept(phy))
        if window == 0:
            accept[5] ^= 1
        return bytes(accept)

    shell.air = air
    shell.until_idle()
    equal(shell.log.count("noise"), 1)
    equal(shell.log.count("transmit"), 1)


@case
def reserved_bits_of_a_join_accept_s_header_are_ignored() -> None:
    server = Server()
    shell = Shell()
    shell.air = lambda phy, window: server.join_accept(phy, reserved=0x1C)
    shell.until_idle()
    equal((shell.state.joined, shell.log.count("transmit")), (True, 1))


@case
def join_nonce_that_does_not_grow_is_refused() -> None:
    shell, server = joined()
    shell.state.joined = False
    for join_nonce in (0, 1):
        shell.air = accepting(server, join_nonce)
        for _ in range(8):
            shell.step()
        equal(shell.state.joined, False)
    shell.air = lambda phy, window: server.join_accept(phy, join_nonce=2)
    shell.until_idle()
    equal(shell.state.join_nonce, 2)


@case
def join_accept_settings_are_applied_to_the_windows() -> None:
    shell, _ = joined(settings=0x23, rx_delay=3)
    shell.exchange()
    (open1, frequency1, dr1, _), (open2, frequency2, dr2, _) = shell.windows
    equal((dr1, frequency1), (3, shell.frames[0][1]))
    equal((dr2, frequency2), (3, 869525000))
    equal(open1 - mac.rx_window(9, 125000, 10000)[1], 3000000)
    equal(open2 - mac.rx_window(9, 125000, 10000)[1], 4000000)


@case
def rx_delay_0_means_1_second() -> None:
    shell, _ = joined(rx_delay=0)
    equal(shell.state.rx_delay_s, 1)


@case
def rx1_data_rate_never_goes_below_0() -> None:
    shell, _ = joined(settings=0x50, join_dr=2)
    shell.exchange()
    equal(shell.windows[0][2], 0)


@case
def cf_list_adds_five_channels() -> None:
    shell, _ = joined(cf_list=CF_LIST)
    equal(shell.state.channel_mask, 0xFF)
    for _ in range(40):
        shell.exchange()
    used = {frame[1] for frame in shell.frames}
    equal(used <= set(region_eu868.DEFAULT_CHANNELS_HZ + region_eu868.USUAL_CHANNELS_HZ), True)
    equal(len(used) > 3, True)


@case
def cf_list_of_another_type_is_ignored() -> None:
    shell, _ = joined(cf_list=CF_LIST[:15] + b"\x01")
    equal(shell.state.channel_mask, 7)


@case
def cf_list_frequency_outside_every_sub_band_is_ignored() -> None:
    shell, _ = joined(cf_list=b"\xb8\x8c\x84" + bytes(12) + b"\x00")  # 868.650 MHz
    equal(shell.state.channel_mask, 7)


@case
def join_retries_are_quick_first_and_spread() -> None:
    shell = Shell()
    while len(shell.frames) < 10:
        shell.step()
    for earlier, later in pairs(shell.frames):
        equal(8000 <= later[0] - earlier[0] <= 15000, True)


@case
def join_airtime_keeps_its_budget() -> None:
    # 36 s in the first hour, 36 s in the ten after it, 8.7 s in any day from then on
    for dr in range(6):
        for random in (lambda n: 0, lambda n: n - 1):
            who = identity(join_dr=dr)
            device = mac.Mac(who, state.State(who.tag), random)
            now_ms = 0
            hours: list[int] = []
            while now_ms < 72 * 3600000:
                action = device.step(now_ms)
                if action == mac.PERSIST:
                    device.state.dirty = False
                elif action == mac.TRANSMIT:
                    while len(hours) <= now_ms // 3600000:
                        hours.append(0)
                    hours[-1] += device.tx_airtime_us
                    device.sent(now_ms)
                elif action == mac.LISTEN:
                    device.silent(now_ms + 6200)
                else:
                    now_ms = device.wake_ms
            equal(0 < hours[0] <= 36000000, True, f"dr {dr}")
            equal(0 < sum(hours[1:11]) <= 36000000, True, f"dr {dr}")
            for hour in range(11, 48):
                equal(sum(hours[hour : hour + 24]) <= 8700000, True, f"dr {dr}")


# --- uplinks ------------------------------------------------------------------------------------------------------


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


# --- downlinks ----------------------------------------------------------------------------------------------------


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


# --- MAC commands -------------------------------------------------------------------------------------------------


@case
def dev_status_req_answers_battery_and_margin() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x06"), b"\x06\xff\x05")
    equal(f_opts_after(shell, server, b"\x06", port0=True), b"\x06\xff\x05")
    for snr_db, margin in ((-15, 0x31), (-40, 0x20), (31, 0x1F), (60, 0x1F)):
        shell.mac.battery = 1
        shell.mac.answers.restart(b"")
        mac_commands.handle(shell.mac, b"\x06", snr_db)
        equal(shell.mac.answers.data, bytes((6, 1, margin)))


@case
def answers_go_out_once() -> None:
    shell, server = joined()
    f_opts_after(shell, server, b"\x06")
    shell.exchange()
    equal(server.uplink(shell.frames[-1][4])[3], b"")


@case
def link_adr_req_is_applied_and_stored() -> None:
    shell, server = joined(cf_list=CF_LIST)
    equal(f_opts_after(shell, server, b"\x03\x32\x05\x00\x02"), b"\x03\x07")
    equal((shell.state.dr, shell.state.tx_power, shell.state.channel_mask, shell.state.nb_trans), (3, 2, 5, 2))
    equal(shell.frames[-1][2:4], (3, 12))
    equal(len(shell.frames), 3, "NbTrans 2 for the uplink after it")
    restarted = state.State(shell.state.tag)
    restarted.unpack(shell.stored)
    equal((restarted.dr, restarted.tx_power, restarted.channel_mask, restarted.nb_trans), (3, 2, 5, 2))
    for _ in range(20):
        shell.exchange()
    equal({frame[1] for frame in shell.frames[3:]}, {868100000, 868500000})


@case
def link_adr_req_keeps_with_15_and_takes_nb_trans_0_as_1() -> None:
    shell, server = joined()
    shell.state.tx_power = 3
    shell.state.nb_trans = 4
    equal(f_opts_after(shell, server, b"\x03\xff\x07\x00\x00"), b"\x03\x07")
    equal((shell.state.dr, shell.state.tx_power, shell.state.nb_trans), (5, 3, 1))


@case
def link_adr_req_is_refused_whole() -> None:
    for command, status in (
        (b"\x03\x50\x00\x00\x01", 6),  # no channel
        (b"\x03\x50\x08\x00\x01", 6),  # a channel that does not exist
        (b"\x03\x50\x07\x00\x11", 6),  # reserved ChMaskCntl
        (b"\x03\x80\x07\x00\x01", 5),  # DR8 is not ours
        (b"\x03\x58\x07\x00\x01", 3),  # TXPower 8
        (b"\x03\x88\x00\x00\x01", 0),
    ):
        shell, server = joined()
        equal(f_opts_after(shell, server, command), bytes((3, status)))
        equal((shell.state.dr, shell.state.tx_power, shell.state.channel_mask), (5, 0, 7))


@case
def link_adr_req_block_is_one_request_with_an_answer_each() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x03\x00\x01\x00\x01\x03\x21\x06\x00\x03"), b"\x03\x07\x03\x07")
    equal((shell.state.dr, shell.state.tx_power, shell.state.channel_mask, shell.state.nb_trans), (2, 1, 6, 3))
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x03\x21\x06\x00\x03\x03\x99\x01\x00\x01"), b"\x03\x01\x03\x01")
    equal((shell.state.dr, shell.state.channel_mask), (5, 7))


@case
def link_adr_req_control_6_turns_every_channel_on() -> None:
    shell, server = joined(cf_list=CF_LIST)
    shell.state.channel_mask = 1
    equal(f_opts_after(shell, server, b"\x03\xff\x00\x00\x60"), b"\x03\x07")
    equal(shell.state.channel_mask, 0xFF)


@case
def new_channel_req_on_the_default_channels_is_refused() -> None:
    shell, server = joined()
    request = b"\x07\x00\x18\x4f\x84\x50\x07\x01\x18\x4f\x84\x50"
    equal(f_opts_after(shell, server, request), b"\x07\x00\x07\x00")
    equal(f_opts_after(shell, server, b"\x07\x02\x00\x00\x00\x50"), b"\x07\x00")
    equal(shell.state.channel_mask, 7)


@case
def new_channel_req_adds_moves_and_removes_a_channel() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x07\x0f\x88\x66\x84\x50"), b"\x07\x03")
    equal((shell.state.channels_hz[15], shell.state.channel_mask), (867700000, 0x8007))
    equal(f_opts_after(shell, server, b"\x07\x0f\x18\x4f\x84\x50\x03\xff\x00\x80\x01"), b"\x07\x03\x03\x07")
    equal(shell.frames[-1][1], 867100000)
    equal(f_opts_after(shell, server, b"\x07\x0f\x00\x00\x00\x00"), b"\x07\x03")
    equal((shell.state.channels_hz[15], shell.state.channel_mask), (0, 7), "the default channels when none is left")


@case
def new_channel_req_is_refused_outside_every_sub_band_and_range() -> None:
    for command, status in (
        (b"\x07\x03\x40\x8d\x84\x50", 2),  # 868.672 MHz lies between two sub-bands
        (b"\x07\x03\x88\x66\x84\x70", 1),  # DR7 is FSK
        (b"\x07\x03\x88\x66\x84\x35", 1),  # DR5 to DR3
        (b"\x07\x03\x40\x8d\x84\x35", 0),
        (b"\x07\x10\x88\x66\x84\x50", 0),  # channel 16
    ):
        shell, server = joined()
        equal(f_opts_after(shell, server, command), bytes((7, status)))
        equal((shell.state.channel_mask, shell.state.channels_hz[3]), (7, 0))


@case
def a_data_rate_goes_out_only_on_channels_that_may_carry_it() -> None:
    shell, server = joined(cf_list=CF_LIST)
    equal(f_opts_after(shell, server, b"\x07\x03\x18\x4f\x84\x66\x03\x60\xff\x00\x01"), b"\x07\x03\x03\x07")
    for _ in range(5):
        shell.exchange()
    equal({frame[1:3] for frame in shell.frames[-5:]}, {(867100000, 6)})
    equal(f_opts_after(shell, server, b"\x03\x60\x07\x00\x01"), b"\x03\x05", "none of them carries DR6")
    equal(f_opts_after(shell, server, b"\x07\x03\x18\x4f\x84\x22"), b"\x07\x03")
    equal(shell.state.dr, 5, "what is left of a data rate without channels")


@case
def dl_channel_req_moves_rx1_until_the_channel_is_made_anew() -> None:
    shell, server = joined(cf_list=CF_LIST)
    equal(f_opts_after(shell, server, b"\x0a\x03\xf8\x7d\x84\x03\xff\x08\x00\x01"), b"\x0a\x03\x03\x07")
    equal((shell.frames[-1][1], shell.windows[-2][1], shell.windows[-1][1]), (867100000, 868300000, 869525000))
    answering(shell, server, f_opts=b"\x07\x03\x18\x4f\x84\x50")
    shell.exchange()
    shell.exchange()
    equal(shell.windows[-2][1], 867100000)


@case
def dl_channel_req_is_refused_for_no_channel_and_outside_the_plan() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x0a\x03\xf8\x7d\x84"), b"\x0a\x01")
    equal(f_opts_after(shell, server, b"\x0a\x10\xf8\x7d\x84"), b"\x0a\x01")
    equal(f_opts_after(shell, server, b"\x0a\x00\x00\x00\x00"), b"\x0a\x02")
    equal(shell.state.downlinks_hz, [0] * 16)


@case
def rx_param_setup_req_is_applied_to_both_windows_of_the_next_uplink() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x05\x22\xc2\x86\x84"), b"\x05\x07")
    (_, frequency1, dr1, _), (_, frequency2, dr2, _) = shell.windows[-2:]
    equal((frequency1, dr1, frequency2, dr2), (shell.frames[-1][1], 3, 868525000, 2))


@case
def rx_param_setup_req_is_refused_whole() -> None:
    for command, status in (
        (b"\x05\x62\xd2\xad\x84", 3),  # offset 6
        (b"\x05\x07\xd2\xad\x84", 5),  # FSK
        (b"\x05\x02\x00\x00\x00", 6),
        (b"\x05\xff\xff\xff\xff", 0),
    ):
        shell, server = joined()
        equal(f_opts_after(shell, server, command), bytes((5, status)))
        equal((shell.state.rx1_dr_offset, shell.state.rx2_dr, shell.state.rx2_frequency_hz), (0, 0, 869525000))


@case
def rx_timing_setup_req_moves_both_windows_from_the_next_uplink_on() -> None:
    for delay, seconds in ((0x0F, 15), (0, 1), (0xF3, 3)):
        shell, server = joined()
        equal(f_opts_after(shell, server, bytes((8, delay))), b"\x08")
        equal([(window[0] + 500000) // 1000000 for window in shell.windows[-2:]], [seconds, seconds + 1])


@case
def sticky_answers_repeat_until_a_class_a_downlink() -> None:
    shell, server = joined()
    sticky = b"\x05\x07\x0a\x03\x08"
    commands = b"\x05\x22\xc2\x86\x84\x06\x0a\x00\xf8\x7d\x84\x08\x01"
    equal(f_opts_after(shell, server, commands), b"\x05\x07\x06\xff\x05\x0a\x03\x08")
    for _ in range(3):
        shell.exchange()
        equal(server.uplink(shell.frames[-1][4])[3], sticky)
    restarted = state.State(shell.state.tag)
    restarted.unpack(shell.stored)
    resumed = Shell(state=restarted)
    resumed.until_idle()
    resumed.exchange()
    equal(server.uplink(resumed.frames[-1][4])[3], sticky, "after a power cut")
    resumed.air = lambda phy, window: server.down()
    resumed.exchange()
    equal(server.uplink(resumed.frames[-1][4])[3], sticky)
    resumed.exchange()
    equal(server.uplink(resumed.frames[-1][4])[3], b"")


@case
def answers_that_leave_no_room_go_with_an_empty_uplink() -> None:
    shell, server = joined(join_dr=0)
    commands = b"\x05\x00\xd2\xad\x84" + b"\x0a\x00\xf8\x7d\x84"
    answering(shell, server, f_opts=commands)
    shell.exchange()
    equal((shell.mac.room(), shell.mac.send(1, bytes(50))), (47, False))
    answering(shell, server)
    shell.exchange(b"", f_port=-1)
    equal(server.uplink(shell.frames[-1][4])[3:5], (b"\x05\x07\x0a\x03", -1))
    equal(shell.mac.room(), 51)


@case
def a_radio_that_fails_counts_into_duty_cycle_req() -> None:
    shell, _ = joined()
    shell.state.max_duty_cycle = 10
    shell.mac.send(1, b"a")
    while shell.mac.step(shell.now_ms) != mac.TRANSMIT:
        shell.step()
    shell.mac.failed(shell.now_ms)
    failed_ms = shell.now_ms
    shell.exchange()
    equal(shell.frames[0][0] - failed_ms >= 1023 * shell.mac.tx_airtime_us // 1000, True)


@case
def duty_cycle_req_makes_the_silence_after_each_frame_longer() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x04\xf7"), b"\x04")
    shell.air = lambda phy, window: None
    for _ in range(5):
        shell.exchange(bytes(100))
    airtime_ms = shell.mac.tx_airtime_us // 1000
    for earlier, later in pairs(shell.frames[-5:]):
        equal(128 * airtime_ms <= later[0] - earlier[0] <= 128 * airtime_ms + 200, True)
    equal(f_opts_after(shell, server, b"\x04\x00"), b"\x04")
    shell.exchange()
    equal(shell.frames[-1][0] - shell.frames[-2][0] < 4000, True)


@case
def the_stricter_of_duty_cycle_req_and_sub_band_decides() -> None:
    shell, _ = joined()
    shell.state.max_duty_cycle = 12
    shell.exchange()
    shell.mac.duty_cycle.spend(shell.now_ms // 1000, 868100000, 36000000)
    start_ms = shell.now_ms
    shell.exchange()
    equal(shell.frames[-1][0] - start_ms > 3500000, True, "the sub-band")
    shell.state.max_duty_cycle = 15
    shell.exchange()
    shell.exchange()
    silence_ms = shell.frames[-1][0] - shell.frames[-2][0]
    equal(shell.mac.tx_airtime_us // 1000 * 32768 <= silence_ms, True, "the command")
    shell.state.nb_trans = 3
    shell.exchange()
    equal(len(shell.frames), 5, "a repeat is not worth the wait")


@case
def link_check_ans_gives_margin_and_gateways_to_whoever_asked() -> None:
    shell, server = joined()
    answering(shell, server, f_opts=b"\x02\x14\x03")
    shell.exchange()
    equal(shell.mac.link_margin_db, None, "nobody asked")
    shell.mac.ask_link_check()
    shell.mac.ask_link_check()
    answering(shell, server, f_opts=b"\x02\x14\x03")
    shell.exchange()
    equal(server.uplink(shell.frames[-1][4])[3], b"\x02")
    equal((shell.mac.link_margin_db, shell.mac.gateways), (20, 3))
    shell.exchange()
    equal(server.uplink(shell.frames[-1][4])[3], b"")


@case
def device_time_ans_is_the_time_at_the_end_of_the_transmission() -> None:
    shell, server = joined()
    shell.mac.ask_time()
    answering(shell, server, f_opts=b"\x0d\x78\x56\x34\xd2\x80")
    shell.exchange()
    equal(server.uplink(shell.frames[-1][4])[3], b"\x0d")
    equal(shell.mac.time, (0xD2345678, shell.tx_end_ms - 500))


@case
def a_request_waits_for_an_uplink_with_room() -> None:
    shell, server = joined(join_dr=0)
    shell.mac.ask_time()
    shell.mac.ask_link_check()
    for payload, f_opts in ((bytes(51), b""), (bytes(50), b"\x0d"), (b"", b"\x02")):
        shell.exchange(payload)
        equal(server.uplink(shell.frames[-1][4])[3], f_opts)
    answering(shell, server, f_opts=b"\x06" * 5)
    shell.exchange(b"")
    shell.mac.ask_time()
    for f_opts in (b"\x06\xff\x05" * 5, b"\x0d"):
        shell.exchange(b"")
        equal(server.uplink(shell.frames[-1][4])[3], f_opts)


@case
def tx_param_setup_req_is_ignored_in_eu868() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x09\x15\x06"), b"\x06\xff\x05")


@case
def an_unknown_command_ends_the_list() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x06\x80\x06"), b"\x06\xff\x05")
    equal(f_opts_after(shell, server, b"\x06\x03\x50"), b"\x06\xff\x05", "a cut command too")


@case
def answers_never_exceed_f_opts() -> None:
    shell, server = joined()
    equal(f_opts_after(shell, server, b"\x06" * 200, port0=True), b"\x06\xff\x05" * 5)


@case
def nothing_follows_an_answer_that_was_cut_off() -> None:
    shell, server = joined()
    refused = b"\x07\x00\x18\x4f\x84\x50"
    # 13 bytes, a DevStatusAns that does not fit, and a LinkADRAns that would overtake it
    commands = b"\x06" * 3 + refused * 2 + b"\x06" + b"\x03\x50\x07\x00\x01"
    equal(f_opts_after(shell, server, commands, port0=True), b"\x06\xff\x05" * 3 + b"\x07\x00" * 2)
    equal(f_opts_after(shell, server, b"\x06"), b"\x06\xff\x05", "the next list begins anew")


# --- when the network is silent ------------------------------------------------------------------------------------


@case
def adr_bit_is_set_as_the_identity_says() -> None:
    for adr, f_ctrl in ((0, 0), (1, 0x80)):
        shell, server = joined(adr=adr)
        shell.exchange()
        equal(server.uplink(shell.frames[0][4])[1], f_ctrl)


@case
def adr_ack_cnt_counts_uplinks_and_not_repeats_and_any_downlink_clears_it() -> None:
    shell, server = joined(adr=1)
    shell.state.nb_trans = 2
    for _ in range(65):
        shell.exchange()
    equal([server.uplink(frame[4])[1] for frame in shell.frames[-4:]], [0x80, 0x80, 0xC0, 0xC0])
    answering(shell, server)
    shell.exchange()
    shell.exchange()
    equal(server.uplink(shell.frames[-1][4])[1], 0x80)


@case
def adr_back_off_goes_on_after_a_power_cut() -> None:
    shell, _ = joined(adr=1)
    for _ in range(70):
        shell.exchange()
    again = state.State(shell.state.tag)
    again.unpack(shell.stored)
    equal(again.adr_ack_cnt, 64, "stored with each block of counters")


@case
def adr_back_off_as_in_table_9() -> None:
    shell, _ = joined(adr=1, join_dr=1)
    shell.state.tx_power = 4
    shell.state.nb_trans = 3
    shell.state.channel_mask = 2
    rows = []
    for count in range(162):
        if count in (63, 64, 95, 96, 127, 128, 159, 160, 161):
            rows.append((shell.state.dr, shell.state.tx_power, shell.state.nb_trans, shell.state.channel_mask))
        shell.exchange()
    equal(rows, [(1, 4, 3, 2)] * 3 + [(1, 0, 3, 2)] * 2 + [(0, 0, 3, 2)] * 2 + [(0, 0, 1, 7)] * 2)


@case
def what_room_says_holds_for_the_next_uplink_during_back_off() -> None:
    shell, _ = joined(adr=1)
    for _ in range(300):
        equal(shell.mac.send(1, bytes(shell.mac.room())), True)
        shell.until_idle()
    equal(shell.state.dr, 0)


@case
def without_adr_bit_a_link_check_asks_for_a_sign_of_the_network() -> None:
    shell, server = joined()
    for _ in range(81):
        shell.exchange()
    asked = [count for count, frame in enumerate(shell.frames) if server.uplink(frame[4])[3] == b"\x02"]
    equal(asked, [64, 72, 80])
    equal(shell.state.dr, 5, "the data rate is not the node's to change")
    answering(shell, server, f_opts=b"\x02\x00\x01")
    shell.exchange()
    equal(shell.state.adr_ack_cnt, 0)


@case
def a_node_that_nobody_answers_tries_to_join_and_keeps_its_session_meanwhile() -> None:
    for adr in (0, 1):
        shell, server = joined(adr=adr, interval_s=900)
        session = (shell.state.dev_addr, shell.state.nwk_s_key)
        for _ in range(320 + 2 * 96):
            shell.exchange(b"")
        requests = [count for count, frame in enumerate(shell.frames) if frame[4][0] == 0]
        equal(requests, [320, 320 + 97, 320 + 194], "one each day")
        equal((shell.state.joined, (shell.state.dev_addr, shell.state.nwk_s_key)), (True, session))
        for _ in range(95):
            shell.exchange(b"")
        shell.air = admitting(server)
        shell.exchange(b"")
        equal((shell.state.joined, shell.state.f_cnt_up, shell.state.adr_ack_cnt), (True, 0, 0))
        shell.exchange(b"new")
        equal(server.uplink(shell.frames[-1][4])[4:], (10, b"new"))


@case
def without_dev_nonces_the_session_goes_on() -> None:
    shell, _ = joined()
    shell.state.dev_nonce = 65536
    shell.state.adr_ack_cnt = 319
    for _ in range(3):
        shell.exchange()
    equal(shell.state.joined, True)


# --- power cuts ---------------------------------------------------------------------------------------------------


@case
def after_a_power_cut_the_session_goes_on_without_a_join() -> None:
    shell, server = joined(settings=0x13, rx_delay=5, cf_list=CF_LIST)
    answering(shell, server, f_opts=b"\x03\x41\x0f\x00\x01")
    for _ in range(3):
        shell.exchange()
    used = shell.state.f_cnt_up
    again = state.State(shell.state.tag)
    again.unpack(shell.stored)
    resumed = Shell(state=again)
    equal(resumed.step(), mac.IDLE)
    resumed.exchange(b"back")
    equal(again.f_cnt_up - 1 >= used, True)
    equal(server.uplink(resumed.frames[0][4])[5], b"back")
    equal(resumed.windows[0][2], 3)
    equal(again.f_cnt_down, shell.state.f_cnt_down)
    for name in (
        "rx_delay_s",
        "rx1_dr_offset",
        "rx2_dr",
        "dr",
        "tx_power",
        "channel_mask",
        "channels_hz",
        "f_cnt_down",
    ):
        equal(getattr(again, name), getattr(shell.state, name), name)


@case
def another_identity_keeps_the_dev_nonce_and_nothing_else() -> None:
    shell, _ = joined()
    other = state.State(identity(app_key="00" * 16).tag)
    other.unpack(shell.stored)
    equal((other.dev_nonce, other.join_nonce, other.joined, other.nwk_s_key), (1, -1, False, bytes(16)))


@case
def a_record_of_another_version_gives_its_nonces() -> None:
    shell, _ = joined()
    other = state.State(shell.state.tag)
    other.unpack(b"\x63" + shell.stored[1:] + b"more")
    equal((other.dev_nonce, other.join_nonce, other.joined), (1, 1, False))


run()
