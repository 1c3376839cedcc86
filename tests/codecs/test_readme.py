"""The schema in the README is one that loads."""

from __future__ import annotations

from pathlib import Path

from siel_codecs.codec import SchemaCodec
from siel_codecs.schema.load import load_text
from siel_codecs.schema.to_micropython import emit_encoder

README = Path(__file__).parents[2] / "codecs" / "README.md"


def test_the_schema_in_the_readme_works_and_has_at_most_twenty_lines() -> None:
    text = README.read_text().split("```toml\n")[1].split("```")[0]
    assert len(text.splitlines()) <= 20
    device = load_text(text, "readme/rain_gauge")
    codec = SchemaCodec(device)
    assert codec.decode(12, codec.encode(12, {"rain": 12.4})).data == {"rain": 12.4}
    assert "def encode(buf: bytearray, rain_um: int | None) -> int:" in emit_encoder(device)
