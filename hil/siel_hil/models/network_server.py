"""A small network server on the Semtech UDP protocol: acknowledges, remembers, answers when a test says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from siel_hil.models import semtech_udp as udp
from siel_hil.world import World


@dataclass(frozen=True)
class HeardFrame:
    """One rxpk as it arrived."""

    t_us: int
    gateway_eui: str
    rxpk: dict[str, Any]

    @property
    def payload(self) -> bytes:
        """The PHYPayload; empty when the gateway sent no valid base64."""
        try:
            return udp.decode_payload(self.rxpk["data"])
        except (KeyError, TypeError, ValueError):
            return b""


@dataclass
class NetworkServer:
    """The northern side of a gateway.

    Attributes:
        answer: Called with each frame heard; a txpk it returns is sent back at once as a PULL_RESP.
        on: False makes it as deaf and silent as a server that is down.
        frames: What was heard, in order of arrival, good CRC or not.
        stats: (gateway, stat) in order of arrival.
        acks: Token of a PULL_RESP -> the TX_ACK's txpk_ack object, empty for plain success.
        requests: Token of a PULL_RESP -> its txpk.
        counters: Datagrams by kind, and ``bad`` and ``unroutable`` ones.
    """

    world: World
    name: str = "network-server"
    answer: Callable[[HeardFrame], dict[str, Any] | None] | None = None
    on: bool = True
    frames: list[HeardFrame] = field(default_factory=list)
    stats: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    acks: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    requests: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    _endpoint: udp.Endpoint | None = None
    _paths: dict[str, udp.Address] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take a token stream of its own."""
        self._tokens = self.world.rng(f"network_server/{self.name}")

    def start(self, endpoint: udp.Endpoint) -> None:
        """Serve from now on; whoever owns ``endpoint`` calls ``receive``."""
        self._endpoint = endpoint

    def receive(self, data: bytes, source: udp.Address) -> None:
        """Take a datagram from a gateway; acknowledge first, then look at it."""
        if not self.on or self._endpoint is None:
            return
        datagram = udp.parse(data)
        if datagram is None:
            self.counters["bad"] += 1
            return
        if datagram.kind == udp.PUSH_DATA:
            self.counters["push_data"] += 1
            self._endpoint.send(udp.encode(udp.PUSH_ACK, datagram.token), source)
            self._push_data(datagram)
        elif datagram.kind == udp.PULL_DATA:
            self.counters["pull_data"] += 1
            self._paths[datagram.eui] = source
            self._endpoint.send(udp.encode(udp.PULL_ACK, datagram.token), source)
        elif datagram.kind == udp.TX_ACK:
            self.counters["tx_ack"] += 1
            ack = datagram.body.get("txpk_ack", {})
            self.acks[datagram.token] = ack if isinstance(ack, dict) and ack.get("error") != "NONE" else {}

    def _push_data(self, datagram: udp.Datagram) -> None:
        stat = datagram.body.get("stat")
        if isinstance(stat, dict):
            self.stats.append((datagram.eui, stat))
        rxpks = datagram.body.get("rxpk")
        for rxpk in rxpks if isinstance(rxpks, list) else ():
            if not isinstance(rxpk, dict):
                self.counters["bad"] += 1
                continue
            frame = HeardFrame(self.world.now_us, datagram.eui, rxpk)
            self.frames.append(frame)
            if self.answer is not None and (txpk := self.answer(frame)) is not None:
                self.send_downlink(datagram.eui, txpk)

    def send_downlink(self, gateway_eui: str, txpk: dict[str, Any]) -> bytes:
        """Send a PULL_RESP to where ``gateway_eui`` last asked from; return its token."""
        token = self._tokens.randbytes(2)
        self.requests[token] = txpk
        path = self._paths.get(gateway_eui)
        if path is None or self._endpoint is None or not self.on:
            self.counters["unroutable"] += 1
        else:
            self.counters["pull_resp"] += 1
            self._endpoint.send(udp.encode(udp.PULL_RESP, token, body={"txpk": txpk}), path)
        return token


def answer_to(frame: HeardFrame, payload: bytes, delay_s: int = 1) -> dict[str, Any]:
    """Return the txpk that answers ``frame`` in RX1: same channel and data rate, ``delay_s`` after its end.

    Source: TS001-1.0.4 section 3.3.1; inverted IQ and no CRC as its section 4.1 wants downlinks.
    """
    rxpk = frame.rxpk
    return {
        "imme": False,
        "tmst": (rxpk["tmst"] + delay_s * 1_000_000) & 0xFFFFFFFF,
        "freq": rxpk["freq"],
        "rfch": 0,
        "powe": 14,
        "modu": "LORA",
        "datr": rxpk["datr"],
        "codr": "4/5",
        "ipol": True,
        "ncrc": True,
        "size": len(payload),
        "data": udp.encode_payload(payload),
    }
