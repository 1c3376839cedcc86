"""Codecs of the user's own in the shipped daemon: JavaScript beside a hostile one, SIGHUP, and kill -9 in between."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siel_hil.broker import PrivateBroker
from siel_hil.models.semtech_udp import decode_payload
from siel_hil.outside import Device, Forwarder, Gateway, Listener, new_key, run_siel

GATEWAY_ID = "0016c001f1500812"
GOOD_EUI, HOSTILE_EUI = "70b3d57ed0001a2b", "70b3d57ed0001a2c"
TOPIC = f"siel/v1/{GATEWAY_ID}"
GOOD = """function decodeUplink(input) { return { data: { level: Buffer.from(input.bytes).readUInt16BE(0) / 1000 } } }
function encodeDownlink(input) { return { bytes: [1, input.data.minutes], fPort: 8 } }"""
HOSTILE = "function decodeUplink() { for (;;) ; }"
SCHEMA = 'title = "Mine"\n[[uplink]]\nf_port = 10\nfield = [{ name = "level", type = "u16", unit = "mm" }]\n'


class Site:
    """A gateway with a concentrator and two devices whose codecs are JavaScript."""

    def __init__(self, folder: Path, sinks: str) -> None:
        self.folder = folder
        self.config = folder / "siel.toml"
        (folder / "good.js").write_text(GOOD)
        (folder / "hostile.js").write_text(HOSTILE)
        self.config.write_text(
            f"""
[gateway]
id = "{GATEWAY_ID}"
[[radio]]
kind = "semtech-udp"
bind = "127.0.0.1:0"
{sinks}
[[codec]]
name = "vendor/good"
kind = "js"
file = "good.js"
[[codec]]
name = "vendor/hostile"
kind = "js"
file = "hostile.js"
[[device]]
dev_eui = "{GOOD_EUI}"
codec = "vendor/good"
[[device]]
dev_eui = "{HOSTILE_EUI}"
codec = "vendor/hostile"
"""
        )
        self.good = Device(GOOD_EUI, new_key(self.config, GOOD_EUI))
        self.hostile = Device(HOSTILE_EUI, new_key(self.config, HOSTILE_EUI))
        self.gateway = Gateway(self.config)
        self.forwarder = Forwarder(("127.0.0.1", 0), GATEWAY_ID)

    def start(self) -> None:
        """Start the gateway; the forwarder finds it."""
        self.gateway.start()
        self.forwarder.gateway = self.gateway.udp_address()
        self.forwarder.pull()

    def join(self) -> None:
        """Let both devices join."""
        for device in (self.good, self.hostile):
            self.forwarder.deliver(self.forwarder.rxpk(device.join_request()))
            device.accept(decode_payload(self.forwarder.order()["data"]))

    def uplink(self, device: Device, level: int) -> None:
        """Let a device send, and deliver it."""
        self.forwarder.deliver(self.forwarder.rxpk(device.uplink(level.to_bytes(2), 10)))


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    sites: list[Site] = []

    def make(sinks: str) -> Site:
        site = Site(tmp_path, sinks)
        sites.append(site)
        site.forwarder.__enter__()
        return site

    yield make
    for site in sites:
        site.gateway.kill()
        site.forwarder.__exit__(None, None, None)


def test_good_and_hostile_javascript_sighup_and_kill(new_site: Callable[[str], Site]) -> None:
    site = new_site('[[sink]]\nkind = "console"\nformat = "json"\n')
    assert run_siel("gateway", "check", "--config", str(site.config)).returncode == 0
    site.start()
    site.join()
    site.uplink(site.hostile, 1)
    site.uplink(site.good, 1234)
    assert site.gateway.console.take()["data"] == {"level": 1.234}
    assert "interrupted" in str(site.gateway.wait_for("decode_error")["errors"])

    # five frames are heard and not decoded: the first one's codec takes 200 ms, and the kill comes before
    site.uplink(site.hostile, 2)
    for level in range(5):
        site.uplink(site.good, level)
    site.gateway.kill()
    shown = [line["f_cnt"] for line in site.gateway.console.all if "f_cnt" in line]
    site.start()
    site.uplink(site.good, 5000)
    last = site.gateway.console.take(lambda line: line.get("data") == {"level": 5.0})
    again = [line["f_cnt"] for line in site.gateway.console.all if "f_cnt" in line]
    assert sorted({*shown, *again}) == list(range(last["f_cnt"] + 1)), "nothing is lost"
    assert again == sorted(set(again)), "in order, none twice"

    (site.folder / "codecs.d" / "my").mkdir(parents=True)
    (site.folder / "codecs.d" / "my" / "level.toml").write_text(SCHEMA)
    site.config.write_text(site.config.read_text().replace('codec = "vendor/hostile"', 'codec = "my/level"'))
    pid = site.gateway.pid
    assert pid is not None
    os.kill(pid, signal.SIGHUP)
    assert site.gateway.wait_for("codecs_reloaded")["codecs"] == ["my/level"]
    site.uplink(site.hostile, 77)
    assert site.gateway.console.take(lambda line: line.get("data") == {"level": 77})["codec"] == "my/level"
    (site.folder / "good.js").write_text("nonsense(")
    os.kill(pid, signal.SIGHUP)
    assert "SyntaxError" in site.gateway.wait_for("codec_not_reloaded")["fault"]
    site.uplink(site.good, 6000)
    site.gateway.console.take(lambda line: line.get("data") == {"level": 6.0})
    assert site.gateway.stop() == 0
    assert b"Traceback" not in site.gateway.said
    assert run_siel("gateway", "check", "--config", str(site.config)).returncode == 2


def test_a_command_with_data_reaches_a_javascript_device(new_site: Callable[[str], Site]) -> None:
    with PrivateBroker() as broker, Listener(broker.port) as listener:
        site = new_site(f'[[sink]]\nkind = "mqtt"\nurl = "mqtt://127.0.0.1:{broker.port}"\n')
        site.start()
        site.join()
        site.uplink(site.good, 1234)
        assert listener.next(f"{TOPIC}/device/{GOOD_EUI}/up")["data"] == {"level": 1.234}
        command = {
            "id": "a",
            "issued": "2026-01-01T00:00:00Z",
            "expires": "2199-01-01T00:00:00Z",
            "f_port": 20,
            "data": {"minutes": 10},
        }
        listener.publish(f"{TOPIC}/device/{GOOD_EUI}/down", json.dumps(command))
        assert listener.next(f"{TOPIC}/device/{GOOD_EUI}/down/ack")["outcome"] == "queued"
        site.uplink(site.good, 1235)
        frame, payload = site.good.downlink(decode_payload(site.forwarder.order()["data"]))
        assert (frame.f_port, payload) == (8, b"\x01\x0a")
        assert site.gateway.stop() == 0
