"""A TOML file on disk: bounded, decoded, parsed, and able to say on which line a key stands."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from siel_codecs.files import open_file
from siel_codecs.toml_lines import TomlPath, line_index, line_of, show_path, syntax_line
from siel_gateway.errors import ConfigError, Fault
from siel_gateway.messages import say

MAX_FILE_BYTES: Final = 16 << 20
"""10 000 devices take 2 MB."""


class Finding(msgspec.Struct, frozen=True):
    """A fault whose line is still to be looked up."""

    file: str
    path: TomlPath
    text: str


def file_fault(path: Path | str, line: int, message: str, **values: object) -> Fault:
    """Return a fault of the file as a whole."""
    return Fault(file=str(path), line=line, key="", text=say(message, **values))


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        ConfigError: It is not there, is longer than :data:`MAX_FILE_BYTES`, or is not UTF-8.
    """
    try:
        with open_file(path) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or "no such path"
        raise ConfigError([file_fault(path, 1, "file.missing", reason=reason)]) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError([file_fault(path, 1, "file.too_long", limit=MAX_FILE_BYTES)])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([file_fault(path, line, "file.not_utf8")]) from None


class Document:
    """A parsed file; the line index is made when the first fault asks for it."""

    def __init__(self, file: Path, text: str) -> None:
        """Parse ``text``, which stands in ``file``.

        Raises:
            ConfigError: It is not TOML; the fault has the line.
        """
        self.name = str(file)
        self.data = self._parse(text)
        self._text = text
        self._index: dict[TomlPath, int] | None = None

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            reason = str(error)
            line = syntax_line(reason) or text.count("\n") + 1
            raise ConfigError([file_fault(self.name, line, "file.syntax", reason=reason)]) from None
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
            raise ConfigError([file_fault(self.name, 1, "file.syntax", reason=type(error).__name__)]) from None

    def fault(self, finding: Finding) -> Fault:
        """Give ``finding`` its line."""
        if self._index is None:
            self._index = line_index(self._text)
        line = line_of(self._index, finding.path)
        return Fault(file=self.name, line=line, key=show_path(finding.path), text=finding.text)
