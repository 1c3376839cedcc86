"""What can go wrong in the gateway, one class per reaction of the caller.

::

    GatewayError
    +-- ConfigError       the operator changes siel.toml
    +-- KeyStoreError     the operator looks after the key file or the store
    +-- SealError         the caller forgets what was sealed
    +-- SecretError       the operator looks after a file, variable or credential with a password
    +-- GwmpError         a peer sent what is not Semtech UDP: count it, skip it
    +-- JournalInUseError another daemon has the journal: end
    +-- JournalNewerError a later version of Siel wrote the journal: end, change nothing
    +-- JournalFullError  commits fail and no more fits into memory: do not acknowledge the frame
    +-- CountersLostError numbers that must never repeat cannot be had: do not transmit
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from siel_gateway.messages import say


class GatewayError(Exception):
    """Root of everything the gateway raises on purpose."""


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing wrong in a configuration."""

    file: str
    line: int
    """From 1."""
    key: str
    """Where in the document, dotted: ``radio[0].port``; empty for the file itself."""
    text: str
    """What is wrong and what helps."""

    def __str__(self) -> str:
        """Return the line an editor can jump to."""
        where = f"{self.file}:{self.line}: "
        return f"{where}{self.key}: {self.text}" if self.key else f"{where}{self.text}"


class ConfigError(GatewayError):
    """The configuration cannot be used; ``faults`` has all that is wrong with it, in file order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class KeyStoreError(GatewayError):
    """The key store at ``path`` (or its key file) cannot be used; nothing of it was changed."""

    def __init__(self, text: str, *, path: Path) -> None:
        super().__init__(text)
        self.path = path


class SealError(GatewayError):
    """Sealed bytes do not open: another key file, another context, or changed bytes."""


class SecretError(GatewayError):
    """A secret is not where siel.toml says it is."""


class GwmpError(GatewayError):
    """A datagram, or a field of its JSON, is not Semtech UDP; ``reason`` is one word, for a counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class JournalInUseError(GatewayError):
    """The journal at ``path`` is open in another process."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is in use by another process")
        self.path = path


class JournalNewerError(GatewayError):
    """The journal at ``path`` was written by a later version of Siel."""

    def __init__(self, path: Path, *, version: int) -> None:
        super().__init__(f"{path} has format {version}, which this version does not know")
        self.path, self.version = path, version


class JournalFullError(GatewayError):
    """Commits have failed for so long that no more frames fit into memory."""


class CountersLostError(GatewayError):
    """The counters that must never repeat cannot be read or written; nothing may be transmitted."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(say("counters.lost", path=path, reason=reason))
        self.path = path
