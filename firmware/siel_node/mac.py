# LoRaWAN 1.0.4 class A end-device in EU868 as a pure state machine: ticks, frames and randomness in, actions out.
#
#   step() says what to do next, the shell does it and tells the outcome:
#     PERSIST   store state.pack(), clear state.dirty                        -> step()
#     TRANSMIT  send .frame with the tx_ attributes                          -> sent() or failed()
#     LISTEN    open a window rx_open_us after the end of the transmission   -> heard() or silent()
#     DELIVER   take .downlink for the application                           -> step()
#     WAIT      nothing before .wake_ms                                      -> step()
#     IDLE      joined and free: send() takes the next uplink
#   PERSIST comes before what depends on it: a join-request goes out after its DevNonce is stored, an uplink after its
#   FCntUp is reserved, and what a downlink brought is used after its FCntDown is stored (both are one record). It
#   never comes between a transmission and the end of RX2, where a flash write would make the window late.
from . import mac_commands
from . import region_eu868 as region
from ._compat import const
from .crypto import Cipher
from .duty_cycle import DutyCycle
from .frame import (
    ACK,
    MAX_F_OPTS_BYTES,
    MAX_FRAME_BYTES,
    Downlink,
    encode_join_request,
    encode_uplink,
    open_downlink,
    open_join_accept,
)
from .lora import airtime_us, symbol_time_us
from .state import DEV_NONCES, State

# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from .identity import Identity

PERSIST = const(0)
TRANSMIT = const(1)
LISTEN = const(2)
DELIVER = const(3)
WAIT = const(4)
IDLE = const(5)

_FREE = const(0)
_READY = const(1)
_RX1 = const(2)
_RX2 = const(3)

# Source: LoRaMac-node's default, enough of a preamble to detect
_MIN_RX_SYMBOLS = const(6)
# From the command to open a window until the receiver listens
_WAKE_US = const(1000)
# Pause between join-requests, both together: at random in this range, and the airtime times the factor of the
# time since the first one. Source of the budgets: TS001-1.0.4 chapter 7: 36 s of airtime in the first hour, 36 s in the
# ten after it, 8.7 s a day from then on; the factors leave room for one request more than fits.
_JOIN_PAUSE_MS = const(8000)
_JOIN_SPREAD_MS = const(7000)
_HOUR_MS = const(3600000)
# RETRANSMIT_TIMEOUT is 2 s +/- 1 s. Source: RP002-1.0.4 2.3
_REPEAT_MS = const(1000)
_REPEAT_SPREAD_MS = const(2000)
# FCtrl of an uplink. Source: TS001-1.0.4 4.3.1
_ADR = const(0x80)
_ADR_ACK_REQ = const(0x40)
# Source: RP002-1.0.4 2.3
_ADR_ACK_LIMIT = const(64)
_ADR_ACK_DELAY = const(32)
# Without the ADR bit every so many uplinks ask for a sign of the network, and where nothing answers the device joins
# anew after so many, when back-off too has done all it can; again each day, but not more often than each so many.
# Source of the way, not of the numbers: LoRa Alliance TR007-1.1.0 4.3 and 4.4
_CHECK_EACH = const(8)
_LOST = const(320)
_DAY_S = const(86400)
_REJOIN_EACH = const(32)
_F_CNT_END = const(0xFFFF0000)
_DAY_MS = const(86400000)


def rx_window(spreading_factor: int, bandwidth_hz: int, error_us: int) -> tuple[int, int]:
    # (length in symbols, opening relative to RECEIVE_DELAY in us) so that a preamble is met when the clocks of both
    # sides and the tick stamps are off by up to error_us. Source: LoRaMac-node RegionCommonComputeRxWindowParameters.
    symbol_us = symbol_time_us(spreading_factor, bandwidth_hz)
    symbols = ((2 * _MIN_RX_SYMBOLS - 8) * symbol_us + 2 * error_us + symbol_us - 1) // symbol_us
    symbols = max(symbols, _MIN_RX_SYMBOLS)
    return symbols, 4 * symbol_us - (symbols * symbol_us + 1) // 2 - _WAKE_US


