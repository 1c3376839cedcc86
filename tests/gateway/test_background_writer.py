"""Output that nobody reads holds nothing up; what is written is whole and in order."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator

import pytest

from siel_gateway.background_writer import BackgroundStream, BackgroundWriter

LIMIT_S = 20.0
PIPE_BYTES = 65_536


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    near, far = os.pipe()
    yield near, far
    for descriptor in (near, far):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test has closed it


def read_until(near: int, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += os.read(near, PIPE_BYTES)
    return data


def test_what_is_written_is_whole_and_in_order_and_done_when_it_is_written(pipe: tuple[int, int]) -> None:
    near, far = pipe
    writer = BackgroundWriter(far, "t")
    jobs = [writer.write(b"%d\n" % number * 40_000) for number in range(4)]
    assert not jobs[-1].done(), "a pipe does not hold so much"
    expected = b"".join(b"%d\n" % number * 40_000 for number in range(4))
    assert read_until(near, b"3\n" * 40_000) == expected
    for job in jobs:
        job.result(LIMIT_S)


def test_a_reader_that_is_gone_is_told(pipe: tuple[int, int]) -> None:
    near, far = pipe
    writer = BackgroundWriter(far, "t")
    os.close(near)
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            writer.write(b"x").result(LIMIT_S)


def test_a_job_that_was_taken_back_is_not_written(pipe: tuple[int, int]) -> None:
    near, far = pipe
    writer = BackgroundWriter(far, "t")
    writer.write(bytes(2 * PIPE_BYTES))
    taken_back, last = writer.write(b"never"), writer.write(b"last")
    assert taken_back.cancel()
    assert read_until(near, b"last") == bytes(2 * PIPE_BYTES) + b"last"
    last.result(LIMIT_S)


def test_a_stream_passes_whole_lines_on(pipe: tuple[int, int]) -> None:
    near, far = pipe
    with open(far, "w", closefd=False) as file:
        stream = BackgroundStream(file)
        assert not stream.isatty()
        print("one", file=stream, flush=True)
        stream.write("t")
        stream.write("wo\nthree")
        stream.finish(LIMIT_S)
        assert os.read(near, PIPE_BYTES) == b"one\ntwo\n"


def test_a_stream_that_nobody_reads_takes_a_bound_and_counts_what_it_loses(pipe: tuple[int, int]) -> None:
    near, far = pipe
    with open(far, "w", closefd=False) as file:
        stream = BackgroundStream(file, max_bytes=2 * PIPE_BYTES)
        line = "x" * 999 + "\n"
        for _ in range(1000):
            stream.write(line)
        taken = b""
        while len(taken) < 2 * PIPE_BYTES:  # so much was taken for sure; the rest of it fits into the pipe
            taken += os.read(near, PIPE_BYTES)
        stream.finish(LIMIT_S)
        stream.write("after\n")
        *kept, lost, last = (taken + read_until(near, b"after\n")).decode().splitlines()
    assert last == "after"
    assert {*kept} == {line.strip()}
    assert json.loads(lost) == {"event": "log_lines_lost", "level": "warning", "count": 1000 - len(kept)}


def test_a_stream_that_is_read_at_once_never_stops(pipe: tuple[int, int]) -> None:
    near, far = pipe
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the thread often has written before write() has returned
    try:
        with open(far, "w", closefd=False) as file:
            stream = BackgroundStream(file, max_bytes=1 << 30)
            for number in range(2000):
                stream.write(f"{number}\n")
                if number % 100 == 99:
                    read_until(near, b"%d\n" % number)
    finally:
        sys.setswitchinterval(switch_s)


def test_a_terminal_is_told_from_a_file() -> None:
    near, far = os.openpty()
    try:
        with open(far, "w", closefd=False) as file:
            assert BackgroundStream(file).isatty()
    finally:
        os.close(near)
        os.close(far)


def test_text_that_is_no_unicode_is_written_all_the_same(pipe: tuple[int, int]) -> None:
    near, far = pipe
    with open(far, "w", closefd=False) as file:
        BackgroundStream(file).write("a\udc80b\n")
        assert read_until(near, b"\n") == b"a\\udc80b\n"


def test_it_is_a_text_stream() -> None:
    assert issubclass(BackgroundStream, io.TextIOBase)
