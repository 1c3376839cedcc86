"""The line index agrees with tomllib about what is in a document."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_codecs.toml_lines import TomlPath, line_index, line_of, show_path, syntax_line

DOCUMENT = '''# a comment
a = 1
"b\\u0041" . 'c d' = """x
] "y" \\"""
""" # c
[gateway]
id = "x"
loc = { lat = 1.5, lon = [1,
2, # ],
{ z = 1 },
] }
when = 1979-05-27 07:32:00 # d
[[radio]]
channels = [
  {f = 1},
  {f = 2, g = "a,]}"},
]
[[radio.x]]
y = 1
[[radio.x]]
y = \'\'\'
[no]
\'\'\'\'\'
[radio.tls]
ca = 'a'
[[radio]]
tls.ca = "q"
n = inf'''

LINES: dict[TomlPath, int] = {
    ("a",): 2,
    ("bA", "c d"): 3,
    ("gateway",): 6,
    ("gateway", "id"): 7,
    ("gateway", "loc", "lon", 0): 8,
    ("gateway", "loc", "lon", 1): 9,
    ("gateway", "loc", "lon", 2, "z"): 10,
    ("gateway", "when"): 12,
    ("radio", 0): 13,
    ("radio", 0, "channels", 1): 16,
    ("radio", 0, "channels", 1, "g"): 16,
    ("radio", 0, "x", 1): 20,
    ("radio", 0, "x", 1, "y"): 21,
    ("radio", 0, "tls"): 24,
    ("radio", 0, "tls", "ca"): 25,
    ("radio", 1): 26,
    ("radio", 1, "tls", "ca"): 27,
    ("radio", 1, "n"): 28,
}


def _paths(value: object, path: TomlPath = ()) -> Iterator[TomlPath]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, (*path, key))
    elif isinstance(value, list):
        for n, below in enumerate(value):
            yield from _paths(below, (*path, n))


def test_every_key_of_the_example_has_its_line() -> None:
    index = line_index(DOCUMENT)
    assert {path: index[path] for path in LINES} == LINES
    assert set(index) == set(_paths(tomllib.loads(DOCUMENT)))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_of_both_kinds_count_once(newline: str) -> None:
    index = line_index(DOCUMENT.replace("\n", newline))
    assert index["radio", 1, "n"] == LINES["radio", 1, "n"]


def test_a_missing_key_has_the_line_of_its_table() -> None:
    index = line_index(DOCUMENT)
    assert line_of(index, ("radio", 0, "channels", 1, "bandwidth_hz")) == LINES["radio", 0, "channels", 1]
    assert line_of(index, ("gateway", "name")) == LINES["gateway",]
    assert line_of(index, ("edge", "adr")) == 1


def test_paths_are_shown_as_people_write_them() -> None:
    assert show_path(("field", 2, "unit", "senml")) == "field[2].unit.senml"


def test_the_line_of_a_syntax_fault_is_taken_from_the_message() -> None:
    assert syntax_line("Invalid value (at line 12, column 3)") == 12
    assert syntax_line("Invalid value (at end of document)") is None


KEYS = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True), st.text(max_size=4).map(lambda t: t + "'"))
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)


def _basic(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_inline(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[ # [\n" + ",\n".join(_inline(below) for below in value) + "\n]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _basic(str(value))


def _key(key: str) -> str:
    return _basic("".join(sign if sign.isprintable() else "?" for sign in key))


VALUES = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), TEXTS),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(KEYS, below, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.booleans(), KEYS, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=5))
def test_every_path_that_tomllib_finds_is_indexed(tables: list[tuple[bool, str, dict[str, object]]]) -> None:
    text = ""
    for array, name, table in tables:
        text += f"[[{_key(name)}]]\n" if array else f"[{_key(name)}]\n"
        text += "".join(f"{_key(key)} = {_inline(value)}\n" for key, value in table.items())
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # the same table twice
    index = line_index(text)
    assert set(index) == set(_paths(data))
    assert all(1 <= line <= text.count("\n") + 1 for line in index.values())


@settings(max_examples=200)
@given(st.text(st.sampled_from("[]{}=.,\"'\\#\n abu01"), max_size=60))
def test_noise_never_crashes_and_valid_noise_is_indexed(text: str) -> None:
    index = line_index(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(index) == set(_paths(data))


def test_a_path_is_one_line_whatever_its_keys_hold() -> None:
    assert show_path(("a\r\nb", 1, "tür\u202e")) == "a\\r\\nb[1].tür\\u202e"


def test_an_inline_table_in_an_array_has_a_line_of_its_own() -> None:
    text = '[[up]]\nfield = [\n  { a = 1 },\n  # a comment\n  { b = 2, in = [\n    { c = "]" } ] },\n  { d = 3 } ]\n'
    index = line_index(text)
    assert [line_of(index, ("up", 0, "field", n)) for n in range(3)] == [3, 5, 7]
    assert line_of(index, ("up", 0, "field", 1, "in", 0, "c")) == 6
    assert line_of(index, ("up", 0, "field", 2, "missing")) == 7
