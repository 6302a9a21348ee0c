"""`features: auto`: a feature for each column that a model can learn from, by stated rules.

- string or bool with a domain in the schema: one_hot; without one it is free text or an identifier: dropped.
- int with a domain in the schema: one_hot.
- other numbers: z_score; log1p before it if nothing is below 0 and the upper tail is long (the 95th
  percentile is at least 2.5 medians, and more than twice as far from the median as the 5th) of more than
  two values; the median imputed first if a value is missing anywhere.
- points in time: the days since 1970 by z_score; and as cyclic the month, where the train split spans a year,
  the day of the week, where it spans two weeks, and the hour, where it differs. Missing ones are imputed: the
  median day, the most frequent month, weekday and hour.
- several values a row: multi_hot, of the 100 most frequent ones if there are more; dropped where values occur
  less than twice on average. Lists of floats are dropped.
- an image is decoded (gray, if all that are looked at are), resized and scaled to 0 … 1. Its size is that of
  all images, if they have one, and else a square of their median shorter side; at most 224 pixels a side.
  `path`, `height` and `width` beside it tell of its file and are dropped.
- a column with one value, or none, is dropped; so is an int column that numbers the rows: all values
  different, and hardly any number left out between the first and the last of all splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...pipelines.artifact import Examples, Schema
from ...pipelines.context import Context
from ...pipelines.errors import DataError
from ...schemas.moments import ColumnMoments
from ...schemas.schema import Feature
from ...schemas.schema_file import read_schema
from ...schemas.yaml12_dump import dump
from .analysis import Found, Request, analyze
from .auto_depth import Choice, choose_deep
from .features_grammar import FeatureSpec, LabelSpec, parse_features
from .fitted_features import Branch
from .fitting import TRAIN, Fitter
from .text_looks import LOOKED_AT, text_warnings

TAIL, SPREAD = 2.0, 2.5
"""For log1p: the 95th percentile lies TAIL times as far from the median as the 5th, at SPREAD medians."""
RAW_TYPES = ("float", "int", "bool", "string")
RUNNING_NUMBER_ROWS = 50
"""Rows from which on an int column may be taken for a running number."""


@dataclass(frozen=True)
class Profile:
    """What `auto` looks at in one column.

    Attributes:
        count, missing: values, and rows without one, in the train split.
        missing_elsewhere: rows without a value in the other splits.
        distinct: the number of distinct values in the train split, infinity included.
        low, high: the least and the greatest number of all splits; 0 for strings.
        p5, median, p95: of the numbers of the train split; 0 for strings.
        elsewhere: rows in the other splits; 0 for strings.
    """

    count: int
    missing: int
    missing_elsewhere: int
    distinct: int
    low: float = 0.0
    p5: float = 0.0
    median: float = 0.0
    p95: float = 0.0
    high: float = 0.0
    elsewhere: int = 0


def choose(feature: Feature, profile: Profile) -> Choice:
    """The choice for one column; see the module's text."""
    if not profile.count:
        return Choice(dropped="it has no value in the train split")
    if profile.distinct == 1 and not profile.missing:
        as_read = ", as float32 holds it" if feature.type == "float" else ""
        return Choice(dropped=f"it has the same value in every row{as_read}")
    if feature.type in ("string", "bool"):
        if feature.values is None and feature.type == "string":
            text = (
                f"free text or an identifier: {profile.distinct:,} distinct values, no domain in the schema"
            )
            return Choice(dropped=text)
        return Choice("one_hot")
    if feature.type == "int" and feature.values is not None:
        return Choice("one_hot")
    if feature.type == "int" and _numbers_rows(profile):
        return Choice(dropped="it numbers the rows: every value is different, in an unbroken sequence")
    if profile.distinct == 1:
        return Choice(dropped="it has one value only, where it has one")
    chain: list[Any] = []
    if profile.missing or profile.missing_elsewhere or feature.presence < 1:
        chain.append({"impute": "median"})
    if _long_tail(profile):
        chain.append("log1p")
    chain.append("z_score")
    return Choice(chain if len(chain) > 1 else chain[0])


