"""The key store: round trip, and a clear error for everything that is not one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway import keystore
from siel_gateway.config_models import KeysConfig
from siel_gateway.errors import KeyStoreError, SealError
from siel_gateway.keystore import KeyStore

EUI = "70b3d57ed0001a2b"
JOIN_EUI = "70b3d57ed0000001"
APP_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Path]:
    key_file, path = tmp_path / "etc" / "keys.key", tmp_path / "var" / "keys.store"
    store = KeyStore.create(path, keystore.create_key_file(key_file))
    store.put(EUI, JOIN_EUI, APP_KEY)
    store.save()
    return path, key_file


def test_what_was_saved_is_read_again(stored: tuple[Path, Path]) -> None:
    store = KeyStore.open(*stored)
    assert store.get(EUI) == APP_KEY
    assert store.get("0" * 16) is None
    assert store.items() == [(EUI, APP_KEY)]
    assert [(info.dev_eui, info.join_eui) for info in store.infos()] == [(EUI, JOIN_EUI)]
    assert EUI in store
    assert len(store) == 1


def test_files_are_for_their_owner_only_and_hold_no_key_in_clear(stored: tuple[Path, Path]) -> None:
    for path in stored:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data = stored[0].read_bytes()
    assert APP_KEY not in data
    assert APP_KEY.hex().encode() not in data
    assert EUI.encode() not in data
    assert list(stored[0].parent.iterdir()) == [stored[0]]  # no temporary file is left


def test_saving_twice_never_reuses_a_nonce(stored: tuple[Path, Path]) -> None:
    first = stored[0].read_bytes()
    KeyStore.open(*stored).save()
    second = stored[0].read_bytes()
    start, end = keystore.HEADER_BYTES, keystore.HEADER_BYTES + keystore.NONCE_BYTES
    assert first[start:end] != second[start:end]


def test_new_keys_differ(stored: tuple[Path, Path]) -> None:
    store = KeyStore.open(*stored)
    assert store.new("1" * 16, JOIN_EUI) != store.new("2" * 16, JOIN_EUI)
    assert len(store.new("1" * 16, JOIN_EUI)) == keystore.APP_KEY_BYTES


def test_another_key_file_is_told_from_a_damaged_store(stored: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    keystore.create_key_file(other)
    with pytest.raises(KeyStoreError, match=r"other\.key is not the key of"):
        KeyStore.open(stored[0], other)


def test_no_bit_can_flip_unseen(stored: tuple[Path, Path]) -> None:
    path, key_file = stored
    good = path.read_bytes()
    for at in range(len(good)):
        for bit in (0, 7):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            path.write_bytes(bad)
            with pytest.raises(KeyStoreError):
                KeyStore.open(path, key_file)


def test_no_truncated_or_longer_store_opens(stored: tuple[Path, Path]) -> None:
    path, key_file = stored
    good = path.read_bytes()
    for bad in (*(good[:n] for n in range(len(good))), good + b"\0"):
        path.write_bytes(bad)
        with pytest.raises(KeyStoreError):
            KeyStore.open(path, key_file)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_store_is_read_up_to_its_bound(
    stored: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    monkeypatch.setattr(keystore, "MAX_STORE_BYTES", stored[0].stat().st_size - extra)
    if extra:
        with pytest.raises(KeyStoreError, match="more than"):
            KeyStore.open(*stored)
    else:
        assert len(KeyStore.open(*stored)) == 1


@pytest.mark.parametrize(
    "content", ["", "00" * 31, "00" * 33, "zz" * 32, "\xff" * 32, "0" * (keystore.MAX_KEY_FILE_BYTES + 1)]
)
def test_what_is_not_a_key_file_is_refused(stored: tuple[Path, Path], content: str) -> None:
    stored[1].write_text(content, encoding="latin-1")
    with pytest.raises(KeyStoreError):
        KeyStore.open(*stored)


def test_a_key_file_that_everyone_may_read_is_refused(stored: tuple[Path, Path]) -> None:
    stored[1].chmod(0o644)
    with pytest.raises(KeyStoreError, match="chmod"):
        KeyStore.open(*stored)


def test_missing_files_are_named(stored: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match=r"nothing\.store"):
        KeyStore.open(tmp_path / "nothing.store", stored[1])
    with pytest.raises(KeyStoreError, match=r"nothing\.key"):
        KeyStore.open(stored[0], tmp_path / "nothing.key")


def test_a_key_file_is_never_overwritten(stored: tuple[Path, Path]) -> None:
    before = stored[1].read_bytes()
    with pytest.raises(KeyStoreError):
        keystore.create_key_file(stored[1])
    assert stored[1].read_bytes() == before


def test_a_store_that_cannot_be_written_stays_as_it_is(
    stored: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored[0].read_bytes()
    store = KeyStore.open(*stored)
    store.new("1" * 16, JOIN_EUI)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyStoreError, match="No space left"):
        store.save()
    assert stored[0].read_bytes() == before
    assert list(stored[0].parent.iterdir()) == [stored[0]]


def test_a_systemd_credential_opens_the_store(stored: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "siel").write_bytes(stored[1].read_bytes())
    keys = KeysConfig(store=stored[0], credential="siel")
    assert keystore.open_configured(keys, {"CREDENTIALS_DIRECTORY": str(folder)}).get(EUI) == APP_KEY
    with pytest.raises(KeyStoreError, match="LoadCredential"):
        keystore.open_configured(keys, {})
    with pytest.raises(KeyStoreError, match="LoadCredential"):
        keystore.open_configured(
            keys.model_copy(update={"credential": "other"}), {"CREDENTIALS_DIRECTORY": str(folder)}
        )


def test_nothing_shows_a_key(stored: tuple[Path, Path]) -> None:
    store = KeyStore.open(*stored)
    shown = f"{store!r} {store} {store.infos()!r} {store.sealer()!r} {store._entries!r}"
    assert APP_KEY.hex() not in shown
    assert repr(APP_KEY) not in shown
    assert stored[1].read_text().strip() not in shown


@settings(max_examples=50)
@given(secret=st.binary(max_size=64), context=st.binary(max_size=8))
def test_sealed_bytes_open_with_their_context_only(secret: bytes, context: bytes) -> None:
    sealer = KeyStore.in_memory().sealer()
    sealed = sealer.seal(secret, context)
    assert sealer.open(sealed, context) == secret
    with pytest.raises(SealError):
        sealer.open(sealed, context + b"x")
    with pytest.raises(SealError):
        KeyStore.in_memory().sealer().open(sealed, context)


def test_a_sealer_outlives_its_store(stored: tuple[Path, Path]) -> None:
    sealed = KeyStore.open(*stored).sealer().seal(b"session")
    assert KeyStore.open(*stored).sealer().open(sealed) == b"session"
    for at in range(len(sealed)):
        bad = bytearray(sealed)
        bad[at] ^= 1
        with pytest.raises(SealError):
            KeyStore.open(*stored).sealer().open(bytes(bad))
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            KeyStore.open(*stored).sealer().open(sealed[:length])


def test_an_in_memory_store_saves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = KeyStore.in_memory({EUI: APP_KEY})
    store.save()
    assert store.get(EUI) == APP_KEY
    assert list(tmp_path.iterdir()) == []


def test_an_app_key_has_sixteen_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes, not 15"):
        KeyStore.in_memory().put(EUI, JOIN_EUI, bytes(15))
