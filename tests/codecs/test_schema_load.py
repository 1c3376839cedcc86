"""Schema files: what they mean, and every fault told with line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from siel_codecs.errors import SchemaError, UnknownCodecError
from siel_codecs.registry import PACKAGE_FOLDER, Registry
from siel_codecs.schema.load import MAX_SCHEMA_BYTES, load_file, load_text
from siel_codecs.schema.model import MAX_FRAME_BYTES

FIELD = """
[[field]]
name = "level"
title = "Level"
bits = 10
scale = 0.1
unit = { display = "cm", senml = "m", senml_factor = "1/100", ucum = "cm" }
node = { name = "level_mm", scale = 0.1 }
"""
HEAD = """\
title = "A test"
[frame]
f_port = 7
version = { bits = 4, value = 2 }
"""
SMALLEST = HEAD + FIELD


def faults(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(SchemaError) as caught:
        load_text(text, "test/test", "test.toml")
    assert all(line.startswith("test.toml") for line in str(caught.value).splitlines())
    return [(fault.field, fault.line) for fault in caught.value.faults]


def test_the_smallest_schema() -> None:
    frame = load_text(SMALLEST, "test/test").frames[0]
    field = frame.fields[0]
    assert (frame.f_port, frame.version_bits, frame.version, frame.bits, frame.size) == (7, 4, 2, 14, 2)
    assert (field.num, field.den, field.offset, field.code_min, field.code_max) == (1, 10, 0, 0, 1023)
    assert (field.node.num, field.node.den) == (1, 1)
    assert (field.unit.senml_num, field.unit.senml_den) == (1, 100)
    assert field.every_code_is_a_value


@pytest.mark.parametrize("scale", ["0.1", '"1/10"', '"0.1"', "1e-1"])
def test_a_scale_is_exact_however_it_is_written(scale: str) -> None:
    field = load_text(SMALLEST.replace("scale = 0.1\nunit", f"scale = {scale}\nunit"), "t/t").frames[0].fields[0]
    assert (field.num, field.den) == (1, 10)


@pytest.mark.parametrize(
    ("not_available", "limits"), [(0, (1, 1023)), (1023, (0, 1022))], ids=["lowest code", "highest code"]
)
def test_a_code_at_the_edge_is_taken_from_the_values(not_available: int, limits: tuple[int, int]) -> None:
    text = SMALLEST.replace("scale = 0.1\nunit", f"scale = 0.1\nnot_available = {not_available}\nunit")
    field = load_text(text, "t/t").frames[0].fields[0]
    assert (field.code_min, field.code_max) == limits


FAULTS = [
    ("scale = 0.1\nunit", "scale = 0\nunit", "field[0].scale (level)", 10),
    ("scale = 0.1\nunit", 'scale = "one"\nunit', "field[0].scale (level)", 10),
    ("scale = 0.1\nunit", "scale = nan\nunit", "field[0].scale (level)", 10),
    ("scale = 0.1\nunit", "scale = 1e99\nunit", "field[0].scale (level)", 10),
    ("scale = 0.1\nunit", 'scale = "1e999999999"\nunit', "field[0].scale (level)", 10),
    ("scale = 0.1\nunit", 'scale = "1/0"\nunit', "field[0].scale (level)", 10),
    ("scale = 0.1\nunit", "scale = true\nunit", "field[0].scale (level)", 10),
    ("bits = 10", "bits = 33", "field[0].bits (level)", 9),
    ("bits = 10", "bits = 0", "field[0].bits (level)", 9),
    ("bits = 10", 'bits = "10"', "field[0].bits (level)", 9),
    ("bits = 10", "bits = 10\nmin = 0.05", "field[0].min (level)", 10),
    ("bits = 10", "bits = 10\nmax = 200", "field[0].max (level)", 10),
    ("bits = 10", "bits = 10\nmin = 9\nmax = 8", "field[0].max (level)", 11),
    ("bits = 10", "bits = 10\nnot_available = 1024", "field[0].not_available (level)", 10),
    ("bits = 10", "bits = 10\nnot_available = 5", "field[0].not_available (level)", 10),
    ("bits = 10", "bits = 10\nbytes = 2", "field[0].bytes (level)", 10),
    ('senml = "m"', 'senml = "cm"', "field[0].unit (level)", 11),
    ('senml = "m", ', "", "field[0].unit.senml (level)", 11),
    ('name = "level_mm"', 'name = "while"', "field[0].node (level)", 12),
    ('name = "level_mm"', 'name = "buf"', "field[0].node (level)", 12),
    ('name = "level"\n', 'name = "Level"\n', "field[0].name (Level)", 7),
    ("f_port = 7", "f_port = 0", "frame.f_port", 3),
    ("f_port = 7", "f_port = 224", "frame.f_port", 3),
    ("value = 2", "value = 16", "frame.version", 4),
    ('title = "A test"\n', "", "title", 1),
    ('title = "A test"', 'title = "A test', "", 1),
]


@pytest.mark.parametrize(("good", "bad", "field", "line"), FAULTS, ids=[each[1][:24] for each in FAULTS])
def test_a_fault_is_told_with_field_and_line(good: str, bad: str, field: str, line: int | None) -> None:
    assert SMALLEST.count(good) == 1
    assert faults(SMALLEST.replace(good, bad)) == [(field, line)]


def test_all_faults_are_told_at_once() -> None:
    text = SMALLEST.replace("bits = 10", "bits = 10\nmin = 0.05\nnot_available = 4000").replace(
        "value = 2", "value = 99"
    )
    assert [field for field, _ in faults(text)] == [
        "frame.version",
        "field[0].not_available (level)",
        "field[0].min (level)",
    ]
    assert len(faults(SMALLEST.replace("bits = 10", "bits = 99").replace("f_port = 7", "f_port = 0"))) == 2


def test_two_fields_cannot_share_a_name() -> None:
    assert [field for field, _ in faults(SMALLEST + FIELD)] == ["field[1].name (level)", "field[1].node (level)"]


def test_a_frame_fits_the_slowest_data_rate_or_is_refused() -> None:
    def frame_of(numbers: int) -> str:
        fields = [FIELD.replace('"level', f'"n{index}').replace("bits = 10", "bits = 32") for index in range(numbers)]
        return HEAD + "".join(fields)

    assert load_text(frame_of(12), "t/t").frames[0].size == 49
    assert faults(frame_of(13)) == [("field", 6)]
    assert MAX_FRAME_BYTES == 51


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"x" * (MAX_SCHEMA_BYTES + 1),
        b"a = " + b"[" * 5000,
        b"a = " + b"9" * 5000,
        b"a = 1e" + b"9" * 5000,
    ],
    ids=["not text", "too large", "too deep", "an endless number", "an endless exponent"],
)
def test_a_file_that_is_no_schema_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(SchemaError):
        load_file(file, "test/bad")


def test_a_missing_file_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none\.toml: cannot be read: No such file"):
        load_file(tmp_path / "none.toml", "test/none")


def test_a_folder_of_one_s_own_comes_before_the_package_s(tmp_path: Path) -> None:
    (tmp_path / "siel").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "siel" / "climate.toml").write_text(SMALLEST)
    (tmp_path / "mine" / "pond.toml").write_text(SMALLEST)
    (tmp_path / "mine" / "Not A Name.toml").write_text(SMALLEST)
    registry = Registry([tmp_path, tmp_path / "missing"])
    assert registry.names() == ["mine/pond", "siel/climate", "siel/water_level"]
    assert registry.load("siel/climate").device.title == "A test"
    assert registry.load("mine/pond") is registry.load("mine/pond")
    assert registry.load("mine/pond").decode(7, bytes.fromhex("2190")).data == {"level": 10.0}


@pytest.mark.parametrize(
    "name", ["siel/none", "", "climate", "../siel/climate", "siel/../siel/climate", "siel/climate.toml"]
)
def test_an_unknown_name_tells_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownCodecError) as caught:
        Registry().load(name)
    assert caught.value.known == ("siel/climate", "siel/water_level")


def test_every_schema_of_the_package_loads_and_wastes_less_than_a_byte() -> None:
    registry = Registry()
    assert len(registry.names()) == len(list(PACKAGE_FOLDER.rglob("*.toml")))
    for name in registry.names():
        for frame in registry.load(name).device.frames:
            assert 0 <= frame.size * 8 - frame.bits < 8
