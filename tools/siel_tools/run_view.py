"""The live picture of a run in the terminal, and its plain twin for logs."""

from __future__ import annotations

import sys
from collections import deque
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from siel_hil.feed import JOINED, JOINING, Feed, NodeRow
from siel_hil.report import Report

_EVENTS_SHOWN: Final = 12
_REFRESH_HZ: Final = 4
_STATE_STYLE: Final = {JOINED: "green", JOINING: "yellow"}


def clock_text(now_us: int) -> str:
    """Return virtual time as h:mm:ss."""
    seconds = now_us // 1_000_000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


class LinesView:
    """Prints each event as a line on stderr, so that stdout stays free for a report."""

    def __init__(self) -> None:
        self.feed = Feed(self._line)

    @staticmethod
    def _line(now_us: int, text: str) -> None:
        print(f"{clock_text(now_us)}  {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the output

    def __enter__(self) -> LinesView:
        return self

    def __exit__(self, *_: object) -> None:
        return


class TableView:
    """A table of nodes with the latest events below, redrawn in place."""

    def __init__(self, title: str) -> None:
        self.feed = Feed(self._note)
        self._title = title
        self._events: deque[tuple[int, str]] = deque(maxlen=_EVENTS_SHOWN)
        self._now_us = 0
        self._live = Live(get_renderable=self._render, console=Console(stderr=True), refresh_per_second=_REFRESH_HZ)

    def _note(self, now_us: int, text: str) -> None:
        self._now_us = now_us
        self._events.append((now_us, text))

    def _render(self) -> Group:
        table = Table(title=f"{self._title}   {clock_text(self._now_us)}", expand=True)
        for heading, justify in (
            ("node", "left"),
            ("m", "right"),
            ("state", "left"),
            ("last reading", "left"),
            ("RSSI/SNR", "right"),
            ("SF", "right"),
            ("sent", "right"),
            ("heard", "right"),
            ("lost", "left"),
        ):
            table.add_column(heading, justify=justify, no_wrap=heading != "last reading")  # type: ignore[arg-type]
        for row in self.feed.rows.values():
            table.add_row(*_cells(row))
        events = Text("\n".join(f"{clock_text(t_us)}  {text}" for t_us, text in self._events))
        return Group(table, Panel(events, title="events", height=_EVENTS_SHOWN + 2))

    def __enter__(self) -> TableView:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)


def _cells(row: NodeRow) -> tuple[str | Text, ...]:
    return (
        row.name,
        str(row.distance_m),
        Text(row.state, style=_STATE_STYLE.get(row.state, "dim")),
        row.reading,
        "" if row.rssi_dbm is None else f"{row.rssi_dbm} / {row.snr_db:g}",
        "" if row.spreading_factor is None else str(row.spreading_factor),
        str(row.sent),
        str(row.heard),
        ", ".join(f"{cause} {n}" for cause, n in sorted(row.losses.items())),
    )


def summary(report: Report) -> str:
    """Return a run's figures in a few lines for people."""
    lost = ", ".join(f"{cause} {n}" for cause, n in sorted(report.uplinks_on_air_lost.items())) or "none"
    r = report
    lines = [
        f"{r.virtual_s:.0f} s simulated in {r.wall_s:.1f} s, seed {r.seed}, event hash {r.event_hash[:16]}",
        f"nodes joined   {r.joined} of {r.nodes}",
        f"uplinks        {r.uplinks_sent} sent, {r.uplinks_received} heard, {r.in_flight_at_end} on air; lost: {lost}",
        f"frames         {r.frames_received} journalled, {r.frames_forwarded} forwarded raw",
        f"observations   {r.observations} decoded, {r.observations_published} published",
        f"downlinks      {r.downlinks_requested} asked for, {r.downlinks_on_air} on air, {r.downlinks_received} heard",
        f"violations     {r.duty_cycle_violations} of the duty cycle, {r.errata_violations} of the chip's rules",
    ]
    lines += [f"not as expected: {fault}" for fault in report.faults]
    return "\n".join(lines)
