"""A schema as YAML that a person reads and edits.

It looks like this, with one line a column:

    default_environments: [TRAINING, SERVING]
    domains:
      seas: [INLAND, NEAR OCEAN, "no"]
    features:
      longitude: {type: float, presence: 1.0}
      ocean_proximity: {type: string, presence: 0.98, domain: seas, drift: {infinity_norm: 0.1}}
      rooms: {type: int, presence: 1.0, min: 0}
      price: {type: float, presence: 1.0, not_in_environment: [SERVING]}
"""

from __future__ import annotations

from typing import Any

from .schema import INTEGERS, Comparator, Feature, FeatureType, Schema
from .schema_problem import SchemaError, SchemaProblem
from .schema_reader import FIELDS, TYPES, Reader
from .yaml12 import YamlError, dump, load_with_lines

__all__ = [
    "FIELDS", "TYPES", "SchemaError", "SchemaProblem", "read_schema", "read_schema_lines", "write_schema",
]  # fmt: skip

_HEADER = """\
# The columns that the data has to have. To use an edited copy, give infer_schema its path as schema_file.
#   type      int, float, string, bool, timestamp or image; ints, floats or strings for any number of values
#   presence  the least share of rows, from 0 to 1, in which a value has to be there
#   values    the domain of a column with few distinct values, in the order of descending count
#   min, max  the range of a numeric column, both inclusive
# Also: domain (one of `domains`, shared by name), min_domain_mass, min_count, value_count: {min, max},
# drift and skew: {infinity_norm, jensen_shannon_divergence}, in_environment, not_in_environment, lifecycle.
"""


def read_schema(text: str, name: str = "") -> Schema:
    """The schema of a YAML text.

    Args:
        text: as in the module's text; `presence` is 1.0 where it is left out.
        name: what errors call it, usually the file.

    Raises:
        SchemaError: with every problem that was found.
    """
    return read_schema_lines(text, name)[0]


def read_schema_lines(text: str, name: str = "") -> tuple[Schema, dict[str, int]]:
    """Like `read_schema`, with the line of each feature, from 1."""
    try:
        value, lines = load_with_lines(text, name)
    except YamlError as error:
        raise SchemaError([SchemaProblem(error.what, error.line, remedy=error.remedy)], name) from None
    reader = Reader(lines)
    schema = reader.schema(value)
    if reader.problems:
        raise SchemaError(sorted(reader.problems, key=lambda p: p.line), name)
    return schema, {feature: lines["features", feature] for feature in schema.names}


def write_schema(schema: Schema) -> str:
    """YAML text, which `read_schema` reads back; equal for equal schemas."""
    value: dict[str, Any] = {}
    if schema.default_environments:
        value["default_environments"] = list(schema.default_environments)
    if schema.domains:
        value["domains"] = {domain.name: list(domain.values) for domain in schema.domains}
    value["features"] = {feature.name: _fields(feature) for feature in schema}
    return _HEADER + dump(value)


def _fields(feature: Feature) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": feature.type, "presence": float(feature.presence)}
    if feature.min_count:
        fields["min_count"] = feature.min_count
    if feature.domain:
        fields["domain"] = feature.domain
    elif feature.values is not None:
        fields["values"] = [_from_text(value, feature.type) for value in feature.values]
    if feature.min_domain_mass != 1:
        fields["min_domain_mass"] = float(feature.min_domain_mass)
    for bound in ("min", "max"):
        value = getattr(feature, bound)
        if value is not None:
            fields[bound] = int(value) if feature.type in INTEGERS else value
    if feature.value_count is not None:
        least, most = feature.value_count
        fields["value_count"] = {"min": least} if most is None else {"min": least, "max": most}
    for key in ("drift", "skew"):
        comparator = getattr(feature, key)
        if comparator is not None:
            fields[key] = _bounds(comparator)
    for key in ("in_environment", "not_in_environment"):
        if getattr(feature, key):
            fields[key] = list(getattr(feature, key))
    return {**fields, "lifecycle": feature.lifecycle} if feature.lifecycle else fields


def _bounds(comparator: Comparator) -> dict[str, float]:
    return {key: float(bound) for key, bound in vars(comparator).items() if bound is not None}


def _from_text(value: str, kind: FeatureType) -> Any:
    if kind in INTEGERS:
        return int(value)
    return value == "true" if kind == "bool" else value
