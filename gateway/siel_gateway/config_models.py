"""siel.toml as types: one strict, frozen model per table, with every default in sight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from siel_gateway.config_types import (
    CodecName,
    Decibel,
    Eui,
    FilePath,
    FromList,
    HostPort,
    Location,
    Model,
    Name,
    NetId,
    Secret,
    Title,
    Tls,
    check_url,
    is_loopback,
    url_host_port,
)
from siel_gateway.messages import say
from siel_node.region_eu868 import DATA_RATES, DEFAULT_CHANNELS_HZ, SUB_BANDS, USUAL_CHANNELS_HZ, data_rate, sub_band

MAX_HEAD_CHIPS: Final = 4
MAX_CONCENTRATOR_CHANNELS: Final = 16
BANDWIDTH_HZ: Final = 125_000
ALL_SPREADING_FACTORS: Final = (7, 8, 9, 10, 11, 12)
HEAD_SPREADING_FACTOR: Final = 7
UDP_PORTS: Final = {"udp": 0}
MQTT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
MEBIBYTE: Final = 1 << 20


def codec_folder(file: Path) -> Path:
    """Return the folder of schemas beside the siel.toml at ``file``."""
    return file.absolute().parent / "codecs.d"


def _spreading_factors(value: object) -> object:
    """One number or an array of them becomes a tuple; what else it is, pydantic judges."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


