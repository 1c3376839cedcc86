"""Does this machine have what siel.toml names: ports, keys, passwords, certificates, a folder to write to?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from siel_codecs.errors import CodecError, SchemaError
from siel_codecs.js import JsHost, read_js
from siel_codecs.registry import NAME
from siel_codecs.toml_lines import TomlPath
from siel_gateway.codecs import Codecs
from siel_gateway.config_files import Document, Finding, file_fault, read_text
from siel_gateway.config_models import Config, MqttSink, SerialHeadRadio
from siel_gateway.errors import Fault, KeyStoreError, SecretError
from siel_gateway.keystore import KeyStore, open_configured
from siel_gateway.messages import say
from siel_gateway.secrets import read_secret, tls_context


class Preflight:
    """One look at the machine for one configuration; it changes nothing.

    Attributes:
        faults: What is missing or wrong, each with its line.
        harmless: Those of the faults that keep no gateway from starting: files of codecs that no device here has.
        key_store: Opened when every key that is needed is there; one without keys where no device needs any.
    """

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        """Look.

        Args:
            config: A configuration that was loaded from its file.
            environ: Where environment variables and the folder of systemd credentials are named.

        Raises:
            ConfigError: The file has changed since and is broken now.
        """
        self._config = config
        self._environ = environ
        self._root = Document(config.file, read_text(config.file))
        self._device_file = self._open_device_file()
        self.key_store: KeyStore | None = None
        self._needed = {device.codec for device in config.devices if device.home == "edge"}
        self.harmless: list[Fault] = []
        self.faults: list[Fault] = sorted(
            [
                *self._in_root(self._data_dir()),
                *self._in_root(self._ports()),
                *self._in_root(self._sinks()),
                *self._keys(),
                *self._codecs(),
            ]
        )

    def _open_device_file(self) -> Document | None:
        name = self._root.data.get("devices")
        if not isinstance(name, str):
            return None
        file = self._config.file.parent / name
        return Document(file, read_text(file))

    def _in_root(self, findings: Iterator[tuple[TomlPath, str]]) -> Iterator[Fault]:
        return (self._root.fault(Finding(self._root.name, path, text)) for path, text in findings)

    def _data_dir(self) -> Iterator[tuple[TomlPath, str]]:
        folder = self._config.gateway.data_dir
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield ("gateway", "data_dir"), say("machine.data_dir", path=folder, there=there)

    def _ports(self) -> Iterator[tuple[TomlPath, str]]:
        for n, radio in enumerate(self._config.radios):
            if isinstance(radio, SerialHeadRadio) and "://" not in radio.port:
                fault = _port_fault(Path(radio.port))
                if fault:
                    yield ("radio", n, "port"), fault

    def _sinks(self) -> Iterator[tuple[TomlPath, str]]:
        for n, sink in enumerate(self._config.sinks):
            if not isinstance(sink, MqttSink):
                continue
            if sink.password is not None:
                try:
                    read_secret(sink.password, self._environ)
                except SecretError as error:
                    yield ("sink", n, "password"), str(error)
            if sink.uses_tls:
                try:
                    tls_context(sink.tls)
                except SecretError as error:
                    yield ("sink", n, "tls"), str(error)

    def _codecs(self) -> Iterator[Fault]:
        """Load every schema of the user's own, and run the top level of every JavaScript file once."""
        codecs = Codecs.of(self._config)
        told = [*self._configured_codecs(codecs), *self._found_codecs(codecs)]
        self.harmless += [fault for name, fault in told if name not in self._needed]
        yield from (fault for _, fault in told)

    def _configured_codecs(self, codecs: Codecs) -> Iterator[tuple[str, Fault]]:
        with JsHost() as host:
            for n, codec in enumerate(self._config.codecs):
                path = ("codec", n, "file")
                try:
                    if codec.kind == "js":
                        host.check(read_js(codec.file))
                    else:
                        codecs.device(codec)
                except SchemaError as error:
                    yield from ((codec.name, fault) for fault in _in_schema(error))
                except CodecError as error:
                    text = say("machine.codec", name=codec.name, file=codec.file, reason=error)
                    yield codec.name, self._root.fault(Finding(self._root.name, path, text))

    def _found_codecs(self, codecs: Codecs) -> Iterator[tuple[str, Fault]]:
        folder = self._config.codec_folder
        yield from (("", fault) for fault in _unreadable_folders(folder))
        # The first as the registry finds them, through links as well; the second for those that it does not find
        for file in sorted({*folder.glob("*/*.toml"), *folder.rglob("*.toml")}):
            name = file.relative_to(folder).with_suffix("").as_posix()
            if not NAME.fullmatch(name):
                yield "", file_fault(file, 1, "machine.codec_name")
                continue
            try:
                codecs.registry.device(name)
            except SchemaError as error:
                yield from ((name, fault) for fault in _in_schema(error))

    def _keys(self) -> Iterator[Fault]:
        config = self._config
        if not any(device.home == "edge" for device in config.devices):
            self.key_store = KeyStore.in_memory()
            return
        try:
            store = open_configured(config.keys, self._environ)
        except KeyStoreError as error:
            key = "store" if error.path == config.keys.store else "credential" if config.keys.credential else "key_file"
            yield from self._in_root(iter([(("keys", key), str(error))]))
            return
        own = len(self._root.data.get("device", []))
        complete = True
        for n, device in enumerate(config.devices):
            if device.home == "edge" and device.dev_eui not in store:
                complete = False
                text = say("machine.no_key", dev_eui=device.dev_eui)
                document, at = (self._root, n) if n < own or self._device_file is None else (self._device_file, n - own)
                yield document.fault(Finding(document.name, ("device", at), text))
        if complete:
            self.key_store = store


def _unreadable_folders(folder: Path) -> Iterator[Fault]:
    for place in (folder, *folder.glob("*/")):
        try:
            os.scandir(place).close()
        except OSError as error:
            if os.path.lexists(place):
                yield file_fault(place, 1, "machine.codec_folder", reason=error.strerror)


def _in_schema(error: SchemaError) -> Iterator[Fault]:
    return (Fault(error.file, fault.line or 1, fault.field, fault.reason) for fault in error.faults)


def _port_fault(port: Path) -> str:
    try:
        mode = port.stat().st_mode
    except (OSError, ValueError) as error:
        return say("machine.no_port", path=port, reason=getattr(error, "strerror", None) or "no such path")
    if not stat.S_ISCHR(mode):
        return say("machine.not_a_port", path=port)
    if not os.access(port, os.R_OK | os.W_OK):
        return say("machine.port_forbidden", path=port)
    return ""
