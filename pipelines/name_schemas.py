"""JSON Schemas of the places in a document where plain names stand: models, losses, ready pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import entry_points
from .component import Argument

ANY_PATH = {"type": "string", "pattern": r":"}
"""An import path: `module:name`, `file.py:name`."""


def named_choices(built_in: Mapping[str, str], kind: str) -> list[dict[str, Any]]:
    """The plain names of a kind: what is built in, each with its text, and what other packages offer."""
    offered = {name: f"Of {one.package} {one.version}." for name, one in entry_points.offers(kind).items()}
    known = {**offered, **built_in}
    return [{"const": name, **({"description": text} if text else {})} for name, text in known.items()]


def with_names(schema: dict[str, Any], argument: Argument) -> dict[str, Any]:
    """The schema of an argument's value, with the plain names that an editor may offer in place of any text.

    What has a colon, a dot or a capital is left to `headrace validate`: an import path, a network of Keras,
    or another spelling of a name of Keras.
    """
    if not argument.offers:
        return schema
    words = dict.fromkeys(sorted(argument.words), "")
    other = {"type": "string", "pattern": "[:.A-Z]"}
    return _replaced(schema, {"anyOf": [*named_choices(words, argument.offers), other]})


def _replaced(schema: dict[str, Any], text: dict[str, Any]) -> dict[str, Any]:
    if schema == {"type": "string"}:
        return text
    inner = dict(schema)
    if isinstance(kinds := schema.get("type"), list) and "string" in kinds:
        rest = [kind for kind in kinds if kind != "string"]
        return {"anyOf": [text, _replaced({**schema, "type": rest}, text)]}
    for key in ("anyOf", "oneOf"):
        if key in schema:
            inner[key] = [_replaced(member, text) for member in schema[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            inner[key] = _replaced(schema[key], text)
    return inner


def params_schema(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a step that uses a pipeline says under `with`.

    Args:
        name: the pipeline's.
        params: its parameters with their defaults, None for one that must be given.
    """
    required = [key for key, default in params.items() if default is None]
    told: dict[str, Any] = {
        key: {} if default is None else {"description": f"By default {default!r}."}
        for key, default in params.items()
    }
    return {
        "type": "object" if required else ["object", "null"],
        "description": f"The parameters of the pipeline {name}.",
        "properties": told,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }
