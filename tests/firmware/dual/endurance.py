# A network that is silent, and power that fails: what a device keeps and how it finds its way back.
from tests.firmware.dual.cases import case, equal, run
from tests.firmware.dual.network import Shell, identity, joined
from tests.firmware.dual.peers import CF_LIST, admitting, answering

from siel_node import mac, state


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