def choose_features(
    ctx: Context,
    fitter: Fitter,
    examples: Examples,
    schema: Schema | None,
    labels: Sequence[LabelSpec],
    weight: str = "",
) -> tuple[list[FeatureSpec], str]:
    """Chooses features by the schema and one look at the data; tells the person what was chosen.

    Returns:
        The specs, and the choice as YAML that can stand in a pipeline's document.

    Raises:
        DataError: there is no schema, it doesn't fit the examples, or no column is left.
    """
    if schema is None:
        raise DataError(
            "features: auto chooses by a schema, and none is given",
            argument="schema",
            remedy="give transform the output of infer_schema, or name the features",
        )
    features = [
        f
        for f in read_schema(schema.file("schema.yaml").read_text("utf-8"))
        if f.name not in (weight, *(label.column for label in labels))
    ]
    unknown = [f.name for f in features if f.name not in fitter.types]
    if unknown:
        raise DataError(
            f"the schema has the column {unknown[0]!r}, and the examples don't",
            argument="schema",
            given=unknown[0],
            available=tuple(fitter.types),
        )
    images = _images(fitter, examples, [f.name for f in features])
    plain = [f for f in features if f.name not in images and fitter.types[f.name] in RAW_TYPES]
    profiles = _profiles(ctx, fitter, examples, plain)
    others = [split for split in examples.splits if split != TRAIN]
    rest = [f.name for f in features if f not in plain and f.name not in images]
    deep = {**images, **choose_deep(ctx, fitter, examples, rest, others)}
    choices = {f.name: choose(f, profiles[f.name]) if f.name in profiles else deep[f.name] for f in features}
    text = as_yaml(choices)
    ctx.say("features: auto chose this, which can be edited and put into the pipeline:\n" + text.rstrip())
    made = chosen_features(choices)
    if not made:
        raise DataError("auto left no column to learn from:\n" + text.rstrip(), argument="features")
    return parse_features(made)[0], text


def _images(fitter: Fitter, examples: Examples, columns: Sequence[str]) -> dict[str, Choice]:
    if not any(fitter.types[name] == "image" for name in columns):
        return {}
    from .auto_images import choose_images  # imports TensorFlow

    return choose_images(fitter, examples, columns)


def as_yaml(choices: Mapping[str, Choice]) -> str:
    """The choice as YAML for `transform`, with a comment for each dropped column."""
    made = chosen_features(choices)
    dropped = [
        f"# dropped {name!r}: {choice.dropped}\n" for name, choice in choices.items() if choice.dropped
    ]
    return (dump({"features": made}) if made else "") + "".join(dropped)


def chosen_features(choices: Mapping[str, Choice]) -> dict[str, Any]:
    """The features by name, in the grammar."""
    made: dict[str, Any] = {}
    for name, choice in choices.items():
        if choice.dropped:
            continue
        made[name] = choice.made
        for other, told in choice.beside.items():
            while other in choices:  # a column has this name
                other += "_"
            made[other] = told
    return made


def _long_tail(profile: Profile) -> bool:
    upper, lower = profile.p95 - profile.median, profile.median - profile.p5
    return (
        profile.distinct > 2
        and profile.low >= 0
        and upper > TAIL * lower
        and profile.p95 >= SPREAD * profile.median
    )


def _numbers_rows(profile: Profile) -> bool:
    different = profile.distinct == profile.count >= RUNNING_NUMBER_ROWS
    return different and profile.high - profile.low < 2 * (
        profile.count + profile.missing + profile.elsewhere
    )


def _profiles(
    ctx: Context, fitter: Fitter, examples: Examples, features: list[Feature]
) -> dict[str, Profile]:
    numbers = [f.name for f in features if fitter.types[f.name] in ("int", "float")]
    strings = [f.name for f in features if fitter.types[f.name] not in ("int", "float")]
    branches = {f.name: Branch(f.name, fitter.types[f.name], ()) for f in features}
    moments = [Request(branches[name], ("moments",), ("float",)) for name in numbers]
    values = [Request(branches[name], ("values",), ("float", "int")) for name in numbers]
    texts = [Request(branches[name], ("strings",), ("string",)) for name in strings]
    answers = fitter.answer([*moments, *values, *texts])
    others = [split for split in examples.splits if split != TRAIN]
    elsewhere = analyze(ctx, "auto", examples, others, moments) if others and moments else []
    beside = {found.column: found.moments for found in elsewhere if found.moments is not None}
    profiles: dict[str, Profile] = {}
    for name, moment, value in zip(numbers, answers, answers[len(numbers) :], strict=False):
        profiles[name] = _number_profile(moment, value, beside.get(name))
    for name, found in zip(strings, answers[2 * len(numbers) :], strict=True):
        assert found.strings is not None
        profiles[name] = Profile(found.count, found.strings.missing, 0, found.strings.distinct)
        if fitter.types[name] == "string":
            looked_at = [value for value, _ in found.strings.top(LOOKED_AT)]
            for told in text_warnings(name, looked_at):
                ctx.warn(told)
    return profiles


def _number_profile(moment: Found, value: Found, beside: ColumnMoments | None) -> Profile:
    assert moment.moments is not None
    assert value.values is not None
    told = moment.moments
    p5, p50, p95 = value.values.quantiles([0.05, 0.5, 0.95])
    distinct = value.values.distinct + bool(told.infinite)
    own = Profile(told.count, told.missing, 0, distinct, told.min, p5, p50, p95, told.max)
    if beside is None:
        return own
    low, high = min(told.min, beside.min), max(told.max, beside.max)
    if not beside.count:
        low, high = told.min, told.max
    return replace(own, missing_elsewhere=beside.missing, low=low, high=high, elsewhere=beside.rows)
