"""Means of several numbers for each key, in groups of rows: what out-of-fold target means are fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .keyed_moments import MOST_KEYS, coded, from_texts, in_order, texts, union
from .packing import pack, unpack


@dataclass(frozen=True, eq=False)
class KeyedMeans:
    """An accumulator over rows with a key, a group, and t numbers.

    Attributes:
        keys: distinct strings [k]; None past `MOST_KEYS`.
        count: int64 [groups, k], the rows with all numbers.
        mean: float64 [groups, t, k], 0 where there is no row.
    """

    keys: pa.Array | None
    count: np.ndarray
    mean: np.ndarray

    @classmethod
    def empty(cls, groups: int, numbers: int) -> KeyedMeans:
        """The neutral element of `merge`."""
        return cls(pa.array([], pa.string()), np.zeros((groups, 0), np.int64), np.zeros((groups, numbers, 0)))

    @classmethod
    def of(cls, keys: pa.Array, group: np.ndarray, groups: int, values: np.ndarray) -> KeyedMeans:
        """Of one batch.

        Args:
            keys: strings [rows].
            group: int64 [rows], from 0 to `groups` - 1.
            groups: how many there are.
            values: float64 [t, rows]; a row with one that isn't finite is left out.
        """
        whole = np.isfinite(values).all(axis=0)
        names, codes = coded(keys.filter(pa.array(whole)))
        if len(names) > MOST_KEYS:
            return cls._overflown(groups, len(values))
        group, values, size = group[whole], values[:, whole], groups * len(names)
        cells = group * len(names) + codes
        count = np.bincount(cells, minlength=size)
        shift = values[:, :1] if values.shape[1] else np.zeros((len(values), 1))
        sums = [np.bincount(cells, weights=row, minlength=size) for row in values - shift]
        mean = np.where(
            count > 0, shift + np.array(sums).reshape(len(values), size) / np.maximum(count, 1), 0.0
        )
        shape = (len(values), groups, len(names))
        return cls(names, count.reshape(shape[1:]), mean.reshape(shape).transpose(1, 0, 2))

    @classmethod
    def _overflown(cls, groups: int, numbers: int) -> KeyedMeans:
        empty = cls.empty(groups, numbers)
        return cls(None, empty.count, empty.mean)

    def merge(self, other: KeyedMeans) -> KeyedMeans:
        """Of the rows of both."""
        if self.keys is None or other.keys is None:
            return self._overflown(*self.mean.shape[:2])
        keys, mine, theirs = union(self.keys, other.keys)
        if len(keys) > MOST_KEYS:
            return self._overflown(*self.mean.shape[:2])
        left, right = self._placed(mine, len(keys)), other._placed(theirs, len(keys))
        count = left.count + right.count
        share = right.count / np.maximum(count, 1)
        both = (left.count > 0)[:, None, :]
        mean = np.where(both, left.mean + (right.mean - left.mean) * share[:, None, :], right.mean)
        return KeyedMeans(keys, count, mean)

    def _placed(self, places: np.ndarray, size: int) -> KeyedMeans:
        count = np.zeros((len(self.count), size), np.int64)
        mean = np.zeros((*self.mean.shape[:2], size))
        count[:, places], mean[:, :, places] = self.count, self.mean
        return KeyedMeans(self.keys, count, mean)

    def compute(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Keys ascending by their texts, counts [groups, k] and means [groups, t, k] in that order."""
        assert self.keys is not None
        ordered = in_order(self.keys)
        places = [place for _, place in ordered]
        return [key for key, _ in ordered], self.count[:, places], self.mean[:, :, places]

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return pack({"keys": texts(self.keys)}, {"count": self.count, "mean": self.mean})

    @classmethod
    def from_bytes(cls, blob: bytes) -> KeyedMeans:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(from_texts(header["keys"]), arrays["count"], arrays["mean"])
