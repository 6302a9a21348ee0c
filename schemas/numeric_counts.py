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

from .packing import Blob, Column, floats, pack, unpack

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
        return self.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Sequence[NumericCounts]) -> NumericCounts:
        """The counts of the values of all, of which there is at least one."""
        if len(parts) == 1:
            return parts[0]
        bits = min(part.bits for part in parts)
        cut = [part._cut(bits) for part in parts]
        # An empty array is int64 and must not turn the others' integers into floats, or back.
        full = [part for part in cut if len(part.values)] or cut[:1]
        values, counts = _sum([part.values for part in full], [part.counts for part in full])
        hashes = None
        if bits < EXACT:
            hashes = np.sort(np.concatenate([part._least_hashes() for part in cut]), kind="stable")
            hashes = _equal_as_one(hashes, hashes)[0][:SKETCH]
        low, high = min(part.low for part in parts), max(part.high for part in parts)
        budget = min(part.budget for part in parts)
        return cls(values, counts, bits, low, high, hashes, budget)._fit()

    @property
    def nbytes(self) -> int:
        """The bytes of values and counts."""
        return self.values.nbytes + self.counts.nbytes

    def _least_hashes(self) -> np.ndarray:
        if self.hashes is not None:
            return self.hashes
        hashes = _hash(self.values)
        return np.sort(hashes if len(hashes) <= SKETCH else np.partition(hashes, SKETCH)[:SKETCH])

    def _fit(self) -> NumericCounts:
        """This, with as many bits as the budget allows."""
        fitting = self
        if len(self.values) > self.budget and self.bits > 0:
            fitting = self._cut(_level(self.values, self.bits, self.budget))
        while len(fitting.values) > self.budget and fitting.bits > 0:
            fitting = fitting._cut(LEVELS[LEVELS.index(fitting.bits) + 1])
        return fitting

    def _cut(self, bits: int) -> NumericCounts:
        if bits == self.bits:
            return self
        # Ascending as before, since cutting towards zero never changes the order of two values.
        values, counts = _equal_as_one(cut_values(self.values, bits), self.counts)
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
        order = _top(counts, most)
        return [(values[i].item(), int(counts[i])) for i in order]

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return self.pack_all([self])

    @classmethod
    def from_bytes(cls, blob: Blob) -> NumericCounts:
        """The inverse of `to_bytes`."""
        return cls.unpack_all(blob)[0]

    @classmethod
    def pack_all(cls, several: Sequence[NumericCounts]) -> bytes:
        """Accumulators of several columns as one blob, which takes far less than a blob for each."""
        headers = [[one.bits, one.low, one.high, one.budget, one.hashes is not None] for one in several]
        arrays = [array for one in several for array in (one.values, one.counts, one.hashes)]
        return pack(headers, {str(i): array for i, array in enumerate(arrays) if array is not None})

    @classmethod
    def unpack_all(cls, blob: Blob) -> list[NumericCounts]:
        """The inverse of `pack_all`."""
        headers, packed = unpack(blob)
        arrays = iter(packed.values())
        found = []
        for bits, low, high, budget, hashed in headers:
            values, counts = next(arrays), next(arrays)
            found.append(cls(values, counts, bits, low, high, next(arrays) if hashed else None, budget))
        return found


def cut_values(values: np.ndarray, bits: int) -> np.ndarray:
    """Numbers as float64 cut towards zero to so many bits of mantissa."""
    mask = np.int64(-1) << np.int64(EXACT - bits)
    cut: np.ndarray = (values.astype(np.float64).view(np.int64) & mask).view(np.float64) + 0.0
    return cut


def _level(values: np.ndarray, bits: int, budget: int) -> int:
    """The most bits of mantissa, fewer than `bits`, with which ascending values are at most about `budget`.

    Two neighbours are one once the highest bit in which they differ is cut. Counted here are 0 and what
    becomes -0.0 as two, so that the level is right or one that is too fine.
    """
    raw = values.astype(np.float64).view(np.int64)
    differ = (raw[1:] ^ raw[:-1]).view(np.uint64) >> np.uint64(EXACT - LEVELS[1])
    # Below 2^53, so that the exponent is the place of the highest bit.
    highest = np.bincount(np.frexp(differ.astype(np.float64))[1], minlength=LEVELS[1] + 1)
    coarser: list[int] = [level for level in LEVELS[1:] if level < bits]
    return next((b for b in coarser if int(highest[LEVELS[1] + 1 - b :].sum()) <= budget), coarser[-1])


def _top(counts: np.ndarray, most: int) -> np.ndarray:
    """The places of the `most` greatest counts, descending; of equal counts the last place first."""
    if most >= len(counts):
        return np.argsort(counts, kind="stable")[::-1]
    # A sort is quick where a selection is not, among many equal counts.
    least = np.sort(counts)[len(counts) - most] if most and counts.max() > 1 else counts.max()
    above = np.flatnonzero(counts > least)
    level = np.flatnonzero(counts == least)[::-1][: most - len(above)]
    return np.concatenate([above[np.argsort(counts[above], kind="stable")[::-1]], level])[:most]


def _hash(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer (Steele, Lea and Flood 2014) of each value's eight bytes, as uint64."""
    x = values.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: np.ndarray = x ^ (x >> np.uint64(31))
    return hashed


def _sum(values: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The values of several arrays, ascending, with the sum of the counts of equal ones."""
    if len(values) == 1:
        return values[0], counts[0]
    every, sums = np.concatenate(values), np.concatenate(counts)
    if sums.sum() < 2 * len(sums):
        # Few values occur twice: a sort of all needs no permutation, which costs more than to repeat them.
        every = np.repeat(every, sums)
        every.sort(kind="stable")  # which merges runs that are sorted already
        return _equal_as_one(every, np.ones(len(every), np.int64))
    order = np.argsort(every, kind="stable")
    return _equal_as_one(every[order], sums[order])


def _equal_as_one(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ascending values without repetition, with the sum of their counts."""
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    if len(starts) + 1 >= len(values):
        return values, counts
    starts = np.concatenate([[0], starts])
    return values[starts], np.add.reduceat(counts, starts)
