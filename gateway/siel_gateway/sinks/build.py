"""From configuration to sinks."""

from __future__ import annotations

from collections.abc import Mapping

from siel_gateway.codecs import AnyCodec, JsRunner
from siel_gateway.config_models import Config, ConsoleSink
from siel_gateway.services import Services
from siel_gateway.sinks import Sink
from siel_gateway.sinks.console import Console
from siel_gateway.sinks.feed import ObservationLog
from siel_gateway.sinks.mqtt import Command, Mqtt


def build_sinks(
    config: Config,
    services: Services,
    journal: ObservationLog,
    codecs: Mapping[str, AnyCodec],
    runner: JsRunner,
    command: Command,
) -> list[Sink]:
    """Return every configured sink; nothing is opened before its ``run``.

    Args:
        config: The whole configuration.
        services: Of the daemon.
        journal: Where Observations are.
        codecs: The codec of each device whose home is here, by DevEUI; they may change.
        runner: Runs those that are JavaScript.
        command: Takes a DevEUI and what an operator wants it to get.

    Raises:
        SecretError: A password or certificate is not where siel.toml says.
    """
    sinks: list[Sink] = []
    for sink in config.sinks:
        if isinstance(sink, ConsoleSink):
            sinks.append(Console(sink, services, journal))
        else:
            sinks.append(Mqtt(sink, config.gateway.id, services, journal, codecs, runner, command))
    return sinks
