"""The statistics of one column from its accumulators."""

from __future__ import annotations

from .histograms import BUCKETS, equal_width, whole_numbers
from .image_counts import ImageCounts
from .list_counts import ListCounts
from .moments import ColumnMoments
from .numeric_counts import NumericCounts
from .schema import FeatureType
from .statistics import (
    SHARES,
    FeatureStatistics,
    LengthStatistics,
    NumericStatistics,
    WeightedStatistics,
    finite,
)
from .string_counts import StringCounts
from .weighted_moments import WeightedMoments

ALL_VALUES = 1_000
"""A column of strings or bools with at most this many distinct values lists all of them."""


def numeric_feature(
    name: str,
    kind: FeatureType,
    rows: int,
    moments: ColumnMoments,
    counts: NumericCounts,
    top_values: int,
    buckets: int = BUCKETS,
) -> FeatureStatistics:
    """Of a column of numbers, or of the numbers in its lists."""
    quantiles = counts.quantiles((*SHARES, 0.5))
    values, sums = counts.compute()
    numeric = NumericStatistics(
        min=finite(moments.min),
        max=finite(moments.max),
        mean=finite(moments.mean),
        deviation=finite(moments.deviation),
        median=finite(quantiles[-1]),
        zeros=moments.zeros,
        infinite=moments.infinite,
        quantiles=tuple(zip(SHARES, quantiles, strict=False)) if len(values) else (),
        relative_error=counts.relative_error,
        histogram=equal_width(values, sums, buckets),
    )
    return FeatureStatistics(
        name,
        kind,
        rows,
        moments.missing,
        counts.distinct,
        counts.exact,
        tuple(counts.top(top_values)),
        numeric,
        distinct_error=counts.distinct_error,
    )


def text_feature(
    name: str,
    kind: FeatureType,
    rows: int,
    counts: StringCounts,
    top_values: int,
    buckets: int = BUCKETS,
) -> FeatureStatistics:
    """Of a string or bool column, or of the strings in its lists."""
    some = counts.count > 0
    lengths = LengthStatistics(
        counts.shortest if some else None,
        counts.longest if some else None,
        finite(counts.mean_length),
        whole_numbers(counts.lengths, buckets),
    )
    listed = max(ALL_VALUES, top_values) if counts.distinct <= ALL_VALUES else top_values
    return FeatureStatistics(
        name,
        kind,
        rows,
        counts.missing,
        counts.distinct,
        counts.exact,
        tuple(counts.top(listed)),
        lengths=None if kind == "bool" else lengths,
        distinct_error=counts.distinct_error,
        invalid_utf8=counts.invalid,
    )


def image_feature(name: str, rows: int, counts: ImageCounts, buckets: int = BUCKETS) -> FeatureStatistics:
    """Of a column of images, whose distinct ones aren't counted."""
    images = counts.compute(buckets)
    return FeatureStatistics(name, "image", rows, counts.missing, 0, True, (), images=images)


def list_feature(flat: FeatureStatistics, lists: ListCounts) -> FeatureStatistics:
    """The statistics of the values in lists as those of the lists' column: a row is missing as a whole."""
    told = {**vars(flat), "missing": lists.missing, "lists": lists.compute()}
    return FeatureStatistics(**told)


def weighted(found: WeightedMoments | None, column: int, numeric: int | None) -> WeightedStatistics | None:
    """The weighted statistics of the column at a place among all, and among the numeric ones."""
    if found is None:
        return None
    count = float(found.present[column])
    # The difference of sums may be off zero by its last bits.
    missing = max(found.total - count, 0.0)
    if numeric is None:
        return WeightedStatistics(count, missing)
    mean, deviation = found.moments(numeric)
    return WeightedStatistics(count, missing, finite(mean), finite(deviation))
