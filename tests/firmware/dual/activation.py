# How the certification cases of a LoRaWAN 1.0.4 class A device join: nonces, windows, settings, budget.
from tests.firmware.dual.cases import case, equal, run
from tests.firmware.dual.network import Server, Shell, identity, joined, pairs
from tests.firmware.dual.peers import CF_LIST, accepting

from siel_node import mac, region_eu868, state


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


run()
