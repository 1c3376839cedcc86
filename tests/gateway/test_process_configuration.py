"""``siel gateway run`` when its configuration or its machine is not as it should be: words with a line, no start."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path

import pytest

from siel_hil.models.semtech_udp import Address, Datagram
from siel_hil.outside import Forwarder, Gateway, new_key, run_siel
from siel_hil.outside.socket_peer import HOST, SocketPeer

GATEWAY_ID = "0016c001f1500812"
GATEWAY = f'[gateway]\nid = "{GATEWAY_ID}"\n'
CONCENTRATOR = '[[radio]]\nkind = "semtech-udp"\nbind = "127.0.0.1:0"\n'
DEV_EUI = "70b3d57ed0001a2b"
DEVICE = f'[[device]]\ndev_eui = "{DEV_EUI}"\ncodec = "siel/water_level"\n'
MQTTS = '[[sink]]\nkind = "mqtt"\nurl = "mqtts://me@broker"\n'

FAULTS: list[tuple[str, list[tuple[int, str]]]] = [
    # broken TOML: one fault, the rest cannot be read
    (GATEWAY + "[[radio]\n", [(3, "this is not TOML")]),
    # everything that is wrong with the words, at once and in order
    (
        GATEWAY + 'nam = "roof"\n' + CONCENTRATOR + 'bnd = 1\n[[sink]]\nkind = "kafka"\n[jornal]\n',
        [
            (3, 'gateway.nam: is not a key of this table; do you mean "name"?'),
            (7, 'radio[0].bnd: is not a key of this table; do you mean "bind"?'),
            (9, 'sink[0].kind: is none of "console", "mqtt"'),
            (10, 'jornal: is not a key of this table; do you mean "journal"?'),
        ],
    ),
    # what a later version will do
    (GATEWAY + CONCENTRATOR + '[http]\nbind = "127.0.0.1:1"\n', [(6, "http: this table is not in this version")]),
    # a secret is not repeated
    (
        GATEWAY + CONCENTRATOR + MQTTS + 'password = "hunter2"\n',
        [(9, 'sink[0].password: a secret must not stand in this file; write { file = "..." }')],
    ),
    # everything that is wrong with the machine, at once
    (
        GATEWAY
        + 'data_dir = "siel.toml"\n'
        + '[[radio]]\nkind = "serial-head"\nport = "/dev/there-is-no-such-port"\n'
        + '[[radio]]\nname = "b"\nkind = "serial-head"\nport = "/etc/hosts"\n'
        + MQTTS
        + 'password = { file = "nothing" }\n'
        + DEVICE,
        [
            (1, "keys.key_file: cannot read the key file"),
            (3, "gateway.data_dir: cannot write to"),
            (6, "radio[0].port: there is no serial port /dev/there-is-no-such-port"),
            (10, "radio[1].port: /etc/hosts is not a serial port; look in /dev/serial/by-id"),
            (14, "sink[0].password: cannot read the secret in"),
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), FAULTS)
def test_faults_are_told_with_their_lines_and_nothing_starts(
    tmp_path: Path, text: str, expected: list[tuple[int, str]]
) -> None:
    config = tmp_path / "siel.toml"
    config.write_text(text)
    done = run_siel("gateway", "run", "--config", str(config))
    assert done.returncode == 2
    *lines, count = done.stderr.splitlines()
    assert count == f"siel: faults: {len(expected)}; the gateway does not start like this"
    assert len(lines) == len(expected)
    for line, (number, words) in zip(lines, expected, strict=True):
        assert line.startswith(f"{config}:{number}: {words}"), line
    assert done.stdout == ""
    assert "hunter2" not in done.stderr
    assert os.listdir(tmp_path) == ["siel.toml"]


def test_a_file_that_is_not_there_is_told() -> None:
    done = run_siel("gateway", "run", "--config", "no/such/siel.toml")
    assert done.returncode == 2
    assert re.match(r"no/such/siel\.toml:1: cannot read the file \(.*\)\. Write one", done.stderr)


def test_a_device_without_a_key_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    config = tmp_path / "siel.toml"
    config.write_text(GATEWAY + CONCENTRATOR + DEVICE)
    new_key(config, "70b3d57ed0009999")
    done = run_siel("gateway", "run", "--config", str(config))
    assert done.returncode == 2
    assert f"{config}:6: device[0]: the key store has no key for this device" in done.stderr
    assert f"siel keys new --dev-eui {DEV_EUI}" in done.stderr


def test_a_lost_key_file_is_told(tmp_path: Path) -> None:
    config = tmp_path / "siel.toml"
    config.write_text(GATEWAY + CONCENTRATOR + DEVICE)
    new_key(config, DEV_EUI)
    (tmp_path / "keys.key").write_text("00" * 32)
    done = run_siel("gateway", "check", "--config", str(config))
    assert done.returncode == 2
    assert "keys.key is not the key of" in done.stderr
    (tmp_path / "keys.key").unlink()
    done = run_siel("gateway", "run", "--config", str(config))
    assert done.returncode == 2
    assert f"{config}:1: keys.key_file: cannot read the key file" in done.stderr


# -- what only shows when it runs -------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_a_failure_in_words(tmp_path: Path) -> None:
    config = tmp_path / "siel.toml"
    # /proc lets a superuser look as if something could be written there
    config.write_text(GATEWAY + 'data_dir = "/proc/siel"\n' + CONCENTRATOR)
    done = run_siel("gateway", "run", "--config", str(config))
    assert done.returncode in (1, 2)
    assert "/proc/siel" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_journal_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    config, journal = tmp_path / "siel.toml", tmp_path / "data" / "journal.sqlite"
    config.write_text(GATEWAY + CONCENTRATOR)
    journal.parent.mkdir()
    with contextlib.closing(sqlite3.connect(journal)) as database:
        database.execute("PRAGMA user_version = 1000")
    before = journal.read_bytes()
    done = run_siel("gateway", "run", "--config", str(config))
    assert done.returncode == 1
    assert "was written by a later version of Siel; update Siel, or name another data_dir" in done.stderr
    assert journal.read_bytes() == before


def test_a_second_gateway_on_the_same_data_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "siel.toml"
    config.write_text(GATEWAY + CONCENTRATOR)
    gateway = Gateway(config)
    try:
        gateway.start()
        done = run_siel("gateway", "run", "--config", str(config))
        assert done.returncode == 1
        assert "is in use: another gateway runs with this configuration" in done.stderr
        with Forwarder(gateway.udp_address(), GATEWAY_ID) as forwarder:
            forwarder.pull()
        assert gateway.stop() == 0
    finally:
        gateway.kill()


class Occupant(SocketPeer):
    """Has a port and nothing to say."""

    def received(self, datagram: Datagram, source: Address) -> None:
        pass


def test_a_port_in_use_is_told_with_what_helps_and_taken_when_it_is_free(tmp_path: Path) -> None:
    config = tmp_path / "siel.toml"
    gateway = Gateway(config)
    try:
        with Occupant() as occupant:
            port = occupant.address[1]
            config.write_text(
                GATEWAY
                + f'[[radio]]\nname = "a"\nkind = "semtech-udp"\nbind = "{HOST}:{port}"\n'
                + f'[[radio]]\nname = "b"\nkind = "semtech-udp"\nbind = "{HOST}:0"\ngateway_id = "aa555a0000000102"\n'
            )
            gateway.start()
            line = gateway.wait_for("bind_failed", radio="a")
            assert line["bind"] == [HOST, port]
            assert "in use" in line["error"]
            assert "another program has the port" in line["help"]
            with Forwarder(gateway.udp_address("b"), "aa555a0000000102") as forwarder:
                forwarder.pull()
        assert gateway.udp_address("a") == (HOST, port)
        with Forwarder((HOST, port), GATEWAY_ID) as forwarder:
            forwarder.pull()
    finally:
        gateway.kill()
