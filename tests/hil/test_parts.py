"""Where a real program is looked for, and what is said when it cannot be had."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from siel_hil.parts import FaultyPartError, MissingPartError, cache, find_micropython, find_mosquitto_clients
from siel_hil.parts import find as finding
from siel_hil.parts import find_mosquitto as find_broker
from siel_hil.parts.catalogue import MICROPYTHON, MICROPYTHON_PART, MOSQUITTO, MOSQUITTO_PART
from siel_hil.parts.find import Finder
from siel_hil.parts.program import Program


def script(path: Path, says: str) -> Path:
    """Write a program that says one line, whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


class Room:
    """A machine of its own: variables, PATH, cache; remembers what was told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, list[str]()
        self.environ = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
        self.cache = folder / "cache"

    def find(self, *, fetch: bool = False) -> Program:
        """Look for MicroPython."""
        finder = Finder(self.environ, self.cache, self.told.append)
        return finder.find(MICROPYTHON_PART, MICROPYTHON, fetch=fetch)

    def fetched(self, says: str) -> None:
        """Put a fetched tree into the cache."""

        def fill(tree: Path) -> cache.Manifest:
            script(tree / "usr/bin/micropython", says)
            return cache.Manifest(cache.FORMAT, "earlier", {})

        self.cache.mkdir(exist_ok=True)
        cache.install(self.cache, "micropython", fill)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(finding, "ADMIN_FOLDERS", ())
    return Room(tmp_path)


def test_the_variable_comes_first(room: Room) -> None:
    named = script(room.folder / "elsewhere" / "mpy", "micropython 1 24 0")
    script(room.folder / "bin" / "micropython", "micropython 1 25 0")
    room.environ["MICROPYTHON"] = str(named)
    assert room.find() == Program((str(named),), {}, (1, 24, 0), "variable MICROPYTHON")


def test_path_comes_before_what_was_fetched(room: Room) -> None:
    on_path = script(room.folder / "bin" / "micropython", "micropython 1 25 0")
    room.fetched("micropython 1 26 0")
    assert room.find().argv == (str(on_path),)


def test_an_old_program_on_path_is_told_and_passed_over(room: Room) -> None:
    on_path = script(room.folder / "bin" / "micropython", "micropython 1 21 9")
    room.fetched("micropython 1 26 0")
    assert room.find().version == (1, 26, 0)
    assert room.told == [f"{on_path} is 1.21.9; Siel needs 1.22 or newer and looks elsewhere."]


def test_the_oldest_version_that_does_is_taken(room: Room) -> None:
    script(room.folder / "bin" / "micropython", "micropython 1 22 0")
    assert room.find().version == (1, 22, 0)


@pytest.mark.parametrize(
    ("says", "cause"),
    [("micropython 1 21 9", "is 1.21.9, too old"), ("Python 3.11.2", "does not answer as micropython does")],
)
def test_a_variable_that_names_the_wrong_program_is_refused(room: Room, says: str, cause: str) -> None:
    room.environ["MICROPYTHON"] = str(script(room.folder / "mpy", says))
    script(room.folder / "bin" / "micropython", "micropython 1 25 0")  # not a way out: the user named another one
    with pytest.raises(FaultyPartError, match=cause) as caught:
        room.find()
    assert "MICROPYTHON" in caught.value.remedy


def test_a_variable_that_names_nothing_is_refused(room: Room) -> None:
    room.environ["MICROPYTHON"] = "/nowhere/micropython"
    with pytest.raises(FaultyPartError, match="is not a program that can be started"):
        room.find()


def test_without_fetching_a_missing_program_is_told_with_the_next_step(room: Room) -> None:
    with pytest.raises(MissingPartError, match="MICROPYTHON"):
        room.find()
    assert not room.cache.exists()


@pytest.mark.parametrize(
    ("manager", "command"),
    [("dnf", "sudo dnf install micropython"), ("brew", "brew install micropython"), ("", "on PATH")],
)
def test_where_there_is_no_apt_the_installing_command_is_told(
    room: Room, monkeypatch: pytest.MonkeyPatch, manager: str, command: str
) -> None:
    monkeypatch.setattr(finding, "available", lambda: False)
    room.environ["PATH"] = str(room.folder / "bin")
    if manager:
        script(room.folder / "bin" / manager, "")
    with pytest.raises(MissingPartError) as caught:
        room.find(fetch=True)
    assert command in caught.value.remedy


def test_a_fetched_program_that_does_not_start_counts_as_missing(room: Room) -> None:
    room.fetched("Illegal instruction")
    with pytest.raises(MissingPartError):
        room.find()


def test_a_tree_without_a_manifest_counts_as_missing(room: Room) -> None:
    room.fetched("micropython 1 26 0")
    (room.cache / "micropython" / cache.MANIFEST).unlink()
    with pytest.raises(MissingPartError):
        room.find()


def test_a_cache_that_cannot_be_written_is_told(room: Room) -> None:
    room.cache = room.folder / "file" / "cache"
    (room.folder / "file").write_text("")
    with pytest.raises(MissingPartError):
        room.find(fetch=True)


def test_a_failed_fill_leaves_the_old_tree(room: Room) -> None:
    room.fetched("micropython 1 26 0")

    def fail(tree: Path) -> cache.Manifest:
        (tree / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cache.install(room.cache, "micropython", fail)
    assert room.find().version == (1, 26, 0)
    assert [path.name for path in room.cache.iterdir()] == ["micropython"]


def test_what_a_killed_process_left_is_removed_under_the_lock(room: Room) -> None:
    (room.cache / "work-killed" / "fresh").mkdir(parents=True)
    with cache.locked(room.cache, room.told.append):
        assert [path.name for path in room.cache.iterdir()] == ["lock"]


def test_a_tree_with_a_c_library_starts_through_its_own_loader(tmp_path: Path) -> None:
    loader = tmp_path / "lib" / "any-linux-gnu" / "ld-linux.so.2"
    script(loader, "micropython 1 25 0")  # a loader that answers for the program, whatever it is given
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "ld-linux-any.so.2").symlink_to("/lib64/ld-linux-any.so.2")  # leads out of the tree
    script(tmp_path / "usr/bin/micropython", "not through its loader")
    (tmp_path / cache.MANIFEST).write_text('{"format": 1, "origin": "test", "packages": {}}')
    program = cache.program_in(tmp_path, MICROPYTHON)
    assert program is not None
    assert program.argv[:2] == (str(loader), "--library-path")
    assert str(loader.parent) in program.argv[2].split(":")


def test_the_real_micropython_runs_a_program() -> None:
    program = find_micropython()
    said = subprocess.run(
        program.command("-c", "import sys, cryptolib; print(sys.implementation.name)"),
        env=program.environ(),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert said == "micropython\n"
    assert program.version >= (1, 22)


def test_the_real_broker_and_its_clients_tell_their_version() -> None:
    broker, clients = find_broker(), find_mosquitto_clients()
    assert broker.version[0] == clients.sub.version[0] == clients.pub.version[0] == MOSQUITTO.oldest[0]
    assert MOSQUITTO in MOSQUITTO_PART.tools
