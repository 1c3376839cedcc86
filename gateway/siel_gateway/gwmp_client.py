"""A gateway's session with a network server over Semtech UDP: datagrams and time in, events and datagrams out; no I/O.

The shell calls :meth:`GwmpClient.receive_data` with what came from the server, :meth:`GwmpClient.tick` when
:meth:`GwmpClient.next_tick_us` has come, and sends :meth:`GwmpClient.data_to_send` after each call. The session is down
at its start and after 3 s without an acknowledgement; then it sends keepalives only.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from siel_gateway import gwmp
from siel_gateway.errors import GwmpError
from siel_gateway.gwmp import Kind
from siel_gateway.gwmp_frames import format_stat_time

KEEPALIVE_US: Final = 5_000_000
"""Source: lora_pkt_fwd's default."""
FIRST_RETRY_US: Final = 1_000_000
"""Keepalives of a session that is down: this, then twice as long each time, up to :data:`KEEPALIVE_US`."""
SILENCE_US: Final = 3_000_000
STAT_US: Final = 30_000_000
"""Source: lora_pkt_fwd's default."""
MAX_OUTSTANDING: Final = 16_384
"""3 s of the most that a gateway can hear many times over; tokens have 16 bits."""


class WentUp(msgspec.Struct, frozen=True):
    """The server answers."""


class WentDown(msgspec.Struct, frozen=True):
    """The server does not answer any more."""


class Acknowledged(msgspec.Struct, frozen=True):
    """The server has the frame of this row."""

    row: int


class Lost(msgspec.Struct, frozen=True):
    """Nobody knows whether the server has the frame of this row; the protocol has no retry."""

    row: int


class DownlinkAsked(msgspec.Struct, frozen=True):
    """The server wants a frame on air; answer with :meth:`GwmpClient.tx_ack` when it is known what became of it."""

    token: bytes
    packet: gwmp.TxPk | None
    """None when it cannot be understood."""


Event = WentUp | WentDown | Acknowledged | Lost | DownlinkAsked


class _Sent(msgspec.Struct, frozen=True):
    """A datagram that waits for its acknowledgement."""

    answer: Kind
    row: int | None
    """None for what is no frame."""
    sent_us: int


