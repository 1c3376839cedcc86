# Published vectors against the node's own code. argv[1]: lorawan.json
import binascii
import json
import sys

from tests.firmware.dual.cases import case, equal, run
from tests.firmware.dual.network import identity, joined

from siel_node import frame, lora, mac, mac_commands, region_eu868, state
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
def mac_commands_and_answers() -> None:
    for vector in vectors("mac"):
        shell, _ = joined()
        mac_commands.handle(shell.mac, unhex(vector["req"]), -15)
        equal(shell.mac.answers.data, unhex(vector["ans"]), vector["id"])


@case
def adr_backoff() -> None:
    for vector in vectors("adr_backoff"):
        shell, server = joined(adr=1, join_dr=vector["start"]["dr"])
        shell.state.tx_power = vector["start"]["tx_power"]
        shell.state.nb_trans = vector["start"]["nb_trans"]
        shell.state.channel_mask = 1
        count = 0
        for row in vector["rows"]:
            while count <= row["cnt"]:
                del shell.frames[:]
                # so that no budget holds a repeat back
                shell.now_ms += 600000
                shell.exchange()
                count += 1
            _, _, dr, power_dbm, phy = shell.frames[0]
            equal(server.uplink(phy, row["cnt"])[1], 0xC0 if row["adrackreq"] else 0x80, str(row))
            equal((dr, power_dbm), (row["dr"], 16 - 2 * row.get("tx_power", 0)), str(row))
            last = "channels" in row
            equal(len(shell.frames), row["nb_trans"] if last else vector["start"]["nb_trans"], str(row))
            equal(shell.state.channel_mask, 7 if last else 1, str(row))


@case
def join_backoff() -> None:
    rows = vectors("join_backoff")[0]["rows"]
    for dr in (0, 3, 5):
        who = identity(join_dr=dr)
        device = mac.Mac(who, state.State(who.tag), lambda n: 0)
        now_ms = 0
        sent: list[tuple[int, int]] = []
        while now_ms < 48 * 3600000:
            action = device.step(now_ms)
            if action == mac.PERSIST:
                device.state.dirty = False
            elif action == mac.TRANSMIT:
                sent.append((now_ms, device.tx_airtime_us // 1000 + 1))
                device.sent(now_ms)
            elif action == mac.LISTEN:
                device.silent(now_ms + 6200)
            else:
                now_ms = device.wake_ms
        for row in rows:
            end_ms = (row["to_h"] or 48) * 3600000
            part = [item for item in sent if row["from_h"] * 3600000 <= item[0] < end_ms]
            for first, _ in part:
                spent = sum([ms for at, ms in part if first <= at < first + row["per_h"] * 3600000])
                equal(spent <= row["max_airtime_ms"], True, f"dr {dr} {row}")


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
