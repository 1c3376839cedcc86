"""Which names a message has, where they can meet, and what a field may refer to."""

from __future__ import annotations

from collections.abc import Mapping

from siel_codecs.schema.load.fields import Context
from siel_codecs.schema.model import Choice, Control, Leaf, Number, Opaque
from siel_codecs.toml_lines import TomlPath, show_path

Conditions = Mapping[TomlPath, frozenset[int]]
"""The codes that a control (by its path) has where one stands."""
Named = Number | Choice | Opaque | Control


def can_meet(one: Conditions, other: Conditions) -> bool:
    """Whether a payload can have what stands under both conditions."""
    return all(codes & other[control] for control, codes in one.items() if control in other)


class Names:
    """The names of one message, or of one TLV entry."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._found: dict[str, list[tuple[TomlPath, Conditions]]] = {}
        self._arguments: dict[str, str] = {"buf": ""}

    def add(self, leaf: Named, path: TomlPath, conditions: Conditions) -> None:
        """Take a name; a fault if it can meet another of the same kind."""
        others = self._found.setdefault(leaf.name, [])
        for other, its in others:
            if can_meet(conditions, its):
                self._context.fault((*path, "name"), f"{leaf.name!r} is there twice (also {show_path(other)})")
                break
        others.append((path, dict(conditions)))
        if isinstance(leaf, Number):
            self._unit(leaf, path)
            if leaf.node is not None:
                owner = self._arguments.setdefault(leaf.node.name, leaf.name)
                if owner != leaf.name:
                    whose = f"of {owner!r}" if owner else "of the buffer"
                    self._context.fault((*path, "node", "name"), f"{leaf.node.name!r} is the argument {whose} already")

    def add_entry(self, name: str, path: TomlPath, conditions: Conditions) -> None:
        """Take a name from an entry of a TLV: other entries may have it too, the message's own fields not."""
        others = [other for other, its in self._found.get(name, ()) if can_meet(conditions, its)]
        if others:
            self._context.fault((*path, "name"), f"{name!r} is there twice (also {show_path(others[0])})")

    def _unit(self, leaf: Number, path: TomlPath) -> None:
        display = leaf.unit.display if leaf.unit else ""
        other = self._context.units_of_names.setdefault(leaf.name, display)
        if other != display:
            units = f"{display or 'none'} here and {other or 'none'} elsewhere in the message"
            self._context.fault((*path, "unit"), f"{leaf.name!r} has two units: {units}")


class Scope:
    """What has been read before a place, and under which conditions one stands there."""

    def __init__(
        self, leaves: Mapping[str, tuple[Leaf, TomlPath]], conditions: Conditions, *, is_entry: bool = False
    ) -> None:
        self.leaves = dict(leaves)
        self.is_entry = is_entry
        """Of a TLV, whose fields have no fixed places and see nothing outside of it."""
        self.conditions = dict(conditions)

    def below(self, control: TomlPath, codes: frozenset[int]) -> Scope:
        """Return the scope of an arm that is there for these codes of ``control``."""
        scope = Scope(self.leaves, self.conditions, is_entry=self.is_entry)
        scope.conditions[control] = codes & scope.conditions.get(control, codes)
        return scope