class Channel(Model):
    """A frequency that a radio listens to, and what it can demodulate there.

    In siel.toml ``spreading_factor`` is a number, an array, or absent, which means all from 7 to 12.
    """

    frequency_hz: int = Field(ge=SUB_BANDS[0][0], le=SUB_BANDS[-1][1])
    bandwidth_hz: int = Field(default=BANDWIDTH_HZ, ge=125_000, le=250_000)
    spreading_factors: Annotated[
        tuple[Annotated[int, Field(ge=7, le=12)], ...],
        BeforeValidator(_spreading_factors),
        Field(alias="spreading_factor", min_length=1, max_length=6),
    ] = ALL_SPREADING_FACTORS

    @field_validator("spreading_factors")
    @classmethod
    def _sorted(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(say("value.repeated"))
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _valid_in_eu868(self) -> Self:
        half = self.bandwidth_hz // 2
        band = sub_band(self.frequency_hz)
        inside = band >= 0 and SUB_BANDS[band][0] <= self.frequency_hz - half
        if not inside or self.frequency_hz + half > SUB_BANDS[band][1]:
            raise ValueError(
                say(
                    "value.frequency",
                    frequency_hz=self.frequency_hz,
                    bandwidth_hz=self.bandwidth_hz,
                    region="EU868",
                )
            )
        for spreading_factor in self.spreading_factors:
            if data_rate(spreading_factor, self.bandwidth_hz) < 0:
                raise ValueError(
                    say(
                        "value.data_rate",
                        spreading_factor=spreading_factor,
                        bandwidth_hz=self.bandwidth_hz,
                        region="EU868",
                    )
                )
        return self

    @property
    def spreading_factor(self) -> int:
        """The one spreading factor of a head's chip."""
        return self.spreading_factors[0]

    def pairs(self) -> frozenset[tuple[int, int, int]]:
        """Return every (frequency_hz, spreading_factor, bandwidth_hz) that is heard here."""
        return frozenset((self.frequency_hz, factor, self.bandwidth_hz) for factor in self.spreading_factors)


CONCENTRATOR_CHANNELS: Final = tuple(Channel(frequency_hz=hz) for hz in (*DEFAULT_CHANNELS_HZ, *USUAL_CHANNELS_HZ))
"""The eight that a gateway of a public network usually hears."""

JOIN_PAIRS: Final = frozenset(
    (hz, spreading_factor, bandwidth_hz)
    for hz in DEFAULT_CHANNELS_HZ
    for spreading_factor, bandwidth_hz in DATA_RATES
    if bandwidth_hz == BANDWIDTH_HZ
)
"""Where a node of others may send its join-request. Source: RP002-1.0.4 section 2.4.2, three channels, DR0 to DR5."""


def _head_channel(value: object) -> object:
    """Give a head's channel its one spreading factor."""
    if isinstance(value, dict):
        return {"spreading_factor": HEAD_SPREADING_FACTOR, **value}
    return value


def _single_factor(channel: Channel) -> Channel:
    if len(channel.spreading_factors) != 1:
        raise ValueError(say("value.head_spreading_factor"))
    return channel


class GatewayConfig(Model):
    """``[gateway]``: who this gateway is."""

    id: Eui
    name: Title = "siel"
    location: Location | None = None
    region: Literal["EU868"] = "EU868"
    data_dir: FilePath = Path("data")


class KeysConfig(Model):
    """``[keys]``: the encrypted store and what opens it, exactly one of ``key_file`` and ``credential``."""

    store: FilePath
    key_file: FilePath | None = None
    credential: Name | None = None


class SerialHeadRadio(Model):
    """``[[radio]]``, kind ``serial-head``: a microcontroller with up to four LoRa chips; one channel per chip."""

    kind: Literal["serial-head"]
    name: Name
    port: str = Field(min_length=1, max_length=512)
    baud: int = Field(default=115_200, ge=9_600, le=4_000_000)
    channels: Annotated[
        tuple[Annotated[Channel, BeforeValidator(_head_channel), AfterValidator(_single_factor)], ...],
        FromList,
        Field(min_length=1, max_length=MAX_HEAD_CHIPS),
    ]
    antenna_gain_db: Decibel = 0.0


class SemtechUdpRadio(Model):
    """``[[radio]]``, kind ``semtech-udp``: a concentrator whose packet forwarder sends to ``bind``."""

    kind: Literal["semtech-udp"]
    name: Name
    bind: HostPort = ("127.0.0.1", 1700)
    gateway_id: Eui
    channels: Annotated[
        tuple[Channel, ...],
        FromList,
        Field(min_length=1, max_length=MAX_CONCENTRATOR_CHANNELS),
    ] = CONCENTRATOR_CHANNELS
    antenna_gain_db: Decibel = 0.0


class Filter(Model):
    """``filter`` of an upstream: what it gets."""

    net_ids: Annotated[tuple[NetId, ...], FromList] = ()
    dev_addr: Annotated[tuple[str, ...], FromList] = ()
    join_eui: Annotated[tuple[str, ...], FromList] = ()
    homes: Annotated[tuple[Literal["state", "edge"], ...], FromList] = ()


class SemtechUdpUpstream(Model):
    """``[[upstream]]``, kind ``semtech-udp``: a network server that takes raw frames over UDP."""

    kind: Literal["semtech-udp"]
    name: Name
    url: str
    uplink_only: bool = False
    allow_unauthenticated_downlink: bool = False
    forward_heads: bool = False
    tls: Tls | None = None
    filter: Filter | None = None
    replay: Literal["never", "on-reconnect"] = "never"

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return check_url(value, UDP_PORTS)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the network server."""
        return url_host_port(self.url, UDP_PORTS)

    @property
    def downlink_allowed(self) -> bool:
        """Whether what it sends may go on air: anyone on the Internet can forge a datagram."""
        return not self.uplink_only and (self.allow_unauthenticated_downlink or is_loopback(self.address[0]))


class ConsoleSink(Model):
    """``[[sink]]``, kind ``console``: one line per Observation on standard output."""

    kind: Literal["console"]
    name: Name
    format: Literal["text", "json"] = "text"
    policy: str | None = None


class MqttSink(Model):
    """``[[sink]]``, kind ``mqtt``: a broker."""

    kind: Literal["mqtt"]
    name: Name
    url: str
    password: Secret | None = None
    tls: Tls | None = None
    format: Literal["json", "senml-json", "senml-cbor"] = "json"
    policy: str | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return check_url(value, MQTT_PORTS, user_allowed=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the broker."""
        return url_host_port(self.url, MQTT_PORTS)

    @property
    def username(self) -> str | None:
        """The user that the URL names."""
        return unquote(urlsplit(self.url).username or "") or None

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("mqtts:")


class EdgeConfig(Model):
    """``[edge]``: the gateway's own network server."""

    net_id: NetId = 0x000001
    rx1_delay_s: int = Field(default=1, ge=1, le=15)
    adr: bool = True


class CodecConfig(Model):
    """``[[codec]]``: a payload codec in a file of the user's own; it comes before all others of its name."""

    kind: Literal["schema", "js"]
    name: CodecName
    file: FilePath


class DeviceConfig(Model):
    """``[[device]]``: one sensor node."""

    dev_eui: Eui
    join_eui: Eui = "0000000000000000"
    name: Title
    codec: str = Field(min_length=1, max_length=128)
    home: Literal["state", "edge"] = "edge"
    mac_version: Literal["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.1.0"] = "1.0.4"
    activation: Literal["otaa", "abp"] = "otaa"
    device_class: Annotated[Literal["A", "B", "C"], Field(alias="class")] = "A"
    location: Location | None = None
    policy: str | None = None


class JournalConfig(Model):
    """``[journal]``: how much is kept and how soon it is safe."""

    max_bytes: int = Field(default=512 * MEBIBYTE, ge=MEBIBYTE, le=1 << 44)
    max_age_days: int = Field(default=30, ge=1, le=36_500)
    sync: Literal["normal", "full"] = "normal"


class HttpConfig(Model):
    """``[http]``: status page and metrics."""

    bind: HostPort = ("127.0.0.1", 8868)


Radio = SerialHeadRadio | SemtechUdpRadio
Upstream = SemtechUdpUpstream
Sink = ConsoleSink | MqttSink


class Config(Model):
    """A whole siel.toml (and devices.toml) that has passed every check that needs no look at the machine."""

    file: Path
    gateway: GatewayConfig
    keys: KeysConfig
    radios: tuple[Radio, ...]
    upstreams: tuple[Upstream, ...] = ()
    sinks: tuple[Sink, ...] = ()
    edge: EdgeConfig = EdgeConfig()
    devices: tuple[DeviceConfig, ...] = ()
    codecs: tuple[CodecConfig, ...] = ()
    journal: JournalConfig = JournalConfig()
    http: HttpConfig | None = None

    @property
    def codec_folder(self) -> Path:
        """Where schemas of the user's own are found by themselves, as ``<vendor>/<device>.toml``."""
        return codec_folder(self.file)

    def heard(self) -> frozenset[tuple[int, int, int]]:
        """Return every (frequency_hz, spreading_factor, bandwidth_hz) that some radio hears."""
        return frozenset(pair for radio in self.radios for channel in radio.channels for pair in channel.pairs())

    def join_pairs_heard(self) -> frozenset[tuple[int, int, int]]:
        """Return those of :data:`JOIN_PAIRS` that some radio hears."""
        return JOIN_PAIRS & self.heard()
