"""The AppKeys of our own devices: one encrypted file, opened by a key that lies elsewhere.

File, version 1: ``magic (8) | version (1) | key check (8) | nonce (12) | AES-256-GCM of the JSON document, tag (16)``.
Everything before the nonce is authenticated too. Three keys are derived from the key file by HKDF-SHA256: one encrypts
the store, one seals what the edge keeps in the journal, and eight bytes of the third tell a wrong key file from a
damaged store.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from siel_gateway.config_models import KeysConfig
from siel_gateway.errors import KeyStoreError, SealError
from siel_gateway.messages import say

MAGIC: Final = b"SIELKEYS"
VERSION: Final = 1
CHECK_BYTES: Final = 8
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
HEADER_BYTES: Final = len(MAGIC) + 1 + CHECK_BYTES
MASTER_KEY_BYTES: Final = 32
APP_KEY_BYTES: Final = 16
MAX_KEY_FILE_BYTES: Final = 256
MAX_STORE_BYTES: Final = 16 << 20
"""100 000 devices take 12 MB."""


class _Entry(msgspec.Struct, frozen=True):
    join_eui: str
    app_key: str

    def __repr__(self) -> str:
        return f"_Entry(join_eui={self.join_eui!r})"


class _Contents(msgspec.Struct, frozen=True):
    devices: dict[str, _Entry]


class KeyInfo(msgspec.Struct, frozen=True, order=True):
    """What may be shown of an entry."""

    dev_eui: str
    join_eui: str


class Sealer:
    """Encrypts small secrets that live outside the store, each bound to what it belongs to."""

    def __init__(self, key: bytes) -> None:
        """Use ``key``, 32 bytes that nothing else uses."""
        self._aead = AESGCM(key)

    def __repr__(self) -> str:
        """Return the type only."""
        return "Sealer()"

    def seal(self, secret: bytes, context: bytes = b"") -> bytes:
        """Return ``secret`` encrypted; it opens only with the same ``context``, for example a DevEUI.

        Nonces are random: at most 2**32 calls in the life of a key file. Source: NIST SP 800-38D section 8.3.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret, context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Return what was sealed.

        Raises:
            SealError: Another key file sealed it, for another context, or it was changed.
        """
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise SealError(say("seal.broken"))
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except InvalidTag:
            raise SealError(say("seal.broken")) from None


class KeyStore:
    """Keys by DevEUI, in memory; :meth:`save` makes a change last. It never shows a key by itself."""

    def __init__(self, path: Path | None, master_key: bytes, entries: Mapping[str, _Entry]) -> None:
        """Use :meth:`open`, :meth:`create` or :meth:`in_memory` instead."""
        self._path = path
        self._master_key = master_key
        self._entries = dict(entries)

    @classmethod
    def open(cls, path: Path, key_file: Path) -> KeyStore:
        """Read the store at ``path`` with the key in ``key_file``.

        Raises:
            KeyStoreError: Either is missing, unreadable or damaged, or they do not belong together.
        """
        return cls.open_with(path, read_key_file(key_file), key_file)

    @classmethod
    def open_with(cls, path: Path, master_key: bytes, key_source: Path) -> KeyStore:
        """Read the store at ``path`` with a key that was read from ``key_source``, which errors then name.

        Raises:
            KeyStoreError: The store is missing, unreadable or damaged, or the key is another one.
        """
        data = _read(path, MAX_STORE_BYTES, "store.missing")
        if len(data) < HEADER_BYTES + NONCE_BYTES + TAG_BYTES or not data.startswith(MAGIC):
            raise KeyStoreError(say("store.not_one", path=path), path=path)
        if data[len(MAGIC)] != VERSION:
            raise KeyStoreError(say("store.version", path=path, version=data[len(MAGIC)]), path=path)
        if data[len(MAGIC) + 1 : HEADER_BYTES] != _key_check(master_key):
            raise KeyStoreError(say("store.wrong_key", path=path, key_source=key_source), path=path)
        nonce, sealed = data[HEADER_BYTES:][:NONCE_BYTES], data[HEADER_BYTES + NONCE_BYTES :]
        try:
            text = AESGCM(_derive(master_key, b"store")).decrypt(nonce, sealed, data[:HEADER_BYTES])
            contents = msgspec.json.decode(text, type=_Contents)
        except (InvalidTag, msgspec.DecodeError):
            raise KeyStoreError(say("store.damaged", path=path), path=path) from None
        return cls(path, master_key, contents.devices)

    @classmethod
    def create(cls, path: Path, master_key: bytes) -> KeyStore:
        """Return an empty store that :meth:`save` will write to ``path``."""
        return cls(path, master_key, {})

    @classmethod
    def in_memory(cls, app_keys: Mapping[str, bytes] | None = None) -> KeyStore:
        """Return a store without a file, for a gateway without devices of its own and for simulations."""
        store = cls(None, os.urandom(MASTER_KEY_BYTES), {})
        for dev_eui, app_key in (app_keys or {}).items():
            store.put(dev_eui, "0" * 16, app_key)
        return store

    def __repr__(self) -> str:
        """Return how many keys there are, and no key."""
        return f"KeyStore(path={str(self._path)!r}, devices={len(self._entries)})"

    def __contains__(self, dev_eui: object) -> bool:
        """Say whether there is a key for ``dev_eui``."""
        return dev_eui in self._entries

    def __len__(self) -> int:
        """Return the number of devices."""
        return len(self._entries)

    def get(self, dev_eui: str) -> bytes | None:
        """Return the AppKey of a device, or None when the store has none."""
        entry = self._entries.get(dev_eui)
        return bytes.fromhex(entry.app_key) if entry else None

    def items(self) -> list[tuple[str, bytes]]:
        """Return every DevEUI and its AppKey, sorted by DevEUI."""
        return [(dev_eui, bytes.fromhex(entry.app_key)) for dev_eui, entry in sorted(self._entries.items())]

    def infos(self) -> list[KeyInfo]:
        """Return what may be shown of every entry, sorted by DevEUI."""
        return [KeyInfo(dev_eui, entry.join_eui) for dev_eui, entry in sorted(self._entries.items())]

    def new(self, dev_eui: str, join_eui: str) -> bytes:
        """Make, keep and return a random AppKey."""
        app_key = os.urandom(APP_KEY_BYTES)
        self.put(dev_eui, join_eui, app_key)
        return app_key

    def put(self, dev_eui: str, join_eui: str, app_key: bytes) -> None:
        """Keep ``app_key`` for a device, in place of one it may have had.

        Args:
            dev_eui: 16 lower-case hex digits.
            join_eui: 16 lower-case hex digits.
            app_key: 16 bytes.
        """
        if len(app_key) != APP_KEY_BYTES:
            raise ValueError(say("store.app_key_bytes", length=len(app_key)))
        self._entries[dev_eui] = _Entry(join_eui, app_key.hex())

    def save(self) -> None:
        """Replace the file as a whole: a power cut leaves the old store or the new one.

        Raises:
            KeyStoreError: It cannot be written.
        """
        if self._path is None:
            return
        header = MAGIC + bytes([VERSION]) + _key_check(self._master_key)
        nonce = os.urandom(NONCE_BYTES)
        text = msgspec.json.encode(_Contents(self._entries))
        sealed = AESGCM(_derive(self._master_key, b"store")).encrypt(nonce, text, header)
        try:
            _replace(self._path, header + nonce + sealed)
        except OSError as error:
            text_for_people = say("store.not_written", path=self._path, reason=error.strerror)
            raise KeyStoreError(text_for_people, path=self._path) from None

    def sealer(self) -> Sealer:
        """Return what encrypts the edge's session keys, under a key of its own."""
        return Sealer(_derive(self._master_key, b"seal"))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from changing a store in the same folder meanwhile.

    Raises:
        KeyStoreError: The folder cannot be made or opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeyStoreError(say("store.not_written", path=path, reason=error.strerror), path=path) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def master_key_of(keys: KeysConfig, environ: Mapping[str, str]) -> tuple[bytes, Path]:
    """Return the key that ``[keys]`` names, and where it was found.

    Raises:
        KeyStoreError: It is not there, or is none.
    """
    if keys.credential is not None:
        return read_credential(keys.credential, environ)
    if keys.key_file is None:
        raise KeyStoreError(say("key_file.unnamed"), path=keys.store)
    return read_key_file(keys.key_file), keys.key_file


