"""The shipped daemon alone: Semtech UDP in, MIC, decrypt, decode, journal, raw upstream, MQTT. Prints; asserts no time.

Goals: 3000 uplinks/s sustained with MQTT and none lost, the daemon on a core of its own; 300/s at p99 50 ms on a tenth
of a core; 80 MB resident when idle; at most 600 B written per uplink. A full eight-channel gateway hears about 255
frames of 20 bytes a second. The daemon is a process of its own; sender, network server and what measures are this one.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from siel_codecs import registry
from siel_gateway.keystore import KeyStore, create_key_file
from siel_hil.broker import PrivateBroker
from siel_hil.models import semtech_udp as udp
from siel_hil.outside import Device, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siel_hil.models.semtech_udp import Address

CONCENTRATOR: Final = "aa555a0000000102"
DEVICES: Final = 20
CODEC: Final = "siel/water_level"
F_PORT: Final = 10
SATURATED_UPLINKS: Final = 20_000
STEADY_RATE: Final = 300
STEADY_S: Final = 10
WINDOW: Final = 256
"""Not acknowledged at a time: what the smallest usual socket buffer holds, and 2500/s through commits of 100 ms."""
PATIENCE_S: Final = 30.0
JOIN_GAP_S: Final = 0.15
"""Join-accepts must not meet on air."""
_LARGEST: Final = 65_535
_DATA: Final = re.compile(rb'"data":"([^"]+)"')
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class Ends:
    """Both neighbours of the daemon in one thread: the forwarder in the south, the network server in the north."""

    def __init__(self) -> None:
        self.south, self.north = (self._socket() for _ in range(2))
        self.gateway: Address = ("", 0)
        self.accepts: list[bytes] = []
        self.sent_s: dict[int, float] = {}
        self.waiting: dict[bytes, float] = {}
        self.ack_s: list[float] = []
        self.north_s: list[float] = []
        self._token = 0
        self._poll = select.poll()
        for end in (self.south, self.north):
            self._poll.register(end, select.POLLIN)

    @staticmethod
    def _socket() -> socket.socket:
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        end.bind(("127.0.0.1", 0))
        end.setblocking(False)
        return end

    @property
    def url(self) -> str:
        host, port = self.north.getsockname()
        return f"udp://{host}:{port}"

    def close(self) -> None:
        self.south.close()
        self.north.close()

    def push(self, data: bytes) -> None:
        """Send one frame, its payload in base64, as a forwarder that has just heard it."""
        self._token = (self._token + 1) % 0x10000
        tmst = time.monotonic_ns() // 1000 % (1 << 32)
        body = (
            b'{"rxpk":[{"tmst":%d,"chan":2,"rfch":1,"freq":868.3,"stat":1,"modu":"LORA","datr":"SF7BW125",'
            b'"codr":"4/5","rssi":-57,"lsnr":7.2,"size":%d,"data":"%s"}]}' % (tmst, len(data) * 3 // 4, data)
        )
        now_s = time.perf_counter()
        self.sent_s[self._token] = self.waiting[data] = now_s
        head = udp.encode(udp.PUSH_DATA, self._token.to_bytes(2), CONCENTRATOR)
        self.south.sendto(head + body, self.gateway)

    def pull(self) -> None:
        self.south.sendto(udp.encode(udp.PULL_DATA, b"\0\0", CONCENTRATOR), self.gateway)

    def pump(self, wait_s: float) -> None:
        """Take what came, after waiting for it at most so long."""
        self._poll.poll(max(0.0, wait_s) * 1000)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._from_daemon(self.south.recv(_LARGEST))
        with contextlib.suppress(BlockingIOError):
            while True:
                self._to_server(*self.north.recvfrom(_LARGEST))

    def _from_daemon(self, data: bytes) -> None:
        if data[3] == udp.PUSH_ACK:
            sent_s = self.sent_s.pop(int.from_bytes(data[1:3]), None)
            if sent_s is not None:
                self.ack_s.append(time.perf_counter() - sent_s)
        elif data[3] == udp.PULL_RESP:
            answer = {"txpk_ack": {"error": "NONE"}}
            self.south.sendto(udp.encode(udp.TX_ACK, data[1:3], CONCENTRATOR, answer), self.gateway)
            datagram = udp.parse(data)
            assert datagram is not None
            self.accepts.append(udp.decode_payload(datagram.body["txpk"]["data"]))

    def _to_server(self, data: bytes, source: Address) -> None:
        if data[3] in {udp.PUSH_DATA, udp.PULL_DATA}:
            self.north.sendto(
                bytes((udp.VERSION, *data[1:3], data[3] + (1 if data[3] == udp.PUSH_DATA else 2))), source
            )
        if data[3] == udp.PUSH_DATA:
            now_s = time.perf_counter()
            for payload in _DATA.findall(data):
                sent_s = self.waiting.pop(payload, None)
                if sent_s is not None:
                    self.north_s.append(now_s - sent_s)

    def settle(self, outstanding: int = 0) -> None:
        """Wait until so few are not acknowledged, and all went north when it is to be none."""
        until = time.monotonic() + PATIENCE_S
        while (len(self.sent_s) > outstanding or (not outstanding and self.waiting)) and time.monotonic() < until:
            self.pump(0.2)


@dataclass
class Daemon:
    """What /proc says of the daemon."""

    pid: int
    _before: tuple[float, float, int] = field(default=(0.0, 0.0, 0))

    def _now(self) -> tuple[float, float, int]:
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        written = 0
        with contextlib.suppress(PermissionError), open(f"/proc/{self.pid}/io", encoding="ascii") as file:
            written = int(dict(line.split(": ") for line in file)["write_bytes"])
        return time.perf_counter(), (int(fields[11]) + int(fields[12])) * _TICK_S, written

    def begin(self) -> None:
        self._before = self._now()

    def used(self) -> tuple[float, float, int]:
        """Return seconds of wall and CPU time and bytes written since ``begin``."""
        return tuple(after - before for after, before in zip(self._now(), self._before, strict=True))  # type: ignore[return-value]

    def resident_mb(self) -> tuple[float, float]:
        """Return resident memory now and at its most."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            lines = dict(line.rstrip().split(":", 1) for line in file)
        return int(lines["VmRSS"].split()[0]) / 1000, int(lines["VmHWM"].split()[0]) / 1000


