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
from .name_schemas import params_schema, with_names
from .resolve import components as named_components
from .resolve import ready_params
from .runners.schema import runner_schema
from .tuning.schema import tune_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = r"^[^\W\d][\w.-]*$"
_STEP_NAME = r"^[^\W\d]([\w.,+-]|\[[^\[\]]+\])*$"
_REFERENCE = {"$ref": "#/$defs/reference"}
_STEP_REFERENCE = {"$ref": "#/$defs/step_reference"}


def document_schema(
    components: Mapping[str, Component[..., Any]] | None = None,
    pipelines: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The JSON Schema of a pipeline document.

    Args:
        components: by the name that `uses` has; all that are installed if None.
        pipelines: parameters with their defaults by the name that `uses` has; all that are installed if None.
    """
    named = named_components() if components is None else components
    ready = {
        name: params
        for name, params in (ready_params() if pipelines is None else pipelines).items()
        if name not in named
    }
    definitions: dict[str, Any] = dict(_SHARED)
    for name, component in named.items():
        definitions[f"with_{name}"] = _with(component, definitions)
    definitions.update((f"with_{name}", params_schema(name, params)) for name, params in ready.items())
    definitions["step"] = _step(named, ready)
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
                "propertyNames": {"pattern": _STEP_NAME},
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
        "pattern": r"^\$\{(params|steps|each)\.[^{}]+\}$",
        "description": "A parameter, an output or an item: ${params.NAME}, ${steps.NAME}, "
        "${steps.NAME.OUTPUT}, ${each.NAME}.",
    },
    "step_reference": {
        "type": "string",
        "pattern": r"^\$\{(params|steps)\.[^{}]+\}$",
        "description": "An output of a step: ${steps.NAME} or ${steps.NAME.OUTPUT}.",
    },
    "condition": {
        "type": ["string", "boolean"],
        "pattern": r"^\s*(not\s+)?\$\{[^{}]+\}\s*((==|!=|<=|>=|<|>)\s*\S.*)?$",
        "description": "${steps.NAME.summary.ENTRY}, not ${…}, or ${…} compared with a value.",
    },
    "when": {
        "description": "Conditions that all have to hold, else the step and all below it are skipped.",
        "anyOf": [
            {"$ref": "#/$defs/condition"},
            {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/condition"}},
        ],
    },
    "each": {
        "type": "object",
        "description": "Lists by name: the step is there once for each item, ${each.NAME}, as `step[key]`.",
        "minProperties": 1,
        "propertyNames": {"pattern": r"^[^\W\d][\w-]*$"},
        "additionalProperties": {
            "anyOf": [
                _REFERENCE,
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "anyOf": [
                            {"type": ["string", "number", "boolean"]},
                            {"type": "object", "required": ["key"]},
                        ]
                    },
                },
            ]
        },
    },
    "runner": runner_schema(),
}


def _step(
    components: Mapping[str, Component[..., Any]], ready: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    known = [{"const": name, "description": summary(component)} for name, component in components.items()]
    known += [{"const": name, "description": f"The pipeline {name}."} for name in ready]
    required = {
        name: any(one.required for one in component.arguments.values())
        for name, component in components.items()
    }
    required.update((name, None in params.values()) for name, params in ready.items())
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
            "each": {"$ref": "#/$defs/each"},
            "uses": {"description": "The component or pipeline.", "anyOf": [*known, other]},
            "when": {"$ref": "#/$defs/when"},
            "with": {"type": ["object", "null"], "description": "The arguments."},
            "runner": {"$ref": "#/$defs/runner"},
        },
        "allOf": [_rule(name, needed) for name, needed in required.items()],
    }


def _rule(name: str, required: bool) -> dict[str, Any]:
    then: dict[str, Any] = {"properties": {"with": {"$ref": f"#/$defs/with_{name}"}}}
    if required:
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": name}}, "required": ["uses"]}, "then": then}


def _with(component: Component[..., Any], definitions: dict[str, Any]) -> dict[str, Any]:
    texts = argument_texts(component.function)
    schema: dict[str, Any] = {
        "type": "object",
        "description": summary(component.function),
        "additionalProperties": False,
        "properties": {
            name: _argument(component, argument, texts.get(name, ""), definitions)
            for name, argument in component.arguments.items()
        },
    }
    required = [name for name, argument in component.arguments.items() if argument.required]
    if required:
        schema["required"] = required
    else:
        schema["type"] = ["object", "null"]
    return schema


def _argument(
    component: Component[..., Any], argument: Argument, text: str, definitions: dict[str, Any]
) -> dict[str, Any]:
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
    told = component.schema_finder(argument.name) if component.schema_finder else None
    if told is None:
        told = with_names(annotation_schema(argument.annotation, definitions), argument)
    for name, inner in told.pop("$defs", {}).items():
        definitions[name] = with_references(inner)
    values = with_references(told)
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
