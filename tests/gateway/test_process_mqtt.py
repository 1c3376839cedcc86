"""The shipped daemon at a real mosquitto, as ``mosquitto_sub`` and ``mosquitto_pub`` see it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from siel_hil.broker import PrivateBroker
from siel_hil.models.semtech_udp import decode_payload
from siel_hil.outside import Device, Forwarder, Gateway, Listener, new_key

GATEWAY_ID = "0016c001f1500812"
CONCENTRATOR = "aa555a0000000102"
WATER, CLIMATE = "70b3d57ed0001a2b", "70b3d57ed0001a2c"
TOPIC = f"siel/v1/{GATEWAY_ID}"
RFC3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HOUR = timedelta(hours=1)
KEPT = "kept"
"""The id of a command that the broker keeps from before the gateway's first start."""


class Bench:
    """A gateway with two devices that have joined, its broker, and somebody who listens to everything."""

    def __init__(
        self, gateway: Gateway, broker: PrivateBroker, listener: Listener, forwarder: Forwarder, *devices: Device
    ) -> None:
        self.gateway = gateway
        self.broker = broker
        self.listener = listener
        self.forwarder = forwarder
        self.water, self.climate = devices

    def join(self, device: Device) -> None:
        """Let ``device`` join."""
        self.forwarder.deliver(self.forwarder.rxpk(device.join_request()))
        device.accept(decode_payload(self.forwarder.order()["data"]))

    def uplink(self, device: Device, payload: str, f_port: int, **changes: Any) -> bytes:
        """Let ``device`` send a payload in hex; return the frame as on air."""
        ack = bool(changes.pop("ack", False))
        frame = device.uplink(bytes.fromhex(payload), f_port, ack=ack)
        self.forwarder.deliver(self.forwarder.rxpk(frame, **changes))
        return frame

    def command(self, id_: str, **changes: Any) -> None:
        """Publish an operator's downlink for the climate device."""
        self.listener.publish(f"{TOPIC}/device/{CLIMATE}/down", command(id_, **changes))

    def outcome(self, id_: str) -> dict[str, Any]:
        """Return the next word on a command."""
        topic = f"{TOPIC}/device/{CLIMATE}/down/ack"
        heard = self.listener.heard.take(lambda heard: heard[0] == topic and heard[1]["id"] == id_)
        assert set(heard[1]) == {"id", "outcome", "reason", "slack_us"}
        return heard[1]


def command(id_: str, *, expires: timedelta = HOUR, **changes: Any) -> str:
    now = datetime.now(UTC)
    times = {"issued": (now - HOUR).isoformat(), "expires": (now + expires).isoformat()}
    return json.dumps({"id": id_, **times, "f_port": 3, "bytes": "c0ffee", **changes})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("mqtt")
    config = folder / "siel.toml"
    with PrivateBroker() as broker, Listener(broker.port) as listener:
        config.write_text(
            f"""
[gateway]
id = "{GATEWAY_ID}"
[[radio]]
name = "roof"
kind = "semtech-udp"
bind = "127.0.0.1:0"
gateway_id = "{CONCENTRATOR}"
[[sink]]
kind = "mqtt"
url = "{broker.url}"
[[device]]
dev_eui = "{WATER}"
name = "Pond 3"
codec = "siel/water_level"
[[device]]
dev_eui = "{CLIMATE}"
codec = "siel/climate"
"""
        )
        devices = [Device(dev_eui, new_key(config, dev_eui)) for dev_eui in (WATER, CLIMATE)]
        gateway = Gateway(config)
        listener.publish(f"{TOPIC}/device/{CLIMATE}/down", command(KEPT), retain=True)
        try:
            gateway.start()
            with Forwarder(gateway.udp_address("roof"), CONCENTRATOR) as forwarder:
                forwarder.pull()
                assert listener.next(f"{TOPIC}/state")["online"] is True
                bench = Bench(gateway, broker, listener, forwarder, *devices)
                for device in devices:
                    bench.join(device)
                yield bench
        finally:
            gateway.kill()


