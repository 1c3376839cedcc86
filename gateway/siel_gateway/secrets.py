"""Passwords and certificates from where siel.toml says they are."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from siel_gateway.config_types import Secret, Tls
from siel_gateway.errors import SecretError
from siel_gateway.messages import say

MAX_SECRET_BYTES: Final = 4096


def read_secret(secret: Secret, environ: Mapping[str, str]) -> str:
    """Return a secret without the line end that editors put behind it.

    Raises:
        SecretError: It is not there, is empty, or is no text.
    """
    if secret.env is not None:
        value = environ.get(secret.env, "")
        if not value:
            raise SecretError(say("secret.no_env", name=secret.env))
        return value
    if secret.credential is not None:
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise SecretError(say("credential.none", name=secret.credential))
        return _read(Path(folder, secret.credential))
    assert secret.file is not None  # noqa: S101 - the model holds exactly one
    return _read(secret.file)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SECRET_BYTES + 1)
        text = data.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretError(say("secret.unreadable", path=path, reason=error.strerror)) from None
    except UnicodeDecodeError:
        raise SecretError(say("secret.not_text", path=path)) from None
    if not text or len(data) > MAX_SECRET_BYTES:
        raise SecretError(say("secret.length", path=path, limit=MAX_SECRET_BYTES))
    return text


def tls_context(tls: Tls | None) -> ssl.SSLContext:
    """Return a context that verifies the far end, against ``tls.ca`` or else what the system trusts.

    Raises:
        SecretError: A file is missing, or is not what it should be.
    """
    tls = tls or Tls()
    for path in (tls.ca, tls.cert, tls.key):
        if path is not None and not path.is_file():
            raise SecretError(say("tls.missing", path=path))
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
        if tls.cert is not None:
            # A password would be asked for on the terminal; an encrypted key is a fault here
            context.load_cert_chain(tls.cert, tls.key, password="")
    except (OSError, ValueError) as error:
        raise SecretError(say("tls.unusable", path=tls.cert or tls.ca, reason=type(error).__name__)) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
