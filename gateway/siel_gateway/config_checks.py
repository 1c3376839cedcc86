"""What must hold across the tables of siel.toml: pure, over models that are each valid by themselves."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

import msgspec

from siel_codecs.toml_lines import TomlPath, show_path
from siel_gateway.config_files import Finding
from siel_gateway.config_models import (
    CodecConfig,
    DeviceConfig,
    MqttSink,
    SemtechUdpRadio,
    SemtechUdpUpstream,
    SerialHeadRadio,
)
from siel_gateway.config_types import Model
from siel_gateway.messages import say

M = TypeVar("M", bound=Model)


class Placed(msgspec.Struct, frozen=True):
    """A valid table and where it stands."""

    model: Model
    file: str
    path: TomlPath


def _of(placed: Sequence[Placed], kind: type[M]) -> Iterator[tuple[Placed, M]]:
    return ((item, item.model) for item in placed if isinstance(item.model, kind))


def _repeated(
    placed: Sequence[Placed], kind: type[M], key: str, value: Callable[[M], Hashable | None]
) -> Iterator[Finding]:
    first: dict[Hashable, Placed] = {}
    for item, model in _of(placed, kind):
        identity = value(model)
        if identity is None:
            continue
        if identity in first:
            other = first[identity]
            where = show_path(other.path) if other.file == item.file else f"{show_path(other.path)} of {other.file}"
            yield Finding(item.file, (*item.path, key), say("cross.duplicate", where=where))
        else:
            first[identity] = item


def check_radios(radios: Sequence[Placed]) -> Iterator[Finding]:
    """Names, ports, sockets and identities are each one radio's own."""
    yield from _repeated(radios, Model, "name", lambda radio: getattr(radio, "name", None))
    yield from _repeated(radios, SerialHeadRadio, "port", lambda radio: radio.port)
    yield from _repeated(radios, SemtechUdpRadio, "bind", lambda radio: radio.bind if radio.bind[1] else None)
    yield from _repeated(radios, SemtechUdpRadio, "gateway_id", lambda radio: radio.gateway_id)


def check_upstreams(upstreams: Sequence[Placed]) -> Iterator[Finding]:
    """Each upstream keeps its own place in the journal, by its name."""
    yield from _repeated(upstreams, Model, "name", lambda upstream: getattr(upstream, "name", None))
    for item, upstream in _of(upstreams, SemtechUdpUpstream):
        if upstream.tls is not None:
            yield Finding(item.file, (*item.path, "tls"), say("cross.tls_unused", what="udp://"))


def check_sinks(sinks: Sequence[Placed]) -> Iterator[Finding]:
    """Each sink keeps its own place in the journal, by its name; TLS and passwords fit the URL."""
    yield from _repeated(sinks, Model, "name", lambda sink: getattr(sink, "name", None))
    for item, sink in _of(sinks, MqttSink):
        if sink.tls is not None:
            if not sink.uses_tls:
                yield Finding(item.file, (*item.path, "tls"), say("cross.tls_unused", what="mqtt://"))
            if (sink.tls.cert is None) != (sink.tls.key is None):
                yield Finding(item.file, (*item.path, "tls"), say("cross.tls_pair"))
            if sink.tls.token_file is not None:
                yield Finding(item.file, (*item.path, "tls", "token_file"), say("cross.tls_unused", what="mqtts://"))
        if sink.password is not None and sink.username is None:
            yield Finding(item.file, (*item.path, "url"), say("cross.user"))


def check_codecs(codecs: Sequence[Placed]) -> Iterator[Finding]:
    """Each codec of the user's own is there once."""
    yield from _repeated(codecs, CodecConfig, "name", lambda codec: codec.name)


def check_devices(devices: Sequence[Placed], codecs: Sequence[str]) -> Iterator[Finding]:
    """Every device is there once and its codec exists."""
    yield from _repeated(devices, DeviceConfig, "dev_eui", lambda device: device.dev_eui)
    known = set(codecs)
    for item, device in _of(devices, DeviceConfig):
        if device.codec not in known:
            near = difflib.get_close_matches(device.codec, codecs, n=1)
            hint = say("cross.codec_near", near=near[0]) if near else say("cross.codec_list")
            yield Finding(item.file, (*item.path, "codec"), say("cross.codec", codec=device.codec, hint=hint))
