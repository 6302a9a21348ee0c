"""The component `apply_transform`: a fitted transform on other raw examples than those it was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from ..pipelines.artifact import Examples, Transform
from ..pipelines.component import Checked, Known, component
from ..pipelines.context import Context
from ..pipelines.errors import Problem
from .split_checks import ALREADY_TRANSFORMED, RAW_REMEDY, are_transformed
from .tfds.layout_notes import packed_problems


@component
def apply_transform(
    ctx: Context,
    examples: Examples,
    transform: Transform,
    *,
    seed: int = 0,
    shards: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None,
    layout: Literal["packed", "columns"] = "packed",
    compression: Literal["none", "gzip"] = "none",
) -> Examples:
    """Makes other raw examples ready for the same model: nothing is fitted, every number is the transform's.

    For examples to pre-train on (`train`'s `pretraining`), and for later ones to evaluate on or to go on
    with. Vocabularies, means and classes are those of the examples that the transform was fitted on, so that
    a class has the same number; a class that those didn't have is an error.

    Args:
        examples: raw examples with the columns of features and labels; any splits.
        transform: of a transform step.
        seed: of the shuffle.
        shards, layout, compression: as in `transform`. Images are stored as that step stores them.

    Returns:
        Shards of tf.Examples, as of a transform step.

    Raises:
        DataError: a column isn't there or has another type, a value is missing or infinite where a model
            would get it, or a label is unknown.
    """
    from .preprocessing.run import run_apply

    return run_apply(
        ctx, examples, transform, seed=seed, shards=shards, layout=layout,
        compression="gzip" if compression == "gzip" else "",
    )  # fmt: skip


@apply_transform.process_of
def _process_of(arguments: Mapping[str, Any]) -> str:
    """TensorFlow's where there is an image to decode."""
    features = arguments["transform"].read_json("transform.json")["features"]
    return "tensorflow" if any("stored" in feature for feature in features) else ""


@apply_transform.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    examples = known.get("examples", Known())
    problems = packed_problems(arguments.get("layout", ""), arguments.get("compression", ""))
    if are_transformed(examples):
        problems.append(Problem(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY))
    return problems, {"output": Known(splits=examples.splits, facts={"format": "tfrecord"})}
