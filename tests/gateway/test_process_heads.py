"""The shipped daemon and radio heads on serial ports that come and go, while a concentrator's frames go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from siel_hil.models.semtech_udp import decode_payload, encode_payload
from siel_hil.outside import Device, Forwarder, Gateway, NetworkServer, PtyHead, new_key

GATEWAY_ID = "0016c001f1500812"
CONCENTRATOR = "aa555a0000000102"
DEV_EUI = "70b3d57ed0001a2b"
PAYLOAD = bytes.fromhex("24d2b4")
SECOND_US = 1_000_000
COUNTER_US = 1 << 32


class Bench:
    """A gateway with two heads, a concentrator and a network server; a device joins by the first head.

    That head is not there at first.
    """

    def __init__(
        self, gateway: Gateway, heads: tuple[PtyHead, PtyHead], forwarder: Forwarder, server: NetworkServer, key: bytes
    ) -> None:
        self.gateway = gateway
        self.head, self.other = heads
        self.forwarder = forwarder
        self.server = server
        self.device = Device(DEV_EUI, key)
        self.unavailable = gateway.wait_for("port_unavailable", radio="head")
        self.concentrator_goes_on()
        self.head.plug()
        self.ready = gateway.wait_for("head_ready", radio="head")
        self.configured = self.head.wait_told("configure")[1]
        self.head.hear(self.device.join_request())
        _, self.answer, payload = self.head.wait_told("tx")
        self.device.accept(payload)

    def concentrator_goes_on(self) -> None:
        """Deliver a stranger's frame by the concentrator and see it go north."""
        payload = b"\x40" + self.forwarder.next_token() + bytes(18)
        self.forwarder.deliver(self.forwarder.rxpk(payload))
        assert self.server.frame(payload)[0] == CONCENTRATOR


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("heads")
    config = folder / "siel.toml"
    ports = folder / "head", folder / "other"
    with NetworkServer() as server, PtyHead(ports[0], 0xB001) as head, PtyHead(ports[1], 0xB002) as other:
        config.write_text(
            f"""
[gateway]
id = "{GATEWAY_ID}"
[[radio]]
name = "head"
kind = "serial-head"
port = "{ports[0]}"
channels = [{{ frequency_hz = 868100000, spreading_factor = 7 }}]
[[radio]]
name = "other"
kind = "serial-head"
port = "{ports[1]}"
channels = [{{ frequency_hz = 868300000, spreading_factor = 7 }}]
[[radio]]
name = "roof"
kind = "semtech-udp"
bind = "127.0.0.1:0"
gateway_id = "{CONCENTRATOR}"
[[upstream]]
kind = "semtech-udp"
url = "{server.url}"
forward_heads = true
[[sink]]
kind = "console"
format = "json"
[[device]]
dev_eui = "{DEV_EUI}"
codec = "siel/water_level"
"""
        )
        key = new_key(config, DEV_EUI)
        # A port that passes the check before the start and cannot be opened as one
        ports[0].symlink_to("/dev/null")
        other.plug()
        gateway = Gateway(config)
        try:
            gateway.start()
            with Forwarder(gateway.udp_address("roof"), CONCENTRATOR) as forwarder:
                for eui in (GATEWAY_ID, CONCENTRATOR):
                    gateway.wait_for("server_answers", gateway_eui=eui)
                forwarder.pull()
                yield Bench(gateway, (head, other), forwarder, server, key)
            assert gateway.stop() == 0
        finally:
            gateway.kill()


def test_a_head_that_is_not_there_at_first_is_told_and_taken_when_it_appears(bench: Bench) -> None:
    assert bench.unavailable["port"] == str(bench.head.port)
    assert "plugged in" in bench.unavailable["help"]
    assert bench.ready["new_session"] is True
    told = bench.configured
    assert (told["chip"], told["frequency_hz"], told["spreading_factor"]) == (0, 868_100_000, 7)


