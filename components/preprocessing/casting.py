"""Raw columns as serving takes them: each number is cast once, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.errors import DataError
from ..transforms.base import MISSING_INT
from ..transforms.ragged import Ragged

SERVING_DTYPES = {
    "float": "float32", "int": "int64", "bool": "int64", "string": "string", "timestamp": "int64",
    "floats": "float32", "ints": "int64", "strings": "string", "image": "string",
}  # fmt: skip
"""Column type → dtype at serving; missing is NaN, -2**63 and the empty string, which also pad rows of several
values to one length."""
MULTIVALUED = ("strings", "ints", "floats")
"""The types of columns with any number of values a row; their serving inputs are [n, None]."""
_TINY = np.finfo(np.float32).tiny
_AT_REST = {
    "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"), "floats": pa.list_(pa.float64()), "ints": pa.list_(pa.int64()),
    "strings": pa.list_(pa.string()), "image": pa.binary(),
}  # fmt: skip


def serving_batch(batch: pa.RecordBatch, types: Mapping[str, str]) -> dict[str, Any]:
    """The named columns of a batch, cast.

    Args:
        batch: raw rows, [n].
        types: column → type (see `headrace.schemas.schema.FeatureType`) of the columns to read.

    Returns:
        By name, float32 or int64 [n] in NumPy, strings as an Arrow array without nulls, columns with several
        values a row as `Ragged`, without the missing ones.

    Raises:
        DataError: a column is missing, or a value can't be cast to its type.
    """
    places = {name: place for place, name in enumerate(batch.schema.names)}
    absent = [name for name in types if name not in places]
    if absent:
        listed = ", ".join(map(repr, absent))
        raise DataError(f"there is no column {listed}", given=absent[0], available=tuple(places))
    return {name: _cast(name, batch.column(places[name]), kind) for name, kind in types.items()}


def as_numpy(column: Any) -> np.ndarray[Any, Any]:
    """A cast column as NumPy holds it: strings as an object array of str, several values a row padded."""
    if isinstance(column, Ragged):
        return column.padded()
    found: np.ndarray[Any, Any] = (
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column
    )
    return found


def _cast(name: str, column: pa.Array, kind: str) -> Any:
    if column.type != _AT_REST[kind]:
        try:
            column = pc.cast(column, _AT_REST[kind])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            what = f"the column {name!r}, of type {column.type}, can't be read as {kind} ({error})"
            raise DataError(what) from error
    if kind in MULTIVALUED:
        return _ragged(name, column, kind)
    if kind in ("string", "image"):
        return pc.fill_null(column, "") if column.null_count else column
    if kind == "float":
        with np.errstate(over="ignore", under="ignore"):
            found = column.to_numpy(zero_copy_only=False).astype(np.float32)
        # TensorFlow takes numbers that are too small for a full mantissa as zero.
        small = np.abs(found) < _TINY
        return np.where(small, np.float32(0), found) if small.any() and found[small].any() else found
    whole = column if kind == "int" else pc.cast(column, pa.int64())  # timestamps as microseconds
    return (pc.fill_null(whole, MISSING_INT) if whole.null_count else whole).to_numpy(zero_copy_only=False)


def _ragged(name: str, column: pa.ListArray, kind: str) -> Ragged:
    values = column.flatten()
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    whole = _cast(name, values, kind.removesuffix("s"))
    if kind == "strings":
        there = pc.not_equal(whole, "").to_numpy(zero_copy_only=False)
    else:
        there = ~np.isnan(whole) if kind == "floats" else whole != MISSING_INT
    return Ragged(whole, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])).keep(there)
