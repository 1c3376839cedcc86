"""The file that says who a node is."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_node import identity

VALUES: dict[str, Any] = {
    "dev_eui": "0004a30b001c0530",
    "join_eui": "70b3d57ed0000001",
    "app_key": "2b7e151628aed2a6abf7158809cf4f3c",
    "join_dr": 5,
    "interval_s": 900,
    "codec": "siel/climate",
}


def written(tmp_path: Path, content: object) -> str:
    path = tmp_path / "identity.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_sealed_identity_loads(tmp_path: Path) -> None:
    loaded = identity.load(written(tmp_path, identity.seal(VALUES)))
    assert loaded.dev_eui == bytes.fromhex("30051c000ba30400")
    assert loaded.join_eui == bytes.fromhex("010000d07ed5b370")
    assert loaded.app_key.hex() == VALUES["app_key"]
    assert (loaded.join_dr, loaded.interval_s, loaded.codec, loaded.confirmed) == (5, 900, "siel/climate", 0)


def test_the_canonical_text_is_the_contract() -> None:
    text = "0004a30b001c0530,70b3d57ed0000001,2b7e151628aed2a6abf7158809cf4f3c,5,900,siel/climate"
    assert identity.seal(VALUES)["crc"] == f"{zlib.crc32(text.encode()):08x}"
    for more, tail in (
        ({"confirmed": 4}, ",4"),
        ({"adr": 1}, ",adr1"),
        ({"adr": 0, "confirmed": 1}, ",1,adr0"),
    ):
        assert identity.seal({**VALUES, **more})["crc"] == f"{zlib.crc32((text + tail).encode()):08x}"


def test_confirmed_is_optional_and_counts_into_the_crc(tmp_path: Path) -> None:
    assert identity.load(written(tmp_path, identity.seal({**VALUES, "confirmed": 4}))).confirmed == 4
    with pytest.raises(identity.IdentityError, match="crc does not fit"):
        identity.load(written(tmp_path, {**identity.seal(VALUES), "confirmed": 4}))


def test_adr_is_optional_and_off(tmp_path: Path) -> None:
    assert not identity.load(written(tmp_path, identity.seal(VALUES))).adr
    assert not identity.load(written(tmp_path, identity.seal({**VALUES, "adr": 0}))).adr
    assert identity.load(written(tmp_path, identity.seal({**VALUES, "adr": 1}))).adr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dev_eui": "0004A30B001C0530"}, "dev_eui is not 16 lower-case hexadecimal digits"),
        ({"dev_eui": 4}, "dev_eui is not 16"),
        ({"app_key": "2b7e"}, "app_key is not 32"),
        ({"join_dr": 6}, "join_dr is not a whole number from 0 to 5"),
        ({"join_dr": True}, "join_dr is not a whole number"),
        ({"join_dr": 2.5}, "join_dr is not a whole number"),
        ({"interval_s": 4}, "interval_s is not a whole number from 5 to 86400"),
        ({"interval_s": 86401}, "interval_s is not"),
        ({"codec": 3}, "codec is not a text"),
        ({"confirmed": -1}, "confirmed is not a whole number from 0 to 65535"),
        ({"adr": 2}, "adr is not a whole number from 0 to 1"),
        ({"adr": True}, "adr is not a whole number"),
        ({"crc": "0"}, "crc is not 8"),
        ({"crc": "00000000"}, "the file is damaged"),
    ],
)
def test_faults_are_told_in_words_without_the_key(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(identity.IdentityError, match=words) as caught:
        identity.load(written(tmp_path, {**identity.seal(VALUES), **change}))
    assert "provision this node again" in str(caught.value)
    assert VALUES["app_key"] not in str(caught.value)


@pytest.mark.parametrize("bound", [("interval_s", 5), ("interval_s", 86400), ("join_dr", 0), ("confirmed", 65535)])
def test_bounds_are_inside(bound: tuple[str, int]) -> None:
    assert identity.check(identity.seal({**VALUES, bound[0]: bound[1]})) is None


@pytest.mark.parametrize("key", ["dev_eui", "join_eui", "app_key", "join_dr", "interval_s", "codec", "crc"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    values = identity.seal(VALUES)
    del values[key]
    with pytest.raises(identity.IdentityError, match=f"{key} is missing"):
        identity.load(written(tmp_path, values))


def test_missing_long_and_broken_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(identity.IdentityError, match="is missing: provision this node"):
        identity.load(str(tmp_path / "none.json"))
    text = json.dumps(identity.seal(VALUES))
    assert identity.load(written(tmp_path, text + " " * (identity.MAX_IDENTITY_BYTES - len(text))))
    with pytest.raises(identity.IdentityError, match="longer than 1024 bytes"):
        identity.load(written(tmp_path, text + " " * (identity.MAX_IDENTITY_BYTES + 1 - len(text))))
    for content in ("", "{", '"text"', "[]", "null"):
        with pytest.raises(identity.IdentityError):
            identity.load(written(tmp_path, content))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.integers(1, 255))
def test_no_flipped_byte_goes_unnoticed(tmp_path_factory: pytest.TempPathFactory, position: int, flip: int) -> None:
    path = tmp_path_factory.mktemp("flash") / "identity.json"
    data = bytearray(json.dumps(identity.seal(VALUES)).encode())
    data[position % len(data)] ^= flip
    path.write_bytes(data)
    try:
        loaded = identity.load(str(path))
    except identity.IdentityError:
        return
    # only white space and an unknown key's name may change unseen
    assert (loaded.name, loaded.app_key.hex()) == (VALUES["dev_eui"], VALUES["app_key"])
    assert (loaded.join_dr, loaded.interval_s, loaded.codec) == (5, 900, "siel/climate")
