"""Codecs by name: the ones that come with the package, and folders of a user's own.

A folder holds ``<vendor>/<device>.toml``; a user's folder comes before the package's own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from siel_codecs.codec import Codec, SchemaCodec
from siel_codecs.errors import UnknownCodecError
from siel_codecs.schema.load import load_file

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE_FOLDER: Final = Path(__file__).parent / "devices"
_NAME: Final = re.compile("[a-z0-9][a-z0-9_-]{0,63}/[a-z0-9][a-z0-9_-]{0,63}")


class Registry:
    """Finds, loads and keeps codecs."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """``folders`` are searched in their order, before the package's own."""
        self._folders = (*folders, PACKAGE_FOLDER)
        self._names: list[str] | None = None
        self._loaded: dict[str, SchemaCodec] = {}

    def names(self) -> list[str]:
        """Return the names of all codecs, sorted, as the folders were at the first question.

        A file that is wrong is found when it is loaded.
        """
        if self._names is None:
            files = [file for folder in self._folders if folder.is_dir() for file in folder.glob("*/*.toml")]
            self._names = sorted(filter(_NAME.fullmatch, {f"{file.parent.name}/{file.stem}" for file in files}))
        return list(self._names)

    def load(self, name: str) -> SchemaCodec:
        """Return a codec; the same object each time.

        Args:
            name: ``vendor/device``.

        Raises:
            UnknownCodecError: There is none of this name.
            SchemaError: Its file is wrong.
        """
        if name not in self._loaded:
            self._loaded[name] = SchemaCodec(load_file(self._file(name), name))
        return self._loaded[name]

    def _file(self, name: str) -> Path:
        if _NAME.fullmatch(name):
            for folder in self._folders:
                file = folder / f"{name}.toml"
                if file.is_file():
                    return file
        raise UnknownCodecError(name, self.names())


_PACKAGE: Final = Registry()


def names() -> list[str]:
    """Return the names of the codecs that come with the package."""
    return _PACKAGE.names()


def load(name: str) -> Codec:
    """Return a codec that comes with the package; see ``Registry.load``."""
    return _PACKAGE.load(name)
