"""Distances between two distributions of one column: between spans (drift), or between splits (skew).

Both take only values that are there; missing ones are left out. Let p and q be two lists of shares, each of
sum 1.

- **L-infinity**: `max |p_i - q_i|` over all values that occur in either; from 0 to 1.
- **Jensen-Shannon divergence** (Lin 1991): `½ Σ p_i log2(p_i / m_i) + ½ Σ q_i log2(q_i / m_i)` with
  `m_i = (p_i + q_i) / 2`; terms with `p_i = 0` or `q_i = 0` are 0; logarithms are to the base 2, so it goes
  from 0 (equal) to 1 (nothing in common).

For strings, bools and ints in the L-infinity norm, `p_i` is the share of a value. For numbers in the
Jensen-Shannon divergence, `p_i` is the share of a bin: `BINS` bins of equal width from the least to the
greatest value of both together, each closed below and open above, but for the last one, which is closed.
By hand: `width = (high - low) / 10`, `bin = min(floor((x - low) / width), 9)`.

Where a column has more values than are counted (see `string_counts`), the distance is one over the values
that were counted on both sides, a sample that doesn't depend on how often they occur. The L-infinity norm is
then the largest difference among them, which the true one may exceed; the divergence is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .numeric_counts import NumericCounts
from .string_counts import StringCounts

BINS = 10


def common_counts(p: StringCounts, q: StringCounts) -> tuple[dict[str, int], dict[str, int]]:
    """The counts of the values that both sides would have kept, so that the budget makes none absent."""
    one, two = (replace(StringCounts.empty(), threshold=side.threshold) for side in (q, p))
    return p.merge(one).compute(), q.merge(two).compute()


def infinity_norm(
    p: Mapping[str, int], q: Mapping[str, int], n: int | None = None, m: int | None = None
) -> tuple[float, str]:
    """The greatest difference of shares of two value counts, and the value where it is.

    Without values on one side, the distance is 1; without any on both it is 0 (and the value "").

    Args:
        p, q: how often each value occurs.
        n, m: how many values there are in all; the sums of `p` and `q` if not given.
    """
    n, m = sum(p.values()) if n is None else n, sum(q.values()) if m is None else m
    if not n or not m:
        return (1.0 if n or m else 0.0), ""
    differences = {value: abs(p.get(value, 0) / n - q.get(value, 0) / m) for value in [*p, *q]}
    largest = max(differences, key=lambda value: (differences[value], value), default="")
    return differences.get(largest, 0.0), largest


def divergence_of_counts(p: Mapping[str, int], q: Mapping[str, int]) -> float:
    """The Jensen-Shannon divergence of two value counts."""
    values = list(dict.fromkeys([*p, *q]))
    return jensen_shannon([p.get(value, 0) for value in values], [q.get(value, 0) for value in values])


def divergence_of_numbers(p: NumericCounts, q: NumericCounts, bins: int = BINS) -> float:
    """The Jensen-Shannon divergence of two columns of numbers; see the module's text."""
    if not p.count or not q.count:
        return 1.0 if p.count or q.count else 0.0
    low, high = min(p.low, q.low), max(p.high, q.high)
    return jensen_shannon(*(histogram(one, low, high, bins) for one in (p, q)))


def histogram(counts: NumericCounts, low: float, high: float, bins: int) -> np.ndarray:
    """How many values fall in each of `bins` bins of equal width: float64 [bins]."""
    values, weights = counts.compute()
    if high <= low:
        return np.bincount(np.zeros(len(values), np.int64), weights, bins)
    # Halved, so that the widest range is finite.
    places = (values / 2 - low / 2) / (high / 2 - low / 2) * bins
    return np.bincount(np.minimum(places.astype(np.int64), bins - 1), weights, bins)


def jensen_shannon(p: object, q: object) -> float:
    """The divergence, to the base 2, of two lists of counts of the same length; 1 if only one has any."""
    a, b = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if not a.sum() or not b.sum():
        return 1.0 if a.sum() or b.sum() else 0.0
    a, b = a / a.sum(), b / b.sum()
    middle = (a + b) / 2
    return max(0.0, (_divergence(a, middle) + _divergence(b, middle)) / 2)


def _divergence(p: np.ndarray, m: np.ndarray) -> float:
    there = p > 0
    return float(np.sum(p[there] * np.log2(p[there] / m[there])))
