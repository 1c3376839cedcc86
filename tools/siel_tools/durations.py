"""Durations on the command line: 90s, 15m, 2h, 1d."""

from __future__ import annotations

import re
from typing import Final

import click

_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class DurationType(click.ParamType):
    """A duration in whole seconds, 1 s to 400 days."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds of a text as 90s, 15m, 2h or 1d."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,9})([smhd]?)", str(value).strip())
        seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
        if not 1 <= seconds <= 400 * 86_400:
            self.fail(f"{value!r} is not a duration from 1s to 400d; write 90s, 15m, 2h or 1d", param, ctx)
        return seconds


DURATION: Final = DurationType()
