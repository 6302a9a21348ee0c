"""The JSON Schema of pipeline documents, made from the components' signatures, for editors.

An editor with a YAML language server offers the components, their arguments and choices, and underlines
what doesn't fit. A reference may stand in place of any value. Whether references lead anywhere is for
`headrace validate` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from .component import Argument, Component
from .docstrings import argument_texts, summary
from .resolve import components as named_components
from .runners.schema import runner_schema
from .tuning.schema import tune_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = r"^[^\W\d][\w.-]*$"
_REFERENCE = {"$ref": "#/$defs/reference"}
_STEP_REFERENCE = {"$ref": "#/$defs/step_reference"}


def document_schema(components: Mapping[str, Component[..., Any]] | None = None) -> dict[str, Any]:
    """The JSON Schema of a pipeline document.

    Args:
        components: by the name that `uses` has; all that are installed if None.
    """
    named = named_components() if components is None else components
    definitions: dict[str, Any] = dict(_SHARED)
    for name, component in named.items():
        definitions[f"with_{name}"] = _with(component, definitions)
    definitions["step"] = _step(named)
    return {
        "$schema": DIALECT,
        "title": "headrace pipeline",
        "type": "object",
        "required": ["pipeline", "steps"],
        "additionalProperties": False,
        "properties": {
            "pipeline": {"type": "string", "minLength": 1, "description": "The pipeline's name."},
            "params": {
                "type": ["object", "null"],
                "description": "Parameters and their defaults; null for one that must be given.",
                "propertyNames": {"pattern": _NAME},
            },
            "steps": {
                "type": "object",
                "description": "The steps by name.",
                "minProperties": 1,
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": {"$ref": "#/$defs/step"},
            },
            "outputs": {
                "type": ["object", "null"],
                "description": "What the pipeline gives to one that uses it.",
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": _STEP_REFERENCE,
            },
            "runner": {"$ref": "#/$defs/runner"},
            "tune": tune_schema(),
        },
        "$defs": definitions,
    }


_SHARED: Mapping[str, Any] = {
    "reference": {
        "type": "string",
        "pattern": r"^\$\{(params|steps)\.[^{}]+\}$",
        "description": "A parameter or an output: ${params.NAME}, ${steps.NAME}, ${steps.NAME.OUTPUT}.",
    },
    "step_reference": {
        "type": "string",
        "pattern": r"^\$\{(params|steps)\.[^{}]+\}$",
        "description": "An output of a step: ${steps.NAME} or ${steps.NAME.OUTPUT}.",
    },
    "runner": runner_schema(),
}


def _step(components: Mapping[str, Component[..., Any]]) -> dict[str, Any]:
    known = [{"const": name, "description": summary(component)} for name, component in components.items()]
    other = {
        "type": "string",
        "pattern": r"(:|\.ya?ml$)",
        "description": "module:name, file.py:name, or another document.",
    }
    return {
        "type": "object",
        "required": ["uses"],
        "additionalProperties": False,
        "properties": {
            "uses": {"description": "The component or pipeline.", "anyOf": [*known, other]},
            "with": {"type": ["object", "null"], "description": "The arguments."},
            "runner": {"$ref": "#/$defs/runner"},
        },
        "allOf": [_rule(name, component) for name, component in components.items()],
    }


def _rule(name: str, component: Component[..., Any]) -> dict[str, Any]:
    then: dict[str, Any] = {"properties": {"with": {"$ref": f"#/$defs/with_{name}"}}}
    if any(argument.required for argument in component.arguments.values()):
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": name}}, "required": ["uses"]}, "then": then}


def _with(component: Component[..., Any], definitions: dict[str, Any]) -> dict[str, Any]:
    texts = argument_texts(component.function)
    schema: dict[str, Any] = {
        "type": "object",
        "description": summary(component.function),
        "additionalProperties": False,
        "properties": {
            name: _argument(argument, texts.get(name, ""), definitions)
            for name, argument in component.arguments.items()
        },
    }
    required = [name for name, argument in component.arguments.items() if argument.required]
    if required:
        schema["required"] = required
    else:
        schema["type"] = ["object", "null"]
    return schema


def _argument(argument: Argument, text: str, definitions: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": text} if text else {}
    if argument.artifacts:
        kinds = " or ".join(kind.__name__ for kind in argument.artifacts)
        described["description"] = f"{kinds}: {text}" if text else kinds
    if not argument.required:
        with suppress(TypeError):  # a default that isn't a JSON value is not shown
            described["default"] = msgspec.to_builtins(argument.default, str_keys=True)
    if argument.annotation is None:
        allowed: list[Any] = (
            [_STEP_REFERENCE, {"type": "null"}] if argument.default is None else [_STEP_REFERENCE]
        )
        return {**described, "anyOf": allowed}
    values = with_references(annotation_schema(argument.annotation, definitions))
    if argument.artifacts:
        return {**described, "anyOf": [_STEP_REFERENCE, values]}
    return {**described, **values}


def annotation_schema(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an annotation; what it refers to is added to `definitions`.

    An annotation that msgspec can't describe allows everything.
    """
    try:
        (schema,), referred = msgspec.json.schema_components([annotation], ref_template="#/$defs/{name}")
    except TypeError:
        return {}
    definitions.update((name, with_references(inner)) for name, inner in referred.items())
    return schema


def with_references(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema in which a reference may stand in place of any value, at any depth."""
    inner: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            inner[key] = [with_references(item) for item in value]
        elif key in ("items", "additionalProperties", "contains") and isinstance(value, Mapping):
            inner[key] = with_references(value)
        elif key in ("properties", "patternProperties"):
            inner[key] = {name: with_references(item) for name, item in value.items()}
        else:
            inner[key] = value
    if "anyOf" in inner:
        inner["anyOf"] = _flat(inner["anyOf"])
    if _takes_any_text(inner):
        return inner
    if "anyOf" in inner:
        return {**inner, "anyOf": [_REFERENCE, *inner["anyOf"]]}
    kept: dict[str, Any] = {
        key: inner.pop(key) for key in ("description", "title", "default") if key in inner
    }
    return {**kept, "anyOf": [_REFERENCE, inner]}


def _flat(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Members without the references that were put into each of them."""
    flat: list[dict[str, Any]] = []
    for member in members:
        inner = member.get("anyOf", [])
        nested = list(member) == ["anyOf"] and _REFERENCE in inner
        flat += [m for m in inner if m != _REFERENCE] if nested else [member]
    return flat


def _takes_any_text(schema: Mapping[str, Any]) -> bool:
    """Whether every text fits, and so every reference does."""
    if not set(schema) - {"description", "title", "default"}:
        return True
    kind = schema.get("type")
    limits = {"enum", "const", "pattern", "format", "minLength", "maxLength"} & set(schema)
    if kind == "string" or (isinstance(kind, list) and "string" in kind):
        return not limits
    return any(_takes_any_text(member) for member in schema.get("anyOf", ()))
