"""The worker process from outside: what it holds, what it may do, and when it ends."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from siel_codecs.js import JsHost, JsWorkerError
from siel_codecs.js.confine import LIMITS, landlock_version

GOOD = b"function decodeUplink(input) { return { data: { n: input.bytes.length } } }"
LOOP = b"function decodeUplink() { for (;;) ; }"
UNSTOPPABLE = b"Error.prototype.toString = InternalError.prototype.toString = function () { for (;;) ; };" + LOOP
END_LIMIT_MS = 20_000
"""A guard against a test that waits for ever."""


def ended(pid: int) -> bool:
    """Wait for the end of a process that is no child of ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    events = poll.poll(END_LIMIT_MS)
    os.close(descriptor)
    return bool(events)


def test_it_has_no_secret_of_its_parent_and_no_open_file_but_its_pipes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SIEL_PASSWORD", "in the environment")
    secret = tmp_path / "keys.key"
    secret.write_text("in a file")
    with secret.open() as held, JsHost() as host:
        os.set_inheritable(held.fileno(), True)
        host.load(GOOD)
        proc = Path(f"/proc/{host.pid}")
        environ = dict(entry.split(b"=", 1) for entry in (proc / "environ").read_bytes().split(b"\0") if entry)
        assert set(environ) == {b"PYTHONPATH", b"LC_ALL", b"TZ"}
        links = {entry.name: os.readlink(entry) for entry in (proc / "fd").iterdir()}
        assert set(links) == {"0", "1", "2"}
        assert links["0"].startswith("pipe:")
        assert links["1"].startswith("pipe:")
        assert links["2"] == "/dev/null"
        assert os.readlink(proc / "cwd") == "/"
        assert b"keys.key" not in (proc / "cmdline").read_bytes()


def test_it_may_neither_open_nor_write_nor_gain_anything() -> None:
    with JsHost() as host:
        host.load(GOOD)
        proc = Path(f"/proc/{host.pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"] == "1"
        limits = (proc / "limits").read_text()
        for name, value in (
            ("Max open files", 3),
            ("Max file size", 0),
            ("Max core file size", 0),
            ("Max processes", 0),
            ("Max address space", dict(LIMITS)[9]),
        ):
            row = next(line for line in limits.splitlines() if line.startswith(name))
            assert row[len(name) :].split()[:2] == [str(value), str(value)], name


BREAK_OUT = """
import os, socket, sys
from siel_codecs.js.confine import confine
sys.stderr.close()
os.close(2)  # room for one file
port = socket.socket()
port.close()
confine()
for name, attempt in {
    "read": lambda: os.open("/etc/hostname", os.O_RDONLY),
    "write": lambda: os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT),
    "run": lambda: os.execv("/bin/true", ["true"]),
    "connect": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2]))),
    "signal": lambda: os.kill(os.getppid(), 0),
}.items():
    try:
        attempt()
        print(name)
    except OSError as fault:
        print(name, fault.errno)
"""


def test_even_code_that_breaks_out_opens_nothing_and_reaches_nobody(tmp_path: Path) -> None:
    version = landlock_version()
    if version < 1:
        pytest.skip("this kernel has no Landlock")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = subprocess.run(
            [sys.executable, "-c", BREAK_OUT, str(tmp_path / "file"), str(port)], stdout=subprocess.PIPE, check=True
        )
    said = dict(line.split(" ", 1) for line in found.stdout.decode().splitlines())
    expected = {"read": errno.EACCES, "write": errno.EACCES, "run": errno.EACCES}
    expected |= {"connect": errno.EACCES} if version >= 4 else {}
    expected |= {"signal": errno.EPERM} if version >= 6 else {}
    assert {name: said.get(name) for name in expected} == {name: str(code) for name, code in expected.items()}
    assert not (tmp_path / "file").exists()


