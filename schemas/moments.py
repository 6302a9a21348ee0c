"""Moments: counts, mean, variance and range of numeric columns, in one pass and mergeable.

Each batch is summed with a shift (its least value), so that a constant column has a variance of exactly
zero, and batches are merged by the formula of Chan, Golub and LeVeque (1979). Counts, minima and maxima
don't depend on the order of merging. Mean and variance do, in their last bits, as float addition is not
associative: fold partial results in the order of the units of work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .packing import Blob, floats, pack, unpack

_COUNTS = ("rows", "missing", "infinite", "count", "zeros")
_FLOATS = ("mean", "m2", "min", "max")


@dataclass(frozen=True)
class ColumnMoments:
    """What `Moments` holds of one column; the floats are NaN where there is no finite value.

    Attributes:
        rows: all rows.
        missing: rows without a value; NaN counts as missing.
        infinite: rows with an infinite value, which none of the below takes part in.
        count: rows with a finite value.
        zeros: how many of them are zero.
        mean, variance, min, max: over the finite values; the variance is the population's (ddof=0).
    """

    rows: int
    missing: int
    infinite: int
    count: int
    zeros: int
    mean: float
    variance: float
    min: float
    max: float

    @property
    def deviation(self) -> float:
        """The standard deviation, ddof=0."""
        return math.sqrt(self.variance)


@dataclass(frozen=True, eq=False)
class Moments:
    """An accumulator over several numeric columns at once; `k` is their number.

    Attributes:
        names: the columns.
        rows, missing, infinite, count, zeros: int64 [k], see `ColumnMoments`.
        mean: float64 [k], 0 where count is 0.
        m2: float64 [k], the sum of squared distances from the mean.
        min, max: float64 [k], +inf and -inf where count is 0.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    missing: np.ndarray
    infinite: np.ndarray
    count: np.ndarray
    zeros: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    min: np.ndarray
    max: np.ndarray

    @classmethod
    def empty(cls, names: Sequence[str]) -> Moments:
        """The neutral element of `merge`."""
        return cls.of_arrays(names, np.empty((len(names), 0)))

    @classmethod
    def of(cls, names: Sequence[str], batch: pa.RecordBatch | pa.Table) -> Moments:
        """The moments of the columns `names` of a batch."""
        columns = [floats(batch.column(name)) for name in names]
        return cls.of_arrays(names, np.stack(columns) if columns else np.empty((0, batch.num_rows)))

    @classmethod
    def of_arrays(cls, names: Sequence[str], values: np.ndarray) -> Moments:
        """The moments of float64 `values` [k, rows], NaN where missing."""
        finite = np.isfinite(values)
        count = finite.sum(axis=1)
        least = np.min(values, axis=1, where=finite, initial=np.inf)
        most = np.max(values, axis=1, where=finite, initial=-np.inf)
        some = np.maximum(count, 1)
        shift = np.where(count > 0, least, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = shift + np.where(finite, values - shift[:, None], 0.0).sum(axis=1) / some
            rest = np.where(finite, values - mean[:, None], 0.0)
            # The second term is zero but for rounding in the mean, and takes that out.
            m2 = np.maximum((rest * rest).sum(axis=1) - rest.sum(axis=1) ** 2 / some, 0.0)
        missing = np.isnan(values).sum(axis=1)
        rows = np.full(len(names), values.shape[1], np.int64)
        zeros = (values == 0.0).sum(axis=1)
        return cls(tuple(names), rows, missing, rows - missing - count, count, zeros, mean, m2, least, most)

    def merge(self, other: Moments) -> Moments:
        """The moments of the rows of both."""
        if self.names != other.names:
            raise ValueError(f"moments of {self.names} can't be merged with those of {other.names}")
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            delta = np.where((self.count > 0) & (other.count > 0), other.mean - self.mean, 0.0)
            mean = np.where(self.count > 0, self.mean, other.mean) + delta * share
            m2 = self.m2 + other.m2 + delta * delta * self.count * share
        return Moments(
            self.names,
            self.rows + other.rows,
            self.missing + other.missing,
            self.infinite + other.infinite,
            count,
            self.zeros + other.zeros,
            mean,
            m2,
            np.minimum(self.min, other.min),
            np.maximum(self.max, other.max),
        )

    def compute(self) -> dict[str, ColumnMoments]:
        """The result by column."""
        return {name: self[name] for name in self.names}

    def __getitem__(self, name: str) -> ColumnMoments:
        i = self.names.index(name)
        rows, missing, infinite, count, zeros = (int(getattr(self, field)[i]) for field in _COUNTS)
        mean = variance = low = high = math.nan
        if count:
            mean, low, high = (float(found[i]) for found in (self.mean, self.min, self.max))
            variance = float(self.m2[i]) / count
        return ColumnMoments(rows, missing, infinite, count, zeros, mean, variance, low, high)

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return pack({"names": self.names}, {field: getattr(self, field) for field in (*_COUNTS, *_FLOATS)})

    @classmethod
    def from_bytes(cls, blob: Blob) -> Moments:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(tuple(header["names"]), *(arrays[field] for field in (*_COUNTS, *_FLOATS)))
