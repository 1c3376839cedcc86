"""Kinds of command-line values that several commands take: functions for click's ``type``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_SEPARATORS: Final = re.compile(r"[\s:_-]|^0[xX]")


def hex_bytes(text: str | bytes) -> bytes:
    """Return the bytes of hex digits; blanks, colons and dashes between them do no harm."""
    if isinstance(text, bytes):
        return text
    try:
        return bytes.fromhex(_SEPARATORS.sub("", text))
    except ValueError:
        raise click.BadParameter("not pairs of hex digits") from None


def _exactly(length: int) -> Callable[[str], bytes]:
    def convert(text: str) -> bytes:
        data = hex_bytes(text)
        if len(data) != length:
            raise click.BadParameter(f"{2 * length} hex digits are needed, this has {2 * len(data)}")
        return data

    return convert


def unsigned(bits: int) -> Callable[[str], int]:
    """Return the type of a number of ``bits``, decimal or with 0x in front."""

    def convert(text: str) -> int:
        try:
            number = int(text, 0)
        except ValueError:
            raise click.BadParameter(f"{text!r} is no number") from None
        if not 0 <= number < 1 << bits:
            raise click.BadParameter(f"{number} is not in 0 to {(1 << bits) - 1}")
        return number

    return convert


key: Final = _exactly(16)
eui: Final = _exactly(8)
dev_addr: Final = _exactly(4)
