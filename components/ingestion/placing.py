"""Which split each row of a table belongs to, and which rows belong to none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data_plane.row_hash import row_hash
from .shares import by_hash, thresholds
from .split_options import SplitOptions, SplitValue, spelled
from .times import parse_times

NOWHERE = 255
"""The split number of a row that is in no split; there are fewer splits than that."""
_SHOWN = 80


def assign(rows: pa.Table, rule: SplitOptions, split: str = "", key: str = "") -> tuple[Any, Any]:
    """Places rows, each by its own values alone, so that it doesn't matter which rows are looked at together.

    Exact shares (`stratify`, `split_by_time` with shares) need all rows: see `splits.stratified`. Here such
    rows are placed by their hash.

    Args:
        rows: columns of int64, float64, bool, string or timestamp; missing values are null.
        rule: what is asked for; `rule.seed` is that of the hash.
        split: the split of the file that the rows are from, where `rule.kind` is "files".
        key: the column whose hash stands for that of the row; "" for that of all columns.

    Returns:
        Split numbers uint8 [rows], in the order of `rule.names`, NOWHERE for a row that is in no split; and
        bool [rows], true for those.
    """
    if rule.kind == "files":
        numbers = np.full(rows.num_rows, rule.names.index(split), np.uint8)
    elif rule.kind == "values":
        numbers = _by_values(whole(rows.column(rule.column)), tuple(rule.splits.values()))
    elif rule.kind == "time_ranges":
        numbers = _by_ranges(whole(rows.column(rule.column)), rule.ranges())
    else:
        column = rule.split_by or key
        columns = (column,) if column else None
        numbers = by_hash(row_hash(rows, columns, rule.seed), thresholds(rule.shares()))
    return numbers, numbers == NOWHERE


def why_outside(rows: pa.Table, rule: SplitOptions, index: int) -> str:
    """Why row `index` is in no split."""
    value = rows.column(rule.column)[index]
    if not value.is_valid:
        return f"column {rule.column!r} has no value, so that the row is in no split"
    if pa.types.is_timestamp(value.type):  # Python knows no year beyond 9999
        value = value.cast(pa.timestamp("us")).cast(pa.string())
    text = value.as_py()
    shown = repr(text) if isinstance(text, str) else str(text)
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    words = pa.types.is_string(rows.schema.field(rule.column).type) and rule.split_by_time
    if words and not parse_times(pa.array([text]))[0].is_valid:
        return f"column {rule.column!r}: {shown} is no time of ISO 8601, so that the row is in no split"
    return f"column {rule.column!r}: {shown} is in no split"


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    found = column.combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def _by_values(column: pa.Array, lists: tuple[list[SplitValue], ...]) -> Any:
    numbers = np.full(len(column), NOWHERE, np.uint8)
    for number, values in enumerate(lists):
        wanted = [found for value in values if (found := _as_kind(value, column.type)) is not None]
        found = pc.is_in(column, value_set=pa.array(wanted, column.type))
        numbers[found.to_numpy(zero_copy_only=False)] = number
    return numbers


def _as_kind(value: SplitValue, kind: pa.DataType) -> Any:
    """A value of a list as the column would hold it, or None where it can't."""
    text = spelled(value)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text
    if pa.types.is_boolean(kind):
        return {"true": True, "false": False}.get(text.lower())
    try:
        if pa.types.is_floating(kind):
            return float(text)
        return int(text) if pa.types.is_integer(kind) and -(1 << 63) <= int(text) < 1 << 63 else None
    except ValueError:
        return None


def _by_ranges(column: pa.Array, ranges: tuple[tuple[float | int | None, float | int | None], ...]) -> Any:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = parse_times(column)
    numbers = np.full(len(column), NOWHERE, np.uint8)
    if pa.types.is_boolean(column.type):
        return numbers
    known = column.is_valid().to_numpy(zero_copy_only=False)
    floating = pa.types.is_floating(column.type)
    if not floating:
        column = column.cast(pa.int64())
    values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    for number, (begin, end) in enumerate(ranges):
        inside = known & ~np.isnan(values) if floating else known.copy()
        # A fraction as the bound of whole numbers is rounded up, so that none is compared as a float.
        if begin is not None:
            inside &= values >= (begin if floating else math.ceil(begin))
        if end is not None:
            inside &= values < (end if floating else math.ceil(end))
        numbers[inside] = number
    return numbers
