# The node's main loop: sensors -> encoder -> MAC -> radio. Synchronous; it does what the MAC says and waits in between.
import binascii
import gc
import os

from . import fault
from . import mac as actions
from ._compat import const, sleep_us, ticks_add, ticks_diff, ticks_ms, ticks_us
from .duty_cycle import WINDOW_S
from .identity import IdentityError, load
from .lora import airtime_us, symbol_time_us
from .port.wait import Waiter
from .radio.sx126x import NONE, RX_DONE, TX_DONE, RadioError
from .record import Record
from .region_eu868 import DATA_RATES, MAX_CHANNELS, MAX_PAYLOAD_BYTES, SUB_BANDS, sub_band
from .state import State

# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .identity import Identity

# codec of the identity -> its generated encoder, and the readings it takes in the order of its arguments
CODECS = {
    "siel/water_level": ("siel_water_level", ("distance_mm", "battery_mv")),
    "siel/climate": ("siel_climate", ("temperature_centi", "humidity_centi", "battery_mv")),
}

# After a power failure a whole district starts at once
_START_JITTER_MS = const(5000)
# Both ways: nodes that once collided do not go on colliding. A twentieth of the interval; of a short one more, for a
# twentieth would be few frames' length: 2 s, but never more than a fifth.
_JITTER_PERCENT = const(5)
_JITTER_MS = const(2000)
# How often a node that may not send stores its ledger: after a reset no time has passed since the last store, so that
# one which is reset more often than this has its hour's budget once and then never again.
_LEDGER_MS = const(120000)
_RETRY_MS = const(10000)
_IDENTITY_RETRY_MS = const(60000)
# Longest single wait: well inside half the period of any port's ticks
_LONGEST_WAIT_MS = const(3600000)
# The last stretch before a window is too short to sleep through
_FINAL_US = const(2000)
# Beyond the longest the radio can take by itself
_MARGIN_MS = const(100)
_MAX_PAYLOAD_BYTES = const(51)
# MHDR, DevAddr, FCtrl, FCnt, FPort, MIC
_OVERHEAD_BYTES = const(13)


class Clock:
    # Milliseconds since it was made; to be asked at least every few days.
    def __init__(self) -> None:
        self._last = ticks_ms()
        self._now_ms = 0

    def now_ms(self) -> int:
        ticks = ticks_ms()
        self._now_ms += ticks_diff(ticks, self._last)
        self._last = ticks
        return self._now_ms


def random_below(n: int) -> int:
    # From the hardware; n at most 2**24.
    return int.from_bytes(os.urandom(3), "little") % n


