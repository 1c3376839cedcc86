"""A JavaScript file as it was published, and the forms in which it is tried."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec

from siel_codecs.errors import CodecError
from siel_codecs.files import open_file
from siel_codecs.js.limits import MAX_SOURCE_BYTES

_MODULE_WORD: Final = re.compile(r"\b(?:export|import)\b")
_DEFAULT_DECLARATION: Final = re.compile(
    r"^([ \t]*)export\s+default\s+(?=(?:async\s+)?(?:function\b\s*\*?|class)\s*\w)", re.MULTILINE
)
_DECLARATION: Final = re.compile(r"^([ \t]*)export\s+(?=(?:async|function|class|const|let|var)\b)", re.MULTILINE)
_DEFAULT: Final = re.compile(r"^([ \t]*)export\s+default\b", re.MULTILINE)
_LIST: Final = re.compile(r"^([ \t]*)export\s*\{([^{}]*)\}(?!\s*from\b)", re.MULTILINE)
_LIST_ITEM: Final = re.compile(r"(\w+)(?:\s+as\s+(\w+))?")


class JsSourceError(CodecError):
    """A JavaScript file cannot be read."""


class JsSource(msgspec.Struct, frozen=True):
    """The text of a codec; ``digest`` is its identity."""

    text: bytes
    digest: bytes


def js_source(text: bytes) -> JsSource:
    """Return the source for the bytes of a file.

    Raises:
        JsSourceError: It is too long or is not UTF-8.
    """
    if len(text) > MAX_SOURCE_BYTES:
        raise JsSourceError(f"the file has more than {MAX_SOURCE_BYTES} bytes; no codec is that long")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise JsSourceError(f"line {line} is not UTF-8 text; save the file as UTF-8") from None
    return JsSource(text, hashlib.sha256(text).digest())


def read_js(path: Path) -> JsSource:
    """Return the source in ``path``.

    Raises:
        JsSourceError: It is not there, is too long, or is not UTF-8.
    """
    try:
        with open_file(path) as stream:
            text = stream.read(MAX_SOURCE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or "no such path"
        raise JsSourceError(f"cannot read the file ({reason})") from None
    return js_source(text)


class Form(msgspec.Struct, frozen=True):
    """One way to run a text."""

    text: str
    module: bool = False


def forms(text: str) -> list[Form]:
    """Return the ways to run ``text``, in the order in which they are tried; the next one after a SyntaxError.

    A sloppy script first: that is what most files are, and undeclared variables work. Then, if the words are there, a
    script with its ``export`` statements taken out, so that these files may be sloppy too. Last the module it says it
    is, which is strict.
    """
    # A NUL does not cross over into QuickJS; published decoders have it in a string, where its escape says the same
    text = text.removeprefix("\ufeff").replace("\0", "\\u0000")
    tried = [Form(text)]
    if _MODULE_WORD.search(text):
        script = as_script(text)
        if script != text:
            tried.append(Form(script))
        tried.append(Form(text, module=True))
    return tried


def as_script(text: str) -> str:
    """Return ``text`` without the ``export`` statements that begin a line; the lines keep their numbers."""
    text = _DEFAULT_DECLARATION.sub(r"\1", text)
    text = _DECLARATION.sub(r"\1", text)
    text = _DEFAULT.sub(r"\1exports.default =", text)
    return _LIST.sub(_assignments, text)


def _assignments(match: re.Match[str]) -> str:
    indent, names = match.groups()
    pairs = [(item[1], item[2] or item[1]) for item in _LIST_ITEM.finditer(names)]
    return indent + " ".join(f"exports.{name} = {local};" for local, name in pairs) + "\n" * match[0].count("\n")
