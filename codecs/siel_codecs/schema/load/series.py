"""From the table of a time series to its item."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from siel_codecs.schema.load.fields import Context
from siel_codecs.schema.load.names import Names, Scope, can_meet
from siel_codecs.schema.load.references import References
from siel_codecs.schema.load.tables import AnyField, Const, Field, Series, Unused
from siel_codecs.schema.model import MAX_SAMPLES, Choice, Leaf, Number, Reserved, Samples, SeriesLeaf, Step
from siel_codecs.toml_lines import TomlPath

_MOST_MS: Final = 1 << 42
"""More than a century: products with it are exact in a double."""


def plain_leaf(table: AnyField, path: TomlPath, place: str, references: References, context: Context) -> Leaf | None:
    """Return the leaf of what must be a single field in big-endian order, as words and series hold them."""
    if not isinstance(table, Field | Const | Unused):
        context.fault(path, f"only single fields can stand in {place}")
        return None
    if isinstance(table, Field) and table.count != 0:
        context.fault((*path, "count"), f"an array cannot stand in {place}")
    if not isinstance(table, Unused) and table.type.little:
        context.fault((*path, "type"), f"a little-endian field cannot stand in {place}")
    return references.leaves[path]


class SeriesReader:
    """The series of one message; there is one at a time."""

    def __init__(self, references: References, context: Context) -> None:
        self._references, self._context = references, context
        self._found: list[Scope] = []

    @property
    def found(self) -> bool:
        """Whether there has been a series."""
        return bool(self._found)

    def read(self, table: Series, path: TomlPath, scope: Scope, names: Names) -> Samples:
        """Return the item."""
        context, references = self._context, self._references
        if any(can_meet(its.conditions, scope.conditions) for its in self._found):
            context.fault((*path, "samples"), "is the second series; a message has one")
        self._found.append(Scope({}, scope.conditions))
        count = table.samples
        if isinstance(count, int) and count > MAX_SAMPLES:
            context.fault((*path, "samples"), f"must be at most {MAX_SAMPLES}")
        if isinstance(count, str):
            references.control(count, (*path, "samples"), scope, "counts")
        leaves = []
        for n, field in enumerate(table.field):
            leaf = self._leaf(field, (*path, "field", n), scope, names)
            if leaf is not None:
                leaves.append(leaf)
        if not any(isinstance(each.leaf, Number | Choice) for each in leaves):
            context.fault((*path, "field"), "must have a value: a number, a flag or an enum")
        if count is None and sum(each.leaf.bits for each in leaves) < 8:  # noqa: PLR2004 - a byte
            context.fault((*path, "samples"), "must have at least 8 bits each to run to the end: padding is no sample")
        if table.base is not None:
            references.control(table.base, (*path, "base"), scope, "can be the time")
        step = self._step(table, path, scope)
        return Samples(tuple(leaves), count, table.order == "newest_first", step, table.base)

    def _leaf(self, table: AnyField, path: TomlPath, scope: Scope, names: Names) -> SeriesLeaf | None:
        leaf = plain_leaf(table, path, "a series", self._references, self._context)
        if leaf is None:
            return None
        if not isinstance(leaf, Number | Choice | Reserved):
            self._context.fault(path, "only numbers, flags, enums and reserved bits can stand in a series")
            return None
        delta = table.delta if isinstance(table, Field) and isinstance(leaf, Number) else None
        if delta is not None and delta >= leaf.bits:
            self._context.fault((*path, "delta"), f"must have fewer bits than the field, {leaf.bits}")
        if not isinstance(leaf, Reserved):
            names.add(leaf, path, scope.conditions)
        return SeriesLeaf(leaf, delta or 0)

    def _step(self, table: Series, path: TomlPath, scope: Scope) -> int | Step:
        if table.step is None:
            step_ms = (table.step_s or Fraction(0)) * 1000
            if not 0 <= step_ms < _MOST_MS or step_ms.denominator != 1:
                self._context.fault((*path, "step_s"), "must be whole milliseconds, not below 0")
                return 0
            return int(step_ms)
        here = (*path, "step")
        if table.step_s is not None:
            self._context.fault((*path, "step_s"), "stands beside step; one of them")
        found = scope.leaves.get(table.step)
        if found is None:
            self._context.fault(here, self._references.why_missing(table.step, scope, ahead=False))
            return 0
        leaf = found[0]
        if not isinstance(leaf, Number) or leaf.unit is None or leaf.unit.senml != "s":
            self._context.fault(here, f"{table.step!r} is no number with a unit of time")
            return 0
        to_ms = Fraction(1000 * leaf.unit.senml_num, leaf.unit.senml_den * leaf.den)
        ms_num, ms_add = leaf.num * to_ms, leaf.add * to_ms
        most = max(abs(leaf.lowest * ms_num + ms_add), abs(leaf.highest * ms_num + ms_add))
        if ms_num.denominator != 1 or ms_add.denominator != 1 or most >= _MOST_MS:
            self._context.fault(here, f"{table.step!r} must count whole milliseconds, less than a century")
            return 0
        return Step(leaf.name, int(ms_num), int(ms_add))
