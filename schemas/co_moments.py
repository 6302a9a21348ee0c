"""Co-moments of numeric columns with one other number, for Pearson's correlation in one pass.

Merged by the formula of Pébay (2008) for covariances, which is Chan's for variances with two means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .packing import Blob, pack, unpack

_ARRAYS = ("count", "mean_x", "mean_y", "m2_x", "m2_y", "c")


@dataclass(frozen=True, eq=False)
class CoMoments:
    """An accumulator over k columns x and one column y, each over the rows where both are finite.

    Attributes:
        count: int64 [k].
        mean_x, mean_y: float64 [k], 0 where count is 0.
        m2_x, m2_y, c: float64 [k], the sums of squared distances from the means, and of their products.
    """

    count: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    m2_x: np.ndarray
    m2_y: np.ndarray
    c: np.ndarray

    @classmethod
    def empty(cls, columns: int) -> CoMoments:
        """The neutral element of `merge`."""
        return cls(np.zeros(columns, np.int64), *(np.zeros(columns) for _ in range(5)))

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> CoMoments:
        """Of float64 `x` [k, rows] and `y` [rows], NaN where missing."""
        if not x.size:
            return cls.empty(len(x))
        # Column by column: the work then stays in the processor's cache.
        found = [_moments(row, y) for row in x]
        return cls(*(np.array(values) for values in zip(*found, strict=True)))

    def merge(self, other: CoMoments) -> CoMoments:
        """Of the rows of both."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        both = (self.count > 0) & (other.count > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            dx = np.where(both, other.mean_x - self.mean_x, 0.0)
            dy = np.where(both, other.mean_y - self.mean_y, 0.0)
            apart = self.count * share
            return CoMoments(
                count,
                np.where(self.count > 0, self.mean_x, other.mean_x) + dx * share,
                np.where(self.count > 0, self.mean_y, other.mean_y) + dy * share,
                self.m2_x + other.m2_x + dx * dx * apart,
                self.m2_y + other.m2_y + dy * dy * apart,
                self.c + other.c + dx * dy * apart,
            )

    def pearson(self, column: int) -> float:
        """The correlation, from -1 to 1; NaN where either side is constant or absent."""
        with np.errstate(all="ignore"):
            spread = np.sqrt(self.m2_x[column]) * np.sqrt(self.m2_y[column])
            return float(np.clip(self.c[column] / spread, -1, 1)) if spread > 0 else float("nan")

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return pack({}, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def from_bytes(cls, blob: Blob) -> CoMoments:
        """The inverse of `to_bytes`."""
        arrays = unpack(blob)[1]
        return cls(*(arrays[name] for name in _ARRAYS))


def _moments(x: np.ndarray, y: np.ndarray) -> tuple[int, float, float, float, float, float]:
    both = np.isfinite(x) & np.isfinite(y)
    if not both.all():
        x, y = x[both], y[both]
    if not len(x):
        return 0, 0.0, 0.0, 0.0, 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        # Shifted, so that a constant has a variance of exactly zero.
        mean_x, mean_y = x[0] + (x - x[0]).mean(), y[0] + (y - y[0]).mean()
        dx, dy = x - mean_x, y - mean_y
        sums = (dx * dx).sum(), (dy * dy).sum(), (dx * dy).sum()
    m2_x, m2_y, c = map(float, sums)
    return len(x), float(mean_x), float(mean_y), m2_x, m2_y, c
