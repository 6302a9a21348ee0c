"""The JSON Schema of the section `tune` of a document."""

from __future__ import annotations

from typing import Any

from .settings import DIRECTIONS, METHODS, TRIALS

_RANGE = {
    "type": "object",
    "description": "A range of numbers, both ends included.",
    "required": ["low", "high"],
    "additionalProperties": False,
    "properties": {
        "low": {"type": "number"},
        "high": {"type": "number"},
        "log": {"type": "boolean", "description": "Every decade is as likely as the next."},
        "points": {"type": "integer", "minimum": 2, "description": "Only so many values, evenly spaced."},
    },
}


def tune_schema() -> dict[str, Any]:
    """What `tune` may hold."""
    return {
        "type": "object",
        "description": "The search that `headrace tune` makes.",
        "required": ["over", "metric"],
        "additionalProperties": False,
        "properties": {
            "over": {
                "type": "object",
                "description": "What to try, by STEP.ARGUMENT or STEP.ARGUMENT.KEY.",
                "minProperties": 1,
                "propertyNames": {"pattern": r"^[^.]+\..+$"},
                "additionalProperties": {
                    "anyOf": [
                        {"type": "string", "description": "LOW..HIGH, LOW..HIGH:log, or values with commas."},
                        {"type": "array", "minItems": 1, "description": "The values."},
                        _RANGE,
                    ]
                },
            },
            "metric": {"type": "string", "pattern": r"^[^.]+\..+$", "description": "STEP.METRIC."},
            "direction": {"enum": list(DIRECTIONS), "description": "Told from the metric's name by default."},
            "method": {"enum": list(METHODS), "default": METHODS[0]},
            "trials": {"type": "integer", "minimum": 1, "default": TRIALS},
            "parallel": {"type": "integer", "minimum": 1, "default": 1},
            "seed": {"type": "integer", "minimum": 0, "default": 0},
        },
    }
