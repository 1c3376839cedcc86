"""``siel gateway``: check tells everything, run starts with nothing wrong and ends when asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from siel_hil.broker import PrivateBroker
from siel_tools.main import main

GATEWAY = '[gateway]\nid = "0016c001f1500812"\nname = "Roof"\n'
CONCENTRATOR = '[[radio]]\nkind = "semtech-udp"\nbind = "127.0.0.1:0"\n'
DEVICE = '[[device]]\ndev_eui = "70b3d57ed0001a2b"\ncodec = "siel/water_level"\n'
ENDS_S = 30
"""A guard against a daemon that never ends, no measure."""


@pytest.fixture
def port() -> Iterator[str]:
    near, far = os.openpty()
    yield os.ttyname(far)
    os.close(near)
    os.close(far)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "siel.toml"


def gateway(verb: str, file: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["gateway", verb, "--config", str(file), *more])


def heads(*ports: str) -> str:
    return "".join(f'[[radio]]\nname = "h{n}"\nkind = "serial-head"\nport = "{port}"\n' for n, port in enumerate(ports))


def test_check_tells_what_the_radios_hear(file: Path, port: str) -> None:
    file.write_text(GATEWAY + heads(port))
    result = gateway("check", file)
    assert result.exit_code == 0, result.output
    assert "gateway 0016c001f1500812 (Roof), EU868" in result.stdout
    assert f"radio h0: head at {port}, hears 868.1 MHz SF7" in result.stdout
    assert "hears 1 of 18 join pairs" in result.stdout
    assert "no fault found" in result.stdout


def test_a_concentrator_hears_every_join(file: Path) -> None:
    file.write_text(GATEWAY + CONCENTRATOR)
    result = gateway("check", file)
    assert "hears 18 of 18 join pairs" in result.stdout
    assert "868.1 MHz SF7-12" in result.stdout


def test_check_as_json_is_one_document(file: Path) -> None:
    file.write_text(GATEWAY + CONCENTRATOR)
    document = json.loads(gateway("check", file, "--json").stdout)
    assert document["ok"] is True
    assert document["faults"] == []
    assert document["join_pairs"] == {"heard": 18, "all": 18}
    assert document["gateway"] == {"id": "0016c001f1500812", "name": "Roof", "region": "EU868"}
    assert document["radios"][0]["channels"][0] == {
        "frequency_hz": 868_100_000,
        "bandwidth_hz": 125_000,
        "spreading_factors": [7, 8, 9, 10, 11, 12],
    }


BROKEN = [
    ("[gateway\n", [(1, "")]),
    (
        GATEWAY + "x = 1\n" + CONCENTRATOR + 'y = 2\n[[sink]]\nkind = "csv"\n',
        [(4, "gateway.x"), (8, "radio[0].y"), (10, "sink[0].kind")],
    ),
    (GATEWAY + heads("/dev/there-is-no-such-port"), [(7, "radio[0].port")]),
    (GATEWAY + CONCENTRATOR + DEVICE, [(1, "keys.key_file")]),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN)
@pytest.mark.parametrize("verb", ["check", "run"])
def test_faults_are_told_at_once_and_nothing_starts(
    file: Path, verb: str, text: str, expected: list[tuple[int, str]]
) -> None:
    file.write_text(text)
    result = gateway(verb, file)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == len(expected) + 1
    for line, (number, key) in zip(lines, expected, strict=False):
        assert line.startswith(f"{file}:{number}: {key}")
    assert not (file.parent / "data").exists()


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_faults_as_json(file: Path, text: str, expected: list[tuple[int, str]]) -> None:
    file.write_text(text)
    result = gateway("check", file, "--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert [(fault["line"], fault["key"]) for fault in document["faults"]] == expected


def test_a_missing_file_is_told(file: Path) -> None:
    for verb in ("check", "run"):
        result = gateway(verb, file)
        assert result.exit_code == 2
        assert "cannot read the file" in result.stderr


def start(file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from siel_tools.main import main; main()", "gateway", "run", "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], event: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["event"] == event:
            return
    pytest.fail(f"it ended with {process.wait(ENDS_S)} before {event}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_serves_until_it_is_told_to_stop(file: Path, number: signal.Signals) -> None:
    with PrivateBroker() as broker:
        file.write_text(f'{GATEWAY}{CONCENTRATOR}[[sink]]\nkind = "mqtt"\nurl = "{broker.url}"\n')
        with start(file) as process:
            try:
                wait_for(process, "broker_connected")
                process.send_signal(number)
                _, log = process.communicate(timeout=ENDS_S)
            finally:
                process.kill()
    assert process.returncode == 0
    assert "Traceback" not in log
    assert (file.parent / "data" / "journal.sqlite").exists()


def test_a_second_gateway_on_the_same_data_is_refused(file: Path) -> None:
    with PrivateBroker() as broker:
        file.write_text(f'{GATEWAY}{CONCENTRATOR}[[sink]]\nkind = "mqtt"\nurl = "{broker.url}"\n')
        with start(file) as process:
            try:
                wait_for(process, "broker_connected")
                with start(file) as second:
                    _, log = second.communicate(timeout=ENDS_S)
            finally:
                process.terminate()
                process.communicate(timeout=ENDS_S)
    assert second.returncode == 1
    assert "is in use: another gateway" in log


def test_a_wrong_codec_that_no_device_needs_keeps_no_gateway_down(file: Path) -> None:
    wrong = file.parent / "codecs.d" / "my" / "rain.toml"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("title = ")
    file.write_text(GATEWAY + CONCENTRATOR)
    told = gateway("check", file)
    assert told.exit_code == 2
    assert "the gateway starts" in told.stderr
    with start(file) as process:
        try:
            wait_for(process, "codec_fault")
            wait_for(process, "gateway_started")
            process.terminate()
            process.communicate(timeout=ENDS_S)
        finally:
            process.kill()
    assert process.returncode == 0
