"""The component `statistics`: what every column of every split holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ..pipelines.artifact import Examples, Statistics
from ..pipelines.component import Checked, Known, component
from ..pipelines.context import Context
from ..pipelines.errors import Problem


@component
def statistics(
    ctx: Context,
    examples: Examples,
    *,
    top_values: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20,
    histogram_buckets: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10,
    label: str | None = None,
    weights: str | None = None,
    slices: list[str] | None = None,
    max_slices: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20,
    budget: Annotated[int, msgspec.Meta(ge=65_536, le=2**31)] = 16_000_000,
) -> Statistics:
    """Counts, moments, quantiles, histograms and top values of each column of each split, in one pass.

    The artifact holds `statistics.json` (see `headrace.schemas.statistics`), the same as a table,
    `statistics.txt`, and as TensorFlow Data Validation's `DatasetFeatureStatisticsList`, `statistics.pb`.
    Deviations are the population's. Quantiles and histograms come from exact counts of the distinct values
    while those fit the budget; past it the artifact says for each column that a sketch took their place, and
    with which error.

    Args:
        examples: raw rows, as `csv_examples` gives them.
        top_values: how many of the most frequent values are listed. A string or bool column with at most
            1,000 distinct values lists all of them.
        histogram_buckets: of the histograms of equal width.
        label: a column that all others are correlated with: Pearson's correlation between numbers, the
            correlation ratio between a number and a category, Cramér's V between categories.
        weights: a column of weights, zero or more; means, deviations and counts are then also given with each
            row counted by its weight.
        slices: string, bool or int columns; statistics are also given for each value of them, which takes a
            second pass.
        max_slices: how many values of each such column, the most frequent ones.
        budget: how many bytes the distinct values of one column may take: of strings that many and at most
            500,000 of them, of numbers a sixteenth of it and at most 65,536 (of more than 256 columns of
            numbers all together 16.8 million, each at least 4,096). Past it quantiles of numbers have a
            stated relative error, numbers of distinct values a stated standard error, and frequent strings
            may be missing from the list.

    Returns:
        The statistics; the summary holds the rows by split, and the columns that are not exact.

    Raises:
        DataError: the examples are not raw rows, a part can't be read, a column that is named is not there or
            of no fitting type, or a weight is missing or negative.
    """
    from ..schemas.table_summary import Options
    from .compute_statistics import examples_statistics
    from .statistics_files import finish_statistics

    options = Options(label or "", weights or "", budget, histogram_buckets)
    computed = examples_statistics(ctx, examples, top_values, options, slices or (), max_slices)
    return finish_statistics(ctx, computed)


@statistics.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    """The columns that are named exist; statistics are of the columns and splits that the examples have."""
    data = known.get("examples", Known())
    problems = []
    if data.columns is not None:
        given = [("label", arguments.get("label")), ("weights", arguments.get("weights"))]
        slices = arguments.get("slices")
        given += [("slices", name) for name in (slices if isinstance(slices, list) else [])]
        problems = [
            Problem(f"there is no column {name!r}", argument=argument, given=name, available=data.columns)
            for argument, name in given
            if isinstance(name, str) and name not in data.columns
        ]
        types = data.facts.get("types") or {}
        problems += [
            Problem(f"column {name!r} holds images, and can't be used here", argument=argument, given=name)
            for argument, name in given
            if isinstance(name, str) and types.get(name) == "image"
        ]
    return problems, {"output": data}
