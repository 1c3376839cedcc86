"""``siel codec``: what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from siel_tools.main import main


def siel(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["codec", *arguments], input=stdin, catch_exceptions=False)


def test_list_names_every_codec() -> None:
    result = siel("list", "--json")
    assert [each["name"] for each in json.loads(result.stdout)["codecs"]] == ["siel/climate", "siel/water_level"]
    assert [line.split()[0] for line in siel("list").stdout.splitlines()] == ["siel/climate", "siel/water_level"]


def test_show_tells_ports_ranges_and_units() -> None:
    found = json.loads(siel("show", "siel/climate", "--json").stdout)
    assert [frame["f_port"] for frame in found["frames"]] == [11]
    assert found["frames"][0]["size_bytes"] == 5
    field = found["frames"][0]["fields"][0]
    assert (field["name"], field["min"], field["max"], field["step"]) == ("temperature", -40.0, 125.0, 0.01)
    assert field["unit"] == {"display": "°C", "senml": "Cel", "senml_factor": 1.0, "ucum": "Cel"}
    text = siel("show", "siel/climate").stdout
    assert "port 11, 5 bytes" in text
    assert "-40 to 125 °C" in text


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


def test_decode_for_people_keeps_warnings_off_stdout() -> None:
    result = siel("decode", "siel/climate", "--fport", "11", "22:19:a7:10:ff")
    assert result.exit_code == 0
    assert result.stdout.split() == ["temperature", "21.5", "°C", "humidity", "100.0", "%"]
    assert result.stderr == "warning: battery: not available\n"


def test_encode_tells_what_saturates() -> None:
    result = siel("encode", "siel/climate", "--fport", "11", '{"humidity": 225, "temperature": 21.504}')
    assert result.exit_code == 0
    assert result.stderr == "warning: humidity: 225 % is outside its range, sent as 100.0\n"


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
        "errors": ["payload too short: 1 bytes, port 11 has 5"],
    }
    assert siel("decode", "siel/climate", "--fport", "12", "22").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["decode", "siel/none", "--fport", "1", "00"], "siel codec list"),
        (["decode", "siel/climate", "00"], "--fport"),
        (["decode", "siel/climate", "--fport", "11", "0x0"], "hex digits"),
        (["decode", "siel/climate", "--fport", "256", "00"], "--fport"),
        (["decode", "siel/climate", "--batch", "-"], "--batch"),
        (["decode", "--batch", "/no/such/file"], "No such file"),
        (["encode", "siel/climate", "--fport", "11", "{"], "JSON"),
        (["encode", "siel/climate", "--fport", "11", "[1]"], "object"),
        (["encode", "siel/climate", "--fport", "12", "{}"], "known: 11"),
        (["encode", "siel/climate", "--fport", "11", '{"level": 1}'], "siel codec show"),
        (["encode", "siel/climate", "--fport", "11", '{"battery": NaN}'], "finite"),
        (["generate", "siel/climate", "--target", "cobol"], "micropython"),
        (["generate", "siel/climate"], "--target"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_would_be_right(arguments: list[str], text: str) -> None:
    result = siel(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr


def test_generate_prints_what_is_committed() -> None:
    import siel_node.codec.siel_climate as committed

    assert siel("generate", "siel/climate", "--target", "micropython").stdout == Path(committed.__file__).read_text()


def test_a_batch_answers_each_line_and_ends_with_0(tmp_path: Path) -> None:
    lines = [b'{"device":"siel/water_level","fPort":10,"bytes":"24d296"}', b"", b"nonsense"]
    file = tmp_path / "batch.jsonl"
    file.write_bytes(b"\n".join(lines))
    for result in (
        siel("decode", "--batch", str(file)),
        siel("decode", "--batch", "-", stdin=b"\n".join(lines) + b"\n"),
    ):
        assert result.exit_code == 0
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert answers[0] == {"data": {"distance": 1234, "battery": 3.3}, "warnings": [], "errors": []}
        assert [each["data"] for each in answers[1:]] == [None, None]
        assert all(each["errors"] for each in answers[1:])


def test_the_command_line_itself_imports_no_codec() -> None:
    code = "import sys, siel_tools.commands.codec, siel_tools.commands.frame; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"construct", "pydantic", "rich", "cryptography"}.isdisjoint(ran.stdout.split())
