"""The kinds of value that siel.toml knows beyond TOML's own: each validates its text and says what it expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from siel_codecs.registry import NAME as CODEC_NAME
from siel_gateway.messages import say

MAX_NAME_CHARS: Final = 64
MAX_URL_CHARS: Final = 512
MAX_PORT: Final = 65535
LOOPBACK_HOSTS: Final = ("localhost", "::1")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_EUI_SEPARATORS: Final = re.compile(r"[-:. ]")
_EUI: Final = re.compile(r"[0-9a-f]{16}")
_NET_ID: Final = re.compile(r"[0-9A-Fa-f]{6}")


class Model(BaseModel):
    """What every table of siel.toml is: strict, frozen, and without unknown keys."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )


def normal_eui(text: str) -> str:
    """Return an EUI-64 as 16 lower-case hex digits.

    Args:
        text: 16 hex digits of either case; ``-``, ``:``, ``.`` and spaces between them are ignored.

    Raises:
        ValueError: It is not an EUI-64.
    """
    eui = _EUI_SEPARATORS.sub("", text).lower()
    if not _EUI.fullmatch(eui):
        raise ValueError(say("value.eui"))
    return eui


def split_host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``.

    Raises:
        ValueError: Host or port is missing, or the port is above 65535.
    """
    host, separator, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not (separator and host and port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT))):
        raise ValueError(say("value.host_port"))
    if int(port) > MAX_PORT:
        raise ValueError(say("value.host_port"))
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Say whether datagrams to ``host`` stay on this machine."""
    return host in LOOPBACK_HOSTS or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > MAX_NAME_CHARS:
        raise ValueError(say("value.name", limit=MAX_NAME_CHARS))
    return text


def _codec_name(text: str) -> str:
    if not CODEC_NAME.fullmatch(text):
        raise ValueError(say("value.codec_name"))
    return text


def _title(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > MAX_NAME_CHARS:
        raise ValueError(say("value.title", limit=MAX_NAME_CHARS))
    return text


def _path(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise ValueError(say("value.path"))
    base = info.context.get("base") if isinstance(info.context, Mapping) else None
    return Path(base, value) if base is not None else Path(value)


def _net_id(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFFFF:  # noqa: PLR2004 - 24 bits
        return value  # a default of the model
    if not isinstance(value, str) or not _NET_ID.fullmatch(value):
        raise ValueError(say("value.net_id"))
    return int(value, 16)


def _host_port(value: object) -> object:
    if isinstance(value, tuple):
        return value  # a default of the model
    if not isinstance(value, str):
        raise ValueError(say("value.host_port"))  # pydantic collects no TypeError
    return split_host_port(value)


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def check_url(text: str, defaults: Mapping[str, int], *, user_allowed: bool = False) -> str:
    """Return ``text`` when it is ``scheme://host[:port]`` of one of ``defaults``' schemes.

    Args:
        text: The URL.
        defaults: Scheme to the port that holds when the URL names none; 0 when it must name one.
        user_allowed: Accept ``scheme://user@host``; a password is refused in any case.

    Raises:
        ValueError: Anything else; the text never repeats the URL, which may hold a secret.
    """
    schemes = ", ".join(f"{scheme}://" for scheme in defaults)
    if len(text) > MAX_URL_CHARS:
        raise ValueError(say("value.url", schemes=schemes))
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(say("value.url", schemes=schemes)) from None
    if url.password is not None:
        raise ValueError(say("value.url_password"))
    plain = not (url.path.strip("/") or url.query or url.fragment) and (user_allowed or url.username is None)
    if url.scheme not in defaults or not url.hostname or not plain:
        raise ValueError(say("value.url", schemes=schemes))
    if not port and (port == 0 or not defaults[url.scheme]):
        raise ValueError(say("value.url_port"))
    return text


def url_host_port(url: str, defaults: Mapping[str, int]) -> tuple[str, int]:
    """Return host and port of a URL that :func:`check_url` has accepted."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or defaults[parts.scheme]


Eui = Annotated[str, AfterValidator(normal_eui)]
Name = Annotated[str, AfterValidator(_name)]
"""A radio's, upstream's or sink's name: it ends up in logs, cursors and metrics."""
CodecName = Annotated[str, AfterValidator(_codec_name)]
"""Of a codec: vendor and device."""
Title = Annotated[str, AfterValidator(_title)]
"""A name for people."""
FilePath = Annotated[Path, BeforeValidator(_path)]
"""Relative ones count from the folder of the file they stand in."""
NetId = Annotated[int, BeforeValidator(_net_id)]
HostPort = Annotated[tuple[str, int], BeforeValidator(_host_port)]
FromList: Any = BeforeValidator(_list_to_tuple)
"""Lets a TOML array fill a tuple; strict pydantic would refuse the list."""
Decibel = Annotated[float, Field(ge=-20, le=30, allow_inf_nan=False)]


class Location(Model):
    """A place on the ground, WGS 84."""

    latitude: float = Field(ge=-90, le=90, allow_inf_nan=False)
    longitude: float = Field(ge=-180, le=180, allow_inf_nan=False)
    altitude_m: float | None = Field(default=None, ge=-500, le=9000, allow_inf_nan=False)


class Secret(Model):
    """Where a secret is found, exactly one place; the secret itself never stands in siel.toml."""

    file: FilePath | None = None
    env: Name | None = None
    """An environment variable."""
    credential: Name | None = None
    """A systemd credential."""

    @model_validator(mode="before")
    @classmethod
    def _not_inline(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(say("value.secret_inline"))  # pydantic collects no TypeError
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.file, self.env, self.credential)) != 1:
            raise ValueError(say("value.one_of", names="file, env, credential"))
        return self


class Tls(Model):
    """Certificates of a TLS connection."""

    ca: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    token_file: FilePath | None = None
