"""The line index against TOML as people write it."""

from __future__ import annotations

import pytest

from siel_codecs.toml_lines import dotted, line_index, line_of, syntax_line

TEXT = '''\
title = "a = b [x]"  # [comment]
long = """
[not.a.table]
no = "key"
"""

[frame]
version = { bits = 3, value = 1 }
list = [
    1,
    { inner = 2 },
]
after = "#"

[[field]]
"name" = "one"

[[field]]
name = "two"

[field.unit]
display = "V"
one_line = \'\'\'x\'\'\'
a.b = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 1),
        (("long",), 2),
        (("frame",), 7),
        (("frame", "version", "bits"), 8),  # inside an inline table: the line of the table
        (("frame", "list"), 9),
        (("frame", "list", 1, "inner"), 9),
        (("frame", "after"), 13),
        (("field", 0, "name"), 16),
        (("field", 0, "missing"), 15),
        (("field", 1, "name"), 19),
        (("field", 1, "unit", "display"), 22),
        (("field", 1, "unit", "one_line"), 23),
        (("field", 1, "unit", "a", "b"), 24),
        (("nowhere",), None),
    ],
)
def test_each_key_is_found_on_its_line(path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(line_index(TEXT), path) == line


def test_what_stands_in_strings_is_no_key() -> None:
    index = line_index(TEXT)
    assert ("no",) not in index
    assert ("not", "a", "table") not in index


def test_paths_are_shown_as_people_write_them() -> None:
    assert dotted(("field", 2, "unit", "senml")) == "field[2].unit.senml"


def test_the_line_of_a_syntax_fault_is_taken_from_the_message() -> None:
    assert syntax_line("Invalid value (at line 12, column 3)") == 12
    assert syntax_line("Invalid value (at end of document)") is None
