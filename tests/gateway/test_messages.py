"""The texts for people: each that code asks for exists, and none is left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import siel_gateway
import siel_tools
from siel_gateway.messages import ENGLISH, say

PACKAGES = (Path(siel_gateway.__file__).parent, Path(siel_tools.__file__).parent)
SOURCES = [path.read_text() for package in PACKAGES for path in package.rglob("*.py") if path.name != "messages.py"]
NAMED = re.compile(r"""["']([a-z0-9_]+\.[a-z0-9_.]+)["']""")


def test_every_text_that_code_asks_for_exists() -> None:
    asked = {name for source in SOURCES for name in re.findall(r'\bsay\(\s*"([^"]+)"', source)}
    assert asked
    assert asked <= set(ENGLISH)


def test_no_text_is_left_over() -> None:
    named = {name for source in SOURCES for name in NAMED.findall(source)}
    assert set(ENGLISH) <= named


def test_a_text_is_filled_in_by_name() -> None:
    assert say("file.too_long", limit=3) == "the file has more than 3 bytes; nothing that Siel reads is that long"
    with pytest.raises(KeyError):
        say("file.too_long")
    with pytest.raises(KeyError):
        say("no.such")
