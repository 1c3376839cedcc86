"""A gateway daemon on a test's own services: a forwarder south of it, a server north, one device behind both."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from siel_codecs import registry
from siel_codecs.lorawan import (
    DataFrame,
    SessionKeys,
    decode_join_accept,
    derive_session_keys,
    encode_data_up,
    encode_join_request,
    parse_phy,
)
from siel_gateway import config as configuration
from siel_gateway import gwmp
from siel_gateway.daemon import JOURNAL_FILE, Daemon
from siel_gateway.gwmp import Kind
from siel_gateway.journal_store import JournalStore
from siel_gateway.keystore import KeyStore
from siel_gateway.records import Observation

EUI = "0016c001f1500812"
DEV_EUI = "70b3d57ed0000101"
JOIN_EUI = "70b3d57ed0000001"
APP_KEY = bytes(range(16))
FORWARDER_PORT = 1700
SERVER = ("127.0.0.1", 1710)
CODEC = registry.load("siel/climate")
F_PORT = CODEC.device.ports[0].f_ports[0]
READING = CODEC.encode(F_PORT, {})

TOML = f"""
[gateway]
id = "{EUI}"

[[radio]]
name = "roof"
kind = "semtech-udp"
bind = "127.0.0.1:{FORWARDER_PORT}"
gateway_id = "{EUI}"

[[upstream]]
name = "state"
kind = "semtech-udp"
url = "udp://127.0.0.1:{SERVER[1]}"

[[sink]]
name = "screen"
kind = "console"
format = "json"

[[device]]
dev_eui = "{DEV_EUI}"
join_eui = "{JOIN_EUI}"
name = "pond"
codec = "siel/climate"
home = "edge"
"""


class Node:
    """A device behind the concentrator."""

    def __init__(self) -> None:
        self.dev_nonce = 0
        self.f_cnt = -1
        self.dev_addr = 0
        self.keys: SessionKeys | None = None

    def join_request(self) -> bytes:
        """Return the request of the next DevNonce."""
        self.dev_nonce += 1
        return encode_join_request(APP_KEY, JOIN_EUI, DEV_EUI, self.dev_nonce)

    def hear_accept(self, phy: bytes) -> None:
        """Begin the session that a join-accept offers."""
        accept = decode_join_accept(APP_KEY, phy)
        self.dev_addr, self.f_cnt = accept.dev_addr, -1
        self.keys = derive_session_keys(APP_KEY, accept.join_nonce, accept.net_id, self.dev_nonce)

    def uplink(self, **fields: Any) -> bytes:
        """Return the frame of the next counter."""
        assert self.keys is not None  # noqa: S101 - it has joined
        self.f_cnt += 1
        return encode_data_up(*self.keys, self.dev_addr, self.f_cnt, f_port=F_PORT, payload=READING, **fields)


class Forwarder:
    """A packet forwarder on the same box."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.acknowledged: list[bytes] = []
        self.downlinks: list[tuple[int, gwmp.TxPk]] = []
        self.answers = ""
        self.token = 0

    async def start(self) -> None:
        """Ask for downlinks."""
        self.socket = await self.bench.open_datagrams(("127.0.0.1", 0), self._receive)
        self._send(Kind.PULL_DATA)
        await asyncio.sleep(0.01)

    def _send(self, kind: Kind, body: bytes = b"", token: bytes | None = None) -> bytes:
        self.token += 1
        token = token or self.token.to_bytes(2)
        self.socket.send(gwmp.build(kind, token, EUI, body), ("127.0.0.1", FORWARDER_PORT))
        return token

    def _receive(self, data: bytes, source: Any) -> None:
        datagram = gwmp.parse(data)
        if datagram.kind is Kind.PUSH_ACK:
            self.acknowledged.append(datagram.token)
        elif datagram.kind is Kind.PULL_RESP:
            self.downlinks.append((self.bench.monotonic_us(), gwmp.parse_pull_resp(datagram.body)))
            self._send(Kind.TX_ACK, gwmp.tx_ack_body(self.answers) if self.answers else b"", datagram.token)

    def push(self, phy: bytes, *, stat: int = 1) -> bytes:
        """Send a frame as heard now, and return the datagram's token."""
        packet = {
            "tmst": self.bench.monotonic_us() & 0xFFFFFFFF,
            "chan": 0,
            "rfch": 0,
            "freq": 868.1,
            "stat": stat,
            "modu": "LORA",
            "datr": "SF7BW125",
            "codr": "4/5",
            "rssi": -90,
            "lsnr": 6.5,
            "size": len(phy),
            "data": gwmp.encode_data(phy),
        }
        return self._send(Kind.PUSH_DATA, json.dumps({"rxpk": [packet]}).encode())


