"""A device's codec that is JavaScript. It is no ``Codec``: it decodes in another process, and the caller waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from siel_codecs.codec import Decoded, Downlink
from siel_codecs.js.host import JsHost
from siel_codecs.js.source import JsSource


class JsCodec(msgspec.Struct, frozen=True):
    """A named JavaScript codec; its methods block until ``host`` has the answer, so call them off the event loop."""

    name: str
    """``vendor/device``."""
    source: JsSource

    def decode(self, host: JsHost, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        """Return what it says of an uplink; see ``JsHost.decode_uplink``."""
        return host.decode_uplink(self.source, f_port, payload, recv_ms)

    def encode_downlink(self, host: JsHost, data: Mapping[str, Any], f_port: int | None = None) -> Downlink:
        """Return the downlink that carries ``data``; see ``JsHost.encode_downlink``."""
        return host.encode_downlink(self.source, data, f_port, name=self.name)
