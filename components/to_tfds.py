"""`to_tfds`: raw examples as a dataset that TensorFlow Datasets opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from ..pipelines.artifact import Examples
from ..pipelines.component import Checked, Known, component
from ..pipelines.context import Context
from ..pipelines.errors import InvalidRequestError, Problem
from .split_checks import ALREADY_TRANSFORMED, RAW_REMEDY
from .tfds.metadata import name_problems, split_problems

__all__ = ["to_tfds"]


@component
def to_tfds(
    ctx: Context,
    examples: Examples,
    *,
    name: str,
    version: str = "1.0.0",
    label: str | list[str] | None = None,
    columns: list[str] | None = None,
    shards: Annotated[int, Meta(ge=1, le=10_000)] | None = None,
    seed: int = 0,
) -> Examples:
    """Writes raw examples so that `tfds.builder_from_directory(FOLDER).as_dataset()` opens them.

    The folder is the artifact's: TFRecord shards, called and described as TFDS does it, with features,
    classes, splits and counts. Rows are shuffled globally, as TFDS's own sets are. Images stay the files that
    they are; numbers become float32 and int64, timestamps int64 microseconds since 1970, lists sequences.
    Missing numbers are NaN, missing text is empty, a missing class -1, a missing whole number -2**63; a
    missing image is an error. What was read by `tfds_examples` keeps the order of its classes.

    Args:
        examples: raw examples.
        name: what the dataset is called: small letters, digits and _.
        version: as in 1.0.0.
        label: the column of classes, or several: text, whole numbers, or true and false. Their classes are
            numbered in ascending order. Without it the columns that the examples' own property `classes`
            names. With one image the first of them is its label for `as_supervised=True`.
        columns: the columns to write; all if not given.
        shards: files a split; without it 100 to 200 MB each, and at least 4 from 10,000 rows on.
        seed: of the shuffle.

    Returns:
        Examples of format `tfds`.

    Raises:
        DataError: an image is missing or no JPEG or PNG; a column has too many values to be one of classes.
        InvalidRequestError: an argument doesn't fit, or the examples aren't raw.
    """
    problems = name_problems(name, version)
    if problems:
        raise InvalidRequestError(problems)
    from .tfds.write import Wanted, write

    labels = [label] if isinstance(label, str) else label
    return write(ctx, examples, Wanted(name, version, labels, columns, shards, seed))


@to_tfds.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    table = known.get("examples") or Known()
    problems = name_problems(arguments["name"], arguments["version"])
    problems += split_problems(table.splits or ())
    if table.facts.get("format") == "tfrecord":
        problems.append(Problem(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY))
    label = arguments["label"]
    asked = [("columns", column) for column in arguments["columns"] or ()]
    asked += [("label", column) for column in ([label] if isinstance(label, str) else label or ())]
    for argument, column in asked:
        if table.columns is not None and column not in table.columns:
            what = f"there is no column {column!r}"
            problems.append(Problem(what, argument=argument, given=column, available=table.columns))
    return problems, {"output": Known(table.columns, table.splits, {"format": "tfrecord"})}
