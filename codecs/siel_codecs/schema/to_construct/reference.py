"""The readable reference of a codec, by construct objects: every other target is held against it.

``to_construct_layout`` is between bits and codes, ``to_construct_read`` goes from codes to a result,
``to_construct_write`` from values to codes. Slow, and meant to be. Nothing here is shared with what is generated.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import construct as c
from construct.lib import bits2bytes, bytes2bits

from siel_codecs.codec import Decoded, Downlink, failed
from siel_codecs.errors import PayloadError
from siel_codecs.schema import words
from siel_codecs.schema.below import names, static_bytes
from siel_codecs.schema.model import MAX_PAYLOAD_BYTES, Message, Port
from siel_codecs.schema.to_construct.layout import RefusedError, items
from siel_codecs.schema.to_construct.read import Reader, units_of
from siel_codecs.schema.to_construct.values import exact, half_away_from_zero
from siel_codecs.schema.to_construct.write import Writer

if TYPE_CHECKING:
    from siel_codecs.schema.model import Device

__all__ = ["Reference", "exact", "half_away_from_zero", "message_construct"]


def message_construct(message: Message) -> Any:
    """Return the construct object of one message; it works on a stream with a byte for each bit.

    Parsing and building need ``codes={}``, where the codes that steer are kept.
    """
    return items(message.items)


class Reference:
    """The four methods of a codec; see ``siel_codecs.codec.Codec``."""

    def __init__(self, device: Device) -> None:
        """``device`` comes from ``siel_codecs.schema.load.files``."""
        self.device = device
        self._layouts = [(each, message_construct(each)) for port in device.ports for each in port.messages]

    @property
    def name(self) -> str:
        """``vendor/device``."""
        return self.device.name

    def decode(self, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        """Take an uplink's payload apart."""
        return self._decode("up", f_port, payload, recv_ms)

    def decode_downlink(self, f_port: int, payload: bytes) -> Decoded:
        """Take a downlink's payload apart."""
        return self._decode("down", f_port, payload, None)

    def encode(self, f_port: int, data: Mapping[str, Any]) -> bytes:
        """Return the uplink with these values."""
        port = self._port("up", f_port)
        if port is None:
            raise PayloadError(self.name, self._unknown_port("up", f_port))
        message = port.messages[0]
        if message.version is None:
            writers = ((each, Writer(self.name, each, data, False)) for each in port.messages)
            holding = (each for each, writer in writers if all(map(writer.known, data)))
            message = next(holding, message)
        return self._build(message, data, False)

    def encode_downlink(self, data: Mapping[str, Any], f_port: int | None = None) -> Downlink:
        """Return the downlink with this command."""
        ports = [port for port in self.device.ports if port.direction == "down"]
        if not ports:
            raise PayloadError(self.name, words.NO_DOWNLINKS)
        if f_port is not None:
            port = self._port("down", f_port)
            if port is None:
                raise PayloadError(self.name, self._unknown_port("down", f_port))
            ports = [port]
        commands = [(message.name, port, message) for port in ports for message in port.messages]
        known = list(dict.fromkeys(name for name, _, _ in commands))
        asked = data.get("command")
        if asked is None and len(known) == 1:
            asked = known[0]
        elif known == [""]:
            known_values = ", ".join(names(commands[0][2].items))
            raise PayloadError(self.name, words.NO_SUCH_VALUE.format(known=known_values), field="command")
        for name, port, message in commands:
            if name == asked:
                to = f_port if f_port is not None else port.f_ports[0] if port.f_ports else 1
                return Downlink(to, self._build(message, data, True))
        raise PayloadError(self.name, words.UNKNOWN_COMMAND.format(known=", ".join(filter(None, known))))

    def _port(self, direction: str, f_port: int) -> Port | None:
        ports = [port for port in self.device.ports if port.direction == direction]
        exact_port = (port for port in ports if f_port in port.f_ports)
        return next(exact_port, next((port for port in ports if not port.f_ports), None))

    def _unknown_port(self, direction: str, f_port: int) -> str:
        ports = {each for port in self.device.ports if port.direction == direction for each in port.f_ports}
        return words.UNKNOWN_PORT.format(port=f_port, known=", ".join(map(str, sorted(ports))))

    def _decode(self, direction: str, f_port: int, payload: bytes, recv_ms: int | None) -> Decoded:
        port = self._port(direction, f_port)
        if port is None:
            return failed(self._unknown_port(direction, f_port))
        try:
            return self._parse(port, self._message(port, payload), payload, recv_ms)
        except RefusedError as refused:
            return failed(str(refused))
        except c.StreamError:
            return failed(words.TOO_SHORT.format(length=len(payload)))

    def _message(self, port: Port, payload: bytes) -> Message:
        selector = port.selector
        if selector is None:
            return port.messages[0]
        code = c.BitsInteger(selector.bits).parse(bytes2bits(payload))
        by_code = {getattr(message.items[0], "code", None): message for message in port.messages}
        if code not in by_code:
            known = ", ".join(map(str, by_code))
            if port.messages[0].version is not None:
                raise RefusedError(words.UNKNOWN_VERSION.format(code=code, known=known))
            raise RefusedError(words.UNKNOWN_MESSAGE.format(title=selector.title, code=code, known=known))
        return by_code[code]

    def _parse(self, port: Port, message: Message, payload: bytes, recv_ms: int | None) -> Decoded:
        extra = None
        size = static_bytes(message)
        if size is not None:
            extra = self._left(message, payload, size)
        stream = io.BytesIO(bytes2bits(payload))
        codes = self._layout(message).parse_stream(stream, codes={})
        if size is None:
            extra = self._left(message, payload, (stream.tell() + 7) // 8)
        reader = Reader(units_of(message), recv_ms)
        if message.name and port.direction == "down":
            reader.newest.data["command"] = message.name
        reader.walk(message.items, codes, reader.newest)
        return reader.result(extra)

    def _left(self, message: Message, payload: bytes, used: int) -> str | None:
        if len(payload) < used:
            raise RefusedError(words.TOO_SHORT.format(length=len(payload)))
        if len(payload) > used and message.extra == "error":
            raise RefusedError(words.TOO_LONG.format(length=len(payload)))
        return words.EXTRA_BYTES.format(count=len(payload) - used) if len(payload) > used else None

    def _build(self, message: Message, data: Mapping[str, Any], command: bool) -> bytes:
        codes = Writer(self.name, message, data, command).write()
        bits = self._layout(message).build(codes, codes={})
        payload = bits2bytes(bits + bytes(-len(bits) % 8))
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise PayloadError(self.name, words.TOO_LONG.format(length=len(payload)))
        return payload

    def _layout(self, message: Message) -> Any:
        return next(layout for each, layout in self._layouts if each is message)
