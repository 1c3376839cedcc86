"""An edge server on its own, for tests: its journal in memory, its clock in the test's hand, devices without air."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from siel_codecs import codec
from siel_codecs.codec import Decoded, Sample, failed
from siel_codecs.lorawan import (
    DataFrame,
    SessionKeys,
    crypt_payload,
    data_mic,
    decode_join_accept,
    derive_session_keys,
    encode_data_up,
    encode_join_request,
    parse_mac_commands,
    parse_phy,
)
from siel_gateway.edge import BLOCK, Downlink, EdgeDevice, EdgeServer, Effects, Now, Reservation
from siel_gateway.keystore import KeyStore
from siel_gateway.records import RxFrame, TxOutcome, TxRequest

GATEWAY = "0016c001f1500812"
JOIN_EUI = "70b3d57ed0000001"
HEADS = [(hz, 7, 125_000) for hz in (868_100_000, 868_300_000, 868_500_000)]
ONE_HEAD = HEADS[:1]
CONCENTRATOR = [
    (hz, factor, 125_000)
    for hz in (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000, 868_100_000, 868_300_000, 868_500_000)
    for factor in range(7, 13)
]
START_US = 1_000_000_000
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
UNDECODABLE = 0xFF


class Echo:
    """A codec whose reading is the payload's length; 0xff as first byte is what it cannot decode."""

    name = "test/echo"

    def decode(self, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        """Return how long the payload is, or fail if it begins with 0xff."""
        if payload[0] == UNDECODABLE:
            return failed("no reading")
        data = {"length": len(payload), "port": f_port}
        return Decoded(data, {"length": "B"}, [], [], [Sample(data, recv_ms)])

    def encode(self, f_port: int, data: Mapping[str, Any]) -> bytes:
        """Raise: nothing is sent with this codec."""
        raise NotImplementedError

    def decode_downlink(self, f_port: int, payload: bytes) -> Decoded:
        """Raise: nothing is sent with this codec."""
        raise NotImplementedError

    def encode_downlink(self, data: Mapping[str, Any], f_port: int | None = None) -> codec.Downlink:
        """Raise: nothing is sent with this codec."""
        raise NotImplementedError


class Store:
    """A journal in memory: what was not committed is lost in a kill, reservations never are."""

    def __init__(self) -> None:
        self.committed: dict[tuple[str, str], bytes] = {}
        self.batch: dict[tuple[str, str], bytes] = {}
        self.reserved: dict[str, int] = {}

    def commit(self) -> None:
        """Keep what was put so far."""
        self.committed |= self.batch
        self.batch = {}

    def kill(self) -> None:
        """Lose what was put since the last commit."""
        self.batch = {}

    def items(self, table: str) -> Iterable[tuple[str, bytes]]:
        """Return what a restarted server finds of one table."""
        return [(key, value) for (name, key), value in self.committed.items() if name == table]

    def reserve(self, reservation: Reservation) -> int:
        """Return the first number of a block that nobody gets again."""
        first = self.reserved.get(reservation.counter, 0)
        self.reserved[reservation.counter] = first + BLOCK
        return first


class Node:
    """The device's side, as far as the server can tell."""

    def __init__(self, number: int) -> None:
        self.dev_eui = f"70b3d57ed00001{number:02x}"
        self.app_key = bytes([number] * 16)
        self.dev_nonce = 0
        self.f_cnt = -1
        self.dev_addr = 0
        self.keys: SessionKeys | None = None
        self.accept: Any = None

    def join_request(self) -> bytes:
        """Return the request of the next DevNonce; the session ends."""
        self.dev_nonce += 1
        self.keys = None
        return encode_join_request(self.app_key, JOIN_EUI, self.dev_eui, self.dev_nonce)

    def hear_accept(self, phy: bytes) -> SessionKeys:
        """Begin the session that a join-accept offers, and return its keys."""
        self.accept = decode_join_accept(self.app_key, phy)
        self.dev_addr, self.f_cnt = self.accept.dev_addr, -1
        self.keys = keys = derive_session_keys(self.app_key, self.accept.join_nonce, self.accept.net_id, self.dev_nonce)
        return keys

    def uplink(self, payload: bytes = b"level", step: int = 1, f_port: int | None = 2, **fields: Any) -> bytes:
        """Return the frame ``step`` counters after the one before."""
        self.f_cnt += step
        return self.frame(payload, self.f_cnt, f_port=f_port, **fields)

    def frame(self, payload: bytes, f_cnt: int, **fields: Any) -> bytes:
        """Return a frame of any counter; the device's own counter stays."""
        assert self.keys is not None  # noqa: S101 - it has joined
        return encode_data_up(*self.keys, self.dev_addr, f_cnt, payload=payload, **fields)

    def hear(self, phy: bytes, session: tuple[int, SessionKeys] | None = None) -> tuple[int, DataFrame, bytes]:
        """Return FCntDown, the frame and its decrypted payload.

        Args:
            phy: What the server sends.
            session: DevAddr and keys of an earlier session; the present one if not given.

        Raises:
            AssertionError: It is no downlink of this session.
        """
        if session is None:
            assert self.keys is not None  # noqa: S101 - it has joined
            session = (self.dev_addr, self.keys)
        dev_addr, keys = session
        frame = parse_phy(phy)
        assert isinstance(frame, DataFrame)  # noqa: S101 - the check is what hearing promises
        assert not frame.uplink  # noqa: S101 - the check is what hearing promises
        assert frame.dev_addr == dev_addr  # noqa: S101 - the check is what hearing promises
        assert data_mic(keys.nwk_s_key, phy[:-4], dev_addr, frame.f_cnt, False) == frame.mic  # noqa: S101 - the check is what hearing promises
        key = keys.app_s_key if frame.f_port else keys.nwk_s_key
        return frame.f_cnt, frame, crypt_payload(key, dev_addr, frame.f_cnt, False, frame.frm_payload)


class Site:
    """An edge server with its journal and a clock."""

    def __init__(self, heard: list[tuple[int, int, int]] = HEADS, nodes: int = 2, **settings: Any) -> None:
        self.nodes = [Node(number) for number in range(1, nodes + 1)]
        self.key_store = KeyStore.in_memory({node.dev_eui: node.app_key for node in self.nodes})
        self.heard = heard
        self.settings = settings
        self.store = Store()
        self.now_us = START_US
        self.edge = self.started()

    def started(self) -> EdgeServer:
        """Return a server that has read the journal, with its numbers reserved."""
        devices = [
            EdgeDevice(dev_eui=node.dev_eui, join_eui=JOIN_EUI, name=f"node {number}", codec=Echo())
            for number, node in enumerate(self.nodes)
        ]
        edge = EdgeServer(
            devices,
            self.key_store.get,
            heard=self.heard,
            gateway_id=GATEWAY,
            sealer=self.key_store.sealer(),
            random_bytes=Random(len(self.store.committed)).randbytes,
            **self.settings,
        )
        effects = edge.load(self.store.items, self.now_us)
        assert effects.events == []  # noqa: S101 - a journal of ours is readable
        self.store.batch |= {(table, key): value for table, key, value in effects.puts}
        for reservation in edge.initial_reservations():
            edge.grant(reservation, self.store.reserve(reservation))
        return edge

    def restart(self) -> None:
        """Kill the server and start another on what was committed."""
        self.store.kill()
        self.edge = self.started()

    @property
    def now(self) -> Now:
        """The clock's two readings."""
        return Now(self.now_us, START_MS + (self.now_us - START_US) // 1000)

    def wait(self, seconds: float) -> None:
        """Move the clock."""
        self.now_us += round(seconds * 1e6)

    def carry_out(self, effects: Effects) -> Effects:
        """Do for the server what a journal would, and return the effects."""
        self.store.batch |= {(table, key): value for table, key, value in effects.puts}
        for reservation in effects.reservations:
            self.edge.grant(reservation, self.store.reserve(reservation))
        return effects

    def frame(self, phy: bytes, *, radio: str = "one", at_us: int | None = None, **fields: Any) -> RxFrame:
        """Return a frame as a radio reports it, heard now or at ``at_us``."""
        at_us = self.now_us if at_us is None else at_us
        values = {
            "frequency_hz": 868_100_000,
            "spreading_factor": 7,
            "bandwidth_hz": 125_000,
            "rssi_dbm": -101,
            "snr_db": 4.5,
        }
        return RxFrame(
            radio=radio,
            gateway_eui=GATEWAY,
            radio_session=1,
            counter_us=at_us & 0xFFFFFFFF,
            gateway_us=at_us,
            received_ms=START_MS + (at_us - START_US) // 1000,
            clock="ntp",
            crc="ok",
            phy_payload=phy,
            **(values | fields),
        )

    def hear(self, phy: bytes, **fields: Any) -> Effects:
        """Deliver a frame to the server."""
        return self.carry_out(self.edge.handle(self.frame(phy, **fields), self.now))

    def join(self, number: int = 0, **fields: Any) -> Node:
        """Return a device that has joined just now."""
        node = self.nodes[number]
        effects = self.hear(node.join_request(), **fields)
        node.hear_accept(effects.transmissions[0].request.phy_payload)
        self.wait(10)
        return node

    def enqueue(self, node: Node, id_: str, payload: bytes = b"on", **fields: Any) -> list[tuple[str, str]]:
        """Ask for a downlink, for an hour if nothing else is said, and return what is told of it."""
        expires_ms = fields.pop("expires_ms", self.now.utc_ms + 3_600_000)
        downlink = Downlink(id=id_, f_port=fields.pop("f_port", 3), payload=payload, expires_ms=expires_ms, **fields)
        return deliveries(self.carry_out(self.edge.enqueue(node.dev_eui, downlink, self.now.utc_ms)))

    def outcome(self, request: TxRequest, word: Any, reason: str = "", slack_us: int | None = None) -> list[Any]:
        """Tell the server what became of a transmission, and return what is told of it in turn."""
        outcome = TxOutcome(id=request.id, outcome=word, reason=reason, slack_us=slack_us)
        return self.carry_out(self.edge.tx_outcome(outcome)).deliveries


def deliveries(effects: Effects) -> list[tuple[str, str]]:
    """Return outcome and reason of each delivery."""
    return [(delivery.outcome, delivery.reason) for delivery in effects.deliveries]


def only_request(effects: Effects) -> TxRequest:
    """Return the one transmission's request."""
    (transmission,) = effects.transmissions
    return transmission.request


def commands_of(frame: DataFrame) -> dict[str, dict[str, Any]]:
    """Return the MAC commands in FOpts by name."""
    commands, error = parse_mac_commands(frame.f_opts, False)
    assert error is None  # noqa: S101 - the server speaks MAC
    return {command.name: command.fields for command in commands}