def utc(text: str) -> float:
    assert RFC3339_MS.fullmatch(text), text
    return datetime.fromisoformat(text).timestamp()


# -- what goes out ----------------------------------------------------------------------------------------------------


def test_an_observation_is_as_the_contract_says_field_by_field(bench: Bench) -> None:
    began = time.time()
    frame = bench.uplink(bench.water, "24d2b4", 10, rssi=-103, lsnr=-4.8, freq=868.5, datr="SF10BW125")
    message = bench.listener.next(f"{TOPIC}/device/{WATER}/up")
    times = utc(message.pop("time")), utc(message.pop("received"))
    assert began - 0.01 <= times[0] <= times[1] <= time.time()
    assert message.pop("clock") in ("gnss", "ntp", "rtc", "none")
    assert 0 <= message.pop("late_s") < 5
    assert message == {
        "id": hashlib.sha256(bytes.fromhex(WATER) + frame + b"\0").digest()[:16].hex(),
        "dev_eui": WATER,
        "device": "Pond 3",
        "codec": "siel/water_level",
        "f_port": 10,
        "f_cnt": 0,
        "data": {"distance": 1234, "battery": 3.6},
        "units": {"distance": "mm", "battery": "V"},
        "warnings": [],
        "radio": {
            "gateway": GATEWAY_ID,
            "radio": "roof",
            "rssi_dbm": -103,
            "snr_db": -4.8,
            "frequency_hz": 868_500_000,
            "spreading_factor": 10,
            "bandwidth_hz": 125_000,
        },
    }


def test_a_value_that_is_not_available_is_absent_and_warned_of(bench: Bench) -> None:
    # version 1, temperature not available (-16384), humidity 45.67 % in 14 bits, 3.30 V
    bits = f"{1:03b}{-16384 & 0x7FFF:015b}{4567:014b}{150:08b}"
    bench.uplink(bench.climate, f"{int(bits, 2):010x}", 11)
    message = bench.listener.next(f"{TOPIC}/device/{CLIMATE}/up")
    assert message["data"] == {"humidity": 45.67, "battery": 3.3}
    assert message["units"] == {"humidity": "%", "battery": "V"}
    assert any("temperature" in warning for warning in message["warnings"])
    assert message["device"] == CLIMATE, "a device without a name is called by its EUI"


def test_a_join_is_told(bench: Bench) -> None:
    message = bench.listener.next(f"{TOPIC}/device/{WATER}/join")
    assert set(message) == {"dev_eui", "dev_addr", "time"}
    assert (message["dev_eui"], int(message["dev_addr"], 16)) == (WATER, bench.water.dev_addr)
    assert len(message["dev_addr"]) == 8
    utc(message["time"])


def test_the_state_is_kept_for_whoever_comes_later(bench: Bench) -> None:
    with Listener(bench.broker.port) as late:
        state = late.next(f"{TOPIC}/state")
    assert set(state) == {"online", "since"}
    assert state["online"] is True
    utc(state["since"])


# -- what an operator sends -------------------------------------------------------------------------------------------


def test_a_command_is_queued_and_goes_out_after_the_next_uplink(bench: Bench) -> None:
    bench.command("c1")
    assert (bench.outcome("c1")["outcome"], bench.gateway.wait_for("downlink_delivery", id="c1")["reason"]) == (
        "queued",
        "",
    )
    bench.uplink(bench.climate, "2000000000", 11)
    frame, payload = bench.climate.downlink(decode_payload(bench.forwarder.order()["data"]))
    assert (frame.f_port, payload, frame.confirmed) == (3, bytes.fromhex("c0ffee"), False)
    # a concentrator's forwarder queues: that it was on air nobody knows
    word = bench.outcome("c1")
    assert (word["outcome"], word["reason"]) == ("queued", "FORWARDER")
    assert word["slack_us"] > 0


