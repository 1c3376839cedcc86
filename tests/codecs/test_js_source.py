from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from siel_codecs.errors import CodecError
from siel_codecs.js.limits import MAX_SOURCE_BYTES
from siel_codecs.js.source import Form, JsSourceError, as_script, forms, js_source, read_js
from siel_codecs.schema.load import read_text


def test_the_same_text_has_the_same_digest_and_another_text_another() -> None:
    assert js_source(b"var a") == js_source(b"var a")
    assert js_source(b"var a").digest != js_source(b"var b").digest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"x" * (MAX_SOURCE_BYTES + 1), "more than 1048576 bytes"),
        (b"var a\nvar b = '\xff'", "line 2 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_a_codec_is_refused(text: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "codec.js"
    file.write_bytes(text)
    with pytest.raises(JsSourceError, match=reason):
        read_js(file)


@pytest.mark.parametrize("path", ["none.js", ".", "nul\0"])
def test_a_file_that_is_not_there_is_told(path: str, tmp_path: Path) -> None:
    with pytest.raises(JsSourceError, match="cannot read the file"):
        read_js(tmp_path / path)


@pytest.mark.parametrize("read", [read_js, read_text])
def test_what_would_never_end_is_not_read(read: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(CodecError, match="not a regular file"):
            read(path)


def test_a_nul_is_written_as_its_escape() -> None:
    assert forms("var nul = '\0'") == [Form("var nul = '\\u0000'")]


def test_a_file_without_the_words_of_a_module_is_tried_as_a_script_only() -> None:
    assert forms("\ufefffunction decodeUplink() {}") == [Form("function decodeUplink() {}")]


def test_a_module_is_tried_as_a_script_first_and_as_the_module_it_is_last() -> None:
    text = "export function decodeUplink() {}"
    assert forms(text) == [Form(text), Form("function decodeUplink() {}"), Form(text, module=True)]


@pytest.mark.parametrize(
    ("module", "script"),
    [
        ("export const a = 1;", "const a = 1;"),
        ("  export async function f() {}", "  async function f() {}"),
        ("export default function decodeUplink(i) {}", "function decodeUplink(i) {}"),
        ("export default function (i) {}", "exports.default = function (i) {}"),
        ("export default { decodeUplink }", "exports.default = { decodeUplink }"),
        ("export default class Codec {}", "class Codec {}"),
        ("export { a as decodeUplink, b };", "exports.decodeUplink = a; exports.b = b;;"),
        ("export {\n  a,\n  b\n}\nlast", "exports.a = a; exports.b = b;\n\n\n\nlast"),
        ("export { a } from 'x'", "export { a } from 'x'"),
        ("var text = 'export default'", "var text = 'export default'"),
        ("var exported = 1", "var exported = 1"),
    ],
)
def test_export_statements_are_taken_out_and_the_lines_keep_their_numbers(module: str, script: str) -> None:
    assert as_script(module) == script
    assert as_script(module).count("\n") == module.count("\n")
