"""Which split a row belongs to: by the hash of its values, of a column, or in exact shares of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np


def thresholds(shares: Mapping[str, float]) -> tuple[int, ...]:
    """The upper ends, exclusive, of each split's range of 64-bit hashes; the last one is open.

    Args:
        shares: weights of any sum; only their ratio counts.
    """
    weights = [Fraction(share) for share in shares.values()]
    total = sum(weights)
    return tuple(int(sum(weights[: place + 1]) * (1 << 64) / total) for place in range(len(weights) - 1))


def by_hash(hashes: Any, ends: Sequence[int]) -> Any:
    """Split numbers, uint8 [n], of hashes uint64 [n]."""
    return np.searchsorted(np.array(ends, np.uint64), hashes, side="right").astype(np.uint8)


def exact_counts(rows: int, shares: Sequence[float]) -> list[int]:
    """How many of `rows` each split gets: shares rounded by largest remainder, and none left empty.

    A split that would get nothing takes a row from the largest one, if there are rows enough for all.
    """
    weights = [Fraction(share) for share in shares]
    total = sum(weights)
    exact = [rows * weight / total for weight in weights]
    counts = [int(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda place: (counts[place] - exact[place], place))
    for place in order[: rows - sum(counts)]:
        counts[place] += 1
    while rows >= len(counts) and 0 in counts:
        counts[counts.index(max(counts))] -= 1
        counts[counts.index(0)] += 1
    return counts


def stratified(classes: Any, hashes: Any, shares: Sequence[float]) -> Any:
    """Split numbers in exact shares of each class.

    Within a class rows are ranked by hash, equal hashes by their order, and the ranks are cut. So equal rows
    stay together but for those at a cut.

    Args:
        classes: class numbers from 0, int [n].
        hashes: uint64 [n].
        shares: weights of the splits.

    Returns:
        uint8 [n].
    """
    order = np.lexsort((hashes, classes))
    sizes = np.bincount(classes) if len(classes) else np.empty(0, np.int64)
    ranked = [
        np.repeat(np.arange(len(shares), dtype=np.uint8), exact_counts(int(size), shares)) for size in sizes
    ]
    assigned = np.empty(len(classes), np.uint8)
    if ranked:
        assigned[order] = np.concatenate(ranked)
    return assigned
