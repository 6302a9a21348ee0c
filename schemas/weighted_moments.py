"""Weighted counts, means and deviations of the columns of a table, mergeable.

Each batch is summed with a shift, and batches are merged by the weighted form of the formula of Chan, Golub
and LeVeque (West 1979). The sums depend on the order of merging in their last bits: fold partial results
in the order of the units of work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .packing import Blob, pack, unpack

_ARRAYS = ("present", "weight", "mean", "m2")


@dataclass(frozen=True, eq=False)
class WeightedMoments:
    """An accumulator over a table with a weight for each row.

    Attributes:
        total: the sum of all weights.
        bad: rows whose weight is missing, negative or infinite; they count nowhere here.
        present: float64 [c], the weights of the rows that have a value, for each column.
        weight: float64 [k], the weights of the rows with a finite value, for each numeric column.
        mean, m2: float64 [k], and the weighted sum of squared distances from it.
    """

    total: float
    bad: int
    present: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    m2: np.ndarray

    @classmethod
    def empty(cls, columns: int, numeric: int) -> WeightedMoments:
        """The neutral element of `merge`, of that many columns and numeric ones among them."""
        return cls(0.0, 0, np.zeros(columns), np.zeros(numeric), np.zeros(numeric), np.zeros(numeric))

    @classmethod
    def of(cls, weights: np.ndarray, missing: Sequence[np.ndarray], values: np.ndarray) -> WeightedMoments:
        """Of one batch.

        Args:
            weights: float64 [rows], NaN where missing.
            missing: for each column whether a row has no value, bool [rows].
            values: float64 [k, rows], NaN where missing.
        """
        good = np.isfinite(weights) & (weights >= 0)
        usable = np.where(good, weights, 0.0)
        total = float(usable.sum())
        present = np.array([total - float(usable[gone].sum()) if gone.any() else total for gone in missing])
        finite = np.isfinite(values)
        weight = (finite * usable).sum(axis=1)  # not by BLAS, whose sums depend on its threads
        some = np.where(weight > 0, weight, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            shift = np.min(values, axis=1, where=finite, initial=np.inf)
            shift = np.where(np.isfinite(shift), shift, 0.0)
            mean = shift + (np.where(finite, values - shift[:, None], 0.0) * usable).sum(axis=1) / some
            rest = np.where(finite, values - mean[:, None], 0.0)
            sums = (rest * usable).sum(axis=1)
            m2 = np.maximum((rest * rest * usable).sum(axis=1) - sums**2 / some, 0.0)
        mean = np.where(weight > 0, mean, 0.0)
        return cls(total, int((~good).sum()), present, weight, mean, np.where(weight > 0, m2, 0.0))

    def merge(self, other: WeightedMoments) -> WeightedMoments:
        """Of the rows of both."""
        weight = self.weight + other.weight
        share = other.weight / np.where(weight > 0, weight, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            delta = np.where((self.weight > 0) & (other.weight > 0), other.mean - self.mean, 0.0)
            mean = np.where(self.weight > 0, self.mean, other.mean) + delta * share
            m2 = self.m2 + other.m2 + delta * delta * self.weight * share
        present = self.present + other.present
        return WeightedMoments(self.total + other.total, self.bad + other.bad, present, weight, mean, m2)

    def moments(self, numeric: int) -> tuple[float, float]:
        """Mean and deviation of one numeric column; NaN without weight."""
        weight = float(self.weight[numeric])
        if not weight:
            return math.nan, math.nan
        return float(self.mean[numeric]), math.sqrt(float(self.m2[numeric]) / weight)

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return pack({"total": self.total, "bad": self.bad}, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def from_bytes(cls, blob: Blob) -> WeightedMoments:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(header["total"], header["bad"], *(arrays[name] for name in _ARRAYS))
