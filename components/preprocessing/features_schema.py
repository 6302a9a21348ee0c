"""The JSON Schema of `features` and `label`: an editor offers transforms by name, those of packages too.

What is said here is the shape; whether arguments and columns fit is for `headrace validate` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...pipelines.entry_points import offers
from ...pipelines.name_schemas import ANY_PATH, named_choices
from ..built_in import built_in

_REFERENCE = {"type": "string", "pattern": r"^\$\{"}
_ONE = {"$ref": "#/$defs/transform_link"}
_CHAIN = {"$ref": "#/$defs/transform_chain"}
_COLUMN = {"type": "string", "minLength": 1}


def argument_schema(name: str) -> dict[str, Any] | None:
    """Of the arguments `features` and `label`; None of any other."""
    shape = {"features": _features, "label": _label}.get(name)
    if shape is None:
        return None
    chain = {"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}
    return {**shape(), "$defs": {"transform_link": {"anyOf": _transform()}, "transform_chain": chain}}


def _features() -> dict[str, Any]:
    columns = {
        "anyOf": [
            _COLUMN,
            {"type": "array", "items": _COLUMN, "minItems": 1},
            {"type": "object", "additionalProperties": _CHAIN, "minProperties": 1},
        ]
    }
    made = {
        "type": "object",
        "required": ["apply"],
        "additionalProperties": False,
        "properties": {"from": columns, "apply": _CHAIN},
    }
    feature = {"anyOf": [_CHAIN, made]}
    every = {"type": "object", "minProperties": 1, "additionalProperties": feature}
    return {"anyOf": [{"const": "auto"}, every]}


def _label() -> dict[str, Any]:
    by_column = {"type": "object", "minProperties": 1, "additionalProperties": _CHAIN}
    return {"anyOf": [_COLUMN, by_column, {"type": "array", "items": {"anyOf": [_COLUMN, by_column]}}]}


def _transform() -> list[dict[str, Any]]:
    texts: Mapping[str, str] = built_in("transforms")
    named = {name: {"description": text} for name, text in texts.items()}
    named.update(
        (name, {"description": f"Of {one.package} {one.version}."})
        for name, one in offers("transforms").items()
        if name not in named
    )
    with_arguments = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": named,
        "patternProperties": {ANY_PATH["pattern"]: {}},
        "additionalProperties": False,
    }
    return [*named_choices(texts, "transforms"), ANY_PATH, _REFERENCE, with_arguments]