class Mac:
    # random(n): a whole number from 0 to n - 1. now_ms everywhere: any clock that never goes backwards.
    # rx_error_us: how late or early a window may be, see rx_window.
    def __init__(
        self, identity: "Identity", state: State, random: "Callable[[int], int]", rx_error_us: int = 10000
    ) -> None:
        self.state = state
        self.duty_cycle = DutyCycle()
        self.rx_error_us = rx_error_us
        self.battery = mac_commands.BATTERY_UNKNOWN
        self._identity = identity
        self._random = random
        self._app_key = Cipher(identity.app_key)
        self.answers = mac_commands.Answers()
        # What the application wants to ask the network, and what the last uplink asked
        self._requests = b""
        self.asked = b""
        # What the network said to it: None before. time: (GPS seconds, now_ms when that second began)
        self.link_margin_db: int | None = None
        self.gateways: int | None = None
        self.time: tuple[int, int] | None = None
        self.sent_ms = 0
        # Whether the network may steer data rate and power by the ADR bit
        self.adr = identity.adr
        # End of the silence that DutyCycleReq demands
        self.off_until_ms = 0
        self._ack_due = False
        self._phase = _FREE
        self._joining = False
        # One join-request is due although there is a session, which holds until the join-accept
        self._rejoin = False
        self._first_join_ms = -1
        self._join_at_ms = 0
        self._dev_nonce = 0
        self._not_before_ms = 0
        self._attempts = 0
        # Channel masks: those that had their turn, and the last one
        self._used = 0
        self._last = 0
        self._channel = 0
        self._buffer = bytearray(MAX_FRAME_BYTES)
        self._length = 0
        # What the actions need
        self.wake_ms = 0
        self.tx_frequency_hz = self.tx_dr = self.tx_power_dbm = self.tx_airtime_us = 0
        self.rx_frequency_hz = self.rx_dr = self.rx_symbols = self.rx_open_us = 0
        self.downlink: Downlink | None = None
        # Of the last uplink: None unless it was confirmed
        self.acknowledged: bool | None = None
        self._deliver = False
        if state.joined:
            self._open_session()

    @property
    def frame(self) -> memoryview:
        return memoryview(self._buffer)[: self._length]

    @property
    def joining(self) -> bool:
        return self._joining

    @property
    def nonces_left(self) -> int:
        return DEV_NONCES - self.state.dev_nonce

    def step(self, now_ms: int) -> int:
        phase = self._phase
        if phase >= _RX1:
            self._window()
            return LISTEN
        if self.state.dirty:
            return PERSIST
        if self._deliver:
            self._deliver = False
            return DELIVER
        if phase == _READY:
            return self._transmit(now_ms)
        if self.state.joined:
            if self.state.f_cnt_up >= _F_CNT_END:
                self.state.forget_session()
            elif not self._rejoin:
                return IDLE
        return self._join(now_ms)

    def room(self) -> int:
        # Bytes of application payload that the next uplink can carry.
        return region.MAX_PAYLOAD_BYTES[self.state.dr] - len(self.answers.data)

    def ask_link_check(self) -> None:
        # With the next uplink that has a byte to spare; the answer is in link_margin_db and gateways.
        self._ask(mac_commands.LINK_CHECK)

    def ask_time(self) -> None:
        # The same; the answer is in time.
        self._ask(mac_commands.DEVICE_TIME)

    def send(self, f_port: int, payload: bytes | bytearray | memoryview, confirmed: bool = False) -> bool:
        # Takes an uplink; False when the last action was not IDLE or the payload is longer than room().
        state = self.state
        spare = self.room() - len(payload)
        if self._phase != _FREE or not state.joined or spare < 0:
            return False
        answers = self.answers.data
        spare = min(spare, MAX_F_OPTS_BYTES - len(answers))
        self.asked = self._requests[:spare]
        self._requests = self._requests[spare:]
        f_ctrl = ACK if self._ack_due else 0
        if self.adr:
            f_ctrl |= _ADR
            if state.adr_ack_cnt >= _ADR_ACK_LIMIT:
                f_ctrl |= _ADR_ACK_REQ
        self._length = encode_uplink(
            self._buffer,
            confirmed,
            state.dev_addr,
            f_ctrl,
            state.next_f_cnt_up(),
            answers + self.asked,
            f_port,
            payload,
            self._nwk,
            self._app,
        )
        self.answers.restart(state.sticky)
        self._ack_due = False
        self._joining = False
        self.acknowledged = False if confirmed else None
        self._make_ready(state.dr)
        return True

    def sent(self, now_ms: int) -> None:
        # The transmission is over; windows count from its end.
        self._spend(now_ms)
        self.sent_ms = now_ms
        self._attempts += 1
        self._phase = _RX1

    def failed(self, now_ms: int) -> None:
        # The radio did not do as told; something may have been on air, so its number is not used again.
        if self._phase == _READY:
            self._spend(now_ms)
        if self._phase != _FREE:
            self._attempts = self.state.nb_trans
            self._exchange_ends(now_ms)

    def silent(self, now_ms: int) -> None:
        # The window closed without a frame for us.
        if self._phase == _RX1:
            self._phase = _RX2
        elif self._phase == _RX2:
            self._exchange_ends(now_ms)

    def heard(self, now_ms: int, phy: bytes, snr_x4: int) -> bool:
        # A frame with a good CRC came in the window; True when it was for us, and the exchange is over then.
        if self._phase < _RX1:
            return False
        data = bytearray(phy)
        if not (self._join_accept(data) if self._joining else self._data_down(data, snr_x4)):
            self.silent(now_ms)
            return False
        self._phase = _FREE
        return True

    def _spend(self, now_ms: int) -> None:
        self.duty_cycle.spend(now_ms // 1000, self.tx_frequency_hz, self.tx_airtime_us)
        # Source: TS001-1.0.4 5.3: the share of the time that is left for silence
        self.off_until_ms = now_ms + (self.tx_airtime_us // 1000 + 1) * ((1 << self.state.max_duty_cycle) - 1)

    def _ask(self, cid: int) -> None:
        if cid not in self._requests:
            self._requests += bytes((cid,))

    def _make_ready(self, dr: int) -> None:
        self._attempts = 0
        self._not_before_ms = 0
        self._phase = _READY
        self.tx_dr = dr
        sf, bandwidth_hz = region.DATA_RATES[dr]
        self.tx_airtime_us = airtime_us(sf, bandwidth_hz, self._length)

    def _join(self, now_ms: int) -> int:
        state = self.state
        if now_ms < self._not_before_ms:
            self.wake_ms = self._not_before_ms
            return WAIT
        if not self.nonces_left:
            self.wake_ms = now_ms + _DAY_MS
            return WAIT
        identity = self._identity
        self._length = encode_join_request(
            self._buffer, identity.join_eui, identity.dev_eui, state.dev_nonce, self._app_key
        )
        self._dev_nonce = state.dev_nonce
        state.dev_nonce += 1
        state.dirty = True
        self._joining = True
        self._make_ready(identity.join_dr)
        return PERSIST

    def _transmit(self, now_ms: int) -> int:
        start_ms = self._not_before_ms
        if self.off_until_ms > start_ms:
            if self._attempts:
                return self._give_up(now_ms)
            start_ms = self.off_until_ms
        if now_ms < start_ms:
            self.wake_ms = start_ms
            return WAIT
        state = self.state
        mask = region.DEFAULT_CHANNELS if self._joining else state.channels_for(self.tx_dr, state.channel_mask)
        free = 0
        wait_s = -1
        for channel in range(region.MAX_CHANNELS):
            if not mask >> channel & 1:
                continue
            seconds = self.duty_cycle.wait_s(now_ms // 1000, state.channels_hz[channel], self.tx_airtime_us)
            if seconds == 0:
                free |= 1 << channel
            elif wait_s < 0 or 0 < seconds < wait_s:
                wait_s = seconds
        if not free:
            if self._attempts or wait_s < 0:
                return self._give_up(now_ms)
            self.wake_ms = now_ms + wait_s * 1000
            return WAIT
        self._channel = self._pick(free)
        self.tx_frequency_hz = state.channels_hz[self._channel]
        self.tx_power_dbm = region.MAX_EIRP_DBM - (0 if self._joining else 2 * state.tx_power)
        if self._joining:
            self._pause_join(now_ms)
        return TRANSMIT

    def _give_up(self, now_ms: int) -> int:
        # A repeat is not worth a wait for a budget; what exceeds every budget never goes out.
        self._attempts = self.state.nb_trans
        self._exchange_ends(now_ms)
        return self.step(now_ms)

    def _pick(self, free: int) -> int:
        # A channel of the mask free (not 0), at random, but each has its turn before one has another.
        # Source: RP002-1.0.4 2.3. The last one again only where there is no choice: repeats shall hop.
        choice = free & ~self._used
        if not choice:
            self._used = 0
            choice = free
        if choice & ~self._last:
            choice &= ~self._last
        count = 0
        for channel in range(region.MAX_CHANNELS):
            count += choice >> channel & 1
        pick = self._random(count)
        channel = 0
        while not choice >> channel & 1 or pick:
            pick -= choice >> channel & 1
            channel += 1
        self._last = 1 << channel
        self._used |= self._last
        return channel

    def _pause_join(self, now_ms: int) -> None:
        if self._first_join_ms < 0:
            self._first_join_ms = now_ms
        age_ms = now_ms - self._first_join_ms
        factor = 125 if age_ms < _HOUR_MS else 1250 if age_ms < 11 * _HOUR_MS else 12500
        pause_ms = self.tx_airtime_us // 1000 * factor
        spread_ms = max(_JOIN_SPREAD_MS, pause_ms // 4)
        self._join_at_ms = now_ms + max(_JOIN_PAUSE_MS, pause_ms) + self._random(spread_ms)

    def _window(self) -> None:
        state = self.state
        if self._phase == _RX1:
            delay_s = region.JOIN_ACCEPT_DELAY1_S if self._joining else state.rx_delay_s
            self.rx_frequency_hz = self.tx_frequency_hz
            if not self._joining:
                self.rx_frequency_hz = state.downlinks_hz[self._channel] or self.tx_frequency_hz
            self.rx_dr = region.rx1_dr(self.tx_dr, 0 if self._joining else state.rx1_dr_offset)
        else:
            delay_s = region.JOIN_ACCEPT_DELAY2_S if self._joining else state.rx_delay_s + 1
            self.rx_frequency_hz = region.RX2_FREQUENCY_HZ if self._joining else state.rx2_frequency_hz
            self.rx_dr = region.RX2_DR if self._joining else state.rx2_dr
        sf, bandwidth_hz = region.DATA_RATES[self.rx_dr]
        self.rx_symbols, offset_us = rx_window(sf, bandwidth_hz, self.rx_error_us)
        self.rx_open_us = delay_s * 1000000 + offset_us

    def _exchange_ends(self, now_ms: int) -> None:
        # Without a downlink for us.
        self._phase = _FREE
        if self._joining:
            self._not_before_ms = self._join_at_ms
            self._rejoin = False
        elif self._attempts < self.state.nb_trans:
            self._phase = _READY
            self._not_before_ms = now_ms + _REPEAT_MS + self._random(_REPEAT_SPREAD_MS)
        else:
            self._unanswered()

    def _unanswered(self) -> None:
        # One more uplink without a downlink; what follows holds for the next. Source: TS001-1.0.4 4.3.1.1, table 9
        state = self.state
        state.adr_ack_cnt += 1
        late = state.adr_ack_cnt - _ADR_ACK_LIMIT
        lost = state.adr_ack_cnt - _LOST
        if lost >= 0 and lost % max(_REJOIN_EACH, _DAY_S // self._identity.interval_s) == 0:
            self._rejoin = self.nonces_left > 0
        if not self.adr:
            if late >= 0 and late % _CHECK_EACH == 0:
                self.ask_link_check()
            return
        if late < _ADR_ACK_DELAY or late % _ADR_ACK_DELAY:
            return
        if late == _ADR_ACK_DELAY:
            state.tx_power = 0
        elif state.dr:
            state.dr -= 1
        else:
            state.nb_trans = 1
            state.channel_mask |= region.DEFAULT_CHANNELS
        state.settle()
        state.dirty = True

    def _open_session(self) -> None:
        self._nwk = Cipher(self.state.nwk_s_key)
        self._app = Cipher(self.state.app_s_key)
        self.answers.restart(self.state.sticky)

    def _join_accept(self, data: bytearray) -> bool:
        # Source: TS001-1.0.4 6.2.6. JoinNonce shall only grow, as TR001 recommends to servers: its MIC does not cover
        # the DevNonce, so a recorded join-accept would open a session of which the network knows nothing.
        if not open_join_accept(data, self._app_key):
            return False
        join_nonce = data[1] | data[2] << 8 | data[3] << 16
        state = self.state
        if join_nonce <= state.join_nonce:
            return False
        state.forget_session()
        state.join_nonce = join_nonce
        nonces = data[1:7]
        state.nwk_s_key = self._app_key.session_key(1, nonces, self._dev_nonce)
        state.app_s_key = self._app_key.session_key(2, nonces, self._dev_nonce)
        state.dev_addr = data[7] | data[8] << 8 | data[9] << 16 | data[10] << 24
        settings = data[11]
        state.rx1_dr_offset = settings >> 4 & 7
        if settings & 15 < len(region.DATA_RATES):
            state.rx2_dr = settings & 15
        state.rx_delay_s = data[12] & 15 or 1
        # CFList of type 0: five frequencies in 100 Hz for channels 3 to 7. Source: RP002-1.0.4 2.3.1
        if len(data) == 33 and data[28] == 0:
            for i in range(5):
                frequency_hz = region.frequency_hz(data, 13 + 3 * i)
                if region.sub_band(frequency_hz) >= 0:
                    state.channels_hz[3 + i] = frequency_hz
            state.channel_mask = state.defined_channels()
        state.dr = self.tx_dr
        state.joined = True
        state.dirty = True
        self._open_session()
        self._ack_due = False
        self._joining = False
        self._rejoin = False
        self._first_join_ms = -1
        return True

    def _data_down(self, data: bytearray, snr_x4: int) -> bool:
        # Longer than M at the data rate it came on is dropped; M is N + 8, MHDR and MIC make 5. Source: TS001-1.0.4 4.1
        if len(data) > region.MAX_PAYLOAD_BYTES[self.rx_dr] + 13:
            return False
        state = self.state
        downlink = open_downlink(data, state.dev_addr, state.f_cnt_down, self._nwk, self._app)
        if downlink is None:
            return False
        state.f_cnt_down = downlink.f_cnt + 1
        state.adr_ack_cnt = 0
        state.dirty = True
        if downlink.f_ctrl & ACK and self.acknowledged is not None:
            self.acknowledged = True
        if downlink.confirmed:
            self._ack_due = True
        commands = downlink.f_opts if downlink.f_port else downlink.payload
        self.answers.restart(b"")
        mac_commands.handle(self, commands, (snr_x4 + 2) >> 2)
        state.sticky = self.answers.sticky()
        # Ports above 223 are reserved. Source: TS001-1.0.4 4.3.2
        if 0 < downlink.f_port < 224:
            self.downlink = downlink
            self._deliver = True
        return True
