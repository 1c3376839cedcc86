"""Codecs by name: the package's, a user's own folders, other names of one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from siel_codecs import registry as module
from siel_codecs.errors import SchemaError, UnknownCodecError
from siel_codecs.registry import PACKAGE_FOLDER, Registry
from siel_codecs.schema.below import static_bits
from siel_codecs.schema.to_micropython import emit_encoder

SMALLEST = """\
title = "A test"
[[uplink]]
f_port = 7
field = [{ name = "level", type = "u16", scale = 0.1, unit = "cm" }]
"""


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_folder_of_one_s_own_comes_before_the_package_s(tmp_path: Path) -> None:
    put(tmp_path, "siel/climate", SMALLEST)
    put(tmp_path, "mine/pond", SMALLEST)
    put(tmp_path, "mine/Not A Name", SMALLEST)
    (tmp_path / "mine" / "folder.toml").mkdir()
    registry = Registry([tmp_path, tmp_path / "missing"])
    own = {"mine/pond", "mine/folder"}
    assert set(registry.names()) == own | set(Registry().names())
    assert registry.names() == sorted(registry.names())
    assert registry.device("siel/climate").title == "A test"
    assert registry.device("mine/pond") is registry.device("mine/pond")
    with pytest.raises(SchemaError, match="Is a directory"):
        registry.device("mine/folder")


def test_a_codec_of_one_s_own_decodes(tmp_path: Path) -> None:
    put(tmp_path, "mine/pond", SMALLEST)
    registry = Registry([tmp_path])
    assert registry.load("mine/pond") is registry.load("mine/pond")
    assert registry.load("mine/pond").decode(7, bytes.fromhex("0064")).data == {"level": 10.0}
    assert registry.load("mine/pond").name == "mine/pond"


@pytest.mark.parametrize("target", ["nowhere.toml", "pond.toml"])
def test_a_link_that_leads_nowhere_is_a_wrong_file(tmp_path: Path, target: str) -> None:
    (tmp_path / "siel").mkdir()
    (tmp_path / "siel" / "pond.toml").symlink_to(target)
    with pytest.raises(SchemaError, match=r"pond\.toml: cannot be read"):
        Registry([tmp_path]).device("siel/pond")


def test_a_wrong_file_touches_no_other(tmp_path: Path) -> None:
    put(tmp_path, "mine/bad", "title = ")
    (tmp_path / "mine" / "binary.toml").write_bytes(b"\xff\x00")
    put(tmp_path, "siel/climate", "title = 5")
    put(tmp_path, "mine/good", SMALLEST)
    registry = Registry([tmp_path])
    assert {"mine/bad", "mine/good", "mine/binary"} <= set(registry.names())
    assert registry.device("mine/good").name == "mine/good"
    assert registry.device("siel/water_level").name == "siel/water_level"
    for name in ("mine/bad", "mine/binary", "siel/climate"):
        for _ in range(2):
            with pytest.raises(SchemaError, match=name):
                registry.device(name)
        with pytest.raises(SchemaError, match=name):
            registry.load(name)


def test_a_new_registry_sees_new_files_and_an_old_one_stays_as_it_was(tmp_path: Path) -> None:
    put(tmp_path, "mine/pond", SMALLEST)
    old = Registry([tmp_path])
    assert old.device("mine/pond").title == "A test"
    assert "mine/rain" not in old.names()
    put(tmp_path, "mine/rain", SMALLEST)
    put(tmp_path, "mine/pond", SMALLEST.replace("A test", "Changed"))
    new = Registry([tmp_path])
    assert "mine/rain" in new.names()
    assert new.device("mine/pond").title == "Changed"
    assert old.device("mine/pond").title == "A test"
    assert "mine/rain" not in old.names()


def test_names_and_devices_need_no_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "siel_codecs.codec", None)  # an import of it fails
    registry = Registry([tmp_path])
    assert "siel/climate" in registry.names()
    assert registry.device("siel/climate").name == "siel/climate"


def test_another_name_is_the_same_codec_under_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, "mine/pond", SMALLEST)
    put(tmp_path, "mine/lake", 'same_as = "mine/pond"\n')
    put(tmp_path, "mine/air", 'same_as = "siel/climate"\n')
    registry = Registry([tmp_path])
    assert registry.device("mine/lake").name == "mine/lake"
    assert registry.device("mine/lake").ports == registry.device("mine/pond").ports
    assert registry.device("mine/air").ports == registry.device("siel/climate").ports


def test_another_name_leads_to_a_schema_or_is_refused(tmp_path: Path) -> None:
    one = put(tmp_path, "mine/one", '# two lines\nsame_as = "mine/two"\n')
    put(tmp_path, "mine/two", 'same_as = "mine/one"\n')
    put(tmp_path, "mine/self", 'same_as = "mine/self"\n')
    out = put(tmp_path, "mine/out", 'same_as = "../../etc/passwd"\n')
    bad = put(tmp_path, "mine/bad", "title = 5\n")
    put(tmp_path, "mine/of_bad", 'same_as = "mine/bad"\n')
    registry = Registry([tmp_path])
    said = {}
    for name in ("mine/one", "mine/self", "mine/out", "mine/of_bad"):
        with pytest.raises(SchemaError) as caught:
            registry.device(name)
        said[name] = str(caught.value)
    assert said["mine/one"] == f"{one}:2: same_as: mine/two is another name of mine/one itself; name that one"
    assert "mine/self is another name of mine/self itself" in said["mine/self"]
    assert said["mine/out"].startswith(f"{out}:1: same_as: no codec is called '../../etc/passwd'")
    assert said["mine/of_bad"].startswith(f"{bad}:1: title: must be text")


@pytest.mark.parametrize(
    "name", ["siel/none", "", "climate", "../siel/climate", "siel/../siel/climate", "siel/climate.toml", "x" * 100_000]
)
def test_an_unknown_name_tells_the_known_ones(name: str) -> None:
    registry = Registry()
    for _ in range(2):
        with pytest.raises(UnknownCodecError) as caught:
            registry.load(name)
        assert caught.value.known == tuple(registry.names())
        assert len(str(caught.value)) < 1000


def test_an_unknown_name_is_answered_with_those_that_look_like_it() -> None:
    few = [f"siel/{n}" for n in range(3)]
    many = [*(f"other/{n}" for n in range(30)), "siel/climate", "siel/rain_gauge"]
    assert str(UnknownCodecError("siel/x", [])) == "no codec is called 'siel/x'; known: none"
    assert str(UnknownCodecError("a/b", few)) == "no codec is called 'a/b'; known: siel/0, siel/1, siel/2"
    assert str(UnknownCodecError("siel/clima", many)) == (
        "no codec is called 'siel/clima'; near: siel/climate (32 are known)"
    )
    assert "near: siel/rain_gauge (32" in str(UnknownCodecError("rain", many))
    assert "none is near (32" in str(UnknownCodecError("zzz/zzz", many))


def test_the_names_that_are_remembered_as_unknown_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_REFUSED", 2)
    registry = Registry()
    for n in range(5):
        with pytest.raises(UnknownCodecError, match=f"no/{n}'"):
            registry.device(f"no/{n}")
    assert len(registry._refused) == 2


def test_the_package_s_own_codecs_have_a_short_way() -> None:
    assert module.names() == Registry().names()
    assert module.load("siel/climate").device == Registry().device("siel/climate")


def test_every_schema_of_the_package_loads() -> None:
    registry = Registry()
    assert len(registry.names()) == len(list(PACKAGE_FOLDER.rglob("*.toml")))
    for name in registry.names():
        device = registry.device(name)
        assert device.name == name
        for _, message in device.uplinks():
            bits = static_bits(message.items)
            assert bits is None or bits > 0


def test_what_a_schema_includes_is_decoded_too_and_left_out_of_its_encoder(tmp_path: Path) -> None:
    put(tmp_path, "mine/pond", SMALLEST.replace("[[uplink]]", 'include = ["siel/diagnostics"]\n[[uplink]]'))
    codec = Registry([tmp_path]).load("mine/pond")
    payload = codec.encode(
        21, {"reset_cause": "watchdog", "uptime": 3, "resets": 1, "missed_windows": 0, "flash_writes": 900}
    )
    assert codec.decode(21, payload).data["reset_cause"] == "watchdog"
    assert codec.decode(7, bytes.fromhex("0064")).data == {"level": 10.0}
    assert [port.included for port in codec.device.ports] == ["", "siel/diagnostics"]
    assert "reset_cause" not in emit_encoder(codec.device)


@pytest.mark.parametrize(
    ("include", "reason"),
    [
        ("nobody/nothing", "nobody/nothing cannot be included: no codec is called"),
        ("mine/bad", "mine/bad cannot be included:"),
        ("siel/weather", "siel/weather cannot be included: it leads to other codecs itself"),
        ("mine/same", "mine/same has port 7, and so has this schema"),
        ("mine/any", "mine/any has port 7, and so has this schema"),
        ("mine/alias", "mine/alias cannot be included: it leads to other codecs itself"),
    ],
)
def test_an_include_that_cannot_be_is_told(tmp_path: Path, include: str, reason: str) -> None:
    put(tmp_path, "mine/pond", SMALLEST.replace("[[uplink]]", f'include = ["{include}"]\n[[uplink]]'))
    put(tmp_path, "mine/same", SMALLEST)
    put(tmp_path, "mine/any", SMALLEST.replace("f_port = 7\n", ""))
    put(tmp_path, "mine/bad", "title = 5")
    put(tmp_path, "mine/alias", 'same_as = "siel/climate"')
    with pytest.raises(SchemaError) as fault:
        Registry([tmp_path]).load("mine/pond")
    assert fault.value.faults[0].field == "include"
    assert fault.value.faults[0].reason.startswith(reason)
