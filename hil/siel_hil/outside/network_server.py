"""A network server on a real socket: acknowledges at once, keeps what came, asks for downlinks."""

from __future__ import annotations

from typing import Any

from siel_hil.models import semtech_udp as udp
from siel_hil.models.semtech_udp import Address, Datagram
from siel_hil.outside.inbox import Inbox
from siel_hil.outside.socket_peer import SocketPeer


class NetworkServer(SocketPeer):
    """The northern end of Semtech UDP.

    Attributes:
        frames: (gateway EUI, rxpk), one per frame.
        tx_acks: (gateway EUI, token, error word).
        pulls: EUIs, one per PULL_DATA.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.frames: Inbox[tuple[str, dict[str, Any]]] = Inbox("network server")
        self.tx_acks: Inbox[tuple[str, bytes, str]] = Inbox("TX_ACKs")
        self.pulls: Inbox[str] = Inbox("PULL_DATAs")
        self._paths: dict[str, Address] = {}

    @property
    def url(self) -> str:
        """What siel.toml calls it."""
        return f"udp://{self.address[0]}:{self.address[1]}"

    def received(self, datagram: Datagram, source: Address) -> None:
        """Acknowledge and keep."""
        if datagram.kind == udp.PUSH_DATA:
            self.send(udp.encode(udp.PUSH_ACK, datagram.token), source)
            for rxpk in datagram.body.get("rxpk", []):
                self.frames.put((datagram.eui, rxpk))
        elif datagram.kind == udp.PULL_DATA:
            self._paths[datagram.eui] = source
            self.send(udp.encode(udp.PULL_ACK, datagram.token), source)
            self.pulls.put(datagram.eui)
        elif datagram.kind == udp.TX_ACK:
            error = datagram.body.get("txpk_ack", {}).get("error", "NONE")
            self.tx_acks.put((datagram.eui, datagram.token, error))

    def frame(self, payload: bytes) -> tuple[str, dict[str, Any]]:
        """Return gateway EUI and rxpk of the next copy of ``payload``, waiting for it."""
        data = udp.encode_payload(payload)
        return self.frames.take(lambda frame: frame[1].get("data") == data)

    def ask(self, eui: str, **txpk: Any) -> bytes:
        """Send a PULL_RESP to a gateway and return its token."""
        token = self.next_token()
        self.send(udp.encode(udp.PULL_RESP, token, body={"txpk": txpk}), self._paths[eui])
        return token

    def word(self, token: bytes) -> str:
        """Return the error word of the TX_ACK with this token, waiting for it."""
        return self.tx_acks.take(lambda ack: ack[1] == token)[2]
