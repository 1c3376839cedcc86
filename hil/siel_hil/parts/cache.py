"""The cache folder: whole trees appear in it at once, and one process at a time fills it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from siel_hil.parts.apt import Tell
from siel_hil.parts.program import Program, Tool, probe_version

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
"""Raised when the layout of a tree changes; a tree of another format is fetched again."""

_LIBRARY_FOLDERS: Final = ("lib", "lib64", "usr/lib", "usr/lib64", "lib/*-linux-gnu*", "usr/lib/*-linux-gnu*")


@dataclass(frozen=True)
class Manifest:
    """What a tree holds; written last, so a tree with a manifest is whole."""

    format: int
    origin: str
    packages: dict[str, str]


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return ``.cache/parts`` of the checkout this file lies in, else the user's cache."""
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").is_file() and (checkout / "hil" / "siel_hil").is_dir():
        return checkout / ".cache" / "parts"
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "siel" / "parts"


@contextmanager
def locked(cache: Path, tell: Tell) -> Iterator[None]:
    """Hold the cache for this process; waits, with a word, while another process fills it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("Another process is fetching parts; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left_over in cache.glob("work-*"):  # whoever left it was killed: the lock is ours
            shutil.rmtree(left_over, ignore_errors=True)
        yield


def install(cache: Path, name: str, fill: Callable[[Path], Manifest]) -> Path:
    """Let ``fill`` make a tree and put it in place in one step; the caller holds the lock.

    Args:
        cache: The cache folder.
        name: The tree's folder below it; what is there is replaced.
        fill: Fills the folder it is given and returns the manifest.

    Returns:
        The tree's folder.
    """
    work = Path(tempfile.mkdtemp(prefix="work-", dir=cache))
    try:
        fresh, target = work / "fresh", cache / name
        fresh.mkdir()
        manifest = fill(fresh)
        (fresh / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True))
        if target.exists():
            target.rename(work / "old")
        fresh.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def read_manifest(tree: Path) -> Manifest | None:
    """Return the manifest of a tree; None if there is no whole tree of this format."""
    try:
        told = json.loads((tree / MANIFEST).read_bytes())
        manifest = Manifest(**told)
    except (OSError, ValueError, TypeError):
        return None
    return manifest if manifest.format == FORMAT else None


def program_in(tree: Path, tool: Tool) -> Program | None:
    """Return a program of an unpacked tree; None if it is not there or does not start.

    A tree that holds a C library is started through that library's own loader: the machine's may be older.
    """
    manifest, binary = read_manifest(tree), tree / tool.path
    if manifest is None or not binary.is_file():
        return None
    argv: tuple[str, ...] = (str(binary),)
    if loader := _loader(tree):
        folders = [str(folder) for folder in _library_folders(tree)]
        argv = (str(loader), "--library-path", ":".join(folders), str(binary))
    version = probe_version(tool, argv)
    if version is None or version < tool.oldest:
        return None
    return Program(argv, version=version, origin=manifest.origin)


def _library_folders(tree: Path) -> list[Path]:
    return [folder for pattern in _LIBRARY_FOLDERS for folder in sorted(tree.glob(pattern)) if folder.is_dir()]


def _loader(tree: Path) -> Path | None:
    # The link at the well-known place is absolute and would lead out of the tree: take the file itself.
    files = (file for folder in _library_folders(tree) for file in sorted(folder.glob("ld*.so.[0-9]*")))
    return next((file for file in files if file.is_file() and not file.is_symlink()), None)
