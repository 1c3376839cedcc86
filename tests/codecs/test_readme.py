"""The schemas in the README are ones that load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from siel_codecs.schema.load import load_text
from siel_codecs.schema.load.tables import FORMS, Kind
from siel_codecs.schema.to_micropython import emit_encoder

README = (Path(__file__).parents[2] / "codecs" / "README.md").read_text()
WHOLE, *PIECES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


def test_the_complete_schema_has_at_most_twenty_lines_and_its_example_is_true() -> None:
    from siel_codecs.codec import SchemaCodec

    assert len(WHOLE.splitlines()) <= 20
    device = load_text(WHOLE, "readme/rain_gauge")
    codec = SchemaCodec(device)
    [example] = device.examples
    assert codec.decode(example.f_port, example.payload).data == example.data
    assert codec.encode(12, example.data) == example.payload
    down = codec.encode_downlink({"command": "set_interval", "interval": 60})
    assert (down.f_port, down.payload) == (12, bytes.fromhex("01003c"))
    assert "battery_mv" in emit_encoder(device)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.strip()[:24])
def test_every_form_loads_as_it_is_shown(piece: str) -> None:
    if piece.startswith("[unit"):
        text = f'title = "T"\n[[uplink]]\nfield = [{{ name = "a", type = "u8", unit = "mm/15min" }}]\n{piece}'
    else:
        assert len(piece.splitlines()) == 2
        text = f'title = "T"\n[[uplink]]\nfield = [\n{piece}]\n'
    assert load_text(text, "readme/piece").ports


def test_every_form_and_kind_is_shown() -> None:
    shown = "".join(PIECES)
    assert all(f"{{ {form} = " in shown for form in FORMS)
    language = README[README.index("## A payload schema") :]
    assert all(kind in language for kind in get_args(Kind))
