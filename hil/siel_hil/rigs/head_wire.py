"""The host's side of the serial link alone, for tests that speak for the head word by word."""

from __future__ import annotations

from typing import Any

from siel_gateway.head_clock import COUNTER_PERIOD_US
from siel_gateway.head_events import ChipChannel
from siel_gateway.head_link import HeadLink
from siel_head import link

BOOT_ID = 0x1234ABCD
SECOND = 1_000_000
CHANNEL = ChipChannel(frequency_hz=868100000, spreading_factor=7, bandwidth_hz=125000)
COUNTER_AHEAD_US = (1 << 32) - 90 * SECOND
"""The head's counter wraps 90 s after the host's clock starts."""


class Wire:
    """A HeadLink whose other end is a test's hand."""

    def __init__(self, chips: int = 1) -> None:
        self.link = HeadLink(first_tag=100)
        self.link.configure([CHANNEL] * chips)
        self.deframer = link.Deframer()
        self.now_us = 5 * SECOND
        self.link.connected(self.now_us)

    def sent(self) -> list[tuple[str, dict[str, int], bytes]]:
        """Return the messages sent since the last look: name, fields, payload."""
        bodies = self.deframer.receive_data(self.link.data_to_send())
        messages = [link.decode(body) for body in bodies]
        return [message for message in messages if message is not None]

    def names(self) -> list[str]:
        """Return the names of the messages sent since the last look."""
        return [name for name, _, _ in self.sent()]

    def say(self, name: str, payload: bytes = b"", **fields: Any) -> list[Any]:
        """Send any message as the head does, and return the link's events."""
        return self.link.receive_data(link.encode(name, payload, **fields), self.now_us)

    def hello(self, boot_id: int = BOOT_ID, first_sequence: int = 1, version: int = link.VERSION) -> list[Any]:
        """Say who the head is, and return the link's events."""
        return self.say(
            "hello",
            version=version,
            query=0,
            boot_id=boot_id,
            reset_cause=3,
            chips=1,
            store_size=64,
            stamp_error_us=9,
            first_sequence=first_sequence,
            counter_us=self.counter(),
        )

    def counter(self) -> int:
        """Return the head's counter at this moment."""
        return (self.now_us + COUNTER_AHEAD_US) % COUNTER_PERIOD_US

    def rx(self, sequence: int, boot_id: int = BOOT_ID, **fields: int) -> list[Any]:
        """Deliver a frame whose payload is its sequence number, and return the link's events."""
        values = {
            "boot_id": boot_id,
            "sequence": sequence,
            "chip": 0,
            "counter_us": self.counter(),
            "age_s": 0,
            "frequency_hz": 868100000,
            "spreading_factor": 7,
            "bandwidth_hz": 125000,
            "coding_rate": 5,
            "rssi_dbm": -101,
            "snr_x4": -30,
            "crc": 1,
        }
        return self.say("rx", b"%d" % sequence, **values | fields)

    def outcome(self, tag: int, word: str, reason: str = "", slack_us: int = 0, counter_us: int = 0) -> list[Any]:
        """Tell what became of a request, and return the link's events."""
        return self.say(
            "tx_outcome",
            boot_id=BOOT_ID,
            tag=tag,
            chip=0,
            outcome=link.OUTCOMES.index(word),
            reason=link.REASONS.index(reason),
            slack_us=slack_us,
            counter_us=counter_us,
        )

    def wait(self, delay_us: int) -> list[Any]:
        """Let time pass, ticking as asked for, and return all events; what is sent stays to be looked at."""
        end_us, events = self.now_us + delay_us, []
        while (due := self.link.next_tick_us()) is not None and due <= end_us:
            self.now_us = max(self.now_us, due)
            events += self.link.tick(self.now_us)
        self.now_us = end_us
        return events

    def transmit(self, **options: Any) -> int:
        """Ask for a transmission a second from now, and return its tag."""
        request: dict[str, Any] = {
            "chip": 0,
            "counter_us": (self.counter() + SECOND) % COUNTER_PERIOD_US,
            "frequency_hz": 868100000,
            "spreading_factor": 7,
            "bandwidth_hz": 125000,
            "payload": b"\x60",
        }
        tag = self.link.transmit(now_us=self.now_us, **request | options)
        assert tag is not None  # noqa: S101 - the session is open
        return tag