class Server:
    """A network server that acknowledges everything it gets."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.frames: list[bytes] = []
        self.acks = list[bytes]()
        self.gateway: Any = None

    async def start(self) -> None:
        """Listen."""
        self.socket = await self.bench.open_datagrams(SERVER, self._receive)

    def _receive(self, data: bytes, source: Any) -> None:
        datagram = gwmp.parse(data)
        if datagram.kind is Kind.PUSH_DATA:
            push = gwmp.parse_push_data(datagram.body)
            self.frames += [gwmp.decode_data(packet.data) for packet in push.rxpks]
            self.socket.send(gwmp.build(Kind.PUSH_ACK, datagram.token), source)
        elif datagram.kind is Kind.PULL_DATA:
            self.gateway = source
            self.socket.send(gwmp.build(Kind.PULL_ACK, datagram.token), source)
        elif datagram.kind is Kind.TX_ACK:
            self.acks.append(datagram.body)


class DaemonBench:
    """A daemon with everything around it.

    Args:
        bench: The ``Services`` of a test, whose clock moves when nobody has anything to do.
        folder: Where the configuration and the journal lie.
        toml: The configuration.
        key_store: The devices' keys; those of ``Node`` if not given.
    """

    def __init__(self, bench: Any, folder: Path, toml: str = TOML, key_store: KeyStore | None = None) -> None:
        self.bench = bench
        self.folder = folder
        self.toml = toml
        self.key_store = key_store or KeyStore.in_memory({DEV_EUI: APP_KEY})
        self.forwarder = Forwarder(bench)
        self.server = Server(bench)
        self.node = Node()
        bench.console = io.StringIO()
        self.daemon = self.new_daemon(folder)

    def new_daemon(self, folder: Path) -> Daemon:
        """Return a daemon on the journal of a folder, not yet started."""
        folder.mkdir(exist_ok=True)
        return Daemon(configuration.parse(self.toml, folder / "siel.toml"), self.bench, self.key_store)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[DaemonBench]:
        """Run the daemon beside the body, then stop it in good order."""
        if not hasattr(self.server, "socket"):
            await self.server.start()
        async with serving(self.daemon):
            await self.forwarder.start()
            await asyncio.sleep(0.1)
            yield self

    async def restart(self) -> None:
        """Put a new daemon in place of the one that has stopped."""
        self.daemon = self.new_daemon(self.folder)

    async def join(self) -> Node:
        """Return the device, joined."""
        self.forwarder.push(self.node.join_request())
        await asyncio.sleep(0.2)
        self.node.hear_accept(gwmp.decode_data(self.forwarder.downlinks[-1][1].data))
        await asyncio.sleep(6)
        return self.node

    async def heard(self, phy: bytes, **fields: Any) -> bytes:
        """Have a frame heard and time to be worked on; return its datagram's token."""
        token = self.forwarder.push(phy, **fields)
        await asyncio.sleep(0.2)
        return token

    def observations(self) -> list[dict[str, Any]]:
        """Return what the sink has shown."""
        return [json.loads(line) for line in self.bench.console.getvalue().splitlines()]

    @property
    def data_dir(self) -> Path:
        """Where the journal lies."""
        return self.folder / "data"


@contextlib.asynccontextmanager
async def serving(daemon: Daemon) -> AsyncIterator[None]:
    """Run a daemon beside the body from the moment it is ready."""
    task = asyncio.create_task(daemon.run())
    ready = asyncio.create_task(daemon.ready.wait())
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield
    finally:
        ready.cancel()
        daemon.stop()
        await task


def journalled(folder: Path) -> tuple[list[bytes], list[Observation]]:
    """Return what is on disk, in a copy, as it would be found after a power cut of the process."""
    copy = folder.with_name(folder.name + "-look")
    shutil.copytree(folder, copy)
    store = JournalStore(copy / JOURNAL_FILE, "normal")
    store.open()
    try:
        return (
            [frame.phy_payload for _, frame in store.frames_after(0, 1000)],
            [observation for _, observation in store.observations_after(0, 1000)],
        )
    finally:
        store.close()
        shutil.rmtree(copy)


def f_cnt_down(phy: bytes) -> int:
    """Return the frame counter of a downlink."""
    frame = parse_phy(phy)
    assert isinstance(frame, DataFrame)  # noqa: S101 - a join-accept has no counter
    return frame.f_cnt
