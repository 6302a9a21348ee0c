"""A category beside a number, or beside another category: what eta and Cramér's V are computed from.

Past a number of categories there is no result: the two are then as good as unrelated to a table, and the
accumulators stay small.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST = 1_000
"""With more categories there is no result; a part never has more than the whole, so the order is nothing."""


@dataclass(frozen=True)
class GroupMoments:
    """An accumulator: count, mean and squared distances of a number for each category.

    Attributes:
        groups: (count, mean, m2) by category; None past `MOST` categories.
    """

    groups: Mapping[str, tuple[int, float, float]] | None

    @classmethod
    def of(cls, codes: np.ndarray, names: Sequence[str], values: np.ndarray) -> GroupMoments:
        """Of one batch.

        Args:
            codes: int64 [rows], places in `names`; -1 where missing.
            names: the categories.
            values: float64 [rows], NaN where missing.
        """
        both = (codes >= 0) & np.isfinite(values)
        codes, values = codes[both], values[both]
        counts = np.bincount(codes, minlength=len(names))
        if np.count_nonzero(counts) > MOST:
            return cls(None)
        # Shifted by the first of all, so that a constant has a deviation of exactly zero.
        shift = values[0] if len(values) else 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.bincount(codes, weights=values - shift, minlength=len(names))
            means = shift + sums / np.maximum(counts, 1)
            rest = values - means[codes]
            m2 = np.bincount(codes, weights=rest * rest, minlength=len(names))
        some = np.flatnonzero(counts).tolist()
        return cls({names[i]: (int(counts[i]), float(means[i]), float(m2[i])) for i in some})

    def merge(self, other: GroupMoments) -> GroupMoments:
        """Of the rows of both."""
        if (
            self.groups is None
            or other.groups is None
            or len(self.groups.keys() | other.groups.keys()) > MOST
        ):
            return GroupMoments(None)
        merged = dict(self.groups)
        for name, right in other.groups.items():
            merged[name] = _merged(merged[name], right) if name in merged else right
        return GroupMoments(merged)

    def eta(self) -> tuple[float, int]:
        """The correlation ratio, from 0 to 1 (NaN if it isn't defined), and the rows that it is of."""
        groups = self.groups or {}
        rows = sum(count for count, _, _ in groups.values())
        if len(groups) < 2:
            return math.nan, rows
        mean = math.fsum(n * m for n, m, _ in groups.values()) / rows
        between = math.fsum(n * (m - mean) ** 2 for n, m, _ in groups.values())
        total = between + math.fsum(m2 for _, _, m2 in groups.values())
        return (math.sqrt(between / total) if 0 < total < math.inf else math.nan), rows

    def to_json(self) -> Any:
        """JSON values, exactly."""
        return self.groups

    @classmethod
    def from_json(cls, told: Any) -> GroupMoments:
        """The inverse of `to_json`."""
        return cls(None if told is None else {name: tuple(group) for name, group in told.items()})


def _merged(a: tuple[int, float, float], b: tuple[int, float, float]) -> tuple[int, float, float]:
    count = a[0] + b[0]
    delta, share = b[1] - a[1], b[0] / count
    return count, a[1] + delta * share, a[2] + b[2] + delta * delta * a[0] * share


@dataclass(frozen=True)
class PairCounts:
    """An accumulator: how often two categories meet.

    Attributes:
        pairs: counts; None past `MOST` categories of either.
    """

    pairs: Mapping[tuple[str, str], int] | None

    @classmethod
    def of(
        cls, left: np.ndarray, left_names: Sequence[str], right: np.ndarray, right_names: Sequence[str]
    ) -> PairCounts:
        """Of one batch; codes int64 [rows], -1 where missing."""
        both = (left >= 0) & (right >= 0)
        found, counts = np.unique(left[both] * len(right_names) + right[both], return_counts=True)
        places = [divmod(pair, len(right_names)) for pair in found.tolist()]
        return cls._bounded(
            {(left_names[a], right_names[b]): n for (a, b), n in zip(places, counts.tolist(), strict=True)}
        )

    @classmethod
    def _bounded(cls, pairs: Mapping[tuple[str, str], int]) -> PairCounts:
        few = all(len({pair[side] for pair in pairs}) <= MOST for side in (0, 1))
        return cls(pairs if few else None)

    def merge(self, other: PairCounts) -> PairCounts:
        """Of the rows of both."""
        if self.pairs is None or other.pairs is None:
            return PairCounts(None)
        return self._bounded(Counter(self.pairs) + Counter(other.pairs))

    def cramers_v(self) -> tuple[float, int]:
        """Cramér's V, from 0 to 1 (NaN if it isn't defined), and the rows that it is of."""
        pairs = self.pairs or {}
        rows = sum(pairs.values())
        sides: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for pair, count in pairs.items():
            for side in (0, 1):
                sides[side][pair[side]] += count
        freedom = min(map(len, sides)) - 1
        if freedom < 1:
            return math.nan, rows
        # chi^2 / n = sum of n_ab^2 / (n_a n_b) - 1, also over the pairs that never meet.
        chi = math.fsum(n * n / (sides[0][a] * sides[1][b]) for (a, b), n in pairs.items()) - 1
        return math.sqrt(min(max(chi, 0.0) / freedom, 1.0)), rows

    def to_json(self) -> Any:
        """JSON values, exactly."""
        return None if self.pairs is None else [[*pair, count] for pair, count in self.pairs.items()]

    @classmethod
    def from_json(cls, told: Any) -> PairCounts:
        """The inverse of `to_json`."""
        return cls(None if told is None else {(a, b): count for a, b, count in told})