class Node:
    # record, ledger: where the MAC's state and the duty cycle's ledger are kept. radio: port of radio/sx126x.py.
    # waiter: a Waiter on the radio's flag. sensors: objects with read(readings).
    # on_downlink(f_port, payload): for whoever acts on what the network sends.
    def __init__(
        self,
        identity: "Identity",
        record: Record,
        ledger: Record,
        radio: "Any",
        waiter: "Any",
        sensors: "list[Any]",
        random: "Callable[[int], int]" = random_below,
        on_downlink: "Callable[[int, bytes], None] | None" = None,
    ) -> None:
        self._identity = identity
        self._record = record
        self._ledger = ledger
        self._radio = radio
        self._waiter = waiter
        self._sensors = sensors
        self._random = random
        self._on_downlink = on_downlink
        self._clock = Clock()
        self.state = State(identity.tag)
        stored = record.load()
        if stored:
            self.state.unpack(stored)
        self.mac = actions.Mac(identity, self.state, random)
        # What the ledger's record holds
        self._spent: bytes | bytearray = ledger.load() or b""
        self.mac.duty_cycle.unpack(self._spent, self._clock.now_ms() // 1000)
        module, self._fields = CODECS[identity.codec]
        self._codec = __import__("siel_node.codec." + module, None, None, ("encode",))
        self._payload = bytearray(_MAX_PAYLOAD_BYTES)
        self._tx_end_us = 0
        self._next_ms = 0
        self._uplinks = 0
        self._waiting_for_ack = False
        self._radio_on = False
        self._do = (self._persist, self._transmit, self._listen, self._deliver, self._wait_for_mac, self._idle)

    def run(self) -> None:
        state = self.state
        self.log("start dev_eui=%s joined=%d dev_nonce=%d" % (self._identity.name, state.joined, state.dev_nonce))
        ended_by = fault.take()
        if ended_by:
            self.log("after_fault %s" % ended_by)
        self._wait_until(self._clock.now_ms() + binascii.crc32(self._identity.dev_eui) % _START_JITTER_MS)
        self._start_radio()
        while True:
            self.step()

    def step(self) -> None:
        # Does one thing that the MAC asks for.
        try:
            self._do[self.mac.step(self._clock.now_ms())]()
        except RadioError as error:
            self.log("radio_fault %s" % error)
            self.mac.failed(self._clock.now_ms())
            self._start_radio()

    def next_slot(self, payload_bytes: int) -> tuple[int, int]:
        # For whoever plans: (seconds until the law's and the network's duty cycle let an uplink of this size out, its
        # share of the sub-band's hour in permille, rounded up); (-1, 0): never. The size must fit, see mac.room().
        mac, state = self.mac, self.state
        now_ms = self._clock.now_ms()
        now_s = now_ms // 1000
        off_s = (mac.off_until_ms - now_ms + 999) // 1000
        mask = state.channels_for(state.dr, state.channel_mask)
        # What the answers to MAC commands take
        taken = MAX_PAYLOAD_BYTES[state.dr] - mac.room()
        spent_us = airtime_us(*DATA_RATES[state.dr], _OVERHEAD_BYTES + taken + payload_bytes)
        slot = (-1, 0)
        for channel in range(MAX_CHANNELS):
            if not mask >> channel & 1:
                continue
            frequency_hz = state.channels_hz[channel]
            wait_s = mac.duty_cycle.wait_s(now_s, frequency_hz, spent_us)
            if wait_s >= 0:
                wait_s = max(wait_s, off_s)
            if wait_s >= 0 and (slot[0] < 0 or wait_s < slot[0]):
                unit_us = SUB_BANDS[sub_band(frequency_hz)][2] * WINDOW_S
                slot = (wait_s, (spent_us + unit_us - 1) // unit_us)
        return slot

    def log(self, text: str) -> None:
        now_ms = self._clock.now_ms()
        print("%d.%03d %s" % (now_ms // 1000, now_ms % 1000, text))

    # --- what the MAC asks for --------------------------------------------------------------------------------

    def _persist(self) -> None:
        if self._record.save(self.state.pack()):
            self.state.dirty = False
        else:
            # Nothing goes on air whose counter is not safe.
            self.log("store_fault writes=%d" % self._record.writes)
            self._wait_until(self._clock.now_ms() + _RETRY_MS)

    def _pack_ledger(self) -> bytearray:
        return self.mac.duty_cycle.pack(self._clock.now_ms() // 1000)

    def _store_ledger(self) -> bool:
        self._spent = self._pack_ledger()
        return self._ledger.save(self._spent)

    def _transmit(self) -> None:
        mac = self.mac
        if mac.duty_cycle.reserve(mac.tx_frequency_hz, mac.tx_airtime_us):
            # Nothing goes on air whose airtime a reset would forget.
            while not self._store_ledger():
                self.log("store_fault ledger_writes=%d" % self._ledger.writes)
                self._wait_until(self._clock.now_ms() + _RETRY_MS)
        kind = "join_request dev_nonce=%d" if mac.joining else "uplink f_cnt=%d"
        number = self.state.dev_nonce if mac.joining else self.state.f_cnt_up
        self.log(
            (kind + " frequency_hz=%d dr=%d power_dbm=%d bytes=%d")
            % (number - 1, mac.tx_frequency_hz, mac.tx_dr, mac.tx_power_dbm, len(mac.frame))
        )
        sf, bandwidth_hz = DATA_RATES[mac.tx_dr]
        self._radio_on = True
        self._radio.prepare_tx(mac.tx_frequency_hz, sf, bandwidth_hz, mac.frame, mac.tx_power_dbm)
        gc.collect()
        self._radio.start_tx()
        if self._outcome(mac.tx_airtime_us // 1000 + _MARGIN_MS) != TX_DONE:
            raise RadioError("no end of transmission")
        self._tx_end_us = self._radio.irq_us
        mac.sent(self._clock.now_ms())

    def _listen(self) -> None:
        mac = self.mac
        radio = self._radio
        sf, bandwidth_hz = DATA_RATES[mac.rx_dr]
        window_us = mac.rx_symbols * symbol_time_us(sf, bandwidth_hz)
        radio.prepare_rx(mac.rx_frequency_hz, sf, bandwidth_hz, symbols=mac.rx_symbols)
        gc.collect()
        open_us = ticks_add(self._tx_end_us, mac.rx_open_us)
        left_us = ticks_diff(open_us, ticks_us())
        while left_us > _FINAL_US:
            if self._waiter.wait((left_us - _FINAL_US) // 1000 + 1):
                radio.flag.raised = False
            left_us = ticks_diff(open_us, ticks_us())
        if left_us > 0:
            sleep_us(left_us)
        elif left_us < -window_us:
            # A long frame in RX1 can outlast RX2.
            mac.silent(self._clock.now_ms())
            return
        radio.start_rx()
        outcome = self._outcome((window_us + airtime_us(sf, bandwidth_hz, 255)) // 1000 + _MARGIN_MS)
        if outcome == NONE:
            # An interrupt was lost, the frame perhaps not; or noise that looked like a preamble holds the receiver.
            outcome = radio.poll()
            radio.standby()
        if outcome != RX_DONE:
            mac.silent(self._clock.now_ms())
            return
        payload, rssi_dbm, snr_x4 = radio.read()
        joining = mac.joining
        if not mac.heard(self._clock.now_ms(), payload, snr_x4):
            return
        if not joining:
            self.log(
                "downlink f_cnt=%d acknowledged=%s rssi_dbm=%d snr_x4=%d"
                % (self.state.f_cnt_down - 1, mac.acknowledged, rssi_dbm, snr_x4)
            )
        else:
            self.log("joined dev_addr=%08x rssi_dbm=%d snr_x4=%d" % (self.state.dev_addr, rssi_dbm, snr_x4))

    def _deliver(self) -> None:
        downlink = self.mac.downlink
        if downlink:
            self.log("delivered f_port=%d bytes=%d" % (downlink.f_port, len(downlink.payload)))
            if self._on_downlink:
                self._on_downlink(downlink.f_port, downlink.payload)

    def _wait_for_mac(self) -> None:
        end_ms = self._clock.now_ms() + _LEDGER_MS
        if self.mac.wake_ms <= end_ms:
            self._wait_until(self.mac.wake_ms)
        else:
            self._wait_until(end_ms)
            # What has left the window makes no difference any more
            if self._pack_ledger() != self._spent:
                self._store_ledger()

    def _idle(self) -> None:
        if self._waiting_for_ack and not self.mac.acknowledged:
            self.log("not_acknowledged f_cnt=%d" % (self.state.f_cnt_up - 1))
        self._waiting_for_ack = False
        now_ms = self._clock.now_ms()
        if now_ms < self._next_ms:
            self._wait_until(self._next_ms)
            return
        interval_ms = self._identity.interval_s * 1000
        jitter_ms = max(interval_ms * _JITTER_PERCENT // 100, min(_JITTER_MS, interval_ms // 5))
        self._next_ms = now_ms + interval_ms - jitter_ms + self._random(2 * jitter_ms)
        readings: dict[str, int] = {}
        for sensor in self._sensors:
            sensor.read(readings)
        values = [readings.get(field) for field in self._fields]
        self.log("reading " + " ".join(["%s=%s" % (f, v) for f, v in zip(self._fields, values)]))
        length = self._codec.encode(self._payload, *values)
        every = self._identity.confirmed
        confirmed = every > 0 and self._uplinks % every == 0
        self._uplinks += 1
        self._waiting_for_ack = confirmed
        if not self.mac.send(self._codec.F_PORT, memoryview(self._payload)[:length], confirmed):
            self.log("too_long bytes=%d room=%d" % (length, self.mac.room()))

    # --- radio and time ---------------------------------------------------------------------------------------

    def _start_radio(self) -> None:
        while True:
            self._radio_on = False
            try:
                self._radio.init()
                self._radio_on = True
                return
            except RadioError as error:
                self.log("radio_fault %s" % error)
                self._wait_until(self._clock.now_ms() + _RETRY_MS)

    def _outcome(self, limit_ms: int) -> int:
        # What the radio says about what was started; NONE when no interrupt came within limit_ms.
        end_ms = ticks_add(ticks_ms(), limit_ms)
        outcome: int = NONE
        while outcome == NONE:
            left_ms = ticks_diff(end_ms, ticks_ms())
            if left_ms <= 0:
                break
            if self._waiter.wait(left_ms):
                outcome = self._radio.poll()
        return outcome

    def _wait_until(self, end_ms: int) -> None:
        # Sleeps; may return early, the MAC is asked again anyway.
        if self._radio_on:
            self._radio.sleep()
            self._radio_on = False
        gc.collect()
        left_ms = min(end_ms - self._clock.now_ms(), _LONGEST_WAIT_MS)
        if left_ms > 0 and self._waiter.wait(left_ms):
            self._radio.flag.raised = False


def run(board: "dict[str, Any]") -> None:
    from .port import board as port
    from .port import parts

    try:
        _live(board, port)
    except Exception as error:
        # The interpreter says why and waits at its prompt, where in the field nobody types. Nor does anybody feed this.
        parts.watchdog()
        fault.note(error)
        raise


def _live(board: "dict[str, Any]", port: "Any") -> None:
    waiter = Waiter()
    while True:
        try:
            identity = load("/identity.json")
            if identity.codec in CODECS:
                break
            reason = "codec %s is not in this firmware" % identity.codec
        except IdentityError as error:
            reason = str(error)
        # A node without a valid identity has nothing to say on air, but something to whoever looks at its console.
        print("identity_fault %s" % reason)
        waiter.wait(_IDENTITY_RETRY_MS)
    radio = port.radio(board)
    waiter.add(radio.flag)
    Node(identity, Record("/state"), Record("/ledger"), radio, waiter, port.sensors(board)).run()
