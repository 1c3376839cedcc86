"""The TS013 file of a device: what network servers run to take uplinks apart and to make downlinks.

ES5 that means the same as an ES module (strict), as a script (sloppy) and inside a function that a server wraps around
it: functions at the top level, no export, no other names. Source: LoRa Alliance TS013, Payload Codec API; ChirpStack's
``codec/js`` and The Things Stack's ``messageprocessors/javascript``, which append calls to the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from siel_codecs.errors import EmitError
from siel_codecs.schema import words
from siel_codecs.schema.below import names
from siel_codecs.schema.model import Constant
from siel_codecs.schema.to_javascript.cursor import SHORT
from siel_codecs.schema.to_javascript.decode import emit_decoder, has_series
from siel_codecs.schema.to_javascript.encode import emit_encoder
from siel_codecs.schema.to_javascript.helpers import BAD_DATA, helpers_for
from siel_codecs.schema.to_javascript.text import TARGET, bits_of, literal, one_line, plain, say

if TYPE_CHECKING:
    from siel_codecs.schema.model import Device, Message, Port

MAX_BYTES: Final = 40_960
"""The largest script of a user. Source: The Things Stack, limits of payload formatters."""
Direction = Literal["up", "down"]


def emit_javascript(device: Device) -> str:
    """Return the text of the file.

    ``decodeUplink`` always, ``decodeDownlink`` and ``encodeDownlink`` where the device takes downlinks. A missing or
    odd ``recvTime`` is an unknown time; other odd input is answered with errors, never with an exception.

    Raises:
        EmitError: A number that doubles cannot hold, or more text than servers take.
    """
    body = _decoder(device, "up")
    if any(device.downlinks()):
        body += ["", *_decoder(device, "down"), "", *_encoder(device)]
    source = "\n".join(body)
    parts = [*_head(device), "", source, *(f"\n{helper}" for helper in helpers_for(source))]
    whole = "\n".join(parts) + "\n"
    size = len(whole.encode())
    if size > MAX_BYTES:
        raise EmitError(device.name, TARGET, "file", f"{size} bytes; network servers take {MAX_BYTES}")
    return whole


def _head(device: Device) -> list[str]:
    return [
        f"// {device.name}: {one_line(device.title)}",
        "// LoRaWAN payload codec (TS013) made from the device's schema; change that, not this.",
        f"// Again: siel codec generate {device.name} --target js",
        "// recvTime may be a Date, an RFC 3339 text or milliseconds since 1970; anything else is an unknown time.",
    ]


def _decoder(device: Device, direction: Direction) -> list[str]:
    """Return the lines of the decoder of one direction and of its ports."""
    ports = sorted((port for port in device.ports if port.direction == direction), key=lambda port: not port.f_ports)
    known = sorted(f_port for port in ports for f_port in port.f_ports)
    has_time = any(has_series(message.items) for port in ports for message in port.messages)
    arguments = "b, time" if has_time else "b"
    body: list[str] = []
    calls: list[str] = []
    for port in ports:
        name = f"siel_{direction}_{_port_name(port)}"
        condition = " || ".join(f"input.fPort === {f_port}" for f_port in port.f_ports)
        call = f"return {name}({arguments.replace('b', 'input.bytes')});"
        calls.append(f"if ({condition}) {call}" if condition else call)
        body += ["", *_port(device, port, name, arguments)]
    if all(port.f_ports for port in ports):
        unknown = say(words.UNKNOWN_PORT, port="input.fPort", known=plain(", ".join(map(str, known))))
        calls.append(f"return siel_failed({unknown});")
    lines = ["var problem = siel_problem(input);", 'if (problem !== "") return siel_failed(problem);', *calls]
    if has_time:
        lines[0] = "var problem = siel_problem(input), time;"
        lines.insert(2, f"time = {'siel_time(input.recvTime)' if direction == 'up' else 'null'};")
    function = "decodeUplink" if direction == "up" else "decodeDownlink"
    return [f"function {function}(input) {{", *(f"  {line}" for line in lines), "}", *body]


def _port(device: Device, port: Port, name: str, arguments: str) -> list[str]:
    """Return the lines of the functions of a port: its only message's, or one that finds the message and theirs."""
    selector = port.selector
    if selector is None:
        head = f"{name}({arguments})"
        return emit_decoder(device, port.messages[0], head, direction=port.direction, selected=False)
    octets = [f"b[{index}]" for index in range((selector.bits + 7) // 8)]
    lines = ["var v;", f"if (b.length < {len(octets)}) {SHORT}", f"v = {bits_of(octets, 0, selector.bits)};"]
    body: list[str] = []
    codes = [first.code for message in port.messages if isinstance(first := message.items[0], Constant)]
    for message, code in zip(port.messages, codes, strict=True):
        head = f"{name}_{code}({arguments})"
        lines.append(f"if (v === {code}) return {head};")
        body += ["", *emit_decoder(device, message, head, direction=port.direction, selected=True)]
    known = plain(", ".join(map(str, codes)))
    if port.messages[0].version is not None:
        unknown = say(words.UNKNOWN_VERSION, code="v", known=known)
    else:
        unknown = say(words.UNKNOWN_MESSAGE, title=plain(selector.title), code="v", known=known)
    lines.append(f"return siel_failed({unknown});")
    return [f"function {name}({arguments}) {{", *(f"  {line}" for line in lines), "}", *body]


def _encoder(device: Device) -> list[str]:
    """Return the lines of the encoder of commands, of what finds a command, and of each command's function."""
    ports = sorted((port for port in device.ports if port.direction == "down"), key=lambda port: not port.f_ports)
    first = next(port for port in device.ports if port.direction == "down")
    lines = [
        "var data = siel_data(input);",
        f"if (data === null) return siel_refused({literal(BAD_DATA)}, 1);",
    ]
    body: list[str] = []
    commands: dict[int, list[tuple[Message, str]]] = {}
    for port in ports:
        name = f"siel_make_{_port_name(port)}"
        commands[id(port)] = [(message, f"{name}_{index}") for index, message in enumerate(port.messages)]
        for message, function in commands[id(port)]:
            body += ["", *emit_encoder(device, message, f"{function}(data, to)")]
        condition = " || ".join(f"asked === {f_port}" for f_port in port.f_ports) or "asked > 0"
        if len(ports) > 1 or len(port.f_ports) != 1:
            lines.append(f"if ({condition}) return {name}(data, asked);")
        body += ["", *_command(f"{name}(data, to)", [(*each, "to") for each in commands[id(port)]])]
    in_order = [port for port in device.ports if port.direction == "down"]
    if len(ports) == 1:
        lines.append(f"return siel_make_{_port_name(first)}(data, {_default(first)});")
    else:
        every = [(*each, str(_default(port))) for port in in_order for each in commands[id(port)]]
        lines.append("return siel_make(data);")
        body += ["", *_command("siel_make(data)", every)]
    if any("asked" in line for line in lines[2:]):
        lines[0] = "var data = siel_data(input), asked = 0;"
        lines.insert(2, "if (siel_whole(input.fPort, 255)) asked = input.fPort;")
    comment = "// The command goes to the port that is asked for if the device takes it there, else to its own."
    return [comment, "function encodeDownlink(input) {", *(f"  {line}" for line in lines), "}", *body]


def _command(head: str, commands: list[tuple[Message, str, str]]) -> list[str]:
    """Return the lines of a function that finds the command which the data ask for."""
    known = list(dict.fromkeys(message.name for message, _, _ in commands))
    to = commands[0][2]
    lines = ['var command = siel_get(data, "command");']
    if len(known) == 1:
        lines.append(f"if (command === null) return {commands[0][1]}(data, {to});")
    if known == [""]:
        unknown = say(words.NO_SUCH_VALUE, known=plain(", ".join(names(commands[0][0].items))))
        return [
            f"function {head} {{",
            *(f"  {line}" for line in lines),
            f'  return siel_refused("command: " + {unknown}, {to});',
            "}",
        ]
    seen: set[str] = set()
    for message, function, port in commands:
        if message.name not in seen:
            lines.append(f"if (command === {literal(message.name)}) return {function}(data, {port});")
        seen.add(message.name)
    unknown = say(words.UNKNOWN_COMMAND, known=plain(", ".join(filter(None, known))))
    lines.append(f"return siel_refused({unknown}, {to});")
    return [f"function {head} {{", *(f"  {line}" for line in lines), "}"]


def _default(port: Port) -> int:
    return port.f_ports[0] if port.f_ports else 1


def _port_name(port: Port) -> str:
    return str(port.f_ports[0]) if port.f_ports else "any"
