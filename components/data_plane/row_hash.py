"""A hash of each row over its values, the same on every machine and in every version.

Numbers are mixed by SplitMix64 (Steele, Lea and Flood, 2014) as whole columns; strings and bytes go through
FarmHash's fingerprint64, one call a distinct value. Equal rows have equal hashes, however a file wrote them:
`1.0` and `1.00` are one number, and -0.0 is 0.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_GOLDEN = 0x9E3779B97F4A7C15
_MISSING = np.uint64(0x6A09E667F3BCC909)
_MASK = (1 << 64) - 1


def row_hash(rows: pa.Table | pa.RecordBatch, columns: Sequence[str] | None = None, seed: int = 0) -> Any:
    """Hashes of the rows.

    Args:
        rows: columns of int64, float64, bool, string, binary, timestamp, or lists of these; missing values
            are null.
        columns: the columns that count, in this order; all if not given.
        seed: another seed gives an independent hash.

    Returns:
        uint64 [rows].
    """
    names = list(columns) if columns is not None else list(rows.schema.names)
    hashed = np.full(rows.num_rows, np.uint64(_scalar_mix(seed & _MASK)))
    for place, name in enumerate(names, 1):
        own = column_hash(rows.column(name)) + np.uint64(place * _GOLDEN & _MASK)
        hashed = mix(hashed ^ mix(own))
    return hashed


def column_hash(column: pa.Array | pa.ChunkedArray) -> Any:
    """Hashes of one column's values, uint64 [n], before they are mixed with a place and a seed."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # pragma: no cover - depends on the version of Arrow
            column = pa.concat_arrays(column.chunks)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _string_hash(column)
    if pa.types.is_binary(column.type):
        return _bytes_hash(column)
    if pa.types.is_list(column.type):
        return _list_hash(column)
    if pa.types.is_boolean(column.type) or pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    kind = np.float64 if pa.types.is_floating(column.type) else np.int64
    values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(kind, copy=True)
    if kind is np.float64:
        values += 0.0  # turns -0.0 into 0.0
    hashed = mix(values.view(np.uint64))
    if column.null_count:
        hashed[column.is_null().to_numpy(zero_copy_only=False)] = _MISSING
    return hashed


def _string_hash(column: pa.Array) -> Any:
    from farmhash import fingerprint64

    encoded = column.dictionary_encode()
    values = encoded.dictionary
    table = np.fromiter(map(fingerprint64, values.to_pylist()), np.uint64, len(values))
    table = np.append(table, _MISSING)
    return table[pc.fill_null(encoded.indices, len(table) - 1).to_numpy(zero_copy_only=False)]


def _bytes_hash(column: pa.Array) -> Any:
    """Of long values, of which hardly two are equal: each is hashed, with one copy at a time."""
    from farmhash import fingerprint64

    _, offsets, content = column.buffers()
    if content is None:
        return np.full(len(column), _MISSING)
    places = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].tolist()
    view = memoryview(content)
    spans = (bytes(view[begin:end]) for begin, end in pairwise(places))
    hashed = np.fromiter(map(fingerprint64, spans), np.uint64, len(column))
    if column.null_count:
        hashed[column.is_null().to_numpy(zero_copy_only=False)] = _MISSING
    return hashed


def _list_hash(column: pa.Array) -> Any:
    """Of the values in their order; a list without values is missing."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    elements = column_hash(pc.list_flatten(column))
    ends = np.cumsum(lengths)
    places = np.arange(len(elements), dtype=np.uint64) - np.repeat(ends - lengths, lengths).astype(np.uint64)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mix(elements ^ mix(places)))])
    hashed = mix((sums[ends] - sums[ends - lengths]) ^ mix(lengths.astype(np.uint64)))
    hashed[lengths == 0] = _MISSING
    return hashed


def place_hash(rows: int, *names: str | int) -> Any:
    """Hashes of places, uint64 [rows]: of the first rows of what is named, whatever their values are."""
    digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
    base = np.uint64(int.from_bytes(digest[:8], "little"))
    return mix(mix(np.arange(rows, dtype=np.uint64)) ^ base)


def fold_of(places: Sequence[tuple[int, int]], folds: int, seed: int) -> Any:
    """The fold of each row of parts of the train split, int64 [rows], from 0 to `folds` - 1.

    Args:
        places: number and rows of each part.
        folds: how many folds there are.
        seed: another seed gives other folds.
    """
    hashed = np.concatenate([place_hash(rows, "fold", seed, part) for part, rows in places])
    return (hashed % np.uint64(folds)).astype(np.int64)


def mix(values: Any) -> Any:
    """SplitMix64's finalizer over uint64 [n]: every input bit reaches every output bit."""
    values = values + np.uint64(_GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _scalar_mix(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
