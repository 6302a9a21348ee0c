"""Means of several numbers for each key, in groups of rows: what out-of-fold target means are fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .keyed_moments import MOST_KEYS, coded, from_texts, in_order, key_bytes, texts, union
from .packing import Blob, pack, unpack


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
        return self.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Sequence[KeyedMeans]) -> KeyedMeans:
        """Of the rows of all, of which there is at least one; from the left."""
        shape = parts[0].mean.shape[:2]
        keys, places = union([part.keys for part in parts])
        if keys is None:
            return cls._overflown(*shape)
        count, mean = np.zeros((shape[0], len(keys)), np.int64), np.zeros((*shape, len(keys)))
        for part, own in zip(parts, places, strict=True):
            before = count[:, own]
            count[:, own] += part.count
            share = part.count / np.maximum(count[:, own], 1)
            moved = mean[:, :, own] + (part.mean - mean[:, :, own]) * share[:, None, :]
            mean[:, :, own] = np.where((before > 0)[:, None, :], moved, part.mean)
        return cls(keys, count, mean)

    @property
    def nbytes(self) -> int:
        """The bytes of keys, counts and means."""
        return key_bytes(self.keys) + self.count.nbytes + self.mean.nbytes

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
    def from_bytes(cls, blob: Blob) -> KeyedMeans:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(from_texts(header["keys"]), arrays["count"], arrays["mean"])
