"""What the machine lacks is told with the line that asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from siel_gateway import config, keystore
from siel_gateway.keystore import KeyStore
from siel_gateway.preflight import Preflight

GATEWAY = '[gateway]\nid = "0016c001f1500812"\n'
RADIO = '[[radio]]\nkind = "semtech-udp"\n'
DEVICE = '[[device]]\ndev_eui = "70b3d57ed0001a2b"\ncodec = "siel/water_level"\n'
OTHER = DEVICE.replace("1a2b", "1a2c")


@pytest.fixture
def port() -> Iterator[str]:
    near, far = os.openpty()
    yield os.ttyname(far)
    os.close(near)
    os.close(far)


def look(folder: Path, text: str, **environ: str) -> Preflight:
    (folder / "siel.toml").write_text(text)
    return Preflight(config.load(folder / "siel.toml"), environ)


def told(preflight: Preflight) -> list[tuple[str, int, str]]:
    return [(Path(fault.file).name, fault.line, fault.key) for fault in preflight.faults]


def make_keys(folder: Path, *dev_euis: str) -> None:
    store = KeyStore.create(folder / "data" / "keys.store", keystore.create_key_file(folder / "keys.key"))
    for dev_eui in dev_euis:
        store.new(dev_eui, "0" * 16)
    store.save()


def test_a_gateway_without_devices_needs_nothing(tmp_path: Path) -> None:
    preflight = look(tmp_path, GATEWAY + RADIO)
    assert preflight.faults == []
    assert preflight.key_store is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["siel.toml"]  # looking makes nothing


def test_a_serial_port_must_be_there_and_be_one(tmp_path: Path, port: str) -> None:
    head = '[[radio]]\nname = "{0}"\nkind = "serial-head"\nport = "{1}"\n'
    (tmp_path / "file").write_text("")
    text = GATEWAY + head.format("a", port) + head.format("b", tmp_path / "none") + head.format("c", tmp_path / "file")
    preflight = look(tmp_path, text + head.format("d", "socket://127.0.0.1:1"))
    assert told(preflight) == [("siel.toml", 10, "radio[1].port"), ("siel.toml", 14, "radio[2].port")]
    assert "No such file" in preflight.faults[0].text
    assert "not a serial port" in preflight.faults[1].text


def test_a_device_needs_its_key(tmp_path: Path) -> None:
    make_keys(tmp_path, "70b3d57ed0001a2b")
    preflight = look(tmp_path, GATEWAY + RADIO + DEVICE)
    assert preflight.faults == []
    assert preflight.key_store is not None
    assert preflight.key_store.get("70b3d57ed0001a2b") is not None
    preflight = look(tmp_path, GATEWAY + RADIO + DEVICE + OTHER)
    assert told(preflight) == [("siel.toml", 8, "device[1]")]
    assert "siel keys new --dev-eui 70b3d57ed0001a2c" in preflight.faults[0].text
    assert preflight.key_store is None


def test_a_device_of_the_devices_file_is_told_with_its_own_line(tmp_path: Path) -> None:
    make_keys(tmp_path, "70b3d57ed0001a2b")
    (tmp_path / "d.toml").write_text("\n" + OTHER)
    preflight = look(tmp_path, 'devices = "d.toml"\n' + GATEWAY + RADIO + DEVICE)
    assert told(preflight) == [("d.toml", 2, "device[0]")]


def test_missing_keys_are_told_at_the_key_that_names_them(tmp_path: Path) -> None:
    keys = '[keys]\nkey_file = "k"\nstore = "s"\n'
    assert told(look(tmp_path, GATEWAY + RADIO + DEVICE)) == [("siel.toml", 1, "keys.key_file")]
    assert told(look(tmp_path, GATEWAY + RADIO + DEVICE + keys)) == [("siel.toml", 9, "keys.key_file")]
    keystore.create_key_file(tmp_path / "k")
    assert told(look(tmp_path, GATEWAY + RADIO + DEVICE + keys)) == [("siel.toml", 10, "keys.store")]
    credential = look(tmp_path, GATEWAY + RADIO + DEVICE + '[keys]\ncredential = "siel"\n')
    assert told(credential) == [("siel.toml", 9, "keys.credential")]


def test_a_credential_opens_the_store(tmp_path: Path) -> None:
    make_keys(tmp_path, "70b3d57ed0001a2b")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "keys.key").rename(tmp_path / "credentials" / "siel")
    text = GATEWAY + RADIO + DEVICE + '[keys]\ncredential = "siel"\n'
    assert look(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path / "credentials")).faults == []


def test_passwords_and_certificates_are_looked_for(tmp_path: Path) -> None:
    text = (
        GATEWAY
        + RADIO
        + '[[sink]]\nkind = "mqtt"\nurl = "mqtts://me@b"\npassword = { env = "PW" }\ntls = { ca = "c" }\n'
    )
    assert told(look(tmp_path, text)) == [("siel.toml", 8, "sink[0].password"), ("siel.toml", 9, "sink[0].tls")]
    assert told(look(tmp_path, text, PW="x")) == [("siel.toml", 9, "sink[0].tls")]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = GATEWAY + 'data_dir = "file/data"\n' + RADIO
    assert told(look(tmp_path, text)) == [("siel.toml", 3, "gateway.data_dir")]


CODEC = '[[codec]]\nname = "vendor/device"\nkind = "{0}"\nfile = "{1}"\n'


def test_codecs_of_the_users_own_that_are_right_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "codecs.d" / "my").mkdir(parents=True)
    (tmp_path / "codecs.d" / "my" / "rain.toml").write_text(SCHEMA)
    (tmp_path / "device.js").write_text("function decodeUplink(input) {}")
    (tmp_path / "device.toml").write_text(SCHEMA)
    other = CODEC.format("schema", "device.toml").replace("vendor", "other")
    assert look(tmp_path, GATEWAY + RADIO + CODEC.format("js", "device.js") + other).faults == []


SCHEMA = 'title = "Rain"\n[[uplink]]\nf_port = 1\nfield = [{ name = "rain", type = "u8" }]\n'


def test_a_wrong_schema_is_told_with_its_own_file_line_and_field(tmp_path: Path) -> None:
    folder = tmp_path / "codecs.d" / "my"
    folder.mkdir(parents=True)
    (folder / "rain.toml").write_text(SCHEMA.replace("u8", "u99"))
    (folder / "two.toml").write_text('title = "a"\ntitle = "b"\n')
    (tmp_path / "device.toml").write_text(SCHEMA + "tyle = 1\n")
    preflight = look(tmp_path, GATEWAY + RADIO + CODEC.format("schema", "device.toml"))
    files = {Path(fault.file).name: (fault.line, fault.key, fault.text) for fault in preflight.faults}
    assert sorted(files) == ["device.toml", "rain.toml", "two.toml"]
    line, key, text = files["rain.toml"]
    assert line == 4
    assert "field[0]" in key
    assert "1 to 32 bits" in text
    assert files["two.toml"][0] == 2
    assert "tyle" in files["device.toml"][1] + files["device.toml"][2]
    assert sorted(preflight.harmless) == preflight.faults


def test_a_wrong_codec_is_harmless_as_long_as_no_device_here_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "codecs.d" / "my"
    folder.mkdir(parents=True)
    (folder / "rain.toml").write_text(SCHEMA.replace("u8", "u99"))
    (folder / "snow.toml").write_text(SCHEMA.replace("u8", "u99"))
    device = '[[device]]\ndev_eui = "70b3d57ed0001a2b"\ncodec = "my/rain"\n'
    preflight = look(tmp_path, GATEWAY + RADIO + device)
    wrong = [fault for fault in preflight.faults if fault.file.endswith(("rain.toml", "snow.toml"))]
    assert {Path(fault.file).name for fault in wrong} == {"rain.toml", "snow.toml"}
    assert [Path(fault.file).name for fault in preflight.harmless] == ["snow.toml"]


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("js", None, "cannot read the file"),
        ("js", "function decodeUplink( {", "SyntaxError"),
        ("js", "var nothing", "none of the functions"),
        ("js", "function encodeDownlink() {}", "decodes no uplinks: it has encodeDownlink and none of decodeUplink"),
        ("js", "var other = require('./other')", "must be one file"),
        ("js", "import other from './other.js'; export default other", "must be one file"),
        ("js", "while (true) ;", "interrupted|stopped"),
        ("js", "x" * (1 << 20) + "y", "more than 1048576 bytes"),
        ("schema", None, "cannot be read"),
    ],
)
def test_a_codec_that_cannot_be_used_is_told(tmp_path: Path, kind: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "device.js").write_text(text)
    (fault,) = look(tmp_path, GATEWAY + RADIO + CODEC.format(kind, "device.js")).faults
    if kind == "js":
        assert (Path(fault.file).name, fault.line, fault.key) == ("siel.toml", 8, "codec[0].file")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(fault.text)


def test_whatever_lies_in_codecs_d_is_told_and_stops_no_check(tmp_path: Path) -> None:
    folder = tmp_path / "codecs.d" / "my"
    (folder / "folder.toml").mkdir(parents=True)
    (folder / "link.toml").symlink_to("nowhere.toml")
    (folder / "loop.toml").symlink_to("loop.toml")
    os.mkfifo(folder / "pipe.toml")
    (folder.parent / "lost").symlink_to("lost")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "wrong.toml").write_text("title = ")
    (folder.parent / "linked").symlink_to(tmp_path / "elsewhere")
    faults = look(tmp_path, GATEWAY + RADIO).faults
    told = [(Path(fault.file).relative_to(folder.parent).as_posix(), fault.text) for fault in faults]
    said = {
        "linked/wrong.toml": "not TOML",
        "my/folder.toml": "cannot be read: Is a directory",
        "my/link.toml": "cannot be read: No such file",
        "my/loop.toml": "cannot be read: Too many levels",
        "my/pipe.toml": "cannot be read: not a regular file",
    }
    assert said.keys() == dict(told).keys()
    assert all(said[file] in text for file, text in told)


@pytest.mark.parametrize("what", ["file", "link"])
def test_codecs_d_that_is_no_folder_is_told(tmp_path: Path, what: str) -> None:
    place = tmp_path / "codecs.d"
    if what == "file":
        place.touch()
    else:
        place.symlink_to("codecs.d")
    (fault,) = look(tmp_path, GATEWAY + RADIO).faults
    assert fault.file == str(place)
    assert "make it a folder" in fault.text


def test_a_file_in_codecs_d_that_no_device_can_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "codecs.d" / "My").mkdir(parents=True)
    (tmp_path / "codecs.d" / "My" / "rain.toml").write_text(SCHEMA)
    (tmp_path / "codecs.d" / "rain.toml").write_text(SCHEMA)
    faults = look(tmp_path, GATEWAY + RADIO).faults
    assert [Path(fault.file).relative_to(tmp_path).as_posix() for fault in faults] == [
        "codecs.d/My/rain.toml",
        "codecs.d/rain.toml",
    ]
    assert all("vendor/device.toml" in fault.text for fault in faults)
