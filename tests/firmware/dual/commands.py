# What the certification cases of a LoRaWAN 1.0.4 class A device pin of MAC commands.
from tests.firmware.dual.cases import case, equal, run
from tests.firmware.dual.network import Shell, joined, pairs
from tests.firmware.dual.peers import CF_LIST, answering, f_opts_after

from siel_node import mac, mac_commands, state


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


run()
