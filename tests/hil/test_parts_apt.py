"""Fetching from a package archive: a small real one in a folder, read by the real apt-get."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from siel_hil.parts import MissingPartError
from siel_hil.parts import find as finding
from siel_hil.parts.apt import Apt, AptError, available, unpack
from siel_hil.parts.catalogue import MICROPYTHON, Part
from siel_hil.parts.find import Finder
from siel_hil.parts.program import Program

pytestmark = pytest.mark.skipif(not available(), reason="a machine without apt never fetches")

LATER = "later"


class Archive:
    """A Debian archive with two releases, ``now`` and ``later``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.arch = folder, subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
        for release in ("now", LATER):
            (folder / "dists" / release / "main" / f"binary-{self.arch}").mkdir(parents=True)
            self.publish(release)

    def line(self, release: str = "now") -> str:
        """Return a source line that needs no keys: the archive is a folder of this test."""
        return f"deb [trusted=yes] file:{self.folder} {release} main\n"

    def add(self, release: str, name: str, *, depends: str = "", file: str = "", says: str = "") -> None:
        """Build a package with one file, a program that says one line, and publish it."""
        tree = self.folder / "build" / release / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1-1\nArchitecture: all\nMaintainer: none\nDescription: test\n"
            + (f"Depends: {depends}\n" if depends else "")
        )
        path = tree / (file or f"usr/share/{name}")
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\necho '{says}'\n")
        path.chmod(0o755)
        pool = self.folder / "pool" / release
        pool.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "--build", "-Znone", tree, pool / f"{name}.deb"], check=True, capture_output=True)
        self.publish(release)

    def publish(self, release: str) -> None:
        """Write the index of one release."""
        entries = []
        for deb in sorted((self.folder / "pool" / release).glob("*.deb")):
            control = subprocess.check_output(["dpkg-deb", "--field", str(deb)], text=True)
            digest = hashlib.sha256(deb.read_bytes()).hexdigest()
            place = deb.relative_to(self.folder)
            entries.append(f"{control}Filename: {place}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n")
        index = "\n".join(entries).encode()
        name = f"main/binary-{self.arch}/Packages"
        dist = self.folder / "dists" / release
        (dist / name).write_bytes(index)
        (dist / "Release").write_text(
            f"Origin: Debian\nLabel: Debian\nSuite: {release}\nCodename: {release}\n"
            "Date: Thu, 01 Jan 2026 00:00:00 UTC\n"
            f"Architectures: {self.arch}\nComponents: main\n"
            f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} {name}\n"
        )


PART = Part(
    "micropython",
    ("micropython",),
    (MICROPYTHON,),
    later_suites={platform.freedesktop_os_release().get("ID", "linux"): LATER} if available() else {},
)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.add("now", "something-else")  # apt forgets an index that is empty
    return archive


def with_micropython(archive: Archive, release: str) -> None:
    archive.add(release, "libbelow")
    archive.add(release, "libunwanted")
    archive.add(release, "scripts", depends="libunwanted")
    archive.add(
        release, "micropython", depends="libbelow, scripts", file="usr/bin/micropython", says="micropython 1 25 0"
    )


def fetch(archive: Archive, cache: Path, told: list[str], part: Part = PART) -> Program:
    environ = {"PATH": "/nowhere"}
    finder = Finder(environ, cache, told.append, archive.line(), trust="[trusted=yes]")
    return finder.find(part, MICROPYTHON)


@pytest.fixture(autouse=True)
def no_admin_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "ADMIN_FOLDERS", ())


def test_the_part_comes_from_the_own_release_with_what_it_depends_on(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, "now")
    told: list[str] = []
    program = fetch(archive, tmp_path / "cache", told)
    assert program.version == (1, 25, 0)
    tree = tmp_path / "cache" / "micropython"
    assert sorted(path.name for path in (tree / "usr/share").iterdir()) == ["libbelow", "libunwanted", "scripts"]
    assert "Fetching micropython" in told[0]
    assert str(tmp_path / "cache") in told[0]


def test_what_is_left_out_is_not_fetched_nor_what_only_it_needs(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, "now")
    fetch(archive, tmp_path / "cache", [], replace(PART, leave_out=("scripts",)))
    tree = tmp_path / "cache" / "micropython"
    assert [path.name for path in (tree / "usr/share").iterdir()] == ["libbelow"]


def test_a_part_that_the_own_release_lacks_comes_from_the_later_one(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, LATER)
    told: list[str] = []
    program = fetch(archive, tmp_path / "cache", told)
    assert program.version == (1, 25, 0)
    assert LATER in program.origin
    assert any(LATER in line for line in told)


