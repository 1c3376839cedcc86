"""``siel keys``: the AppKeys of the devices at home on a gateway, in its encrypted store."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from siel_tools.commands._params import eui

if TYPE_CHECKING:
    from collections.abc import Callable

    from siel_gateway.config_models import KeysConfig

FAILED, USAGE = 1, 2
_FILE = click.Path(dir_okay=False, path_type=Path)
_DEFAULT_CONFIG = Path("siel.toml")


def store_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which store is meant."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option("--key-file", type=_FILE, help="The key of that store."),
        click.option("--store", type=_FILE, help="A store by itself, with --key-file."),
        click.option("--config", "config_file", type=_FILE, help="A gateway's configuration; by default siel.toml."),
    ):
        function = option(function)
    return function


@click.group()
def command() -> None:
    """The gateway's key store: AppKeys of its own devices, encrypted."""


@command.command()
@click.option("--dev-eui", type=eui, required=True, metavar="EUI", help="The device, 16 hex digits.")
@click.option("--join-eui", type=eui, default="0" * 16, metavar="EUI", help="Its JoinEUI; by default all zero.")
@click.option("--show", is_flag=True, help="Print the key. Only here, never again, and it is not logged.")
@click.option("--replace", is_flag=True, help="Make a new key for a device that has one.")
@store_options
def new(
    dev_eui: bytes,
    join_eui: bytes,
    show: bool,
    replace: bool,
    config_file: Path | None,
    store: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Make a random AppKey for a device.

    The store, and the key file that opens it, are made when there are none.
    """
    from siel_gateway.errors import KeyStoreError
    from siel_gateway.keystore import locked
    from siel_gateway.messages import say
    from siel_tools.commands._private_memory import keep_memory_private

    keep_memory_private()
    keys = _which(config_file, store, key_file)
    try:
        with locked(keys.store):
            opened, made = _open_or_create(keys)
            if dev_eui.hex() in opened and not replace:
                _fail(say("keys.exists", dev_eui=dev_eui.hex()), FAILED)
            app_key = opened.new(dev_eui.hex(), join_eui.hex())
            opened.save()
    except KeyStoreError as error:
        _fail(str(error), USAGE)
    if as_json:
        document: dict[str, Any] = {"dev_eui": dev_eui.hex(), "join_eui": join_eui.hex(), "store": str(keys.store)}
        if show:
            document["app_key"] = app_key.hex()
        click.echo(json.dumps(document))
    else:
        click.echo(say("keys.made", dev_eui=dev_eui.hex(), store=keys.store))
        click.echo(say("keys.app_key", app_key=app_key.hex()) if show else say("keys.app_key_hidden"))
    if made is not None:
        click.echo(say("keys.key_file_made", path=made), err=True)


@command.command("list")
@store_options
def list_keys(config_file: Path | None, store: Path | None, key_file: Path | None, as_json: bool) -> None:
    """List the devices that have a key; the keys stay where they are."""
    from siel_gateway.errors import KeyStoreError
    from siel_gateway.keystore import open_configured
    from siel_gateway.messages import say
    from siel_tools.commands._private_memory import keep_memory_private

    keep_memory_private()
    keys = _which(config_file, store, key_file)
    try:
        infos = open_configured(keys, os.environ).infos()
    except KeyStoreError as error:
        _fail(str(error), USAGE)
    if as_json:
        click.echo(json.dumps({"keys": [{"dev_eui": info.dev_eui, "join_eui": info.join_eui} for info in infos]}))
        return
    for info in infos:
        click.echo(f"{info.dev_eui}  join_eui {info.join_eui}")
    if not infos:
        click.echo(say("keys.none", store=keys.store), err=True)


def _which(config_file: Path | None, store: Path | None, key_file: Path | None) -> KeysConfig:
    from siel_gateway import config
    from siel_gateway.config_models import KeysConfig
    from siel_gateway.errors import ConfigError
    from siel_gateway.messages import say

    if store is not None and key_file is not None and config_file is None:
        return KeysConfig(store=store, key_file=key_file)
    if store is not None or key_file is not None:
        raise click.UsageError(say("keys.where"))
    if config_file is None and not _DEFAULT_CONFIG.exists():
        raise click.UsageError(say("keys.where"))
    try:
        return config.load(config_file or _DEFAULT_CONFIG).keys
    except ConfigError as error:
        _fail(str(error), USAGE)


def _open_or_create(keys: KeysConfig) -> tuple[Any, Path | None]:
    """Return the store, and the key file if it had to be made."""
    from siel_gateway.errors import KeyStoreError
    from siel_gateway.keystore import KeyStore, create_key_file, master_key_of
    from siel_gateway.messages import say

    made: Path | None = None
    if keys.key_file is not None and not keys.key_file.exists():
        if keys.store.exists():
            raise KeyStoreError(say("keys.lost_key_file", store=keys.store, path=keys.key_file), path=keys.key_file)
        create_key_file(keys.key_file)
        made = keys.key_file
    master_key, source = master_key_of(keys, os.environ)
    if keys.store.exists():
        return KeyStore.open_with(keys.store, master_key, source), made
    return KeyStore.create(keys.store, master_key), made


def _fail(text: str, code: int) -> NoReturn:
    click.echo(f"siel: {text}", err=True)
    sys.exit(code)
