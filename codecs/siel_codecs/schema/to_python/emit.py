"""The generated Python codec: which message a port and its first bits name; the messages are written elsewhere.

The source defines ``decode``, ``encode``, ``decode_downlink`` and ``encode_downlink``. It needs the names ``Decoded``,
``Sample``, ``Downlink`` and ``failed`` of ``siel_codecs.codec``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from siel_codecs.schema import words
from siel_codecs.schema.below import names
from siel_codecs.schema.model import Message, Port
from siel_codecs.schema.to_python.decode import MessageDecoder
from siel_codecs.schema.to_python.encode import MessageEncoder
from siel_codecs.schema.to_python.text import Code, Lines, filled

if TYPE_CHECKING:
    from collections.abc import Callable

    from siel_codecs.schema.model import Device

HEAD = """\
from siel_codecs.errors import PayloadError
from siel_codecs.schema.to_python.runtime import (
    asked, channels_in, check_arms, check_names, chosen, finished, listed, of_channel, is_known, opaque, pick,
    sample_entry, scaled, seconds, series_of, series_result, swapped, templates,
)

from_bytes = int.from_bytes
"""
Direction = Literal["up", "down"]


def emit_python(device: Device) -> str:
    """Return the source of the four methods of a codec.

    Raises:
        EmitError: Something that it cannot express.
    """
    out = Lines()
    _function(out, "decode(f_port, payload, recv_ms=None)", lambda: _decode(out, device, "up"))
    _function(out, "decode_downlink(f_port, payload)", lambda: _decode(out, device, "down"))
    _encode(out, device)
    _encode_downlink(out, device)
    constants = [f"CODEC = {device.name!r}", *out.constants]
    return (
        f"# {' '.join(device.name.split())}, made from its schema\n" + "\n".join([HEAD, *constants, *out.lines]) + "\n"
    )


def _ports(device: Device, direction: Direction) -> list[Port]:
    """Return the ports of a direction, the one for any port last."""
    ports = [port for port in device.ports if port.direction == direction]
    return sorted(ports, key=lambda port: not port.f_ports)


def _is_port(port: Port) -> str:
    if len(port.f_ports) == 1:
        return f"if f_port == {port.f_ports[0]}:"
    return f"if f_port in {{{', '.join(map(str, port.f_ports))}}}:"


def _unknown_port(device: Device, direction: Direction) -> str:
    known = sorted({each for port in _ports(device, direction) for each in port.f_ports})
    return filled(words.UNKNOWN_PORT, port=Code("str(f_port)"), known=", ".join(map(str, known)))


def _decode(out: Lines, device: Device, direction: Direction) -> None:
    out("size = len(payload)")
    if direction == "down":
        out("recv_ms = None")
    for port in _ports(device, direction):
        if not port.f_ports:
            _port(out, device, port)
            return
        out.within(_is_port(port), lambda port=port: _port(out, device, port))  # type: ignore[misc]
    out(f"return failed({_unknown_port(device, direction)})")


def _port(out: Lines, device: Device, port: Port) -> None:
    def write(message: Message) -> None:
        MessageDecoder(device.name, out, message, port.direction == "down", selector).write()

    selector = port.selector
    if selector is None:
        write(port.messages[0])
        return
    count = (selector.bits + 7) // 8
    short = filled(words.TOO_SHORT, length=Code("str(size)"))
    out.block(f"if size < {count}:", [f"return failed({short})"])
    right = -selector.bits % 8
    first = "payload[0]" if count == 1 else f'from_bytes(payload[:{count}], "big")'
    code = f"{first} >> {right}" if right else first
    codes = [getattr(message.items[0], "code", 0) for message in port.messages]
    known = ", ".join(map(str, codes))
    if port.messages[0].version is not None:
        unknown = filled(words.UNKNOWN_VERSION, code=Code(f"str({code})"), known=known)
    else:
        unknown = filled(words.UNKNOWN_MESSAGE, title=selector.title, code=Code(f"str({code})"), known=known)
    for number, message in zip(codes, port.messages, strict=True):
        if len(codes) == 1:
            out.block(f"if {code} != {number}:", [f"return failed({unknown})"])
            write(message)
            return
        out.within(f"if {code} == {number}:", lambda message=message: write(message))  # type: ignore[misc]
    out(f"return failed({unknown})")


def _encode(out: Lines, device: Device) -> None:
    def write() -> None:
        for port in _ports(device, "up"):
            if port.f_ports:
                out.within(_is_port(port), lambda port=port: _encode_port(out, device, port))  # type: ignore[misc]
            else:
                _encode_port(out, device, port)
                return
        out(f"raise PayloadError(CODEC, {_unknown_port(device, 'up')})")

    _functions(out, device, "up")
    _function(out, "encode(f_port, data)", write)


def _encode_port(out: Lines, device: Device, port: Port) -> None:
    """Add the choice of a message: the newest version, or the first that has a place for all names."""
    at = device.ports.index(port)
    if port.messages[0].version is None and len(port.messages) > 1:
        for index in range(len(port.messages)):
            out.block(f"if _known_{at}_{index}(data):", [f"return _message_{at}_{index}(data)"])
    out(f"return _message_{at}_0(data)")


def _functions(out: Lines, device: Device, direction: Direction) -> None:
    """Add a function for each message of a direction that encodes it."""
    for at, port in enumerate(device.ports):
        for index, message in enumerate(port.messages if port.direction == direction else ()):
            encoder = MessageEncoder(device.name, out, message, direction == "down")
            if direction == "up" and len(port.messages) > 1 and port.messages[0].version is None:
                _function(out, f"_known_{at}_{index}(data)", encoder.write_known)
            _function(out, f"_message_{at}_{index}(data)", encoder.write)


def _function(out: Lines, head: str, write: Callable[[], None]) -> None:
    out("")
    out("")
    out.within(f"def {head}:", write)


def _encode_downlink(out: Lines, device: Device) -> None:
    def write() -> None:
        ports = _ports(device, "down")
        if not ports:
            out(f"raise PayloadError(CODEC, {words.NO_DOWNLINKS!r})")
            return
        out('command = data.get("command")')
        in_order = [port for port in device.ports if port.direction == "down"]
        out.within("if f_port is None:", lambda: _commands(out, device, in_order))
        for port in ports:
            if not port.f_ports:
                _commands(out, device, [port])
                return
            out.within(_is_port(port), lambda port=port: _commands(out, device, [port]))  # type: ignore[misc]
        out(f"raise PayloadError(CODEC, {_unknown_port(device, 'down')})")

    _functions(out, device, "down")
    _function(out, "encode_downlink(data, f_port=None)", write)


def _commands(out: Lines, device: Device, ports: list[Port]) -> None:
    """Add the choice of a command among those of some ports; ``f_port`` is None for more than one."""
    commands: dict[str, str] = {}
    first: Message = ports[0].messages[0]
    for port in ports:
        at = device.ports.index(port)
        for index, message in enumerate(port.messages):
            own = port.f_ports[0] if port.f_ports else 1
            to = f"{own} if f_port is None else f_port"
            commands.setdefault(message.name, f"return Downlink({to}, _message_{at}_{index}(data))")
    if len(commands) == 1:
        ((name, build),) = commands.items()
        out.block(f"if command is None or command == {name!r}:" if name else "if command is None:", [build])
        if not name:
            wrong = filled(words.NO_SUCH_VALUE, known=", ".join(names(first.items)))
            out(f'raise PayloadError(CODEC, {wrong}, field="command")')
            return
    else:
        for name, build in commands.items():
            out.block(f"if command == {name!r}:", [build])
    known = ", ".join(filter(None, commands))
    out(f"raise PayloadError(CODEC, {filled(words.UNKNOWN_COMMAND, known=known)})")
