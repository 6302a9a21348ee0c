"""Raw columns as serving takes them: each number is cast once, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.errors import DataError
from ..transforms.base import MISSING_INT

SERVING_DTYPES = {"float": "float32", "int": "int64", "bool": "int64", "string": "string"}
"""Column type → dtype at serving; missing is NaN, -2**63 and the empty string."""
_AT_REST = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "string": pa.string()}


def serving_batch(batch: pa.RecordBatch, types: Mapping[str, str]) -> dict[str, Any]:
    """The named columns of a batch, cast.

    Args:
        batch: raw rows, [n].
        types: column → type (`float`, `int`, `bool`, `string`) of the columns to read.

    Returns:
        By name, float32 or int64 [n] in NumPy, strings as an Arrow array without nulls.

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
    """A cast column as NumPy holds it: strings as an object array of str."""
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
    if kind == "string":
        return pc.fill_null(column, "") if column.null_count else column
    if kind == "float":
        with np.errstate(over="ignore"):
            return column.to_numpy(zero_copy_only=False).astype(np.float32)
    whole = column if kind == "int" else pc.cast(column, pa.int64())
    return (pc.fill_null(whole, MISSING_INT) if whole.null_count else whole).to_numpy(zero_copy_only=False)
