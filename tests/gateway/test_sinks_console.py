"""The console sink and its feed: live, after an absence, and when nobody takes the lines."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from siel_gateway.config import ConsoleSink
from siel_gateway.records import Observation
from siel_gateway.sinks.console import RETRY_S, Console, json_line, text_line
from siel_gateway.sinks.feed import BATCH
from siel_gateway.sinks.outbox import MAX_QUEUED


def observation(row: int) -> Observation:
    return Observation(
        id=f"{row:032x}",
        time="2026-01-01T00:00:01.000Z",
        received="2026-01-01T00:00:01.020Z",
        clock="ntp",
        late_s=0.02,
        dev_eui="70b3d57ed0001a2b",
        device="Löschteich 3",
        codec="siel/water_level",
        f_port=10,
        f_cnt=row,
        data={"distance": 1271, "battery": 3.6},
        units={"distance": "mm", "battery": "V"},
        warnings=[],
        radio={
            "gateway": "0016c001f1500812",
            "radio": "roof",
            "rssi_dbm": -97,
            "snr_db": 4.5,
            "frequency_hz": 868_100_000,
            "spreading_factor": 7,
            "bandwidth_hz": 125_000,
        },
    )


class MemoryLog:
    """A journal's observations in memory, committed at once."""

    def __init__(self) -> None:
        self.rows: dict[int, Observation] = {}
        self.cursors: dict[str, int] = {}
        self.fault: Exception | None = None
        self.reads = 0

    def add(self) -> tuple[int, Observation]:
        row = self.last_observation_row + 1
        self.rows[row] = observation(row)
        return row, self.rows[row]

    @property
    def last_observation_row(self) -> int:
        return max(self.rows, default=0)

    def cursor(self, consumer: str) -> int:
        return self.cursors.get(consumer, 0)

    def set_cursor(self, consumer: str, row: int) -> None:
        assert row > self.cursors.get(consumer, 0)
        self.cursors[consumer] = row

    def committed(self) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def observations_after(self, row: int, limit: int = BATCH) -> list[tuple[int, Observation]]:
        self.reads += 1
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return sorted((at, item) for at, item in self.rows.items() if at > row)[:limit]


@pytest.fixture
def journal() -> MemoryLog:
    return MemoryLog()


def run_console(bench: Any, journal: MemoryLog, body: Callable[[Console], Any], form: str = "json") -> list[str]:
    """Run a console beside ``body`` for a virtual minute and return its lines."""
    console_text = bench.console if isinstance(bench.console, io.StringIO) else io.StringIO()
    bench.console = console_text

    async def main() -> None:
        sink = Console(ConsoleSink.model_validate({"kind": "console", "name": "c", "format": form}), bench, journal)
        async with bench.running(sink.run()):
            body(sink)
            await asyncio.sleep(60)
            assert sink.pending == 0

    bench.run(main())
    return console_text.getvalue().splitlines()


def offers(journal: MemoryLog, count: int) -> Callable[[Console], None]:
    def body(sink: Console) -> None:
        for _ in range(count):
            sink.offer(*journal.add())

    return body


def test_a_line_is_written_for_each_observation_and_acknowledged(bench: Any, journal: MemoryLog) -> None:
    lines = run_console(bench, journal, offers(journal, 3))
    assert [json.loads(line)["f_cnt"] for line in lines] == [1, 2, 3]
    assert journal.cursors == {"sink:c": 3}
    assert journal.reads == 0  # live rows need no disk


def test_lines_for_people_have_values_with_units(bench: Any, journal: MemoryLog) -> None:
    lines = run_console(bench, journal, lambda sink: sink.offer(*journal.add()), form="text")
    assert lines == [
        "2026-01-01T00:00:01.000Z Löschteich 3 distance=1271 mm battery=3.6 V [-97 dBm, 4.5 dB, SF7, roof]"
    ]


def test_a_line_without_values_still_says_why() -> None:
    item = observation(1)
    empty = Observation(
        **{name: getattr(item, name) for name in item.__struct_fields__} | {"data": {}, "units": {}, "warnings": ["w"]}
    )
    assert "Löschteich 3 - (w) [" in text_line(empty)
    assert json.loads(json_line(empty))["warnings"] == ["w"]


def test_an_unset_position_is_not_published() -> None:
    assert "position" not in json.loads(json_line(observation(1)))


def test_what_an_earlier_life_left_comes_first_and_nothing_twice(bench: Any, journal: MemoryLog) -> None:
    for _ in range(BATCH + 10):
        journal.add()
    journal.cursors["sink:c"] = 4
    lines = run_console(bench, journal, offers(journal, 3))
    assert [json.loads(line)["f_cnt"] for line in lines] == list(range(5, BATCH + 14))
    assert journal.cursors == {"sink:c": BATCH + 13}


def test_a_burst_beyond_memory_is_read_back(bench: Any, journal: MemoryLog) -> None:
    total = MAX_QUEUED + BATCH
    lines = run_console(bench, journal, offers(journal, total))
    assert [json.loads(line)["f_cnt"] for line in lines] == list(range(1, total + 1))


def test_evicted_rows_are_passed_over(bench: Any, journal: MemoryLog) -> None:
    for _ in range(3):
        journal.add()
    del journal.rows[1], journal.rows[2]
    lines = run_console(bench, journal, lambda sink: None)
    assert [json.loads(line)["f_cnt"] for line in lines] == [3]


def test_an_unreadable_journal_is_asked_again(bench: Any, journal: MemoryLog) -> None:
    journal.add()
    journal.fault = sqlite3.OperationalError("disk I/O error")
    assert len(run_console(bench, journal, lambda sink: None)) == 1
    assert journal.reads == 2


def test_a_console_that_takes_nothing_for_a_while_gets_everything_later(bench: Any, journal: MemoryLog) -> None:
    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            if bench.monotonic_us() < RETRY_S * 1e6 / 2:
                raise BrokenPipeError(32, "Broken pipe")
            return super().write(text)

    bench.console = Stuck()
    lines = run_console(bench, journal, offers(journal, 2))
    assert [json.loads(line)["f_cnt"] for line in lines] == [1, 2]


def test_a_text_from_javascript_neither_ends_the_line_nor_commands_the_terminal() -> None:
    said = text_line(structs.replace(observation(1), data={"a": "x\n\x1b[2Jy\u202e"}, warnings=["\r\u20ac"]))
    assert said.isprintable()
    assert r"a=x\n\x1b[2Jy\u202e (\r" in said
    assert "\u20ac" in said
