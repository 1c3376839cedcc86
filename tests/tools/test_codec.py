"""``siel codec``: list, show, decode, encode; what they print and how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from siel_codecs import registry
from siel_tools.main import main

GAUGE = """
title = "Rain gauge"
kind = "rain"

[[uplink]]
f_port = 12
version = { bits = 3, value = 1 }
field = [
  { name = "rain", title = "Rain since installation", type = "u13", scale = 0.2, unit = "mm", max = 1600 },
  { name = "battery", type = "u8", scale = 0.01, offset = 1.8, unit = "V", not_available = 255 },
]

[[downlink]]
name = "set_interval"
f_port = 12
field = [ { const = 1, type = "u8", title = "command" }, { name = "interval", type = "u16", unit = "min", min = 1 } ]

[[example]]
f_port = 12
bytes = "2064c8"
data = { rain = 20.0, battery = 3.8 }
"""


def siel(*arguments: str, stdin: bytes = b"", columns: int = 100) -> Result:
    runner = CliRunner(env={"COLUMNS": str(columns)})
    return runner.invoke(main, ["codec", *arguments], input=stdin, catch_exceptions=False)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder with one schema, acme/gauge."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "gauge.toml").write_text(GAUGE)
    return tmp_path


def test_list_names_every_codec_with_title_and_kind() -> None:
    result = siel("list", "--json")
    rows = json.loads(result.stdout)["codecs"]
    assert (result.exit_code, result.stderr) == (0, "")
    assert [row["name"] for row in rows] == registry.names()
    climate = next(row for row in rows if row["name"] == "siel/climate")
    assert climate == {"name": "siel/climate", "title": "Climate: air temperature and humidity", "kind": "climate"}
    lines = siel("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == registry.names()


def test_a_folder_of_one_s_own_is_listed_too_and_a_wrong_file_in_it_is_told(own: Path) -> None:
    (own / "acme" / "broken.toml").write_text("title = 1")
    result = siel("list", "--codecs", str(own))
    assert result.exit_code == 1
    assert "acme/gauge" in result.stdout
    assert "acme/broken" not in result.stdout
    assert "broken.toml" in result.stderr


def test_a_file_that_no_name_leads_to_is_told(own: Path) -> None:
    for place in ("gauge.toml", "acme/Gauge.toml", "acme/old/gauge.toml"):
        (own / place).parent.mkdir(exist_ok=True)
        (own / place).write_text(GAUGE)
    result = siel("list", "--codecs", str(own), "--json")
    assert result.exit_code == 0
    assert [line.split(": ")[2] for line in result.stderr.splitlines()] == [
        str(own / place) for place in ("acme/Gauge.toml", "acme/old/gauge.toml", "gauge.toml")
    ]
    assert "call it <vendor>/<device>.toml" in result.stderr


def test_show_tells_messages_ranges_units_and_commands(own: Path) -> None:
    found = json.loads(siel("show", str(own / "acme/gauge.toml"), "--json").stdout)
    assert (found["name"], found["title"], found["kind"]) == ("acme/gauge", "Rain gauge", "rain")
    uplink, downlink = found["messages"]
    assert (uplink["direction"], uplink["f_ports"], uplink["version"]) == ("up", [12], 1)
    assert (uplink["smallest_bytes"], uplink["largest_bytes"]) == (3, 3)
    assert (downlink["direction"], downlink["name"]) == ("down", "set_interval")
    rain = uplink["fields"][0]
    assert (rain["name"], rain["min"], rain["max"], rain["step"]) == ("rain", 0.0, 1600.0, 0.2)
    assert rain["unit"] == {"display": "mm", "senml": "m", "senml_factor": 0.001, "ucum": "mm"}
    assert uplink["fields"][1]["no_value"] == [{"codes": [255, 255], "why": "not available"}]
    assert found["examples"][0]["payload"] == "2064c8"


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_show_for_people_fits_a_terminal_and_loses_no_word(columns: int) -> None:
    for name in ("siel/weather", "siel/parking", "siel/valve", "siel/diagnostics", "cayenne/lpp", "elsys/ers"):
        text = siel("show", name, columns=columns).stdout
        assert max(map(len, text.splitlines())) <= columns
        found = json.loads(siel("show", name, "--json").stdout)
        fields = [field for each in found["messages"] for field in each["fields"]]
        titles = {word for field in fields if field["title"] != "Raw" for word in field["title"].split()}
        told = {word.lower() for word in text.split()}
        assert {field["name"] for field in fields} <= told
        assert {word.lower() for word in titles} <= told | {word for each in fields for word in each["name"].split("_")}
    text = siel("show", "siel/weather").stdout
    assert "uplink, port 15, " in text
    assert " bytes, version 1" in text
    assert "-40 to 85 °C" in text
    assert "if has_sun is 1" in text
    assert "command fail_safe, port 20, 5 bytes" in siel("show", "siel/valve").stdout
    assert "0=closed, 1=open" in siel("show", "siel/valve", columns=160).stdout


FAMILIES = sorted({name.split("/")[0]: name for name in registry.names()}.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_be_shown(name: str) -> None:
    assert siel("show", name).exit_code == 0
    assert json.loads(siel("show", name, "--json").stdout)["name"] == name


def test_encode_and_decode_are_each_other_s_inverse() -> None:
    payload = siel("encode", "siel/climate", "--fport", "11", '{"temperature": -3.25, "humidity": 48, "battery": 3.3}')
    assert (payload.exit_code, payload.stderr) == (0, "")
    result = siel("decode", "siel/climate", "--fport", "11", payload.stdout.strip(), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "data": {"temperature": -3.25, "humidity": 48.0, "battery": 3.3},
        "units": {"temperature": "°C", "humidity": "%", "battery": "V"},
        "warnings": [],
        "errors": [],
    }
    again = siel("encode", "siel/climate", "--fport", "11", "{}", "--json")
    assert json.loads(again.stdout) == {"f_port": 11, "bytes": "30003fffff"}


def test_a_command_goes_out_on_its_own_port_and_comes_back() -> None:
    sent = siel("encode", "siel/valve", "--downlink", '{"command": "open", "request": 1, "minutes": 20}', "--json")
    assert json.loads(sent.stdout) == {"f_port": 20, "bytes": "01010014"}
    back = siel("decode", "siel/valve", "--downlink", "--fport", "20", "01010014", "--json")
    assert json.loads(back.stdout)["data"] == {"command": "open", "request": 1, "minutes": 20}


def test_a_file_needs_no_name(own: Path) -> None:
    file = str(own / "acme/gauge.toml")
    assert siel("decode", file, "--fport", "12", "2064c8").stdout == "rain     20.0 mm\nbattery  3.8 V\n"
    assert siel("decode", "acme/gauge", "--codecs", str(own), "--fport", "12", "2064c8").exit_code == 0
    assert siel("encode", file, "--fport", "12", '{"rain": 20, "battery": 3.8}').stdout == "2064c8\n"


def test_decode_for_people_keeps_warnings_off_stdout() -> None:
    result = siel("decode", "siel/climate", "--fport", "11", "22:19:a7:10:ff")
    assert result.exit_code == 0
    assert result.stdout.split() == ["temperature", "21.5", "°C", "humidity", "100.0", "%"]
    assert result.stderr == "warning: battery: not available\n"


def test_a_series_shows_when_each_sample_was_measured() -> None:
    values = {"interval": 10, "battery": 3.3, "samples": [{"distance": 500}, {"distance": 510}]}
    payload = siel("encode", "siel/water_level", "--fport", "23", json.dumps(values)).stdout.strip()
    plain = siel("decode", "siel/water_level", "--fport", "23", payload).stdout.splitlines()
    assert plain[0] == "sample 0, newest"
    assert "sample 1, 600 s before the newest" in plain
    timed = siel("decode", "siel/water_level", "--fport", "23", payload, "--recv-time", "2026-01-01T00:00:00Z")
    assert "sample 1, 2025-12-31 23:50:00 UTC" in timed.stdout
    document = siel("decode", "siel/water_level", "--fport", "23", payload, "--json").stdout
    assert [each["distance"] for each in json.loads(document)["data"]["samples"]] == [500, 510]


def test_encode_tells_what_saturates() -> None:
    result = siel("encode", "siel/climate", "--fport", "11", '{"humidity": 225, "temperature": 21.504}')
    assert result.exit_code == 0
    assert result.stderr == "warning: humidity: 225 % is outside its range, sent as 100.0\n"
    over = siel("encode", "siel/water_level", "--fport", "22", '{"water_level": 99999}')
    assert over.stderr == "warning: water_level: 99999 mm is sent as above its range\n"


def test_a_number_of_any_size_saturates() -> None:
    result = siel("encode", "siel/climate", "--fport", "11", '{"humidity": 1' + "0" * 400 + "}")
    assert (result.exit_code, result.stdout) == (0, "30002710ff\n")


def test_a_payload_that_cannot_be_decoded_ends_with_1() -> None:
    result = siel("decode", "siel/climate", "--fport", "11", "22", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "data": None,
        "units": {},
        "warnings": [],
        "errors": ["payload too short: 1 bytes"],
    }
    wrong_port = siel("decode", "siel/climate", "--fport", "12", "22")
    assert (wrong_port.exit_code, wrong_port.stdout) == (1, "")
    assert "known: 11" in wrong_port.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["decode", "siel/none", "--fport", "1", "00"], "siel codec list"),
        (["decode", "./none.toml", "--fport", "1", "00"], "there is no file"),
        (["decode", "siel/climate", "00"], "--fport"),
        (["decode", "siel/climate", "--fport", "11", "0x0"], "hex digits"),
        (["decode", "siel/climate", "--fport", "256", "00"], "--fport"),
        (["decode", "siel/climate", "--fport", "11", "00", "--recv-time", "noon"], "2026-01-01T00:00:00Z"),
        (["decode", "siel/climate", "--fport", "11", "00", "--recv-time", "2026-01-01T00:00:00"], "offset"),
        (["decode", "siel/climate", "--fport", "11", "00", "--codecs", "/no/such/folder"], "--codecs"),
        (["decode", "siel/climate", "--batch", "-"], "--batch"),
        (["decode", "--batch", "/no/such/file"], "No such file"),
        (["encode", "siel/climate", "{}"], "--fport"),
        (["encode", "siel/climate", "--fport", "11", "{"], "JSON"),
        (["encode", "siel/climate", "--fport", "11", "[1]"], "object"),
        (["encode", "siel/climate", "--fport", "12", "{}"], "known: 11"),
        (["encode", "siel/climate", "--fport", "11", '{"level": 1}'], "siel codec show"),
        (["encode", "siel/climate", "--fport", "11", '{"battery": NaN}'], "finite"),
        (["encode", "siel/valve", "--downlink", '{"command": "opne"}'], "one of open, close"),
        (["encode", "siel/valve", "--downlink", '{"command": "move", "request": 1, "position": 101}'], "0 to 100"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_would_be_right(arguments: list[str], text: str) -> None:
    result = siel(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr


def test_a_wrong_schema_ends_with_2_and_every_fault_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "gauge.toml"
    file.write_text(GAUGE.replace('unit = "V"', 'unit = "volts"').replace('unit = "mm"', 'unit = "furlong"'))
    result = siel("decode", str(file), "--fport", "12", "2064c8")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "gauge.toml:9: " in result.stderr
    assert "gauge.toml:10: " in result.stderr


def test_a_batch_answers_each_line_and_ends_with_0(own: Path) -> None:
    lines = [
        b'{"device":"siel/water_level","fPort":10,"bytes":"24d296"}',
        b"",
        b"nonsense",
        b'{"device":"acme/gauge","fPort":12,"bytes":"2064c8"}',
    ]
    file = own / "batch.jsonl"
    file.write_bytes(b"\n".join(lines))
    for result in (
        siel("decode", "--codecs", str(own), "--batch", str(file)),
        siel("decode", "--codecs", str(own), "--batch", "-", stdin=b"\n".join(lines) + b"\n"),
    ):
        assert result.exit_code == 0
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert answers[0] == {"data": {"distance": 1234, "battery": 3.3}, "warnings": [], "errors": []}
        assert [each["data"] for each in answers[1:]] == [None, None, {"rain": 20.0, "battery": 3.8}]
        assert all(each["errors"] for each in answers[1:3])


def test_a_batch_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    line = b'{"device":"siel/water_level","fPort":10,"bytes":"2064c8"}'
    file = tmp_path / "batch.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + line)
    answers = [json.loads(each) for each in siel("decode", "--batch", str(file)).stdout.splitlines()]
    assert [each["data"] for each in answers] == [{"distance": 100, "battery": 3.8}] * 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize(
    ("redirection", "code", "text"),
    [
        ("--batch - </dev/null >&-", 2, "standard output is closed"),
        ("--batch - <&-", 2, "standard input is closed"),
        ("--batch batch.jsonl >/dev/full", 1, "the batch was not finished: No space left"),
        ("--batch /dev/null", 0, ""),
    ],
)
def test_a_batch_without_an_end_to_read_or_write_says_so(
    tmp_path: Path, redirection: str, code: int, text: str
) -> None:
    (tmp_path / "batch.jsonl").write_text("{}\n")
    command = f"{sys.executable} -m siel_tools codec decode {redirection}"
    found = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, "Traceback" in found.stderr, "Exception" in found.stderr) == (code, False, False)
    assert text in found.stderr


def test_the_command_line_itself_imports_no_codec() -> None:
    code = "import sys, siel_tools.commands.codec, siel_tools.commands.frame; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"construct", "pydantic", "rich", "cryptography", "quickjs", "msgspec"}.isdisjoint(ran.stdout.split())
