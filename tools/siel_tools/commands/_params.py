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
        try:
            data = hex_bytes(text)
        except click.BadParameter as fault:
            raise click.BadParameter(f"{2 * length} hex digits are needed, this is {fault.message}") from None
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


_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_S: Final = 400 * 86_400


def duration(text: str | int) -> int:
    """Return the seconds of a duration such as 90s, 15m, 2h or 1d; 1 s to 400 days."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", str(text).strip())
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 1 <= seconds <= _LONGEST_S:
        raise click.BadParameter(f"{text!r} is not a duration from 1s to 400d; write 90s, 15m, 2h or 1d")
    return seconds


_SPEEDS: Final = (0.01, 10_000.0)


def time_mode(text: str) -> str | float:
    """Return "virtual", "wall" or, for paced:K, the factor K."""
    if text in {"virtual", "wall"}:
        return text
    kind, _, factor = text.partition(":")
    try:
        speed = float(factor)
    except ValueError:
        speed = 0.0
    if kind != "paced" or not _SPEEDS[0] <= speed <= _SPEEDS[1]:
        raise click.BadParameter(f"{text!r}: write virtual, wall, or paced:K with K from 0.01 to 10000")
    return speed
