"""A schema from statistics, and an edited schema held against them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from .schema import INTEGERS, Feature, FeatureType, Schema
from .schema_problem import SchemaProblem
from .statistics import FeatureStatistics, SplitStatistics

LONGEST_CATEGORY = 1_000
"""Characters; a column with a longer value holds texts and no categories."""


def infer(statistics: SplitStatistics, max_categories: int = 100, ranges: bool = False) -> Schema:
    """The schema that a split's statistics suggest.

    - presence is 1 for a column without missing values; else at most twice the share of them may be missing,
      rounded to the next percent, so that the split itself and other samples of the same rows meet it;
    - a string column gets its values as a domain if there are at most `max_categories` of them and each
      occurs twice or more on average, unless one has more than 1,000 characters; a bool column always has
      true and false;
    - a numeric column gets a range only if `ranges` is set, as a range calls an unseen value an anomaly.
    """
    return Schema(tuple(_feature(feature, max_categories, ranges) for feature in statistics))


def _feature(found: FeatureStatistics, max_categories: int, ranges: bool) -> Feature:
    missing = found.rows - found.count
    presence = max(100 - math.ceil(200 * missing / max(found.rows, 1)), 0) / 100 if found.rows else 0.0
    feature = Feature(found.name, found.type, presence, _domain(found, max_categories))
    if ranges and found.numeric is not None and not found.numeric.infinite:
        low, high = (_bound(bound, found.type) for bound in (found.numeric.min, found.numeric.max))
        return replace(feature, min=low, max=high)
    return feature


def _bound(value: float | None, kind: FeatureType) -> float | None:
    """A bound as the schema holds it; statistics know whole numbers as float64, exactly up to 2^53."""
    if value is None or kind not in INTEGERS:
        return value
    return int(value) if abs(value) <= 2**53 else None


def _domain(found: FeatureStatistics, max_categories: int) -> tuple[str, ...] | None:
    seen = tuple(str(value) for value, _ in found.top)
    if found.type == "bool":
        return tuple(dict.fromkeys((*seen, "false", "true")))
    few = 0 < found.distinct <= max_categories and 2 * found.distinct <= found.count
    if found.type not in ("string", "strings") or not few or not found.complete:
        return None
    return None if any(len(value) > LONGEST_CATEGORY for value in seen) else seen


def column_problems(schema: Schema, columns: Sequence[str], lines: Mapping[str, int]) -> list[SchemaProblem]:
    """Columns that the schema names and the data lacks, and the reverse.

    Args:
        schema: as a person wrote it.
        columns: the data's columns.
        lines: the line of each feature in the schema's file.
    """
    names = set(schema.names)
    free = tuple(name for name in columns if name not in names)
    unknown = [
        SchemaProblem(
            f"the schema has a column {name!r} that the data has not",
            lines.get(name, 0),
            name,
            free or tuple(columns),
            "rename or remove it",
        )
        for name in schema.names
        if name not in columns
    ]
    missing = [
        SchemaProblem(
            f"the data has a column {name!r} that the schema lacks", remedy=f"add it: {name}: {{type: …}}"
        )
        for name in free
    ]
    return unknown + missing


def type_problems(
    schema: Schema, types: Mapping[str, FeatureType], lines: Mapping[str, int]
) -> list[SchemaProblem]:
    """Columns whose type in the schema the data contradicts; an int column may be declared float."""
    return [
        SchemaProblem(
            f"{feature.name!r} is {feature.type} in the schema and {types[feature.name]} in the data",
            lines.get(feature.name, 0),
            remedy=f"write 'type: {types[feature.name]}', or have it read as {feature.type} where the "
            "data is ingested (csv_examples: types)",
        )
        for feature in schema
        if feature.name in types
        and feature.type != types[feature.name]
        and (types[feature.name], feature.type) != ("int", "float")
    ]


def departures(schema: Schema, statistics: SplitStatistics) -> Iterator[str]:
    """Where the split doesn't keep what the schema demands: presence, values, range; one sentence each."""
    for found in statistics:
        if found.name not in schema:
            continue
        feature = schema[found.name]
        if found.rows and found.presence < feature.presence:
            share = math.floor(found.presence * 10_000) / 100
            demanded = f"the schema demands {feature.presence:.0%}"
            yield f"{found.name!r} has a value in {share}% of the rows, and {demanded}"
        if feature.values is not None:
            strange = [str(value) for value, _ in found.top if str(value) not in feature.values]
            if strange:
                shown = ", ".join(map(repr, strange[:5])) + (" …" if len(strange) > 5 else "")
                yield f"{found.name!r} has values outside the schema's domain: {shown}"
        yield from _out_of_range(feature, found)


def _out_of_range(feature: Feature, found: FeatureStatistics) -> Iterator[str]:
    numbers = found.numeric
    if numbers is None:
        return
    if feature.min is not None and numbers.min is not None and numbers.min < feature.min:
        yield f"{found.name!r} goes down to {numbers.min}, and the schema's min is {feature.min}"
    if feature.max is not None and numbers.max is not None and numbers.max > feature.max:
        yield f"{found.name!r} goes up to {numbers.max}, and the schema's max is {feature.max}"


def in_order(schema: Schema, columns: Sequence[str]) -> Schema:
    """The schema with its features in the order of the data's columns, which both have."""
    return replace(schema, features=tuple(schema[name] for name in columns))