def test_a_device_joins_and_is_heard_by_a_head(bench: Bench) -> None:
    order = bench.answer
    assert (order["timed"], order["invert_iq"], order["crc"], order["preamble"]) == (1, 1, 0, 8)
    assert (order["frequency_hz"], order["spreading_factor"]) == (868_100_000, 7)
    # the head says that it was on air, and that is what is told
    assert bench.gateway.wait_for("downlink", id=f"join-{DEV_EUI}-1")["outcome"] == "on_air"
    frame = bench.device.uplink(PAYLOAD, 10)
    bench.head.wait_acked(bench.head.hear(frame))
    observation = bench.gateway.console.take()
    assert (observation["data"]["distance"], observation["radio"]["radio"]) == (1234, "head")
    assert observation["radio"]["gateway"] == GATEWAY_ID


def test_the_server_sees_one_counter_for_all_heads(bench: Bench) -> None:
    seen = []
    for head, uplink in ((bench.head, b"\x40 by one of the heads"), (bench.other, b"\x40 by the other one")):
        head.hear(uplink)
        seen.append(bench.server.frame(uplink)[1]["tmst"])
    assert (seen[1] - seen[0]) % COUNTER_US < 20 * SECOND_US


def test_a_servers_downlink_finds_the_head_that_heard_the_uplink_by_its_counter(bench: Bench) -> None:
    for head, frequency_hz in ((bench.head, 868_100_000), (bench.other, 868_300_000)):
        uplink = b"\x40" + frequency_hz.to_bytes(4, "little") + bytes(16)
        before_us = head.counter_us()
        sequence = head.hear(uplink, frequency_hz=frequency_hz)
        after_us = head.counter_us()
        head.wait_acked(sequence)
        eui, rxpk = bench.server.frame(uplink)
        assert eui == GATEWAY_ID, "a head has the identity of its gateway"
        payload = b"\x60" + frequency_hz.to_bytes(4, "little") + bytes(8)
        token = bench.server.ask(
            GATEWAY_ID,
            tmst=(rxpk["tmst"] + 2 * SECOND_US) % COUNTER_US,
            freq=frequency_hz / 1e6,
            powe=14,
            datr="SF7BW125",
            codr="4/5",
            ipol=True,
            ncrc=True,
            size=len(payload),
            data=encode_payload(payload),
        )
        _, order, sent = head.wait_told("tx")
        assert sent == payload
        since_us = (order["counter_us"] - 2 * SECOND_US - before_us) % COUNTER_US
        assert since_us <= (after_us - before_us) % COUNTER_US
        assert bench.server.word(token) == "NONE"


def test_junk_on_the_line_costs_itself_only(bench: Bench) -> None:
    for junk in (b"\x00" * 50, b"\xff" * 5000, b"login: \r\n\x00", bytes(range(256)) * 20 + b"\x00"):
        bench.head.say_junk(junk)
    bench.head.say_junk(b"\x00")
    bench.head.wait_acked(bench.head.hear(b"\x40after junk, a frame"))
    assert bench.server.frame(b"\x40after junk, a frame")[0] == GATEWAY_ID


def test_a_head_that_is_pulled_out_is_told_and_everything_else_goes_on(bench: Bench) -> None:
    bench.head.unplug()
    line = bench.gateway.wait_for("port_lost", radio="head")
    assert line["port"] == str(bench.head.port)
    bench.concentrator_goes_on()
    sequence = bench.other.hear(b"\x40by the other head", frequency_hz=868_300_000)
    bench.other.wait_acked(sequence)
    # what it hears without a line it keeps
    heard = bench.device.uplink(PAYLOAD, 10)
    sequence = bench.head.hear(heard)
    bench.gateway.wait_for("port_unavailable", radio="head")
    bench.head.plug()
    assert bench.gateway.wait_for("head_ready", radio="head")["new_session"] is False
    bench.head.wait_acked(sequence)
    assert bench.gateway.console.take()["f_cnt"] == bench.device.f_cnt_up - 1
    assert decode_payload(bench.server.frame(heard)[1]["data"]) == heard


def test_a_head_that_restarts_starts_a_new_session(bench: Bench) -> None:
    bench.head.unplug()
    bench.head.restart(0xB003)
    bench.head.plug()
    line = bench.gateway.wait_for("head_ready", radio="head", boot_id=0xB003)
    assert line["new_session"] is True
    bench.head.wait_told("configure")
    bench.head.wait_acked(bench.head.hear(bench.device.uplink(PAYLOAD, 10)))
    assert bench.gateway.console.take()["f_cnt"] == bench.device.f_cnt_up - 1
    bench.concentrator_goes_on()
