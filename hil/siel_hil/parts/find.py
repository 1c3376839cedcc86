"""Find a program, or fetch it once."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from functools import cache as remember
from pathlib import Path
from typing import Final, NamedTuple

from siel_hil.parts import catalogue
from siel_hil.parts.apt import DEBIAN_KEYS, Apt, AptError, Tell, available, unpack
from siel_hil.parts.cache import FORMAT, Manifest, cache_root, install, locked, program_in
from siel_hil.parts.catalogue import Part
from siel_hil.parts.errors import FaultyPartError, MissingPartError
from siel_hil.parts.program import Program, Tool, probe_version

ADMIN_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where a distribution puts daemons; not on the PATH of an ordinary user."""


def _tell_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress for people belongs on stderr


class Finder:
    """Looks for programs and fetches what is missing.

    Args:
        environ: Variables and PATH to look into.
        cache: Folder for fetched trees; None is the checkout's, else the user's.
        tell: Takes one line for people.
        sources: apt sources instead of the machine's own.
        trust: Options of the source line of a later release; None: it is signed by Debian's keys.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        cache: Path | None = None,
        tell: Tell = _tell_on_stderr,
        sources: str | None = None,
        trust: str | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._cache = cache_root(self._environ) if cache is None else cache
        self._tell, self._sources = tell, sources
        keys = f"[signed-by={DEBIAN_KEYS}]" if DEBIAN_KEYS.is_file() else ""
        self._trust = keys if trust is None else trust
        self._read: set[Path] = set()

    @property
    def cache(self) -> Path:
        """Folder for fetched trees."""
        return self._cache

    def find(self, part: Part, tool: Tool, *, fetch: bool = True) -> Program:
        """Return a program that starts and is new enough.

        Args:
            part: The packages that hold it.
            tool: The program.
            fetch: Download it if it is nowhere.

        Raises:
            FaultyPartError: The variable names something else.
            MissingPartError: It is nowhere and was not or could not be fetched.
        """
        program = self._named(tool) or self._on_path(tool) or program_in(self._cache / part.name, tool)
        if program is not None:
            return program
        if not fetch:
            raise MissingPartError(tool.name, "it is neither on PATH nor fetched yet", self._remedy(part, tool))
        return self._fetch(part, tool)

    def _named(self, tool: Tool) -> Program | None:
        named = self._environ.get(tool.variable, "") if tool.variable else ""
        if not named:
            return None
        remedy = f"Name {tool.name} {tool.oldest_text} or newer in {tool.variable}, or unset it"
        path = shutil.which(named, path=self._environ.get("PATH"))
        if path is None:
            raise FaultyPartError(tool.name, f"{tool.variable}={named} is not a program that can be started", remedy)
        version = probe_version(tool, (path,))
        if version is None:
            raise FaultyPartError(tool.name, f"{tool.variable}={named} does not answer as {tool.name} does", remedy)
        program = Program((path,), version=version, origin=f"variable {tool.variable}")
        if version < tool.oldest:
            raise FaultyPartError(tool.name, f"{tool.variable}={named} is {program.version_text}, too old", remedy)
        return program

    def _on_path(self, tool: Tool) -> Program | None:
        folders = [*self._environ.get("PATH", os.defpath).split(os.pathsep), *ADMIN_FOLDERS]
        path = shutil.which(tool.name, path=os.pathsep.join(folders))
        version = probe_version(tool, (path,)) if path else None
        if path is None or version is None:
            return None
        program = Program((path,), version=version, origin=path)
        if version < tool.oldest:
            self._tell(f"{path} is {program.version_text}; Siel needs {tool.oldest_text} or newer and looks elsewhere.")
            return None
        return program

    def _fetch(self, part: Part, tool: Tool) -> Program:
        if not available():
            raise MissingPartError(tool.name, "it is not on PATH", self._remedy(part, tool))
        try:
            with locked(self._cache, self._tell):
                program = program_in(self._cache / part.name, tool)  # another process may have fetched it meanwhile
                if program is None:
                    install(self._cache, part.name, lambda tree: self._fill(part, tree))
                    program = program_in(self._cache / part.name, tool)
        except OSError as error:
            raise MissingPartError(
                tool.name, f"the cache {self._cache} cannot be written ({error.strerror})", self._remedy(part, tool)
            ) from error
        except AptError as error:
            raise MissingPartError(tool.name, f"it could not be fetched: {error}", self._remedy(part, tool)) from error
        if program is None:
            raise MissingPartError(
                tool.name,
                f"the distribution's package does not start here or is older than {tool.oldest_text}",
                self._remedy(part, tool),
            )
        return program

    def _fill(self, part: Part, tree: Path) -> Manifest:
        apt, suite = self._index_with(part)
        archives = apt.download(part.packages)
        return Manifest(FORMAT, f"{suite} packages in {self._cache}", unpack(archives, tree))

    def _index_with(self, part: Part) -> tuple[Apt, str]:
        """Return package indexes that have the part, and the name of their release."""
        system = platform.freedesktop_os_release()
        distribution, release = system.get("ID", "linux"), system.get("VERSION_CODENAME", "")
        arch = part.arch or "own"
        self._tell(
            f"Fetching {' and '.join(part.packages)}{part.arch and f' ({part.arch})'} with libraries"
            f" from this machine's package mirror into {self._cache}; nothing else is touched."
        )
        own = self._index(self._cache / "apt" / f"machine-{arch}", self._sources, part)
        if all(map(own.version, part.packages)):
            return own, f"{distribution} {release}"
        site, later = own.main_site(), part.later_suites.get(distribution)
        if site is None or later is None:
            raise AptError(f"{distribution} {release} has no package {' or '.join(part.packages)}")
        self._tell(f"  {distribution} {release} has no {part.name}: taking that of {later}")
        line = f"deb {self._trust} {site} {later} main\n"
        return self._index(self._cache / "apt" / f"{later}-{arch}", line, part), f"{distribution} {later}"

    def _index(self, home: Path, sources: str | None, part: Part) -> Apt:
        """Return up-to-date package indexes; each is read once by one Finder."""
        apt = Apt(home, sources=sources, arch=part.arch, leave_out=part.leave_out, tell=self._tell)
        if home not in self._read:
            apt.update()
            self._read.add(home)
        return apt

    def tidy(self) -> None:
        """Remove the package indexes; the fetched trees stay."""
        if (self._cache / "apt").is_dir():
            with locked(self._cache, self._tell):
                shutil.rmtree(self._cache / "apt", ignore_errors=True)
        self._read.clear()

    def _remedy(self, part: Part, tool: Tool) -> str:
        """Return the next step for this machine."""
        variable = next((tool.variable for tool in part.tools if tool.variable), "")
        by_hand = f"or set {variable} to the path of {part.tools[0].name} {tool.oldest_text} or newer"
        if available():
            return f"With the package mirror in reach, run `{sys.executable} -m siel_hil.parts`, {by_hand}"
        for manager, command in catalogue.INSTALLERS.items():
            if shutil.which(manager, path=self._environ.get("PATH")):
                return f"Run `{command.format(name=part.name)}`, {by_hand}"
        return f"Install {part.name} {tool.oldest_text} or newer so that it is on PATH, {by_hand}"


class MosquittoClients(NamedTuple):
    """mosquitto's command-line clients."""

    sub: Program
    pub: Program


