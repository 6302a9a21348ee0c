"""Moments of a number for each key, mergeable: what scaling and imputing by key are fitted on.

Past `MOST_KEYS` there is no result, in whatever order parts are merged, since a part never has more keys than
the whole. That bounds an accumulator to some 80 bytes a key beside the keys' texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa

from .moments import ColumnMoments, Moments
from .packing import Blob, pack, unpack

MOST_KEYS = 100_000


@dataclass(frozen=True, eq=False)
class KeyedMoments:
    """An accumulator over the rows of one numeric column, by key.

    Attributes:
        keys: distinct strings [k], in the order of their first row; None past `MOST_KEYS`.
        moments: of each key; its `names` are empty.
    """

    keys: pa.Array | None
    moments: Moments

    @classmethod
    def empty(cls) -> KeyedMoments:
        """The neutral element of `merge`."""
        return cls(pa.array([], pa.string()), _no_moments(0))

    @classmethod
    def of(cls, keys: pa.Array, values: np.ndarray) -> KeyedMoments:
        """Of one batch.

        Args:
            keys: strings [rows].
            values: float64 [rows], NaN where missing.
        """
        names, codes = coded(keys)
        if len(names) > MOST_KEYS:
            return cls(None, _no_moments(0))
        return cls(names, _moments(codes, values, len(names)))

    def merge(self, other: KeyedMoments) -> KeyedMoments:
        """Of the rows of both."""
        return self.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Sequence[KeyedMoments]) -> KeyedMoments:
        """Of the rows of all, of which there is at least one; from the left."""
        keys, places = union([part.keys for part in parts])
        if keys is None:
            return cls(None, _no_moments(0))
        placed = (_placed(part.moments, p, len(keys)) for part, p in zip(parts, places, strict=True))
        return cls(keys, reduce(Moments.merge, placed))

    @property
    def nbytes(self) -> int:
        """The bytes of keys and moments."""
        return key_bytes(self.keys) + sum(array.nbytes for array in self.moments.arrays().values())

    def compute(self) -> Iterator[tuple[str, ColumnMoments]]:
        """Key and moments, in the order of the keys' texts."""
        assert self.keys is not None
        return ((key, self.moments.at(place)) for key, place in in_order(self.keys))

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return pack({"keys": texts(self.keys)}, self.moments.arrays())

    @classmethod
    def from_bytes(cls, blob: Blob) -> KeyedMoments:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(from_texts(header["keys"]), Moments(names=(), **arrays))


def coded(keys: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Distinct strings [k] in the order of their first row, and the place of each row's, int64 [rows]."""
    encoded = keys.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.cast(pa.string()), codes


def union(keys: Sequence[pa.Array | None]) -> tuple[pa.Array | None, list[np.ndarray]]:
    """The keys of all, those of the first in front, and where each one's lie in them, int64.

    None if one of them is, or where there are more than `MOST_KEYS`.
    """
    some = [one for one in keys if one is not None]
    if len(some) < len(keys):
        return None, []
    names, codes = coded(pa.concat_arrays(some))
    if len(names) > MOST_KEYS:
        return None, []
    return names, np.split(codes, np.cumsum([len(one) for one in some])[:-1])


def key_bytes(keys: pa.Array | None) -> int:
    """The bytes of keys."""
    return 0 if keys is None else int(keys.nbytes)


def in_order(keys: pa.Array) -> list[tuple[str, int]]:
    """Keys and their places, ascending by their texts."""
    listed: Sequence[str] = keys.to_pylist()
    return sorted((key, place) for place, key in enumerate(listed))


def texts(keys: pa.Array | None) -> list[str] | None:
    """Keys as JSON values."""
    return None if keys is None else keys.to_pylist()


def from_texts(keys: Sequence[str] | None) -> pa.Array | None:
    """The inverse of `texts`."""
    return None if keys is None else pa.array(keys, pa.string())


def _no_moments(count: int) -> Moments:
    return Moments(names=(), **Moments.empty(("",) * count).arrays())


def _placed(moments: Moments, places: np.ndarray, count: int) -> Moments:
    """The moments at other places among `count` keys."""
    made = _no_moments(count).arrays()
    for name, values in moments.arrays().items():
        made[name][places] = values
    return Moments(names=(), **made)


def _moments(codes: np.ndarray, values: np.ndarray, count: int) -> Moments:
    """As `Moments.of_arrays`, by key."""
    finite, gone = np.isfinite(values), np.isnan(values)
    rows, missing = (np.bincount(c, minlength=count) for c in (codes, codes[gone]))
    inner, some = codes[finite], values[finite]
    found = np.bincount(inner, minlength=count)
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, inner, some)
    np.maximum.at(most, inner, some)
    share = np.maximum(found, 1)
    shift = np.where(found > 0, least, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = shift + np.bincount(inner, weights=some - shift[inner], minlength=count) / share
        rest = some - mean[inner]
        left = np.bincount(inner, weights=rest, minlength=count)
        m2 = np.maximum(np.bincount(inner, weights=rest * rest, minlength=count) - left**2 / share, 0.0)
    zeros = np.bincount(inner[some == 0.0], minlength=count)
    return Moments((), rows, missing, rows - missing - found, found, zeros, mean, m2, least, most)
