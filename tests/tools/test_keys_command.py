"""``siel keys``: makes keys, lists devices, and shows a key only when asked."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from siel_gateway.keystore import KeyStore
from siel_tools.main import main

EUI = "70b3d57ed0001a2b"
CONFIG = '[gateway]\nid = "0016c001f1500812"\n[[radio]]\nkind = "semtech-udp"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def key_of(folder: Path, dev_eui: str = EUI) -> bytes:
    key = KeyStore.open(folder / "s", folder / "k").get(dev_eui)
    assert key is not None
    return key


STORE = ("--store", "s", "--key-file", "k")


def test_the_first_key_makes_the_store_and_its_key_file(folder: Path) -> None:
    result = keys("new", "--dev-eui", "70-B3-D5-7E-D0-00-1A-2B", *STORE)
    assert result.exit_code == 0, result.output
    assert EUI in result.stdout
    assert "k: without it the store cannot be read" in result.stderr
    assert stat.S_IMODE((folder / "k").stat().st_mode) == 0o600
    assert key_of(folder).hex() not in result.output


def test_a_key_is_shown_only_when_asked(folder: Path) -> None:
    result = keys("new", "--dev-eui", EUI, "--show", *STORE)
    assert f"AppKey {key_of(folder).hex()}" in result.stdout
    document = json.loads(keys("new", "--dev-eui", "1" * 16, "--show", "--json", *STORE).stdout)
    assert document["app_key"] == key_of(folder, "1" * 16).hex()
    document = json.loads(keys("new", "--dev-eui", "2" * 16, "--join-eui", "3" * 16, "--json", *STORE).stdout)
    assert document == {"dev_eui": "2" * 16, "join_eui": "3" * 16, "store": "s"}


def test_a_list_has_euis_and_no_keys(folder: Path) -> None:
    keys("new", "--dev-eui", EUI, "--join-eui", "3" * 16, *STORE)
    text, document = keys("list", *STORE), keys("list", "--json", *STORE)
    assert EUI in text.stdout
    assert json.loads(document.stdout) == {"keys": [{"dev_eui": EUI, "join_eui": "3" * 16}]}
    assert key_of(folder).hex() not in text.output + document.output


def test_a_device_keeps_its_key_unless_told_otherwise(folder: Path) -> None:
    keys("new", "--dev-eui", EUI, *STORE)
    first = key_of(folder)
    again = keys("new", "--dev-eui", EUI, *STORE)
    assert again.exit_code == 1
    assert "--replace" in again.stderr
    assert key_of(folder) == first
    assert keys("new", "--dev-eui", EUI, "--replace", *STORE).exit_code == 0
    assert key_of(folder) != first


def test_the_store_of_a_configuration_is_found(folder: Path) -> None:
    (folder / "siel.toml").write_text(CONFIG)
    assert keys("new", "--dev-eui", EUI).exit_code == 0
    assert (folder / "data" / "keys.store").exists()
    assert (folder / "keys.key").exists()
    assert EUI in keys("list", "--config", "siel.toml").stdout


def test_a_lost_key_file_is_not_replaced(folder: Path) -> None:
    keys("new", "--dev-eui", EUI, *STORE)
    (folder / "k").unlink()
    result = keys("new", "--dev-eui", "1" * 16, *STORE)
    assert result.exit_code == 2
    assert "bring the key file back" in result.stderr
    assert not (folder / "k").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--store", "s"),
        ("list", "--key-file", "k"),
        ("list", "--config", "none.toml"),
        ("list", "--config", "none.toml", *STORE),
        ("list", *STORE),
        ("new", *STORE),
        ("new", "--dev-eui", "12", *STORE),
        ("import",),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(arguments: tuple[str, ...]) -> None:
    result = keys(*arguments)
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert "Traceback" not in result.output


def test_a_store_that_is_none_is_told(folder: Path) -> None:
    keys("new", "--dev-eui", EUI, *STORE)
    (folder / "s").write_bytes(b"x" * 100)
    result = keys("list", *STORE)
    assert result.exit_code == 2
    assert "not a key store" in result.stderr


OPENING = """
import ctypes, resource, sys
from siel_gateway.keystore import KeyStore
from siel_tools.main import main

open_with = KeyStore.open_with

def opening(*arguments):
    get_dumpable = 3
    dumpable = ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0)
    print("opening", dumpable, *resource.getrlimit(resource.RLIMIT_CORE), flush=True)
    return open_with(*arguments)

KeyStore.open_with = opening
main()
"""


@pytest.mark.parametrize(
    "arguments", [("keys", "new", "--dev-eui", "1" * 16), ("keys", "list"), ("gateway", "check"), ("gateway", "run")]
)
def test_no_core_dump_can_carry_a_key_from_the_moment_the_store_is_opened(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    (folder / "siel.toml").write_text(f'{CONFIG}[[device]]\ndev_eui = "{"9" * 16}"\ncodec = "siel/climate"\n')
    assert keys("new", "--dev-eui", EUI).exit_code == 0
    ended = subprocess.run([sys.executable, "-c", OPENING, *arguments], capture_output=True, text=True, check=False)
    assert "opening 0 0 0" in ended.stdout.splitlines(), ended.stderr
