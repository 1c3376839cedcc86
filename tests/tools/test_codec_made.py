"""``siel codec generate``, ``run-js``, ``airtime`` and ``check``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import siel_node.codec.siel_climate as committed
from siel_tools.main import main

GAUGE = """
title = "Rain gauge"
[[uplink]]
f_port = 12
version = { bits = 3, value = 1 }
field = [
  { name = "rain", type = "u13", scale = 0.2, unit = "mm", max = 1600 },
  { name = "battery", type = "u8", scale = 0.01, offset = 1.8, unit = "V", not_available = 255 },
]
[[example]]
f_port = 12
bytes = "2064c8"
data = { rain = 20.0, battery = 3.8 }
"""
HALF = GAUGE.replace("scale = 0.2", "scale = 0.1").replace("max = 1600", "max = 800").replace("20.0", "10.0")


def siel(*arguments: str, stdin: bytes = b"") -> Result:
    runner = CliRunner(env={"COLUMNS": "100"})
    return runner.invoke(main, ["codec", *arguments], input=stdin, catch_exceptions=False)


@pytest.fixture
def gauge(tmp_path: Path) -> Path:
    file = tmp_path / "gauge.toml"
    file.write_text(GAUGE)
    return file


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_generate_prints_what_is_committed() -> None:
    text = siel("generate", "siel/climate", "--target", "micropython").stdout
    assert text == Path(committed.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("micropython", "def encode(buf"),
        ("js", "function decodeUplink("),
        ("json-schema", '"$schema"'),
        ("docs", "# Rain gauge"),
        ("vectors", '"examples"'),
    ],
)
def test_a_file_gives_every_target(gauge: Path, target: str, text: str) -> None:
    result = siel("generate", str(gauge), "--target", target)
    assert result.exit_code == 0
    assert text in result.stdout
    if target in {"json-schema", "vectors"}:
        json.loads(result.stdout)


def test_a_target_that_cannot_express_a_schema_says_so_and_ends_with_1(tmp_path: Path) -> None:
    wide = write(tmp_path, "wide.toml", GAUGE.replace('"u13"', '"u32"').replace("max = 1600", "max = 800000000"))
    result = siel("generate", wide, "--target", "micropython")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "rain" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["generate", "siel/climate", "--target", "cobol"], ["generate", "siel/climate"], ["airtime"], ["check"]],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert siel(*arguments).exit_code == 2


DECODER = "function decodeUplink(input) { return {data: {level: input.bytes[0] * 2, port: input.fPort}}; }"


def test_a_vendor_s_javascript_runs(tmp_path: Path) -> None:
    file = write(tmp_path, "decoder.js", DECODER)
    assert siel("run-js", file, "--fport", "3", "0a").stdout == "level  20\nport   3\n"
    document = json.loads(siel("run-js", file, "--fport", "3", "0a", "--json").stdout)
    assert document == {"data": {"level": 20, "port": 3}, "units": {}, "warnings": [], "errors": []}


def test_what_a_vendor_s_javascript_says_stays_on_its_line_and_commands_no_terminal(tmp_path: Path) -> None:
    text = r"function decodeUplink(i) { if (i.fPort === 1) throw new Error('a\nb\x1b[2J'); %s }"
    says = r"return { data: { 'n\nm': 'x\r\x1b[31m' }, warnings: ['w\nwarning: v'] }"
    file = write(tmp_path, "decoder.js", text % says)
    said = siel("run-js", file, "--fport", "3", "0a")
    assert said.stdout == "n\\nm  x\\r\\x1b[31m\n"
    assert said.stderr == "warning: w\\nwarning: v\n"
    assert r"a\nb\x1b[2J" in siel("run-js", file, "--fport", "1", "0a").stderr


def test_javascript_that_throws_ends_with_1_and_a_file_that_is_none_with_2(tmp_path: Path) -> None:
    file = write(tmp_path, "decoder.js", "function decodeUplink(input) { throw new Error('no such frame'); }")
    result = siel("run-js", file, "--fport", "3", "0a")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no such frame" in result.stderr
    assert siel("run-js", str(tmp_path / "none.js"), "--fport", "3", "0a").exit_code == 2
    assert siel("run-js", file, "--fport", "3").exit_code == 2
    assert siel("run-js", file, "--batch", "-").exit_code == 2


def test_what_is_generated_runs(gauge: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "gauge.js", siel("generate", str(gauge), "--target", "js").stdout)
    found = json.loads(siel("run-js", file, "--fport", "12", "2064c8", "--json").stdout)
    assert found["data"] == {"rain": 20, "battery": 3.8}


def test_a_batch_finds_its_files_beside_itself(tmp_path: Path) -> None:
    write(tmp_path, "decoder.js", DECODER)
    lines = ['{"js":"decoder.js","fPort":3,"bytes":"0a"}', "nonsense", '{"js":"none.js","fPort":3,"bytes":"0a"}', "{}"]
    batch = write(tmp_path, "batch.jsonl", "\n".join(lines))
    result = siel("run-js", "--batch", batch)
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert answers[0] == {"data": {"level": 20, "port": 3}, "warnings": [], "errors": []}
    assert [each["data"] for each in answers[1:]] == [None, None, None]
    assert all(each["errors"] for each in answers[1:])


def test_a_batch_of_javascript_answers_each_line_at_once(tmp_path: Path) -> None:
    write(tmp_path, "decoder.js", DECODER)
    command = [sys.executable, "-m", "siel_tools", "codec", "run-js", "--batch", "-"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for line, data in (
            (b'\xef\xbb\xbf{"js":"decoder.js","fPort":3,"bytes":"0a"}\n', {"level": 20, "port": 3}),
            (b"[" * 200_000 + b"\n", None),
            (b'{"js":"decoder.js","fPort":4,"bytes":"0b"}\n', {"level": 22, "port": 4}),
        ):
            running.stdin.write(line)
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["data"] == data
        running.stdin.close()
        assert running.stdout.read() == b""
    assert running.returncode == 0


def test_airtime_tells_bytes_milliseconds_and_years(gauge: Path) -> None:
    found = json.loads(siel("airtime", str(gauge), "--json", "--interval", "10m", "--sleep-ua", "3").stdout)
    (frame,) = found["messages"][0]["frames"]
    assert (frame["payload_bytes"], frame["phy_bytes"], frame["legal_at"]) == (3, 16, [0, 1, 2, 3, 4, 5])
    slowest = frame["rates"][0]
    assert (slowest["spreading_factor"], slowest["airtime_us"]) == (12, 1_318_912)
    assert slowest["step"] == {"field": "battery", "bits_to_save": 8, "saves_us": 163_840}
    assert slowest["messages_per_hour"] == {"0.1": 2, "1": 27, "10": 272}
    figures = {figure["name"]: figure for figure in found["energy"]}
    assert (figures["sleep_ua"]["value"], figures["sleep_ua"]["source"]) == (3, "given")
    assert "data sheet" in figures["tx_ma"]["source"]
    smaller = json.loads(siel("airtime", str(gauge), "--json", "--battery-mah", "100").stdout)
    assert smaller["messages"][0]["frames"][0]["rates"][5]["battery_years"] < 1


def test_airtime_for_people_says_what_is_not_legal(gauge: Path, tmp_path: Path) -> None:
    text = siel("airtime", str(gauge)).stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "3 bytes (24 bits), legal at every data rate" in text
    assert "Saft LS 26500" in text
    assert "> 132 s!" in siel("airtime", str(gauge), "--interval", "60s").stdout
    blob = '{ name = "serial", type = "hex60" }, { name = "battery"'
    long = write(tmp_path, "long.toml", GAUGE.split("[[example]]", maxsplit=1)[0].replace('{ name = "battery"', blob))
    assert "not legal below DR3" in siel("airtime", long).stdout
    assert "This device sends no uplinks" not in text


def test_airtime_table_stands_beside_other_encodings() -> None:
    result = siel("airtime", "--table")
    assert result.exit_code == 0
    assert "siel/climate" in result.stdout
    assert "Cayenne LPP" in result.stdout


def test_the_sizes_of_one_type_or_as_json(gauge: Path) -> None:
    assert siel("airtime", str(gauge), "--table").stdout.splitlines()[2].split("|")[2:4] == [" 2 ", " 3 "]
    found = json.loads(siel("airtime", "--table", "--json").stdout)["sizes"]
    assert next(each for each in found if each["codec"] == "siel/climate")["own"] == 5


def test_airtime_says_no_number_that_is_none(gauge: Path) -> None:
    assert siel("airtime", str(gauge), "--tx-ma", "nan").exit_code == 2
    nothing = [
        word for name in ("tx-ma", "rx-ma", "awake-ma", "sleep-ua", "self-discharge") for word in (f"--{name}", "0")
    ]
    found = siel("airtime", str(gauge), "--json", *nothing).stdout
    assert "Infinity" not in found
    assert json.loads(found)["messages"][0]["frames"][0]["rates"][0]["battery_years"] == 1000
    assert ">1000" in siel("airtime", str(gauge), *nothing).stdout


def test_check_finds_nothing_wrong_with_a_sound_schema(gauge: Path) -> None:
    result = siel("check", str(gauge))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Rain gauge: fine" in result.stdout
    found = json.loads(siel("check", str(gauge), "--json").stdout)
    assert (found["ok"], found["faults"], found["evolution"]) == (True, [], None)
    assert [each["ok"] for each in found["examples"]] == [True]
    assert {each["target"]: each["reason"] for each in found["targets"]} == dict.fromkeys(
        ("micropython", "js", "json-schema", "docs", "vectors")
    )
    assert found["sizes"] == [
        {"f_ports": [12], "version": 1, "size": "only", "bytes": 3, "legal_at": [0, 1, 2, 3, 4, 5]}
    ]


def test_check_tells_what_an_example_should_say(tmp_path: Path) -> None:
    file = write(tmp_path, "gauge.toml", GAUGE.replace("rain = 20.0", "rain = 21"))
    result = siel("check", file)
    assert result.exit_code == 1
    assert "rain: the example says 21, the payload says 20.0" in result.stdout
    (example,) = json.loads(siel("check", file, "--json").stdout)["examples"]
    assert example["expected"]["data"]["rain"] == 21
    assert example["got"]["data"]["rain"] == 20


def test_check_names_the_target_that_refuses_and_is_content(tmp_path: Path) -> None:
    wide = GAUGE.replace('"u13"', '"u32"').replace("max = 1600", "max = 800000000").split("[[example]]")[0]
    file = write(tmp_path, "wide.toml", wide)
    result = siel("check", file)
    assert result.exit_code == 0
    assert "cannot be made: rain" in result.stdout


def test_check_ends_with_1_for_faults_and_with_2_for_no_file(tmp_path: Path) -> None:
    file = write(tmp_path, "gauge.toml", GAUGE.replace('unit = "mm"', 'unit = "furlong"'))
    result = siel("check", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "gauge.toml:7: " in result.stderr
    document = siel("check", file, "--json")
    assert document.exit_code == 1
    found = json.loads(document.stdout)
    assert (found["ok"], found["faults"][0]["line"]) == (False, 7)
    assert siel("check", str(tmp_path / "none.toml")).exit_code == 2
    assert siel("check", "siel/none").exit_code == 2
    assert siel("check", "siel/climate", "--against", str(tmp_path / "none.toml")).exit_code == 2


def test_check_against_what_is_in_the_field(gauge: Path, tmp_path: Path) -> None:
    assert siel("check", str(gauge), "--against", str(gauge)).exit_code == 0
    new = write(tmp_path, "half.toml", HALF)
    result = siel("check", new, "--against", str(gauge))
    assert result.exit_code == 1
    assert "still decode: no" in result.stdout
    assert "rain: scale: one step was 1/5, is 1/10" in result.stdout
    assert "give it a new version and keep the old [[uplink]]" in result.stdout
    found = json.loads(siel("check", new, "--against", str(gauge), "--json").stdout)["evolution"]
    assert (found["decodes"], found["safe"], found["proven"]) == (False, False, True)
    (check,) = found["old_frames"]
    assert (check["outcome"], check["breaks"][0]["field"], check["breaks"][0]["kind"]) == ("misread", "rain", "scale")
    assert bytes.fromhex(check["example"]["bytes"])


def test_a_unit_alone_is_told_without_two_equal_readings(gauge: Path, tmp_path: Path) -> None:
    new = write(tmp_path, "cm.toml", GAUGE.replace('unit = "mm"', 'unit = "cm"'))
    text = siel("check", new, "--against", str(gauge)).stdout
    assert "rain: unit: was in mm, is in cm" in text
    assert "nothing is read as nothing" not in text
    bare = write(tmp_path, "bare.toml", GAUGE.split("[[example]]", maxsplit=1)[0])
    assert "none: an [[example]] holds" in siel("check", bare).stdout


def test_the_way_it_is_done_passes(gauge: Path, tmp_path: Path) -> None:
    uplink = HALF.split("[[example]]")[0].split("[[uplink]]")[1].replace("value = 1", "value = 2")
    new = write(tmp_path, "new.toml", f"{GAUGE}\n[[uplink]]{uplink}")
    result = siel("check", new, "--against", str(gauge))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "still decode: yes" in result.stdout
    assert "misread by old decoders: never" in result.stdout
