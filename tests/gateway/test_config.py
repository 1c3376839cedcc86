"""siel.toml: defaults, every fault at once with its line, and never anything but a ConfigError."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_gateway import config
from siel_gateway.config import Config, MqttSink, SemtechUdpRadio, SerialHeadRadio
from siel_gateway.errors import ConfigError

FILE = Path("/etc/siel/siel.toml")
GATEWAY = '[gateway]\nid = "0016c001f1500812"\n'
RADIO = '[[radio]]\nkind = "serial-head"\nport = "/dev/ttyACM0"\n'
MINIMAL = GATEWAY + RADIO  # lines 1 and 2, 3 to 5
DEVICE = '[[device]]\ndev_eui = "70b3d57ed0001a2b"\ncodec = "siel/water_level"\n'


def parse(text: str) -> Config:
    return config.parse(text, FILE)


def faults(text: str) -> list[str]:
    """Every fault as ``line key: text``."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert {fault.file for fault in caught.value.faults} == {str(FILE)}
    return [f"{fault.line} {fault.key}: {fault.text}" for fault in caught.value.faults]


# -- what is right


def test_an_identity_and_a_radio_are_enough() -> None:
    minimal = parse(MINIMAL)
    assert minimal.gateway.id == "0016c001f1500812"
    assert minimal.gateway.data_dir == Path("/etc/siel/data")
    assert minimal.keys.store == Path("/etc/siel/data/keys.store")
    assert minimal.keys.key_file == Path("/etc/siel/keys.key")
    assert (minimal.upstreams, minimal.sinks, minimal.devices, minimal.http) == ((), (), (), None)
    assert (minimal.edge.net_id, minimal.edge.rx1_delay_s, minimal.edge.adr) == (1, 1, True)
    assert minimal.journal.sync == "normal"
    radio = minimal.radios[0]
    assert isinstance(radio, SerialHeadRadio)
    assert (radio.name, radio.baud) == ("serial-head", 115_200)
    assert radio.channels[0].pairs() == {(868_100_000, 7, 125_000)}


@pytest.mark.parametrize("form", ["0016C001F1500812", "00-16-c0-01-f1-50-08-12", "00:16:C0:01:F1:50:08:12"])
def test_an_eui_may_be_written_in_any_form(form: str) -> None:
    assert parse(MINIMAL.replace("0016c001f1500812", form)).gateway.id == "0016c001f1500812"


def test_a_concentrator_has_eight_channels_and_the_gateways_identity_unless_told_otherwise() -> None:
    one = parse(GATEWAY + '[[radio]]\nkind = "semtech-udp"\n').radios[0]
    assert isinstance(one, SemtechUdpRadio)
    assert one.gateway_id == "0016c001f1500812"
    assert one.bind == ("127.0.0.1", 1700)
    assert [channel.frequency_hz for channel in one.channels] == [
        868_100_000,
        868_300_000,
        868_500_000,
        867_100_000,
        867_300_000,
        867_500_000,
        867_700_000,
        867_900_000,
    ]
    assert {channel.spreading_factors for channel in one.channels} == {(7, 8, 9, 10, 11, 12)}


def test_three_heads_that_say_nothing_hear_three_of_eighteen_join_pairs() -> None:
    heads = "".join(f'[[radio]]\nname = "h{n}"\nkind = "serial-head"\nport = "/dev/ttyACM{n}"\n' for n in range(3))
    assert parse(GATEWAY + heads).join_pairs_heard() == {
        (hz, 7, 125_000) for hz in (868_100_000, 868_300_000, 868_500_000)
    }
    assert len(config.JOIN_PAIRS) == 18  # three channels times DR0 to DR5
    assert len(parse(GATEWAY + '[[radio]]\nkind = "semtech-udp"\n').join_pairs_heard()) == len(config.JOIN_PAIRS)


def test_a_concentrators_channel_may_name_one_several_or_all_spreading_factors() -> None:
    text = GATEWAY + (
        '[[radio]]\nkind = "semtech-udp"\nchannels = [\n'
        "{ frequency_hz = 868300000, spreading_factor = 7, bandwidth_hz = 250000 },"
        " { frequency_hz = 868100000, spreading_factor = [12, 9] }, { frequency_hz = 867100000 }]\n"
    )
    assert [channel.spreading_factors for channel in parse(text).radios[0].channels] == [
        (7,),
        (9, 12),
        (7, 8, 9, 10, 11, 12),
    ]


