"""Codecs by name: the ones that come with the package, and folders of a user's own.

A folder holds ``<vendor>/<device>.toml``; a user's folder comes before the package's own. A file that is wrong is told
when it is loaded and touches no other. A registry shows the folders as they were; to see new files, make another one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from siel_codecs.errors import CodecError, SchemaError, SchemaFault, UnknownCodecError
from siel_codecs.schema.load import SameAs, parse_text, read_text
from siel_codecs.toml_lines import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siel_codecs.codec import SchemaCodec
    from siel_codecs.schema.model import Device, Port

PACKAGE_FOLDER: Final = Path(__file__).parent / "devices"
NAME: Final = re.compile("[a-z0-9][a-z0-9_-]{0,63}/[a-z0-9][a-z0-9_-]{0,63}")
"""What a codec may be called: vendor and device."""

_MOST_REFUSED: Final = 1024
"""Names that are remembered as unknown or wrong: a batch may ask for one of them on every line."""


class Registry:
    """Finds, loads and keeps codecs."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """``folders`` are searched in their order, before the package's own."""
        self._folders = (*folders, PACKAGE_FOLDER)
        self._names: list[str] | None = None
        self._devices: dict[str, Device] = {}
        self._refused: dict[str, CodecError] = {}
        self._codecs: dict[str, SchemaCodec] = {}

    def names(self) -> list[str]:
        """Return the names of all codecs, sorted, as the folders were at the first question; no file is opened."""
        if self._names is None:
            found = {f"{file.parent.name}/{file.stem}" for folder in self._folders for file in _files(folder)}
            self._names = sorted(filter(NAME.fullmatch, found))
        return list(self._names)

    def device(self, name: str) -> Device:
        """Return what a codec's schema says, the same object each time; no code is generated.

        Args:
            name: ``vendor/device``.

        Raises:
            UnknownCodecError: There is none of this name.
            SchemaError: Its file is wrong.
        """
        device = self._devices.get(name)
        if device is not None:
            return device
        if name in self._refused:
            raise self._refused[name].with_traceback(None)
        try:
            device = self._devices[name] = self._find(name)
        except CodecError as error:
            if len(self._refused) < _MOST_REFUSED:
                self._refused[name] = error
            raise
        return device

    def load(self, name: str) -> SchemaCodec:
        """Return a codec, the same object each time; arguments and faults as of ``device``."""
        if name not in self._codecs:
            device = self.device(name)
            from siel_codecs.codec import SchemaCodec  # noqa: PLC0415 - names and devices are told without generators

            self._codecs[name] = SchemaCodec(device)
        return self._codecs[name]

    def _find(self, name: str) -> Device:
        found, file = self._read(name)
        if isinstance(found, SameAs):
            found = msgspec.structs.replace(self._target(found, str(file)), name=name)
        return self.complete(found, str(file))

    def complete(self, device: Device, file: str) -> Device:
        """Return a device with the ports of the codecs that its schema includes.

        Args:
            device: As ``siel_codecs.schema.load`` gives it.
            file: Where its schema stands, for messages.

        Raises:
            SchemaError: An included codec is not known, wrong, includes others itself, or has a port of the device.
        """
        ports = list(device.ports)
        for name in device.includes:
            for port in self._included(name, file).ports:
                if clash := next((each for each in ports if _meet(each, port)), None):
                    shown = ", ".join(map(str, port.f_ports or clash.f_ports)) or "any"
                    other = clash.included or "this schema"
                    raise _wrong_include(file, f"{name} has port {shown}, and so has {other}")
                ports.append(msgspec.structs.replace(port, included=name))
        return msgspec.structs.replace(device, ports=tuple(ports))

    def _included(self, name: str, file: str) -> Device:
        try:
            found, _ = self._read(name)
        except CodecError as error:
            raise _wrong_include(file, f"{name} cannot be included: {error}") from None
        if isinstance(found, SameAs) or found.includes:
            raise _wrong_include(file, f"{name} cannot be included: it leads to other codecs itself")
        return found

    def _read(self, name: str) -> tuple[Device | SameAs, Path]:
        file = self._file(name)
        if file is None:
            raise UnknownCodecError(name, self.names())
        return parse_text(read_text(file), name, str(file)), file

    def _target(self, alias: SameAs, file: str) -> Device:
        def wrong(reason: str) -> SchemaError:
            return SchemaError(file, [SchemaFault("same_as", reason, alias.line)])

        try:
            found, _ = self._read(alias.target)
        except UnknownCodecError as error:
            raise wrong(str(error)) from None
        if isinstance(found, SameAs):
            raise wrong(f"{alias.target} is another name of {found.target} itself; name that one")
        return found

    def _file(self, name: str) -> Path | None:
        if NAME.fullmatch(name):
            for folder in self._folders:
                file = folder / f"{name}.toml"
                if os.path.lexists(file):  # a broken link, too, which is told when it is read
                    return file
        return None


def _meet(one: Port, other: Port) -> bool:
    if one.direction != other.direction:
        return False
    return not (one.f_ports and other.f_ports) or not set(one.f_ports).isdisjoint(other.f_ports)


def _wrong_include(file: str, reason: str) -> SchemaError:
    return SchemaError(file, [SchemaFault("include", one_line(reason))])


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.glob("*/*.toml"))
    except OSError:  # a folder that may not be read hides no other
        return []


_PACKAGE: Final = Registry()


def names() -> list[str]:
    """Return the names of the codecs that come with the package."""
    return _PACKAGE.names()


def load(name: str) -> SchemaCodec:
    """Return a codec that comes with the package; see ``Registry.load``."""
    return _PACKAGE.load(name)