def test_javascript_finds_no_way_out() -> None:
    text = b"""function decodeUplink() { return { data: { found: ['std', 'os', 'require', 'process', 'fetch', 'Worker',
      'WebAssembly', 'XMLHttpRequest', 'importScripts', 'print', 'load', 'Deno', 'Bun'].filter(
        function (name) { return typeof globalThis[name] !== 'undefined' }) } } }"""
    with JsHost() as host:
        assert host.decode_uplink(text, 1, b"").data == {"found": []}


def test_it_starts_at_the_first_call_and_ends_with_its_host() -> None:
    host = JsHost()
    assert host.pid is None
    assert host.decode_uplink(GOOD, 1, b"ab").data == {"n": 2}
    pid = host.pid
    assert pid is not None
    host.close()
    assert ended(pid)
    host.close()
    assert host.decode_uplink(GOOD, 1, b"abc").data == {"n": 3}, "a closed host starts another worker"
    host.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_worker_that_somebody_kills_while_it_is_idle_costs_nothing(number: signal.Signals) -> None:
    with JsHost() as host:
        for length in range(3):
            assert host.decode_uplink(GOOD, 1, bytes(length)).data == {"n": length}
            assert host.pid is not None
            os.kill(host.pid, number)


def test_a_call_that_is_too_long_ends_the_worker_and_the_next_one_finds_another() -> None:
    with JsHost() as host:
        host.load(GOOD)
        first = host.pid
        assert host.decode_uplink(UNSTOPPABLE, 1, b"").errors == [
            "JavaScript: it took more than 250 ms and was stopped"
        ]
        assert host.kills == 1
        assert host.decode_uplink(GOOD, 1, b"a").data == {"n": 1}
        assert host.pid != first
        assert first is not None
        assert ended(first)


def test_a_worker_stopped_by_a_signal_is_given_up_and_another_one_answers() -> None:
    with JsHost() as host:
        host.load(GOOD)
        assert host.pid is not None
        os.kill(host.pid, signal.SIGSTOP)
        assert host.decode_uplink(GOOD, 1, b"a").data == {"n": 1}
        assert host.kills == 1


PARENT = """
import sys
from siel_codecs.js import JsHost
host = JsHost()
host.load({good!r})
print(host.pid, flush=True)
{then}
"""


@pytest.mark.parametrize("then", ["sys.stdin.read()", f"host.decode_uplink({UNSTOPPABLE!r}, 1, b'')"])
def test_a_killed_parent_takes_its_worker_with_it(then: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(good=GOOD, then=then)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert ended(pid)


def test_many_threads_may_share_a_host() -> None:
    with JsHost() as host, ThreadPoolExecutor(8) as threads:
        lengths = list(range(200))
        found = threads.map(lambda length: host.decode_uplink(GOOD, 1, bytes(length)).data["n"], lengths)
        assert list(found) == lengths


def test_a_machine_that_starts_no_process_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with JsHost() as host, pytest.raises(JsWorkerError, match="cannot start a process"):
        host.load(GOOD)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with JsHost() as host, pytest.raises(JsWorkerError, match="does not start"):
        host.load(GOOD)


@pytest.mark.parametrize("said", ["b'nonsense' * 1000", "b'\\x7f\\xff\\xff\\xff'", "b'\\x00\\x00\\x00\\x02ab'"])
def test_a_worker_that_speaks_nonsense_is_ended(said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    liar = tmp_path / "python"
    code = f"import sys, time; sys.stdout.buffer.write({said}); sys.stdout.flush(); sys.stdin.read()"
    liar.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n')
    liar.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(liar))
    with JsHost() as host, pytest.raises(JsWorkerError, match="makes no sense"):
        host.load(GOOD)


def test_a_large_codec_goes_through_the_pipe() -> None:
    text = b"// " + b"x" * 900_000 + b"\n" + GOOD
    with JsHost() as host:
        assert host.decode_uplink(text, 1, b"abcd").data == {"n": 4}