def test_the_second_run_needs_no_archive_and_says_nothing(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, "now")
    first = fetch(archive, tmp_path / "cache", [])
    archive.folder.rename(tmp_path / "gone")
    told: list[str] = []
    assert fetch(archive, tmp_path / "cache", told) == first
    assert told == []


def test_a_moved_checkout_keeps_its_parts(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, "now")
    fetch(archive, tmp_path / "cache", [])
    (tmp_path / "cache").rename(tmp_path / "moved")
    archive.folder.rename(tmp_path / "gone")
    assert str(tmp_path / "moved") in fetch(archive, tmp_path / "moved", []).argv[0]


def test_the_indexes_are_removed_when_all_is_there(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, "now")
    finder = Finder({"PATH": "/nowhere"}, tmp_path / "cache", lambda _line: None, archive.line())
    program = finder.find(PART, MICROPYTHON)
    finder.tidy()
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lock", "micropython"]
    assert finder.find(PART, MICROPYTHON) == program


def test_a_part_that_no_release_has_is_told(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="has no package micropython"):
        fetch(archive, tmp_path / "cache", [], replace(PART, later_suites={}))
    assert not (tmp_path / "cache" / "micropython").exists()


def test_an_archive_out_of_reach_is_told(archive: Archive, tmp_path: Path) -> None:
    archive.folder.rename(tmp_path / "gone")
    with pytest.raises(MissingPartError, match="could not be fetched"):
        fetch(archive, tmp_path / "cache", [])


def test_a_suite_that_fails_beside_others_is_told_and_passed_over(archive: Archive, tmp_path: Path) -> None:
    told: list[str] = []
    with_micropython(archive, "now")
    with_micropython(archive, LATER)
    # its Release names an index that is not there: a mirror that is being synchronised
    (archive.folder / "dists" / LATER / "main" / f"binary-{archive.arch}" / "Packages").unlink()
    apt = Apt(tmp_path / "apt", sources=archive.line() + archive.line(LATER), tell=told.append)
    apt.update()
    assert apt.version("micropython") == "1-1"
    assert any(LATER in line and line.lstrip().startswith(("W:", "E:")) for line in told)


def test_a_package_that_is_too_old_is_told(archive: Archive, tmp_path: Path) -> None:
    archive.add("now", "micropython", file="usr/bin/micropython", says="micropython 1 19 1")
    with pytest.raises(MissingPartError, match=re.escape("older than 1.22")):
        fetch(archive, tmp_path / "cache", [])


def test_a_package_with_other_bytes_than_the_index_says_is_refused(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, "now")
    deb = archive.folder / "pool" / "now" / "libbelow.deb"
    deb.write_bytes(deb.read_bytes()[:-1] + b"!")
    with pytest.raises(MissingPartError):
        fetch(archive, tmp_path / "cache", [])
    assert not (tmp_path / "cache" / "micropython").exists()


def test_a_damaged_archive_file_is_an_apt_error(tmp_path: Path) -> None:
    (tmp_path / "half.deb").write_bytes(b"!<arch>\n")
    with pytest.raises(AptError, match=re.escape("half.deb")):
        unpack([tmp_path / "half.deb"], tmp_path / "tree")


def test_another_architecture_has_its_own_index(archive: Archive, tmp_path: Path) -> None:
    other = "i386" if archive.arch != "i386" else "amd64"
    with_micropython(archive, "now")
    assert Apt(tmp_path / "own", sources=archive.line()).version("micropython") is None  # not read yet
    apt = Apt(tmp_path / "other", sources=archive.line(), arch=other)
    with pytest.raises(AptError, match="index"):
        apt.update()  # the archive publishes the machine's own architecture only


def test_two_processes_at_once_fetch_once(archive: Archive, tmp_path: Path) -> None:
    with_micropython(archive, "now")
    code = (
        "import sys; from pathlib import Path\n"
        "from siel_hil.parts import find\n"
        "from siel_hil.parts.catalogue import MICROPYTHON, MICROPYTHON_PART\n"
        "find.ADMIN_FOLDERS = ()\n"
        "finder = find.Finder({'PATH': '/nowhere'}, Path(sys.argv[1]), print, sys.argv[2])\n"
        "print(finder.find(MICROPYTHON_PART, MICROPYTHON).version_text)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache"), archive.line()]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all(text.endswith("1.25.0\n") for text in said)
    assert sum("Fetching" in text for text in said) == 1
