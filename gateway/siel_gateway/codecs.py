"""Which codec a device has: the user's own from siel.toml, then those in codecs.d, then the package's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from siel_codecs.codec import Codec, Decoded, Downlink, SchemaCodec
from siel_codecs.js import JsCodec, JsHost, read_js
from siel_codecs.registry import Registry
from siel_codecs.schema.load import load_file
from siel_codecs.schema.model import Device
from siel_gateway.config_models import CodecConfig, Config, DeviceConfig
from siel_gateway.services import Services

AnyCodec = Codec | JsCodec
"""A ``JsCodec`` decodes in another process, never in the turn that received the frame."""


class Codecs:
    """Loads codecs by name, each once; what has been loaded stays as its file was then.

    Args:
        own: ``[[codec]]`` of siel.toml.
        folder: Schemas found by themselves; it may be missing.
    """

    def __init__(self, own: Iterable[CodecConfig], folder: Path) -> None:
        self._own = {codec.name: codec for codec in own}
        self.registry = Registry((folder,))
        """The codecs beside ``own``."""
        self._loaded: dict[str, AnyCodec] = {}

    @classmethod
    def of(cls, config: Config) -> Codecs:
        """Return the codecs of a configuration."""
        return cls(config.codecs, config.codec_folder)

    def file(self, name: str) -> Path | None:
        """Return the file of a ``[[codec]]``, None for a codec that is none."""
        own = self._own.get(name)
        return None if own is None else own.file

    def load(self, name: str) -> AnyCodec:
        """Return a codec; the same object each time. JavaScript is read, not run.

        Raises:
            UnknownCodecError: There is none of this name.
            CodecError: Its file cannot be read or is wrong.
        """
        if name not in self._loaded:
            own = self._own.get(name)
            self._loaded[name] = self.registry.load(name) if own is None else self._load(own)
        return self._loaded[name]

    def _load(self, own: CodecConfig) -> AnyCodec:
        return JsCodec(own.name, read_js(own.file)) if own.kind == "js" else SchemaCodec(self.device(own))

    def device(self, own: CodecConfig) -> Device:
        """Return what the schema of a ``[[codec]]`` says; no code is generated.

        Raises:
            SchemaError: It is wrong.
        """
        return self.registry.complete(load_file(own.file, own.name), str(own.file))

    def of_devices(self, devices: Sequence[DeviceConfig]) -> dict[str, AnyCodec]:
        """Return the codec of each device whose home is here, by DevEUI.

        Raises:
            CodecError: As ``load``.
        """
        return {device.dev_eui: self.load(device.codec) for device in devices if device.home == "edge"}


class JsRunner:
    """Asks JavaScript codecs, one call at a time, while the event loop goes on."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._host = JsHost()

    async def decode(self, codec: JsCodec, f_port: int, payload: bytes, recv_ms: int) -> Decoded:
        """Return what ``codec`` says of an uplink; raise ``JsWorkerError`` when the machine can start no worker."""
        with self._services.outside_work():
            return await self._services.run_aside(lambda: codec.decode(self._host, f_port, payload, recv_ms))

    async def encode_downlink(self, codec: JsCodec, data: Mapping[str, object], f_port: int) -> Downlink:
        """Return the downlink that carries ``data``.

        Raises:
            CodecError: The codec does not make one of ``data``, or there is no worker.
        """
        with self._services.outside_work():
            return await self._services.run_aside(lambda: codec.encode_downlink(self._host, data, f_port))

    async def check(self, codec: JsCodec) -> None:
        """Run the codec's top level; raise ``CodecError`` when it does not load or decodes no uplinks."""
        with self._services.outside_work():
            await self._services.run_aside(lambda: self._host.check(codec.source))

    async def close(self) -> None:
        """End the worker."""
        await self._services.run_aside(self._host.close)