def test_relative_paths_count_from_the_file_and_absolute_ones_stay() -> None:
    text = MINIMAL.replace("[[radio]]", 'data_dir = "../var"\n[keys]\nstore = "/srv/s"\nkey_file = "k"\n[[radio]]', 1)
    read = parse(text)
    assert read.gateway.data_dir == Path("/etc/siel/../var")
    assert (read.keys.store, read.keys.key_file) == (Path("/srv/s"), Path("/etc/siel/k"))


def test_a_credential_takes_the_place_of_the_key_file() -> None:
    keys = parse(MINIMAL + '[keys]\ncredential = "siel"\n').keys
    assert (keys.key_file, keys.credential) == (None, "siel")


def test_a_broker_with_user_and_password_file() -> None:
    sink = parse(MINIMAL + '[[sink]]\nkind = "mqtt"\nurl = "mqtts://m%40e@broker"\npassword = { file = "pw" }\n').sinks[
        0
    ]
    assert isinstance(sink, MqttSink)
    assert (sink.address, sink.username, sink.uses_tls) == (("broker", 8883), "m@e", True)
    assert sink.password is not None
    assert sink.password.file == Path("/etc/siel/pw")


@pytest.mark.parametrize(
    ("url", "extra", "allowed"),
    [
        ("udp://127.0.0.1:1700", "", True),
        ("udp://localhost:1700", "", True),
        ("udp://[::1]:1700", "", True),
        ("udp://ns.example:1700", "", False),
        ("udp://127.0.0.1.example:1700", "", False),
        ("udp://ns.example:1700", "allow_unauthenticated_downlink = true\n", True),
        ("udp://127.0.0.1:1700", "uplink_only = true\n", False),
    ],
)
def test_who_may_send_a_downlink_without_proving_who_he_is(url: str, extra: str, allowed: bool) -> None:
    upstream = parse(MINIMAL + f'[[upstream]]\nkind = "semtech-udp"\nurl = "{url}"\n{extra}').upstreams[0]
    assert upstream.downlink_allowed is allowed


def test_a_device_has_a_name_even_when_nobody_gave_it_one() -> None:
    device = parse(MINIMAL + DEVICE).devices[0]
    assert (device.name, device.home, device.device_class) == ("70b3d57ed0001a2b", "edge", "A")
    assert parse(MINIMAL + DEVICE + 'name = "Löschteich 3"\n').devices[0].name == "Löschteich 3"


def test_devices_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "siel.toml").write_text(f'devices = "devices.toml"\n{MINIMAL}')
    (tmp_path / "devices.toml").write_text(DEVICE)
    assert [device.dev_eui for device in config.load(tmp_path / "siel.toml").devices] == ["70b3d57ed0001a2b"]


# -- what is wrong: the broken text, then every fault in it

EUI_TEXT = 'must be an EUI-64: 16 hex digits, like "0016c001f1500812"'
LATER_UPSTREAM = ' is not in this version; take the table out, or use "semtech-udp"'
INLINE = 'a secret must not stand in this file; write { file = "..." }, { env = "..." } or { credential = "..." }'
CODEC_NAME = "must be vendor/device: lower-case letters, digits, dashes and underscores, and one slash"

