"""How often each number occurs: exact up to a budget, then with fewer bits of mantissa.

Past the budget of distinct values every value is cut to the largest number of mantissa bits with which
the distinct values fit. That number depends on the values only and not on how they were batched or
merged, because a part of the data never has more distinct values than the whole. So the result of any
order of merging is the same, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .packing import Column, floats, pack, unpack

EXACT = 52
LEVELS = (EXACT, *range(20, -1, -1))
"""Bits of mantissa; with 4 all finite float64 are 65,504 values, so 65,536 always suffices from there on."""
BUDGET = 65_536
SKETCH = 4_096
"""How many of the least hashes are kept to estimate the number of distinct values; the error is 1.6%."""


@dataclass(frozen=True, eq=False)
class NumericCounts:
    """An accumulator over the finite values of one numeric column; d is the number of distinct values.

    Attributes:
        values: int64 or float64 [d], ascending; where `bits` < 52, values cut towards zero.
        counts: int64 [d].
        bits: the bits of mantissa that are left; 52 means that everything is exact.
        low, high: the least and the greatest value as they were, +inf and -inf if there is none.
        hashes: uint64 [at most 4,096], ascending: the least hashes of the uncut values; None while exact.
        budget: how many distinct values are kept at most.
    """

    values: np.ndarray
    counts: np.ndarray
    bits: int
    low: float
    high: float
    hashes: np.ndarray | None = None
    budget: int = BUDGET

    @classmethod
    def empty(cls, budget: int = BUDGET) -> NumericCounts:
        """The neutral element of `merge`."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), EXACT, np.inf, -np.inf, budget=budget)

    @classmethod
    def of(cls, column: Column, budget: int = BUDGET) -> NumericCounts:
        """Counts the values of a column; null, NaN and infinite ones are left out.

        Integers stay integers, exact also above 2^53, until they are cut.
        """
        if pa.types.is_integer(column.type):
            array = pc.cast(pc.drop_null(column), pa.int64())
            return cls.of_array(array.to_numpy(), budget)
        return cls.of_array(floats(column), budget)

    @classmethod
    def of_array(cls, values: np.ndarray, budget: int = BUDGET) -> NumericCounts:
        """Counts int64 or float64 `values` [rows]; NaN and infinite ones are left out."""
        if values.dtype != np.int64:
            values = values[np.isfinite(values)] + 0.0  # -0.0 becomes 0.0
        if not len(values):
            return cls.empty(budget)
        distinct, counts = np.unique(values, return_counts=True)
        low, high = float(distinct[0]), float(distinct[-1])
        return cls(distinct, counts.astype(np.int64), EXACT, low, high, budget=budget)._fit()

    def merge(self, other: NumericCounts) -> NumericCounts:
        """The counts of the values of both."""
        bits = min(self.bits, other.bits)
        a, b = self._cut(bits), other._cut(bits)
        if not len(a.values) or not len(b.values):
            # An empty array is int64 and must not turn the other's integers into floats, or back.
            full = a if len(a.values) else b
            values, counts = full.values, full.counts
        else:
            values, counts = _sum(np.concatenate([a.values, b.values]), np.concatenate([a.counts, b.counts]))
        low, high = min(self.low, other.low), max(self.high, other.high)
        hashes = None
        if bits < EXACT:
            hashes = np.unique(np.concatenate([self._least_hashes(), other._least_hashes()]))[:SKETCH]
        return NumericCounts(values, counts, bits, low, high, hashes, min(self.budget, other.budget))._fit()

    def _least_hashes(self) -> np.ndarray:
        if self.hashes is not None:
            return self.hashes
        hashes = _hash(self.values)
        return np.sort(hashes if len(hashes) <= SKETCH else np.partition(hashes, SKETCH)[:SKETCH])

    def _fit(self) -> NumericCounts:
        """This, with as many bits as the budget allows."""
        fitting = self
        while len(fitting.values) > self.budget and fitting.bits > 0:
            fitting = fitting._cut(LEVELS[LEVELS.index(fitting.bits) + 1])
        return fitting

    def _cut(self, bits: int) -> NumericCounts:
        if bits == self.bits:
            return self
        values, counts = _sum(cut_values(self.values, bits), self.counts)
        return replace(self, values=values, counts=counts, bits=bits, hashes=self._least_hashes())

    @property
    def exact(self) -> bool:
        """Whether values and counts are exact."""
        return self.bits == EXACT

    @property
    def count(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        """The number of distinct values; if not `exact`, an estimate."""
        if self.hashes is None or len(self.hashes) < SKETCH:
            return len(self.values) if self.hashes is None else len(self.hashes)
        # k minimum values: the k-th least of n uniform numbers in [0, 1) is near k / n.
        return min(round((SKETCH - 1) * (2.0**64 / float(self.hashes[-1]))), self.count)

    @property
    def distinct_error(self) -> float:
        """The relative standard error of `distinct`: 0 if `exact`, else 1 / sqrt(k - 2) of k hashes."""
        return 0.0 if self.hashes is None or len(self.hashes) < SKETCH else (SKETCH - 2) ** -0.5

    @property
    def relative_error(self) -> float:
        """The bound of the relative error of `quantiles`: 0, or 2^-(bits + 1)."""
        return 0.0 if self.exact else 2.0 ** -(self.bits + 1)

    def compute(self) -> tuple[np.ndarray, np.ndarray]:
        """Values (float64 or int64 [d], ascending) and counts; a cut value is the middle of its interval."""
        if self.exact:
            return self.values, self.counts
        width = np.spacing(np.abs(self.values)) * 2.0 ** (EXACT - self.bits)
        middles = self.values + np.copysign(width / 2, self.values) * (self.values != 0)
        return np.clip(middles, self.low, self.high), self.counts

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """The quantiles at `shares` (from 0 to 1), by linear interpolation as `numpy.quantile` does.

        Returns:
            Floats, equal to NumPy's if `exact`, else within `relative_error`; NaN if there is no value.
        """
        total = self.count
        if not total:
            return [float("nan")] * len(shares)
        values, counts = self.compute()
        ends = np.cumsum(counts)
        places = np.asarray(shares, np.float64) * (total - 1)
        below = np.floor(places)
        low = values[np.searchsorted(ends, below, side="right")].astype(np.float64)
        high = values[np.searchsorted(ends, np.ceil(places), side="right")].astype(np.float64)
        part = places - below
        with np.errstate(over="ignore"):
            step = high - low
            # From the nearer end, as NumPy does, so that the result is monotone and meets both ends.
            found = np.where(part < 0.5, low + step * part, high - step * (1 - part))
        return [float(x) for x in found]

    def cuts(self, buckets: int) -> list[float]:
        """The bounds between `buckets` buckets of equally many values, `buckets - 1` of them, ascending.

        Bound i is the value that floor(i * n / buckets) of the n values in order stand before, as
        tensorflow-transform's `quantiles` chooses where its sketch is exact: a value of the data, never one
        between two, so that buckets that are closed below hold equally many of distinct values.

        Returns:
            Floats, exact if `exact`, else within `relative_error`; NaN if there is no value.
        """
        total = self.count
        if not total:
            return [float("nan")] * (buckets - 1)
        values, counts = self.compute()
        places = np.arange(1, buckets) * total // buckets
        return [float(x) for x in values[np.searchsorted(np.cumsum(counts), places, side="right")]]

    @property
    def median(self) -> float:
        """The median; NaN if there is no value."""
        return self.quantiles([0.5])[0]

    def top(self, most: int) -> list[tuple[float, int]]:
        """The most frequent values with their counts: by descending count, ties by descending value."""
        values, counts = self.compute()
        order = np.lexsort((values, counts))[::-1][:most]
        return [(values[i].item(), int(counts[i])) for i in order]

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        header = {"bits": self.bits, "low": self.low, "high": self.high, "budget": self.budget}
        arrays = {"values": self.values, "counts": self.counts}
        return pack(header, arrays if self.hashes is None else {**arrays, "hashes": self.hashes})

    @classmethod
    def from_bytes(cls, blob: bytes) -> NumericCounts:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(arrays["values"], arrays["counts"], hashes=arrays.get("hashes"), **header)


def cut_values(values: np.ndarray, bits: int) -> np.ndarray:
    """Numbers as float64 cut towards zero to so many bits of mantissa."""
    mask = np.int64(-1) << np.int64(EXACT - bits)
    cut: np.ndarray = (values.astype(np.float64).view(np.int64) & mask).view(np.float64) + 0.0
    return cut


def _hash(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer (Steele, Lea and Flood 2014) of each value's eight bytes, as uint64."""
    x = values.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: np.ndarray = x ^ (x >> np.uint64(31))
    return hashed


def _sum(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal values as one, ascending, with the sum of their counts."""
    if not len(values):
        return values, counts
    order = np.argsort(values, kind="stable")  # which merges runs that are sorted already
    values = values[order]
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return values[starts], np.add.reduceat(counts[order], starts)