def share(values: list[float], part: float) -> str:
    """Return a percentile of times in milliseconds."""
    return f"{1e3 * sorted(values)[min(len(values) - 1, int(part * len(values)))]:.1f}" if values else "-"


@pytest.fixture
def cores() -> Iterator[tuple[set[int], set[int]]]:
    """Return a core for the daemon and those for everybody else, and keep this process off the first."""
    mine = os.sched_getaffinity(0)
    daemon = {min(mine)}
    others = mine - daemon or mine
    os.sched_setaffinity(0, others)
    yield daemon, others
    os.sched_setaffinity(0, mine)


def configure(folder: Path, ends: Ends, sink: str) -> tuple[Path, list[Device]]:
    store = KeyStore.create(folder / "keys.siel", create_key_file(folder / "keys.key"))
    devices = [Device(f"0251e1000000{number:04x}", os.urandom(16)) for number in range(DEVICES)]
    for device in devices:
        store.put(device.dev_eui, device.join_eui, device.app_key)
    store.save()
    entries = "".join(
        f'[[device]]\ndev_eui = "{device.dev_eui}"\nname = "{device.dev_eui}"\ncodec = "{CODEC}"\n'
        for device in devices
    )
    config = folder / "siel.toml"
    config.write_text(
        f"""
[gateway]
id = "0251e1fffe000001"
data_dir = "{folder}/data"
[keys]
store = "{folder}/keys.siel"
key_file = "{folder}/keys.key"
[[radio]]
kind = "semtech-udp"
bind = "127.0.0.1:0"
gateway_id = "{CONCENTRATOR}"
[[upstream]]
kind = "semtech-udp"
url = "{ends.url}"
{sink}
{entries}
"""
    )
    return config, devices


def join(ends: Ends, devices: list[Device]) -> None:
    """Let every device join, one after the other: their answers meet on air otherwise."""
    for device in devices:
        ends.push(udp.encode_payload(device.join_request()).encode())
        until = time.monotonic() + JOIN_GAP_S
        while (left_s := until - time.monotonic()) > 0:
            ends.pump(left_s)
    until = time.monotonic() + PATIENCE_S
    while len(ends.accepts) < len(devices) and time.monotonic() < until:
        ends.pump(0.2)
    for device, accept in zip(devices, ends.accepts, strict=True):
        device.accept(accept)
    ends.settle()