BROKEN = [
    ("a = \n", ["1 : this is not TOML: Invalid value (at line 1, column 5)"]),
    (MINIMAL + "x = [1,", ["6 : this is not TOML: Invalid value (at end of document)"]),
    (
        MINIMAL + "[gateway]\n",
        ["6 : this is not TOML: Cannot declare ('gateway',) twice (at line 6, column 9)"],
    ),
    (
        "",
        [
            '1 gateway.id: is missing; write it, like id = "0016c001f1500812" (an EUI-64 that no other gateway has)',
            "1 radio: there is no radio; write at least one [[radio]]",
        ],
    ),
    (
        "gateway = 3\nradio = 4\n",
        ["1 gateway: must be a table: write [gateway]", "2 radio: must be an array of tables: write [[radio]]"],
    ),
    ('[gateway]\nid = "0016"\n' + RADIO, [f"2 gateway.id: {EUI_TEXT}"]),
    ("[gateway]\nid = 16\n" + RADIO, ["2 gateway.id: must be a text in quotes"]),
    (
        GATEWAY + 'nme = "x"\nregion = "US915"\n' + RADIO,
        ['3 gateway.nme: is not a key of this table; do you mean "name"?', "4 gateway.region: must be 'EU868'"],
    ),
    (
        MINIMAL + "[jornal]\n",
        ['6 jornal: is not a key of this table; do you mean "journal"?'],
    ),
    (
        GATEWAY + "location = { latitude = 91, longitude = nan, height = 1 }\n" + RADIO,
        [
            "3 gateway.location.height: is not a key of this table. Known: altitude_m, latitude, longitude",
            "3 gateway.location.latitude: must be at most 90.0",
            "3 gateway.location.longitude: must be a number",
        ],
    ),
    (
        GATEWAY + '[[radio]]\n[[radio]]\nkind = "lora"\n[[radio]]\nkind = 3\n',
        [
            '3 radio[0].kind: is missing; write one of "serial-head", "semtech-udp"',
            '5 radio[1].kind: is none of "serial-head", "semtech-udp"',
            '7 radio[2].kind: is none of "serial-head", "semtech-udp"',
        ],
    ),
    (
        GATEWAY + '[[radio]]\nkind = "serial-head"\nbaud = true\n',
        [
            '3 radio[0].port: is missing; write it, like port = "/dev/serial/by-id/..."',
            "5 radio[0].baud: must be a whole number",
        ],
    ),
    (
        MINIMAL
        + "channels = [\n"
        + "  { frequency_hz = 868300000 },\n"
        + "  { frequency_hz = 868300000, spreading_factor = [7, 8] },\n"
        + "  { frequency_hz = 868650000 },\n"
        + "  { frequency_hz = 1, spreading_factor = 13, bandwith_hz = 125000 },\n]\n",
        [
            "8 radio[0].channels[1]: a chip of a head hears one spreading factor; write one number from 7 to 12",
            "9 radio[0].channels[2]: 868650000 Hz with 125000 Hz bandwidth is not inside a band of EU868",
            '10 radio[0].channels[3].bandwith_hz: is not a key of this table; do you mean "bandwidth_hz"?',
            "10 radio[0].channels[3].frequency_hz: must be at least 863000000",
            "10 radio[0].channels[3].spreading_factor[0]: must be at most 12",
        ],
    ),
    (
        MINIMAL + "channels = []\n",
        ["6 radio[0].channels: the number of entries must be at least 1"],
    ),
    (
        MINIMAL + "channels = [" + "{ frequency_hz = 868300000 }," * 5 + "]\n",
        ["6 radio[0].channels: the number of entries must be at most 4"],
    ),
    (
        GATEWAY
        + '[[radio]]\nkind = "semtech-udp"\nbind = "1700"\n'
        + "channels = [{ frequency_hz = 868300000, bandwidth_hz = 250000 }]\n",
        [
            '5 radio[0].bind: must be host and port, like "127.0.0.1:1700"',
            "6 radio[0].channels[0]: EU868 has no data rate with SF8 at 250000 Hz",
        ],
    ),
    (
        MINIMAL + RADIO,
        [
            "6 radio[1].name: is used already at radio[0]; give each its own",
            "8 radio[1].port: is used already at radio[0]; give each its own",
        ],
    ),
    (
        GATEWAY + '[[radio]]\nkind = "semtech-udp"\n[[radio]]\nkind = "semtech-udp"\nname = "b"\n',
        [
            "5 radio[1].bind: is used already at radio[0]; give each its own",
            "5 radio[1].gateway_id: is used already at radio[0]; give each its own",
        ],
    ),
    (
        MINIMAL + '[[upstream]]\nkind = "semtech-udp"\n[[upstream]]\nkind = "semtech-udp"\nurl = "https://a:1"\n'
        '[[upstream]]\nkind = "semtech-udp"\nname = "c"\nurl = "udp://a"\ntls = { ca = "x" }\n',
        [
            '6 upstream[0].url: is missing; write it, like url = "udp://127.0.0.1:1700"',
            "10 upstream[1].url: must be a URL with one of udp://, a host, and nothing behind the port",
            "14 upstream[2].url: must name a port, like udp://host:1700",
        ],
    ),
    (
        MINIMAL + '[[upstream]]\nkind = "semtech-udp"\nurl = "udp://a:1"\ntls = { ca = "x" }\n',
        ["9 upstream[0].tls: udp:// does not use this; take it out"],
    ),
    (
        MINIMAL + '[[upstream]]\nkind = "basics-station"\n[[upstream]]\nkind = "chirpstack-mqtt"\n'
        '[[upstream]]\nkind = "semtech-udp"\nurl = "udp://a:1"\nreplay = "on-reconnect"\n'
        'filter = { homes = ["state"] }\n',
        [
            '7 upstream[0].kind: kind "basics-station"' + LATER_UPSTREAM,
            '9 upstream[1].kind: kind "chirpstack-mqtt"' + LATER_UPSTREAM,
            '13 upstream[2].replay: "on-reconnect" is not in this version; use "never"',
            "14 upstream[2].filter: is not in this version; take it out",
        ],
    ),
    (
        MINIMAL + '[[source]]\nkind = "tts-app"\n[http]\nbind = "x"\n',
        [
            '7 source[0].kind: kind "tts-app" is not in this version; take the table out',
            "8 http: this table is not in this version; take it out",
            '9 http.bind: must be host and port, like "127.0.0.1:1700"',
        ],
    ),
    (
        MINIMAL
        + '[[codec]]\nkind = "js"\n[[codec]]\nkind = "lua"\n[[codec]]\nname = "a/b"\nkind = "js"\nfile = "x.js"\n'
        '[[codec]]\nname = "a/b"\nkind = "schema"\nfile = "x.toml"\n'
        '[[codec]]\nname = "B"\nkind = "js"\nfile = "y"\nport = 1\n',
        [
            '6 codec[0].file: is missing; write it, like file = "codecs/device.js"',
            '6 codec[0].name: is missing; write it, like name = "vendor/device", which devices then have as codec',
            '9 codec[1].kind: is none of "schema", "js"',
            "15 codec[3].name: is used already at codec[2]; give each its own",
            f"19 codec[4].name: {CODEC_NAME}",
            "22 codec[4].port: is not a key of this table. Known: file, kind, name",
        ],
    ),
    (
        MINIMAL
        + '[[sink]]\nkind = "csv"\n[[sink]]\nkind = "mqtt"\nurl = "mqtt://a"\nformat = "senml-cbor"\npolicy = "p"\n',
        [
            '7 sink[0].kind: kind "csv" is not in this version; take the table out, or use "console", "mqtt"',
            '11 sink[1].format: "senml-cbor" is not in this version; use "json"',
            "12 sink[1].policy: is not in this version; take it out",
        ],
    ),
    (
        MINIMAL + '[[sink]]\nkind = "mqtt"\nurl = "mqtt://me:hunter2@a"\npassword = "hunter2"\n',
        [
            '8 sink[0].url: a password must not stand in a URL; write password = { file = "..." }',
            f"9 sink[0].password: {INLINE}",
        ],
    ),
    (
        MINIMAL + '[[sink]]\nkind = "mqtt"\nurl = "mqtt://a"\npassword = { env = "A", file = "b" }\n',
        ["9 sink[0].password: must have exactly one of file, env, credential"],
    ),
    (
        MINIMAL + '[[sink]]\nkind = "mqtt"\nurl = "mqtt://a"\npassword = { env = "A" }\n'
        'tls = { cert = "c", token_file = "t" }\n',
        [
            "8 sink[0].url: a password needs a user name: write mqtts://name@host",
            "10 sink[0].tls: cert and key belong together; write both or none",
            "10 sink[0].tls: mqtt:// does not use this; take it out",
            "10 sink[0].tls.token_file: mqtts:// does not use this; take it out",
        ],
    ),
    (
        MINIMAL + '[keys]\nkey_file = "k"\ncredential = "c"\nstore = 3\n',
        [
            "8 keys.credential: write key_file or credential, not both",
            "9 keys.store: must be a path, as text",
        ],
    ),
    (
        MINIMAL + '[edge]\nnet_id = "00001"\nrx1_delay_s = 16\nadr = 1\n',
        [
            '7 edge.net_id: must be a NetID: 6 hex digits, like "000001"',
            "8 edge.rx1_delay_s: must be at most 15",
            "9 edge.adr: must be true or false",
        ],
    ),
    (
        MINIMAL + DEVICE + 'home = "state"\nactivation = "abp"\nclass = "C"\nmac_version = "1.1.0"\npolicy = "p"\n',
        [
            '9 device[0].home: "state" is not in this version; use "edge"',
            '10 device[0].activation: "abp" is not in this version; use "otaa"',
            '11 device[0].class: "C" is not in this version; use "A"',
            '12 device[0].mac_version: "1.1.0" is not in this version; use "1.0.2", "1.0.3", "1.0.4"',
            "13 device[0].policy: is not in this version; take it out",
        ],
    ),
    (
        MINIMAL + DEVICE + DEVICE.replace("70b3", "70B3"),
        ["10 device[1].dev_eui: is used already at device[0]; give each its own"],
    ),
    (
        MINIMAL + DEVICE.replace("water_level", "water_levl") + '[[device]]\ndev_eui = "1"\ncodec = "a/b"\n',
        [
            '8 device[0].codec: there is no codec "siel/water_levl". Do you mean "siel/water_level"?',
            f"10 device[1].dev_eui: {EUI_TEXT}",
        ],
    ),
    (
        'devices = "nowhere.toml"\n' + MINIMAL,
        ["1 devices: there is no file /etc/siel/nowhere.toml; write it, or take this key out"],
    ),
    ("devices = 3\n" + MINIMAL, ["1 devices: must be a path, as text"]),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_every_fault_is_told_at_once_with_its_line(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_a_fault_never_repeats_a_value() -> None:
    text = MINIMAL + '[[sink]]\nkind = "mqtt"\nurl = "mqtt://me:hunter2@a/hunter2"\npassword = "hunter2"\n'
    assert "hunter2" not in "".join(faults(text))


def test_faults_of_the_devices_file_name_that_file(tmp_path: Path) -> None:
    (tmp_path / "siel.toml").write_text(f'devices = "d.toml"\n{MINIMAL}{DEVICE}')
    (tmp_path / "d.toml").write_text(f'x = 1\n{DEVICE}\n[[device]]\ndev_eui = "1"\ncodec = "siel/climate"\n')
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "siel.toml")
    own = str(tmp_path / "d.toml")
    assert [(fault.file, fault.line, fault.key) for fault in caught.value.faults] == [
        (own, 1, "x"),
        (own, 3, "device[0].dev_eui"),
        (own, 7, "device[1].dev_eui"),
    ]
    assert str(tmp_path / "siel.toml") in caught.value.faults[1].text
    (tmp_path / "d.toml").write_text("[[device]\n")
    with pytest.raises(ConfigError, match=re.escape(f"{own}:1: this is not TOML")):
        config.load(tmp_path / "siel.toml")


@pytest.mark.parametrize(
    ("data", "line", "text"),
    [
        (b"a = 1\nb = '\xff'\n", 2, "UTF-8"),
        (b"a = " + b"[" * 20_000, 1, "TOML"),
        (b"a = " + b"1" * 5_000, 1, "TOML"),
        (b"a = 1\0", 1, "TOML"),
    ],
)
def test_a_file_that_is_no_text_or_no_sane_toml(tmp_path: Path, data: bytes, line: int, text: str) -> None:
    (tmp_path / "siel.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=text) as caught:
        config.load(tmp_path / "siel.toml")
    assert [fault.line for fault in caught.value.faults] == [line]


def test_a_missing_file_or_a_folder_is_a_fault(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot read the file"):
            config.load(path)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_is_read_up_to_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: int) -> None:
    path = tmp_path / "siel.toml"
    path.write_text(MINIMAL)
    monkeypatch.setattr("siel_gateway.config_files.MAX_FILE_BYTES", len(MINIMAL) - extra)
    if extra:
        with pytest.raises(ConfigError, match="more than"):
            config.load(path)
    else:
        assert config.load(path).gateway.id == "0016c001f1500812"


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_no_bytes_crash_it(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse(data.decode("utf-8", "replace"))


WORDS = [
    "gateway",
    "keys",
    "radio",
    "upstream",
    "source",
    "sink",
    "edge",
    "device",
    "devices",
    "codec",
    "journal",
    "http",
    "id",
    "name",
    "kind",
    "url",
    "bind",
    "port",
    "channels",
    "frequency_hz",
    "spreading_factor",
    "tls",
    "password",
    "store",
    "data_dir",
    "location",
    "serial-head",
    "semtech-udp",
    "mqtt",
]
SCALARS = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats(),
    st.sampled_from([*WORDS, "udp://[", "mqtt://a:b", "udp://a:99999", "0016c001f1500812", "a\0b"]).map(repr),
)
TREES = st.recursive(
    SCALARS.map(lambda value: value if isinstance(value, str) else str(value).lower().replace("e+", "e")),
    lambda below: st.one_of(
        st.lists(below, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.dictionaries(st.sampled_from(WORDS), below, max_size=4).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(WORDS), TREES, max_size=5))
def test_no_shape_of_tables_crashes_it(tree: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("".join(f"{key} = {value}\n" for key, value in tree.items()))
    assert caught.value.faults


def test_a_device_may_have_a_codec_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "codecs.d" / "my").mkdir(parents=True)
    (tmp_path / "codecs.d" / "my" / "rain.toml").write_text("")
    codec = '[[codec]]\nname = "vendor/device"\nkind = "js"\nfile = "js/device.js"\n'
    devices = DEVICE.replace("siel/water_level", "my/rain") + DEVICE.replace(
        "siel/water_level", "vendor/device"
    ).replace("1a2b", "1a2c")
    loaded = config.parse(MINIMAL + codec + devices, tmp_path / "siel.toml")
    assert [device.codec for device in loaded.devices] == ["my/rain", "vendor/device"]
    assert [(own.name, own.kind, own.file) for own in loaded.codecs] == [
        ("vendor/device", "js", tmp_path / "js" / "device.js")
    ]
    assert loaded.codec_folder == tmp_path / "codecs.d"
