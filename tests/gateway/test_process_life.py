"""The end of the shipped daemon, orderly or not, and its life afterwards."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siel_hil.broker import PrivateBroker
from siel_hil.models.semtech_udp import decode_payload
from siel_hil.outside import Device, Forwarder, Gateway, Listener, new_key
from siel_hil.outside.socket_peer import free_tcp_port

GATEWAY_ID = "0016c001f1500812"
DEV_EUI = "70b3d57ed0001a2b"
PAYLOAD = bytes.fromhex("24d2b4")
CONSOLE = '[[sink]]\nkind = "console"\nformat = "json"\n'
TOPIC = f"siel/v1/{GATEWAY_ID}"


class Site:
    """A gateway with one concentrator and one device; started when the test says so."""

    def __init__(self, folder: Path, sinks: str) -> None:
        config = folder / "siel.toml"
        config.write_text(
            f"""
[gateway]
id = "{GATEWAY_ID}"
[[radio]]
kind = "semtech-udp"
bind = "127.0.0.1:0"
{sinks}
[[device]]
dev_eui = "{DEV_EUI}"
codec = "siel/water_level"
"""
        )
        self.device = Device(DEV_EUI, new_key(config, DEV_EUI))
        self.gateway = Gateway(config)
        self.forwarder = Forwarder(("127.0.0.1", 0), GATEWAY_ID)

    def start(self) -> None:
        """Start the gateway; the forwarder finds it."""
        self.gateway.start()
        self.forwarder.gateway = self.gateway.udp_address()
        self.forwarder.pull()

    def join(self) -> None:
        """Let the device join."""
        self.forwarder.deliver(self.forwarder.rxpk(self.device.join_request()))
        self.device.accept(decode_payload(self.forwarder.order()["data"]))

    def uplink(self, *, confirmed: bool = False) -> bytes:
        """Let the device send, deliver it, and return the frame."""
        frame = self.device.uplink(PAYLOAD, 10, confirmed=confirmed)
        self.forwarder.deliver(self.forwarder.rxpk(frame))
        return frame

    def answered(self) -> int:
        """Let the device send a confirmed uplink; return the FCntDown of its acknowledgement."""
        self.uplink(confirmed=True)
        frame, _ = self.device.downlink(decode_payload(self.forwarder.order()["data"]))
        assert frame.ack
        return frame.f_cnt


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    sites: list[Site] = []

    def make(sinks: str = CONSOLE) -> Site:
        site = Site(tmp_path, sinks)
        sites.append(site)
        site.forwarder.__enter__()
        return site

    yield make
    for site in sites:
        site.gateway.kill()
        site.forwarder.__exit__(None, None, None)


def id_of(frame: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(DEV_EUI) + frame + b"\0").digest()[:16].hex()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_is_asked_to_stop_passes_on_what_it_has_heard_and_ends_with_0(
    new_site: Callable[..., Site], number: signal.Signals
) -> None:
    site = new_site()
    site.start()
    site.join()
    frames = [site.device.uplink(PAYLOAD, 10) for _ in range(100)]
    site.forwarder.deliver(*map(site.forwarder.rxpk, frames))
    assert site.gateway.stop(number) == 0
    assert [line["id"] for line in site.gateway.console.all] == [id_of(frame) for frame in frames]
    last = site.gateway.log.all[-1]
    assert last["event"] == "gateway_stopped"
    assert last["report"] == {
        "frames_received": 101,
        "frames_forwarded": 0,
        "uplinks_received": 100,
        "observations": 100,
        "observations_published": 100,
        "downlinks_requested": 1,
        "downlinks_on_air": 0,
        "downlinks_queued": 1,
    }
    assert b"Traceback" not in site.gateway.said


def test_a_killed_gateway_goes_on_with_its_sessions_and_never_uses_a_downlink_counter_twice(
    new_site: Callable[..., Site],
) -> None:
    site = new_site()
    site.start()
    site.join()
    used = [site.answered() for _ in range(2)]
    old = site.uplink()
    for _ in range(2):
        site.gateway.kill()
        site.start()
        used += [site.answered() for _ in range(2)]
    assert used == sorted(set(used)), "a counter was used twice, or went back"
    site.forwarder.deliver(site.forwarder.rxpk(old))
    assert site.gateway.wait_for("replay")["dev_eui"] == DEV_EUI, "an older counter is taken after a restart"
    site.gateway.stop()
    site.start()
    assert site.answered() == used[-1] + 1, "an orderly end skips nothing"
    assert len(site.gateway.lines("joined")) == 0


def test_what_a_broker_has_not_taken_reaches_it_in_a_later_life_with_the_same_ids(
    new_site: Callable[..., Site],
) -> None:
    port = free_tcp_port()
    site = new_site(f'[[sink]]\nkind = "mqtt"\nurl = "mqtt://127.0.0.1:{port}"\n')
    site.start()
    site.gateway.wait_for("broker_away")
    site.join()
    frames = [site.uplink() for _ in range(5)]
    site.gateway.kill()
    with PrivateBroker(port) as broker, Listener(broker.port) as listener:
        listener.publish("siel/v1/probe", "{}", retain=True)
        listener.next("siel/v1/probe")
        site.start()
        ids = [listener.next(f"{TOPIC}/device/{DEV_EUI}/up")["id"] for _ in frames]
        assert ids == [id_of(frame) for frame in frames]
        site.gateway.kill()
        site.start()
        last = id_of(site.uplink())
        listener.heard.take(lambda heard: heard[1].get("id") == last)
        heard = [message["id"] for topic, message in listener.heard.all if topic.endswith("/up")]
        # the broker may get some again that it had acknowledged, but never another id
        assert set(heard) == {*ids, last}
        assert site.gateway.stop() == 0


def test_a_gateway_whose_output_nobody_reads_goes_on_and_has_everything_to_say_later(
    new_site: Callable[..., Site],
) -> None:
    site = new_site()
    site.start()
    site.join()
    site.gateway.reading.clear()
    # more than the pipes hold, of Observations and of log lines
    frames = [site.device.uplink(PAYLOAD, 10, confirmed=True) for _ in range(300)]
    for first in range(0, len(frames), 20):
        site.forwarder.deliver(*map(site.forwarder.rxpk, frames[first : first + 20]))
    site.gateway.reading.set()
    for frame in frames:
        assert site.gateway.console.take()["id"] == id_of(frame)
    assert site.gateway.stop() == 0
    assert site.gateway.log.all[-1]["event"] == "gateway_stopped"