@remember
def _find(part: str, index: int, fetch: bool, _variable: str, _path: str) -> Program:
    found = {"micropython": catalogue.MICROPYTHON_PART, "mosquitto": catalogue.MOSQUITTO_PART}[part]
    return Finder().find(found, found.tools[index], fetch=fetch)


def _find_once(part: Part, tool: Tool, fetch: bool) -> Program:
    """Find with memory: within one process a program is probed once for each state of variable and PATH."""
    variable = os.environ.get(tool.variable, "") if tool.variable else ""
    return _find(part.name, part.tools.index(tool), fetch, variable, os.environ.get("PATH", ""))


def find_micropython(fetch: bool = True) -> Program:
    """Return MicroPython's unix port, 1.22 or newer; fetches it unless told not to.

    Raises:
        PartError: It cannot be had; the text names the next step.
    """
    return _find_once(catalogue.MICROPYTHON_PART, catalogue.MICROPYTHON, fetch)


def find_mosquitto(fetch: bool = True) -> Program:
    """Return the mosquitto broker; fetches it unless told not to.

    Raises:
        PartError: It cannot be had; the text names the next step.
    """
    return _find_once(catalogue.MOSQUITTO_PART, catalogue.MOSQUITTO, fetch)


def find_mosquitto_clients(fetch: bool = True) -> MosquittoClients:
    """Return ``mosquitto_sub`` and ``mosquitto_pub``; fetches them unless told not to.

    Raises:
        PartError: They cannot be had; the text names the next step.
    """
    part = catalogue.MOSQUITTO_PART
    return MosquittoClients(
        _find_once(part, catalogue.MOSQUITTO_SUB, fetch), _find_once(part, catalogue.MOSQUITTO_PUB, fetch)
    )