def frames(devices: list[Device], count: int) -> list[bytes]:
    """Return so many data frames, the devices taking turns."""
    payload = registry.load(CODEC).encode(F_PORT, {"distance": 1234, "battery": 3.6})
    return [
        udp.encode_payload(devices[number % len(devices)].uplink(payload, F_PORT)).encode() for number in range(count)
    ]


@pytest.mark.parametrize("with_mqtt", [False, True], ids=["journal and upstream", "and MQTT"])
def test_uplinks(tmp_path: Path, cores: tuple[set[int], set[int]], with_mqtt: bool) -> None:
    with contextlib.ExitStack() as stack:
        ends = Ends()
        stack.callback(ends.close)
        broker = stack.enter_context(PrivateBroker()) if with_mqtt else None
        sink = f'[[sink]]\nkind = "mqtt"\nurl = "{broker.url}"\n' if broker else ""
        config, devices = configure(tmp_path, ends, sink)
        gateway = Gateway(config)
        stack.callback(gateway.kill)
        gateway.start(wait=False)
        assert gateway.pid is not None
        os.sched_setaffinity(gateway.pid, cores[0])
        ends.gateway = gateway.udp_address()
        answered = time.monotonic() + PATIENCE_S
        while not gateway.lines("server_answers") and time.monotonic() < answered:
            ends.pump(0.1)
        ends.pull()
        daemon = Daemon(gateway.pid)
        idle_mb = daemon.resident_mb()[0]
        join(ends, devices)
        rows = [saturate(ends, daemon, frames(devices, SATURATED_UPLINKS))]
        rows.append(steady(ends, daemon, frames(devices, STEADY_RATE * STEADY_S)))
        lost = len(ends.sent_s)
        resident_mb, peak_mb = daemon.resident_mb()
        assert gateway.stop() == 0
        report: dict[str, Any] = gateway.wait_for("gateway_stopped")["report"]
    sent = DEVICES + SATURATED_UPLINKS + STEADY_RATE * STEADY_S
    assert lost == 0
    assert report["frames_received"] == sent
    assert report["observations"] == sent - DEVICES
    assert report["observations_published"] == (sent - DEVICES if with_mqtt else 0)
    rows.append(
        f"memory: {idle_mb:.0f} MB resident after the start (goal 80), {resident_mb:.0f} MB now, {peak_mb:.0f} MB peak"
    )
    print(f"\ngateway, {'MQTT QoS 1, ' if with_mqtt else ''}{DEVICES} devices, core {min(cores[0])} is the daemon's")
    for row in rows:
        print(f"  {row}")


def saturate(ends: Ends, daemon: Daemon, payloads: list[bytes]) -> str:
    """Send as fast as acknowledgements come."""
    ends.ack_s, ends.north_s = [], []
    daemon.begin()
    for payload in payloads:
        ends.push(payload)
        if len(ends.sent_s) >= WINDOW:
            ends.settle(WINDOW - 1)
        else:
            ends.pump(0.0)
    ends.settle()
    wall_s, cpu_s, written = daemon.used()
    count = len(payloads)
    return (
        f"saturated: {count / wall_s:.0f} uplinks/s (goal 3000, with MQTT), {count} in {wall_s:.1f} s;"
        f" {1e6 * cpu_s / count:.0f} us of CPU each, {100 * cpu_s / wall_s:.0f} % of the core;"
        f" acknowledged p50 {share(ends.ack_s, 0.5)} ms, p99 {share(ends.ack_s, 0.99)} ms;"
        f" {written / count:.0f} B written each (goal 600)"
    )


def steady(ends: Ends, daemon: Daemon, payloads: list[bytes]) -> str:
    """Send at an even rate."""
    ends.ack_s, ends.north_s = [], []
    daemon.begin()
    due_s = time.perf_counter()
    for payload in payloads:
        while (left_s := due_s - time.perf_counter()) > 0:
            ends.pump(left_s)
        ends.push(payload)
        due_s += 1 / STEADY_RATE
    ends.settle()
    wall_s, cpu_s, _written = daemon.used()
    return (
        f"{STEADY_RATE}/s: acknowledged p50 {share(ends.ack_s, 0.5)} ms, p99 {share(ends.ack_s, 0.99)} ms"
        f" (goal 50, a commit waits 20); north p50 {share(ends.north_s, 0.5)} ms, p99 {share(ends.north_s, 0.99)} ms;"
        f" {100 * cpu_s / wall_s:.0f} % of the core (goal 10)"
    )
