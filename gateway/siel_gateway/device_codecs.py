"""The codec of each device, and how it changes while the daemon runs."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import structlog

from siel_codecs.codec import Decoded, SchemaCodec, failed
from siel_codecs.errors import CodecError
from siel_codecs.js import JsCodec, JsSourceError
from siel_gateway import config as configuration
from siel_gateway.codecs import AnyCodec, Codecs, JsRunner
from siel_gateway.config_models import Config
from siel_gateway.edge.undecoded import Undecoded
from siel_gateway.errors import ConfigError
from siel_gateway.messages import say
from siel_gateway.services import Services

log = structlog.get_logger("siel.codec")


class DeviceCodecs:
    """The codecs of the devices at home here.

    Args:
        config: Of the daemon.
        services: Of the daemon.
        counters: ``codec_reloads`` and ``codec_faults`` are raised.

    Raises:
        CodecError: The codec of a device is not there or is wrong.

    Attributes:
        by_device: By DevEUI; it changes with :meth:`reload`.
        runner: Runs those that are JavaScript.
    """

    def __init__(self, config: Config, services: Services, counters: Counter[str]) -> None:
        self._codecs = Codecs.of(config).of_devices(config.devices)
        self.by_device: Mapping[str, AnyCodec] = MappingProxyType(self._codecs)
        self.runner = JsRunner(services)
        self._config = config
        self._services = services
        self._counters = counters
        self._reloading = asyncio.Lock()

    async def ask(self, entry: Undecoded) -> tuple[str, Decoded]:
        """Return the name of the codec that an entry's device has now, and what it says.

        Raises:
            JsWorkerError: There is no worker.
        """
        uplink = entry.uplink
        codec = self._codecs.get(uplink.dev_eui)
        if codec is None:
            return "", failed("the device is not here any more")
        f_port, recv_ms = uplink.f_port or 0, uplink.frame.received_ms
        if isinstance(codec, JsCodec):
            return codec.name, await self.runner.decode(codec, f_port, uplink.payload, recv_ms)
        # It was JavaScript when the frame came, or one came before it and still waited
        return codec.name, codec.decode(f_port, uplink.payload, recv_ms)

    async def reload(self) -> dict[str, AnyCodec]:
        """Read codecs, and which device has which, again from their files; nothing else of siel.toml is taken over.

        A codec that is wrong is reported and counted, and its devices keep the one they have.

        Returns:
            By DevEUI, for devices whose codec is another now.
        """
        async with self._reloading:
            self._counters["codec_reloads"] += 1
            try:
                config = await self._services.run_aside(functools.partial(configuration.load, self._config.file))
            except ConfigError as error:
                self._counters["codec_faults"] += 1
                log.error("codecs_not_reloaded", faults=[str(fault) for fault in error.faults])
                return {}
            if _without_codecs(config) != _without_codecs(self._config):
                log.warning("restart_needed", help=say("help.restart"))
            changed = await self._changed(config)
            self._codecs.update(changed)
            log.info("codecs_reloaded", codecs=sorted({codec.name for codec in changed.values()}))
            return changed

    async def _changed(self, config: Config) -> dict[str, AnyCodec]:
        codecs = Codecs.of(config)
        devices = [device for device in config.devices if device.dev_eui in self._codecs]
        found: dict[str, AnyCodec] = {}
        for name in sorted({device.codec for device in devices}):
            try:
                codec = await self._services.run_aside(functools.partial(codecs.load, name))
                if isinstance(codec, JsCodec):
                    await self.runner.check(codec)
            except CodecError as fault:
                self._counters["codec_faults"] += 1
                # A schema's fault tells its file by itself
                text = f"{codecs.file(name)}: {fault}" if isinstance(fault, JsSourceError) else str(fault)
                log.error("codec_not_reloaded", codec=name, fault=text, help=say("help.codec"))
            else:
                found[name] = codec
        now = {device.dev_eui: found[device.codec] for device in devices if device.codec in found}
        return {dev_eui: codec for dev_eui, codec in now.items() if not _same(self._codecs[dev_eui], codec)}


def _same(one: AnyCodec, other: AnyCodec) -> bool:
    if isinstance(one, SchemaCodec) and isinstance(other, SchemaCodec):
        return one.device == other.device
    return one == other


def _without_codecs(config: Config) -> Config:
    devices = tuple(device.model_copy(update={"codec": ""}) for device in config.devices)
    return config.model_copy(update={"codecs": (), "devices": devices})
