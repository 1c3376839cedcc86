"""``siel codec run-js``: a vendor's JavaScript codec, run as the gateway runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from siel_tools.commands._params import hex_bytes
from siel_tools.commands.codec import _shared
from siel_tools.commands.codec.payload import finish

if TYPE_CHECKING:
    from siel_codecs.js import JsHost


@click.command("run-js", short_help="What a JavaScript codec says of a payload.")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.js")
@click.argument("payload", required=False, type=hex_bytes, metavar="HEX")
@click.option("--fport", type=_shared.F_PORT, help="The port the payload came on.")
@click.option("--downlink", is_flag=True, help="Call decodeDownlink instead of decodeUplink.")
@click.option("--recv-time", type=_shared.recv_time, metavar="TIME", help="When it was received, 2026-01-01T00:00:00Z.")
@_shared.batch
@_shared.folders
@_shared.as_json
def command(
    file: Path | None,
    payload: bytes | None,
    fport: int | None,
    downlink: bool,
    recv_time: int | None,
    batch: BinaryIO | None,
    folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Decode the payload HEX with a JavaScript codec, in a process of its own that may not harm this one.

    Lines of a batch: {"js":"path","fPort":2,"bytes":"hex","recvTime":"2026-01-01T00:00:00Z"}, the time may be missing;
    a path is relative to the batch file's folder or, if there is no such file, to the working directory. Each is
    answered by one line: {"data":{...} or null,"warnings":[...],"errors":[...]}.
    """
    del folders  # a file is named by its path; the option is there so that all commands take it
    from siel_codecs.js import JsHost, JsSourceError, JsWorkerError

    try:
        with JsHost() as host:
            if batch is not None:
                if file is not None or fport is not None or downlink or recv_time is not None:
                    raise click.UsageError("--batch takes file, port, payload and time from the lines; leave them out.")
                _batch(host, batch)
                return
            if file is None or payload is None or fport is None:
                raise click.UsageError("FILE.js, --fport N and HEX are needed, or --batch FILE.")
            if downlink:
                found = host.decode_downlink(file, fport, payload)
            else:
                found = host.decode_uplink(file, fport, payload, recv_time)
    except JsSourceError as error:
        _shared.wrong(f"{file}: {error}")
    except JsWorkerError as error:
        click.echo(f"siel: the process that runs JavaScript does not start: {error}", err=True)
        sys.exit(1)
    finish(found, as_json=as_json)


def _batch(host: JsHost, lines: BinaryIO) -> None:
    folder = Path(lines.name).parent if isinstance(lines.name, str) and lines.name != "<stdin>" else Path()
    _shared.write_answers(_answers(host, lines, folder))


def _answers(host: JsHost, lines: BinaryIO, folder: Path) -> Iterator[bytes]:
    from siel_codecs.batch import MAX_LINE_BYTES
    from siel_codecs.js import run_js_line

    while line := lines.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = lines.readline(MAX_LINE_BYTES)
            error = f"not a request: longer than {MAX_LINE_BYTES} bytes"
            answer = json.dumps({"data": None, "warnings": [], "errors": [error]}, separators=(",", ":")).encode()
        else:
            answer = run_js_line(host, _placed(line, folder))
        yield answer + b"\n"


def _placed(line: bytes, folder: Path) -> bytes:
    """Return a line whose path holds from the working directory."""
    try:
        request = json.loads(line)
        path = folder / request["js"]
        if path.is_file():
            return json.dumps({**request, "js": str(path)}).encode()
    except (ValueError, TypeError, KeyError, RecursionError, OSError):
        pass  # what is wrong with it is told in its answer
    return line
