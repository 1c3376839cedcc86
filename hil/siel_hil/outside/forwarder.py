"""A packet forwarder: anybody on the wire who speaks Semtech UDP to the gateway."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final

from siel_hil.models import semtech_udp as udp
from siel_hil.models.semtech_udp import Address, Datagram
from siel_hil.outside.inbox import PATIENCE_S, Inbox, NothingCameError
from siel_hil.outside.socket_peer import SocketPeer

PULL_AGAIN_S: Final = 0.5
_COUNTER_PERIOD_US: Final = 1 << 32


class Forwarder(SocketPeer):
    """A concentrator's forwarder with a counter of its own.

    Args:
        gateway: Address of the gateway's ``semtech-udp`` radio.
        eui: Of the concentrator, 16 hex digits.

    Attributes:
        answers: PUSH_ACK and PULL_ACK.
        orders: PULL_RESP.
        tx_ack: The error word that it answers each PULL_RESP with; None for silence.
        on_push_ack: Called by the reading thread when a PUSH_ACK has come, before anybody learns of it.
    """

    def __init__(self, gateway: Address, eui: str) -> None:
        super().__init__()
        self.gateway = gateway
        self.eui = eui
        self.answers: Inbox[Datagram] = Inbox("forwarder")
        self.orders: Inbox[Datagram] = Inbox("forwarder's orders")
        self.tx_ack: str | None = "NONE"
        self.on_push_ack: Callable[[], None] | None = None
        # the counter of a concentrator that has been up for a while
        self._counter_start_us = random.randrange(_COUNTER_PERIOD_US)

    def received(self, datagram: Datagram, source: Address) -> None:
        """Acknowledge an order, keep everything."""
        if datagram.kind == udp.PULL_RESP:
            if self.tx_ack is not None:
                answer = {"txpk_ack": {"error": self.tx_ack}}
                self.send(udp.encode(udp.TX_ACK, datagram.token, self.eui, answer), source)
            self.orders.put(datagram)
            return
        if datagram.kind == udp.PUSH_ACK and self.on_push_ack is not None:
            self.on_push_ack()
        self.answers.put(datagram)

    def counter_us(self, ago_us: int = 0) -> int:
        """Return the concentrator's counter, now or a little while ago."""
        return (time.monotonic_ns() // 1000 - ago_us + self._counter_start_us) % _COUNTER_PERIOD_US

    def pull(self) -> None:
        """Open the way for downlinks: PULL_DATA until PULL_ACK."""
        until = time.monotonic() + PATIENCE_S
        while True:
            token = self.next_token()
            self.send(udp.encode(udp.PULL_DATA, token, self.eui), self.gateway)
            try:
                self.answers.take(_is(udp.PULL_ACK, token), patience_s=PULL_AGAIN_S)
            except NothingCameError:
                if time.monotonic() >= until:
                    raise
            else:
                return

    def rxpk(self, payload: bytes, **changes: Any) -> dict[str, Any]:
        """Return a frame just heard, as PROTOCOL.md shows one; ``changes`` replace or add fields."""
        heard = {
            "tmst": self.counter_us(),
            "chan": 2,
            "rfch": 1,
            "freq": 868.3,
            "stat": 1,
            "modu": "LORA",
            "datr": "SF7BW125",
            "codr": "4/5",
            "rssi": -57,
            "lsnr": 7.2,
            "size": len(payload),
            "data": udp.encode_payload(payload),
        }
        return {**heard, **changes}

    def push(self, *rxpks: dict[str, Any]) -> bytes:
        """Send frames in one PUSH_DATA and return its token."""
        token = self.next_token()
        self.send(udp.encode(udp.PUSH_DATA, token, self.eui, {"rxpk": list(rxpks)}), self.gateway)
        return token

    def deliver(self, *rxpks: dict[str, Any]) -> None:
        """Send frames and wait for their acknowledgement."""
        self.answers.take(_is(udp.PUSH_ACK, self.push(*rxpks)))

    def order(self) -> dict[str, Any]:
        """Return the ``txpk`` of the next PULL_RESP, waiting for it."""
        txpk: dict[str, Any] = self.orders.take().body["txpk"]
        return txpk


def _is(kind: int, token: bytes) -> Callable[[Datagram], bool]:
    return lambda datagram: (datagram.kind, datagram.token) == (kind, token)
