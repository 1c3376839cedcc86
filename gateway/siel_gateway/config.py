"""siel.toml into a :class:`Config`: all faults at once, each with the line of its key or table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from siel_codecs.registry import Registry
from siel_codecs.toml_lines import TomlPath
from siel_gateway import config_checks as checks
from siel_gateway import config_version as version
from siel_gateway.config_checks import Placed
from siel_gateway.config_files import Document, Finding, read_text
from siel_gateway.config_models import (
    CONCENTRATOR_CHANNELS,
    HEAD_SPREADING_FACTOR,
    JOIN_PAIRS,
    Channel,
    CodecConfig,
    Config,
    ConsoleSink,
    DeviceConfig,
    EdgeConfig,
    Filter,
    GatewayConfig,
    HttpConfig,
    JournalConfig,
    KeysConfig,
    MqttSink,
    SemtechUdpRadio,
    SemtechUdpUpstream,
    SerialHeadRadio,
    codec_folder,
)
from siel_gateway.config_types import Location, Model, Secret, Tls, normal_eui
from siel_gateway.config_words import explain, listed, unknown_key
from siel_gateway.errors import ConfigError, Fault
from siel_gateway.messages import say
from siel_node.region_eu868 import DEFAULT_CHANNELS_HZ

__all__ = [
    "CONCENTRATOR_CHANNELS",
    "JOIN_PAIRS",
    "Channel",
    "CodecConfig",
    "Config",
    "ConsoleSink",
    "DeviceConfig",
    "EdgeConfig",
    "Filter",
    "GatewayConfig",
    "HttpConfig",
    "JournalConfig",
    "KeysConfig",
    "Location",
    "MqttSink",
    "Secret",
    "SemtechUdpRadio",
    "SemtechUdpUpstream",
    "SerialHeadRadio",
    "Tls",
    "load",
    "parse",
]

M = TypeVar("M", bound=Model)

KINDS: Final[dict[str, dict[str, type[Model]]]] = {
    "radio": {"serial-head": SerialHeadRadio, "semtech-udp": SemtechUdpRadio},
    "upstream": {"semtech-udp": SemtechUdpUpstream},
    "source": {},
    "sink": {"console": ConsoleSink, "mqtt": MqttSink},
    "codec": {"schema": CodecConfig, "js": CodecConfig},
}
"""Arrays of tables whose model depends on ``kind``."""
ROOT_KEYS: Final = ("gateway", "keys", *KINDS, "edge", "device", "devices", "journal", "http")
DEFAULT_STORE: Final = "keys.store"
"""Below data_dir."""
DEFAULT_KEY_FILE: Final = "keys.key"
"""Beside siel.toml, so that a copy of data_dir alone opens nothing."""
_PLACEHOLDER_EUI: Final = "0" * 16


def load(path: Path) -> Config:
    """Read and check ``path`` and the devices file it names; look at nothing else on the machine.

    Raises:
        ConfigError: Anything is wrong; it has every fault that can be told.
    """
    return parse(read_text(path), path)


def parse(text: str, file: Path) -> Config:
    """Check the text of a siel.toml.

    Args:
        text: The document.
        file: Where it stands, or would stand: relative paths count from its folder, faults name it.

    Raises:
        ConfigError: Anything is wrong.
    """
    return _Loader(file).load(Document(file, text))


class _Loader:
    """One run over siel.toml and, if it names one, a devices file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._base = file.absolute().parent
        self._context = {"base": self._base}
        self._documents: dict[str, Document] = {}
        self._findings: list[Finding] = []
        self._faults: list[Fault] = []
        self._radios_without_channels = 0

    def load(self, root: Document) -> Config:
        self._documents[root.name] = root
        self._unknown_keys(root, ROOT_KEYS)
        gateway = self._table(root, "gateway", GatewayConfig)
        keys = self._table(root, "keys", KeysConfig, self._key_defaults(root, gateway))
        gateway_id = gateway.id if gateway else _PLACEHOLDER_EUI
        kinds = {name: self._kinds(root, name, gateway_id) for name in KINDS}
        edge = self._table(root, "edge", EdgeConfig)
        journal = self._table(root, "journal", JournalConfig)
        if "http" in root.data:
            self._table(root, "http", HttpConfig)
            self._note(root, ("http",), say("version.table"))
        devices = self._devices(root) + self._device_file(root)
        if not root.data.get("radio"):
            self._note(root, ("radio",), say("radio.none"))
        self._findings += [
            *checks.check_radios(kinds["radio"]),
            *checks.check_upstreams(kinds["upstream"]),
            *checks.check_sinks(kinds["sink"]),
            *checks.check_codecs(kinds["codec"]),
            *checks.check_devices(devices, self._codec_names(root)),
        ]
        self._faults += (self._documents[finding.file].fault(finding) for finding in self._findings)
        if self._faults:
            raise ConfigError(sorted(self._faults))
        tables = {"gateway": gateway, "keys": keys, "edge": edge, "journal": journal}
        arrays = {"radios": "radio", "upstreams": "upstream", "sinks": "sink", "codecs": "codec"}
        return Config.model_validate(
            {
                "file": self._file,
                **tables,
                **{name: tuple(item.model for item in kinds[kind]) for name, kind in arrays.items()},
                "devices": tuple(item.model for item in devices),
            }
        )

    def _note(self, document: Document, path: TomlPath, text: str) -> None:
        self._findings.append(Finding(document.name, path, text))

    def _unknown_keys(self, document: Document, known: tuple[str, ...]) -> None:
        for key in document.data:
            if key not in known:
                self._note(document, (key,), unknown_key(key, known))

    def _model(self, document: Document, path: TomlPath, model: type[M], raw: object) -> M | None:
        try:
            return model.model_validate(raw, context=self._context)
        except ValidationError as error:
            for below, text in explain(model, error):
                self._note(document, (*path, *below), text)
            return None

    def _table(
        self, document: Document, name: str, model: type[M], defaults: dict[str, object] | None = None
    ) -> M | None:
        raw = document.data.get(name, {})
        if not isinstance(raw, dict):
            self._note(document, (name,), say("table.expected", name=name))
            return None
        return self._model(document, (name,), model, {**(defaults or {}), **raw})

    def _items(self, document: Document, name: str) -> list[tuple[TomlPath, dict[str, Any]]]:
        raw = document.data.get(name, [])
        if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
            self._note(document, (name,), say("table.array_expected", name=name))
            return []
        return [((name, n), item) for n, item in enumerate(raw)]

    def _key_defaults(self, root: Document, gateway: GatewayConfig | None) -> dict[str, object]:
        data_dir = gateway.data_dir if gateway else Path()
        raw = root.data.get("keys")
        defaults: dict[str, object] = {"store": data_dir / DEFAULT_STORE}
        if not (isinstance(raw, dict) and "credential" in raw):
            defaults["key_file"] = self._base / DEFAULT_KEY_FILE
        elif "key_file" in raw:
            self._note(root, ("keys", "credential"), say("cross.key_source"))
        return defaults

    def _kinds(self, document: Document, name: str, gateway_id: str) -> list[Placed]:
        placed = []
        for path, raw in self._items(document, name):
            kind = raw.get("kind")
            model = KINDS[name].get(kind) if isinstance(kind, str) else None
            if model is None:
                self._note(document, (*path, "kind"), _kind_text(name, kind))
                continue
            # a codec's name is what devices ask for; every other name is for people and logs
            default = {} if name == "codec" else {"name": kind}
            filled = {**default, **self._kind_defaults(name, str(kind), raw, gateway_id), **raw}
            self._later(document, path, name, raw)
            checked = self._model(document, path, model, filled)
            if checked is not None:
                placed.append(Placed(checked, document.name, path))
        return placed

    def _kind_defaults(self, name: str, kind: str, raw: dict[str, Any], gateway_id: str) -> dict[str, object]:
        if (name, kind) == ("radio", "semtech-udp"):
            return {"gateway_id": gateway_id}
        if kind == "serial-head" and "channels" not in raw:
            # Three heads that say nothing hear the three channels on which joins come: the smallest useful set
            frequency_hz = DEFAULT_CHANNELS_HZ[self._radios_without_channels % len(DEFAULT_CHANNELS_HZ)]
            self._radios_without_channels += 1
            return {"channels": [{"frequency_hz": frequency_hz, "spreading_factor": HEAD_SPREADING_FACTOR}]}
        return {}

    def _codec_names(self, root: Document) -> list[str]:
        # those of wrong tables too: a device that names one has no fault of its own
        tables = root.data.get("codec")
        own = [table.get("name") for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []
        folders = Registry((codec_folder(self._file),))
        return sorted({*(name for name in own if isinstance(name, str)), *folders.names()})

    def _later(self, document: Document, path: TomlPath, name: str, raw: dict[str, Any]) -> None:
        for key, value in raw.items():
            if (name, key) in version.LATER_KEYS:
                self._note(document, (*path, key), say("version.key"))
            later = version.LATER_VALUES.get((name, key))
            if later and isinstance(value, str) and value in later.values:
                self._note(document, (*path, key), say("version.value", value=value, known=listed(later.instead)))

    def _devices(self, document: Document) -> list[Placed]:
        placed = []
        for path, raw in self._items(document, "device"):
            self._later(document, path, "device", raw)
            device = self._model(document, path, DeviceConfig, {"name": _device_name(raw.get("dev_eui")), **raw})
            if device is not None:
                placed.append(Placed(device, document.name, path))
        return placed

    def _device_file(self, root: Document) -> list[Placed]:
        name = root.data.get("devices")
        if name is None:
            return []
        if not isinstance(name, str) or not name:
            self._note(root, ("devices",), say("value.path"))
            return []
        file = self._file.parent / name.replace("\0", "")
        if not file.is_file():
            self._note(root, ("devices",), say("file.none", path=file))
            return []
        try:
            document = Document(file, read_text(file))
        except ConfigError as error:
            self._faults += error.faults
            return []
        self._documents[document.name] = document
        self._unknown_keys(document, ("device",))
        return self._devices(document)


def _device_name(eui: object) -> str:
    try:
        return normal_eui(eui) if isinstance(eui, str) else "?"
    except ValueError:
        return "?"  # the EUI's own fault is told


def _kind_text(name: str, kind: object) -> str:
    built = tuple(KINDS[name])
    later = version.LATER_KINDS.get(name, ())
    if isinstance(kind, str) and kind in later:
        text = say("version.kind", value=kind)
        return f"{text}, or {say('version.use', known=listed(built))}" if built else text
    known = listed((*built, *later))
    return say("kind.missing", known=known) if kind is None else say("kind.unknown", known=known)
