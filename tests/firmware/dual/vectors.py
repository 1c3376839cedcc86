# Published vectors against the node's own code. argv[1]: lorawan.json
import binascii
import json
import sys

from tests.firmware.dual.cases import case, equal, run

from siel_node import frame, lora, mac, region_eu868
from siel_node._compat import aes
from siel_node.crypto import DOWNLINK, UPLINK, Cipher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

with open(sys.argv[1]) as file:
    VECTORS = json.load(file)["vectors"]


def vectors(kind: str) -> "list[dict[str, Any]]":
    found = [vector for vector in VECTORS if vector["kind"] == kind]
    if not found:
        raise AssertionError(f"no vectors of kind {kind}")
    return found


def unhex(text: str) -> bytes:
    return binascii.unhexlify(text)


@case
def aes_ecb() -> None:
    for vector in vectors("aes_ecb"):
        equal(aes(unhex(vector["key"]), 1).encrypt(unhex(vector["plain"])), unhex(vector["cipher"]), vector["id"])
        data = bytearray(b"x" + unhex(vector["plain"]) * 2)
        Cipher(unhex(vector["key"])).encrypt(data, 1, 33)
        equal(bytes(data), b"x" + unhex(vector["cipher"]) * 2, vector["id"])


@case
def cmac() -> None:
    for vector in vectors("cmac"):
        cipher = Cipher(unhex(vector["key"]))
        message = unhex(vector["msg"])
        for _ in range(2):
            equal(bytes(cipher.cmac(message + b"more", len(message))), unhex(vector["tag"]), vector["id"])


@case
def data() -> None:
    for vector in vectors("data"):
        phy = unhex(vector["phy"])
        nwk = Cipher(unhex(vector["nwkskey"]))
        app = Cipher(unhex(vector["appskey"] or vector["nwkskey"]))
        dev_addr = int(vector["devaddr"], 16)
        plain = unhex(vector["plain"])
        f_opts = unhex(vector.get("fopts", ""))
        f_port = frame.NO_PORT if vector["fport"] is None else vector["fport"]
        if vector["dir"] == UPLINK:
            buf = bytearray(frame.MAX_FRAME_BYTES)
            length = frame.encode_uplink(
                buf,
                phy[0] == 0x80,
                dev_addr,
                phy[5] & 0xF0,
                vector["fcnt32"],
                f_opts,
                f_port,
                plain,
                nwk,
                app,
            )
            equal(bytes(buf[:length]), phy, vector["id"])
        else:
            down = frame.open_downlink(bytearray(phy), dev_addr, vector["fcnt32"], nwk, app)
            if down is None:
                raise AssertionError(vector["id"])
            equal(
                (down.confirmed, down.f_ctrl, down.f_cnt, down.f_opts, down.f_port, down.payload),
                (phy[0] == 0xA0, phy[5] & 0xF0, vector["fcnt32"], f_opts, f_port, plain),
                vector["id"],
            )
            for i in range(len(phy)):
                broken = bytearray(phy)
                broken[i] ^= 0x04
                equal(frame.open_downlink(broken, dev_addr, vector["fcnt32"], nwk, app), None, vector["id"])


@case
def join_request() -> None:
    for vector in vectors("join_request"):
        buf = bytearray(frame.MAX_FRAME_BYTES)
        length = frame.encode_join_request(
            buf,
            bytes(reversed(unhex(vector["joineui"]))),
            bytes(reversed(unhex(vector["deveui"]))),
            vector["devnonce"],
            Cipher(unhex(vector["appkey"])),
        )
        equal(bytes(buf[:length]), unhex(vector["phy"]), vector["id"])


def check_join_accept(vector: "dict[str, Any]", phy: bytes, plain: bytes) -> None:
    app = Cipher(unhex(vector["appkey"]))
    opened = bytearray(phy)
    equal(frame.open_join_accept(opened, app), True, vector["id"])
    equal(bytes(opened), plain, vector["id"])
    for i in range(len(phy)):
        broken = bytearray(phy)
        broken[i] ^= 1
        equal(frame.open_join_accept(broken, app), False, vector["id"])
    if "nwkskey" in vector:
        wire = unhex(vector["devnonce"])
        dev_nonce = wire[0] | wire[1] << 8
        equal(app.session_key(1, plain[1:7], dev_nonce), unhex(vector["nwkskey"]), vector["id"])
        equal(app.session_key(2, plain[1:7], dev_nonce), unhex(vector["appskey"]), vector["id"])


@case
def join_accept() -> None:
    for vector in vectors("join_accept"):
        check_join_accept(vector, unhex(vector["phy"]), unhex(vector["decrypted"]))


@case
def join_accept_plain() -> None:
    for vector in vectors("join_accept_plain"):
        check_join_accept(vector, unhex(vector["encrypted"]), unhex(vector["plain"]))


@case
def airtime() -> None:
    for vector in vectors("airtime"):
        for row in vector["rows"]:
            found = lora.airtime_us(row["sf"], vector["bw_hz"], row["phy_len"], bool(row["crc"]))
            equal(found, row["us"], str(row))
            equal(region_eu868.DATA_RATES[row["dr"]][0], row["sf"])


@case
def rx_window() -> None:
    for vector in vectors("rx_window"):
        for row in vector["rows"]:
            sf, bandwidth_hz = region_eu868.DATA_RATES[row["dr"]]
            symbols, offset_us = mac.rx_window(sf, bandwidth_hz, row["rx_error_ms"] * 1000)
            equal(symbols, row["symbols"], str(row))
            equal(-(-offset_us // 1000), row["offset_ms"], str(row))


@case
def fcnt_down() -> None:
    for vector in vectors("fcnt_down"):
        for row in vector["rows"]:
            expected = 0 if row["last"] is None else row["last"] + 1
            full = -1 if row["full"] is None else row["full"]
            equal(frame.full_f_cnt(expected, row["wire"]), full, str(row))


@case
def payload_cipher_turns_back_over_any_length() -> None:
    cipher = Cipher(b"\x07" * 16)
    for length in range(52):
        plain = bytes(range(length))
        buf = bytearray(b"--" + plain + b"--")
        cipher.crypt(buf, 2, 2 + length, 0x02000001, 70000, DOWNLINK)
        equal(length > 0 and bytes(buf[2 : 2 + length]) == plain, False)
        cipher.crypt(buf, 2, 2 + length, 0x02000001, 70000, DOWNLINK)
        equal(bytes(buf), b"--" + plain + b"--")


run()
