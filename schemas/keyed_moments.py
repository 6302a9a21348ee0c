"""Moments of a number for each key, mergeable: what scaling and imputing by key are fitted on.

Past `MOST_KEYS` there is no result, in whatever order parts are merged, since a part never has more keys than
the whole. That bounds an accumulator to some 80 bytes a key beside the keys' texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .moments import ColumnMoments, Moments
from .packing import pack, unpack

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
        if self.keys is None or other.keys is None:
            return KeyedMoments(None, _no_moments(0))
        keys, mine, theirs = union(self.keys, other.keys)
        if len(keys) > MOST_KEYS:
            return KeyedMoments(None, _no_moments(0))
        left, right = (_placed(m, p, len(keys)) for m, p in ((self.moments, mine), (other.moments, theirs)))
        return KeyedMoments(keys, left.merge(right))

    def compute(self) -> Iterator[tuple[str, ColumnMoments]]:
        """Key and moments, in the order of the keys' texts."""
        assert self.keys is not None
        return ((key, self.moments.at(place)) for key, place in in_order(self.keys))

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return pack({"keys": texts(self.keys)}, self.moments.arrays())

    @classmethod
    def from_bytes(cls, blob: bytes) -> KeyedMoments:
        """The inverse of `to_bytes`."""
        header, arrays = unpack(blob)
        return cls(from_texts(header["keys"]), Moments(names=(), **arrays))


def coded(keys: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Distinct strings [k] in the order of their first row, and the place of each row's, int64 [rows]."""
    encoded = keys.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.cast(pa.string()), codes


def union(first: pa.Array, second: pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """The keys of both, those of the first in front; and where each one's lie in them, int64."""
    names, codes = coded(pa.concat_arrays([first, second]))
    return names, codes[: len(first)], codes[len(first) :]


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
