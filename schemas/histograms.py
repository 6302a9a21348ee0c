"""Histograms of equal width from distinct values and their counts, so that no second pass is needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .statistics import Histogram

BUCKETS = 10
"""How many buckets a histogram has unless told otherwise, as in TensorFlow Data Validation."""
_EXACT_LENGTHS = 1_024


def equal_width(values: np.ndarray, counts: np.ndarray, buckets: int = BUCKETS) -> Histogram | None:
    """The values in buckets of equal width between the least and the greatest.

    Args:
        values: int64 or float64 [d], ascending and finite.
        counts: int64 [d].
        buckets: how many; values that are all equal get one.

    Returns:
        The histogram, exact as far as `values` and `counts` are; None if there is no value.
    """
    if not len(values):
        return None
    low, high = float(values[0]), float(values[-1])
    if low == high:
        return Histogram((low, high), (int(counts.sum()),))
    # Not by high - low, which may overflow.
    shares = np.arange(buckets + 1) / buckets
    edges = low * (1 - shares) + high * shares
    edges[0], edges[-1] = low, high
    edges = np.maximum.accumulate(edges)
    ends = np.concatenate([[0], np.cumsum(counts)])
    places = np.searchsorted(values, edges, side="left")
    places[-1] = len(values)
    return Histogram(tuple(edges.tolist()), tuple(np.diff(ends[places]).tolist()))


def whole_numbers(counts: Mapping[int, int], buckets: int = BUCKETS) -> Histogram | None:
    """The same of whole numbers by their counts: fewer buckets where there are fewer numbers."""
    values = np.array(sorted(counts), np.int64)
    if not len(values):
        return None
    span = int(values[-1] - values[0])
    sums = np.array([counts[value] for value in values.tolist()], np.int64)
    return equal_width(values, sums, max(1, min(buckets, span)))


def length_counts(lengths: np.ndarray, counts: np.ndarray) -> dict[int, int]:
    """How many values have which length, from 1,024 on cut to seven bits.

    Args:
        lengths: int64 [d], from 0 on.
        counts: int64 [d], how many values have each.
    """
    if not len(lengths):
        return {}
    if lengths.max() >= _EXACT_LENGTHS:
        spare = np.maximum(np.floor(np.log2(np.maximum(lengths, 1))).astype(np.int64) - 6, 0)
        lengths = np.where(lengths < _EXACT_LENGTHS, lengths, (lengths >> spare) << spare)
        kept, places = np.unique(lengths, return_inverse=True)
    else:
        kept, places = np.arange(_EXACT_LENGTHS), lengths
    # Sums of whole numbers below 2^53 are exact in float64.
    sums = np.bincount(places, weights=counts)
    return {int(kept[i]): int(sums[i]) for i in np.flatnonzero(sums)}