class GwmpClient:
    """One gateway EUI at one server.

    Args:
        eui: 16 hex digits.
        first_token: 16 random bits.
        now_us: The monotonic clock.

    Attributes:
        up: Whether the server answers.
        counters: ``pushed``, ``acknowledged``, ``lost``, ``downlinks``, and ``junk_<reason>``.
    """

    def __init__(self, eui: str, *, first_token: int, now_us: int) -> None:
        self.up = False
        self.counters: Counter[str] = Counter()
        self._eui = eui
        self._tokens = gwmp.Tokens(first_token)
        # By token, oldest first.
        self._outstanding: dict[bytes, _Sent] = {}
        self._heard_us = now_us
        self._pull_us = now_us
        self._retry_us = FIRST_RETRY_US
        self._stat_us = now_us + STAT_US
        self._interval: Counter[str] = Counter()
        self._out: list[bytes] = []
        self._events: list[Event] = []

    # -- frames -------------------------------------------------------------------------------------------------------

    def push(self, row: int, packet: gwmp.RxPk, now_us: int) -> bool:
        """Send one frame; return False, and forget it, while the session is down.

        Args:
            row: What :class:`Acknowledged` or :class:`Lost` will name.
            packet: The frame.
            now_us: The monotonic clock.
        """
        self._interval["rxnb"] += 1
        self._interval["rxok"] += 1
        if not self.up:
            return False
        self._interval["rxfw"] += 1
        self.counters["pushed"] += 1
        self._push_data(row, gwmp.push_body((packet,)), now_us)
        return True

    def tx_ack(self, token: bytes, word: str) -> None:
        """Tell the server what became of its downlink: ``"NONE"`` or an error of the protocol."""
        if word == "NONE":
            self._interval["txnb"] += 1
        self._out.append(gwmp.build(Kind.TX_ACK, token, self._eui, gwmp.tx_ack_body(word)))

    def receive_data(self, data: bytes, now_us: int) -> list[Event]:
        """Take one datagram from the server."""
        try:
            datagram = gwmp.parse(data)
            if datagram.kind in (Kind.PUSH_ACK, Kind.PULL_ACK):
                self._on_ack(datagram, now_us)
            elif datagram.kind == Kind.PULL_RESP:
                self._on_pull_resp(datagram)
            else:
                raise GwmpError("kind")
        except GwmpError as fault:
            self.counters[f"junk_{fault.reason}"] += 1
        return self._take_events()

    # -- time ---------------------------------------------------------------------------------------------------------

    def next_tick_us(self) -> int:
        """Return when :meth:`tick` has work, monotonic."""
        times = [self._pull_us]
        if self.up:
            times.append(self._stat_us)
        if self._outstanding:
            times.append(next(iter(self._outstanding.values())).sent_us + SILENCE_US)
        return min(times)

    def tick(self, now_us: int, utc_ms: int) -> list[Event]:
        """Do what is due: keepalive, statistics, giving up on what was not acknowledged."""
        self._expire(now_us)
        if now_us >= self._pull_us:
            self._outstanding[token := self._tokens.draw(self._outstanding)] = _Sent(Kind.PULL_ACK, None, now_us)
            self._out.append(gwmp.build(Kind.PULL_DATA, token, self._eui))
            self._pull_us = now_us + (KEEPALIVE_US if self.up else self._retry_us)
            self._retry_us = min(2 * self._retry_us, KEEPALIVE_US)
        if self.up and now_us >= self._stat_us:
            self._stat_us = now_us + STAT_US
            self._push_data(None, gwmp.push_body((), self._stat(utc_ms)), now_us)
        return self._take_events()

    def data_to_send(self) -> list[bytes]:
        """Return the datagrams that go to the server now."""
        out, self._out = self._out, []
        return out

    # -- inside -------------------------------------------------------------------------------------------------------

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _push_data(self, row: int | None, body: bytes, now_us: int) -> None:
        if len(self._outstanding) >= MAX_OUTSTANDING:
            self._give_up(next(iter(self._outstanding)))
        token = self._tokens.draw(self._outstanding)
        self._outstanding[token] = _Sent(Kind.PUSH_ACK, row, now_us)
        self._interval["sent"] += 1
        self._out.append(gwmp.build(Kind.PUSH_DATA, token, self._eui, body))

    def _on_ack(self, datagram: gwmp.Datagram, now_us: int) -> None:
        known = self._outstanding.get(datagram.token)
        if known is None or known.answer != datagram.kind:
            raise GwmpError("token")
        del self._outstanding[datagram.token]
        self._heard_us = now_us
        if datagram.kind == Kind.PUSH_ACK:
            self._interval["acked"] += 1
        if known.row is not None:
            self.counters["acknowledged"] += 1
            self._events.append(Acknowledged(known.row))
        if not self.up:
            self.up = True
            self._retry_us = FIRST_RETRY_US
            self._pull_us = now_us + KEEPALIVE_US
            self._events.append(WentUp())

    def _on_pull_resp(self, datagram: gwmp.Datagram) -> None:
        self.counters["downlinks"] += 1
        self._interval["dwnb"] += 1
        try:
            packet = gwmp.parse_pull_resp(datagram.body)
        except GwmpError:
            packet = None
        self._events.append(DownlinkAsked(datagram.token, packet))

    def _expire(self, now_us: int) -> None:
        expired = False
        while self._outstanding:
            token, sent = next(iter(self._outstanding.items()))
            if now_us - sent.sent_us < SILENCE_US:
                break
            self._give_up(token)
            expired = True
        if expired and self.up and now_us - self._heard_us >= SILENCE_US:
            for token in list(self._outstanding):
                self._give_up(token)
            self.up = False
            self._pull_us = now_us
            self._events.append(WentDown())

    def _give_up(self, token: bytes) -> None:
        row = self._outstanding.pop(token).row
        if row is not None:
            self.counters["lost"] += 1
            self._events.append(Lost(row))

    def _stat(self, utc_ms: int) -> gwmp.Stat:
        count, self._interval = self._interval, Counter()
        return gwmp.Stat(
            time=format_stat_time(utc_ms),
            rxnb=count["rxnb"],
            rxok=count["rxok"],
            rxfw=count["rxfw"],
            ackr=round(100 * count["acked"] / count["sent"], 1) if count["sent"] else 0.0,
            dwnb=count["dwnb"],
            txnb=count["txnb"],
        )
