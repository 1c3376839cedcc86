"""apt-get with every folder of its own: reads the machine's mirrors and keys, writes only below ``home``.

The packages are resolved against an empty machine, so a tree that is unpacked from them is complete, C library
included, and runs on any release whose kernel can start it. Maintainer scripts are never run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

Tell = Callable[[str], None]
"""Takes one line for people."""

DEBIAN_KEYS: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_CONF: Final = """\
Dir::State::lists "{home}/lists";
Dir::State::status "{home}/status";
Dir::State::extended_states "{home}/extended_states";
Dir::Cache "{home}/cache";
Dir::Cache::archives "{archives}";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "{home}/log";
Debug::NoLocking "true";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
"""
# The hooks are cleared because they write outside: container images remove the system's archives after an update.

_OWN_SOURCES: Final = """\
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Default-Release "";
"""
_ARCH: Final = """\
APT::Architecture "{arch}";
#clear APT::Architectures;
APT::Architectures:: "{arch}";
"""
_PRETEND: Final = "Package: {}\nStatus: install ok installed\nVersion: 99999\nArchitecture: all\nMaintainer: none\n\n"
_TARGET: Final = re.compile(r"^Acquire::IndexTargets::deb::([^:\s]+)::MetaKey", re.MULTILINE)
_GET: Final = re.compile(r"^Get:\d+ \S+ (.+?)(?: \[(.+)\])?$")
"""apt's progress: number, site, what (words), size."""


class AptError(Exception):
    """apt-get refused; the text is the end of what it said.

    Attributes:
        said: All of it.
    """

    def __init__(self, text: str, said: str = "") -> None:
        super().__init__(text)
        self.said = said


def available() -> bool:
    """Tell whether this machine has the tools of a Debian."""
    return all(shutil.which(tool) for tool in ("apt-get", "apt-cache", "apt-config", "dpkg-deb", "dpkg"))


class Apt:
    """A private view of package indexes.

    Args:
        home: Folder for indexes and downloads; made if it is missing.
        sources: Lines of a ``sources.list``; None reads the machine's own sources.
        arch: Debian architecture; empty is the machine's own.
        leave_out: Packages taken for installed, so that neither they nor what only they need are fetched.
        tell: Takes progress.
    """

    def __init__(
        self,
        home: Path,
        *,
        sources: str | None = None,
        arch: str = "",
        leave_out: Sequence[str] = (),
        tell: Tell = lambda _line: None,
    ) -> None:
        self._home, self._tell = home.resolve(), tell
        self._archives = self._home / "archives"
        for folder in (self._home / "lists" / "partial", self._archives / "partial", self._home / "cache"):
            folder.mkdir(parents=True, exist_ok=True)
        (self._home / "status").write_text("".join(map(_PRETEND.format, leave_out)))
        conf = _CONF.format(home=self._home, archives=self._archives)
        if sources is not None:
            (self._home / "sources.list").write_text(sources)
            conf += _OWN_SOURCES.format(home=self._home)
        if arch:
            conf += _ARCH.format(arch=arch)
        for target in _TARGET.findall(self._run("apt-config", "dump", config=False)):
            if target != "Packages":  # other software registers icons and descriptions, larger than the index itself
                conf += f'Acquire::IndexTargets::deb::{target}::DefaultEnabled "false";\n'
        (self._home / "apt.conf").write_text(conf)

    def update(self) -> None:
        """Bring the package indexes up to date; one that fails beside others is told and passed over.

        Raises:
            AptError: No index could be read.
        """
        try:
            said = self._run("apt-get", "update", progress=lambda what, size: self._tell(f"  index: {what}, {size}"))
        except AptError as error:  # one suite that fails, as on a mirror in the middle of an update, is enough for that
            said = error.said
        warnings = [line for line in said.splitlines() if line.startswith(("W:", "E:"))]
        if not any((self._home / "lists").glob("*_Packages*")):
            raise AptError(f"no package index could be read: {' '.join(warnings[:2]) or 'this machine names none'}")
        for warning in warnings:
            self._tell(f"  {warning}")

    def version(self, package: str) -> str | None:
        """Return the version that would be taken; None if the indexes do not have the package."""
        said = self._run("apt-cache", "policy", package)
        found = re.search(r"^  Candidate: (\S+)", said, re.MULTILINE)
        return found[1] if found and found[1] != "(none)" else None

    def main_site(self) -> str | None:
        """Return the site of the first main Debian archive among the sources; None if there is none."""
        said = self._run("apt-get", "indextargets", "--format", "$(SITE) $(LABEL) $(COMPONENT) $(CREATED_BY)")
        for line in said.splitlines():
            match line.split():
                case [site, "Debian", "main", "Packages"]:
                    return site
        return None

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Fetch the packages with everything they depend on.

        Returns:
            The verified archives, in no particular order.

        Raises:
            AptError: A package is not known, cannot be resolved or cannot be fetched.
        """
        shutil.rmtree(self._archives)
        (self._archives / "partial").mkdir(parents=True)
        plan = self._run("apt-get", "install", "--print-uris", "-q", *packages)
        total, seen = len(re.findall(r"^'", plan, re.MULTILINE)), 0
        size = re.search(r"^Need to get (.+?) of archives", plan, re.MULTILINE)
        self._tell(f"  {total} packages, {size[1] if size else 'no download'}")

        def count(what: str, size: str) -> None:
            nonlocal seen
            seen += 1
            self._tell(f"  {seen}/{total} {what}, {size}")

        self._run("apt-get", "install", "--download-only", *packages, progress=count)
        # Archives of a file: source stay where they are.
        uris = re.findall(r"^'(?:file|copy):([^']+)'", plan, re.MULTILINE)
        return sorted([*self._archives.glob("*.deb"), *map(Path, uris)])

    def _run(self, *argv: str, config: bool = True, progress: Callable[[str, str], None] | None = None) -> str:
        """Run one apt tool and return what it said; its download lines go to ``progress``."""
        command = [argv[0], *(["-c", str(self._home / "apt.conf")] if config else []), *argv[1:]]
        said: list[str] = []
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None  # noqa: S101 - PIPE was asked for
            for line in process.stdout:
                said.append(line)
                if progress is not None and (get := _GET.match(line)):
                    progress(get[1], get[2] or "no size told")
            code = process.wait()  # it bounds its own waits: Acquire::http::Timeout
        text = "".join(said)
        if code != 0:
            faults = [line.strip() for line in said if line.startswith(("E:", "W:"))] or [
                line.strip() for line in said[-3:]
            ]
            raise AptError(f"{' '.join(argv[:2])} ended with {code}: {' '.join(faults[-3:])}", text)
        return text


def unpack(archives: Sequence[Path], root: Path) -> dict[str, str]:
    """Unpack packages below ``root`` without installing them.

    Returns:
        Package name -> version.

    Raises:
        AptError: An archive is damaged.
    """
    root.mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    for archive in archives:
        try:
            told = _dpkg_deb("--field", str(archive), "Package", "Version")
            _dpkg_deb("--extract", str(archive), str(root))
        except subprocess.CalledProcessError as error:
            raise AptError(f"{archive.name} cannot be unpacked: {error.stderr.strip()}") from error
        fields = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
        names[fields["Package"]] = fields["Version"]
    return names


def _dpkg_deb(*argv: str) -> str:
    ran = subprocess.run(
        ["dpkg-deb", *argv],  # noqa: S607 - found by PATH like every tool of the distribution
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    return ran.stdout