def open_configured(keys: KeysConfig, environ: Mapping[str, str]) -> KeyStore:
    """Open the store that ``[keys]`` names.

    Raises:
        KeyStoreError: As :meth:`KeyStore.open`.
    """
    master_key, key_source = master_key_of(keys, environ)
    return KeyStore.open_with(keys.store, master_key, key_source)


def read_key_file(path: Path) -> bytes:
    """Return the 32 bytes of a key file, which holds them as 64 hex digits.

    Raises:
        KeyStoreError: It is missing, others may read it, or it holds something else.
    """
    data = _read(path, MAX_KEY_FILE_BYTES, "key_file.missing")
    if path.stat().st_mode & 0o007:
        raise KeyStoreError(say("key_file.open_to_all", path=path), path=path)
    return _master_key(data, path)


def read_credential(name: str, environ: Mapping[str, str]) -> tuple[bytes, Path]:
    """Return the key in a systemd credential, and where it was found.

    Raises:
        KeyStoreError: systemd gave this process no such credential, or it holds something else.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise KeyStoreError(say("credential.none", name=name), path=Path(name))
    path = Path(folder, name)
    return _master_key(_read(path, MAX_KEY_FILE_BYTES, "credential.missing"), path), path


def create_key_file(path: Path) -> bytes:
    """Make a key file that only its owner may read, and return its key.

    Raises:
        KeyStoreError: There is one already, or it cannot be written.
    """
    master_key = os.urandom(MASTER_KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, master_key.hex().encode() + b"\n")
        _sync_folder(path.parent)
    except OSError as error:
        raise KeyStoreError(say("key_file.not_written", path=path, reason=error.strerror), path=path) from None
    return master_key


def _master_key(data: bytes, path: Path) -> bytes:
    try:
        master_key = bytes.fromhex(data.decode("ascii").strip())
    except ValueError:
        master_key = b""
    if len(master_key) != MASTER_KEY_BYTES:
        raise KeyStoreError(say("key_file.not_one", path=path), path=path)
    return master_key


def _derive(master_key: bytes, purpose: bytes, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=b"siel keystore 1 " + purpose).derive(master_key)


def _key_check(master_key: bytes) -> bytes:
    return _derive(master_key, b"check", CHECK_BYTES)


def _read(path: Path, limit: int, missing: str) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise KeyStoreError(say(missing, path=path, reason=error.strerror), path=path) from None
    if len(data) > limit:
        raise KeyStoreError(say("store.too_long", path=path, limit=limit), path=path)
    return data


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        _write_new(fresh, data)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync_folder(path.parent)
