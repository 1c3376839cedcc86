"""A developer adds a sensor type: one text in ``codecs.d``, and node, gateway and network server speak it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from javascript_servers import Server
from siel_codecs.codec import as_ts013
from siel_codecs.registry import Registry
from siel_hil.models.semtech_udp import decode_payload
from siel_hil.outside import Device, Forwarder, Gateway, new_key, run_siel
from siel_hil.parts import find_micropython

DEV_EUI, GATEWAY_ID = "70b3d57ed0001a2b", "0016c001f1500812"
SCHEMA = """\
title = "Water in a cellar"
[[uplink]]
f_port = 40
version = { bits = 2, value = 1 }
[[uplink.field]]
name = "wet"
type = "bool"
[[uplink.field]]
name = "depth"
type = "s13"
scale = 0.5
unit = "mm"
not_available = 0x1000
node = { name = "depth_um", scale = 0.001 }
[[downlink]]
name = "pump"
f_port = 40
field = [{ const = 7, type = "u8" }, { name = "minutes", type = "u8", unit = "min", min = 1, max = 240 }]
[[example]]
f_port = 40
bytes = "7ff5"
data = { wet = true, depth = -5.5 }
"""
CONFIG = f"""\
[gateway]
id = "{GATEWAY_ID}"
[[radio]]
kind = "semtech-udp"
bind = "127.0.0.1:0"
[[sink]]
kind = "console"
format = "json"
[[device]]
dev_eui = "{DEV_EUI}"
codec = "town/cellar"
"""
NODE = """
import micropython
buf, out, heard = bytearray(SIZE), [None] * OUT_SIZE, {command!r}
def work():
    micropython.heap_lock()
    size = encode(buf, True, -5500)
    command = decode_downlink(40, heard, 2, out)
    micropython.heap_unlock()
    print(bytes(buf[:size]).hex(), command == CMD_PUMP, out[0])
work()
"""


def said(*args: str) -> str:
    ran = run_siel(*args)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_one_text_in_codecs_d_is_spoken_by_node_gateway_and_network_server(tmp_path: Path) -> None:
    folder = tmp_path / "codecs.d"
    (folder / "town").mkdir(parents=True)
    (folder / "town" / "cellar.toml").write_text(SCHEMA)
    said("codec", "check", str(folder / "town" / "cellar.toml"))

    def generate(target: str) -> str:
        return said("codec", "generate", "town/cellar", "--target", target, "--codecs", str(folder))

    # the network server makes a command, the node understands it and sends a reading
    server = Server(generate("js"))
    [made] = server.call("encodeDownlink", [{"data": {"minutes": 30}}])
    assert made["errors"] == []
    node = find_micropython()
    script = generate("micropython") + NODE.format(command=bytes(made["bytes"]))
    ran = subprocess.run(
        node.command("-c", script), env=node.environ(), capture_output=True, check=True, text=True, timeout=60
    )
    payload, understood, minutes = ran.stdout.split()
    assert (payload, understood, minutes) == ("7ff5", "True", "30")

    # the network server reads what the gateway publishes
    (tmp_path / "siel.toml").write_text(CONFIG)
    device = Device(DEV_EUI, new_key(tmp_path / "siel.toml", DEV_EUI))
    said("gateway", "check", "--config", str(tmp_path / "siel.toml"))
    gateway = Gateway(tmp_path / "siel.toml")
    gateway.start()
    try:
        with Forwarder(gateway.udp_address(), GATEWAY_ID) as forwarder:
            forwarder.pull()
            forwarder.deliver(forwarder.rxpk(device.join_request()))
            device.accept(decode_payload(forwarder.order()["data"]))
            forwarder.deliver(forwarder.rxpk(device.uplink(bytes.fromhex(payload), 40)))
            published = gateway.console.take()
    finally:
        assert gateway.stop() == 0
    [read] = server.call("decodeUplink", [{"bytes": list(bytes.fromhex(payload)), "fPort": 40}])
    assert published["data"] == read["data"] == {"wet": True, "depth": -5.5}
    assert published["units"] == {"depth": "mm"}
    assert published["codec"] == "town/cellar"
    reference = Registry([folder]).load("town/cellar").reference
    assert json.loads(json.dumps(as_ts013(reference.decode(40, bytes.fromhex(payload))))) == read["data"]
