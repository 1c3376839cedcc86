"""What is left to judge in a file where values of a wrong form were found: so that all faults are told at once.

What was refused is taken out, or replaced by something near it, and all else keeps its place. A message whose layout
cannot be guessed is not judged as a whole; its fields are, each by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import Any, Final

from siel_codecs.schema.load.fields import SPECIALS
from siel_codecs.schema.load.words import near_key
from siel_codecs.toml_lines import TomlPath

_ALONE: Final = frozenset(
    ["title", "scale", "offset", "min", "max", "saturate", "node", "true_is", "order", "extra", *SPECIALS]
)
"""Keys that say nothing about where others stand and what they steer."""
_BITS: Final = re.compile(r"(?!hex)[A-Za-z_]*?([1-9][0-9]?)(le|be|_t)?")
"""Types as other languages have them: i16, uint16_t."""
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9_]+")
_MESSAGES: Final = ("uplink", "downlink")
_BELOW: Final = frozenset(["field", "arm", "entry"])
_LAST_PORT: Final = 223


class Repaired:
    """A file's tree without what was refused."""

    def __init__(self, tree: dict[str, Any]) -> None:
        """Begin with all of it."""
        self.tree: dict[str, Any] = deepcopy(tree)
        self._whole = tree
        self._silent: set[TomlPath] = set()
        """Tables of which nothing more is told; of the whole file that it has no message."""
        self._unread: dict[TomlPath, Any] = {}

    def take_out(self, place: tuple[str | int, ...], path: TomlPath, kind: str) -> None:
        """Take out one place that was refused.

        Args:
            place: As pydantic names it.
            path: The same in the file.
            kind: What pydantic calls the fault.
        """
        head = path[:1]
        if head in {(key,) for key in _MESSAGES} and len(path) > 1:
            if path[:2] not in self._unread and not self._in_message(place, path, kind):
                self._forget(path[:2])
        elif head == ("unit",) and len(path) > 1:
            self.tree["unit"][path[1]] = {"display": ""}
        elif head == ("title",):
            self.tree["title"] = "-"
        elif path:
            self.tree.pop(str(path[0]), None)
            meant = near_key(place) if kind == "extra_forbidden" else str(path[0])
            if meant in _MESSAGES:
                self._silent.add(())
                self.tree.pop("example", None)  # a port of theirs may be that of a message

    def give_up(self, path: TomlPath) -> None:
        """Take out the message of a place that was refused once more."""
        if path[:1] in {(key,) for key in _MESSAGES} and len(path) > 1 and path[:2] not in self._unread:
            self._forget(path[:2])

    def unread(self) -> Iterator[tuple[TomlPath, dict[str, Any]]]:
        """Yield what stands in lists of fields of the messages that were taken out, each as it stands in the file."""
        rest: list[tuple[TomlPath, Any]] = list(self._unread.items())
        while rest:
            path, at = rest.pop()
            if isinstance(at, dict):
                if path[-2:-1] == ("field",):
                    yield path, at
                rest += [((*path, key), each) for key, each in at.items() if key in _BELOW]
            elif isinstance(at, list):
                rest += [((*path, n), each) for n, each in enumerate(at)]

    def tells(self, path: TomlPath) -> bool:
        """Tell whether a fault that was found in the rest is one of the file."""
        if path[:2] in self._unread:
            return False
        return not any(
            path[: len(table)] == table and (table or not path) and not _BELOW & {*path[len(table) : -1]}
            for table in self._silent
        )

    def _in_message(self, place: tuple[str | int, ...], path: TomlPath, kind: str) -> bool:
        # Whether there is something near it that the rest of the message can be judged with
        if "node" in path:
            path = path[: path.index("node") + 1]
        key, table = path[-1], path[:-1]
        try:
            at: Any = reduce(getitem, table, self.tree)  # type: ignore[arg-type]
        except (LookupError, TypeError):
            return False
        if not isinstance(at, dict):
            return False
        meant = near_key(place) if kind == "extra_forbidden" and key != "node" else str(key)
        if meant is None or (meant != key and meant in at):
            del at[key]
            return True
        self._silent.add(table)
        if meant != key:
            at[meant] = at.pop(key)
        elif meant in _ALONE:
            at.pop(key, None)
        elif kind == "missing":
            return key in at  # another key was taken for it
        elif key == "name" and isinstance(at["name"], str) and len(table) > len(path[:2]):
            at["name"] = _NOT_IN_NAMES.sub("_", at["name"].lower())[:32]
        elif key == "type" and (bits := _BITS.fullmatch(str(at.get("type", "")))) and int(bits[1]) in range(2, 33):
            at["type"] = f"{'s' if str(at['type']).startswith(('i', 's')) else 'u'}{bits[1]}"
        elif key in {"count", "samples"} and isinstance(at.get(key), str):
            at[key] = f"_{at[key].lower()}"
        else:
            return False
        return True

    def _forget(self, message: TomlPath) -> None:
        direction, n = str(message[0]), int(message[1])
        taken = {port for each in self.tree[direction] if isinstance(each, dict) for port in _ports(each.get("f_port"))}
        free = max({*range(1, _LAST_PORT + 1)} - taken, default=1)
        self._unread[message] = self._whole[direction][n]
        self.tree[direction][n] = {"name": f"unread_{n}", "f_port": free, "field": [{"reserved": 8}]}
        self.tree.pop("example", None)


def _ports(f_port: object) -> list[int]:
    return [port for port in (f_port if isinstance(f_port, list) else [f_port]) if isinstance(port, int)]
