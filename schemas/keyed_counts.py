"""How often each number occurs with each key: what quantiles by key are fitted on.

Bounded like `NumericCounts`: past a budget of pairs of key and value, all values are cut to the largest
number of mantissa bits with which the pairs fit. That number depends on the pairs only, not on how they were
batched or merged, since a part never has more pairs than the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from .keyed_moments import MOST_KEYS, coded, from_texts, in_order, key_bytes, texts, union
from .numeric_counts import EXACT, LEVELS, NumericCounts, cut_values
from .packing import Blob, pack, unpack

BUDGET = 2_000_000
"""Pairs of key and value, 24 bytes each."""


@dataclass(frozen=True, eq=False)
class KeyedCounts:
    """An accumulator over the finite values of one numeric column, by key.

    Attributes:
        keys: distinct strings [k]; None past `MOST_KEYS`.
        codes, values, counts: of each pair [d] the key's place, the value (int64 or float64; cut where `bits`
            is below 52) and how often it occurs; ascending by key's place, then value.
        low, high: float64 [k], the least and greatest value of each key as they were.
        bits: the bits of mantissa that are left; 52 means that everything is exact.
        budget: how many pairs are kept at most.
    """

    keys: pa.Array | None
    codes: np.ndarray
    values: np.ndarray
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bits: int = EXACT
    budget: int = BUDGET

    @classmethod
    def empty(cls, budget: int = BUDGET) -> KeyedCounts:
        """The neutral element of `merge`."""
        none, whole = np.empty(0), np.empty(0, np.int64)
        return cls(pa.array([], pa.string()), whole, whole, whole, none, none, EXACT, budget)

    @classmethod
    def of(cls, keys: pa.Array, values: np.ndarray, budget: int = BUDGET) -> KeyedCounts:
        """Counts int64 or float64 `values` [rows] by strings `keys` [rows]; infinite ones are left out."""
        if values.dtype != np.int64:
            finite = np.isfinite(values)
            keys, values = keys.filter(pa.array(finite)), values[finite] + 0.0  # -0.0 becomes 0.0
        names, codes = coded(keys)
        if len(names) > MOST_KEYS:
            return cls._overflown(budget)
        low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
        np.minimum.at(low, codes, values.astype(np.float64))
        np.maximum.at(high, codes, values.astype(np.float64))
        pairs = _summed(codes, values, np.ones(len(values), np.int64))
        return cls(names, *pairs, low, high, EXACT, budget)._fit()

    @classmethod
    def _overflown(cls, budget: int) -> KeyedCounts:
        return replace(cls.empty(budget), keys=None)

    def merge(self, other: KeyedCounts) -> KeyedCounts:
        """The counts of the values of both."""
        return self.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Sequence[KeyedCounts]) -> KeyedCounts:
        """The counts of the values of all, of which there is at least one."""
        budget = min(part.budget for part in parts)
        keys, places = union([part.keys for part in parts])
        if keys is None:
            return cls._overflown(budget)
        bits = min(part.bits for part in parts)
        cut = [part._cut(bits) for part in parts]
        codes = np.concatenate([own[part.codes] for part, own in zip(cut, places, strict=True)])
        # An empty array is int64 and must not turn the others' floats into something else.
        values = np.concatenate([part.values for part in cut if len(part.values)] or [cut[0].values])
        pairs = _summed(codes, values, np.concatenate([part.counts for part in cut]))
        low, high = np.full(len(keys), np.inf), np.full(len(keys), -np.inf)
        for part, own in zip(cut, places, strict=True):
            low[own] = np.minimum(low[own], part.low)
            high[own] = np.maximum(high[own], part.high)
        return cls(keys, *pairs, low, high, bits, budget)._fit()

    @property
    def nbytes(self) -> int:
        """The bytes of keys and arrays."""
        sizes: list[int] = [getattr(self, name).nbytes for name in _ARRAYS]
        return key_bytes(self.keys) + sum(sizes)

    def _fit(self) -> KeyedCounts:
        fitting = self
        while len(fitting.values) > self.budget and fitting.bits > 0:
            fitting = fitting._cut(LEVELS[LEVELS.index(fitting.bits) + 1])
        return fitting

    def _cut(self, bits: int) -> KeyedCounts:
        if bits == self.bits:
            return self
        codes, values, counts = _summed(self.codes, cut_values(self.values, bits), self.counts)
        return replace(self, codes=codes, values=values, counts=counts, bits=bits)

    @property
    def relative_error(self) -> float:
        """The bound of the relative error of quantiles: 0, or 2^-(bits + 1)."""
        return 0.0 if self.bits == EXACT else 2.0 ** -(self.bits + 1)

    def compute(self) -> Iterator[tuple[str, NumericCounts]]:
        """Key and counts, in the order of the keys' texts."""
        assert self.keys is not None
        bounds = np.searchsorted(self.codes, np.arange(len(self.keys) + 1))
        for key, place in in_order(self.keys):
            own = slice(bounds[place], bounds[place + 1])
            low, high = float(self.low[place]), float(self.high[place])
            yield key, NumericCounts(self.values[own], self.counts[own], self.bits, low, high)

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        header = {"keys": texts(self.keys), "bits": self.bits, "budget": self.budget}
        return pack(header, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def from_bytes(cls, blob: Blob) -> KeyedCounts:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(from_texts(header["keys"]), **arrays, bits=header["bits"], budget=header["budget"])


_ARRAYS = ("codes", "values", "counts", "low", "high")


def _summed(
    codes: np.ndarray, values: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equal pairs as one, ascending, with the sum of their counts."""
    if not len(codes):
        return codes, values, counts
    order = np.lexsort((values, codes))
    codes, values = codes[order], values[order]
    new = (codes[1:] != codes[:-1]) | (values[1:] != values[:-1])
    starts = np.flatnonzero(np.concatenate([[True], new]))
    return codes[starts], values[starts], np.add.reduceat(counts[order], starts)
