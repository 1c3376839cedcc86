"""What a field may refer to: controls read before it, or read ahead from a fixed place behind it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

from siel_codecs.schema.load.fields import Context
from siel_codecs.schema.load.names import Scope
from siel_codecs.schema.load.tables import AnyField, Field, LittleWord
from siel_codecs.schema.model import Choice, Control, Leaf, Lookahead
from siel_codecs.toml_lines import TomlPath

Found = tuple[Control | Choice, TomlPath]
Purpose = Literal["steers", "counts", "can be the time"]


class References:
    """The references of one message; ``leaves`` are all of its leaves by their paths."""

    def __init__(self, leaves: dict[TomlPath, Leaf], fields: TomlPath, context: Context) -> None:
        self.leaves = leaves
        self.ahead: list[Lookahead] = []
        """Wanted by the item that is being read."""
        self._fields, self._context = fields, context
        self._steering: set[TomlPath] = set()
        self._wanted: set[str] = set()  # names that were told to be missing where they are referred to
        self._later: dict[str, tuple[TomlPath, int]] = {}  # leaves of the message itself and the bit each begins at
        self._read_ahead: dict[str, tuple[Leaf, TomlPath]] = {}

    def find_later(self, tables: Sequence[AnyField], starts: dict[TomlPath, int]) -> None:
        """Take the fixed places of the message's own fields."""
        for n, table in enumerate(tables):
            here: TomlPath = (*self._fields, n)
            if here not in starts:
                continue
            if isinstance(table, Field) and table.count == 0:
                bits = table.type.bits
                self._add_later(here, starts[here], _bit_in_word(bits, 0, bits) if table.type.little else 0)
            elif isinstance(table, LittleWord):
                right: int = table.word
                for m in range(len(table.field)):
                    part = self.leaves.get((*here, "field", m))
                    bits = part.bits if part else 0
                    right -= bits
                    self._add_later((*here, "field", m), starts[here], _bit_in_word(table.word, right, bits))

    def _add_later(self, path: TomlPath, start: int, bit: int | None) -> None:
        leaf = self.leaves.get(path)
        if isinstance(leaf, Control | Choice) and bit is not None:
            self._later[leaf.name] = (path, start + bit)

    def control(self, name: str, path: TomlPath, scope: Scope, purpose: Purpose) -> Found | None:
        """Return what steers by its name and note that it does; None, and a fault at ``path``, if nothing can."""
        ahead = purpose != "counts"
        found = scope.leaves.get(name)
        if found is None and not scope.is_entry:
            found = self._read_ahead.get(name)
            if found is None and ahead and name in self._later:
                where, bit = self._later[name]
                found = self._read_ahead[name] = (self.leaves[where], where)
                self.ahead.append(Lookahead(name, bit, found[0].bits))
        if found is None:
            self._context.fault(path, self.why_missing(name, scope, ahead=ahead))
            self._wanted.add(name)
            return None
        leaf, where = found
        if isinstance(leaf, Control) or (isinstance(leaf, Choice) and purpose == "steers"):
            self._steering.add(where)
            return leaf, where
        what = "a control, a flag or an enum" if purpose == "steers" else "a control"
        self._context.fault(path, f"{name!r} cannot be used here: only {what} {purpose}")
        return None

    def why_missing(self, name: str, scope: Scope, *, ahead: bool) -> str:
        """Return why there is no such name where ``scope`` is."""
        elsewhere = [path for path, leaf in self.leaves.items() if getattr(leaf, "name", None) == name]
        if not elsewhere:
            known = [each for each, (leaf, _) in scope.leaves.items() if isinstance(leaf, Control | Choice)]
            near = ", ".join(get_close_matches(name, known, 3, 0.5))
            return f"there is no {name!r} before it" + (f" (near: {near})" if near else "")
        if any(len(path) == len(self._fields) + 1 for path in elsewhere) and not scope.is_entry:
            return f"{name!r} comes later" + (", and not at a fixed place" if ahead else "")
        return f"{name!r} stands in another arm, entry, word or series and is not read before it"

    def check_controls(self) -> None:
        """Find the controls that steer nothing."""
        for path, leaf in self.leaves.items():
            if isinstance(leaf, Control) and path not in self._steering and leaf.name not in self._wanted:
                self._context.fault((*path, "name"), f"{leaf.name!r} steers nothing")


def _bit_in_word(word: int, right: int, bits: int) -> int | None:
    # Where a part of a little-endian word begins in wire order, None if it has no one place
    if not bits or right // 8 != (right + bits - 1) // 8 or right < 0:
        return None
    return right // 8 * 8 + 8 - right % 8 - bits
