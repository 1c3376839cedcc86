"""What the commands of ``siel codec`` have in common: where codecs are found, and how wrong usage ends."""

from __future__ import annotations

import codecs
import errno
import json
import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from siel_codecs.codec import SchemaCodec
    from siel_codecs.registry import Registry
    from siel_codecs.schema.model import Device

F_PORT: Final = click.IntRange(0, 255)
_Function = TypeVar("_Function", bound=Callable[..., Any])


class BatchFile(click.File):
    """A file of JSON lines, ``-`` for standard input; a byte order mark before the first line is passed over."""

    def __init__(self) -> None:
        """It is read in bytes."""
        super().__init__("rb")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file."""
        try:
            file = super().convert(value, param, ctx)
        except RuntimeError:  # what click raises without a stream
            self.fail("standard input is closed", param, ctx)
        peek = getattr(file, "peek", None)
        if peek is not None and peek(1).startswith(codecs.BOM_UTF8):
            file.read(len(codecs.BOM_UTF8))
        return file


batch: Final = click.option(
    "--batch", type=BatchFile(), metavar="FILE", help="Decode JSON lines instead; - is standard input."
)
as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
folders: Final = click.option(
    "--codecs",
    "folders",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="DIR",
    help="A folder of your own schemas, <vendor>/<device>.toml; may be repeated. They come before those built in.",
)


class Codecs:
    """The codecs of a command: those built in, those of the user's folders, and single files."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        """``folders`` come before what is built in."""
        self._folders = folders

    @property
    def registry(self) -> Registry:
        """The codecs that have a name."""
        from siel_codecs.registry import Registry

        return Registry(self._folders)

    def device(self, name: str) -> Device:
        """Return what a name or a file says; what is wrong with it ends the command with 2."""
        from siel_codecs.errors import SchemaError, UnknownCodecError

        try:
            return self.device_or_fault(name)
        except UnknownCodecError as error:
            wrong(f"{error}\nsiel codec list shows all with their titles; a file of your own ends in .toml.")
        except SchemaError as error:
            wrong(f"{len(error.faults)} fault(s) in the schema of {name}:\n{error}")

    def device_or_fault(self, name: str) -> Device:
        """Return what a name or a file says.

        Raises:
            UnknownCodecError: There is none of this name.
            SchemaError: Its file is wrong.
        """
        from siel_codecs.schema.load import load_file

        if not is_file(name):
            return self.registry.device(name)
        path = Path(name)
        if not path.is_file():
            wrong(f"there is no file {name}.\nA name without .toml at its end is looked up among the codecs.")
        return self.registry.complete(load_file(path, name_of(path)), str(path))

    def codec(self, name: str) -> SchemaCodec:
        """Return the codec of a name or a file; what is wrong with it ends the command with 2."""
        from siel_codecs.codec import SchemaCodec

        return SchemaCodec(self.device(name))


def is_file(name: str) -> bool:
    """Tell whether DEVICE is the path of a schema and no codec's name."""
    return name.endswith(".toml")


def name_of(path: Path) -> str:
    """Return the codec's name of a schema file: its place says it."""
    full = path.absolute()
    return f"{full.parent.name or 'local'}/{full.stem}"


def recv_time(text: str | None) -> int | None:
    """Return the milliseconds since 1970 of an RFC 3339 time with its offset."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write it like 2026-01-01T00:00:00Z") from None
    if moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no offset; put Z at its end for UTC")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def json_object(text: str, example: str) -> dict[str, Any]:
    """Return the object that a command-line argument holds as JSON."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"JSON cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise click.UsageError(f"JSON must be an object, such as {example}.")
    return data


def print_json(document: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))


def write_answers(answers: Iterable[bytes]) -> None:
    """Write the answers of a batch as they come; where they cannot be written or read on, the command ends with 1."""
    if sys.stdout is None:
        wrong("standard output is closed; the answers of a batch go there.")
    out = sys.stdout.buffer
    try:
        for answer in answers:
            out.write(answer)
            out.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click ends quietly: the reader has seen enough
        click.echo(f"siel: the batch was not finished: {error.strerror}", err=True)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), out.fileno())  # or what is left in the buffer fails again at the end of Python
        sys.exit(1)


def wrong(text: str) -> NoReturn:
    """End the command: wrong usage or configuration."""
    click.echo(f"siel: {text}", err=True)
    sys.exit(2)


def where(f_ports: tuple[int, ...]) -> str:
    """Return the ports of a message as people say them."""
    if not f_ports:
        return "any port"
    return ("port " if len(f_ports) == 1 else "ports ") + ", ".join(map(str, f_ports))
