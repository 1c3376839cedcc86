"""The host's side of the serial link to a radio head: bytes and time in, events and bytes out.

The shell that owns the port calls :meth:`HeadLink.connected` when it is open, :meth:`HeadLink.receive_data` with what
it read, :meth:`HeadLink.tick` when :meth:`HeadLink.next_tick_us` has come, writes :meth:`HeadLink.data_to_send` after
each call, and calls :meth:`HeadLink.disconnected` when the port is gone. The object outlives the port: a head that did
not restart goes on where it was, and a frame is delivered once. The records are in :mod:`siel_gateway.head_events`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from siel_gateway.head_clock import HeadClock
from siel_gateway.head_events import (
    ChipChannel,
    ChipConfigured,
    Event,
    HeadReady,
    HeadStats,
    JunkSkipped,
    LinkLost,
    WrongVersion,
    frame_heard,
)
from siel_gateway.head_frames import FrameOrder
from siel_gateway.head_requests import Requests, word_of
from siel_head import link
from siel_node.lora import airtime_us

HELLO_RETRY_US: Final = 1_000_000
CONFIGURE_RETRY_US: Final = 1_000_000
CONFIGURE_REFUSED_US: Final = 5_000_000
TIME_QUERY_US: Final = 4_000_000
TIME_RETRY_US: Final = 1_000_000
SILENCE_US: Final = 8_000_000
"""A head answers every time query; silent for so long, it is lost."""
_U32: Final = 1 << 32


class HeadLink:
    """One head behind one serial port."""

    def __init__(self, first_tag: int = 1) -> None:
        """Start unconnected.

        Args:
            first_tag: 32 random bits, so that a head never takes this process's requests for those of the one before.
        """
        self._next_tag = first_tag % _U32
        self._deframer = link.Deframer()
        self._junk_seen = 0
        self._out = bytearray()
        self._events: list[Event] = []
        self._clock = HeadClock()
        self._channels: tuple[ChipChannel, ...] = ()
        self._unconfigured: set[int] = set()
        self._configure_us = 0
        self._connected = False
        self._ready = False
        self._boot_id: int | None = None
        self._chips = 0
        self._now_us = 0
        self._heard_us = 0
        self._hello_us = 0
        self._hello_sent_us = 0
        self._query = 0
        self._query_us = 0
        self._query_sent_us: int | None = None
        self._frames = FrameOrder()
        self._requests = Requests()

    @property
    def ready(self) -> bool:
        """Whether a session is open: the head answers and its clock is known."""
        return self._ready

    @property
    def boot_id(self) -> int | None:
        """The head's boot, 32 bits, of the last session; None before the first."""
        return self._boot_id

    @property
    def clock_error_us(self) -> int:
        """How wrong the mapping between the two clocks may be; only in a session."""
        return self._clock.error_us(self._now_us)

    def gateway_us(self, counter_us: int, now_us: int) -> int:
        """Return the monotonic time of a head's counter value within 35 minutes of now; only in a session."""
        return self._clock.gateway_us(counter_us, now_us, now_us)

    def counter_us(self, gateway_us: int) -> int:
        """Return the head's 32-bit counter at a monotonic time; only in a session."""
        return self._clock.counter_us(gateway_us, self._now_us)

    def connected(self, now_us: int) -> None:
        """Start the conversation on a port that was just opened."""
        self._deframer.reset()
        # What the head has half received from before ends here.
        self._out = bytearray(b"\0")
        self._connected = True
        self._ready = False
        self._now_us = self._heard_us = now_us
        self._request_hello()

    def disconnected(self, reason: str = "port closed") -> list[Event]:
        """Say that the port is gone; every request that waits ends as unknown."""
        self._connected = False
        self._out.clear()
        self._lose(reason)
        return self._take_events()

    def configure(self, channels: Sequence[ChipChannel]) -> None:
        """Set what the chips listen to, by index; asked for again until the head confirms."""
        self._channels = tuple(channels)
        self._unconfigured = set(range(len(self._channels)))
        if self._ready:
            self._send_configuration()

    def ack(self, boot_id: int, sequence: int) -> None:
        """Say that one frame is safe; the head may forget it as soon as all frames before it are safe too."""
        if boot_id == self._boot_id:
            self._frames.ack(sequence)

    def transmit(
        self,
        *,
        chip: int,
        counter_us: int | None,
        frequency_hz: int,
        spreading_factor: int,
        bandwidth_hz: int,
        payload: bytes,
        now_us: int,
        coding_rate: int = 5,
        power_dbm: int = 14,
        preamble: int = 8,
        invert_iq: bool = True,
        crc: bool = False,
    ) -> int | None:
        """Ask for one transmission.

        Args:
            chip: Which chip transmits.
            counter_us: Start of the preamble on the head's counter; None is now.
            frequency_hz: Centre frequency.
            spreading_factor: 7 to 12.
            bandwidth_hz: 125000, 250000 or 500000.
            payload: PHYPayload, at most 255 bytes.
            now_us: The monotonic clock.
            coding_rate: 5 to 8 for 4/5 to 4/8.
            power_dbm: EIRP.
            preamble: Symbols.
            invert_iq: True for what end devices hear.
            crc: Whether the frame carries a payload CRC.

        Returns:
            The tag that a later :class:`TxResult` names, or None when no session is open.

        Raises:
            struct.error: A value does not fit into its field of the link; nothing was sent.
        """
        self._now_us = now_us
        if not self._ready or self._boot_id is None:
            return None
        tag = self._next_tag
        self._next_tag = (tag + 1) % _U32
        fields = {
            "boot_id": self._boot_id,
            "tag": tag,
            "chip": chip,
            "timed": int(counter_us is not None),
            "counter_us": (counter_us or 0) % _U32,
            "frequency_hz": frequency_hz,
            "spreading_factor": spreading_factor,
            "bandwidth_hz": bandwidth_hz,
            "coding_rate": coding_rate,
            "power_dbm": power_dbm,
            "preamble": preamble,
            "invert_iq": int(invert_iq),
            "crc": int(crc),
        }
        start_us = now_us if counter_us is None else max(now_us, self.gateway_us(counter_us, now_us))
        on_air_us = airtime_us(spreading_factor, bandwidth_hz, len(payload), crc, coding_rate, preamble)
        # First of all: what the link cannot carry must not be kept and tried again.
        self._send("tx", payload, fields)
        self._requests.add(fields, payload, start_us + on_air_us, now_us)
        return tag

    def cancel(self, tag: int) -> None:
        """Take a request back; its :class:`TxResult` says whether that was in time."""
        message = self._requests.cancel(tag, self._now_us)
        if message is not None:
            self._send(*message)

    def receive_data(self, data: bytes, now_us: int) -> list[Event]:
        """Take bytes from the port and return what they mean."""
        self._now_us = now_us
        if not self._connected:
            return []
        for body in self._deframer.receive_data(data):
            message = link.decode(body)
            if message is not None:
                self._heard_us = now_us
                self._receive(*message)
        if self._deframer.junk > self._junk_seen:
            self._events.append(JunkSkipped(frames=self._deframer.junk - self._junk_seen))
            self._junk_seen = self._deframer.junk
        return self._take_events()

    def next_tick_us(self) -> int | None:
        """Return when :meth:`tick` has work, monotonic; None while nothing is connected."""
        if not self._connected:
            return None
        if not self._ready:
            return self._hello_us
        times = [self._query_us, self._heard_us + SILENCE_US]
        if self._unconfigured:
            times.append(self._configure_us)
        times.extend(time for time in (self._frames.resend_us, self._requests.next_us()) if time is not None)
        return min(times)

    def tick(self, now_us: int) -> list[Event]:
        """Do what is due: ask again for what was not answered, notice a silent head."""
        self._now_us = now_us
        if not self._connected:
            return []
        if self._ready and now_us >= self._heard_us + SILENCE_US:
            self._lose("head is silent")
            self._request_hello()
        elif not self._ready:
            if now_us >= self._hello_us:
                self._request_hello()
        else:
            if now_us >= self._query_us:
                self._query_time()
            if self._unconfigured and now_us >= self._configure_us:
                self._send_configuration()
            if self._frames.resend_us is not None and now_us >= self._frames.resend_us:
                self._request_resend()
            messages, events = self._requests.due(now_us)
            self._events += events
            for message in messages:
                self._send(*message)
        return self._take_events()

    def data_to_send(self) -> bytes:
        """Return what the port shall send now; an acknowledgement covers all that :meth:`ack` was told."""
        if self._ready and self._frames.ack_due and self._boot_id is not None:
            self._frames.ack_due = False
            self._send("ack", b"", {"boot_id": self._boot_id, "sequence": self._frames.acked})
        data = bytes(self._out)
        self._out.clear()
        return data

    def _take_events(self) -> list[Event]:
        events = self._events
        self._events = []
        return events

    def _send(self, name: str, payload: bytes, fields: dict[str, int]) -> None:
        if self._connected:
            self._out += link.encode(name, payload, **fields)

    def _request_hello(self) -> None:
        self._query = self._query % 0xFFFF + 1
        self._hello_sent_us = self._now_us
        self._hello_us = self._now_us + HELLO_RETRY_US
        self._send("hello_request", b"", {"version": link.VERSION, "query": self._query})

    def _query_time(self) -> None:
        self._query = self._query % 0xFFFF + 1
        self._query_sent_us = self._now_us
        self._query_us = self._now_us + TIME_RETRY_US
        self._send("time_query", b"", {"query": self._query})

    def _send_configuration(self) -> None:
        self._configure_us = self._now_us + CONFIGURE_RETRY_US
        for chip in sorted(self._unconfigured):
            channel = self._channels[chip]
            self._send("configure", b"", {"chip": chip, **msgspec.structs.asdict(channel)})

    def _request_resend(self) -> None:
        if self._boot_id is not None:
            self._frames.resend_asked(self._now_us)
            self._send("resend", b"", {"boot_id": self._boot_id, "sequence": self._frames.expected})

    def _lose(self, reason: str) -> None:
        if self._ready:
            self._ready = False
            self._events.append(LinkLost(reason=reason))
        self._events += self._requests.fail()
        self._frames.interrupt()

    def _receive(self, name: str, fields: dict[str, int], payload: bytes) -> None:
        if name == "hello":
            self._on_hello(fields)
        elif not self._ready:
            return
        elif fields.get("boot_id") != self._boot_id:
            # The head has restarted and its hello was lost.
            if self._now_us >= self._hello_us:
                self._request_hello()
        elif name == "rx":
            self._on_rx(fields, payload)
        elif name == "tx_outcome":
            self._events += self._requests.outcome(fields, self._now_us)
        elif name == "stats":
            self._on_stats(fields)
        elif name == "time":
            self._on_time(fields)
        elif name == "configured":
            self._on_configured(fields)

    def _on_hello(self, fields: dict[str, int]) -> None:
        if fields["version"] != link.VERSION:
            self._lose("wrong version")
            self._events.append(WrongVersion(version=fields["version"]))
            return
        new_session = fields["boot_id"] != self._boot_id
        if new_session:
            self._lose("head has restarted")
            self._boot_id = fields["boot_id"]
            self._clock.clear()
            self._frames.begin(fields["first_sequence"])
            self._unconfigured = set(range(len(self._channels)))
        self._frames.resume(fields["first_sequence"])
        if fields["query"] == self._query:
            self._clock.add(self._hello_sent_us, self._now_us, fields["counter_us"], fields["counter_us"])
        elif not self._clock.known:
            self._clock.add_arrival(self._now_us, fields["counter_us"])
        self._chips = fields["chips"]
        if self._ready:
            return
        self._ready = True
        self._frames.ack_due = True
        self._events.append(
            HeadReady(
                boot_id=fields["boot_id"],
                new_session=new_session,
                reset_cause=word_of(link.RESET_CAUSES, fields["reset_cause"], "unknown"),
                chips=fields["chips"],
                store_size=fields["store_size"],
                stamp_error_us=fields["stamp_error_us"],
            )
        )
        self._send_configuration()
        self._query_time()

    def _on_rx(self, fields: dict[str, int], payload: bytes) -> None:
        near_us = self._now_us - fields["age_s"] * 1_000_000
        gateway_us = min(self._now_us, self._clock.gateway_us(fields["counter_us"], near_us, self._now_us))
        self._events += self._frames.take(frame_heard(fields, payload, gateway_us), self._now_us)
        if self._frames.resend_us is not None and self._now_us >= self._frames.resend_us:
            self._request_resend()

    def _on_stats(self, fields: dict[str, int]) -> None:
        counts = {name: fields[name] for name in _STATS}
        deaf = tuple(chip for chip in range(self._chips) if fields["deaf"] >> chip & 1)
        self._events.append(HeadStats(**counts, deaf=deaf))

    def _on_time(self, fields: dict[str, int]) -> None:
        if fields["query"] == self._query and self._query_sent_us is not None:
            self._clock.add(self._query_sent_us, self._now_us, fields["received_us"], fields["sent_us"])
            self._query_sent_us = None
            self._query_us = self._now_us + TIME_QUERY_US

    def _on_configured(self, fields: dict[str, int]) -> None:
        chip = fields["chip"]
        if chip not in self._unconfigured:
            return
        channel = self._channels[chip]
        listens_to = (fields["frequency_hz"], fields["spreading_factor"], fields["bandwidth_hz"])
        if fields["ok"] and listens_to != (channel.frequency_hz, channel.spreading_factor, channel.bandwidth_hz):
            return
        if fields["ok"]:
            self._unconfigured.discard(chip)
        else:
            self._configure_us = self._now_us + CONFIGURE_REFUSED_US
        self._events.append(ChipConfigured(chip=chip, ok=bool(fields["ok"])))


_STATS: Final = ("stored", "heard", "overflow", "crc_errors", "tx_on_air", "tx_failed", "radio_errors", "junk")
