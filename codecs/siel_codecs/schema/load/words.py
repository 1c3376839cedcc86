"""What pydantic found wrong with a file, in our words and at the file's own paths."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from siel_codecs.schema.load.tables import (
    FORMS,
    ExampleTable,
    Field,
    MessageTable,
    Node,
    SchemaTable,
    Table,
    TlvEntry,
    UnionArm,
    UnitTable,
    Version,
)
from siel_codecs.toml_lines import TomlPath

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_BELOW: Final[dict[str, type[Table]]] = {
    "uplink": MessageTable, "downlink": MessageTable, "example": ExampleTable, "unit": UnitTable, "version": Version,
    "node": Node, "arm": UnionArm, "entry": TlvEntry,
}  # fmt: skip
_REASONS: Final = {
    "missing": "is missing",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "string_type": "must be text",
}


def reason_of(error: ErrorDetails) -> tuple[TomlPath, str]:
    """Return where a fault is and why."""
    place = error["loc"]
    path: TomlPath = tuple(part for part in place if not _is_form(part) and part != "[key]")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return path, _unknown_key(place)
    if kind == "list_type" and path[-1] in {"uplink", "downlink", "example", "field", "arm", "entry"}:
        return path, f"must be a list of tables: [[{_keys(path)}]] in two brackets, or [{{ ... }}]"
    if kind in _REASONS:
        return path, _REASONS[kind]
    return path, _with_limits(kind, context) or error["msg"].removeprefix("Value error, ")


def _keys(path: TomlPath) -> str:
    return ".".join(part for part in path if isinstance(part, str))


def _with_limits(kind: str, context: dict[str, Any]) -> str:
    if kind == "literal_error":
        return f"must be {str(context['expected']).replace(chr(39), chr(34))}"
    if kind == "too_short":
        return f"must have at least {context['min_length']}"
    return f"has {context['actual_length']}, at most {context['max_length']}" if kind == "too_long" else ""


def _is_form(part: object) -> bool:
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


def _unknown_key(place: tuple[int | str, ...]) -> str:
    near = near_key(place)
    return f"is no key here; {f'did you mean {near}?' if near else 'known: ' + ', '.join(_known_keys(place))}"


def near_key(place: tuple[int | str, ...]) -> str | None:
    """Return the key that was probably meant by one that is not known; None where none is near.

    Args:
        place: The unknown key, as pydantic names it.
    """
    known = _known_keys(place)
    forms = (
        FORMS if place[-2:-1] == ("<name>",) else {}
    )  # a table is a Field where the key that tells its form is wrong
    return next(iter(get_close_matches(str(place[-1]), [*known, *forms], 1, 0.6)), None)


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    table: type[Table] = SchemaTable
    for part in place[:-1]:
        if isinstance(part, str):
            table = (FORMS.get(part[1:-1], Field) if _is_form(part) else _BELOW.get(part)) or table
    return [field.alias or key for key, field in table.model_fields.items()]
