# The head itself: bytes from the host, radio events and time in; bytes for the host and calls on its chips out.
# Times are the wide counter of counter.py, in us. chips: objects like chip.Chip.
from siel_node.radio.sx126x import RX_DONE, RX_ERROR, RX_TIMEOUT, TX_DONE, RadioError

from . import link
from .counter import MASK, signed_32
from .outbox import Outbox
from .schedule import Schedule
from .store import Store

STORE_FRAMES = 64
HELLO_US = 1000000
HELLO_MAX_US = 8000000
# A host asks for the time every few seconds; silent for so long, it is gone and nothing is sent but hello.
HOST_GONE_US = 10000000
RETRY_US = 500000
RETRY_MAX_US = 8000000
STATS_US = 10000000
STATS_SOON_US = 1000000
# A chip that is not in RX though it should be was seen in the field, and interrupts can get lost; nothing else notices.
WATCH_US = 10000000
RESTART_US = 5000000
# A start takes up to 30 ms, more when the chip is dead: never shortly before another chip's transmission.
QUIET_US = 100000
# After a frame's end its interrupt must have come
TX_DONE_US = 50000
# Where heads may listen: EU868
FIRST_HZ = 863000000
LAST_HZ = 870000000


class _Ear:
    # One chip: what it shall listen to, what it sends, when it is tried again after a failure.
    def __init__(self, chip, now_us):
        self.chip = chip
        self.channel = None
        self.working = False
        self.restart_us = now_us
        self.sending = None
        self.start_us = 0

    def listens(self):
        return self.working and self.channel is not None


