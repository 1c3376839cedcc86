"""``siel gateway``: run the daemon, and check a configuration before it does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_gateway.config_models import Channel, Config, Sink, Upstream
    from siel_gateway.errors import Fault
    from siel_gateway.keystore import KeyStore
    from siel_gateway.preflight import Preflight

OK, FAILED, USAGE = 0, 1, 2
LAST_WORDS_S: Final = 2.0
"""How long the end of the log may take where nobody seems to read it."""
_PRIVATE: Final = 0o027

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("siel.toml"),
    show_default=True,
    help="The configuration.",
)


@click.group()
def command() -> None:
    """The gateway daemon: run it, check its configuration."""


@command.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(config_file: Path, as_json: bool) -> None:
    """Tell everything that is wrong with a configuration, and what the radios hear.

    Looks at the machine too: serial ports, keys, certificates. Ends with 0 when nothing is wrong, else with 2: the
    gateway would not start, unless all that is wrong are files of codecs that no device here has.
    """
    config, preflight, faults = _look(config_file)
    if as_json:
        click.echo(json.dumps(_document(config, faults), ensure_ascii=False))
    else:
        _print_check(config_file, config, preflight, faults)
    sys.exit(USAGE if faults else OK)


@command.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines, on a terminal too.")
def run(config_file: Path, as_json: bool) -> None:
    """Run the gateway until Ctrl-C or SIGTERM.

    It does not start with a fault in its configuration, but for codec files that no device here has. The log goes to
    standard error, the sink "console" to standard output. SIGHUP reads the codecs' files again.
    """
    import structlog

    from siel_gateway.background_writer import BackgroundStream
    from siel_gateway.logs import set_up_logging

    config, preflight, faults = _look(config_file)
    harmless = preflight.harmless if preflight is not None else []
    if config is None or preflight is None or preflight.key_store is None or len(faults) > len(harmless):
        _print_faults(faults, len(harmless))
        sys.exit(USAGE)
    os.umask(_PRIVATE)
    log = BackgroundStream(sys.stderr)
    set_up_logging(cast("TextIO", log), as_json=as_json or None)
    try:
        for fault in harmless:
            structlog.get_logger("siel.codec").error("codec_fault", fault=str(fault))
        code = _run(config, preflight.key_store)
    finally:
        log.finish(LAST_WORDS_S)
    sys.exit(code)


def _run(config: Config, key_store: KeyStore) -> int:
    import asyncio
    import sqlite3

    from siel_gateway.errors import GatewayError, JournalInUseError, JournalNewerError
    from siel_gateway.messages import say

    try:
        asyncio.run(_serve(config, key_store))
    except JournalInUseError as error:
        text = say("run.journal_in_use", path=error.path)
    except JournalNewerError as error:
        text = say("run.journal_newer", path=error.path)
    except (GatewayError, OSError, sqlite3.Error) as error:
        text = say("run.failed", reason=error, data_dir=config.gateway.data_dir)
    else:
        return OK
    click.echo(f"siel: {text}", err=True)
    return FAILED


async def _serve(config: Config, key_store: KeyStore) -> None:
    import asyncio
    import signal

    from siel_gateway.daemon import Daemon
    from siel_gateway.transport import SystemServices

    with SystemServices() as services:
        daemon = Daemon(config, services, key_store)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, daemon.stop)
        loop.add_signal_handler(signal.SIGHUP, daemon.reload_codecs)
        await daemon.run()


def _look(config_file: Path) -> tuple[Config | None, Preflight | None, Sequence[Fault]]:
    from siel_gateway import config
    from siel_gateway.errors import ConfigError
    from siel_gateway.preflight import Preflight
    from siel_tools.commands._private_memory import keep_memory_private

    keep_memory_private()
    try:
        loaded = config.load(config_file)
        preflight = Preflight(loaded, os.environ)
    except ConfigError as error:
        return None, None, error.faults
    return loaded, preflight, preflight.faults


def _print_faults(faults: Sequence[Fault], harmless: int) -> None:
    from siel_gateway.messages import say

    for fault in faults:
        click.echo(str(fault), err=True)
    message = "check.harmless" if len(faults) == harmless else "check.faults"
    click.echo(f"siel: {say(message, count=len(faults))}", err=True)


def _print_check(file: Path, config: Config | None, preflight: Preflight | None, faults: Sequence[Fault]) -> None:
    from siel_gateway.config_models import JOIN_PAIRS, SerialHeadRadio
    from siel_gateway.messages import say

    if config is not None and preflight is not None:
        click.echo(say("check.gateway", id=config.gateway.id, name=config.gateway.name, region=config.gateway.region))
        for radio in config.radios:
            heard = ", ".join(map(_channel_text, radio.channels))
            if isinstance(radio, SerialHeadRadio):
                click.echo(say("check.head", name=radio.name, port=radio.port, channels=heard))
            else:
                host, port = radio.bind
                click.echo(say("check.concentrator", name=radio.name, host=host, port=port, channels=heard))
        pairs = len(config.join_pairs_heard())
        click.echo(say("check.joins", heard=pairs, all=len(JOIN_PAIRS)))
        if pairs < len(JOIN_PAIRS):
            click.echo(say("check.joins_few"))
        for upstream in config.upstreams:
            click.echo(_upstream_text(upstream))
            if not upstream.forward_heads and any(isinstance(radio, SerialHeadRadio) for radio in config.radios):
                click.echo(say("check.heads_kept", name=upstream.name))
        for sink in config.sinks:
            click.echo(say("check.sink", name=sink.name, target=_target_text(sink)))
        if config.devices:
            click.echo(say("check.devices", count=len(config.devices)))
    if faults:
        _print_faults(faults, len(preflight.harmless) if preflight is not None else 0)
    else:
        click.echo(say("check.good", file=file))


def _upstream_text(upstream: Upstream) -> str:
    from siel_gateway.messages import say

    host, port = upstream.address
    if upstream.downlink_allowed:
        downlinks = say("check.downlinks_allowed")
    else:
        downlinks = say("check.downlinks_forbidden" if upstream.uplink_only else "check.downlinks_unsafe")
    return say("check.upstream", name=upstream.name, host=host, port=port, downlinks=downlinks)


def _target_text(sink: Sink) -> str:
    from siel_gateway.config_models import ConsoleSink
    from siel_gateway.messages import say

    if isinstance(sink, ConsoleSink):
        return say("check.console")
    host, port = sink.address
    return say("check.broker", host=host, port=port)


def _channel_text(channel: Channel) -> str:
    factors = channel.spreading_factors
    several = f"SF{factors[0]}-{factors[-1]}" if len(factors) > 1 else f"SF{factors[0]}"
    if len(factors) != factors[-1] - factors[0] + 1:
        several = "/".join(f"SF{factor}" for factor in factors)
    width = "" if channel.bandwidth_hz == 125_000 else f" {channel.bandwidth_hz // 1000} kHz"  # noqa: PLR2004 - the usual
    return f"{channel.frequency_hz / 1e6:g} MHz {several}{width}"


def _document(config: Config | None, faults: Sequence[Fault]) -> dict[str, Any]:
    from siel_gateway.config_models import JOIN_PAIRS

    document: dict[str, Any] = {
        "ok": not faults,
        "faults": [{"file": f.file, "line": f.line, "key": f.key, "text": f.text} for f in faults],
    }
    if config is not None:
        document["gateway"] = {"id": config.gateway.id, "name": config.gateway.name, "region": config.gateway.region}
        document["radios"] = [
            {
                "name": radio.name,
                "kind": radio.kind,
                "channels": [channel.model_dump(by_alias=False) for channel in radio.channels],
            }
            for radio in config.radios
        ]
        document["join_pairs"] = {"heard": len(config.join_pairs_heard()), "all": len(JOIN_PAIRS)}
        document["devices"] = len(config.devices)
    return document