def test_a_confirmed_command_is_acked_when_the_device_says_so(bench: Bench) -> None:
    bench.command("c2", confirmed=True)
    assert bench.outcome("c2")["outcome"] == "queued"
    bench.uplink(bench.climate, "2000000000", 11)
    frame, _ = bench.climate.downlink(decode_payload(bench.forwarder.order()["data"]))
    assert frame.confirmed
    assert bench.outcome("c2")["outcome"] == "queued"
    bench.uplink(bench.climate, "2000000000", 11, ack=True)
    assert bench.outcome("c2")["outcome"] == "acked"


REFUSED: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    ("expired", {"expires": -timedelta(seconds=1)}, ("expired", "EXPIRED")),
    ("port", {"f_port": 0}, ("refused", "MALFORMED")),
    ("hex", {"bytes": "c0f"}, ("refused", "MALFORMED")),
    ("nothing", {"bytes": None}, ("refused", "DATA_OR_BYTES")),
    ("long", {"bytes": "00" * 243}, ("refused", "MALFORMED")),
]


@pytest.mark.parametrize(("id_", "changes", "word"), REFUSED)
def test_what_cannot_be_sent_is_refused_with_a_reason(
    bench: Bench, id_: str, changes: dict[str, Any], word: tuple[str, str]
) -> None:
    bench.command(id_, **changes)
    outcome = bench.outcome(id_)
    assert (outcome["outcome"], outcome["reason"]) == word


def test_garbage_on_the_command_topic_is_skipped(bench: Bench) -> None:
    for garbage in ("", "{", "null", "[" * 2000, '{"id": 1}', "x" * 5000):
        bench.listener.publish(f"{TOPIC}/device/{CLIMATE}/down", garbage)
    bench.listener.publish(f"{TOPIC}/device/not-an-eui/down", "{}")
    bench.command("after-garbage", expires=-HOUR)
    assert bench.outcome("after-garbage")["outcome"] == "expired"
    assert bench.gateway.lines("command_malformed")


def test_the_same_id_again_is_not_sent_again(bench: Bench) -> None:
    bench.command("c3")
    assert bench.outcome("c3")["outcome"] == "queued"
    bench.uplink(bench.climate, "2000000000", 11)
    bench.forwarder.order()
    assert bench.outcome("c3")["reason"] == "FORWARDER"
    bench.command("c3")
    assert bench.outcome("c3")["reason"] == "FORWARDER"
    orders = len(bench.forwarder.orders.all)
    bench.uplink(bench.climate, "2000000000", 11)
    bench.command("c4", expires=-HOUR)
    assert bench.outcome("c4")["outcome"] == "expired"
    assert len(bench.forwarder.orders.all) == orders


def test_a_command_that_the_broker_had_kept_is_refused(bench: Bench) -> None:
    word = bench.outcome(KEPT)
    assert (word["outcome"], word["reason"]) == ("refused", "RETAINED")


# -- the end of it ----------------------------------------------------------------------------------------------------


def test_a_killed_gateway_is_told_offline_by_the_broker_and_knows_its_commands_when_it_is_back(bench: Bench) -> None:
    bench.command("c5")
    assert bench.outcome("c5")["outcome"] == "queued"
    bench.gateway.kill()
    offline = {"online": False, "since": None}
    bench.listener.heard.take(lambda heard: heard == (f"{TOPIC}/state", offline))
    with Listener(bench.broker.port) as late:
        assert late.next(f"{TOPIC}/state") == offline, "the last will is not kept"
    bench.gateway.start()
    assert bench.listener.next(f"{TOPIC}/state")["online"] is True
    bench.command("c5")
    word = bench.outcome("c5")
    assert (word["outcome"], word["reason"]) == ("refused", "DUPLICATE_ID")
    bench.forwarder.gateway = bench.gateway.udp_address("roof")
    bench.forwarder.pull()
    bench.uplink(bench.climate, "2000000000", 11)
    assert bench.climate.downlink(decode_payload(bench.forwarder.order()["data"]))[1] == bytes.fromhex("c0ffee")


def test_a_stopped_gateway_says_itself_that_it_is_offline(bench: Bench) -> None:
    assert bench.gateway.stop() == 0
    state = bench.listener.next(f"{TOPIC}/state")
    assert state["online"] is False
    utc(state["since"])