class Head:
    def __init__(self, chips, boot_id, reset_cause, stamp_error_us, now_us, store_frames=STORE_FRAMES):
        # boot_id: 32 random bits. reset_cause: an index of link.RESET_CAUSES.
        self.boot_id = boot_id
        self.store = Store(store_frames)
        self._reset_cause = reset_cause
        self._stamp_error_us = stamp_error_us
        self._ears = [_Ear(chip, now_us) for chip in chips]
        self._schedule = Schedule()
        self._deframer = link.Deframer()
        self._outbox = Outbox(boot_id)
        self._host_us = None  # when the host was last heard, None without one
        self._hello_us = now_us
        self._hello_wait_us = HELLO_US
        self._next_sequence = 1  # of the frame to send next
        self._retry_us = None
        self._retry_wait_us = RETRY_US
        self._stats_us = now_us + STATS_US
        self._watch_us = now_us + WATCH_US
        self.heard = 0
        self.crc_errors = 0
        self.tx_on_air = 0
        self.tx_failed = 0
        self.radio_errors = 0

    def receive_data(self, data: bytes, now_us: int) -> None:
        for body in self._deframer.receive_data(data):
            message = link.decode(body)
            if message is not None:
                self._receive(message[0], message[1], message[2], now_us)

    def radio_event(self, index: int) -> None:
        # Call when the chip's flag is raised.
        ear = self._ears[index]
        self._try(ear, self._on_radio, index, ear)

    def tick(self, now_us: int) -> None:
        # Call when next_us() has come. Blocks up to 15 ms while it brings a transmission on air.
        transmission = self._schedule.take(now_us)
        if transmission is not None:
            # Nothing else before, and nothing after with a time that is no longer true.
            self._transmit(transmission)
            return
        due_us = self._schedule.next_us()
        quiet = due_us is None or due_us - now_us > QUIET_US
        for ear in self._ears:
            self._try(ear, self._keep, ear, now_us, quiet)
        if now_us >= self._watch_us:
            self._watch_us = now_us + (WATCH_US if quiet else QUIET_US)
            if quiet:
                for ear in self._ears:
                    self._try(ear, self._watch, ear)
        if self._host_us is not None and now_us - self._host_us >= HOST_GONE_US:
            self._host_us = None
            self._hello_us = now_us
            self._hello_wait_us = HELLO_US
        if self._host_us is None:
            if now_us >= self._hello_us:
                self._hello_us = now_us + self._hello_wait_us
                self._hello_wait_us = min(2 * self._hello_wait_us, HELLO_MAX_US)
                self._reply_hello(0)
            return
        if self._retry_us is not None and now_us >= self._retry_us:
            self._retry_us = None
            self._retry_wait_us = min(2 * self._retry_wait_us, RETRY_MAX_US)
            self._next_sequence = self.store.first_sequence
        if now_us >= self._stats_us:
            self._stats_us = now_us + STATS_US
            self._outbox.reply("stats", self._stats())

    def next_us(self):
        times = [self._watch_us]
        for ear in self._ears:
            if not ear.working:
                times.append(ear.restart_us)
            elif ear.sending is not None:
                times.append(self._tx_end_us(ear))
        transmission_us = self._schedule.next_us()
        if transmission_us is not None:
            times.append(transmission_us)
        if self._host_us is None:
            times.append(self._hello_us)
        else:
            times.append(self._host_us + HOST_GONE_US)
            times.append(self._stats_us)
            if self._retry_us is not None:
                times.append(self._retry_us)
        return min(times)

    def has_data(self) -> bool:
        # Whether data_to_send has something.
        return len(self._outbox) > 0 or (self._host_us is not None and self._next_sequence < self.store.next_sequence())

    def data_to_send(self, now_us: int) -> bytes:
        # The next frame for the line, empty without one. Call again when the line is free: a time in it means now.
        if len(self._outbox):
            return self._outbox.take(now_us)
        if self._host_us is None:
            return b""
        frame = self.store.get(self._next_sequence)
        if frame is None:
            return b""
        fields, end_us, payload = frame
        fields["sequence"] = self._next_sequence
        fields["age_s"] = (now_us - end_us) // 1000000
        self._next_sequence += 1
        self._retry_us = now_us + self._retry_wait_us
        return link.encode("rx", payload, **fields)

    # What the host says

    def _receive(self, name, fields, payload, now_us):
        if fields.get("boot_id", self.boot_id) != self.boot_id:
            self._reply_hello(0)
            return
        if name == "hello_request":
            self._greet(now_us)
            self._rewind(self.store.first_sequence)
            self._reply_hello(fields["query"])
        elif name == "time_query":
            self._outbox.reply("time", {"query": fields["query"], "received_us": now_us & MASK})
        elif name == "configure":
            self._on_configure(fields)
        elif name == "ack":
            self._greet(now_us)
            if self.store.ack(fields["sequence"]):
                self._next_sequence = max(self._next_sequence, self.store.first_sequence)
                self._retry_wait_us = RETRY_US
                self._retry_us = now_us + RETRY_US if len(self.store) else None
        elif name == "resend":
            self._greet(now_us)
            self._rewind(max(fields["sequence"], self.store.first_sequence))
        elif name == "tx":
            self._greet(now_us)
            self._on_tx(fields, payload, now_us)
        elif name == "cancel":
            self._greet(now_us)
            self._on_cancel(fields["tag"])
        if self._host_us is not None:
            self._host_us = now_us

    def _greet(self, now_us):
        if self._host_us is None:
            self._host_us = now_us
            self._stats_us = now_us + STATS_US
            self._rewind(self.store.first_sequence)

    def _rewind(self, sequence):
        self._next_sequence = min(self._next_sequence, sequence)
        self._retry_us = None
        self._retry_wait_us = RETRY_US

    def _on_configure(self, fields):
        index = fields["chip"]
        if index >= len(self._ears):
            self._reply_configured(index, None)
            return
        ear = self._ears[index]
        channel = (
            fields["frequency_hz"],
            fields["spreading_factor"],
            fields["bandwidth_hz"],
            fields["antenna_gain_db"],
        )
        known = FIRST_HZ <= channel[0] <= LAST_HZ and 7 <= channel[1] <= 12 and channel[2] in (125000, 250000, 500000)
        if known and channel != ear.channel:
            # The same again must not interrupt a reception.
            ear.channel = channel
            self._try(ear, self._listen, ear)
        self._reply_configured(index, ear if known else None)

    def _on_tx(self, fields, payload, now_us):
        tag = fields["tag"]
        if self._repeat_outcome(tag):
            return
        start_us = now_us + signed_32(fields["counter_us"] - now_us) if fields["timed"] else None
        index = fields["chip"]
        if index >= len(self._ears) or not self._ears[index].working:
            slack_us = 0 if start_us is None else start_us - now_us
            self._outbox.result(tag, index, "refused", "NO_RADIO", slack_us, start_us or 0)
            return
        on_air = [ear.sending for ear in self._ears if ear.sending is not None]
        outcome, reason, slack_us, transmission = self._schedule.admit(fields, payload, now_us, start_us, on_air)
        if transmission is None:
            self._outbox.result(tag, index, outcome, reason, slack_us, start_us or 0)
        else:
            self._outbox.outcome(tag, index, outcome, reason, slack_us, transmission.start_us)

    def _on_cancel(self, tag):
        transmission = self._schedule.cancel(tag)
        if transmission is not None:
            self._end(transmission, "cancelled", "", transmission.start_us)
        elif not self._repeat_outcome(tag):
            self._outbox.result(tag, 0, "cancelled", "", 0, 0)

    def _repeat_outcome(self, tag):
        # Says again what is known of a tag; False when nothing is.
        sending = [ear.sending for ear in self._ears if ear.sending is not None]
        for transmission in self._schedule.waiting + sending:
            if transmission.tag == tag:
                start_us = transmission.start_us
                self._outbox.outcome(tag, transmission.chip, "scheduled", "", transmission.slack_us, start_us)
                return True
        return self._outbox.repeat(tag)

    # What the radios say

    def _on_radio(self, index, ear):
        event = ear.chip.poll()
        if event == TX_DONE:
            self._sent(ear)
        elif event == RX_DONE:
            self._on_frame(index, ear)
        elif event in (RX_ERROR, RX_TIMEOUT):
            if event == RX_ERROR:
                self.crc_errors += 1
            # Continuous reception goes on by itself after a bad frame; to start it again would cost the preamble of the
            # next, which has often begun: that is what made this one bad.
            if ear.sending is None and ear.listens() and not ear.chip.listening():
                self._listen(ear)

    def _on_frame(self, index, ear):
        payload, rssi_dbm, snr_x4, coding_rate, crc, end_us = ear.chip.read()
        if ear.channel is None:
            return
        fields = {
            "boot_id": self.boot_id,
            "chip": index,
            "counter_us": end_us & MASK,
            "frequency_hz": ear.channel[0],
            "spreading_factor": ear.channel[1],
            "bandwidth_hz": ear.channel[2],
            "coding_rate": coding_rate,
            "rssi_dbm": rssi_dbm,
            "snr_x4": snr_x4,
            "crc": 1 if crc else 0,
        }
        self.heard += 1
        if not self.store.add((fields, end_us, payload)):
            # The host should know soon.
            self._stats_us = min(self._stats_us, end_us + STATS_SOON_US)

    def _transmit(self, transmission):
        ear = self._ears[transmission.chip]
        if ear.chip.flag.raised:
            # A frame that ended just now: what prepares the chip would forget it.
            self.radio_event(transmission.chip)
        if not ear.working:
            self.tx_failed += 1
            self._end(transmission, "refused", "NO_RADIO", transmission.start_us)
            return
        try:
            start_us = ear.chip.transmit(transmission)
        except RadioError:
            ear.sending = transmission
            self._fail(ear)
            return
        if start_us is None:
            self.tx_failed += 1
            self._end(transmission, "too_late", "TOO_LATE", transmission.start_us)
            self._try(ear, self._listen, ear)
            return
        ear.sending = transmission
        ear.start_us = start_us

    def _sent(self, ear):
        transmission = ear.sending
        ear.sending = None
        try:
            # First of all: listen again
            self._listen(ear)
        finally:
            # It was on air, whatever the chip has to say about listening.
            if transmission is not None:
                self.tx_on_air += 1
                self._end(transmission, "on_air", "", ear.start_us)

    def _tx_end_us(self, ear):
        return ear.start_us + ear.sending.airtime_us + TX_DONE_US

    def _keep(self, ear, now_us, quiet):
        if not ear.working:
            if now_us >= ear.restart_us and not quiet:
                ear.restart_us = now_us + QUIET_US
            elif now_us >= ear.restart_us:
                ear.restart_us = now_us + RESTART_US
                ear.chip.restart()
                ear.working = True
                self._listen(ear)
        elif ear.sending is not None and now_us >= self._tx_end_us(ear):
            # The interrupt may have been lost, the frame not: ask before calling it a failure.
            if ear.chip.poll() == TX_DONE:
                self._sent(ear)
            else:
                self._fail(ear)

    def _watch(self, ear):
        if ear.listens() and ear.sending is None and not ear.chip.listening():
            self._fail(ear)

    def _listen(self, ear):
        if ear.listens() and ear.sending is None:
            ear.chip.listen(*ear.channel)

    def _try(self, ear, action, *arguments):
        try:
            action(*arguments)
        except RadioError:
            self._fail(ear)

    def _fail(self, ear):
        # restart_us is 5 s after the last attempt: at once for a chip that has worked for a while.
        self.radio_errors += 1
        ear.working = False
        transmission = ear.sending
        ear.sending = None
        if transmission is not None:
            self.tx_failed += 1
            self._end(transmission, "unknown", "OTHER", transmission.start_us)

    # What goes to the host

    def _reply_hello(self, query):
        self._outbox.hello(
            query,
            {
                "version": link.VERSION,
                "reset_cause": self._reset_cause,
                "chips": len(self._ears),
                "store_size": self.store.size,
                "stamp_error_us": self._stamp_error_us,
                "first_sequence": self.store.first_sequence,
            },
        )

    def _reply_configured(self, index, ear):
        channel = ear.channel if ear is not None else (0, 0, 0, 0)
        fields = {"chip": index, "ok": 1 if ear is not None and ear.listens() else 0}
        fields["frequency_hz"], fields["spreading_factor"], fields["bandwidth_hz"] = channel[:3]
        self._outbox.reply("configured", fields)

    def _end(self, transmission, outcome, reason, start_us):
        self._outbox.result(transmission.tag, transmission.chip, outcome, reason, transmission.slack_us, start_us)

    def _stats(self):
        deaf = 0
        for index, ear in enumerate(self._ears):
            if not ear.listens():
                deaf |= 1 << index
        return {
            "stored": len(self.store),
            "heard": self.heard,
            "overflow": self.store.overflow,
            "crc_errors": self.crc_errors,
            "tx_on_air": self.tx_on_air,
            "tx_failed": self.tx_failed,
            "radio_errors": self.radio_errors,
            "junk": self._deframer.junk,
            "deaf": deaf,
        }
