"""Every fault of a schema is told, with file, line and field, in the words of ``data/schema_faults.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siel_codecs.errors import SchemaError
from siel_codecs.schema.load import MAX_DEPTH, MAX_SCHEMA_BYTES, load_file, load_text
from siel_codecs.schema.load.words import reason_of

CASES = Path(__file__).parent / "data" / "schema_faults.txt"
HEAD = 'title = "T"\n[[uplink]]\nfield = [\n'


def cases() -> Iterator[tuple[str, str, list[str]]]:
    for case in CASES.read_text().split("\n\n")[1:]:
        head, *lines = case.strip("\n").split("\n")
        mark, name = head.split(" ", 1)
        end = lines.index("--")
        text = "\n".join(lines[:end])
        yield name, text if mark == "==" else f"{HEAD}{text}\n]\n", lines[end + 1 :]


def said(text: str) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        load_text(text, "test/test", "test.toml")
    return [line.removeprefix("test.toml:") for line in str(caught.value).splitlines()]


ALL = list(cases())


@pytest.mark.parametrize(
    ("text", "faults"), [(text, faults) for _, text, faults in ALL], ids=[name for name, *_ in ALL]
)
def test_a_fault_is_told_with_line_field_and_reason(text: str, faults: list[str]) -> None:
    assert said(text) == faults


def test_the_cases_are_all_there() -> None:
    names = [name for name, *_ in ALL]
    assert len(set(names)) == len(names) > 130
    assert all(faults for *_, faults in ALL)


def test_texts_and_bytes_are_bounded() -> None:
    example = '[[example]]\nf_port = 1\nbytes = "{}"\ndata = {{}}\n'
    message = '[[uplink]]\nfield = [{ name = "a", type = "u8" }]\n'
    start = 'title = "T"\n'
    assert load_text(start + message + example.format("00" * 242), "t/t").examples[0].payload == bytes(242)
    assert said(start + message + example.format("00" * 243)) == [
        "6: example[0].bytes: 243 bytes; a payload has at most 242"
    ]
    assert load_text(f'{start}description = "{"x" * 2000}"\n{message}', "t/t").description == "x" * 2000
    assert said(f'{start}description = "{"x" * 2001}"\n{message}') == [
        "2: description: must have at most 2000 characters"
    ]
    assert load_text(f'{start}{message}[unit.x]\ndisplay = "{"x" * 24}"', "t/t").title == "T"
    assert said(f'{start}{message}[unit.x]\ndisplay = "{"x" * 25}"') == [
        "5: unit.x.display: must be at most 24 characters in one line"
    ]
    fields = HEAD + "{ reserved = 1 },\n" * 257 + "]"
    assert said(fields) == ["3: uplink[0].field: has 257, at most 256"]
    assert said(f'{start}[unit."a b"]\ndisplay = "x"\n{message}') == [
        "2: unit.a b: must be at most 16 characters without spaces"
    ]


def test_what_is_no_toml_is_told_with_its_line() -> None:
    [line] = said('title = "T"\nuplink = \n')
    assert line.startswith("2: not TOML: Invalid value")


@pytest.mark.parametrize(
    "table", ['{ name = "a",\n type = "u8" }', '{ name = "a", type = "u8", }', '{ name = "a" type = 1 }']
)
def test_a_table_in_braces_that_is_written_like_another_is_told_how(table: str) -> None:
    (line,) = said(HEAD + table + "\n]\n")
    assert line.startswith("4: not TOML: ")
    assert line.endswith("; a table in braces stands on one line, without a comma at its end")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "gauge.toml"
    file.write_text(f'{HEAD}{{ name = "a", type = "u8" }}]', encoding="utf-8-sig")
    assert load_file(file, "test/gauge").title == "T"


def test_a_field_in_tables_of_its_own_has_its_line_too() -> None:
    field = '[[uplink.field]]\nname = "{}"\n\ntype = "{}"\n'
    text = 'title = "T"\n[[uplink]]\n' + field.format("a", "u8") + field.format("b", "u40")
    assert said(text) == ["10: uplink[0].field[1].type (b): a number has 1 to 32 bits, a signed one 2 to 32"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# \n\xff\xfe", "2: is not UTF-8 text; save it as UTF-8"),
        (b"x" * (MAX_SCHEMA_BYTES + 1), f"larger than {MAX_SCHEMA_BYTES} bytes; no schema is"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"a = " + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "nested too deeply"),
        (b"a = " + b"9" * 5000, "a number of thousands of digits"),
        (b"a = 1e" + b"9" * 5000, "a number of thousands of digits"),
    ],
    ids=["not text", "too large", "far too deep", "too deep", "an endless number", "an endless exponent"],
)
def test_a_file_that_is_no_schema_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(SchemaError) as caught:
        load_file(file, "test/bad")
    assert str(caught.value) == f"{file}:{'' if reason.startswith('2:') else ' '}{reason}"


def test_a_missing_file_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none\.toml: cannot be read: No such file"):
        load_file(tmp_path / "none.toml", "test/none")


def test_what_pydantic_says_in_other_words_still_has_its_place() -> None:
    error: Any = {"type": "recursion_loop", "loc": ("uplink", 0, "<when>", "field"), "msg": "Recursion"}
    assert reason_of(error) == (("uplink", 0, "field"), "Recursion")
