"""From pydantic's errors to words that a gateway operator can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from siel_codecs.toml_lines import TomlPath
from siel_gateway.messages import say

_TYPE_WORDS: Final = {
    "int_type": "type.int",
    "float_type": "type.float",
    "finite_number": "type.float",
    "string_type": "type.string",
    "bool_type": "type.bool",
    "tuple_type": "type.array",
    "model_type": "type.table",
    "dict_type": "type.table",
}
_EXAMPLES: Final = {
    "id": "example.id",
    "port": "example.port",
    "SemtechUdpUpstream.url": "example.udp_url",
    "MqttSink.url": "example.mqtt_url",
    "dev_eui": "example.dev_eui",
    "codec": "example.codec",
    "CodecConfig.name": "example.codec_name",
    "CodecConfig.file": "example.codec_file",
    "frequency_hz": "example.frequency_hz",
}
"""What a required key looks like; by itself, or of one model."""
_LIMIT_WORDS: Final = {
    "greater_than_equal": ("value.range", "at least", "ge"),
    "less_than_equal": ("value.range", "at most", "le"),
    "too_short": ("value.items", "at least", "min_length"),
    "too_long": ("value.items", "at most", "max_length"),
    "string_too_short": ("value.text_length", "at least", "min_length"),
    "string_too_long": ("value.text_length", "at most", "max_length"),
}


def listed(words: Iterable[str]) -> str:
    """Return ``"a", "b", "c"``."""
    return ", ".join(f'"{word}"' for word in words)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the text for a key that a table does not have."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1)
    return say("key.unknown_near", near=near[0]) if near else say("key.unknown", known=", ".join(known))


def explain(model: type[BaseModel], error: ValidationError) -> Iterator[tuple[TomlPath, str]]:
    """Yield where, below the table that ``model`` describes, something is wrong, and what; no value is repeated."""
    for detail in error.errors(include_url=False, include_input=False):
        yield detail["loc"], _words(model, detail)


def _words(model: type[BaseModel], detail: ErrorDetails) -> str:
    kind = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_key(str(detail["loc"][-1]), _known_keys(model, detail["loc"][:-1]))
    if kind in _TYPE_WORDS:
        return say("value.type", expected=say(_TYPE_WORDS[kind]))
    if kind in _LIMIT_WORDS:
        message, relation, limit = _LIMIT_WORDS[kind]
        return say(message, relation=relation, limit=context[limit])
    if kind == "literal_error":
        return say("value.choice", expected=context["expected"])
    if kind == "value_error":
        return str(context["error"])
    return _missing(model, detail) if kind == "missing" else say("value.other", reason=detail["msg"])


def _missing(model: type[BaseModel], detail: ErrorDetails) -> str:
    key = str(detail["loc"][-1])
    example = _EXAMPLES.get(f"{model.__name__}.{key}") or _EXAMPLES.get(key)
    return say("key.missing_like", example=say(example)) if example else say("key.missing")


def _known_keys(model: type[BaseModel], path: TomlPath) -> list[str]:
    """Return the keys of the table at ``path`` below ``model``, as they are written in TOML."""
    for part in path:
        if isinstance(part, int):
            continue  # an array's items are found with the array
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == part), None)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
